//! A transaction as domain code sees it: limits, prefix and bookkeeping over the engine's own.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::engine::{Atomic, EngineTxn, Fut, Versionstamp, Write};
use super::range::{after_key, after_prefix};
use super::{KEY_BYTES_MAX, Page, Range, StoreError, TXN_BYTES_MAX, VALUE_BYTES_MAX};

/// The bytes that say where in a key the stamp belongs.
const STAMP_PLACE_BYTES: usize = size_of::<u32>();

/// One transaction. A cheap handle: clones are the same transaction.
///
/// Writes are remembered and happen together at the commit, which [`Store::run`](super::Store::run) does. A write
/// that is over a limit fails the commit.
#[derive(Clone)]
pub struct Txn {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Box<dyn EngineTxn>,
    prefix: Bytes,
    read_only: bool,
    account: Mutex<Account>,
}

/// What this transaction has used of its limits.
#[derive(Default)]
struct Account {
    bytes: usize,
    /// The first write that was refused: said at the commit.
    refused: Option<StoreError>,
    finished: bool,
}

impl Txn {
    pub(crate) fn new(engine: Box<dyn EngineTxn>, prefix: Bytes, read_only: bool) -> Self {
        Self { inner: Arc::new(Inner { engine, prefix, read_only, account: Mutex::default() }) }
    }

