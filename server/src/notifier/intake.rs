//! What comes in to a shard: rows of the outbox, and those who are held. Both are read beside everything else, so that a
//! store that is slow holds up nothing that is under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::Context;
use super::held::HELD_MAX;
use super::job::STORE_PAUSE;
use super::rows::{HeldKey, HeldRow};
use crate::chat::outbox::OutboxRow;
use crate::chat::tx::decode_row;
use crate::chat::{Chat, ChatError};
use crate::store::{Page, Range, after_key, keys};

/// Rows of the outbox that are read at once.
const ROWS_PAGE: usize = 512;

/// What was read.
pub(super) enum Read {
    Outbox(Page),
    Held(HeldPage),
}

/// Those who are held, by key.
#[derive(Default)]
pub(super) struct HeldPage {
    pub(super) rows: Vec<(HeldKey, HeldRow)>,
    /// Keys of rows that can't be read.
    pub(super) bad: Vec<Bytes>,
    /// Whether there are no more behind these.
    pub(super) is_all: bool,
}

/// Reads for a shard, one thing at a time.
pub(super) struct Intake {
    shard: u64,
    /// What of the outbox has not been read.
    unread: Range,
    /// Rows that are waited with, so that they are read by people first, and when that is over.
    early: VecDeque<(u64, Bytes, OutboxRow)>,
    read_at: Instant,
    reading: Option<BoxFuture<'static, Result<Read, ChatError>>>,
}

impl Intake {
    pub(super) fn new(shard: u64) -> Self {
        let (unread, read_at) = (keys::pushes(shard), Instant::now());
        Self { shard, unread, early: VecDeque::new(), read_at, reading: None }
    }

    /// How many rows wait here.
    pub(super) fn len(&self) -> usize {
        self.early.len()
    }

    /// When the next of them is due.
    pub(super) fn next_due_ms(&self) -> Option<u64> {
        self.early.front().map(|(due_ms, ..)| *due_ms)
    }

    /// When there is something to be read again, unless it is being read.
    pub(super) fn read_at(&self) -> Option<Instant> {
        self.reading.is_none().then_some(self.read_at)
    }

    /// The next row that is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<(Bytes, OutboxRow)> {
        let (_, key, row) = self.early.pop_front_if(|(due_ms, ..)| *due_ms <= now_ms)?;
        Some((key, row))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_none() && self.read_at <= Instant::now()
    }

    pub(super) fn read_held(&mut self, ctx: &Arc<Context>) {
        let (chat, shard) = (ctx.chat.clone(), self.shard);
        self.reading = Some(Box::pin(async move { held(&chat, shard).await.map(Read::Held) }));
    }

    pub(super) fn read_outbox(&mut self, ctx: &Arc<Context>) {
        let (chat, range) = (ctx.chat.clone(), self.unread.clone().limit(ROWS_PAGE).snapshot());
        self.reading = Some(Box::pin(async move {
            let range = &range;
            chat.read(|tx| async move { Ok(Read::Outbox(tx.range(range.clone()).await?)) }).await
        }));
    }

    /// What has been read, once it is. If this is dropped before, nothing is lost.
    pub(super) async fn read(&mut self) -> Result<Read, ChatError> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let read = reading.await;
        self.reading = None;
        if read.is_err() {
            self.read_at = Instant::now() + STORE_PAUSE;
        }
        read
    }

    /// Takes rows of the outbox in. Gives back the keys of those that can't be read.
    pub(super) fn take(&mut self, page: &Page, wait_ms: u64) -> Vec<Bytes> {
        let mut bad = Vec::new();
        for (key, value) in &page.rows {
            match decode_row::<OutboxRow>(value) {
                Ok(row) => self.early.push_back((row.at_ms.saturating_add(wait_ms), key.clone(), row)),
                Err(error) => {
                    tracing::error!(%error, "a row of the push outbox is thrown away");
                    bad.push(key.clone());
                }
            }
        }
        if let Some((last, _)) = page.rows.last() {
            self.unread = Range::new(after_key(last), self.unread.end());
        }
        let every = Duration::from_millis((wait_ms / 3).clamp(20, 400));
        self.read_at = if page.rows.len() < ROWS_PAGE { Instant::now() + every } else { Instant::now() };
        bad
    }
}

/// Those who are held, as many as there may be in memory.
async fn held(chat: &Chat, shard: u64) -> Result<HeldPage, ChatError> {
    let mut held = HeldPage::default();
    let mut next = Some(keys::all_push_held(shard).snapshot());
    while let Some(range) = next.filter(|_| held.rows.len() < HELD_MAX) {
        let range = &range;
        let page = chat.read(|tx| async move { Ok(tx.range(range.clone()).await?) }).await?;
        for (key, value) in &page.rows {
            match HeldKey::decode(key).and_then(|at| Ok((at, decode_row(value)?))) {
                Ok(row) => held.rows.push(row),
                Err(error) => {
                    tracing::error!(%error, "a push that is held is thrown away");
                    held.bad.push(key.clone());
                }
            }
        }
        next = page.next();
        held.is_all = next.is_none();
    }
    Ok(held)
}
