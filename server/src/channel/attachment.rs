//! A cursor in a channel's log, and what a session does with it: [`Attachment`] for the task that writes to the client,
//! [`AttachmentHandle`] for the one that reads from it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use suda_schema::channel::Send;
use suda_schema::codec::Codec;
use suda_schema::limits::{ENTRIES_BYTES_TARGET, ENTRIES_PER_FRAME_MAX};
use suda_schema::summary::MemberMark;
use suda_schema::{ChannelId, ClientMsgId, CloseCode, DeviceId, Seq, UserId, WireError};

use super::batch::Batch;
use super::hub::{Hub, Reply};
use super::news::{News, NextNews};
use super::slot::{Ended, Slot};
use super::tail::Found;
use crate::chat::ChatError;
use crate::chat::append::Publish;

/// How often reading a page of the log is tried while the store can't be used.
const PAGE_TRIES_MAX: u32 = 20;
/// How long the first pause between two tries is; each further one is twice as long, up to the next.
const PAGE_PAUSE_MS_MIN: u64 = 50;
/// How long a pause between two tries is at most.
const PAGE_PAUSE_MS_MAX: u64 = 2_000;

/// What an attachment has for its client.
pub enum Out {
    /// A frame, or several, ready to be written.
    Frame(Bytes),
    /// Typing or positions.
    News(Arc<News>),
    /// It is over. What was read from the client before has been answered.
    Ended(Ended),
}

/// The cursor of one attachment. It holds no entries: it finds its next one in the hub's tail or in the store.
pub struct Attachment {
    hub: Arc<Hub>,
    slot: Arc<Slot>,
    codec: Codec,
    cursor: Seq,
    news_seen: u64,
    /// A page from the store.
    page: Option<Bytes>,
    lagging: bool,
}

impl Attachment {
    pub(super) fn new(hub: Arc<Hub>, user: UserId, codec: Codec) -> Self {
        let slot = Arc::new(Slot::new(user));
        hub.add(&slot);
        let news_seen = hub.news.newest();
        // Until it begins, nothing is after its cursor.
        Self { hub, slot, codec, cursor: Seq(u64::MAX), news_seen, page: None, lagging: false }
    }

    /// Begins: the store says that the user is a member, that the log ended at `head`, and where the members stand (none,
    /// where that is not shown). Entries after `after` follow.
    pub fn begin(&mut self, head: Seq, after: Seq, marks: &[MemberMark]) {
        self.hub.known_head(head);
        self.hub.positions.learn(&self.hub, marks);
        self.cursor = after;
        self.slot.member(head);
    }