    /// The value of a key, own writes included.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.get_as(key, false).await
    }

    /// The same without a read conflict: others may change it, and this transaction commits all the same.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn get_snapshot(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.get_as(key, true).await
    }

    async fn get_as(&self, key: &[u8], snapshot: bool) -> Result<Option<Bytes>, StoreError> {
        self.usable()?;
        let key = self.key(key)?;
        if !snapshot {
            self.charge(2 * key.len())?;
        }
        self.noted(self.inner.engine.get(key, snapshot).await)
    }

    /// One page of the rows of a range, own writes included.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.usable()?;
        if range.is_empty() {
            return Ok(Page::default());
        }
        let mut full = range.clone();
        (full.begin, full.end) = (self.bound(&range.begin)?, self.bound(&range.end)?);
        if !range.snapshot {
            self.charge(full.begin.len() + full.end.len())?;
        }
        let cut = self.inner.prefix.len();
        full.prefix_bytes = cut;
        let mut page = self.noted(self.inner.engine.range(full).await)?;
        for (key, _) in &mut page.rows {
            let _ = key.split_to(cut.min(key.len()));
        }
        if let (true, Some((last, _))) = (page.more, page.rows.last()) {
            let mut next = range;
            if next.reverse {
                next.end = last.clone();
            } else {
                next.begin = after_key(last).into();
            }
            page.next = Some(next);
        }
        Ok(page)
    }

    /// Sets a key to a value of at most [`VALUE_BYTES_MAX`]; longer ones are for [`Txn::set_big`].
    pub fn set(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) {
        let value = value.into();
        self.write(|txn| {
            let key = txn.key(key.as_ref())?;
            txn.charge(value_len(&value)? + key.len())?;
            Ok(Write::Set(key, value))
        });
    }

    /// Removes a key.
    pub fn clear(&self, key: impl AsRef<[u8]>) {
        self.write(|txn| {
            let key = txn.key(key.as_ref())?;
            txn.charge(2 * key.len())?;
            Ok(Write::Clear(key))
        });
    }

    /// Removes all keys from `begin` up to, and without, `end`.
    pub fn clear_range(&self, begin: impl AsRef<[u8]>, end: impl AsRef<[u8]>) {
        self.write_span(begin.as_ref(), end.as_ref(), Write::ClearRange);
    }

    /// Adds to a little-endian number of 8 bytes, without reading it: two transactions that add don't conflict.
    /// A missing number is 0; it wraps around.
    pub fn add(&self, key: impl AsRef<[u8]>, by: i64) {
        self.atomic(key.as_ref(), Atomic::Add(by));
    }

    /// Raises a little-endian number of 8 bytes to at least this, without reading it.
    pub fn max(&self, key: impl AsRef<[u8]>, to: u64) {
        self.atomic(key.as_ref(), Atomic::Max(to));
    }

    fn atomic(&self, key: &[u8], atomic: Atomic) {
        self.write(|txn| {
            let key = txn.key(key)?;
            txn.charge(key.len() + size_of::<u64>())?;
            Ok(Write::Atomic(key, atomic))
        });
    }

    /// Sets the key that has the commit's stamp between `prefix` and `suffix`: keys that sort in the order of commits,
    /// without a conflict between them. Reading where such a key may come to be is an error in the same transaction.
    pub fn set_versionstamped_key(&self, prefix: impl AsRef<[u8]>, suffix: impl AsRef<[u8]>, value: impl Into<Bytes>) {
        let (suffix, value) = (suffix.as_ref(), value.into());
        self.write(|txn| {
            let prefix = txn.bound(prefix.as_ref())?;
            // FoundationDB counts the stamp's place, which travels with the key.
            let key_len = prefix.len() + size_of::<Versionstamp>() + suffix.len() + STAMP_PLACE_BYTES;
            check("key", key_len, KEY_BYTES_MAX)?;
            txn.charge(value_len(&value)? + key_len)?;
            Ok(Write::SetVersionstamped { prefix, suffix: Bytes::copy_from_slice(suffix), value })
        });
    }

    /// A read conflict with a key, as if it had been read: for what was read by snapshot.
    pub fn conflict_on(&self, key: impl AsRef<[u8]>) {
        self.write_span(key.as_ref(), &after_key(key.as_ref()), Write::AsIfRead);
    }

    /// A read conflict with all keys from `begin` up to, and without, `end`.
    pub fn conflict_on_range(&self, begin: impl AsRef<[u8]>, end: impl AsRef<[u8]>) {
        self.write_span(begin.as_ref(), end.as_ref(), Write::AsIfRead);
    }

    /// A write conflict with a key, as if it had been written: whoever has read it conflicts with this transaction.
    pub fn claim(&self, key: impl AsRef<[u8]>) {
        self.write_span(key.as_ref(), &after_key(key.as_ref()), Write::AsIfWritten);
    }

    /// A write conflict with all keys from `begin` up to, and without, `end`.
    pub fn claim_range(&self, begin: impl AsRef<[u8]>, end: impl AsRef<[u8]>) {
        self.write_span(begin.as_ref(), end.as_ref(), Write::AsIfWritten);
    }

    /// A future that resolves when the key is no longer as this transaction saw or left it. It is armed by the
    /// transaction's success (a change between its read and its success is seen) and lost without it. It may also
    /// resolve where the value is the same again: whoever waits reads again. To watch is to read: a transaction that
    /// also writes conflicts with a change before its commit.
    pub fn watch(&self, key: &[u8]) -> Watch {
        let change = self.usable().and_then(|()| self.key(key)).map(|key| {
            self.inner.engine.write(Write::AsIfRead(key.clone(), after_key(&key).into()));
            self.inner.engine.watch(key)
        });
        Watch { change: change.unwrap_or_else(|error| Box::pin(std::future::ready(Err(error)))) }
    }

    /// The version at which this transaction reads. Grows with the commits; only for comparing.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn read_version(&self) -> Result<u64, StoreError> {
        self.usable()?;
        self.inner.engine.read_version().await
    }

    /// The stamp of this transaction's commit: a future to be taken before the commit, which resolves after it.
    pub fn versionstamp(&self) -> impl Future<Output = Result<Versionstamp, StoreError>> + Send + 'static {
        self.inner.engine.versionstamp()
    }

    /// Ends a transaction of [`Store::begin`](super::Store::begin); for others, `run` does it. Their writes happen now,
    /// all of them or, where this fails, none.
    ///
    /// # Errors
    /// What was refused on the way, such as a key that is too long; then what the engine says.
    pub async fn commit(&self) -> Result<(), StoreError> {
        {
            let mut account = self.account();
            if account.finished {
                return Err(StoreError::Misuse { what: "committed twice" });
            }
            account.finished = true;
            if let Some(refused) = account.refused.take() {
                return Err(refused);
            }
        }
        self.inner.engine.commit().await
    }

    fn write_span(&self, begin: &[u8], end: &[u8], write: fn(Bytes, Bytes) -> Write) {
        if begin >= end {
            return;
        }
        self.write(|txn| {
            let (begin, end) = (txn.bound(begin)?, txn.bound(end)?);
            txn.charge(begin.len() + end.len())?;
            Ok(write(begin, end))
        });
    }

    fn write(&self, write: impl FnOnce(&Self) -> Result<Write, StoreError>) {
        let checked = self.usable().and_then(|()| {
            if self.inner.read_only { Err(StoreError::Misuse { what: "a write in Store::read" }) } else { write(self) }
        });
        match checked {
            Ok(write) => self.inner.engine.write(write),
            Err(error) => self.refuse(error),
        }
    }

    /// A write can't be done: the commit will fail with this.
    pub(super) fn refuse(&self, error: StoreError) {
        self.account().refused.get_or_insert(error);
    }

    /// A read that was wrong use spoils the transaction, as it does on FoundationDB.
    fn noted<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error @ StoreError::Misuse { .. }) = &read {
            self.refuse(error.clone());
        }
        read
    }

    /// The engine's key for one of ours.
    fn key(&self, key: &[u8]) -> Result<Bytes, StoreError> {
        if key.first() == Some(&0xff) {
            return Err(StoreError::Misuse { what: "keys from 0xff on belong to the engine" });
        }
        check("key", self.inner.prefix.len() + key.len(), KEY_BYTES_MAX)?;
        self.bound(key)
    }

    /// The same for the bound of a range, which may lie just behind all keys.
    fn bound(&self, key: &[u8]) -> Result<Bytes, StoreError> {
        let prefix = &self.inner.prefix;
        // One byte more than a key: the bound behind the longest key.
        check("key", prefix.len() + key.len(), KEY_BYTES_MAX + 1)?;
        if prefix.is_empty() {
            return Ok(Bytes::copy_from_slice(key));
        }
        if key.first() == Some(&0xff) {
            return Ok(after_prefix(prefix).into());
        }
        let mut full = BytesMut::with_capacity(prefix.len() + key.len());
        full.extend_from_slice(prefix);
        full.extend_from_slice(key);
        Ok(full.freeze())
    }

    fn charge(&self, bytes: usize) -> Result<(), StoreError> {
        let mut account = self.account();
        account.bytes = account.bytes.saturating_add(bytes);
        check("transaction", account.bytes, TXN_BYTES_MAX)
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.account().finished { Err(StoreError::Misuse { what: "used after its end" }) } else { Ok(()) }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.inner.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn value_len(value: &Bytes) -> Result<usize, StoreError> {
    check("value", value.len(), VALUE_BYTES_MAX)?;
    Ok(value.len())
}

fn check(what: &'static str, bytes: usize, limit: usize) -> Result<(), StoreError> {
    if bytes > limit { Err(StoreError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

/// Resolves when a key has changed: see [`Txn::watch`]. An error means that changes may be missed from now on.
#[must_use = "a watch does nothing unless it is waited for"]
pub struct Watch {
    change: Fut<'static, ()>,
}

impl Future for Watch {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.change.as_mut().poll(cx)
    }
}
