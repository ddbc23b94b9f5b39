//! All active channels of the node.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use suda_schema::codec::Codec;
use suda_schema::control::Typing;
use suda_schema::{ChannelId, ErrorCode, UserId, WireError};
use tokio::sync::Semaphore;

use super::attachment::Attachment;
use super::config::HubConfig;
use super::hot;
use super::hub::{Hub, Reply, Shared};
use super::log::Log;
use super::metrics::HubMetrics;
use super::slot::SendResult;
use super::tail::{AllTails, TailLimits};
use crate::chat::Chat;
use crate::chat::append::Publish;

const SHARDS: usize = 64;
/// How often hubs that are no longer used are looked for.
const SWEEP_MS: u64 = 5_000;
/// How often all hubs are looked through when there are too many: it takes a moment.
const LOOK_FOR_ROOM_MS: u64 = 100;
/// After how long a client is asked to try again when too many channels are active.
const HUBS_FULL_WAIT_MS: u64 = 2_000;
/// How often it is looked whether the hubs have come to rest.
const REST_POLL_MS: u64 = 5;
/// For so many channels at once the lead is given up.
const STEPS_AT_ONCE: usize = 64;

/// All active channels. Cheap to clone.
#[derive(Clone)]
pub struct Hubs {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    shards: Vec<Mutex<HashMap<ChannelId, Arc<Hub>>>>,
    count: AtomicUsize,
    /// When all hubs were last looked through because there were too many.
    looked_for_room: Mutex<Option<Instant>>,
}

impl Hubs {
    /// No channel is active yet. To be called within the runtime in which the hubs are to work.
    #[must_use]
    pub fn new(chat: Chat, config: HubConfig, metrics: HubMetrics) -> Self {
        let all = AllTails {
            bytes_max: config.tails_bytes_max,
            bytes: AtomicUsize::new(0),
            gauge: metrics.tail_bytes.clone(),
        };
        let tails =
            TailLimits { entries_max: config.tail_entries_max, bytes_max: config.tail_bytes_max, all: Arc::new(all) };
        let runtime = tokio::runtime::Handle::current();
        let shared = Arc::new(Shared {
            log: Log::new(chat),
            catch_up: Semaphore::new(config.catch_up_reads_max.clamp(1, Semaphore::MAX_PERMITS)),
            tails,
            config,
            metrics,
            runtime: runtime.clone(),
        });
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        let inner = Arc::new(Inner { shared, shards, count: AtomicUsize::new(0), looked_for_room: Mutex::new(None) });
        runtime.spawn(sweep(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// Appends to a channel. The answer comes when it is durable, or refused.
    pub async fn publish(&self, channel: ChannelId, publish: Publish) -> SendResult {
        let (reply, answer) = Reply::to_caller();
        self.hub(channel)?.submit(publish, reply);
        answer.await.unwrap_or_else(|_| Err(WireError::new(ErrorCode::INTERNAL, "a fault of the server's")))
    }

    /// A place among the listeners of a channel. To be taken before the store is asked whether the user is a member, so
    /// that nothing happens between; it gives nothing out before [`Attachment::begin`].
    pub fn attach(&self, channel: ChannelId, user: UserId, codec: Codec) -> Result<Attachment, WireError> {
        Ok(Attachment::new(self.hub(channel)?, user, codec))
    }

    /// Something was committed in a channel, here or elsewhere.
    pub fn ring(&self, channel: ChannelId) {
        let hub = self.shard(channel).get(&channel).cloned();
        if let Some(hub) = hub {
            hub.ring();
        }
    }

    /// Whether anybody here is attached to a channel.
    #[must_use]
    pub fn listens_to(&self, channel: ChannelId) -> bool {
        self.shard(channel).get(&channel).is_some_and(|hub| hub.has_listeners())
    }

    /// Somebody types, on another node.
    pub fn typing(&self, typing: Typing, hidden_from: &[UserId]) {
        let hub = self.shard(typing.channel).get(&typing.channel).cloned();
        if let Some(hub) = hub {
            hub.typing(typing.user, typing.for_ms, &hidden_from.into());
        }
    }

    /// How many channels are active.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.count.load(Ordering::Relaxed)
    }

    /// What they count.
    #[must_use]
    pub fn metrics(&self) -> &HubMetrics {
        &self.inner.shared.metrics
    }

    /// Waits until no hub has anything to append, or `limit` is over: false.
    pub async fn at_rest(&self, limit: Duration) -> bool {
        let rest = async {
            while !self.inner.is_at_rest() {
                tokio::time::sleep(Duration::from_millis(REST_POLL_MS)).await;
            }
        };
        tokio::time::timeout(limit, rest).await.is_ok()
    }

    /// Appends no longer for other nodes, so that nobody waits for one that stops.
    pub async fn step_down(&self) {
        let mut leading = Vec::new();
        for shard in &self.inner.shards {
            leading.extend(lock(shard).values().filter(|hub| hub.hot.leads().is_some()).cloned());
        }
        let stepping = leading.iter().map(|hub| hot::step_down(hub));
        stream::iter(stepping).buffer_unordered(STEPS_AT_ONCE).collect::<()>().await;
    }

    fn hub(&self, channel: ChannelId) -> Result<Arc<Hub>, WireError> {
        let inner = &self.inner;
        if let Some(hub) = self.shard(channel).get(&channel) {
            hub.touch();
            return Ok(Arc::clone(hub));
        }
        if self.count() >= inner.shared.config.hubs_max && !inner.make_room() {
            inner.shared.metrics.hubs_full.inc();
            let error = WireError::new(ErrorCode::OVERLOADED, "too many channels are active on this node");
            return Err(error.retry_after(HUBS_FULL_WAIT_MS));
        }
        match self.shard(channel).entry(channel) {
            Entry::Occupied(there) => Ok(Arc::clone(there.get())),
            Entry::Vacant(place) => {
                inner.count.fetch_add(1, Ordering::Relaxed);
                inner.shared.metrics.hubs.inc();
                Ok(Arc::clone(place.insert(Arc::new(Hub::new(channel, Arc::clone(&inner.shared))))))
            }
        }
    }

    fn shard(&self, channel: ChannelId) -> MutexGuard<'_, HashMap<ChannelId, Arc<Hub>>> {
        // The low bits of an id are its sequence in the millisecond, mostly 0: the time above them spreads better.
        let at = usize::try_from((channel.0 ^ (channel.0 >> 22)) % SHARDS as u64).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "the remainder by SHARDS, and there are so many")]
        lock(&self.inner.shards[at])
    }
}

