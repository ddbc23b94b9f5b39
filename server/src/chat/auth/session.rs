//! From a token to a caller, and whether the caller still may.
//!
//! [`Chat::authenticate`] says who calls; a session asks it once, and an HTTP call each time. What it says can become
//! untrue at any moment: [`Chat::session_check`] reads that from the store, at the start of a session and whenever its
//! user's topic is rung.
//!
//! The users and devices of an identity provider are made here, at first sight.

use serde::{Deserialize, Serialize};
use suda_schema::{CloseCode, DeviceId, UserId};

use super::external::{EXTERNAL_NAME_BYTES_MAX, Identity};
use crate::chat::accounts::{self, Account, External, Standing};
use crate::chat::devices::{self, Device, NewDevice, Platform};
use crate::chat::profile::{Profile, clean_display_name, normalise_handle};
use crate::chat::{Chat, ChatError, Row, Tx, tx};
use crate::store::keys;

/// Who calls, by a token that was true when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserId,
    /// From which device.
    pub device: DeviceId,
    /// When the token runs out.
    pub expires_at_ms: u64,
    /// When the token was made; 0 if it does not say.
    issued_at_ms: u64,
    /// Which generation of the device's tokens it is of; an identity provider's tokens are of none.
    generation: Option<u32>,
}

/// Whether a caller still may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// They may, until the token runs out.
    Live,
    /// The token ran out, or a change of the password has made it worthless: the device may have a better one.
    TokenExpired,
    /// The device was logged out.
    DeviceRevoked,
    /// The account was deleted.
    AccountGone,
}

impl SessionState {
    /// The close code of a link that must end; `None` while it may live.
    #[must_use]
    pub fn close_code(self) -> Option<CloseCode> {
        match self {
            Self::Live => None,
            Self::TokenExpired => Some(CloseCode::TOKEN_EXPIRED),
            Self::DeviceRevoked => Some(CloseCode::DEVICE_REVOKED),
            Self::AccountGone => Some(CloseCode::ACCOUNT_GONE),
        }
    }

    /// The same as the result of an HTTP call.
    pub fn require_live(self) -> Result<(), ChatError> {
        match self {
            Self::Live => Ok(()),
            Self::TokenExpired => Err(ChatError::TokenExpired),
            Self::DeviceRevoked => Err(ChatError::Unauthenticated("the device was logged out")),
            Self::AccountGone => Err(ChatError::Unauthenticated("the account was deleted")),
        }
    }
}

/// What a client says about its device where the token of an identity provider does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeviceHint<'a> {
    /// A name that the client made once and keeps, such as a UUID.
    pub key: Option<&'a str>,
    /// A name for people.
    pub name: &'a str,
    /// What it is.
    pub platform: Platform,
}

/// The device's name where neither the token nor the client has one.
const UNNAMED_DEVICE: &str = "default";

impl Chat {
    /// Who calls with this access token. A token of the operator's identity provider may make a user or a device.
    pub async fn authenticate(&self, token: &str, hint: DeviceHint<'_>) -> Result<Caller, ChatError> {
        if let Some(access) = self.verify_access(token).await? {
            return Ok(Caller {
                user: access.user,
                device: access.device,
                expires_at_ms: access.expires_at_ms,
                issued_at_ms: access.issued_at_ms,
                generation: Some(access.generation),
            });
        }
        match &self.auth().external {
            Some(verifier) => self.external_caller(&verifier.verify(token).await?, hint).await,
            None => Err(ChatError::Unauthenticated("the access token is not valid")),
        }
    }

    /// The same for one call: who calls, if they still may.
    pub async fn authorize(&self, token: &str, hint: DeviceHint<'_>) -> Result<Caller, ChatError> {
        let caller = self.authenticate(token, hint).await?;
        self.session_check(&caller).await?.require_live()?;
        Ok(caller)
    }

    /// Whether a caller still may.
    pub async fn session_check(&self, caller: &Caller) -> Result<SessionState, ChatError> {
        self.read(|tx| async move {
            if !accounts::get(&tx, caller.user).await?.is_some_and(|account| account.is_live()) {
                return Ok(SessionState::AccountGone);
            }
            let Some(device) = devices::get(&tx, caller.user, caller.device).await? else {
                return Ok(SessionState::DeviceRevoked);
            };
            let outdated = caller.generation.is_some_and(|generation| generation != device.generation);
            let expired = caller.expires_at_ms <= tx.now_ms();
            Ok(if outdated || expired { SessionState::TokenExpired } else { SessionState::Live })
        })
        .await
    }

    async fn external_caller(&self, identity: &Identity, hint: DeviceHint<'_>) -> Result<Caller, ChatError> {
        let name = identity.device.as_deref().or(hint.key).unwrap_or(UNNAMED_DEVICE);
        if name.is_empty() || name.len() > EXTERNAL_NAME_BYTES_MAX {
            return Err(ChatError::invalid("device", "the name of a device has 1 to 255 bytes"));
        }
        let known = self.read(|tx| async move { known(&tx, identity, name).await }).await?;
        let (user, device) = match known {
            Some(known) => known,
            None => {
                let new = NewDevice { name: hint.name.to_owned(), platform: hint.platform };
                new.check()?;
                let (new, ids) = (&new, (self.ids().user(), self.ids().device()));
                self.run_idempotent(|tx| async move { at_first_sight(&tx, identity, name, new, ids).await }).await?
            }
        };
        Ok(Caller {
            user,
            device,
            expires_at_ms: identity.expires_at_ms,
            issued_at_ms: identity.issued_at_ms,
            generation: None,
        })
    }
}

