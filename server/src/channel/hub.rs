//! One active channel: the queue of what is to be appended, the tail of what was, and the attachments.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use suda_schema::control::Typing;
use suda_schema::{ChannelId, ClientMsgId, CloseCode, ErrorCode, Seq, UserId, WireError};
use tokio::sync::{Notify, Semaphore, oneshot};

use super::config::HubConfig;
use super::hot::Hot;
use super::log::Log;
use super::metrics::HubMetrics;
use super::news::{News, NewsRing};
use super::positions::Positions;
use super::slot::{Ended, SendResult, Slot};
use super::tail::{Tail, TailLimits};
use super::worker;
use crate::chat::append::Publish;

/// After how long a client is asked to try again when a queue is full.
const QUEUE_FULL_WAIT_MS: u64 = 500;

/// What all hubs have in common.
pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) config: HubConfig,
    pub(super) metrics: HubMetrics,
    pub(super) tails: TailLimits,
    /// Who may read from the store because it has fallen behind.
    pub(super) catch_up: Semaphore,
    /// Where the hubs' work runs: the bell is rung from anywhere.
    pub(super) runtime: tokio::runtime::Handle,
}

/// One active channel.
pub(super) struct Hub {
    pub(super) channel: ChannelId,
    pub(super) shared: Arc<Shared>,
    /// The tail's head, to be looked at without its lock; 0 where it is unknown.
    pub(super) head: AtomicU64,
    tail: RwLock<Tail>,
    work: Mutex<Work>,
    slots: RwLock<Vec<Arc<Slot>>>,
    pub(super) news: NewsRing,
    pub(super) positions: Positions,
    /// Where other nodes write to the channel too: who appends for all.
    pub(super) hot: Hot,
    /// The bell was rung.
    rung: Notify,
    /// When it was last used.
    used_at_ms: AtomicU64,
}

/// What there is to do. A task does it as long as there is something, and no longer: an idle channel has no task.
#[derive(Default)]
struct Work {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    running: bool,
    /// How often the bell was rung, and how many of these rings need no more looking after.
    rings: u64,
    handled: u64,
    /// Something was appended elsewhere while it was not known here where the log ended.
    missed: bool,
    /// Other nodes may have handed something over.
    handed: bool,
}

/// A send that waits for its turn.
pub(super) struct Waiting {
    pub(super) publish: Publish,
    pub(super) reply: Reply,
    bytes: usize,
}

/// What the task is to do next.
pub(super) enum Job {
    /// Append these, and what other nodes have handed over.
    Append(Vec<Waiting>),
    /// Read what was appended elsewhere.
    Refresh,
}

impl Hub {
    pub(super) fn new(channel: ChannelId, shared: Arc<Shared>) -> Self {
        Self {
            channel,
            head: AtomicU64::new(0),
            tail: RwLock::new(Tail::new(shared.tails.clone())),
            work: Mutex::default(),
            slots: RwLock::default(),
            news: NewsRing::new(shared.config.news_max),
            positions: Positions::default(),
            hot: Hot::default(),
            rung: Notify::new(),
            used_at_ms: AtomicU64::new(shared.log.now_ms()),
            shared,
        }
    }

    /// Has this appended; the reply comes when it is durable, or refused.
    pub(super) fn submit(self: &Arc<Self>, publish: Publish, reply: Reply) {
        let bytes = publish.size();
        let config = &self.shared.config;
        let mut work = self.work();
        if work.waiting.len() >= config.queue_sends_max || work.bytes.saturating_add(bytes) > config.queue_bytes_max {
            drop(work);
            self.shared.metrics.queue_full.inc();
            let error = WireError::new(ErrorCode::OVERLOADED, "too many sends wait in this channel");
            return reply.send(Err(error.retry_after(QUEUE_FULL_WAIT_MS)));
        }
        work.bytes += bytes;
        work.waiting.push_back(Waiting { publish, reply, bytes });
        self.ensure_running(work);
    }