    /// Which channel.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.hub.channel
    }

    /// The last entry that was given out.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// The part for the task that reads from the client.
    #[must_use]
    pub fn handle(&self) -> AttachmentHandle {
        AttachmentHandle { hub: Arc::clone(&self.hub), slot: Arc::clone(&self.slot) }
    }

    /// What comes next; waits for it. May be dropped and called again.
    pub async fn next(&mut self) -> Out {
        loop {
            if let Some(out) = self.try_next() {
                return out;
            }
            if self.is_behind() {
                // Rare, and much larger than all the rest.
                Box::pin(self.read_page()).await;
            } else {
                poll_fn(|cx| self.poll_news(cx)).await;
            }
        }
    }

    /// What comes next, if it is in memory.
    pub fn try_next(&mut self) -> Option<Out> {
        if let Some(ended) = self.slot.ended() {
            return Some(Out::Ended(ended));
        }
        if let Some(answers) = self.slot.take(self.codec) {
            return Some(Out::Frame(answers));
        }
        if let Some(page) = self.page.take() {
            return Some(Out::Frame(page));
        }
        self.next_entries().or_else(|| self.next_news())
    }

    /// Ready when the attachment ends; for use beside a write that waits. Entries don't wake whoever waits here.
    pub fn poll_ended(&self, cx: &Context<'_>) -> Poll<Ended> {
        self.slot.register(cx);
        self.slot.ended().map_or(Poll::Pending, Poll::Ready)
    }

    /// After the end: the answers that are still outstanding, in order; `None` when there are no more.
    pub async fn last_answers(&mut self) -> Option<Bytes> {
        if !poll_fn(|cx| self.slot.poll_answer(cx)).await {
            return None;
        }
        self.slot.take(self.codec)
    }

    fn poll_news(&self, cx: &Context<'_>) -> Poll<()> {
        self.slot.arm(cx);
        let news = self.slot.is_pending()
            || self.hub.head.load(Ordering::SeqCst) > self.cursor.0
            || self.hub.news.newest() > self.news_seen;
        if news {
            self.slot.disarm();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn next_entries(&mut self) -> Option<Out> {
        if self.hub.head.load(Ordering::SeqCst) <= self.cursor.0 {
            return None;
        }
        let Found::Batch(batch) = self.hub.tail().find(self.cursor) else { return None };
        let Some(frame) = batch.frame_after(self.cursor, self.codec) else {
            self.slot.end(Ended::new(CloseCode::INTERNAL, "an entry can't be read"));
            return self.slot.ended().map(Out::Ended);
        };
        self.set_lagging(false);
        let entries = batch.last().0 - self.cursor.0;
        self.hub.shared.metrics.deliveries.inc_by(entries);
        self.cursor = batch.last();
        Some(Out::Frame(frame))
    }

    fn next_news(&mut self) -> Option<Out> {
        loop {
            match self.hub.news.after(self.news_seen) {
                NextNews::Nothing => return None,
                NextNews::News(news) => {
                    self.news_seen += 1;
                    if news.is_for(self.slot.user) {
                        return Some(Out::News(news));
                    }
                }
                NextNews::Missed(missed) => {
                    self.hub.shared.metrics.news_missed.inc_by(missed);
                    self.news_seen = self.hub.news.newest();
                    if let Some(all) = self.hub.all_marks() {
                        return Some(Out::News(all));
                    }
                }
            }
        }
    }

    fn is_behind(&self) -> bool {
        self.hub.head.load(Ordering::SeqCst) > self.cursor.0
            && matches!(self.hub.tail().find(self.cursor), Found::Behind)
    }

    fn set_lagging(&mut self, lagging: bool) {
        if self.lagging != lagging {
            self.lagging = lagging;
            let gauge = &self.hub.shared.metrics.lagging;
            if lagging {
                gauge.inc()
            } else {
                gauge.dec()
            };
        }
    }

    /// Reads the next page from the store, waiting for a turn, or ends the attachment if that can't be done.
    async fn read_page(&mut self) {
        self.set_lagging(true);
        let hub = Arc::clone(&self.hub);
        // Whoever waits for its turn holds nothing. The semaphore is never closed.
        let _turn = hub.shared.catch_up.acquire().await;
        let mut pause_ms = PAGE_PAUSE_MS_MIN;
        for _ in 0..PAGE_TRIES_MAX {
            if self.slot.ended().is_some() {
                return;
            }
            let read = hub.shared.log.after(hub.channel, self.cursor, ENTRIES_PER_FRAME_MAX, ENTRIES_BYTES_TARGET);
            match read.await {
                Ok(page) => return self.take_page(&Batch::cut(&page.entries)),
                Err(ChatError::NotFound(_)) => {
                    return self.slot.end(Ended::new(CloseCode::CHANNEL_GONE, "the channel was deleted"));
                }
                Err(error) => tracing::warn!(channel = %hub.channel, %error, "could not read a channel's log"),
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAGE_PAUSE_MS_MAX);
        }
        self.slot.end(Ended::new(CloseCode::INTERNAL, "the log can't be read at the moment"));
    }

    fn take_page(&mut self, batches: &[Batch]) {
        let frame = batches.first().filter(|batch| batch.first() == self.cursor.next()).and_then(|batch| {
            let entries = batch.len() as u64;
            self.hub.shared.metrics.deliveries.inc_by(entries);
            self.hub.shared.metrics.deliveries_from_store.inc_by(entries);
            Some((batch.frame_after(self.cursor, self.codec)?, batch.last()))
        });
        let Some((frame, last)) = frame else {
            tracing::error!(channel = %self.hub.channel, cursor = self.cursor.0, "the log does not go on where it should");
            return self.slot.end(Ended::new(CloseCode::INTERNAL, "the log can't be read"));
        };
        self.page = Some(frame);
        self.cursor = last;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.set_lagging(false);
        self.hub.remove(&self.slot);
        self.slot.end(Ended::new(CloseCode::DETACHED, "detached"));
    }
}

/// What the task that reads from the client does with an attachment. Cheap to clone.
#[derive(Clone)]
pub struct AttachmentHandle {
    hub: Arc<Hub>,
    slot: Arc<Slot>,
}

impl AttachmentHandle {
    /// Which channel.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.hub.channel
    }

    /// Waits until another send or page may be let in, or the attachment has ended.
    pub async fn room(&self) {
        poll_fn(|cx| self.slot.poll_room(cx, self.hub.shared.config.in_flight_max)).await;
    }

    /// Has the channel's hub append this; the answer goes out in the order of the calls.
    pub fn send(&self, device: DeviceId, send: Send) {
        let ticket = self.slot.reserve();
        let publish = Publish { user: self.slot.user, device, send };
        let reply = Reply::to_slot(Arc::clone(&self.slot), ticket, publish.send.client_msg_id);
        self.hub.submit(publish, reply);
    }

    /// Refuses a send without asking the hub; in its turn among the answers.
    pub fn refuse(&self, client_msg_id: ClientMsgId, error: WireError) {
        let ticket = self.slot.reserve();
        self.slot.answer(ticket, client_msg_id, Err(error));
    }

    /// Has a frame written that is no answer to a send. After [`room`](Self::room).
    pub fn put_page(&self, frame: Bytes) {
        self.slot.put_page(frame);
    }

    /// Tells the channel that the user types for so long, or with 0 that they stopped.
    pub fn typing(&self, for_ms: u32, hidden_from: &Arc<[UserId]>) {
        self.hub.typing(self.slot.user, for_ms, hidden_from);
    }

    /// Ends the attachment; only the first end counts.
    pub fn end(&self, ended: Ended) {
        self.slot.end(ended);
    }

    /// Ready when the attachment has ended; for the one task that reads from the client.
    pub fn poll_ended(&self, cx: &Context<'_>) -> Poll<Ended> {
        self.slot.poll_ended_for_reader(cx)
    }
}
