//! An engine that fails on purpose, as a seed says: what domain code has to survive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::engine::{Engine, EngineTxn, Fut, Versionstamp, Write};
use super::{Page, Range, StoreError};
use crate::clock::Clock;

/// How often what goes wrong, in parts per thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The same seed gives the same faults to the same sequence of operations.
    pub seed: u64,
    /// Commits that conflict, though nobody was in the way.
    pub conflict_permille: u64,
    /// Commits that happen, but say that the outcome is unknown.
    pub unknown_applied_permille: u64,
    /// Commits that don't happen, and say that the outcome is unknown.
    pub unknown_dropped_permille: u64,
    /// Reads and commits that fail with `Unavailable`.
    pub failure_permille: u64,
    /// Reads and commits that come late.
    pub delay_permille: u64,
    /// How late at most.
    pub delay_ms_max: u64,
}

pub(crate) struct Faulty {
    inner: Arc<dyn Engine>,
    dice: Dice,
}

#[derive(Clone)]
struct Dice {
    faults: Faults,
    away: Arc<AtomicBool>,
    /// Only for its randomness.
    clock: Clock,
}

struct FaultyTxn {
    inner: Box<dyn EngineTxn>,
    dice: Dice,
    wrote: AtomicBool,
}

impl Faulty {
    /// As long as `away` is set, nothing can be read or committed.
    pub(crate) fn new(inner: Arc<dyn Engine>, faults: Faults, away: Arc<AtomicBool>) -> Self {
        Self { inner, dice: Dice { faults, away, clock: Clock::manual(0, faults.seed) } }
    }
}

impl Engine for Faulty {
    fn begin(&self) -> Box<dyn EngineTxn> {
        Box::new(FaultyTxn { inner: self.inner.begin(), dice: self.dice.clone(), wrote: AtomicBool::new(false) })
    }
}

impl EngineTxn for FaultyTxn {
    fn get(&self, key: Bytes, snapshot: bool) -> Fut<'_, Option<Bytes>> {
        Box::pin(async move {
            self.dice.trouble().await?;
            self.inner.get(key, snapshot).await
        })
    }

    fn range(&self, range: Range) -> Fut<'_, Page> {
        Box::pin(async move {
            self.dice.trouble().await?;
            self.inner.range(range).await
        })
    }

    fn write(&self, write: Write) {
        self.wrote.store(true, Ordering::Relaxed);
        self.inner.write(write);
    }

    fn watch(&self, key: Bytes) -> Fut<'static, ()> {
        self.inner.watch(key)
    }

    fn read_version(&self) -> Fut<'_, u64> {
        self.inner.read_version()
    }

    fn versionstamp(&self) -> Fut<'static, Versionstamp> {
        self.inner.versionstamp()
    }

    fn commit(&self) -> Fut<'_, ()> {
        Box::pin(async move {
            self.dice.trouble().await?;
            if !self.wrote.load(Ordering::Relaxed) {
                return self.inner.commit().await;
            }
            let faults = self.dice.faults;
            if self.dice.falls(faults.conflict_permille) {
                return Err(StoreError::Conflict);
            }
            if self.dice.falls(faults.unknown_dropped_permille) {
                return Err(StoreError::CommitUnknown);
            }
            self.inner.commit().await?;
            if self.dice.falls(faults.unknown_applied_permille) {
                return Err(StoreError::CommitUnknown);
            }
            Ok(())
        })
    }
}

impl Dice {
    fn falls(&self, permille: u64) -> bool {
        permille > 0 && self.clock.below(1_000) < permille
    }

    async fn trouble(&self) -> Result<(), StoreError> {
        if self.falls(self.faults.delay_permille) {
            tokio::time::sleep(Duration::from_millis(self.clock.below(self.faults.delay_ms_max + 1))).await;
        }
        if self.away.load(Ordering::SeqCst) || self.falls(self.faults.failure_permille) {
            return Err(StoreError::Unavailable { what: "injected by a test".to_owned() });
        }
        Ok(())
    }
}
