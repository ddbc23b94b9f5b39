//! What the HTTP API speaks of. Each is described in the server's OpenAPI document.

use serde::{Deserialize, Serialize};
use suda_schema::entry::Role;
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, DeviceId, MediaId, UserId};

/// A device that is logged in. Its tokens are as good as a password: keep them safe.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Login {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// The access token.
    pub access: String,
    /// When it runs out.
    pub access_expires_at_ms: u64,
    /// Gets the next pair of tokens, once.
    pub refresh: String,
    /// When it runs out.
    pub refresh_expires_at_ms: u64,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("device", &self.device).finish_non_exhaustive()
    }
}

/// What a device says about itself when it logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NewDevice {
    /// A name for people, such as `Kim's phone`.
    pub name: String,
    /// What it is: `android`, `ios`, `web`, `desktop` or `other`, as the server has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

impl NewDevice {
    /// A device with a name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), platform: None }
    }
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Who.
    pub user: UserId,
    /// Their handle; empty if they are gone.
    pub handle: String,
    /// The name that is shown; empty if they are gone.
    pub display_name: String,
    /// About themselves.
    pub bio: String,
    /// What they do just now.
    pub status_text: String,
    /// Their picture.
    pub picture: Option<MediaId>,
    /// Whether the account was deleted.
    pub gone: bool,
}

/// Changes to one's profile; what is `None` stays.
///
/// ```
/// use suda_client::ProfileChange;
///
/// let change = ProfileChange { status_text: Some("on a train".to_owned()), picture: Some(None), ..Default::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ProfileChange {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A new text about oneself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// A new status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// A new picture, or (`Some(None)`) none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Option<MediaId>>,
    /// Another language, such as `ko-KR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Another time zone, such as `Asia/Seoul`: quiet hours are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// One's own profile, with what others do not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Profile {
    /// The name that is shown.
    pub display_name: String,
    /// About oneself.
    pub bio: String,
    /// What one does just now.
    pub status_text: String,
    /// One's picture.
    pub picture: Option<MediaId>,
    /// One's language; empty if not said.
    pub locale: String,
    /// One's time zone; empty if not said.
    pub time_zone: String,
}

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Audience {
    /// Everybody who is not blocked.
    Everyone,
    /// Friends.
    Friends,
    /// Nobody.
    Nobody,
}

/// Hours in which nothing notifies, in the time zone of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// Minute of the day at which they begin, below 1,440.
    pub from_minute: u16,
    /// Minute of the day at which they end. Before `from_minute`: on the next day. The same: the whole day.
    pub to_minute: u16,
    /// The days on which they begin: bit 0 is Monday, bit 6 is Sunday.
    pub days: u8,
}

/// What a user has decided about notifications, and about who may come near.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Settings {
    /// Whether a push shows the text of the message.
    pub push_preview: bool,
    /// When nothing notifies.
    pub quiet_hours: Option<QuietHours>,
    /// Whether everybody else is told that one is offline.
    pub appear_offline: bool,
    /// Who finds one by handle.
    pub find_by_handle: Audience,
    /// Who may ask to be a friend.
    pub friend_requests_from: Audience,
    /// Who may open a direct channel.
    pub direct_from: Audience,
    /// Who may put one into a group or broadcast channel.
    pub invites_from: Audience,
}

/// Changes to settings; what is `None` stays.
///
/// ```
/// use suda_client::{Audience, SettingsChange};
///
/// let change = SettingsChange { direct_from: Some(Audience::Friends), quiet_hours: Some(None), ..Default::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SettingsChange {
    /// Whether a push shows the text of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_preview: Option<bool>,
    /// When nothing notifies, or (`Some(None)`) never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<Option<QuietHours>>,
    /// Whether everybody else is told that one is offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appear_offline: Option<bool>,
    /// Who finds one by handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find_by_handle: Option<Audience>,
    /// Who may ask to be a friend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friend_requests_from: Option<Audience>,
    /// Who may open a direct channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_from: Option<Audience>,
    /// Who may put one into a group or broadcast channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invites_from: Option<Audience>,
}

/// Who delivers a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PushKind {
    /// Apple.
    Apns,
    /// Google.
    Fcm,
    /// A browser's own service; the token is its subscription as JSON.
    Webpush,
}

/// One user in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Listed {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub since_ms: u64,
}

/// What became of a friend request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Requested {
    /// It waits for an answer.
    Sent,
    /// They are friends: they were already, or the other one had asked too.
    Friends,
}

/// A member of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at_ms: u64,
}

/// What an invitation's code leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Invitation {
    /// Which channel.
    pub channel: ChannelId,
    /// What kind.
    pub kind: ChannelKind,
    /// Its title.
    pub title: String,
    /// Its picture.
    pub picture: Option<MediaId>,
    /// How many members it has.
    pub members: u64,
}

/// One of the user's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// Which.
    pub device: DeviceId,
    /// A name for people.
    pub name: String,
    /// What it is.
    pub platform: String,
    /// When it logged in.
    pub made_at_ms: u64,
    /// When it last connected, disconnected or refreshed its tokens.
    pub seen_at_ms: u64,
}
