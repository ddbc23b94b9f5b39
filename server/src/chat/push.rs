//! Where devices can be pushed to: addresses at Apple, Google or a browser's own service.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use suda_schema::{DeviceId, UserId};
use utoipa::ToSchema;

use super::{Chat, ChatError, Row, Tx, devices};
use crate::store::keys;

/// The most bytes in a push token; Web Push subscriptions are the long ones.
pub const PUSH_TOKEN_BYTES_MAX: usize = 4 << 10;

/// Who delivers a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushKind {
    /// Apple.
    Apns,
    /// Google.
    Fcm,
    /// A browser's own service.
    Webpush,
}

/// An address under which a device can be pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushToken {
    /// Who delivers.
    pub kind: PushKind,
    /// The address; for Web Push the subscription as JSON.
    pub token: String,
    /// When the device last said so.
    pub registered_at_ms: u64,
}

/// A browser's subscription, as `PushSubscription.toJSON()` has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subscription {
    /// Where pushes to it are sent.
    pub endpoint: String,
    /// What they are encrypted with.
    pub keys: SubscriptionKeys,
}

/// What pushes to a browser are encrypted with, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SubscriptionKeys {
    /// The browser's public key, an uncompressed point of P-256.
    pub p256dh: String,
    /// A secret of 16 bytes.
    pub auth: String,
}

impl Subscription {
    /// Reads one; `None` if it can't be pushed to, whatever its service says.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let subscription: Self = serde_json::from_str(token).ok()?;
        let has = |text: &str, bytes: usize| {
            BASE64.decode(text.trim_end_matches('=')).is_ok_and(|decoded| decoded.len() == bytes)
        };
        let keys = &subscription.keys;
        let fits = subscription.endpoint.starts_with("https://") && has(&keys.p256dh, 65) && has(&keys.auth, 16);
        fits.then_some(subscription)
    }
}

/// Whose a push token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PushOwner {
    user: UserId,
    device: DeviceId,
}

impl Row for PushOwner {
    const NAME: &'static str = "push token";
}

impl Chat {
    /// Registers where a device can be pushed to. The address belongs to this device from now on and to no other one:
    /// when another account logs in on a phone, the pushes of the former one must not go on appearing there.
    pub async fn register_push(
        &self,
        user: UserId,
        device: DeviceId,
        kind: PushKind,
        token: &str,
    ) -> Result<(), ChatError> {
        if token.is_empty() || token.chars().any(char::is_control) {
            return Err(ChatError::invalid("token", "is empty or has control characters"));
        }
        if token.len() > PUSH_TOKEN_BYTES_MAX {
            return Err(ChatError::TooLarge { field: "token", max: PUSH_TOKEN_BYTES_MAX, unit: "bytes" });
        }
        if kind == PushKind::Webpush && Subscription::parse(token).is_none() {
            return Err(ChatError::invalid("token", "is no subscription: an https endpoint, and keys p256dh and auth"));
        }
        self.run_idempotent(|tx| async move { register_push(&tx, (user, device), kind, token).await }).await
    }

    /// Takes an address back, also after the service said that it is no longer one.
    pub async fn unregister_push(
        &self,
        user: UserId,
        device: DeviceId,
        kind: PushKind,
        token: &str,
    ) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move { unregister_push(&tx, (user, device), kind, token).await }).await
    }

    /// Where a user can be pushed to, device by device.
    pub async fn push_tokens(&self, user: UserId) -> Result<Vec<(DeviceId, PushToken)>, ChatError> {
        let devices = self.read(|tx| async move { devices::all(&tx, user).await }).await?;
        let tokens = devices.into_iter().flat_map(|(device, row)| row.push.into_iter().map(move |push| (device, push)));
        Ok(tokens.collect())
    }
}

async fn register_push(
    tx: &Tx,
    (user, device): (UserId, DeviceId),
    kind: PushKind,
    token: &str,
) -> Result<(), ChatError> {
    let mut row = devices::get(tx, user, device).await?.ok_or(ChatError::NotFound("device"))?;
    let key = keys::push_token(&push_hash(kind, token));
    if let Some(owner) = tx.row::<PushOwner>(&key).await?
        && (owner.user, owner.device) != (user, device)
    {
        unregister_push(tx, (owner.user, owner.device), kind, token).await?;
    }
    row.push.retain(|push| (push.kind, push.token.as_str()) != (kind, token));
    // A device rarely has two addresses at one service; the oldest are those it has forgotten.
    let kept = tx.chat().limits().push_tokens_per_device_max.max(1) - 1;
    while row.push.len() > kept {
        let oldest = row.push.remove(0);
        tx.clear(keys::push_token(&push_hash(oldest.kind, &oldest.token)));
    }
    row.push.push(PushToken { kind, token: token.to_owned(), registered_at_ms: tx.now_ms() });
    devices::put(tx, user, device, &row);
    tx.set_row(key, &PushOwner { user, device });
    Ok(())
}

pub(super) async fn unregister_push(
    tx: &Tx,
    (user, device): (UserId, DeviceId),
    kind: PushKind,
    token: &str,
) -> Result<(), ChatError> {
    let Some(mut row) = devices::get(tx, user, device).await? else { return Ok(()) };
    let before = row.push.len();
    row.push.retain(|push| (push.kind, push.token.as_str()) != (kind, token));
    if row.push.len() < before {
        devices::put(tx, user, device, &row);
        tx.clear(keys::push_token(&push_hash(kind, token)));
    }
    Ok(())
}

/// Forgets whose these tokens are, for when their device is.
pub(super) fn forget(tx: &Tx, tokens: &[PushToken]) {
    for push in tokens {
        tx.clear(keys::push_token(&push_hash(push.kind, &push.token)));
    }
}

/// The hash under which a push token is found, so that one address belongs to one device.
fn push_hash(kind: PushKind, token: &str) -> [u8; 32] {
    let kind = match kind {
        PushKind::Apns => b"apns:",
        PushKind::Fcm => b"fcm: ",
        PushKind::Webpush => b"web: ",
    };
    Sha256::new_with_prefix(kind).chain_update(token).finalize().into()
}