impl Caller {
    /// Whether a fresh token is of the same user and device, so that it may go on in this one's place.
    #[must_use]
    pub fn is_same_device(&self, other: &Self) -> bool {
        (self.user, self.device) == (other.user, other.device)
    }

    /// When the token was made; 0 if it does not say.
    #[must_use]
    pub fn issued_at_ms(&self) -> u64 {
        self.issued_at_ms
    }
}

/// Who an identity provider's subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ExternalUser {
    user: UserId,
}

impl Row for ExternalUser {
    const NAME: &'static str = "external user";
}

/// Which device has a name at an identity provider. The row outlives the device, for a token that was made before the device
/// was logged out is still true: it must not bring the device back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ExternalDevice {
    device: DeviceId,
    logged_out: bool,
    /// When a device of this name was last logged out: tokens from before count no more.
    not_before_ms: u64,
}

impl Row for ExternalDevice {
    const NAME: &'static str = "external device";
}

/// How many names of devices are remembered of a user. Beyond it, those are forgotten that were logged out longest ago:
/// their tokens have run out.
const EXTERNAL_DEVICES_MAX: usize = 256;

/// The user and device of a token, if neither has to be made.
async fn known(tx: &Tx, identity: &Identity, name: &str) -> Result<Option<(UserId, DeviceId)>, ChatError> {
    let Some(user) = live_user(tx, identity).await? else { return Ok(None) };
    let named: Option<ExternalDevice> = tx.row(&keys::external_device(user, name)).await?;
    let Some(ExternalDevice { device, logged_out, not_before_ms }) = named else { return Ok(None) };
    let counts_no_more = not_before_ms > 0 && identity.issued_at_ms <= not_before_ms;
    match (logged_out, counts_no_more) {
        (true, false) => Ok(None),
        // The session check will find that the device is gone, and say so.
        (true, true) | (false, false) => Ok(Some((user, device))),
        (false, true) => Err(ChatError::Unauthenticated("the device was logged out since")),
    }
}

/// The user of a token, if there is one. A deleted account makes room for a new one, but not for a token of its own time.
async fn live_user(tx: &Tx, identity: &Identity) -> Result<Option<UserId>, ChatError> {
    let key = keys::external_user(&identity.issuer, &identity.subject);
    let Some(ExternalUser { user }) = tx.row(&key).await? else { return Ok(None) };
    match accounts::known(tx, user).await?.standing {
        Standing::Live => Ok(Some(user)),
        Standing::Gone { at_ms } if identity.issued_at_ms <= at_ms => {
            Err(ChatError::Unauthenticated("the account was deleted"))
        }
        Standing::Gone { .. } => Ok(None),
    }
}

async fn at_first_sight(
    tx: &Tx,
    identity: &Identity,
    name: &str,
    new: &NewDevice,
    (user, device): (UserId, DeviceId),
) -> Result<(UserId, DeviceId), ChatError> {
    if let Some(known) = known(tx, identity, name).await? {
        return Ok(known);
    }
    let user = match live_user(tx, identity).await? {
        Some(known) => known,
        None => {
            make_user(tx, identity, user).await?;
            user
        }
    };
    let row = Device::new(new, tx.now_ms(), None).of_provider(name.to_owned());
    devices::add(tx, user, device, row).await?;
    let key = keys::external_device(user, name);
    let former: Option<ExternalDevice> = tx.row(&key).await?;
    let not_before_ms = former.map_or(0, |former| former.not_before_ms);
    tx.set_row(key, &ExternalDevice { device, logged_out: false, not_before_ms });
    Ok((user, device))
}

async fn make_user(tx: &Tx, identity: &Identity, user: UserId) -> Result<(), ChatError> {
    let handle = free_handle(tx, identity, user).await?;
    let display_name = identity.name.as_deref().and_then(|name| clean_display_name(name, &handle).ok());
    let profile = Profile { display_name: display_name.unwrap_or_else(|| handle.clone()), ..Profile::default() };
    let external = External { issuer: identity.issuer.clone(), subject: identity.subject.clone() };
    let account =
        Account { handle, made_at_ms: tx.now_ms(), standing: Standing::Live, external: Some(external), profile };
    accounts::make(tx, user, &account).await?;
    tx.set_row(keys::external_user(&identity.issuer, &identity.subject), &ExternalUser { user });
    Ok(())
}

/// The handle that the provider names if it is one and is free, else one made of the id, which nobody else has.
async fn free_handle(tx: &Tx, identity: &Identity, user: UserId) -> Result<String, ChatError> {
    let wanted = identity.handle.as_deref().and_then(|handle| normalise_handle(handle).ok());
    if let Some(wanted) = wanted
        && accounts::by_handle(tx, &wanted).await?.is_none()
    {
        return Ok(wanted);
    }
    Ok(format!("user{}", user.0))
}

/// Remembers that a device was logged out, so that a token from before does not bring it back.
pub(in crate::chat) async fn device_logged_out(tx: &Tx, user: UserId, name: &str) -> Result<(), ChatError> {
    let key = keys::external_device(user, name);
    let Some(mut row) = tx.row::<ExternalDevice>(&key).await? else { return Ok(()) };
    (row.logged_out, row.not_before_ms) = (true, tx.now_ms());
    tx.set_row(key, &row);

    let rows = tx.all_rows(keys::external_devices(user)).await?;
    let mut logged_out = Vec::new();
    for (key, value) in &rows {
        let row: ExternalDevice = tx::decode_row(value)?;
        if row.logged_out {
            logged_out.push((row.not_before_ms, key));
        }
    }
    logged_out.sort_unstable();
    let too_many = rows.len().saturating_sub(EXTERNAL_DEVICES_MAX);
    for (_, key) in logged_out.into_iter().take(too_many) {
        tx.clear(key);
    }
    Ok(())
}
