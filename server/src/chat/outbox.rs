//! The push outbox: one row for each thing of which offline people must be told, written in the transaction in which it
//! happens, so that neither can be there without the other. The notifier takes the rows and tells people.
//!
//! Rows are only written where [`ChatLimits::push_outbox`](super::ChatLimits) says that somebody takes them: else the
//! outbox would grow for ever. It has a fixed number of shards; a channel's messages are all in one, in their order.

use serde::{Deserialize, Serialize};
use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::push::PushKind;
use super::{ChatError, Row, Tx, roster};
use crate::store::keys;

/// How many shards the outbox has. Fixed: rows lie under their shard's number.
pub const OUTBOX_SHARDS: u64 = 16;

/// The shard of a channel.
#[must_use]
pub fn shard_of(channel: ChannelId) -> u64 {
    channel.0 % OUTBOX_SHARDS
}

/// Something of which offline people must be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Where.
    pub channel: ChannelId,
    /// The entry that says so; of a read mark, what was read up to.
    pub seq: Seq,
    /// Who did it.
    pub by: UserId,
    /// When.
    pub at_ms: u64,
    /// Who is mentioned.
    pub mentions: Vec<UserId>,
    /// Whose message it answers.
    pub answers: Option<UserId>,
    /// What happened.
    pub what: Told,
    /// Everybody up to this user has been told: how far the notifier has got in a large channel.
    pub after: Option<UserId>,
}

/// What people are told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// A message.
    Message,
    /// A reaction to somebody's message: told to them.
    Reaction {
        /// The message.
        target: Seq,
        /// With what.
        emoji: String,
        /// Whose message it is.
        to: UserId,
    },
    /// A user has read what they had been pushed: their devices take it away.
    Read,
    /// One device is to be told of a message again, because the operator says so.
    Again {
        /// Whose.
        user: UserId,
        /// Which.
        device: DeviceId,
        /// By whom.
        kind: PushKind,
    },
}

impl Row for OutboxRow {
    const NAME: &'static str = "push outbox row";
}

impl OutboxRow {
    /// A message's.
    #[must_use]
    pub fn message(channel: ChannelId, (seq, at_ms): (Seq, u64), by: UserId) -> Self {
        let (mentions, answers, what, after) = (Vec::new(), None, Told::Message, None);
        Self { channel, seq, by, at_ms, mentions, answers, what, after }
    }

    /// Whether it is about this user, so that they are told even where only mentions are.
    #[must_use]
    pub fn is_for(&self, user: UserId) -> bool {
        self.answers == Some(user) || self.mentions.contains(&user)
    }
}

/// Whether there is anybody to be told of messages here, and somebody who would.
pub(super) async fn reaches_anybody(
    tx: &Tx,
    channel: ChannelId,
    pair: Option<(UserId, UserId)>,
) -> Result<bool, ChatError> {
    if !tx.chat().limits().push_outbox {
        return Ok(false);
    }
    match pair {
        Some((one, other)) => Ok(one != other),
        None => Ok(roster::member_count(tx, channel).await? > 1),
    }
}

/// Writes a row. `number` tells those of one transaction apart, and keeps their order.
pub fn put(tx: &Tx, number: u16, row: &OutboxRow) {
    let (prefix, suffix) = keys::push_to_come(shard_of(row.channel), number);
    tx.set_versionstamped_key(prefix, suffix, super::tx::encode_row(row));
}
