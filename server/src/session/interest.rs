//! Which sessions of this node listen to what: users' own topics, channels they have not attached, presences.
//!
//! For each topic the listening sessions in a short list, in shards, so that ringing a bell takes one lock for a moment.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::Session;

const SHARDS: usize = 64;

/// Who listens, by topic.
pub(super) struct Interest<K> {
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<K, Vec<Arc<Session>>>>>,
}

impl<K: Eq + Hash + Copy> Interest<K> {
    pub(super) fn new() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { hasher: RandomState::new(), shards }
    }

    /// The session listens from now on. Not to be called for one that does already.
    pub(super) fn add(&self, topic: K, session: &Arc<Session>) {
        self.shard(topic).entry(topic).or_default().push(Arc::clone(session));
    }

    /// The session listens no more; whether it did.
    pub(super) fn remove(&self, topic: K, session: &Session) -> bool {
        let mut shard = self.shard(topic);
        let Entry::Occupied(mut listeners) = shard.entry(topic) else { return false };
        let at = listeners.get().iter().position(|other| std::ptr::eq(Arc::as_ptr(other), session));
        let removed = at.map(|at| listeners.get_mut().swap_remove(at));
        if listeners.get().is_empty() {
            listeners.remove();
        }
        // Not dropped under the lock: it may be the last hold on the session.
        drop(shard);
        removed.is_some()
    }

    /// Looks at those who listen, and changes who does.
    pub(super) fn update<T>(&self, topic: K, change: impl FnOnce(&mut Vec<Arc<Session>>) -> T) -> T {
        let mut shard = self.shard(topic);
        let listeners = shard.entry(topic).or_default();
        let result = change(listeners);
        if listeners.is_empty() {
            shard.remove(&topic);
        }
        result
    }

    /// Those who listen.
    pub(super) fn of(&self, topic: K) -> Vec<Arc<Session>> {
        self.shard(topic).get(&topic).cloned().unwrap_or_default()
    }

    /// Whether anybody listens.
    pub(super) fn has(&self, topic: K) -> bool {
        self.shard(topic).contains_key(&topic)
    }

    /// Everybody who listens to anything.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let lock = |shard: &Mutex<HashMap<K, Vec<Arc<Session>>>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().flatten().cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    fn shard(&self, topic: K) -> MutexGuard<'_, HashMap<K, Vec<Arc<Session>>>> {
        let at = usize::try_from(self.hasher.hash_one(topic) % SHARDS as u64).unwrap_or(0);
        #[expect(clippy::indexing_slicing, reason = "the remainder by SHARDS, and there are so many")]
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
