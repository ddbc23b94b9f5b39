//! A chat in memory, with a clock that stands still and a bell that remembers.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Bell, Chat, ChatConfig, Topic};
use crate::clock::Clock;
use crate::store::{Faults, Store};

/// When the tests' clock stands still.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// A bell that remembers what was rung.
#[derive(Clone, Default)]
pub(crate) struct Rung(Arc<Mutex<Vec<Topic>>>);

impl Rung {
    /// What was rung since this was last asked, sorted, each once.
    pub(crate) fn take(&self) -> Vec<Topic> {
        let mut topics = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        topics.sort();
        topics.dedup();
        topics
    }
}

impl Bell for Rung {
    fn ring(&self, topic: Topic) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(topic);
    }
}

/// A chat over a fresh store in memory, and its bell.
pub(crate) fn chat() -> (Chat, Rung) {
    over(Store::memory(), ChatConfig::default())
}

/// The same over a store that fails on purpose.
pub(crate) fn faulty_chat(faults: Faults) -> (Chat, Rung) {
    over(Store::memory_with(faults), ChatConfig::default())
}

/// A chat over this store, configured so.
pub(crate) fn over(store: Store, config: ChatConfig) -> (Chat, Rung) {
    let rung = Rung::default();
    let chat = Chat::new(store, Clock::manual(NOW_MS, 1), 1, Arc::new(rung.clone()), config).unwrap();
    (chat, rung)
}
