//! What a user has decided about notifications, and about who may come near.

use serde::{Deserialize, Serialize};
use suda_schema::UserId;
use suda_schema::event::{UserEvent, UserRef};
use utoipa::ToSchema;

use super::{Chat, ChatError, Row, Topic, Tx, accounts, user_log};
use crate::store::keys;

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody who is not blocked.
    #[default]
    Everyone,
    /// Friends.
    Friends,
    /// Nobody.
    Nobody,
}

/// Hours in which nothing notifies, in the time zone of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuietHours {
    /// Minute of the day at which they begin, below 1,440.
    pub from_minute: u16,
    /// Minute of the day at which they end. Before `from_minute`: on the next day. The same: the whole day.
    pub to_minute: u16,
    /// The days on which they begin: bit 0 is Monday, bit 6 is Sunday.
    pub days: u8,
}

/// A user's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Whether a push shows the text of the message.
    pub push_preview: bool,
    /// When nothing notifies.
    pub quiet_hours: Option<QuietHours>,
    /// Whether everybody else is told that one is offline.
    pub appear_offline: bool,
    /// Who finds one by handle, in whole or by its beginning.
    pub find_by_handle: Audience,
    /// Who may ask to be a friend. `Friends` is the same as nobody.
    pub friend_requests_from: Audience,
    /// Who may open a direct channel. Those that are open stay.
    pub direct_from: Audience,
    /// Who may put one into a group or broadcast channel.
    pub invites_from: Audience,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            push_preview: true,
            quiet_hours: None,
            appear_offline: false,
            find_by_handle: Audience::Everyone,
            friend_requests_from: Audience::Everyone,
            direct_from: Audience::Everyone,
            invites_from: Audience::Everyone,
        }
    }
}

impl Row for Settings {
    const NAME: &'static str = "settings";
}

/// Changes to settings; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// Whether a push shows the text of the message.
    pub push_preview: Option<bool>,
    /// When nothing notifies, or (`Some(None)`) always everything.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<QuietHours>)]
    pub quiet_hours: Option<Option<QuietHours>>,
    /// Whether everybody else is told that one is offline.
    pub appear_offline: Option<bool>,
    /// Who finds one by handle.
    pub find_by_handle: Option<Audience>,
    /// Who may ask to be a friend.
    pub friend_requests_from: Option<Audience>,
    /// Who may open a direct channel.
    pub direct_from: Option<Audience>,
    /// Who may put one into a group or broadcast channel.
    pub invites_from: Option<Audience>,
}

/// A field that is there, even if it is null: told from one that is not there by `#[serde(default)]`.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<QuietHours>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

const MINUTES_PER_DAY: u16 = 24 * 60;
const ALL_DAYS: u8 = 0b0111_1111;

impl Settings {
    fn changed(self, change: &SettingsChange) -> Result<Self, ChatError> {
        if let Some(Some(quiet)) = change.quiet_hours {
            let minutes_fit = quiet.from_minute < MINUTES_PER_DAY && quiet.to_minute < MINUTES_PER_DAY;
            if !minutes_fit || quiet.days & !ALL_DAYS != 0 {
                return Err(ChatError::invalid("quiet_hours", "minutes are below 1440, days below 128"));
            }
        }
        Ok(Self {
            push_preview: change.push_preview.unwrap_or(self.push_preview),
            quiet_hours: change.quiet_hours.unwrap_or(self.quiet_hours),
            appear_offline: change.appear_offline.unwrap_or(self.appear_offline),
            find_by_handle: change.find_by_handle.unwrap_or(self.find_by_handle),
            friend_requests_from: change.friend_requests_from.unwrap_or(self.friend_requests_from),
            direct_from: change.direct_from.unwrap_or(self.direct_from),
            invites_from: change.invites_from.unwrap_or(self.invites_from),
        })
    }
}

/// A user's settings; those who never changed any have the default ones.
pub(super) async fn get(tx: &Tx, user: UserId) -> Result<Settings, ChatError> {
    Ok(tx.row(&keys::settings(user)).await?.unwrap_or_default())
}

impl Chat {
    /// One's own settings.
    pub async fn settings(&self, me: UserId) -> Result<Settings, ChatError> {
        self.read(|tx| async move { get(&tx, me).await }).await
    }

    /// Changes one's own settings.
    pub async fn change_settings(&self, me: UserId, change: &SettingsChange) -> Result<Settings, ChatError> {
        self.run_idempotent(|tx| async move {
            accounts::live(&tx, me).await?;
            let before = get(&tx, me).await?;
            let after = before.clone().changed(change)?;
            if after != before {
                tx.set_row(keys::settings(me), &after);
                user_log::append(&tx, me, &[UserEvent::ProfileChanged(UserRef { user: me })]).await?;
            }
            if after.appear_offline != before.appear_offline {
                tx.wake(Topic::Presence(me));
            }
            Ok(after)
        })
        .await
    }
}
