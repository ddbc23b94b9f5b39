//! The frames of the control stream: the session itself, sync, presence, hints.

use serde::{Deserialize, Serialize};

use crate::append_only::append_only;
use crate::channel::Marks;
use crate::codec::bounded;
use crate::event::UserEntry;
use crate::limits::PRESENCE_USERS_MAX;
use crate::open::Activity;
use crate::summary::{ChannelSummary, Preview};
use crate::{ChannelId, CloseCode, DeviceId, Seq, UserId, WireError};

append_only! {
    /// Client to node, on the control stream, after `hello`.
    pub enum ControlUp {
        /// The heartbeat. Answered by `pong`.
        0 "ping" Ping(Ping),
        /// A fresh access token of the same device, before the old one runs out. Answered by `authenticated`.
        1 "authenticate" Authenticate(Authenticate),
        /// Somebody came to the device, or left it.
        2 "activity" Activity(SetActivity),
        /// Another page of the channel list. Answered by `sync_page` or `failed`.
        3 "sync" Sync(Sync),
        /// Read or delivered positions, for channels with or without an attachment.
        4 "mark" Mark(ChannelMark),
        /// Who of these is online? Answered by `presence` or `failed`.
        5 "presence" Presence(PresenceQuery),
    }
}

append_only! {
    /// Node to client, on the control stream.
    pub enum ControlDown {
        /// The session stands.
        0 "welcome" Welcome(Welcome),
        /// The answer to `ping`.
        1 "pong" Pong(Pong),
        /// The answer to `authenticate`.
        2 "authenticated" Authenticated(Authenticated),
        /// One page of the channel list.
        3 "sync_page" SyncPage(SyncPage),
        /// Entries of the user's own log, in order, with no gap.
        4 "user_entries" UserEntries(UserEntries),
        /// Something happened in channels that have no attachment. A hint: merged, at most one a second and channel.
        5 "hints" Hints(Hints),
        /// Somebody's presence, asked for or changed.
        6 "presence" Presence(PresenceList),
        /// Somebody types in a channel that has no attachment.
        7 "typing" Typing(Typing),
        /// The node drains: move after the delay.
        8 "go_away" GoAway(GoAway),
        /// The token runs out soon: send `authenticate`.
        9 "token_expiring" TokenExpiring(TokenExpiring),
        /// A request failed.
        10 "failed" Failed(Failed),
        /// The link ends now; said in-band because close codes don't reach every client.
        11 "closing" Closing(Closing),
    }
}

/// The heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// Comes back in the answer.
    pub nonce: u64,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// That of the `ping`.
    pub nonce: u64,
    /// The node's clock, in milliseconds since the Unix epoch.
    pub server_time_ms: u64,
}

/// A fresh access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticate {
    /// The token: same user, same device.
    pub token: String,
}

/// The fresh token was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticated {
    /// When it runs out.
    pub expires_at_ms: u64,
}

/// Somebody came to the device, or left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetActivity {
    /// The new state.
    pub activity: Activity,
}

/// Ask for a page of the channel list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// Chosen by the client; comes back in the answer.
    pub request: u32,
    /// `next` of the page before; `None` begins at the most recent.
    pub after: Option<SyncCursor>,
    /// How many channels.
    pub limit: u16,
}

/// A place in the channel list, which is ordered by activity, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyncCursor {
    /// `last_at_ms` of the last channel seen.
    pub last_at_ms: u64,
    /// Its id.
    pub channel: ChannelId,
}

/// One page of the channel list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncPage {
    /// The request it answers; 0 for the page that follows `welcome`.
    pub request: u32,
    /// The channels, by activity, newest first.
    pub channels: Vec<ChannelSummary>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<SyncCursor>,
}

/// The session stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Whose session.
    pub user: UserId,
    /// Which device's.
    pub device: DeviceId,
    /// Which node's.
    pub node: u16,
    /// The node's clock, in milliseconds since the Unix epoch.
    pub server_time_ms: u64,
    /// When the access token runs out.
    pub token_expires_at_ms: u64,
    /// Where the user's own log continues: entries after this seq follow.
    pub user_cursor: Seq,
    /// The head of the user's own log.
    pub user_head: Seq,
    /// Send `ping` this often.
    pub heartbeat_ms: u32,
    /// A link that says nothing for so long is taken for dead, by either side.
    pub dead_after_ms: u32,
    /// How many attachments a link may have at once.
    pub attachments_max: u32,
}

/// Entries of the user's own log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserEntries {
    /// In order, with no gap.
    pub entries: Vec<UserEntry>,
}

/// What happened in channels that have no attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hints {
    /// One each.
    pub channels: Vec<Hint>,
}

/// What happened in one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Which.
    pub channel: ChannelId,
    /// Its newest entry.
    pub head: Seq,
    /// When that was appended.
    pub last_at_ms: u64,
    /// How many messages this user has not read: exact when it was made.
    pub unread: u64,
    /// The newest message.
    pub preview: Option<Preview>,
}

/// Read or delivered positions in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelMark {
    /// Which channel.
    pub channel: ChannelId,
    /// The positions.
    pub marks: Marks,
}

/// Who of these is online?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceQuery {
    /// Chosen by the client; comes back in the answer.
    pub request: u32,
    /// About whom.
    #[serde(deserialize_with = "bounded::list::<_, _, PRESENCE_USERS_MAX>")]
    pub users: Vec<UserId>,
}

/// Presence of some users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceList {
    /// The request it answers; 0 for a change that was not asked for.
    pub request: u32,
    /// One each. Users one may not see are left out.
    pub users: Vec<Presence>,
}

/// Presence of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Presence {
    /// Who.
    pub user: UserId,
    /// Now.
    pub status: Status,
    /// When they were last online; 0 if never, or if they don't say.
    pub last_active_at_ms: u64,
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Status {
    /// No device is connected.
    Offline,
    /// A device is connected, but nobody is at it.
    Idle,
    /// Somebody is at a device.
    Online,
}

/// Somebody types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// Where.
    pub channel: ChannelId,
    /// Who.
    pub user: UserId,
    /// Stop showing it after this long; 0: they stopped.
    pub for_ms: u32,
}

/// The node drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoAway {
    /// Move after this long; the server spreads it over its clients.
    pub delay_ms: u32,
}

/// The token runs out soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenExpiring {
    /// In this long.
    pub in_ms: u64,
}

/// A request failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Which; 0 where the frame had no request number.
    pub request: u32,
    /// Why.
    pub error: WireError,
}

/// The link ends now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Why.
    pub code: CloseCode,
    /// The same for a developer to read.
    pub message: String,
    /// When to come back, if there is a best time.
    pub retry_after_ms: Option<u64>,
}
