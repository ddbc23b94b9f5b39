//! The bell of this node: chat rings it, hubs and sessions hear it.

use std::sync::OnceLock;

use super::registry::Sessions;
use crate::channel::Hubs;
use crate::chat::{Bell, Topic};

/// Passes what chat rings on to the node's hubs and sessions. It is made before them, because they stand on a chat that
/// already has its bell; what is rung before they are there concerns nobody.
#[derive(Default)]
pub struct LocalBell {
    listeners: OnceLock<(Hubs, Sessions)>,
}

impl LocalBell {
    /// A bell that nobody hears yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on these hear it. Only the first call counts.
    pub fn connect(&self, hubs: Hubs, sessions: Sessions) {
        // A second set of listeners would be a mistake of the caller's that the first one must not suffer from.
        let _ = self.listeners.set((hubs, sessions));
    }
}

impl Bell for LocalBell {
    fn ring(&self, topic: Topic) {
        let Some((hubs, sessions)) = self.listeners.get() else { return };
        if let Topic::Channel(channel) = topic {
            hubs.ring(channel);
        }
        sessions.ring(topic);
    }
}
