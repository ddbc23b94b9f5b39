//! One shard of the outbox: its rows are taken in their order, people told side by side, each channel's people in the order
//! of what happened. Channels take turns, and a large one goes page by page, so none holds up another.
//!
//! A row stays in the store until everybody it is for was told, or is held by a row of their own. Whoever takes over after
//! a crash thus tells some again; the collapse id makes that one notification.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use suda_schema::{ChannelId, DeviceId, UserId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::commit::{self, EFFECTS_MAX, Effect};
use super::held::{HELD_MAX, Held};
use super::job::{Decided, Job, Landed, Ran, Reached, STORE_PAUSE, decide_page};
use super::lease::Lease;
use super::metrics::{ProviderLabel, ReasonLabel, ShardLabel};
use super::outcome::Outcome;
use super::providers::name;
use super::rows::{CHECK, DeadRow, HeldKey, HeldRow, Lane, kind_of, shortened, what_for};
use crate::chat::ChatError;
use crate::chat::outbox::{OutboxRow, Told};
use crate::chat::push::PushToken;
use crate::chat::telling::Words;
use crate::chat::tx::decode_row;
use crate::store::{Range, after_key, keys};

/// Rows in memory.
const ROWS_MAX: usize = 4_096;
const ROWS_PAGE: usize = 512;
/// Rows of which it is found out at once whom they are for.
const DECIDING_MAX: usize = 16;
/// People who are told at once: of conversations, and of large channels.
const FLYING_MAX: usize = 256;
const FLYING_BULK_MAX: usize = 128;
/// Held pushes that are tried at once.
const RETRYING_MAX: usize = 64;
/// What waits to be written; above that nothing is begun.
const EFFECTS_WAITING_MAX: usize = 4_000;
/// How long a shard that is let go waits for what is under way.
const LANDING: Duration = Duration::from_secs(5);

/// A row of the outbox at work.
struct Work {
    row: Arc<OutboxRow>,
    words: Option<Arc<Words>>,
    /// How many of the people it is for are not done.
    left: usize,
    /// Whether it is known whom it is for; of a large channel, of the page at hand.
    decided: bool,
    next: Option<UserId>,
}

type Person = (ChannelId, UserId);

/// What one person is told of one channel.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Its first is ready or under way.
    is_busy: bool,
}

pub(super) struct Shard {
    number: u64,
    ctx: Arc<Context>,
    lease: Arc<Lease>,
    /// What of the outbox has not been read.
    unread: Range,
    next_poll: Instant,
    /// Rows that are waited with, so that they are read first.
    early: VecDeque<(u64, Bytes, OutboxRow)>,
    works: BTreeMap<Bytes, Work>,
    /// Rows by channel, in their order; the first is at work.
    channels: HashMap<ChannelId, VecDeque<Bytes>>,
    turns: VecDeque<ChannelId>,
    deciding: FuturesUnordered<BoxFuture<'static, Decided>>,
    /// Jobs by person, in their order; the first is at work or ready.
    people: HashMap<Person, Queue>,
    ready: VecDeque<Person>,
    ready_bulk: VecDeque<Person>,
    flying: FuturesUnordered<BoxFuture<'static, Landed>>,
    flying_bulk: usize,
    retrying: usize,
    held: Held,
    effects: VecDeque<Effect>,
    /// How many of them are being written.
    writing: usize,
    /// Not before, because it has just failed.
    write_at: Instant,
}

impl Shard {
    pub(super) fn new(number: u64, ctx: Arc<Context>, lease: Arc<Lease>) -> Self {
        Self {
            number,
            ctx,
            lease,
            unread: keys::pushes(number),
            next_poll: Instant::now(),
            early: VecDeque::new(),
            works: BTreeMap::new(),
            channels: HashMap::new(),
            turns: VecDeque::new(),
            deciding: FuturesUnordered::new(),
            people: HashMap::new(),
            ready: VecDeque::new(),
            ready_bulk: VecDeque::new(),
            flying: FuturesUnordered::new(),
            flying_bulk: 0,
            retrying: 0,
            held: Held::unread(),
            effects: VecDeque::new(),
            writing: 0,
            write_at: Instant::now(),
        }
    }

