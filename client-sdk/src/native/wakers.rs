//! Who waits for news. A waiter is not told what the news is: it looks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Waiters, by what they wait for. There are at most as many as there are streams and futures that were polled.
#[derive(Debug)]
pub(super) struct Wakers<K> {
    waiting: Mutex<HashMap<K, Vec<(u64, Waker)>>>,
}

impl<K> Default for Wakers<K> {
    fn default() -> Self {
        Self { waiting: Mutex::new(HashMap::new()) }
    }
}

/// A number that nobody else has.
pub(super) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<K: Eq + Hash> Wakers<K> {
    /// Waits. To be called before looking, so that nothing falls between.
    pub(super) fn wait(&self, key: K, number: u64, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let those = waiting.entry(key).or_default();
        match those.iter_mut().find(|(other, _)| *other == number) {
            Some((_, there)) => there.clone_from(waker),
            None => those.push((number, waker.clone())),
        }
    }

    /// Does not wait any more.
    pub(super) fn leave(&self, key: &K, number: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(those) = waiting.get_mut(key) {
            those.retain(|(other, _)| *other != number);
            if those.is_empty() {
                waiting.remove(key);
            }
        }
    }

    /// There is news.
    pub(super) fn wake(&self, key: &K) {
        let those = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        those.into_iter().flatten().for_each(|(_, waker)| waker.wake());
    }

    /// There is news for everybody.
    pub(super) fn wake_all(&self) {
        let all = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        all.into_values().flatten().for_each(|(_, waker)| waker.wake());
    }
}
