//! One shard of the outbox: its rows are taken in their order, people told side by side, each channel's people in the order
//! of what happened. Channels take turns, and a large one goes page by page, so none holds up another.
//!
//! A row stays in the store until everybody it is for was told, or is held by a row of their own. Whoever takes over after
//! a crash thus tells some again; the collapse id makes that one notification.
//!
//! Whatever waits for the store or a provider is polled in one place, [`Shard::run`], so that none waits for another.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use suda_schema::{ChannelId, UserId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::commit::{Effect, Writer};
use super::held::Held;
use super::intake::{Intake, Read};
use super::job::{Decided, Job, Landed, decide_page};
use super::lease::Lease;
use super::metrics::ShardLabel;
use super::rows::{CHECK, HeldKey, HeldRow, kind_of};
use crate::chat::ChatError;
use crate::chat::outbox::OutboxRow;
use crate::chat::telling::Words;

/// Rows in memory.
const ROWS_MAX: usize = 4_096;
/// Rows of which it is found out at once whom they are for.
const DECIDING_MAX: usize = 16;
/// People who are told at once: of conversations, and of large channels.
const FLYING_MAX: usize = 256;
const FLYING_BULK_MAX: usize = 128;
/// Held pushes that are tried at once.
const RETRYING_MAX: usize = 64;
/// What waits to be written; above that nothing is begun.
const EFFECTS_WAITING_MAX: usize = 4_000;
/// After so long it is looked whether something may be begun again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
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
    pub(super) ctx: Arc<Context>,
    lease: Arc<Lease>,
    intake: Intake,
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
    pub(super) held: Held,
    pub(super) writer: Writer,
}

impl Shard {
    pub(super) fn new(number: u64, ctx: Arc<Context>, lease: Arc<Lease>) -> Self {
        Self {
            number,
            ctx,
            lease,
            intake: Intake::new(number),
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
            writer: Writer::new(),
        }
    }

    /// Works until it is stopped, or the shard turns out to be another's.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut stopping: Option<Instant> = None;
        loop {
            let may_begin = stopping.is_none() && self.lease.is_valid() && self.writer.len() < EFFECTS_WAITING_MAX;
            if may_begin {
                self.read_on();
                self.begin();
            }
            self.writer.begin(&self.ctx, &self.lease, self.number);
            let nothing_left = self.flying.is_empty() && self.writer.len() == 0;
            if stopping.is_some_and(|until| nothing_left || until <= Instant::now()) {
                break;
            }
            let wake_at = if may_begin { self.wake_at() } else { Instant::now() + LOOK_AGAIN };
            tokio::select! {
                read = self.intake.read() => self.read(read),
                Some(decided) = self.deciding.next(), if !self.deciding.is_empty() => self.decided(decided),
                Some(landed) = self.flying.next(), if !self.flying.is_empty() => self.landed(landed),
                written = self.writer.written() => match written {
                    Ok(true) => {}
                    Ok(false) => {
                        tracing::info!(shard = self.number, "another notifier has taken this shard over");
                        self.ctx.metrics.shards_lost.inc();
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, shard = self.number, "what became of pushes can't be written");
                    }
                },
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
        let early = self.intake.next_due_ms();
        let held =
            (0..4).filter(|what_for| self.may_retry(*what_for)).filter_map(|what| self.held.next_due_ms(what)).min();
        let in_ms = early.into_iter().chain(held).min().map_or(u64::MAX, |due_ms| due_ms.saturating_sub(now_ms));
        // Whatever it is that keeps it from beginning, it is looked at again now and then.
        let wake_at = Instant::now() + Duration::from_millis(in_ms.clamp(5, 1_000));
        let read_at = self.intake.read_at().filter(|_| self.has_room());
        read_at.map_or(wake_at, |read_at| read_at.min(wake_at))
    }

    /// Begins to read rows that have come, or those that are held, where there is room.
    fn read_on(&mut self) {
        if !self.intake.is_idle() {
            return;
        }
        if self.held.wants_more() {
            self.held.begin_load(self.writer.effects());
            self.intake.read_held(&self.ctx);
        } else if self.has_room() {
            self.intake.read_outbox(&self.ctx);
        }
    }

    fn has_room(&self) -> bool {
        self.works.len() + self.intake.len() < ROWS_MAX
    }

    fn read(&mut self, read: Result<Read, ChatError>) {
        let bad = match read {
            Ok(Read::Outbox(page)) => self.intake.take(&page, self.ctx.config.wait_ms),
            Ok(Read::Held(mut page)) => {
                let bad = std::mem::take(&mut page.bad);
                self.held.loaded(page);
                bad
            }
            Err(error) => {
                tracing::warn!(%error, shard = self.number, "the push outbox can't be read");
                self.held.load_failed();
                Vec::new()
            }
        };
        bad.into_iter().for_each(|key| self.writer.push(Effect::Done(key)));
    }

