//! One seam over ordered keys: [`Store`] and [`Txn`], on any of three engines.
//!
//! Transactions are optimistic and strictly serializable: a transaction reads one consistent snapshot and its own
//! writes, and commits only if nothing that it read has changed since; else it is run again from its start.
//!
//! | file | idea |
//! |---|---|
//! | `txn` | a transaction as domain code sees it |
//! | `run` | retries |
//! | `big` | values of any size, in chunks |
//! | `keys` | the whole key layout |
//! | `tuple` | the encoding of keys, byte for byte that of FoundationDB's tuple layer |
//! | `engine` | what an engine has to do |
//! | `local` | the transactions of the engines that live in this process: `memory` and `embedded` |
//! | `foundationdb` | the engine of many machines |
//! | `faults` | an engine that fails on purpose, for tests |

mod big;
mod engine;
mod error;
mod faults;
#[cfg(feature = "foundationdb")]
pub mod foundationdb;
pub mod keys;
mod local;
mod metrics;
mod range;
mod run;
pub mod tuple;
mod txn;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

pub use engine::Versionstamp;
pub use error::{StoreError, TxnError};
pub use faults::Faults;
pub use local::Embedded;
pub use metrics::Metrics;
pub use range::{PAGE_BYTES_MAX, PAGE_ROWS_MAX, Page, Range, after_key, after_prefix};
pub use run::RETRIES_MAX;
pub use txn::{Txn, Watch};

use crate::clock::Clock;
use engine::Engine;

/// The most bytes in a key, with the store's prefix.
pub const KEY_BYTES_MAX: usize = 10_000;
/// The most bytes in one value. Longer ones are stored in chunks: [`Txn::set_big`].
pub const VALUE_BYTES_MAX: usize = 100_000;
/// The most bytes in one transaction: keys and values written, and keys read.
pub const TXN_BYTES_MAX: usize = 10_000_000;
/// A transaction lives at most so long from its first read.
pub const TXN_AGE_MS_MAX: u64 = 5_000;

/// Ordered keys with transactions. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    clock: Clock,
    prefix: Bytes,
    metrics: Metrics,
}

impl Store {
    /// A store that lives in memory and ends with its last handle: for tests.
    #[must_use]
    pub fn memory() -> Self {
        Self::memory_at(Clock::system())
    }

    /// The same by a clock of the caller's.
    #[must_use]
    pub fn memory_at(clock: Clock) -> Self {
        let metrics = Metrics::default();
        Self::new(Arc::new(local::memory(&clock, &metrics)), clock, metrics)
    }

    /// The same with faults injected.
    #[must_use]
    pub fn memory_with(faults: Faults) -> Self {
        Self::memory_that_goes_away(faults, Arc::default())
    }

    /// The same, and as long as the switch is on nothing can be read or committed.
    #[must_use]
    pub fn memory_that_goes_away(faults: Faults, away: Arc<AtomicBool>) -> Self {
        let (clock, metrics) = (Clock::system(), Metrics::default());
        let memory = Arc::new(local::memory(&clock, &metrics));
        Self::new(Arc::new(faults::Faulty::new(memory, faults, away)), clock, metrics)
    }

    /// A FoundationDB cluster. All keys lie under `prefix`, so that several systems can share a cluster.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::Unavailable`], with what to do.
    #[cfg(feature = "foundationdb")]
    pub async fn foundationdb(
        options: &foundationdb::Options,
        prefix: &[u8],
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let engine = foundationdb::FoundationDb::open(options).await?;
        Ok(Self::new(Arc::new(engine), clock, Metrics::default()).with_prefix(prefix))
    }

    /// A store on the local disk, for this process alone. Opening it blocks, for as long as recovery takes.
    ///
    /// # Errors
    /// `Open` where another process has it open, or the folder can't be used; `Corrupt` where it is damaged.
    pub fn embedded(options: Embedded, clock: Clock) -> Result<Self, StoreError> {
        let metrics = Metrics::default();
        Ok(Self::new(Arc::new(local::embedded(options, &clock, &metrics)?), clock, metrics))
    }

    fn new(engine: Arc<dyn Engine>, clock: Clock, metrics: Metrics) -> Self {
        Self { engine, clock, prefix: Bytes::new(), metrics }
    }

    /// Begins a transaction that nobody runs again or commits by itself: for tools and tests. Everybody else wants
    /// [`Store::run`].
    #[must_use]
    pub fn begin(&self) -> Txn {
        Txn::new(self.engine.begin(), self.prefix.clone(), false)
    }

    /// What this store counts, all its prefixes together.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The same store, seen through a prefix: all keys lie under it, nobody sees it. Prefixes add up.
    #[must_use]
    pub fn with_prefix(&self, prefix: &[u8]) -> Self {
        Self { prefix: [&self.prefix, prefix].concat().into(), ..self.clone() }
    }
}
