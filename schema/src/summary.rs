//! A channel as one member sees it from outside: what a conversation list shows.

use serde::{Deserialize, Serialize};

use crate::entry::Role;
use crate::{ChannelId, MediaId, Seq, UserId};

/// What kind of conversation a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChannelKind {
    /// Exactly two users.
    Direct,
    /// Up to a configured number of members.
    Group,
    /// Any number of members, few may post.
    Broadcast,
}

/// A channel as one member sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelSummary {
    /// Which channel.
    pub channel: ChannelId,
    /// What kind.
    pub kind: ChannelKind,
    /// Its title; empty for direct channels.
    pub title: String,
    /// Its picture.
    pub picture: Option<MediaId>,
    /// The other user of a direct channel.
    pub peer: Option<UserId>,
    /// What this user may do in it.
    pub role: Role,
    /// How many members it has.
    pub members: u32,
    /// The newest entry's seq.
    pub head: Seq,
    /// When the newest entry was appended.
    pub last_at_ms: u64,
    /// How far this user has read.
    pub read: Seq,
    /// How many messages of others this user has not read: exact.
    pub unread: u64,
    /// Whether notifications are muted.
    pub mute: Mute,
    /// The newest message.
    pub preview: Option<Preview>,
}

/// Whether a channel's notifications are muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Mute {
    /// Everything notifies.
    #[default]
    Off,
    /// Only mentions and replies to oneself notify.
    MentionsOnly,
    /// Nothing notifies before this time, in milliseconds since the Unix epoch. For ever is [`Mute::FOREVER_MS`].
    Until(u64),
}

impl Mute {
    /// The end of time: the largest number that JavaScript can hold exactly.
    pub const FOREVER_MS: u64 = (1 << 53) - 1;
}

/// The newest message of a channel, shortened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preview {
    /// Its seq.
    pub seq: Seq,
    /// Who said it.
    pub by: UserId,
    /// When.
    pub at_ms: u64,
    /// Its beginning; empty where the body is opaque or deleted.
    pub text: String,
}

/// How far one member has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemberMark {
    /// Who.
    pub user: UserId,
    /// Everything up to here has reached at least one of their devices.
    pub delivered: Seq,
    /// Everything up to here they have read.
    pub read: Seq,
}
