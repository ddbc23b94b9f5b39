//! Storage in a folder.
//!
//! ```text
//! login          the tokens, readable by their owner only
//! state          the small state; a new one takes the place of the old one at once
//! outbox         one record for each send that was added or answered; written anew when the app starts
//! channels/ID    one record for each row of entries that came; written anew when it has grown
//! ```
//!
//! A record is its length, a checksum and its value. One that was not written to its end, when the app or the machine
//! died, is cut off when it is found. What goes into the outbox is on disk when [`Storage::outbox_add`] returns; all the
//! rest can be fetched again, and is left to the system to write.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use suda_schema::codec::binary;
use suda_schema::entry::Entry;
use suda_schema::{ChannelId, ClientMsgId};

use crate::core::outbox::Pending;
use crate::core::storage::{Saved, State, Storage, StorageError};

/// A channel's file is written anew when it has more bytes than this, and twice what it began with.
const CHANNEL_BYTES_MAX: u64 = 4 << 20;
/// How many of the newest entries are left then.
const ENTRIES_KEPT: usize = 2_000;
/// How many files are held open.
const FILES_MAX: usize = 32;
/// Bytes of a record before its value.
const HEAD_BYTES: usize = 8;

/// Keeps everything in a folder. One client at a time may use it.
#[derive(Debug)]
pub struct FileStorage {
    folder: PathBuf,
    /// It is locked for as long as this lives.
    _lock: File,
    outbox: File,
    channels: BTreeMap<ChannelId, File>,
}

#[derive(Serialize, Deserialize)]
enum OutboxRecord {
    Added(Pending),
    Removed(ClientMsgId),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl FileStorage {
    /// Opens a folder, or makes it. An error if another client has it open.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StorageError> {
        let folder = folder.into();
        fs::create_dir_all(folder.join("channels"))?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| StorageError(format!("another client uses this folder: {error}")))?;
        let outbox = append_to(&folder.join("outbox"))?;
        Ok(Self { folder, _lock: lock, outbox, channels: BTreeMap::new() })
    }

    fn channel_path(&self, channel: ChannelId) -> PathBuf {
        self.folder.join("channels").join(channel.to_string())
    }

    fn channel_file(&mut self, channel: ChannelId) -> io::Result<&mut File> {
        if !self.channels.contains_key(&channel) {
            if self.channels.len() >= FILES_MAX {
                self.channels.pop_first();
            }
            let file = append_to(&self.channel_path(channel))?;
            self.channels.insert(channel, file);
        }
        self.channels.get_mut(&channel).ok_or_else(|| io::Error::other("the file was just opened"))
    }

    /// Puts a file in the place of another, at once.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = self.folder.join("new");
        let mut file = private(&new)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        drop(file);
        fs::rename(new, path)
    }
}

