//! Who works on which shards. Each notifier counts up in a row of its own; whoever sees the number of another stand still
//! for long enough, by a clock of their own, takes its shards. Nobody's clock is compared with anybody's, and a
//! notifier that was only slow is kept from harm by the fence: whatever it writes is written in a transaction that
//! finds the lease still its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::dead;
use super::rows::{LeaseRow, NodeRow};
use super::shard::Shard;
use crate::chat::outbox::OUTBOX_SHARDS;
use crate::chat::tx::decode_row;
use crate::chat::{ChatError, Tx};
use crate::store::keys;

/// What all shards of a notifier hold on to.
pub(super) struct Lease {
    pub(super) incarnation: [u8; 16],
    valid_until: Mutex<Instant>,
}

impl Lease {
    /// Whether others still see us alive. After that nothing is begun.
    pub(super) fn is_valid(&self) -> bool {
        Instant::now() < *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn be_valid_until(&self, until: Instant) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// For tests of what relies on it.
    #[cfg(test)]
    pub(super) fn is_good_for(&self, time: Duration) {
        self.be_valid_until(Instant::now() + time);
    }

    /// Whether a shard is ours, in the transaction that relies on it.
    pub(super) async fn holds(&self, tx: &Tx, shard: u64) -> Result<bool, ChatError> {
        let row: Option<LeaseRow> = tx.row(&keys::push_lease(shard)).await?;
        Ok(row.is_some_and(|row| row.incarnation == self.incarnation))
    }
}

/// What works on a shard.
struct Worker {
    task: Id,
    stop: CancellationToken,
}

/// Takes shards and lets them go.
pub(super) struct Manager {
    ctx: Arc<Context>,
    pub(super) lease: Arc<Lease>,
    counter: u64,
    /// What others were last seen to say, and since when.
    seen: HashMap<[u8; 16], (u64, Instant)>,
    working: BTreeMap<u64, Worker>,
    tasks: JoinSet<()>,
    swept_at: Option<Instant>,
}

/// How often dead letters are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

impl Manager {
    pub(super) fn new(ctx: Arc<Context>) -> Self {
        let lease = Lease { incarnation: ctx.chat.clock().random(), valid_until: Mutex::new(Instant::now()) };
        let (seen, working, tasks) = (HashMap::new(), BTreeMap::new(), JoinSet::new());
        Self { ctx, lease: Arc::new(lease), counter: 0, seen, working, tasks, swept_at: None }
    }

