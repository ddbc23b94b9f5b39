//! What the notifier keeps in the store.

use serde::{Deserialize, Serialize};
use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use crate::chat::outbox::{OutboxRow, shard_of};
use crate::chat::push::PushKind;
use crate::chat::{ChatError, Row};
use crate::store::keys;
use crate::store::tuple::Unpack;

/// A notifier that lives: whoever sees the counter stand still knows that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NodeRow {
    pub(super) node: u16,
    pub(super) counter: u64,
}

impl Row for NodeRow {
    const NAME: &'static str = "notifier";
}

/// Who works on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeaseRow {
    pub(super) incarnation: [u8; 16],
}

impl Row for LeaseRow {
    const NAME: &'static str = "push lease";
}

/// Somebody who is told later, in the order of a lane: what one device is told of one channel by one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HeldKey {
    pub(super) lane: Lane,
    pub(super) seq: Seq,
}

/// What stays in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Lane {
    pub(super) channel: ChannelId,
    pub(super) user: UserId,
    /// 0: they are asked about again; else by whom they are told.
    pub(super) what_for: u64,
    pub(super) device: DeviceId,
}

/// What they are told, and how often that has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldRow {
    pub(super) row: OutboxRow,
    pub(super) due_ms: u64,
    pub(super) failures: u32,
    pub(super) why: String,
}

impl Row for HeldRow {
    const NAME: &'static str = "held push";
}

/// A push that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeadRow {
    pub(super) row: OutboxRow,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) kind: PushKind,
    /// Shortened: it is for people to look at.
    pub(super) token: String,
    pub(super) why: String,
    pub(super) failures: u32,
}

impl Row for DeadRow {
    const NAME: &'static str = "dead push";
}

pub(super) const CHECK: u64 = 0;

pub(super) fn what_for(kind: PushKind) -> u64 {
    match kind {
        PushKind::Apns => 1,
        PushKind::Fcm => 2,
        PushKind::Webpush => 3,
    }
}

pub(super) fn kind_of(what_for: u64) -> Option<PushKind> {
    [PushKind::Apns, PushKind::Fcm, PushKind::Webpush].into_iter().find(|kind| self::what_for(*kind) == what_for)
}

impl HeldKey {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Lane { channel, user, what_for, device } = self.lane;
        keys::push_held(shard_of(channel), (channel, user), what_for, device, self.seq)
    }

    pub(super) fn decode(key: &[u8]) -> Result<Self, ChatError> {
        let read = || {
            let mut rest = Unpack::new(key);
            // The space and the shard.
            rest.text()?;
            rest.uint()?;
            let (channel, user) = (ChannelId(rest.uint()?), UserId(rest.uint()?));
            let (what_for, device, seq) = (rest.uint()?, DeviceId(rest.uint()?), Seq(rest.uint()?));
            Ok::<_, crate::store::tuple::TupleError>(Self { lane: Lane { channel, user, what_for, device }, seq })
        };
        read().map_err(|_| ChatError::BadRow(HeldRow::NAME))
    }
}

/// A token as people may see it.
pub(super) fn shortened(token: &str) -> String {
    let chars: Vec<char> = token.chars().collect();
    match chars.len() {
        0..=12 => "…".to_owned(),
        len => chars.iter().take(4).chain(&['…']).chain(chars.iter().skip(len - 4)).collect(),
    }
}