impl Storage for FileStorage {
    fn load(&mut self) -> Result<Saved, StorageError> {
        let login = match fs::read(self.folder.join("login")) {
            Ok(login) => Some(login),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let state = read_records::<State>(&self.folder.join("state"))?.pop();
        let mut outbox: Vec<Pending> = Vec::new();
        for record in read_records(&self.folder.join("outbox"))? {
            match record {
                OutboxRecord::Added(pending) => outbox.push(pending),
                OutboxRecord::Removed(id) => outbox.retain(|pending| pending.id() != id),
            }
        }
        let mut bytes = Vec::new();
        outbox.iter().for_each(|pending| put_record(&OutboxRecord::Added(pending.clone()), &mut bytes));
        self.replace(&self.folder.join("outbox"), &bytes)?;
        self.outbox = append_to(&self.folder.join("outbox"))?;
        Ok(Saved { state, outbox, login })
    }

    fn entries(&mut self, channel: ChannelId) -> Result<Vec<Entry>, StorageError> {
        let path = self.channel_path(channel);
        let rows: Vec<Vec<Entry>> = read_records(&path)?;
        // Pages of history come after what they stand before.
        let mut by_seq: BTreeMap<u64, Entry> = BTreeMap::new();
        for entry in rows.into_iter().flatten() {
            by_seq.insert(entry.seq.0, entry);
        }
        let entries: Vec<Entry> = by_seq.into_values().collect();
        if fs::metadata(&path).map_or(0, |meta| meta.len()) > CHANNEL_BYTES_MAX {
            let mut bytes = Vec::new();
            let newest = entries.get(entries.len().saturating_sub(ENTRIES_KEPT)..).unwrap_or_default();
            newest.chunks(64).for_each(|row| put_record(&row.to_vec(), &mut bytes));
            self.channels.remove(&channel);
            self.replace(&path, &bytes)?;
        }
        Ok(entries)
    }

    fn put_entries(&mut self, channel: ChannelId, entries: &[Entry]) -> Result<(), StorageError> {
        let mut bytes = Vec::new();
        put_record(&entries.to_vec(), &mut bytes);
        self.channel_file(channel)?.write_all(&bytes)?;
        Ok(())
    }

    fn forget(&mut self, channel: ChannelId) -> Result<(), StorageError> {
        self.channels.remove(&channel);
        remove(&self.channel_path(channel))
    }

    fn put_state(&mut self, state: &State) -> Result<(), StorageError> {
        let mut bytes = Vec::new();
        put_record(state, &mut bytes);
        Ok(self.replace(&self.folder.join("state"), &bytes)?)
    }

    fn outbox_add(&mut self, pending: &Pending) -> Result<(), StorageError> {
        let mut bytes = Vec::new();
        put_record(&OutboxRecord::Added(pending.clone()), &mut bytes);
        self.outbox.write_all(&bytes)?;
        Ok(self.outbox.sync_data()?)
    }

    fn outbox_remove(&mut self, _: ChannelId, id: ClientMsgId) -> Result<(), StorageError> {
        let mut bytes = Vec::new();
        put_record(&OutboxRecord::Removed(id), &mut bytes);
        Ok(self.outbox.write_all(&bytes)?)
    }

    fn put_login(&mut self, login: Option<&[u8]>) -> Result<(), StorageError> {
        let path = self.folder.join("login");
        match login {
            Some(bytes) => Ok(self.replace(&path, bytes)?),
            None => remove(&path),
        }
    }

    fn clear(&mut self) -> Result<(), StorageError> {
        self.channels.clear();
        fs::remove_dir_all(self.folder.join("channels"))?;
        fs::create_dir_all(self.folder.join("channels"))?;
        remove(&self.folder.join("state"))?;
        self.replace(&self.folder.join("outbox"), &[])?;
        self.outbox = append_to(&self.folder.join("outbox"))?;
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A new file that only its owner can read: messages and tokens are nobody else's business.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn put_record<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    binary::put_value(value, out);
    let body = out.get(at + HEAD_BYTES..).unwrap_or_default();
    let (len, sum) = (u32::try_from(body.len()).unwrap_or(u32::MAX), checksum(body));
    if let Some(head) = out.get_mut(at..at + HEAD_BYTES) {
        head.copy_from_slice(&[len.to_le_bytes(), sum.to_le_bytes()].concat());
    }
}

/// All records that are whole. What follows them was not written to its end, and is cut off.
fn read_records<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, StorageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let (mut records, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((record, after)) = take_record(rest) {
        records.push(record);
        rest = after;
    }
    if !rest.is_empty() {
        tracing::warn!(path = %path.display(), bytes = rest.len(), "the end of a file was not whole and is cut off");
        OpenOptions::new().write(true).open(path)?.set_len((bytes.len() - rest.len()) as u64)?;
    }
    Ok(records)
}

fn take_record<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (body, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    if checksum(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (value, left) = binary::take_value(body).ok()?;
    left.is_empty().then_some((value, rest))
}

/// FNV-1a: it tells a record that was written from one that was not.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use suda_schema::channel::{Op, Send};
    use suda_schema::entry::{Delete, What};
    use suda_schema::{Seq, UserId};

    use super::*;

    fn entry(seq: u64) -> Entry {
        let what = What::Delete(Delete { target: Seq(1) });
        Entry { seq: Seq(seq), at_ms: 1, by: UserId(1), client_msg_id: None, what }
    }

    fn pending(number: u8) -> Pending {
        let op = Op::Delete(Delete { target: Seq(number.into()) });
        Pending { channel: ChannelId(1), at_ms: 5, send: Send { client_msg_id: ClientMsgId([number; 16]), op } }
    }

    #[test]
    fn what_was_put_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(folder.path()).unwrap();
        assert!(FileStorage::open(folder.path()).is_err(), "one at a time");
        assert_eq!(storage.load(), Ok(Saved::default()));
        let state = State { user: UserId(7), user_cursor: Seq(3), ..State::default() };
        storage.put_state(&state).unwrap();
        storage.put_login(Some(b"secret")).unwrap();
        (1..4).for_each(|number| storage.outbox_add(&pending(number)).unwrap());
        storage.outbox_remove(ChannelId(1), ClientMsgId([2; 16])).unwrap();
        storage.put_entries(ChannelId(1), &[entry(5), entry(6)]).unwrap();
        storage.put_entries(ChannelId(1), &[entry(3), entry(4)]).unwrap();
        drop(storage);
        let mut storage = FileStorage::open(folder.path()).unwrap();
        let saved = storage.load().unwrap();
        assert_eq!(saved.state, Some(state));
        assert_eq!(saved.login.as_deref(), Some(b"secret".as_slice()));
        assert_eq!(saved.outbox, [pending(1), pending(3)]);
        let seqs: Vec<u64> = storage.entries(ChannelId(1)).unwrap().iter().map(|entry| entry.seq.0).collect();
        assert_eq!(seqs, [3, 4, 5, 6]);
        storage.clear().unwrap();
        assert_eq!(storage.load().unwrap().outbox, []);
        assert_eq!(storage.entries(ChannelId(1)), Ok(Vec::new()));
    }

    #[test]
    fn what_was_not_written_to_its_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        let mut storage = FileStorage::open(folder.path()).unwrap();
        storage.outbox_add(&pending(1)).unwrap();
        storage.outbox_add(&pending(2)).unwrap();
        drop(storage);
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            let mut storage = FileStorage::open(folder.path()).unwrap();
            let outbox = storage.load().unwrap().outbox;
            assert_eq!(outbox.len(), usize::from(len >= whole.len() / 2), "{len}");
            storage.outbox_add(&pending(3)).unwrap();
            assert_eq!(storage.load().unwrap().outbox.last(), Some(&pending(3)));
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mut storage = FileStorage::open(folder.path()).unwrap();
        storage.put_login(Some(b"secret")).unwrap();
        let mode = fs::metadata(folder.path().join("login")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