    /// Works until it is stopped, or the shard turns out to be another's.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut writing: Option<BoxFuture<'static, Result<bool, ChatError>>> = None;
        let mut stopping: Option<Instant> = None;
        loop {
            let may_begin = stopping.is_none() && self.lease.is_valid() && self.effects.len() < EFFECTS_WAITING_MAX;
            if may_begin {
                if let Err(error) = self.read_on().await {
                    tracing::warn!(%error, shard = self.number, "the push outbox can't be read");
                    self.next_poll = Instant::now() + STORE_PAUSE;
                }
                self.begin();
            }
            if writing.is_none() && !self.effects.is_empty() && self.write_at <= Instant::now() {
                writing = Some(self.write());
            }
            let nothing_left = self.flying.is_empty() && self.effects.is_empty() && writing.is_none();
            if stopping.is_some_and(|until| nothing_left || until <= Instant::now()) {
                break;
            }
            let wake_at = self.wake_at();
            tokio::select! {
                Some(decided) = self.deciding.next(), if !self.deciding.is_empty() => self.decided(decided),
                Some(landed) = self.flying.next(), if !self.flying.is_empty() => self.landed(landed),
                written = async { match writing.as_mut() { Some(writing) => writing.await, None => Ok(true) } },
                    if writing.is_some() =>
                {
                    writing = None;
                    match written {
                        Ok(true) => drop(self.effects.drain(..self.writing.min(self.effects.len()))),
                        Ok(false) => {
                            tracing::info!(shard = self.number, "another notifier has taken this shard over");
                            self.ctx.metrics.shards_lost.inc();
                            break;
                        }
                        Err(error) => {
                            tracing::warn!(%error, shard = self.number, "what became of pushes can't be written");
                            self.write_at = Instant::now() + STORE_PAUSE;
                        }
                    }
                }
                () = tokio::time::sleep_until(wake_at) => {}
                () = stop.cancelled(), if stopping.is_none() => stopping = Some(Instant::now() + LANDING),
            }
            self.show(false);
        }
        self.show(true);
    }

    /// Until when nothing has to be done, unless something ends before.
    fn wake_at(&self) -> Instant {
        let now_ms = self.ctx.chat.clock().now_ms();
        let early = self.early.front().map(|(due_ms, ..)| *due_ms);
        let held =
            (0..4).filter(|what_for| self.may_retry(*what_for)).filter_map(|what| self.held.next_due_ms(what)).min();
        let in_ms = early.into_iter().chain(held).min().map_or(u64::MAX, |due_ms| due_ms.saturating_sub(now_ms));
        // Whatever it is that keeps it from beginning, it is looked at again now and then.
        self.next_poll.min(Instant::now() + Duration::from_millis(in_ms.clamp(5, 1_000)))
    }

    /// Reads rows that have come, and those that are held, once there is room.
    async fn read_on(&mut self) -> Result<(), ChatError> {
        if self.held.more && self.held.len() < HELD_MAX / 2 && self.effects.is_empty() && self.retrying == 0 {
            self.load_held().await?;
        }
        if self.next_poll > Instant::now() || self.works.len() + self.early.len() >= ROWS_MAX {
            return Ok(());
        }
        let range = self.unread.clone().limit(ROWS_PAGE).snapshot();
        let range = &range;
        let page = self.ctx.chat.read(|tx| async move { Ok(tx.range(range.clone()).await?) }).await?;
        for (key, value) in &page.rows {
            match decode_row::<OutboxRow>(value) {
                Ok(row) => {
                    let due_ms = row.at_ms.saturating_add(self.ctx.config.wait_ms);
                    self.early.push_back((due_ms, key.clone(), row));
                }
                Err(error) => {
                    tracing::error!(%error, "a row of the push outbox is thrown away");
                    self.effects.push_back(Effect::Done(key.clone()));
                }
            }
        }
        if let Some((last, _)) = page.rows.last() {
            self.unread = Range::new(after_key(last), self.unread.end());
        }
        let every = Duration::from_millis((self.ctx.config.wait_ms / 3).clamp(20, 400));
        self.next_poll = if page.rows.len() < ROWS_PAGE { Instant::now() + every } else { Instant::now() };
        Ok(())
    }

    async fn load_held(&mut self) -> Result<(), ChatError> {
        let mut next = Some(keys::all_push_held(self.number).snapshot());
        while let Some(range) = next.filter(|_| !self.held.is_full()) {
            let range = &range;
            let page = self.ctx.chat.read(|tx| async move { Ok(tx.range(range.clone()).await?) }).await?;
            for (key, value) in &page.rows {
                let key = HeldKey::decode(key)?;
                if self.held.first(key.lane).is_none_or(|(first, _)| first.seq < key.seq) {
                    self.held.insert(key, decode_row(value)?);
                }
            }
            next = page.next();
        }
        // Only now: what could not be read is read another time.
        self.held.more = self.held.is_full();
        Ok(())
    }

    fn begin(&mut self) {
        let now_ms = self.ctx.chat.clock().now_ms();
        while let Some((_, key, row)) = self.early.pop_front_if(|(due_ms, ..)| *due_ms <= now_ms) {
            let queue = self.channels.entry(row.channel).or_default();
            queue.push_back(key.clone());
            if queue.len() == 1 {
                self.turns.push_back(row.channel);
            }
            let next = row.after;
            self.works.insert(key, Work { row: Arc::new(row), words: None, left: 0, decided: false, next });
        }
        while self.deciding.len() < DECIDING_MAX
            && let Some(channel) = self.turns.pop_front()
        {
            let first = self.channels.get(&channel).and_then(VecDeque::front);
            let Some((key, work)) = first.and_then(|key| Some((key.clone(), self.works.get(key)?))) else { continue };
            let (ctx, lease) = (Arc::clone(&self.ctx), Arc::clone(&self.lease));
            self.deciding.push(Box::pin(decide_page(ctx, lease, key, Arc::clone(&work.row), work.words.clone())));
        }
        self.retry(now_ms);
        while self.flying.len() - self.flying_bulk < FLYING_MAX
            && let Some(person) = self.ready.pop_front()
        {
            self.fly(person);
        }
        while self.flying_bulk < FLYING_BULK_MAX
            && let Some(person) = self.ready_bulk.pop_front()
        {
            self.fly(person);
        }
    }

    fn may_retry(&self, what_for: u64) -> bool {
        self.retrying < RETRYING_MAX && kind_of(what_for).is_none_or(|kind| self.ctx.providers.gate(kind))
    }

    /// Those that are held and due are tried again.
    fn retry(&mut self, now_ms: u64) {
        for what_for in 0..4 {
            while self.may_retry(what_for) {
                let Some((key, held)) = self.held.pop_due(what_for, now_ms) else { break };
                self.enqueue_held(key, held);
                // Where a breaker lets one through to see, one goes.
                if kind_of(what_for).is_some() && self.retrying >= RETRYING_MAX / 2 {
                    break;
                }
            }
        }
    }

    fn enqueue_held(&mut self, key: HeldKey, held: HeldRow) {
        self.retrying += 1;
        let row = Arc::new(held.row.clone());
        let (user, is_bulk) = (key.lane.user, key.lane.what_for != CHECK);
        self.enqueue(Job { row, user, of: None, held: Some((key, held)), words: None, facts: None, is_bulk });
    }

    fn enqueue(&mut self, job: Job) {
        let person = (job.row.channel, job.user);
        let is_bulk = job.is_bulk;
        let queue = self.people.entry(person).or_default();
        queue.jobs.push_back(job);
        if !queue.is_busy {
            queue.is_busy = true;
            if is_bulk { self.ready_bulk.push_back(person) } else { self.ready.push_back(person) }
        }
    }

    /// Begins a person's first job.
    fn fly(&mut self, person: Person) {
        let Some(job) = self.people.get_mut(&person).and_then(|queue| queue.jobs.pop_front()) else { return };
        self.flying_bulk += usize::from(job.is_bulk);
        // The first of a lane does not come behind itself.
        let own = job.held.as_ref().map(|(key, _)| key.lane);
        let behind = self.held.lanes_of(person.0, person.1).into_iter().filter(|lane| Some(*lane) != own).collect();
        let all_behind = self.held.more && job.held.is_none();
        self.flying.push(Box::pin(job.run(Arc::clone(&self.ctx), behind, all_behind)));
    }

    fn decided(&mut self, decided: Decided) {
        let Decided { key, words, tell, later, at_ms, next, is_bulk } = decided;
        let Some(work) = self.works.get_mut(&key) else { return };
        let row = Arc::clone(&work.row);
        work.words.clone_from(&words);
        work.left = tell.len();
        work.decided = true;
        work.next = next;
        for (user, due_ms) in later {
            self.check_later(&row, user, due_ms);
        }
        for facts in tell {
            let user = facts.user;
            for (key, held) in self.held.hurry_checks(row.channel, user) {
                self.enqueue_held(key, held);
            }
            let (words, facts) = (words.clone(), Some((facts, at_ms)));
            self.enqueue(Job { row: Arc::clone(&row), user, of: Some(key.clone()), held: None, words, facts, is_bulk });
        }
        if next.is_none() {
            // What comes after it in this channel is told after it, person by person.
            let channel = row.channel;
            let rest = self.channels.get_mut(&channel).map(|queue| {
                queue.pop_front();
                queue.len()
            });
            match rest {
                Some(0) | None => drop(self.channels.remove(&channel)),
                Some(_) => self.turns.push_back(channel),
            }
        }
        self.finish_if_done(&key);
    }

    fn landed(&mut self, landed: Landed) {
        let Landed { job, ran } = landed;
        let person = (job.row.channel, job.user);
        self.flying_bulk -= usize::from(job.is_bulk);
        self.retrying -= usize::from(job.held.is_some());
        if let Some(queue) = self.people.get_mut(&person) {
            match queue.jobs.front().map(|next| next.is_bulk) {
                Some(true) => self.ready_bulk.push_back(person),
                Some(false) => self.ready.push_back(person),
                None => drop(self.people.remove(&person)),
            }
        }
        let now_ms = self.ctx.chat.clock().now_ms();
        let own = job.held.as_ref().map(|(key, _)| *key);
        match (ran, own) {
            (Ran::Later(due_ms), Some(own)) => self.held.schedule(own.lane, due_ms),
            (Ran::Later(due_ms), None) => self.check_later(&job.row, job.user, due_ms),
            (Ran::Skip(why), own) => {
                self.ctx.metrics.skip(why);
                if let Some(own) = own {
                    if let (true, Some(kind)) = (why == "expired", kind_of(own.lane.what_for)) {
                        let push = PushToken { kind, token: String::new(), registered_at_ms: 0 };
                        self.bury(&job, own.lane.device, &push, why.to_owned());
                    }
                    self.free(own, now_ms);
                }
            }
            (Ran::Told(reached), own) => {
                let is_held =
                    |device: DeviceId, push: &PushToken| own.map(|own| own.lane) == Some(lane(&job, device, push));
                // What was to be tried again is no longer to be tried, or comes to be held anew below.
                let again = reached.iter().any(|(device, push, reached)| is_held(*device, push) && is_failed(reached));
                if let (Some(own), false) = (own, again) {
                    self.free(own, now_ms);
                }
                for (device, push, reached) in reached {
                    self.reached(&job, device, push, reached, now_ms);
                }
            }
        }
        if let Some(key) = &job.of {
            if let Some(work) = self.works.get_mut(key) {
                work.left = work.left.saturating_sub(1);
            }
            self.finish_if_done(key);
        }
    }

    /// What came of telling somebody on one device.
    fn reached(&mut self, job: &Job, device: DeviceId, push: PushToken, reached: Reached, now_ms: u64) {
        let key = HeldKey { lane: lane(job, device, &push), seq: job.row.seq };
        let own = job.held.as_ref().filter(|(own, _)| *own == key).map(|(_, held)| held);
        let (failures, row) = (own.map_or(0, |held| held.failures), &job.row);
        let held = |due_ms, failures, why| HeldRow { row: OutboxRow::clone(row), due_ms, failures, why };
        match reached {
            Reached::Behind => self.hold(key, held(now_ms, 0, "behind".to_owned())),
            Reached::By(Outcome::Sent) => {
                let waited_ms = now_ms.saturating_sub(row.at_ms.saturating_add(self.ctx.config.wait_ms));
                self.ctx.metrics.seconds.observe(Duration::from_millis(waited_ms).as_secs_f64());
                if row.what != Told::Read {
                    self.effects.push_back(Effect::Pushed(row.channel, job.user, row.seq));
                }
            }
            Reached::By(Outcome::Gone(why, until_ms)) => {
                let provider = name(push.kind);
                tracing::debug!(provider, why, token = shortened(&push.token), "an address is none any more");
                self.ctx.metrics.tokens_removed.get_or_create(&ProviderLabel { provider }).inc();
                let until_ms = until_ms.unwrap_or(push.registered_at_ms);
                self.effects.push_back(Effect::Gone(job.user, device, push, until_ms));
            }
            Reached::By(Outcome::Refused(why)) => self.bury(job, device, &push, why),
            Reached::By(Outcome::Later(why, after_ms) | Outcome::Down(why, after_ms)) => {
                let failures = failures.saturating_add(1);
                let pause_ms = match after_ms {
                    Some(0) if failures == 1 => 0,
                    after_ms => {
                        let backoff = self.ctx.config.backoff.pause_ms(failures, self.ctx.chat.clock());
                        backoff.max(after_ms.unwrap_or(0))
                    }
                };
                let due_ms = now_ms.saturating_add(pause_ms);
                if due_ms >= row.at_ms.saturating_add(self.ctx.config.useful_ms) {
                    self.bury(job, device, &push, why);
                    if own.is_some() {
                        self.free(key, now_ms);
                    }
                } else {
                    self.hold(key, held(due_ms, failures, why));
                }
            }
            Reached::By(Outcome::Blocked(until_ms)) => {
                let due_ms = until_ms.saturating_add(self.ctx.chat.clock().below(300));
                match own {
                    Some(_) => self.held.schedule(key.lane, due_ms),
                    None => self.hold(key, held(due_ms, failures, "blocked".to_owned())),
                }
            }
        }
    }

    fn bury(&mut self, job: &Job, device: DeviceId, push: &PushToken, why: String) {
        self.ctx.metrics.dead.get_or_create(&ReasonLabel { reason: why.clone() }).inc();
        let failures = job.held.as_ref().map_or(0, |(_, held)| held.failures).saturating_add(1);
        let (row, token) = (OutboxRow::clone(&job.row), shortened(&push.token));
        let dead = DeadRow { row, user: job.user, device, kind: push.kind, token, why, failures };
        let clock = self.ctx.chat.clock();
        let own = u64::from_le_bytes(clock.random());
        self.effects.push_back(Effect::Dead(clock.now_ms(), own, dead));
    }

    fn free(&mut self, key: HeldKey, now_ms: u64) {
        self.effects.push_back(Effect::Free(key));
        self.held.remove(key, now_ms);
    }

    /// Writes what waits to be written, from the oldest.
    fn write(&mut self) -> BoxFuture<'static, Result<bool, ChatError>> {
        let effects: Vec<Effect> = self.effects.iter().take(EFFECTS_MAX).cloned().collect();
        self.writing = effects.len();
        let (ctx, lease, number) = (Arc::clone(&self.ctx), Arc::clone(&self.lease), self.number);
        Box::pin(async move {
            let (lease, effects) = (&*lease, &effects[..]);
            ctx.chat.run_idempotent(|tx| async move { commit::write(&tx, lease, number, effects).await }).await
        })
    }

    /// Shows how much there is to do; nothing, once it is somebody else's.
    fn show(&self, is_over: bool) {
        let label = ShardLabel { shard: self.number };
        let gauge = |number: usize| if is_over { 0 } else { i64::try_from(number).unwrap_or(i64::MAX) };
        let metrics = &self.ctx.metrics;
        metrics.backlog.get_or_create(&label).set(gauge(self.works.len() + self.early.len()));
        metrics.held.get_or_create(&label).set(gauge(self.held.len()));
        let work = self.works.first_key_value().map(|(_, work)| work.row.at_ms);
        let oldest = work.into_iter().chain(self.held.oldest_at_ms()).min();
        let age_ms = oldest.map_or(0, |at_ms| self.ctx.chat.clock().now_ms().saturating_sub(at_ms));
        metrics.oldest.get_or_create(&label).set(gauge(usize::try_from(age_ms / 1_000).unwrap_or(usize::MAX)));
    }

    fn check_later(&mut self, row: &OutboxRow, user: UserId, due_ms: u64) {
        let lane = Lane { channel: row.channel, user, what_for: CHECK, device: DeviceId(0) };
        let held = HeldRow { row: row.clone(), due_ms, failures: 0, why: String::new() };
        self.hold(HeldKey { lane, seq: row.seq }, held);
    }

    fn hold(&mut self, key: HeldKey, held: HeldRow) {
        self.effects.push_back(Effect::Hold(key, held.clone()));
        self.held.insert(key, held);
    }

    fn finish_if_done(&mut self, key: &Bytes) {
        let Some(work) = self.works.get_mut(key).filter(|work| work.decided && work.left == 0) else { return };
        let channel = work.row.channel;
        match work.next.take() {
            Some(next) => {
                let row = OutboxRow { after: Some(next), ..OutboxRow::clone(&work.row) };
                self.effects.push_back(Effect::SoFar(key.clone(), row.clone()));
                work.row = Arc::new(row);
                work.decided = false;
                self.turns.push_back(channel);
            }
            None => {
                self.effects.push_back(Effect::Done(key.clone()));
                self.works.remove(key);
            }
        }
    }
}