    /// Begins what there is room for, once it is known who is held: they come first.
    fn begin(&mut self) {
        if !self.held.is_known {
            return;
        }
        let now_ms = self.ctx.chat.clock().now_ms();
        while let Some((key, row)) = self.intake.pop_due(now_ms) {
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
        // Some of those that are held may not be known. One that was held in its lane is known to be the first.
        let all_behind = self.held.more && own.is_none_or(|lane| lane.what_for == CHECK);
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

    /// A job is over: the next for the same person may begin, and its row may be done.
    pub(super) fn make_way(&mut self, job: &Job) {
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
        if let Some(key) = &job.of {
            if let Some(work) = self.works.get_mut(key) {
                work.left = work.left.saturating_sub(1);
            }
            self.finish_if_done(key);
        }
    }

    /// Shows how much there is to do; nothing, once it is somebody else's.
    fn show(&self, is_over: bool) {
        let label = ShardLabel { shard: self.number };
        let gauge = |number: usize| if is_over { 0 } else { i64::try_from(number).unwrap_or(i64::MAX) };
        let metrics = &self.ctx.metrics;
        metrics.backlog.get_or_create(&label).set(gauge(self.works.len() + self.intake.len()));
        metrics.held.get_or_create(&label).set(gauge(self.held.len()));
        let work = self.works.first_key_value().map(|(_, work)| work.row.at_ms);
        let oldest = work.into_iter().chain(self.held.oldest_at_ms()).min();
        let age_ms = oldest.map_or(0, |at_ms| self.ctx.chat.clock().now_ms().saturating_sub(at_ms));
        metrics.oldest.get_or_create(&label).set(gauge(usize::try_from(age_ms / 1_000).unwrap_or(usize::MAX)));
    }

    fn finish_if_done(&mut self, key: &Bytes) {
        let Some(work) = self.works.get_mut(key).filter(|work| work.decided && work.left == 0) else { return };
        let channel = work.row.channel;
        match work.next.take() {
            Some(next) => {
                let row = OutboxRow { after: Some(next), ..OutboxRow::clone(&work.row) };
                self.writer.push(Effect::SoFar(key.clone(), row.clone()));
                work.row = Arc::new(row);
                work.decided = false;
                self.turns.push_back(channel);
            }
            None => {
                self.writer.push(Effect::Done(key.clone()));
                self.works.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use suda_schema::{DeviceId, Seq};

    use super::super::job::Ran;
    use super::super::rows::Lane;
    use super::*;
    use crate::notifier::{context, lease};
    use crate::store::{Faults, Store};

    const HOUR: Duration = Duration::from_secs(3_600);

    fn held() -> (HeldKey, HeldRow) {
        let lane = Lane { channel: ChannelId(16), user: UserId(1), what_for: CHECK, device: DeviceId(0) };
        let row = OutboxRow::message(lane.channel, (Seq(5), 1), UserId(2));
        (HeldKey { lane, seq: row.seq }, HeldRow { row, due_ms: u64::MAX, failures: 0, why: String::new() })
    }

    fn shard(ctx: &Arc<Context>) -> Shard {
        let lease = Arc::clone(&lease::Manager::new(Arc::clone(ctx)).lease);
        lease.is_good_for(2 * HOUR);
        Shard::new(0, Arc::clone(ctx), lease)
    }

    /// A push that a provider takes so long for.
    fn flight(takes: Duration) -> BoxFuture<'static, Landed> {
        let (key, held) = held();
        let (row, user) = (Arc::new(held.row.clone()), key.lane.user);
        let job = Job { row, user, of: None, held: Some((key, held)), words: None, facts: None, is_bulk: false };
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            Landed { job, ran: Ran::Skip("read") }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_read_once_the_store_is_there_again() {
        let away = Arc::new(AtomicBool::new(false));
        let ctx = context(Store::memory_that_goes_away(Faults::default(), away.clone()), 1);
        let (key, row) = &held();
        let write = ctx.chat.run_idempotent(|tx| async move {
            tx.set_row(key.encode(), row);
            Ok(())
        });
        write.await.unwrap();
        let mut shard = shard(&ctx);
        away.store(true, Ordering::SeqCst);
        for is_away in [true, false] {
            away.store(is_away, Ordering::SeqCst);
            while !shard.intake.is_idle() {
                tokio::time::advance(Duration::from_millis(100)).await;
            }
            shard.read_on();
            let read = shard.intake.read().await;
            assert_eq!(read.is_err(), is_away);
            shard.read(read);
            assert_eq!(shard.held.first(key.lane).is_some(), !is_away);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_store_does_not_hold_up_what_is_under_way() {
        let ctx = context(
            Store::memory_with(Faults { delay_permille: 1_000, delay_ms_max: 3_600_000, ..Faults::default() }),
            1,
        );
        let mut shard = shard(&ctx);
        shard.flying.push(flight(Duration::from_millis(10)));
        shard.retrying = 1;
        let (stop, metrics) = (CancellationToken::new(), ctx.metrics.clone());
        let running = tokio::spawn(shard.run(stop));
        let began = Instant::now();
        tokio::time::sleep(Duration::from_millis(11)).await;
        let landed =
            metrics.skipped.get_or_create(&super::super::metrics::ReasonLabel { reason: "read".to_owned() }).get();
        assert_eq!((landed, began.elapsed().as_secs()), (1, 0));
        running.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_lands_after_the_shard_was_lost_is_not_marked() {
        let store = Store::memory();
        let (ctx, other) = (context(store.clone(), 1), context(store, 2));
        let (key, row) = &held();
        let write = ctx.chat.run_idempotent(|tx| async move {
            tx.set_row(key.encode(), row);
            Ok(())
        });
        write.await.unwrap();
        // It had the shard, and the other one has it now.
        lease::Manager::new(Arc::clone(&other)).take(0, None).await.unwrap();
        let mut shard = shard(&ctx);
        shard.flying.push(flight(Duration::from_millis(10)));
        shard.retrying = 1;
        tokio::time::timeout(Duration::from_secs(1), shard.run(CancellationToken::new())).await.unwrap();
        assert_eq!(ctx.metrics.shards_lost.get(), 1);
        let found = ctx.chat.read(|tx| async move { tx.row::<HeldRow>(&key.encode()).await }).await.unwrap();
        assert_eq!(found.as_ref(), Some(row));
    }
}
