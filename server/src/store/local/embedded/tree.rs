//! The LSM tree, and views of it that survive its being opened again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable, Snapshot};

use super::super::backing::{Row, View};
use super::super::overlay::Span;
use super::VERSION_KEY;
use crate::store::StoreError;

/// The tree waits without end when 4 memtables wait to be written, or 30 runs to be compacted, even where its workers
/// have failed and nobody will. So we wait before it comes to that, with an end.
const MEMTABLES_WAITING_MAX: usize = 2;
const RUNS_WAITING_MAX: usize = 24;
/// How long we wait.
const SETTLE_MS_MAX: u64 = 10_000;
/// How often we look.
const SETTLE_LOOK_MS: u64 = 2;

pub(super) struct Tree {
    path: PathBuf,
    sizes: Sizes,
    slot: Arc<Slot>,
}

/// What the tree may take of memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) cache_bytes: u64,
    pub(super) memtable_bytes: u64,
}

/// Holds the tree while it is open. Views come here for each read, so that they don't keep it open.
struct Slot(RwLock<State>);

enum State {
    Open(Opened),
    Closed(StoreError),
}

struct Opened {
    database: Database,
    rows: Keyspace,
    /// Views of the tree as it was opened before are not views of this one.
    generation: u64,
}

/// Why a write failed.
pub(super) enum WriteError {
    /// Nothing has happened.
    NotBegun(StoreError),
    /// It may be on the disk, or come there.
    Unknown(StoreError),
}

struct TreeView {
    slot: Arc<Slot>,
    snapshot: Snapshot,
    generation: u64,
}

/// The version that a view shows.
pub(super) fn version(view: &dyn View) -> Result<u64, StoreError> {
    let Some(version) = view.get(&VERSION_KEY)? else { return Ok(0) };
    let version = <[u8; 8]>::try_from(&version[..]);
    version.map(u64::from_be_bytes).map_err(|_| StoreError::Corrupt { what: "the row of the version".to_owned() })
}

impl Tree {
    pub(super) fn open(path: &Path, sizes: Sizes) -> Result<Self, StoreError> {
        let opened = Opened::open(path, sizes, 1)?;
        let slot = Arc::new(Slot(RwLock::new(State::Open(opened))));
        Ok(Self { path: path.to_owned(), sizes, slot })
    }

    /// What is there now.
    pub(super) fn view(&self) -> Result<Arc<dyn View>, StoreError> {
        self.slot.with(|opened| Ok(self.view_of(opened)))
    }

    fn view_of(&self, opened: &Opened) -> Arc<dyn View> {
        let (snapshot, generation) = (opened.database.snapshot(), opened.generation);
        Arc::new(TreeView { slot: Arc::clone(&self.slot), snapshot, generation })
    }

    /// Writes rows and their version in one batch, synced.
    pub(super) fn write(&self, version: u64, writes: Vec<(Bytes, Option<Bytes>)>) -> Result<Arc<dyn View>, WriteError> {
        // Whatever goes wrong inside the library, except where it says that it did not begin.
        let mut unknown = true;
        let view = self.slot.with(|opened| {
            let mut batch = opened.database.batch().durability(Some(PersistMode::SyncData));
            for (key, value) in writes {
                match value {
                    Some(value) => batch.insert(&opened.rows, key, value),
                    None => batch.remove(&opened.rows, key),
                }
            }
            batch.insert(&opened.rows, VERSION_KEY, version.to_be_bytes().to_vec());
            let committed = guarded(|| {
                batch.commit().inspect_err(|error| {
                    unknown = !matches!(error, fjall::Error::Poisoned);
                })
            });
            committed.map(|()| self.view_of(opened))
        });
        view.map_err(|cause| if unknown { WriteError::Unknown(cause) } else { WriteError::NotBegun(cause) })
    }

