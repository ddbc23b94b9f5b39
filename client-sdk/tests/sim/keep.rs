//! Storage that outlives the app, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use suda_client::core::outbox::Pending;
use suda_client::core::storage::{Saved, State, Storage, StorageError};
use suda_client::schema::entry::Entry;
use suda_client::schema::{ChannelId, ClientMsgId};

#[derive(Clone, Default)]
pub(crate) struct Keep(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    saved: Saved,
    entries: BTreeMap<ChannelId, BTreeMap<u64, Entry>>,
}

impl Storage for Keep {
    fn load(&mut self) -> Result<Saved, StorageError> {
        Ok(self.0.lock().unwrap().saved.clone())
    }
    fn entries(&mut self, channel: ChannelId) -> Result<Vec<Entry>, StorageError> {
        Ok(self.0.lock().unwrap().entries.get(&channel).into_iter().flat_map(BTreeMap::values).cloned().collect())
    }
    fn put_entries(&mut self, channel: ChannelId, entries: &[Entry]) -> Result<(), StorageError> {
        let mut kept = self.0.lock().unwrap();
        let there = kept.entries.entry(channel).or_default();
        there.extend(entries.iter().map(|entry| (entry.seq.0, entry.clone())));
        Ok(())
    }
    fn forget(&mut self, channel: ChannelId) -> Result<(), StorageError> {
        self.0.lock().unwrap().entries.remove(&channel);
        Ok(())
    }
    fn put_state(&mut self, state: &State) -> Result<(), StorageError> {
        self.0.lock().unwrap().saved.state = Some(state.clone());
        Ok(())
    }
    fn outbox_add(&mut self, pending: &Pending) -> Result<(), StorageError> {
        self.0.lock().unwrap().saved.outbox.push(pending.clone());
        Ok(())
    }
    fn outbox_remove(&mut self, _: ChannelId, id: ClientMsgId) -> Result<(), StorageError> {
        self.0.lock().unwrap().saved.outbox.retain(|pending| pending.id() != id);
        Ok(())
    }
    fn put_login(&mut self, _: Option<&[u8]>) -> Result<(), StorageError> {
        Ok(())
    }
    fn clear(&mut self) -> Result<(), StorageError> {
        *self.0.lock().unwrap() = Kept::default();
        Ok(())
    }
}
