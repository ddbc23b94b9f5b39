//! What one transaction does to a channel's log: the entries it appends and the older rows it rewrites.
//!
//! Everything is kept decoded until the end, so that a batch may change what it has just appended, a row that is changed
//! many times is written once, and what is written is what is later read.

use std::collections::BTreeMap;

use bytes::Bytes;
use suda_schema::codec::binary;
use suda_schema::entry::{Body, Entry, Message, What};
use suda_schema::limits::PREVIEW_CHARS_MAX;
use suda_schema::summary::Preview;
use suda_schema::{ChannelId, ClientMsgId, Seq, UserId};

use super::row::{EntryHeader, HeadRow, StoredEntry, encode_entry, split_entry};
use super::{ChatError, Row, Topic, Tx};
use crate::store::keys;

/// The log of one channel in one transaction.
pub(super) struct Draft {
    channel: ChannelId,
    now_ms: u64,
    head: HeadRow,
    /// The head as it was found: entries after it are new.
    found: Seq,
    rows: BTreeMap<Seq, DraftRow>,
}

struct DraftRow {
    msgs: u64,
    entry: Entry,
    changed: bool,
}

impl Draft {
    /// Reads the head, so that no other append can come between.
    pub(super) async fn open(tx: &Tx, channel: ChannelId) -> Result<Self, ChatError> {
        let head = tx.row(&keys::head(channel)).await?.ok_or(ChatError::NotFound("channel"))?;
        Ok(Self::over(tx, channel, head))
    }

    /// Over a head that was read with a conflict, or is made in this transaction.
    pub(super) fn over(tx: &Tx, channel: ChannelId, head: HeadRow) -> Self {
        Self { channel, now_ms: tx.now_ms(), found: head.seq, head, rows: BTreeMap::new() }
    }

    /// The head as it will be.
    pub(super) fn head(&self) -> &HeadRow {
        &self.head
    }

    /// Whether an entry is one of those that this transaction appends.
    pub(super) fn is_new(&self, seq: Seq) -> bool {
        seq > self.found && seq <= self.head.seq
    }

    /// Appends an entry: its seq and time.
    pub(super) fn push(&mut self, by: UserId, client_msg_id: Option<ClientMsgId>, what: What) -> (Seq, u64) {
        let (seq, at_ms) = (self.head.seq.next(), self.now_ms.max(self.head.last_at_ms));
        self.head.seq = seq;
        self.head.last_at_ms = at_ms;
        if let What::Message(message) = &what {
            self.head.msgs = self.head.msgs.saturating_add(1);
            self.head.preview = Some(Preview { seq, by, at_ms, text: preview_text(&message.body) });
        }
        let entry = Entry { seq, at_ms, by, client_msg_id, what };
        self.rows.insert(seq, DraftRow { msgs: self.head.msgs, entry, changed: true });
        (seq, at_ms)
    }

    /// Takes in an older row as it was read, so that it can be changed.
    pub(super) fn take_in(&mut self, row: &Bytes) -> Result<(), ChatError> {
        let (header, front, bytes) = split_entry(row)?;
        let (entry, _) = binary::take_value(&bytes).map_err(|_| ChatError::BadRow(EntryHeader::NAME))?;
        self.rows.entry(front.seq).or_insert(DraftRow { msgs: header.msgs, entry, changed: false });
        Ok(())
    }

    /// Replaces an older row without having read it.
    pub(super) fn replace(&mut self, msgs: u64, entry: Entry) {
        self.rows.insert(entry.seq, DraftRow { msgs, entry, changed: true });
    }

    /// A message that is new or was taken in, and who sent it.
    pub(super) fn message(&self, seq: Seq) -> Result<(UserId, &Message), ChatError> {
        match self.rows.get(&seq).map(|row| &row.entry) {
            Some(Entry { by, what: What::Message(message), .. }) => Ok((*by, message)),
            _ => Err(ChatError::NotFound("message")),
        }
    }

    /// Changes a message that is new or was taken in; the preview goes along.
    pub(super) fn change<T>(&mut self, seq: Seq, change: impl FnOnce(&mut Message) -> T) -> Result<T, ChatError> {
        let row = self.rows.get_mut(&seq).ok_or(ChatError::NotFound("message"))?;
        let What::Message(message) = &mut row.entry.what else { return Err(ChatError::NotFound("message")) };
        let done = change(message);
        row.changed = true;
        if let Some(preview) = self.head.preview.as_mut().filter(|preview| preview.seq == seq) {
            preview.text = preview_text(&message.body);
        }
        Ok(done)
    }

    /// Writes it all, and wakes the channel's listeners. Gives the new entries, in order.
    pub(super) fn write(self, tx: &Tx) -> Result<Vec<StoredEntry>, ChatError> {
        // A row only ever changes together with an entry that says so.
        if self.head.seq == self.found {
            return Ok(Vec::new());
        }
        let mut new = Vec::new();
        for (seq, row) in self.rows.into_iter().filter(|(_, row)| row.changed) {
            let value = Bytes::from(encode_entry(row.msgs, &row.entry));
            if seq > self.found {
                new.push(StoredEntry::from_row(&value)?);
                tx.set_big_new(keys::entry(self.channel, seq), value);
            } else {
                tx.set_big(keys::entry(self.channel, seq), value);
            }
        }
        tx.set_row(keys::head(self.channel), &self.head);
        tx.wake(Topic::Channel(self.channel));
        Ok(new)
    }
}

/// The beginning of a message, on one line or more; empty where there is nothing to show.
fn preview_text(body: &Body) -> String {
    match body {
        Body::Text(text) => text.chars().take(PREVIEW_CHARS_MAX).collect(),
        _ => String::new(),
    }
}
