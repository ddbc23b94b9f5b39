//! What the cluster finds on this node: who listens, and how many there are.

use std::sync::Arc;

use suda_schema::UserId;
use suda_schema::control::Typing;

use super::NodeBell;
use crate::channel::Hubs;
use crate::chat::{Bell as _, Topic};
use crate::cluster::Local;
use crate::session::Sessions;

pub(super) struct LocalNode {
    bell: Arc<NodeBell>,
    hubs: Hubs,
    sessions: Sessions,
}

impl LocalNode {
    pub(super) fn new(bell: Arc<NodeBell>, hubs: Hubs, sessions: Sessions) -> Self {
        Self { bell, hubs, sessions }
    }
}

impl Local for LocalNode {
    fn ring(&self, topic: Topic) {
        self.bell.ring(topic);
    }

    fn listens(&self, topic: Topic) -> bool {
        let attached = matches!(topic, Topic::Channel(channel) if self.hubs.listens_to(channel));
        attached || self.sessions.listens_to(topic) || self.bell.ears.listens_to(topic)
    }

    fn typing(&self, typing: Typing, hidden_from: &[UserId]) {
        self.hubs.typing(typing, hidden_from);
        self.sessions.typing(typing, hidden_from);
    }

    fn links(&self) -> usize {
        self.sessions.count()
    }
}