    /// Runs until it is stopped; then everything is let go, for others to take at once.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let every = Duration::from_millis((self.ctx.config.lease_ms / 5).max(10));
        loop {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "the notifier can't renew its leases");
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => drop(self.ended(ended)),
                () = stop.cancelled() => break,
            }
        }
        for worker in self.working.values() {
            worker.stop.cancel();
        }
        while let Some(ended) = self.tasks.join_next_with_id().await {
            if let Some(shard) = self.ended(ended) {
                let _ = self.let_go(shard).await;
            }
        }
        let incarnation = self.lease.incarnation;
        let goodbye = self.ctx.chat.run_idempotent(|tx| async move {
            tx.clear(keys::push_node(incarnation));
            Ok(())
        });
        let _ = goodbye.await;
    }

    /// Nobody works on a shard any more, also where the work has ended with a panic: which one it was.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) -> Option<u64> {
        let task = ended.map_or_else(|error| error.id(), |(task, ())| task);
        let shard = self.working.iter().find(|(_, worker)| worker.task == task).map(|(shard, _)| *shard)?;
        self.working.remove(&shard);
        self.ctx.metrics.shards.set(i64::try_from(self.working.len()).unwrap_or(i64::MAX));
        Some(shard)
    }

    async fn round(&mut self) -> Result<(), ChatError> {
        self.beat().await?;
        let (nodes, leases) = self.ctx.chat.read(|tx| async move { look(&tx).await }).await?;
        let lease_time = Duration::from_millis(self.ctx.config.lease_ms);
        let (now, own) = (Instant::now(), self.lease.incarnation);
        let mut live = 1usize;
        let mut dead: Vec<[u8; 16]> = Vec::new();
        self.seen.retain(|incarnation, _| nodes.contains_key(incarnation));
        for (incarnation, row) in nodes.iter().filter(|(incarnation, _)| **incarnation != own) {
            let seen = self.seen.entry(*incarnation).or_insert((row.counter, now));
            if seen.0 != row.counter {
                *seen = (row.counter, now);
            }
            // Numbers are given to one node each: another one with ours is what we were before a restart.
            if row.node == self.ctx.node || now.duration_since(seen.1) >= lease_time {
                dead.push(*incarnation);
            } else {
                live += 1;
            }
        }
        let shards = usize::try_from(OUTBOX_SHARDS).unwrap_or(usize::MAX);
        let share = shards.div_ceil(live);
        let is_free = |shard: &u64| {
            let owner: Option<&LeaseRow> = leases.get(shard);
            owner.is_none_or(|row| {
                row.incarnation != own && (dead.contains(&row.incarnation) || !nodes.contains_key(&row.incarnation))
            })
        };
        let offset = u64::from(self.ctx.node);
        let free: Vec<u64> = (0..OUTBOX_SHARDS).map(|at| (at + offset) % OUTBOX_SHARDS).filter(is_free).collect();
        for shard in free {
            if self.working.len() >= share {
                break;
            }
            if self.take(shard, leases.get(&shard).copied()).await? {
                self.work_on(shard);
            }
        }
        // Ours by the store, and nobody works on it: its task has ended.
        let idle: Vec<u64> = leases
            .iter()
            .filter(|(shard, row)| row.incarnation == own && !self.working.contains_key(shard))
            .map(|(shard, _)| *shard)
            .collect();
        for shard in idle {
            self.let_go(shard).await?;
        }
        let too_many = self.working.len().saturating_sub(share);
        for worker in self.working.values().rev().filter(|worker| !worker.stop.is_cancelled()).take(too_many) {
            worker.stop.cancel();
        }
        self.sweep(&dead).await
    }

    async fn beat(&mut self) -> Result<(), ChatError> {
        self.counter += 1;
        let began = Instant::now();
        let (row, key) =
            (NodeRow { node: self.ctx.node, counter: self.counter }, keys::push_node(self.lease.incarnation));
        let key = &key;
        self.ctx
            .chat
            .run_idempotent(|tx| async move {
                tx.set_row(key, &row);
                Ok(())
            })
            .await?;
        self.lease.be_valid_until(began + Duration::from_millis(self.ctx.config.lease_ms * 3 / 4));
        Ok(())
    }

    /// Takes a shard, if it is as it was seen.
    pub(super) async fn take(&self, shard: u64, seen: Option<LeaseRow>) -> Result<bool, ChatError> {
        let own = LeaseRow { incarnation: self.lease.incarnation };
        let take = self.ctx.chat.run_idempotent(|tx| async move {
            let key = keys::push_lease(shard);
            let found: Option<LeaseRow> = tx.row(&key).await?;
            if found != seen && found != Some(own) {
                return Ok(false);
            }
            tx.set_row(key, &own);
            Ok(true)
        });
        take.await
    }

    fn work_on(&mut self, shard: u64) {
        let stop = CancellationToken::new();
        let work = Shard::new(shard, Arc::clone(&self.ctx), Arc::clone(&self.lease));
        let task = self.tasks.spawn(work.run(stop.clone())).id();
        self.working.insert(shard, Worker { task, stop });
        self.ctx.metrics.shards.set(i64::try_from(self.working.len()).unwrap_or(i64::MAX));
    }

    async fn let_go(&self, shard: u64) -> Result<(), ChatError> {
        let lease = &self.lease;
        let let_go = self.ctx.chat.run_idempotent(|tx| async move {
            if lease.holds(&tx, shard).await? {
                tx.clear(keys::push_lease(shard));
            }
            Ok(())
        });
        let_go.await
    }

    /// Rows of dead notifiers, and dead letters: by whoever has the first shard.
    async fn sweep(&mut self, dead: &[[u8; 16]]) -> Result<(), ChatError> {
        if !self.working.contains_key(&0) || self.swept_at.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return Ok(());
        }
        self.swept_at = Some(Instant::now());
        let forget = self.ctx.chat.run_idempotent(|tx| async move {
            dead.iter().for_each(|incarnation| tx.clear(keys::push_node(*incarnation)));
            Ok(())
        });
        forget.await?;
        dead::sweep(&self.ctx.chat, self.ctx.config.dead_ms, self.ctx.config.dead_max).await
    }
}

type Seen = (BTreeMap<[u8; 16], NodeRow>, BTreeMap<u64, LeaseRow>);

async fn look(tx: &Tx) -> Result<Seen, ChatError> {
    let (mut nodes, mut leases) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in tx.all_rows(keys::push_nodes()).await? {
        nodes.insert(keys::push_node_of(&key).ok_or(ChatError::BadRow("notifier"))?, decode_row(&value)?);
    }
    for shard in 0..OUTBOX_SHARDS {
        if let Some(row) = tx.row(&keys::push_lease(shard)).await? {
            leases.insert(shard, row);
        }
    }
    Ok((nodes, leases))
}

