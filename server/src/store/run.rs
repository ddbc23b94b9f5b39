//! Running transactions: again after a conflict, a bounded number of times, after a pause with jitter.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Store, StoreError, Txn, TxnError};

/// How often a transaction is run again after a conflict.
pub const RETRIES_MAX: u32 = 100;
/// How often it is run again after having become too old: each time takes seconds.
const TOO_OLD_RETRIES_MAX: u32 = 2;
/// The first pause is at most so long; each further one at most twice as long as the one before.
const PAUSE_MS_MIN: u64 = 2;
/// No pause is longer.
const PAUSE_MS_MAX: u64 = 250;

impl Store {
    /// Runs a transaction and commits it; runs it again where it conflicts with others. `op` may thus run many times,
    /// and must have no effect but on the transaction. If it fails with an error of its own, nothing is committed.
    ///
    /// # Errors
    /// What `op` fails with, or what the store does. [`StoreError::CommitUnknown`] is the caller's to resolve.
    pub async fn run<T, E, F, Fut>(&self, op: F) -> Result<T, E>
    where
        F: Fn(Txn) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send,
        E: TxnError,
    {
        self.attempts(op, Mode::Once).await
    }

    /// The same for an operation that carries its own retry id, so that running it twice does it once: it is also run
    /// again where the outcome of a commit is unknown.
    ///
    /// # Errors
    /// What `op` fails with, or what the store does.
    pub async fn run_idempotent<T, E, F, Fut>(&self, op: F) -> Result<T, E>
    where
        F: Fn(Txn) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send,
        E: TxnError,
    {
        self.attempts(op, Mode::Idempotent).await
    }

    /// Runs a transaction that only reads: one consistent snapshot, as of now. It never conflicts.
    ///
    /// # Errors
    /// What `op` fails with, or what the store does; a write is an error.
    pub async fn read<T, E, F, Fut>(&self, op: F) -> Result<T, E>
    where
        F: Fn(Txn) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send,
        E: TxnError,
    {
        self.attempts(op, Mode::ReadOnly).await
    }

    async fn attempts<T, E, F, Fut>(&self, op: F, mode: Mode) -> Result<T, E>
    where
        F: Fn(Txn) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send,
        E: TxnError,
    {
        let mut retries = Retries { done: 0, too_old: 0 };
        loop {
            let error = match self.attempt(&op, mode).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(cause) = error.as_store() else { return Err(error) };
            self.count(cause);
            if !mode.may_retry(cause) {
                return Err(error);
            }
            if !retries.allow(cause) {
                self.metrics.retries_used_up.inc();
                return Err(error);
            }
            self.pause(retries.done).await;
        }
    }

    async fn attempt<T, E, F, Fut>(&self, op: &F, mode: Mode) -> Result<T, E>
    where
        F: Fn(Txn) -> Fut,
        Fut: Future<Output = Result<T, E>> + Send,
        E: TxnError,
    {
        let txn = Txn::new(self.engine.begin(), self.prefix.clone(), mode == Mode::ReadOnly);
        let done = op(txn.clone()).await?;
        // Only measured; nothing is decided by it.
        let began = Instant::now();
        txn.commit().await?;
        if mode != Mode::ReadOnly {
            self.metrics.committed(began.elapsed());
        }
        Ok(done)
    }

    fn count(&self, cause: &StoreError) {
        match cause {
            StoreError::Conflict => self.metrics.conflicts.inc(),
            StoreError::TooOld => self.metrics.too_old.inc(),
            StoreError::CommitUnknown => self.metrics.unknown.inc(),
            StoreError::DiskFull { .. } => self.metrics.disk_full.inc(),
            _ => 0,
        };
    }

    async fn pause(&self, retry: u32) {
        let longest_ms = (PAUSE_MS_MIN << retry.min(16)).min(PAUSE_MS_MAX);
        tokio::time::sleep(Duration::from_millis(self.clock.below(longest_ms + 1))).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Once,
    Idempotent,
    ReadOnly,
}

impl Mode {
    fn may_retry(self, cause: &StoreError) -> bool {
        cause.is_retryable() || (self == Self::Idempotent && *cause == StoreError::CommitUnknown)
    }
}

struct Retries {
    done: u32,
    too_old: u32,
}

impl Retries {
    fn allow(&mut self, cause: &StoreError) -> bool {
        self.done += 1;
        self.too_old += u32::from(*cause == StoreError::TooOld);
        self.done <= RETRIES_MAX && self.too_old <= TOO_OLD_RETRIES_MAX
    }
}