    /// Something was committed in this channel, here or elsewhere.
    pub(super) fn ring(self: &Arc<Self>) {
        let mut work = self.work();
        work.rings += 1;
        self.ensure_running(work);
        self.rung.notify_one();
    }

    /// Resolves when there is a ring to be looked after.
    pub(super) async fn rung(&self) {
        while !self.is_rung() {
            self.rung.notified().await;
        }
    }

    fn is_rung(&self) -> bool {
        let work = self.work();
        work.rings > work.handled
    }

    /// Other nodes may have handed sends over to this one.
    pub(super) fn ring_handed(self: &Arc<Self>) {
        let mut work = self.work();
        work.handed = true;
        self.ensure_running(work);
    }

    fn ensure_running(self: &Arc<Self>, mut work: MutexGuard<'_, Work>) {
        if !std::mem::replace(&mut work.running, true) {
            self.shared.runtime.spawn(worker::run(Arc::clone(self)));
        }
    }

    /// What to do next; `None` when there is nothing, and then the task ends.
    pub(super) fn next_job(&self, refreshed: bool) -> Option<Job> {
        let mut work = self.work();
        // Looking after rings and appending take turns, so that neither starves.
        if work.rings > work.handled && (!refreshed || work.waiting.is_empty()) {
            return Some(Job::Refresh);
        }
        let config = &self.shared.config;
        let bytes_max = self.hot.batch_bytes_max(config.batch_bytes_max);
        let mut batch = Vec::with_capacity(work.waiting.len().min(config.batch_sends_max));
        let mut bytes = 0;
        while let Some(next) = work.waiting.front() {
            let full = batch.len() >= config.batch_sends_max || bytes + next.bytes > bytes_max;
            if full && !batch.is_empty() {
                break;
            }
            bytes += next.bytes;
            work.bytes -= next.bytes;
            batch.extend(work.waiting.pop_front());
        }
        if work.waiting.is_empty() {
            work.waiting.shrink_to(16);
        }
        if !std::mem::take(&mut work.handed) && batch.is_empty() {
            work.running = false;
            return None;
        }
        Some(Job::Append(batch))
    }

    /// The task is gone without having said so: it panicked. What waits is not left waiting.
    pub(super) fn abandoned(&self) {
        let waiting = {
            let mut work = self.work();
            work.running = false;
            work.bytes = 0;
            std::mem::take(&mut work.waiting)
        };
        // Each reply that is dropped says `internal`.
        drop(waiting);
    }

    /// Whether there is nothing to do.
    pub(super) fn is_at_rest(&self) -> bool {
        let work = self.work();
        !work.running && work.waiting.is_empty()
    }

    /// How often the bell has been rung.
    pub(super) fn rings(&self) -> u64 {
        self.work().rings
    }

    /// The log was read after the bell had been rung so often.
    pub(super) fn handled_to(&self, rings: u64) {
        let mut work = self.work();
        work.handled = work.handled.max(rings);
    }

    /// One of the rings was that of an append of this hub's.
    pub(super) fn handled_one(&self) {
        let mut work = self.work();
        work.handled = work.rings.min(work.handled + 1);
    }

    /// The store says that the log ended at `head`.
    pub(super) fn known_head(self: &Arc<Self>, head: Seq) {
        self.with_tail(|tail| tail.begin_at(head));
        let mut work = self.work();
        if std::mem::take(&mut work.missed) {
            work.rings += 1;
            self.ensure_running(work);
        }
    }

    /// Something happened elsewhere, and nobody here listens, or it is not known from where on to read.
    pub(super) fn miss(&self) {
        self.work().missed = true;
    }

    pub(super) fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tail, and says under its lock where it ends now.
    pub(super) fn with_tail<T>(&self, change: impl FnOnce(&mut Tail) -> T) -> T {
        let mut tail: RwLockWriteGuard<'_, Tail> = self.tail.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut tail);
        self.head.store(tail.head().unwrap_or_default().0, Ordering::SeqCst);
        result
    }