#[cfg(test)]
mod tests {
    use suda_schema::{ChannelId, Seq, UserId};

    use super::*;
    use crate::chat::outbox::OutboxRow;
    use crate::notifier::commit::{self, Effect};
    use crate::notifier::context;
    use crate::store::Store;

    /// Two notifiers over one store; the first has all shards, and the second has seen it alive.
    async fn two() -> (Manager, Manager) {
        let store = Store::memory();
        let mut one = Manager::new(context(store.clone(), 1));
        let mut other = Manager::new(context(store, 2));
        one.round().await.unwrap();
        other.round().await.unwrap();
        assert_eq!((one.working.len() as u64, other.working.len()), (OUTBOX_SHARDS, 0));
        (one, other)
    }

    fn lease_time(manager: &Manager) -> Duration {
        Duration::from_millis(manager.ctx.config.lease_ms)
    }

    #[tokio::test]
    async fn a_shard_whose_work_has_panicked_is_worked_on_again() {
        let mut manager = Manager::new(context(Store::memory(), 1));
        manager.round().await.unwrap();
        assert_eq!(manager.working.len() as u64, OUTBOX_SHARDS);
        let task = manager.tasks.spawn(async { panic!("a bug") }).id();
        manager.working.get_mut(&3).unwrap().task = task;
        let ended = manager.tasks.join_next_with_id().await.unwrap();
        assert_eq!(manager.ended(ended), Some(3));
        // Let go in one round, taken in the next.
        manager.round().await.unwrap();
        manager.round().await.unwrap();
        assert!(manager.working.contains_key(&3) && manager.working[&3].task != task);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stood_still_can_mark_nothing_when_it_wakes() {
        let (mut one, mut other) = two().await;
        // A row that is not due before the end of time, so that nobody but this test has to do with it.
        let (shard, key) = (3, &[keys::pushes(3).begin(), &[1]].concat());
        let row = &OutboxRow::message(ChannelId(shard), (Seq(1), u64::MAX), UserId(1));
        let put = one.ctx.chat.run_idempotent(|tx| async move {
            tx.set_row(key, row);
            Ok(())
        });
        put.await.unwrap();
        tokio::time::advance(lease_time(&one)).await;
        assert!(!one.lease.is_valid(), "it goes on though others may take it for dead");
        other.round().await.unwrap();
        assert_eq!(other.working.len() as u64, OUTBOX_SHARDS);
        // It wakes, and says what it has sent before.
        let effects = [Effect::Done(key.clone().into())];
        for (manager, may) in [(&one, false), (&other, true)] {
            let (lease, effects) = (&*manager.lease, &effects[..]);
            let write = |tx| async move { commit::write(&tx, lease, shard, effects).await };
            assert_eq!(manager.ctx.chat.run_idempotent(write).await.unwrap(), may);
            let left = one.ctx.chat.read(|tx| async move { tx.row::<OutboxRow>(key).await }).await.unwrap();
            assert_eq!(left.is_none(), may);
        }
        // It is one of two again, and gets its part.
        one.round().await.unwrap();
        assert!(one.lease.is_valid());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_and_not_silent_for_too_long_keeps_its_shards() {
        let (mut one, mut other) = two().await;
        for _ in 0..5 {
            tokio::time::advance(lease_time(&one) * 9 / 10).await;
            one.beat().await.unwrap();
            other.round().await.unwrap();
            assert_eq!(other.working.len(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_share_and_one_that_leaves_is_followed_at_once() {
        let (mut one, mut other) = two().await;
        let half = usize::try_from(OUTBOX_SHARDS / 2).unwrap();
        // The first gives up what is too much, once what is under way has ended.
        while other.working.len() < half {
            one.round().await.unwrap();
            while let Some(ended) = one.tasks.try_join_next_with_id() {
                if let Some(shard) = one.ended(ended) {
                    one.let_go(shard).await.unwrap();
                }
            }
            tokio::time::advance(Duration::from_millis(10)).await;
            other.round().await.unwrap();
        }
        assert_eq!((one.working.len(), other.working.len()), (half, half));
        let stop = CancellationToken::new();
        stop.cancel();
        one.run(stop).await;
        other.round().await.unwrap();
        assert_eq!(other.working.len() as u64, OUTBOX_SHARDS);
    }
}
