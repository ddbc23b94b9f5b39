//! The engine of many machines: FoundationDB, through its own client library.
//!
//! | file | idea |
//! |---|---|
//! | `boot` | the client's network thread: started once in a process, stopped before it ends |
//! | `errors` | FoundationDB's error codes as ours |
//! | `range` | pages with an exact end, from a server that ends them where it likes |

mod boot;
mod errors;
mod range;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use foundationdb::options::{ConflictRangeType, DatabaseOption, MutationType};
use foundationdb::{Database, FdbResult, Transaction};

use super::engine::{Atomic, Engine, EngineTxn, Fut, Versionstamp, Write};
use super::{Page, Range, StoreError};
use errors::{Moment, from_fdb};

/// How to reach a FoundationDB cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster file; without one the client looks where FoundationDB's own tools do.
    pub cluster_file: Option<PathBuf>,
    /// An operation that takes longer fails, and a commit that does has an unknown outcome.
    pub timeout_ms: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { cluster_file: None, timeout_ms: 5_000 }
    }
}

/// The most watches of this process that have not fired. A node needs one for its bell and few more.
const WATCHES_MAX: i32 = 10_000;

/// A connection to a cluster.
pub(super) struct FoundationDb {
    database: Database,
}

impl FoundationDb {
    /// Connects, and reads once, so that what is wrong with library, cluster file or cluster is said now.
    pub(super) async fn open(options: &Options) -> Result<Self, StoreError> {
        boot::once()?;
        let path = options.cluster_file.as_deref().map(readable).transpose()?;
        let opening = |error| errors::open(error, path.unwrap_or("the default cluster file"));
        let database = Database::new(path).map_err(opening)?;
        let timeout_ms = i32::try_from(options.timeout_ms).unwrap_or(i32::MAX);
        for option in [DatabaseOption::TransactionTimeout(timeout_ms), DatabaseOption::MaxWatches(WATCHES_MAX)] {
            database.set_option(option).map_err(opening)?;
        }
        let first = async { database.create_trx()?.get_read_version().await };
        if let Err(error) = first.await {
            let status = database.get_client_status().await.map(|json| json.to_vec()).unwrap_or_default();
            return Err(errors::unreachable(error, &status));
        }
        boot::stop_at_exit();
        Ok(Self { database })
    }
}

impl Drop for FoundationDb {
    fn drop(&mut self) {
        boot::stop_at_exit();
    }
}

/// The path as the client takes it, checked: the client itself would wait for ever for a file that is not there.
fn readable(path: &Path) -> Result<&str, StoreError> {
    let refuse = |why: String| StoreError::Open { what: format!("cluster file {}: {why}", path.display()) };
    std::fs::File::open(path).map_err(|error| refuse(error.to_string()))?;
    path.to_str().filter(|path| !path.contains('\0')).ok_or_else(|| refuse("its path is not UTF-8".to_owned()))
}

impl Engine for FoundationDb {
    fn begin(&self) -> Box<dyn EngineTxn> {
        Box::new(FdbTxn { state: Mutex::new(State::new(self.database.create_trx())) })
    }
}

/// One transaction. The client's futures don't borrow it, so the lock is held only to make them.
struct FdbTxn {
    state: Mutex<State>,
}

enum State {
    Open(Transaction),
    /// A write was refused: the commit says so.
    Refused(Transaction, StoreError),
    /// It could not be begun, or was committed.
    Gone(StoreError),
}

impl State {
    fn new(begun: FdbResult<Transaction>) -> Self {
        begun.map_or_else(|error| Self::Gone(from_fdb(error, Moment::Read)), Self::Open)
    }
}

impl FdbTxn {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, what: impl FnOnce(&Transaction) -> T) -> Result<T, StoreError> {
        match &*self.state() {
            State::Open(txn) | State::Refused(txn, _) => Ok(what(txn)),
            State::Gone(error) => Err(error.clone()),
        }
    }
}

