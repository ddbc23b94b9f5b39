//! Who waits for what in a long poll.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::chat::Topic;

/// All long polls that wait, by what they wait for. Cheap to clone. The node's bell rings it.
#[derive(Clone, Default)]
pub struct Ears {
    listeners: Arc<Mutex<HashMap<Topic, Vec<Arc<Notify>>>>>,
}

impl Ears {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something about a topic was committed.
    pub fn ring(&self, topic: Topic) {
        if let Some(listeners) = self.lock().get(&topic) {
            listeners.iter().for_each(|listener| listener.notify_one());
        }
    }

    /// Whether anybody waits for it.
    #[must_use]
    pub fn listens_to(&self, topic: Topic) -> bool {
        self.lock().contains_key(&topic)
    }

    /// Wakes everybody: the node stops.
    pub fn ring_all(&self) {
        self.lock().values().flatten().for_each(|listener| listener.notify_one());
    }

    /// Listens to these topics until dropped. What is rung before somebody waits is not lost.
    pub(super) fn listen(&self, topics: impl IntoIterator<Item = Topic>) -> Ear {
        let ear = Ear { ears: self.clone(), topics: topics.into_iter().collect(), notify: Arc::default() };
        let mut listeners = self.lock();
        for topic in &ear.topics {
            listeners.entry(*topic).or_default().push(ear.notify.clone());
        }
        drop(listeners);
        ear
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Vec<Arc<Notify>>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that listens.
pub(super) struct Ear {
    ears: Ears,
    topics: Vec<Topic>,
    notify: Arc<Notify>,
}

impl Ear {
    /// Waits until something is rung, or has been since the last time.
    pub(super) async fn heard(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut listeners = self.ears.lock();
        for topic in &self.topics {
            if let Some(those) = listeners.get_mut(topic) {
                those.retain(|other| !Arc::ptr_eq(other, &self.notify));
                if those.is_empty() {
                    listeners.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use suda_schema::{ChannelId, UserId};

    use super::*;

    #[test]
    fn hears_what_it_listens_to_and_leaves_nothing_behind() {
        let ears = Ears::new();
        let (user, channel) = (Topic::User(UserId(1)), Topic::Channel(ChannelId(1)));
        let one = ears.listen([user, channel]);
        let other = ears.listen([channel]);
        ears.ring(user);
        assert!(one.heard().now_or_never().is_some());
        assert!(one.heard().now_or_never().is_none());
        assert!(other.heard().now_or_never().is_none());
        ears.ring(channel);
        assert!(one.heard().now_or_never().is_some() && other.heard().now_or_never().is_some());
        drop(one);
        ears.ring_all();
        assert!(other.heard().now_or_never().is_some());
        drop(other);
        assert!(ears.lock().is_empty());
    }
}
