//! This node's place among the others: a number, held by a lease.
//!
//! The lease is a row with an incarnation drawn at the start. Each transaction of this node reads it (the fence), and each
//! beat raises a count beside it. Others that see the count stand still for [`dead_after`] take the row away. So that what
//! this node says from memory is not old news either, it relies on that only for [`current_for`] after the beginning of
//! its last beat, which is less, however long it was stopped in between.
//!
//! [`dead_after`]: super::ClusterConfig::dead_after
//! [`current_for`]: super::ClusterConfig::current_for

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::directory::Address;
use super::rows::{BeatRow, GoneRow, NodeRow, State, by_node};
use super::{Cluster, ClusterConfig, Local};
use crate::chat::ids::NODE_MAX;
use crate::chat::tx::{decode_row, encode_row};
use crate::clock::Clock;
use crate::store::{Store, StoreError, Txn, keys};

/// Why a node can't be one of several.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no number left.
    #[error("all {} node numbers are taken: stop nodes, or wait until those that died are swept", NODE_MAX)]
    Full,
}

impl crate::store::TxnError for JoinError {
    fn as_store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

/// This node's lease.
pub(super) struct Member {
    number: u16,
    incarnation: u64,
    address: Address,
    said: Mutex<Said>,
    began: Instant,
    current_for: Duration,
    /// Until when, from `began`, this node may rely on its memory.
    current_until_ms: AtomicU64,
    standing: watch::Sender<Standing>,
}

/// What the next beat says.
struct Said {
    count: u64,
    state: State,
    links: u32,
    hashes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The beat after which this was looked at.
    Beat(u64),
    Lost,
}

impl Member {
    pub(super) async fn join(
        store: &Store,
        clock: &Clock,
        config: &ClusterConfig,
        address: Address,
    ) -> Result<Self, JoinError> {
        let began = Instant::now();
        let incarnation = u64::from_le_bytes(clock.random());
        let row = NodeRow { incarnation, address: address.clone() };
        let first = BeatRow { count: 0, state: State::Starting, links: 0, certificate_hashes: Vec::new() };
        let (row, first) = (&encode_row(&row), &encode_row(&first));
        let number =
            store.run_idempotent(|txn| async move { take_number(&txn, incarnation, row, first).await }).await?;
        let (standing, _) = watch::channel(Standing::Beat(0));
        let current_for = config.current_for();
        tracing::info!(node = number, "this node has its number");
        Ok(Self {
            number,
            incarnation,
            address,
            said: Mutex::new(Said { count: 0, state: State::Starting, links: 0, hashes: Vec::new() }),
            began,
            current_for,
            current_until_ms: AtomicU64::new(ms(current_for)),
            standing,
        })
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn set_state(&self, state: State) {
        self.said().state = state;
    }

    /// Whether this node may rely on what it holds in memory.
    pub(super) fn is_current(&self) -> bool {
        ms(self.began.elapsed()) < self.current_until_ms.load(Ordering::Acquire)
    }

    /// Waits until it may, again.
    pub(super) async fn current(&self) {
        let mut standing = self.standing.subscribe();
        // The sender is this node's own.
        while !self.is_current() && standing.changed().await.is_ok() {}
    }

    /// Waits until others have taken it for dead.
    pub(super) async fn lost(&self) {
        let mut standing = self.standing.subscribe();
        // The sender is this node's own.
        let _ = standing.wait_for(|standing| *standing == Standing::Lost).await;
    }

    /// Fails the transaction if the number is not this node's any more.
    pub(super) async fn fence(&self, txn: &Txn) -> Result<(), StoreError> {
        let row = txn.get(&keys::node(self.number)).await?;
        if self.is_own(row.as_deref()) {
            return Ok(());
        }
        self.standing.send_replace(Standing::Lost);
        self.current_until_ms.store(0, Ordering::Release);
        Err(StoreError::Fenced { what: format!("node number {} is not this node's any more", self.number) })
    }

    fn is_own(&self, row: Option<&[u8]>) -> bool {
        row.and_then(|row| decode_row::<NodeRow>(row).ok()).is_some_and(|row| row.incarnation == self.incarnation)
    }

    async fn beat(&self, store: &Store) -> Result<(), StoreError> {
        let begun = Instant::now();
        let row = {
            let mut said = self.said();
            said.count += 1;
            BeatRow { count: said.count, state: said.state, links: said.links, certificate_hashes: said.hashes.clone() }
        };
        let value = &encode_row(&row);
        let write = |txn: Txn| async move {
            self.fence(&txn).await?;
            txn.set(keys::beat(self.number), value.clone());
            Ok(())
        };
        store.run_idempotent(write).await?;
        let until = begun.duration_since(self.began) + self.current_for;
        self.current_until_ms.fetch_max(ms(until), Ordering::AcqRel);
        self.standing.send_if_modified(|standing| {
            let lost = *standing == Standing::Lost;
            if !lost {
                *standing = Standing::Beat(row.count);
            }
            !lost
        });
        Ok(())
    }

    pub(super) async fn leave(&self, store: &Store) -> Result<(), StoreError> {
        let leave = |txn: Txn| async move {
            if self.is_own(txn.get(&keys::node(self.number)).await?.as_deref()) {
                give_up(&txn, self.number, Duration::ZERO);
            }
            Ok(())
        };
        let left = store.run_idempotent(leave).await;
        self.current_until_ms.store(0, Ordering::Release);
        left
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number is nobody's any more, and not to be taken before what its node has left is swept.
pub(super) fn give_up(txn: &Txn, number: u16, silent_for: Duration) {
    txn.clear(keys::node(number));
    txn.clear(keys::beat(number));
    txn.set(keys::gone_node(number), encode_row(&GoneRow { silent_ms: ms(silent_for) }));
}

/// Takes the lowest number that is free.
async fn take_number(txn: &Txn, incarnation: u64, row: &[u8], beat: &[u8]) -> Result<u16, JoinError> {
    let nodes = by_node(txn, keys::nodes()).await?;
    let is_own = |row: &[u8]| decode_row::<NodeRow>(row).is_ok_and(|row| row.incarnation == incarnation);
    // An earlier try may have been the one that counted.
    if let Some((number, _)) = nodes.iter().find(|(_, row)| is_own(row)) {
        return Ok(*number);
    }
    let gone = by_node(txn, keys::gone_nodes()).await?;
    let taken: BTreeSet<u16> = nodes.iter().chain(&gone).map(|(number, _)| *number).collect();
    let number = (1..=NODE_MAX).find(|number| !taken.contains(number)).ok_or(JoinError::Full)?;
    txn.set(keys::node(number), row.to_vec());
    txn.set(keys::beat(number), beat.to_vec());
    Ok(number)
}

/// Gives signs of life.
pub(super) async fn beat(cluster: Cluster, local: Arc<dyn Local>) {
    let inner = &cluster.inner;
    let mut ticks = tokio::time::interval(inner.config.beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (links, hashes) = (u32::try_from(local.links()).unwrap_or(u32::MAX), local.certificate_hashes());
        {
            let mut said = inner.member.said();
            (said.links, said.hashes) = (links, hashes);
        }
        if let Err(error) = say(&cluster).await {
            if matches!(error, StoreError::Fenced { .. }) {
                tracing::error!(node = inner.member.number, "others have taken this node for dead");
                return;
            }
            inner.metrics.beats_failed.inc();
            tracing::warn!(%error, "this node can't give a sign of life");
        }
    }
}

/// Gives a sign of life now.
pub(super) async fn say(cluster: &Cluster) -> Result<(), StoreError> {
    let inner = &cluster.inner;
    let begun = Instant::now();
    // One that takes as long as this comes too late, and another one may get through.
    let said = tokio::time::timeout(inner.config.current_for(), inner.member.beat(&inner.store)).await;
    inner.metrics.beat_seconds.observe(begun.elapsed().as_secs_f64());
    said.unwrap_or_else(|_| Err(StoreError::Unavailable { what: "no answer in time".to_owned() }))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
