//! What an engine has to do. Everything that is the same for all of them (limits, prefix, retries, large values) is
//! done above, in [`Store`](super::Store) and [`Txn`](super::Txn), so that an engine is only ordered keys and commits.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::{Page, Range, StoreError};

/// What an engine's operations give back: a future in a box, because engines are chosen at run time.
pub(crate) type Fut<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Ten bytes that grow with each commit: eight of version, two of order within it.
pub type Versionstamp = [u8; 10];

/// Ordered keys with optimistic, strictly serializable transactions.
pub(crate) trait Engine: Send + Sync + 'static {
    /// A new transaction. It gets its read version when it first reads, not before.
    fn begin(&self) -> Box<dyn EngineTxn>;
}

/// One transaction. It may be used by many futures at once, and lives until it is dropped.
///
/// Errors say what to do, as the table of [`StoreError`] has it: `not_committed` (1020) is `Conflict`,
/// `transaction_too_old` (1007) is `TooOld`, `commit_unknown_result` (1021) is `CommitUnknown`, `transaction_too_large`
/// (2101) is `TooLarge`, and other errors that FoundationDB calls retryable and not committed are `Busy`. The retry
/// itself, with its backoff, is above: it begins a new transaction.
pub(crate) trait EngineTxn: Send + Sync {
    /// The value of a key, own writes included. With `snapshot`, without a read conflict.
    fn get(&self, key: Bytes, snapshot: bool) -> Fut<'_, Option<Bytes>>;

    /// Rows of a non-empty range, own writes included, up to its row limit or to the row that reaches its byte limit
    /// (its keys without their first `prefix_bytes`); `more` is exact. The read conflict covers at least what was seen. `next` is made above.
    fn range(&self, range: Range) -> Fut<'_, Page>;

    /// Writes, atomic operations and conflict ranges: remembered until the commit.
    fn write(&self, write: Write);

    /// Resolves when the key's value is no longer what this transaction saw or wrote. Armed by the commit, which a
    /// transaction without writes needs for it, too; lost with a transaction that does not commit.
    fn watch(&self, key: Bytes) -> Fut<'static, ()>;

    /// The version at which this transaction reads.
    fn read_version(&self) -> Fut<'_, u64>;

    /// The stamp of the commit: asked for before, resolves after it. An error where nothing was written.
    fn versionstamp(&self) -> Fut<'static, Versionstamp>;

    /// Commits, once. Durable when it says so. Without writes it only arms watches.
    fn commit(&self) -> Fut<'_, ()>;
}

/// What a transaction does to keys at its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Set(Bytes, Bytes),
    Clear(Bytes),
    /// From the first up to, and without, the second.
    ClearRange(Bytes, Bytes),
    /// A little-endian number of 8 bytes applied to what is there; without a read conflict.
    Atomic(Bytes, Atomic),
    /// The stamp of the commit comes between prefix and suffix.
    SetVersionstamped {
        prefix: Bytes,
        suffix: Bytes,
        value: Bytes,
    },
    /// As if the span had been read.
    AsIfRead(Bytes, Bytes),
    /// As if the span had been written.
    AsIfWritten(Bytes, Bytes),
}

/// An operation on the number that is there, as FoundationDB's `ADD` and `MAX` do it: a missing value becomes the
/// operand, a longer or shorter one is cut or filled up to 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Atomic {
    /// Wrapping.
    Add(i64),
    /// As unsigned numbers.
    Max(u64),
}

impl Atomic {
    pub(crate) fn apply(self, base: Option<&[u8]>) -> Bytes {
        let old = base.map(|bytes| {
            let mut number = [0; 8];
            for (to, from) in number.iter_mut().zip(bytes) {
                *to = *from;
            }
            u64::from_le_bytes(number)
        });
        let new = match (self, old) {
            (Self::Add(by), old) => old.unwrap_or(0).wrapping_add(by.cast_unsigned()),
            (Self::Max(other), old) => old.unwrap_or(0).max(other),
        };
        Bytes::copy_from_slice(&new.to_le_bytes())
    }
}
