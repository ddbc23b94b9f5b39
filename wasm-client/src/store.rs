//! What the core wants to be kept, on its way to IndexedDB.
//!
//! The core's storage answers at once; IndexedDB does not. So what there was is given before it is asked for, and what is
//! to be kept waits here until JavaScript takes it, which it does before it lets anything else happen. A send is thus on its
//! way to the disk when it goes out, but it may not be there yet: a browser that is killed in that moment can lose it,
//! and it was not acknowledged then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use suda_client::core::outbox::Pending;
use suda_client::core::storage::{Saved, State, Storage, StorageError};
use suda_schema::codec::binary;
use suda_schema::entry::Entry;
use suda_schema::{ChannelId, ClientMsgId, Seq};

/// The first byte of everything kept. What another layout has left is not read: the server has it all, but for the
/// outbox, whose layout must therefore not change without a reader for the one before.
const LAYOUT: u8 = 1;

/// One thing to be kept, or to be kept no longer.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// An entry.
    Entry(ChannelId, Seq, Vec<u8>),
    /// All entries of a channel are to go.
    Forget(ChannelId),
    /// The small state.
    State(Vec<u8>),
    /// A send, and its place in the order of them.
    Outbox(ClientMsgId, u64, Vec<u8>),
    /// It was answered.
    Answered(ClientMsgId),
    /// Everything is to go.
    Clear,
}

#[derive(Debug, Default)]
struct Inner {
    saved: Saved,
    entries: BTreeMap<ChannelId, Vec<Entry>>,
    writes: VecDeque<Write>,
    order: u64,
    keeps: bool,
}

/// Both ends of it: the core holds one, the engine the other. The module has one thread, so the lock is never waited for.
#[derive(Debug, Clone, Default)]
pub struct Shelf(Arc<Mutex<Inner>>);

impl Shelf {
    /// With what there was. `outbox`: in the order it was given out. What can't be read is left out.
    #[must_use]
    pub fn new(keeps: bool, state: Option<&[u8]>, outbox: &[Vec<u8>], order: u64) -> Self {
        let saved = Saved {
            state: state.and_then(read::<State>),
            outbox: outbox.iter().filter_map(|bytes| read::<Pending>(bytes)).collect(),
            login: None,
        };
        Self(Arc::new(Mutex::new(Inner { saved, keeps, order, ..Inner::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries of a channel, which the core is about to ask for.
    pub fn lay_out<'a>(&self, channel: ChannelId, entries: impl Iterator<Item = &'a [u8]>) {
        let entries = entries.filter_map(read::<Entry>).collect();
        self.lock().entries.insert(channel, entries);
    }

    /// The next thing to keep.
    #[must_use]
    pub fn next_write(&self) -> Option<Write> {
        self.lock().writes.pop_front()
    }

    fn write(&self, write: Write) {
        let mut inner = self.lock();
        if inner.keeps {
            inner.writes.push_back(write);
        }
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (&layout, rest) = bytes.split_first()?;
    let value = (layout == LAYOUT).then(|| binary::take_value::<T>(rest))?;
    value.ok().map(|(value, _)| value)
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    binary::put_value(value, &mut bytes);
    bytes
}

impl Storage for Shelf {
    fn load(&mut self) -> Result<Saved, StorageError> {
        Ok(std::mem::take(&mut self.lock().saved))
    }
    fn entries(&mut self, channel: ChannelId) -> Result<Vec<Entry>, StorageError> {
        Ok(self.lock().entries.remove(&channel).unwrap_or_default())
    }
    fn put_entries(&mut self, channel: ChannelId, entries: &[Entry]) -> Result<(), StorageError> {
        for entry in entries {
            self.write(Write::Entry(channel, entry.seq, written(entry)));
        }
        Ok(())
    }
    fn forget(&mut self, channel: ChannelId) -> Result<(), StorageError> {
        self.write(Write::Forget(channel));
        Ok(())
    }
    fn put_state(&mut self, state: &State) -> Result<(), StorageError> {
        self.write(Write::State(written(state)));
        Ok(())
    }
    fn outbox_add(&mut self, pending: &Pending) -> Result<(), StorageError> {
        let mut inner = self.lock();
        inner.order += 1;
        let order = inner.order;
        drop(inner);
        self.write(Write::Outbox(pending.id(), order, written(pending)));
        Ok(())
    }
    fn outbox_remove(&mut self, _: ChannelId, id: ClientMsgId) -> Result<(), StorageError> {
        self.write(Write::Answered(id));
        Ok(())
    }
    /// The login is kept in JavaScript, where the tabs share it.
    fn put_login(&mut self, _: Option<&[u8]>) -> Result<(), StorageError> {
        Ok(())
    }
    fn clear(&mut self) -> Result<(), StorageError> {
        self.lock().entries.clear();
        self.write(Write::Clear);
        Ok(())
    }
    fn keeps(&self) -> bool {
        self.lock().keeps
    }
}

#[cfg(test)]
mod tests {
    use suda_schema::UserId;
    use suda_schema::channel::{Op, Send};
    use suda_schema::entry::{Delete, Title, What};

    use super::*;

    fn entry(seq: u64) -> Entry {
        let what = What::Title(Title { title: format!("title {seq}") });
        Entry { seq: Seq(seq), at_ms: 5, by: UserId(7), client_msg_id: None, what }
    }

    #[test]
    fn what_is_kept_is_there_the_next_time() {
        let mut shelf = Shelf::new(true, None, &[], 0);
        let state = State { user: UserId(7), user_cursor: Seq(3), ..State::default() };
        let send = Send { client_msg_id: ClientMsgId([1; 16]), op: Op::Delete(Delete { target: Seq(2) }) };
        let pending = Pending { channel: ChannelId(9), at_ms: 6, send };
        shelf.put_entries(ChannelId(9), &[entry(1), entry(2)]).unwrap();
        shelf.put_state(&state).unwrap();
        shelf.outbox_add(&pending).unwrap();
        let (mut entries, mut states, mut outbox) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(write) = shelf.next_write() {
            match write {
                Write::Entry(ChannelId(9), _, bytes) => entries.push(bytes),
                Write::State(bytes) => states.push(bytes),
                Write::Outbox(id, 1, bytes) if id == pending.id() => outbox.push(bytes),
                other => panic!("{other:?}"),
            }
        }
        let mut again = Shelf::new(true, Some(&states[0]), &outbox, 1);
        assert_eq!(again.load().unwrap(), Saved { state: Some(state), outbox: vec![pending], login: None });
        again.lay_out(ChannelId(9), entries.iter().map(Vec::as_slice));
        assert_eq!(again.entries(ChannelId(9)).unwrap(), [entry(1), entry(2)]);
        assert_eq!(again.entries(ChannelId(9)).unwrap(), [], "it is given once");
    }

    #[test]
    fn what_another_layout_has_left_is_not_read() {
        let mut shelf = Shelf::new(true, Some(b"\x02abc"), &[Vec::new(), b"\x01".to_vec()], 0);
        assert_eq!(shelf.load().unwrap(), Saved::default());
        shelf.lay_out(ChannelId(1), [b"\x01\xff".as_slice()].into_iter());
        assert_eq!(shelf.entries(ChannelId(1)).unwrap(), []);
    }

    #[test]
    fn who_keeps_nothing_queues_nothing() {
        let mut shelf = Shelf::new(false, None, &[], 0);
        shelf.put_entries(ChannelId(9), &[entry(1)]).unwrap();
        shelf.clear().unwrap();
        assert!(shelf.next_write().is_none() && !shelf.keeps());
    }
}
