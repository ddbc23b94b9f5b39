//! What lies in the folder beside the tree: the lock, the format, the mark; and the room on the disk around it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::store::StoreError;

/// What the file `format` says.
const FORMAT: &str = "suda embedded store 1\n";

/// The folder is ours while this lives.
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    /// Makes the folder if need be, and locks it.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| cannot_open(folder, &error))?;
        let path = folder.join("lock");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.map_err(|error| cannot_open(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(cannot_open(&path, &error)),
        }
        // Only for people, and for the message of the next who tries.
        let _ = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        Ok(Self(file))
    }
}

fn in_use(folder: &Path, file: &mut File) -> StoreError {
    let mut owner = String::new();
    let owner = match file.read_to_string(&mut owner) {
        Ok(_) if !owner.is_empty() => format!("process {owner}"),
        _ => "another process".to_owned(),
    };
    let folder = folder.display();
    StoreError::Open {
        what: format!("{folder} is in use by {owner}; stop that one first, or give this one a folder of its own"),
    }
}

/// Whether the folder holds a store that we can read; not, if it is new.
pub(super) fn check_format(folder: &Path) -> Result<bool, StoreError> {
    let path = folder.join("format");
    match fs::read_to_string(&path) {
        Ok(format) if format == FORMAT => Ok(true),
        Ok(format) => {
            let (path, format) = (path.display(), format.escape_debug().to_string());
            Err(StoreError::Open { what: format!("{path} says `{format}`, which this version of suda can't read") })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // It is written before anything is acknowledged, the mark after that.
            if folder.join("mark").exists() {
                return Err(StoreError::Corrupt { what: format!("{} is missing", path.display()) });
            }
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(StoreError::Corrupt { what: format!("{} is not a text", path.display()) })
        }
        Err(error) => Err(cannot_open(&path, &error)),
    }
}

/// From now on the folder holds a store.
pub(super) fn write_format(folder: &Path) -> Result<(), StoreError> {
    let (draft, path) = (folder.join("format.new"), folder.join("format"));
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(FORMAT.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|error| cannot_open(&path, &error))
}

/// A tree whose making was interrupted holds nothing that was acknowledged.
pub(super) fn remove_unfinished(rows: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(rows) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot_open(rows, &error)),
        _ => Ok(()),
    }
}

/// The version that was last acknowledged, in a file of its own.
///
/// The tree can't tell a journal whose end was lost from one that was never longer; this can. It is written after each
/// sync, and not synced itself: so it is exact after a crash of the process, and after a crash of the machine it is
/// behind by what the machine had not written yet, but never ahead.
pub(super) struct Mark {
    path: PathBuf,
    file: File,
    version: u64,
}

impl Mark {
    /// Reads the mark, and makes sure that what was opened has reached it.
    pub(super) fn open(folder: &Path, opened: u64) -> Result<Self, StoreError> {
        let path = folder.join("mark");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|error| cannot_open(&path, &error))?;
        let version = match read_mark(&file) {
            Some(version) => version,
            None if file.metadata().is_ok_and(|file| file.len() == 0) => 0,
            None => {
                let path = path.display();
                return Err(StoreError::Corrupt {
                    what: format!("{path} is damaged. Remove it to go on without this check"),
                });
            }
        };
        let mark = Self { path, file, version };
        mark.must_be_reached_by(opened)?;
        Ok(mark)
    }

    pub(super) fn must_be_reached_by(&self, opened: u64) -> Result<(), StoreError> {
        if opened >= self.version {
            return Ok(());
        }
        let (path, version) = (self.path.display(), self.version);
        Err(StoreError::Corrupt {
            what: format!(
                "commits are lost: {path} knows of {version}, the last one found is {opened}. Restore the folder from a \
                 backup, or remove that file to go on without them"
            ),
        })
    }

    pub(super) fn reach(&mut self, version: u64) {
        self.version = version;
        let number = version.to_be_bytes();
        let line = [number, xxh3_64(&number).to_be_bytes()].concat();
        if let Err(error) = self.file.write_all_at(&line, 0) {
            tracing::warn!(%error, path = %self.path.display(), "can't write the mark; lost commits would go unnoticed");
        }
    }
}

fn read_mark(file: &File) -> Option<u64> {
    let mut number = [0; 8];
    let mut sum = [0; 8];
    file.read_exact_at(&mut number, 0).ok()?;
    file.read_exact_at(&mut sum, 8).ok()?;
    (xxh3_64(&number).to_be_bytes() == sum).then(|| u64::from_be_bytes(number))
}

/// Whether the disk has at least so much room.
pub(super) fn room(folder: &Path, reserve_bytes: u64) -> Result<(), StoreError> {
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| StoreError::Unavailable { what: format!("{}: {error}", folder.display()) })?;
    let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free_bytes >= reserve_bytes {
        return Ok(());
    }
    let folder = folder.display();
    Err(StoreError::DiskFull {
        what: format!(
            "{free_bytes} bytes are free at {folder}, and {reserve_bytes} are kept in reserve. Make room; writes go on \
             by themselves then"
        ),
    })
}

pub(super) fn cannot_open(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Open { what: format!("{}: {error}", path.display()) }
}
