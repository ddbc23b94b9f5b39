//! Devices: each login makes one. They are renewed by their refresh tokens, told about by their push tokens, and logged
//! out one by one or all together. A device that is gone ends its live links: its user's topic is woken, and the
//! session asks again whether it still may.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};
use suda_schema::event::{DeviceRef, UserEvent};
use suda_schema::{DeviceId, UserId};
use utoipa::ToSchema;

use super::auth::Login;
use super::auth::refresh::{Family, Presented, RefreshToken, Times};
use super::profile::clean;
pub use super::push::{PushKind, PushToken};
use super::{Chat, ChatError, Row, Tx, accounts, presence, push, tx, user_log};
use crate::store::keys;

/// The most characters in the name of a device.
pub const DEVICE_NAME_CHARS_MAX: usize = 64;
/// What a device says about itself when it logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewDevice {
    /// A name for people, such as `Kim's phone`.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub platform: Platform,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// An iPhone or iPad.
    Ios,
    /// An Android phone or tablet.
    Android,
    /// A browser.
    Web,
    /// A program on a computer.
    Desktop,
    /// A program without a person before it.
    Bot,
    /// Anything else.
    #[default]
    Other,
}

/// A device as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// A name for people.
    pub name: String,
    /// What it is.
    pub platform: Platform,
    /// When it logged in.
    pub made_at_ms: u64,
    /// When it last connected, disconnected or refreshed its tokens.
    pub seen_at_ms: u64,
    /// Which generation of its tokens counts.
    pub generation: u32,
    /// Where it can be pushed to.
    pub push: Vec<PushToken>,
    /// Its refresh tokens; `None` for devices of an identity provider.
    refresh: Option<Family>,
    /// Its name at the identity provider.
    external: Option<String>,
}

impl Row for Device {
    const NAME: &'static str = "device";
}

/// A device as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceInfo {
    /// Which.
    pub device: DeviceId,
    /// A name for people.
    pub name: String,
    /// What it is.
    pub platform: Platform,
    /// When it logged in.
    pub made_at_ms: u64,
    /// When it last connected, disconnected or refreshed its tokens.
    pub seen_at_ms: u64,
    /// By whom it can be pushed to.
    pub push: Vec<PushKind>,
}

impl NewDevice {
    /// Whether this could be a device.
    pub fn check(&self) -> Result<(), ChatError> {
        clean("device name", &self.name, DEVICE_NAME_CHARS_MAX, false).map(drop)
    }
}

impl Device {
    pub(super) fn new(new: &NewDevice, now_ms: u64, refresh: Option<Family>) -> Self {
        Self {
            name: new.name.trim().to_owned(),
            platform: new.platform,
            made_at_ms: now_ms,
            seen_at_ms: now_ms,
            generation: 1,
            push: Vec::new(),
            refresh,
            external: None,
        }
    }

    pub(super) fn of_provider(mut self, name: String) -> Self {
        self.external = Some(name);
        self
    }

    /// Whether this token began or continues the device's family.
    pub(super) fn is_of(&self, token: &RefreshToken) -> bool {
        self.refresh.as_ref().is_some_and(|family| family.is_of(token))
    }

    /// Makes all tokens worthless that there are, and begins anew with this family.
    pub(super) fn begin_generation(&mut self, family: Family) {
        self.generation = self.generation.saturating_add(1);
        self.refresh = Some(family);
    }

    pub(super) fn refresh_expires_at_ms(&self) -> u64 {
        self.refresh.as_ref().map_or(0, |family| family.expires_at_ms)
    }

    fn info(&self, device: DeviceId) -> DeviceInfo {
        DeviceInfo {
            device,
            name: self.name.clone(),
            platform: self.platform,
            made_at_ms: self.made_at_ms,
            seen_at_ms: self.seen_at_ms,
            push: self.push.iter().map(|push| push.kind).collect(),
        }
    }
}

/// A device; `None` if it was logged out or never was.
pub(super) async fn get(tx: &Tx, user: UserId, device: DeviceId) -> Result<Option<Device>, ChatError> {
    tx.row(&keys::device(user, device)).await
}

pub(super) fn put(tx: &Tx, user: UserId, device: DeviceId, row: &Device) {
    tx.set_row(keys::device(user, device), row);
}

/// Notes that a device was there just now.
pub(super) async fn seen(tx: &Tx, user: UserId, device: DeviceId) -> Result<(), ChatError> {
    if let Some(mut row) = get(tx, user, device).await? {
        row.seen_at_ms = tx.now_ms();
        put(tx, user, device, &row);
    }
    Ok(())
}

/// All devices of a user. There are never many: [`add`] sees to it.
pub(super) async fn all(tx: &Tx, user: UserId) -> Result<Vec<(DeviceId, Device)>, ChatError> {
    let rows = tx.all_rows(keys::devices(user)).await?;
    let decode = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
        let device = keys::device_of(key).ok_or(ChatError::BadRow("device"))?;
        Ok((device, tx::decode_row(value)?))
    };
    rows.iter().map(decode).collect()
}

/// Adds a device. At the limit those go that were seen least recently: somebody who logs in is here, they are not.
pub(super) async fn add(
    tx: &Tx,
    user: UserId,
    device: DeviceId,
    new: Device,
) -> Result<(Device, Vec<DeviceId>), ChatError> {
    if get(tx, user, device).await?.is_some() {
        return Err(ChatError::Internal("an id was made twice: is the clock behind?"));
    }
    let mut others = all(tx, user).await?;
    others.sort_by_key(|(id, other)| Reverse((other.seen_at_ms, *id)));
    let kept = tx.chat().limits().devices_per_user_max.max(1) - 1;
    let mut logged_out = Vec::new();
    for (id, other) in others.iter().skip(kept) {
        remove_row(tx, user, *id, other).await?;
        logged_out.push(*id);
    }
    put(tx, user, device, &new);
    user_log::append(tx, user, &[UserEvent::DeviceAdded(DeviceRef { device })]).await?;
    Ok((new, logged_out))
}