impl EngineTxn for FdbTxn {
    fn get(&self, key: Bytes, snapshot: bool) -> Fut<'_, Option<Bytes>> {
        let value = self.with(|txn| txn.get(&key, snapshot));
        Box::pin(async move {
            let value = value?.await.map_err(|error| from_fdb(error, Moment::Read))?;
            Ok(value.map(|bytes| Bytes::copy_from_slice(&bytes)))
        })
    }

    fn range(&self, range: Range) -> Fut<'_, Page> {
        Box::pin(range::read(self, range))
    }

    fn write(&self, write: Write) {
        let mut state = self.state();
        let State::Open(txn) = &*state else { return };
        if let Err(error) = apply(txn, &write) {
            let error = from_fdb(error, Moment::Read);
            let gone = State::Gone(StoreError::Misuse { what: "a transaction in the middle of a write" });
            if let State::Open(txn) = std::mem::replace(&mut *state, gone) {
                *state = State::Refused(txn, error);
            }
        }
    }

    fn watch(&self, key: Bytes) -> Fut<'static, ()> {
        let change = self.with(|txn| txn.watch(&key));
        Box::pin(async move { change?.await.map_err(|error| from_fdb(error, Moment::Watch)) })
    }

    fn read_version(&self) -> Fut<'_, u64> {
        let version = self.with(Transaction::get_read_version);
        Box::pin(async move {
            let version = version?.await.map_err(|error| from_fdb(error, Moment::Read))?;
            Ok(u64::try_from(version).unwrap_or_default())
        })
    }

    fn versionstamp(&self) -> Fut<'static, Versionstamp> {
        let stamp = self.with(Transaction::get_versionstamp);
        Box::pin(async move {
            let stamp = stamp?.await.map_err(|error| from_fdb(error, Moment::Read))?;
            stamp
                .as_ref()
                .try_into()
                .map_err(|_| StoreError::Corrupt { what: "a versionstamp not of 10 bytes".to_owned() })
        })
    }

    fn commit(&self) -> Fut<'_, ()> {
        let gone = State::Gone(StoreError::Misuse { what: "a transaction after its commit" });
        let state = std::mem::replace(&mut *self.state(), gone);
        Box::pin(async move {
            match state {
                State::Open(txn) => {
                    txn.commit().await.map(drop).map_err(|error| from_fdb(error.into(), Moment::Commit))
                }
                State::Refused(_, error) | State::Gone(error) => Err(error),
            }
        })
    }
}

fn apply(txn: &Transaction, write: &Write) -> FdbResult<()> {
    match write {
        Write::Set(key, value) => txn.set(key, value),
        Write::Clear(key) => txn.clear(key),
        Write::ClearRange(begin, end) => txn.clear_range(begin, end),
        Write::Atomic(key, Atomic::Add(by)) => txn.atomic_op(key, &by.to_le_bytes(), MutationType::Add),
        Write::Atomic(key, Atomic::Max(to)) => txn.atomic_op(key, &to.to_le_bytes(), MutationType::Max),
        Write::SetVersionstamped { prefix, suffix, value } => {
            txn.atomic_op(&stamped_key(prefix, suffix), value, MutationType::SetVersionstampedKey);
        }
        Write::AsIfRead(begin, end) => txn.add_conflict_range(begin, end, ConflictRangeType::Read)?,
        Write::AsIfWritten(begin, end) => txn.add_conflict_range(begin, end, ConflictRangeType::Write)?,
    }
    Ok(())
}

/// The key as the client wants it: room for the stamp, and behind the key where that room begins.
fn stamped_key(prefix: &[u8], suffix: &[u8]) -> Vec<u8> {
    let offset = u32::try_from(prefix.len()).unwrap_or(u32::MAX);
    [prefix, &[0xff; size_of::<Versionstamp>()], suffix, &offset.to_le_bytes()].concat()
}
