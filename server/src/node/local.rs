//! What the cluster finds on this node: who listens, how many there are, and by which certificate it is known.

use std::sync::Arc;

use suda_schema::UserId;
use suda_schema::control::Typing;

use super::NodeBell;
use crate::channel::Hubs;
use crate::chat::{Bell as _, Topic};
use crate::cluster::Local;
use crate::session::Sessions;
use crate::tls::CertStore;

pub(super) struct LocalNode {
    bell: Arc<NodeBell>,
    hubs: Hubs,
    sessions: Sessions,
    certificate: CertStore,
}

impl LocalNode {
    pub(super) fn new(bell: Arc<NodeBell>, hubs: Hubs, sessions: Sessions, certificate: CertStore) -> Self {
        Self { bell, hubs, sessions, certificate }
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

    fn certificate_hashes(&self) -> Vec<String> {
        self.certificate.pinned_hashes().iter().map(ToString::to_string).collect()
    }
}
