//! What a user's own log is made of: what every device of the user must come to know, whichever channel it looks at.
//! It is worked by the same machinery as a channel's log: contiguous seqs, a cursor per device, resume at any time.

use serde::{Deserialize, Serialize};

use crate::append_only::append_only;
use crate::codec::embedded;
use crate::summary::Mute;
use crate::{ChannelId, DeviceId, Seq, UserId};

/// One thing that happened to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserEntry {
    /// Its place in the user's log.
    pub seq: Seq,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What happened.
    #[serde(with = "embedded")]
    pub event: UserEvent,
}

append_only! {
    /// What happened to a user.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    pub embedded enum UserEvent {
        /// The user is a member of a channel now.
        0 "channel_joined" ChannelJoined(ChannelRef),
        /// The user is no longer a member.
        1 "channel_left" ChannelLeft(ChannelRef),
        /// The user's read position moved, on whichever device.
        2 "read" Read(ReadMoved),
        /// The channel's mute state changed.
        3 "muted" Muted(Muted),
        /// Somebody asks to be a friend.
        4 "friend_request" FriendRequest(UserRef),
        /// A friend request was accepted, by either side.
        5 "friend_added" FriendAdded(UserRef),
        /// A friendship ended, or a request was taken back or refused.
        6 "friend_removed" FriendRemoved(UserRef),
        /// The user blocked somebody.
        7 "blocked" Blocked(UserRef),
        /// The user unblocked somebody.
        8 "unblocked" Unblocked(UserRef),
        /// A new device logged in.
        9 "device_added" DeviceAdded(DeviceRef),
        /// A device was logged out.
        10 "device_removed" DeviceRemoved(DeviceRef),
        /// The user's own profile or settings changed; read them again.
        11 "profile_changed" ProfileChanged(UserRef),
        /// The user asked somebody to be a friend, on whichever device.
        12 "friend_request_sent" FriendRequestSent(UserRef),
    }
}

/// A channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChannelRef {
    /// Which.
    pub channel: ChannelId,
}

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserRef {
    /// Who.
    pub user: UserId,
}

/// A device of the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceRef {
    /// Which.
    pub device: DeviceId,
}

/// The user's read position moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReadMoved {
    /// In which channel.
    pub channel: ChannelId,
    /// To where.
    pub read: Seq,
    /// How many messages are unread now.
    pub unread: u64,
}

/// A channel's mute state changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Muted {
    /// Which channel.
    pub channel: ChannelId,
    /// The new state.
    pub mute: Mute,
}