fn lane(job: &Job, device: DeviceId, push: &PushToken) -> Lane {
    Lane { channel: job.row.channel, user: job.user, what_for: what_for(push.kind), device }
}

/// Whether it is to be tried again.
fn is_failed(reached: &Reached) -> bool {
    matches!(reached, Reached::Behind | Reached::By(Outcome::Later(..) | Outcome::Down(..) | Outcome::Blocked(_)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::notifier::{context, lease};
    use crate::store::{Faults, Store};

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_read_once_the_store_is_there_again() {
        let away = Arc::new(AtomicBool::new(false));
        let ctx = context(Store::memory_that_goes_away(Faults::default(), away.clone()));
        let lane = Lane { channel: ChannelId(16), user: UserId(1), what_for: CHECK, device: DeviceId(0) };
        let row = OutboxRow::message(lane.channel, (suda_schema::Seq(5), 1), UserId(2));
        let key = HeldKey { lane, seq: row.seq };
        let held = HeldRow { row, due_ms: u64::MAX, failures: 0, why: String::new() };
        let (held, lease) = (&held, Arc::clone(&lease::Manager::new(Arc::clone(&ctx)).lease));
        let write = ctx.chat.run_idempotent(|tx| async move {
            tx.set_row(key.encode(), held);
            Ok(())
        });
        write.await.unwrap();
        let number = crate::chat::outbox::shard_of(lane.channel);
        let mut shard = Shard::new(number, Arc::clone(&ctx), lease);
        away.store(true, Ordering::SeqCst);
        assert!(shard.read_on().await.is_err());
        away.store(false, Ordering::SeqCst);
        shard.read_on().await.unwrap();
        assert!(shard.held.first(lane).is_some());
    }
}