    /// Waits until the tree has caught up with what was written. An error other than `Busy` means that it won't.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.slot.with(|opened| {
            opened.wait_until(|rows| {
                rows.sealed_memtable_count() <= MEMTABLES_WAITING_MAX && rows.l0_table_count() <= RUNS_WAITING_MAX
            })
        })
    }

    /// Opens the tree anew, after `check`. What only its journal held is then written out to tables and synced: after a
    /// sync that has failed, what is read from the journal need not be on the disk.
    ///
    /// Reads fail meanwhile, and transactions that have begun must begin again.
    pub(super) fn reopen(&self, check: impl Fn(&Path) -> Result<(), StoreError>) -> Result<Arc<dyn View>, StoreError> {
        let busy = StoreError::Busy { what: "it is being opened again".to_owned() };
        let before = self.slot.replace(State::Closed(busy));
        let generation = if let State::Open(opened) = &before { opened.generation + 1 } else { 1 };
        drop(before);
        let opened = check(&self.path).and_then(|()| {
            let opened = Opened::open(&self.path, self.sizes, generation)?;
            guarded(|| opened.rows.rotate_memtable())?;
            opened.wait_until(|rows| rows.sealed_memtable_count() == 0)?;
            Ok(opened)
        });
        match opened {
            Ok(opened) => {
                let view = self.view_of(&opened);
                self.slot.replace(State::Open(opened));
                Ok(view)
            }
            Err(error) => {
                self.slot.replace(State::Closed(error.clone()));
                Err(error)
            }
        }
    }
}

impl Drop for Tree {
    /// Views may live on; the files are closed all the same.
    fn drop(&mut self) {
        self.slot.replace(State::Closed(StoreError::Unavailable { what: "it is closed".to_owned() }));
    }
}

impl Slot {
    fn with<T>(&self, f: impl FnOnce(&Opened) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Open(opened) => f(opened),
            State::Closed(error) => Err(error.clone()),
        }
    }

    fn replace(&self, state: State) -> State {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), state)
    }
}

impl Opened {
    fn open(path: &Path, sizes: Sizes, generation: u64) -> Result<Self, StoreError> {
        guarded(|| {
            let database = Database::builder(path).cache_size(sizes.cache_bytes).open()?;
            let rows = database
                .keyspace("rows", || KeyspaceCreateOptions::default().max_memtable_size(sizes.memtable_bytes))?;
            Ok(Self { database, rows, generation })
        })
    }

    fn wait_until(&self, done: impl Fn(&Keyspace) -> bool) -> Result<(), StoreError> {
        for _ in 0..SETTLE_MS_MAX / SETTLE_LOOK_MS {
            // With nothing in its buffer this only asks whether a worker has failed.
            guarded(|| self.database.persist(PersistMode::Buffer))?;
            if done(&self.rows) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(SETTLE_LOOK_MS));
        }
        Err(StoreError::Busy { what: "the disk does not keep up".to_owned() })
    }
}

impl View for TreeView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read(|opened| Ok(self.snapshot.get(&opened.rows, key)?.map(Bytes::from)))
    }

    fn rows(&self, (begin, end): &Span, reverse: bool, limit: usize, bytes: usize) -> Result<Vec<Row>, StoreError> {
        if begin >= end {
            return Ok(Vec::new());
        }
        self.read(|opened| {
            let mut found = self.snapshot.range::<&[u8], _>(&opened.rows, &begin[..]..&end[..]);
            let (mut rows, mut read) = (Vec::new(), 0);
            while rows.len() < limit
                && read < bytes
                && let Some(row) = if reverse { found.next_back() } else { found.next() }
            {
                let (key, value) = row.into_inner()?;
                read += value.len();
                rows.push((key.into(), value.into()));
            }
            Ok(rows)
        })
    }
}

impl TreeView {
    fn read<T>(&self, f: impl FnOnce(&Opened) -> fjall::Result<T>) -> Result<T, StoreError> {
        self.slot.with(|opened| {
            if opened.generation != self.generation {
                return Err(StoreError::TooOld);
            }
            guarded(|| f(opened))
        })
    }
}

/// Calls the library. A panic inside (it trusts what it reads more than we do) is an error like others.
fn guarded<T>(f: impl FnOnce() -> fjall::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(done) => done.map_err(translated),
        Err(_) => {
            Err(StoreError::Corrupt { what: "the storage library panicked; its message is in the log".to_owned() })
        }
    }
}

fn translated(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(LsmError::Io(error)) => translated_io(&error),
        fjall::Error::Poisoned => {
            StoreError::Unavailable { what: "a write has failed before; it will be opened again".to_owned() }
        }
        fjall::Error::Locked => StoreError::Open { what: "another process has its rows open".to_owned() },
        fjall::Error::InvalidVersion(version) => {
            StoreError::Open { what: format!("its rows have a format that this version can't read: {version:?}") }
        }
        other => StoreError::Corrupt { what: format!("{other}. Restore the folder from a backup") },
    }
}

fn translated_io(error: &io::Error) -> StoreError {
    let what = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::DiskFull { what }
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound | io::ErrorKind::InvalidData => {
            StoreError::Corrupt { what: format!("{what}. Restore the folder from a backup") }
        }
        _ => StoreError::Unavailable { what },
    }
}