/// Logs a device out. Its live links end because the user's topic is woken.
pub(super) async fn remove(tx: &Tx, user: UserId, device: DeviceId) -> Result<bool, ChatError> {
    let Some(row) = get(tx, user, device).await? else { return Ok(false) };
    remove_row(tx, user, device, &row).await?;
    Ok(true)
}

/// Logs all devices out but one.
pub(super) async fn remove_others(tx: &Tx, user: UserId, kept: DeviceId) -> Result<Vec<DeviceId>, ChatError> {
    let mut removed = Vec::new();
    for (device, row) in all(tx, user).await? {
        if device != kept {
            remove_row(tx, user, device, &row).await?;
            removed.push(device);
        }
    }
    Ok(removed)
}

async fn remove_row(tx: &Tx, user: UserId, device: DeviceId, row: &Device) -> Result<(), ChatError> {
    tx.clear(keys::device(user, device));
    let cursors = keys::cursors(user, device);
    tx.clear_range(cursors.begin(), cursors.end());
    push::forget(tx, &row.push);
    if let Some(name) = &row.external {
        super::auth::session::device_logged_out(tx, user, name).await?;
    }
    presence::device_gone(tx, user, device).await?;
    user_log::append(tx, user, &[UserEvent::DeviceRemoved(DeviceRef { device })]).await.map(drop)
}

/// What a refresh token brings once the transaction stands, which also logs devices out: the next token, or why not.
type Refreshed = Result<(RefreshToken, Device), &'static str>;

impl Chat {
    /// A new pair of tokens for a refresh token. See [`refresh`](super::auth::refresh) for what becomes of tokens that
    /// are used again.
    pub async fn refresh(&self, token: &str) -> Result<Login, ChatError> {
        const WRONG: ChatError = ChatError::Unauthenticated("the refresh token is not valid");
        let token = &RefreshToken::parse(token).ok_or(WRONG)?;
        let salt = self.clock().random();
        let refreshed = self.run_idempotent(|tx| async move { refresh(&tx, token, salt).await }).await?;
        let (next, device) = refreshed.map_err(ChatError::Unauthenticated)?;
        self.login_of(&next, &device, Vec::new()).await
    }

    /// Logs one of one's devices out: this one, or another.
    pub async fn log_out(&self, user: UserId, device: DeviceId) -> Result<(), ChatError> {
        let removed = self.run_idempotent(|tx| async move { remove(&tx, user, device).await.map(|_| ()) });
        removed.await
    }

    /// Logs all devices out but, if it is given, this one.
    pub async fn log_out_all(&self, user: UserId, kept: Option<DeviceId>) -> Result<Vec<DeviceId>, ChatError> {
        // No device has the id 0.
        let kept = kept.unwrap_or_default();
        self.run(|tx| async move { remove_others(&tx, user, kept).await }).await
    }

    /// A user's devices, the one that was seen last first.
    pub async fn devices(&self, user: UserId) -> Result<Vec<DeviceInfo>, ChatError> {
        let mut devices = self.read(|tx| async move { all(&tx, user).await }).await?;
        devices.sort_by_key(|(id, device)| Reverse((device.seen_at_ms, *id)));
        Ok(devices.iter().map(|(id, device)| device.info(*id)).collect())
    }

    /// Gives a device another name.
    pub async fn rename_device(&self, user: UserId, device: DeviceId, name: &str) -> Result<(), ChatError> {
        let name = &clean("device name", name, DEVICE_NAME_CHARS_MAX, false)?;
        self.run_idempotent(|tx| async move {
            let mut row = get(&tx, user, device).await?.ok_or(ChatError::NotFound("device"))?;
            row.name.clone_from(name);
            put(&tx, user, device, &row);
            Ok(())
        })
        .await
    }
}

async fn refresh(tx: &Tx, token: &RefreshToken, salt: [u8; 32]) -> Result<Refreshed, ChatError> {
    let (user, device) = (token.user, token.device);
    let Some(mut row) = get(tx, user, device).await? else {
        return Ok(Err("the device was logged out"));
    };
    let Some(family) = &mut row.refresh else { return Ok(Err("the refresh token is not valid")) };
    let config = &tx.chat().auth().config;
    let times = Times { now_ms: tx.now_ms(), lifetime_ms: config.refresh_ms, grace_ms: config.refresh_grace_ms };
    match family.present(token, salt, &times) {
        Presented::Rotated(next) => {
            accounts::live(tx, user).await?;
            row.seen_at_ms = tx.now_ms();
            put(tx, user, device, &row);
            Ok(Ok((next, row)))
        }
        Presented::Again(next) => Ok(Ok((next, row))),
        Presented::Wrong => Ok(Err("the refresh token is not valid")),
        Presented::Expired => {
            remove_row(tx, user, device, &row).await?;
            Ok(Err("the refresh token has expired"))
        }
        Presented::Reused => {
            tracing::warn!(%user, %device, "a used refresh token was used again: the device is logged out");
            remove_row(tx, user, device, &row).await?;
            Ok(Err("the refresh token was used before; the device was logged out"))
        }
    }
}
