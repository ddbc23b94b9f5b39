//! The push outbox: one row for each message of which offline people must be told, written in the transaction that
//! appends it, so that neither can be there without the other. A worker takes the rows and tells people.
//!
//! Rows are only written where [`ChatLimits::push_outbox`](super::ChatLimits) says that somebody takes them: else the
//! outbox would grow for ever. It has a fixed number of shards; a channel's messages are all in one, in their order.

use serde::{Deserialize, Serialize};
use suda_schema::{ChannelId, Seq, UserId};

use super::{ChatError, Row, Tx, roster};
use crate::store::keys;

/// How many shards the outbox has. Fixed: rows lie under their shard's number.
pub const OUTBOX_SHARDS: u64 = 16;

/// A message of which offline people must be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxRow {
    /// Where.
    pub channel: ChannelId,
    /// Which.
    pub seq: Seq,
    /// Who sent it.
    pub by: UserId,
    /// When.
    pub at_ms: u64,
    /// Who is mentioned.
    pub mentions: Vec<UserId>,
    /// Whose message it answers.
    pub answers: Option<UserId>,
}

impl Row for OutboxRow {
    const NAME: &'static str = "push outbox row";
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
pub(super) fn put(tx: &Tx, number: u16, row: &OutboxRow) {
    let (prefix, suffix) = keys::push_to_come(row.channel.0 % OUTBOX_SHARDS, number);
    tx.set_versionstamped_key(prefix, suffix, super::tx::encode_row(row));
}
