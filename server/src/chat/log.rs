//! Reading a channel's log, below any question of who may: the one place through which entries are read.
//!
//! Old stretches of a log may one day lie elsewhere than in the store; whoever reads entries by another way than these
//! functions would not notice.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use suda_schema::{ChannelId, Seq, UserId};

use super::row::{About, EntryFront, EntryHeader, HeadRow, OwnRow, StoredEntry, split_entry};
use super::tx::decode_row;
use super::{Chat, ChatError, Tx};
use crate::store::{Range, keys};

/// How many entries that don't lie together are read side by side.
const READS_AT_ONCE: usize = 8;

/// How much to read at most. An entry that is longer than the bytes still comes, alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit {
    /// Entries.
    pub rows: usize,
    /// Bytes of entries.
    pub bytes: usize,
}

/// A stretch of a log, as it was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// In order, with no gap.
    pub entries: Vec<StoredEntry>,
    /// The head when the page was read.
    pub head: Seq,
}

impl Chat {
    /// The entries after a cursor, each in its current state: what resume and lagging attachments read. Asks nobody
    /// whether they may; whoever passes entries on does.
    pub async fn read_log(&self, channel: ChannelId, after: Seq, limit: PageLimit) -> Result<LogPage, ChatError> {
        self.read(|tx| async move {
            let head = head(&tx, channel).await?.seq;
            if after > head {
                return Err(ChatError::CursorAhead { head });
            }
            let entries = if after == head { Vec::new() } else { forward(&tx, channel, after, head, limit).await? };
            Ok(LogPage { entries, head })
        })
        .await
    }
}

/// The end of the log, read by snapshot.
pub(super) async fn head(tx: &Tx, channel: ChannelId) -> Result<HeadRow, ChatError> {
    tx.row_snapshot(&keys::head(channel)).await?.ok_or(ChatError::NotFound("channel"))
}

/// Entries after `after` up to and with `last`, the oldest first, from the oldest on.
pub(super) async fn forward(
    tx: &Tx,
    channel: ChannelId,
    after: Seq,
    last: Seq,
    limit: PageLimit,
) -> Result<Vec<StoredEntry>, ChatError> {
    stretch(tx, keys::entries(channel, after.next(), last), limit).await
}

/// Entries before `before` down to and with `first`, the oldest first, from the newest back.
pub(super) async fn backward(
    tx: &Tx,
    channel: ChannelId,
    first: Seq,
    before: Seq,
    limit: PageLimit,
) -> Result<Vec<StoredEntry>, ChatError> {
    let last = Seq(before.0.saturating_sub(1));
    let mut entries = stretch(tx, keys::entries(channel, first, last).reverse(), limit).await?;
    entries.reverse();
    Ok(entries)
}

/// The entries of a range, in its order.
async fn stretch(tx: &Tx, range: Range, limit: PageLimit) -> Result<Vec<StoredEntry>, ChatError> {
    if limit.rows == 0 {
        return Ok(Vec::new());
    }
    let page = tx.range_big(range.snapshot().limit(limit.rows).bytes(limit.bytes)).await?;
    let mut entries = Vec::with_capacity(page.rows.len());
    let mut bytes = 0;
    for (_, row) in &page.rows {
        let entry = StoredEntry::from_row(row)?;
        bytes += entry.bytes.len();
        if bytes > limit.bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// One entry's whole row.
pub(super) async fn row(tx: &Tx, channel: ChannelId, seq: Seq) -> Result<Option<Bytes>, ChatError> {
    let page = tx.range_big(keys::entries(channel, seq, seq).snapshot().limit(1)).await?;
    Ok(page.rows.into_iter().next().map(|(_, row)| row))
}

/// The entries at these seqs, up to so many bytes; one that is longer comes alone.
pub(super) async fn entries_at(
    tx: &Tx,
    channel: ChannelId,
    seqs: Vec<Seq>,
    bytes_max: usize,
) -> Result<Vec<StoredEntry>, ChatError> {
    let mut rows = stream::iter(seqs).map(|seq| row(tx, channel, seq)).buffered(READS_AT_ONCE);
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let entry = StoredEntry::from_row(&row.ok_or(ChatError::BadRow("entry"))?)?;
        bytes += entry.bytes.len();
        if bytes > bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// What is known of an entry without reading its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) at_ms: u64,
    pub(super) by: UserId,
    /// How many of the entries up to this one are messages.
    pub(super) msgs: u64,
    pub(super) about: About,
}

/// A look at an entry. Of a long one only the first piece is read.
pub(super) async fn glance(tx: &Tx, channel: ChannelId, seq: Seq) -> Result<Option<Glance>, ChatError> {
    let Some(start) = tx.get_big_start(&keys::entry(channel, seq)).await? else { return Ok(None) };
    let (EntryHeader { msgs, about }, EntryFront { at_ms, by, .. }, _) = split_entry(&start)?;
    Ok(Some(Glance { at_ms, by, msgs, about }))
}

/// How many messages of their own a user had sent to a channel up to and with `last`.
pub(super) async fn own_count(tx: &Tx, channel: ChannelId, user: UserId, last: Seq) -> Result<u64, ChatError> {
    let page = tx.range(keys::own_up_to(channel, user, last).snapshot().limit(1)).await?;
    let row: Option<OwnRow> = page.rows.first().map(|(_, row)| decode_row(row)).transpose()?;
    Ok(row.map_or(0, |row| row.count))
}

/// The smallest seq in `1..=head` for which `reached` holds, where it holds for all after the first for which it does.
pub(super) async fn first_where<F, Fut>(head: Seq, reached: F) -> Result<Option<Seq>, ChatError>
where
    F: Fn(Seq) -> Fut,
    Fut: Future<Output = Result<bool, ChatError>>,
{
    let (mut low, mut high) = (1, head.0);
    if high == 0 || !reached(head).await? {
        return Ok(None);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if reached(Seq(middle)).await? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(Seq(low)))
}