    /// Wakes every attachment that has nothing to do.
    pub(super) fn wake(&self) {
        let slots = self.slots();
        let woken = slots.iter().filter(|slot| slot.wake_for_news()).count();
        drop(slots);
        self.shared.metrics.wakes.inc_by(woken as u64);
    }

    /// The entry `at` removed this user.
    pub(super) fn removed(&self, user: UserId, at: Seq) {
        self.slots().iter().filter(|slot| slot.user == user).for_each(|slot| slot.removed(at));
    }

    /// The channel is no more.
    pub(super) fn gone(&self) {
        self.slots().iter().for_each(|slot| slot.end(Ended::new(CloseCode::CHANNEL_GONE, "the channel was deleted")));
    }

    pub(super) fn add(&self, slot: &Arc<Slot>) {
        self.touch();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slot.at.store(slots.len(), Ordering::Relaxed);
        slots.push(Arc::clone(slot));
        self.shared.metrics.attachments.inc();
    }

    pub(super) fn remove(&self, slot: &Slot) {
        self.touch();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let at = slot.at.load(Ordering::Relaxed);
        if at < slots.len() {
            slots.swap_remove(at);
            if let Some(moved) = slots.get(at) {
                moved.at.store(at, Ordering::Relaxed);
            }
            self.shared.metrics.attachments.dec();
        }
    }

    /// Whether anybody is attached.
    pub(super) fn has_listeners(&self) -> bool {
        !self.slots().is_empty()
    }

    /// Somebody types, or with 0 stopped.
    pub(super) fn typing(&self, user: UserId, for_ms: u32, hidden_from: &Arc<[UserId]>) {
        let typing = Typing { channel: self.channel, user, for_ms };
        self.tell(News::typing(typing, Arc::clone(hidden_from)));
    }

    /// Tells all attachments.
    pub(super) fn tell(&self, news: Arc<News>) {
        if self.has_listeners() {
            self.news.push(news);
            self.wake();
        }
    }

    /// All members' positions, where they are shown.
    pub(super) fn all_marks(&self) -> Option<Arc<News>> {
        self.positions.all().map(News::marks)
    }

    /// It was used just now.
    pub(super) fn touch(&self) {
        self.used_at_ms.store(self.shared.log.now_ms(), Ordering::Relaxed);
    }

    /// How long ago it was used.
    pub(super) fn unused_for_ms(&self) -> u64 {
        self.shared.log.now_ms().saturating_sub(self.used_at_ms.load(Ordering::Relaxed))
    }

    fn slots(&self) -> RwLockReadGuard<'_, Vec<Arc<Slot>>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the answer to a send goes. One that is dropped without an answer says that something broke.
pub(super) struct Reply(Option<To>);

enum To {
    Caller(oneshot::Sender<SendResult>),
    Slot { slot: Arc<Slot>, ticket: u64, client_msg_id: ClientMsgId },
}

impl Reply {
    pub(super) fn to_caller() -> (Self, oneshot::Receiver<SendResult>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(To::Caller(sender))), receiver)
    }

    pub(super) fn to_slot(slot: Arc<Slot>, ticket: u64, client_msg_id: ClientMsgId) -> Self {
        Self(Some(To::Slot { slot, ticket, client_msg_id }))
    }

    pub(super) fn send(mut self, result: SendResult) {
        self.answer(result);
    }

    fn answer(&mut self, result: SendResult) {
        match self.0.take() {
            // Nobody waits any more: the entry is in the log all the same.
            Some(To::Caller(caller)) => drop(caller.send(result)),
            Some(To::Slot { slot, ticket, client_msg_id }) => slot.answer(ticket, client_msg_id, result),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(Err(WireError::new(ErrorCode::INTERNAL, "a fault of the server's; retry with the same id")));
    }
}
