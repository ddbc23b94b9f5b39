//! The engine `embedded`: rows on the local disk, in an LSM tree (fjall), for one process.
//!
//! ```text
//! <folder>/lock     held while a process has the folder open
//! <folder>/format   what the folder is; written last when it is made
//! <folder>/mark     the version that was last acknowledged: what opens must have reached it
//! <folder>/rows/    the tree's own files
//! ```
//!
//! Each update is one batch of the tree, synced before anybody sees it. Reads go by snapshots of the tree, taken after
//! the sync, so that they see only what is durable.

mod check;
mod folder;
mod tree;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use self::folder::{Lock, Mark};
use self::tree::{Sizes, Tree, WriteError};
use super::backing::{Backing, Update, View};
use crate::clock::Clock;
use crate::store::StoreError;

/// After a failure, the tree is opened again at most this often.
const REOPEN_PAUSE_MS: u64 = 1_000;

/// Where and how the embedded engine keeps its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// The folder; made if it is not there.
    pub path: PathBuf,
    /// The memory that blocks read from the disk may take.
    pub cache_bytes: u64,
    /// So many bytes are gathered in memory before they are written out to a table. Several times that may be in memory.
    /// A folder stays with what it was made with.
    pub memtable_bytes: u64,
    /// Writes are refused while the disk has less room than this: the tree needs some to sort itself out, and what
    /// runs out of room in the middle of that must be opened again.
    pub reserve_bytes: u64,
}

impl Embedded {
    /// With 64 MiB of cache, memtables of 32 MiB and 512 MiB of reserve.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), cache_bytes: 64 << 20, memtable_bytes: 32 << 20, reserve_bytes: 512 << 20 }
    }
}

pub(super) struct EmbeddedBacking {
    options: Embedded,
    clock: Clock,
    tree: Tree,
    mark: Mark,
    /// Why writes don't work, and when it was last tried to change that.
    down: Option<(StoreError, u64)>,
    /// Held as long as the folder is open; given up last.
    _lock: Lock,
}

impl EmbeddedBacking {
    /// Opens the folder: the backing, its version, and what it holds.
    pub(super) fn open(options: Embedded, clock: Clock) -> Result<(Self, u64, Arc<dyn View>), StoreError> {
        let lock = Lock::take(&options.path)?;
        let rows = options.path.join("rows");
        let exists = folder::check_format(&options.path)?;
        if exists {
            check::check(&rows)?;
        } else {
            folder::remove_unfinished(&rows)?;
        }
        let tree =
            Tree::open(&rows, Sizes { cache_bytes: options.cache_bytes, memtable_bytes: options.memtable_bytes })?;
        let view = tree.view()?;
        let version = tree::version(&*view)?;
        let mark = Mark::open(&options.path, version)?;
        if !exists {
            folder::write_format(&options.path)?;
        }
        Ok((Self { options, clock, tree, mark, down: None, _lock: lock }, version, view))
    }

    /// Writes work again once the tree is opened anew; what it holds then is what the disk holds.
    fn reopen(&mut self) -> Result<Arc<dyn View>, StoreError> {
        let view = self.tree.reopen(check::check)?;
        let version = tree::version(&*view)?;
        self.mark.must_be_reached_by(version)?;
        Ok(view)
    }

    /// Opening the tree writes out what is in memory. Where there is no room for that, reads had better go on as they do.
    fn room_to_open(&self) -> Result<(), StoreError> {
        folder::room(&self.options.path, self.options.memtable_bytes.saturating_mul(2))
    }

    /// From now on writes don't work. Where there is little room, that is why, whatever the tree calls it.
    fn fail(&mut self, cause: StoreError) -> StoreError {
        let cause = self.room_to_open().err().unwrap_or(cause);
        tracing::error!(%cause, "the store can't write; reads go on");
        self.down = Some((cause.clone(), self.clock.now_ms()));
        cause
    }
}

impl Backing for EmbeddedBacking {
    fn prepare(&mut self) -> Result<Option<Arc<dyn View>>, StoreError> {
        folder::room(&self.options.path, self.options.reserve_bytes)?;
        let Some((cause, tried_ms)) = &self.down else {
            return match self.tree.settle() {
                Ok(()) => Ok(None),
                Err(busy @ StoreError::Busy { .. }) => Err(busy),
                Err(broken) => Err(self.fail(broken)),
            };
        };
        self.room_to_open()?;
        if self.clock.now_ms().saturating_sub(*tried_ms) < REOPEN_PAUSE_MS {
            return Err(cause.clone());
        }
        match self.reopen() {
            Ok(view) => {
                tracing::info!("the store can write again");
                self.down = None;
                Ok(Some(view))
            }
            Err(cause) => Err(self.fail(cause)),
        }
    }

    fn write(&mut self, update: Update) -> Result<Arc<dyn View>, StoreError> {
        let version = update.version;
        match self.tree.write(version, update.writes) {
            Ok(view) => {
                self.mark.reach(version);
                Ok(view)
            }
            Err(WriteError::NotBegun(cause)) => Err(self.fail(cause)),
            Err(WriteError::Unknown(cause)) => {
                self.fail(cause);
                Err(StoreError::CommitUnknown)
            }
        }
    }
}

/// The row that holds the version of the last update. It lies behind all keys that a transaction can name.
const VERSION_KEY: Bytes = Bytes::from_static(b"\xffversion");