impl Inner {
    /// Drops all hubs that nobody holds, but looks for them only so often.
    fn make_room(&self) -> bool {
        let mut looked = self.looked_for_room.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_some_and(|looked| looked.elapsed() < Duration::from_millis(LOOK_FOR_ROOM_MS)) {
            return false;
        }
        *looked = Some(Instant::now());
        self.drop_unused(0) > 0
    }

    /// Drops hubs that nobody holds and that were not used for so long: how many.
    fn drop_unused(&self, unused_ms: u64) -> usize {
        let mut dropped = Vec::new();
        for shard in &self.shards {
            // Whoever works on a hub, listens to it or waits for it holds it; new holders come only by this lock.
            let unused =
                |_: &ChannelId, hub: &mut Arc<Hub>| Arc::strong_count(hub) == 1 && hub.unused_for_ms() >= unused_ms;
            dropped.extend(lock(shard).extract_if(unused));
        }
        self.count.fetch_sub(dropped.len(), Ordering::Relaxed);
        self.shared.metrics.hubs.dec_by(i64::try_from(dropped.len()).unwrap_or(i64::MAX));
        dropped.len()
    }

    /// Has all tails keep their newest batch only, if together they hold too much.
    fn trim_tails(&self) {
        let all = &self.shared.tails.all;
        for shard in &self.shards {
            if all.bytes.load(Ordering::Relaxed) <= all.bytes_max {
                return;
            }
            let hubs: Vec<Arc<Hub>> = lock(shard).values().cloned().collect();
            hubs.iter().for_each(|hub| hub.with_tail(super::tail::Tail::trim));
        }
    }

    fn is_at_rest(&self) -> bool {
        self.shards.iter().all(|shard| lock(shard).values().all(|hub| hub.is_at_rest()))
    }
}

async fn sweep(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(Duration::from_millis(SWEEP_MS)).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.drop_unused(inner.shared.config.idle_ms);
        inner.trim_tails();
    }
}

fn lock(shard: &Mutex<HashMap<ChannelId, Arc<Hub>>>) -> MutexGuard<'_, HashMap<ChannelId, Arc<Hub>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
