use super::{AT_MS, BOB, CHANNEL, DEVICE, SEQ, Samples};
use crate::Seq;
use crate::event::{ChannelRef, DeviceRef, Muted, ReadMoved, UserEntry, UserEvent, UserRef};
use crate::summary::Mute;

impl Samples for UserEvent {
    const NAME: &'static str = "user_event";
    fn samples() -> Vec<(&'static str, Self)> {
        let channel = ChannelRef { channel: CHANNEL };
        let user = UserRef { user: BOB };
        let device = DeviceRef { device: DEVICE };
        let muted = |mute| Self::Muted(Muted { channel: CHANNEL, mute });
        vec![
            ("channel_joined", Self::ChannelJoined(channel)),
            ("channel_left", Self::ChannelLeft(channel)),
            ("read", Self::Read(ReadMoved { channel: CHANNEL, read: SEQ, unread: 0 })),
            ("muted", muted(Mute::Until(AT_MS + 3_600_000))),
            ("muted.mentions_only", muted(Mute::MentionsOnly)),
            ("muted.off", muted(Mute::Off)),
            ("friend_request", Self::FriendRequest(user)),
            ("friend_added", Self::FriendAdded(user)),
            ("friend_removed", Self::FriendRemoved(user)),
            ("blocked", Self::Blocked(user)),
            ("unblocked", Self::Unblocked(user)),
            ("device_added", Self::DeviceAdded(device)),
            ("device_removed", Self::DeviceRemoved(device)),
            ("profile_changed", Self::ProfileChanged(user)),
            ("friend_request_sent", Self::FriendRequestSent(user)),
        ]
    }
}

/// One entry around each specimen, in a row.
pub(super) fn entries() -> Vec<UserEntry> {
    UserEvent::samples()
        .into_iter()
        .zip(1..)
        .map(|((_, event), seq)| UserEntry { seq: Seq(seq), at_ms: AT_MS, event })
        .collect()
}
