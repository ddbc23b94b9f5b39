//! What is known of links and of how to get them.

use std::collections::BTreeMap;

use super::config::Config;
use super::dial::{Memory, Race};
use super::io::{Candidate, LinkId, Status, Stopped, Token};
use super::link::Link;
use super::session::Session;
use crate::backoff::Backoff;

/// Links, and how to get them.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) links: BTreeMap<LinkId, Link>,
    /// The link whose session stands.
    pub(super) current: Option<LinkId>,
    /// The one that has said hello.
    pub(super) upcoming: Option<LinkId>,
    pub(super) next_link: u64,
    pub(super) stopped: Option<Stopped>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) memory: Memory,
    pub(super) race: Option<Race>,
    /// Discovery is under way; by when it is not waited for any more.
    pub(super) discovering_until_ms: Option<u64>,
    /// When to try next; `None` while nothing is wanted or an attempt is under way.
    pub(super) dial_at_ms: Option<u64>,
    pub(super) backoff: Backoff,
    /// Another link is wanted though there is one.
    pub(super) replace: Option<Replace>,
    /// When to leave the node, because it drains.
    pub(super) move_at_ms: Option<u64>,
    pub(super) token: Token,
    pub(super) refreshing_until_ms: Option<u64>,
    /// When to renew the token, by this device's clock.
    pub(super) refresh_at_ms: Option<u64>,
    pub(super) refresh_backoff: Backoff,
    pub(super) auth_failures: u32,
    /// When a link that had said hello was last left.
    pub(super) left_ms: Option<u64>,
    pub(super) told: Option<Status>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replace {
    Stalled,
    Moving,
}

impl Connection {
    pub(super) fn new(config: &Config, token: Token, seed: u64) -> Self {
        Self {
            links: BTreeMap::new(),
            current: None,
            upcoming: None,
            next_link: 1,
            stopped: Some(Stopped::ByApp),
            candidates: Vec::new(),
            memory: Memory::default(),
            race: None,
            discovering_until_ms: None,
            dial_at_ms: None,
            backoff: Backoff::new(config.backoff, seed),
            replace: None,
            move_at_ms: None,
            token,
            refreshing_until_ms: None,
            refresh_at_ms: None,
            refresh_backoff: Backoff::new(config.backoff, seed ^ 1),
            auth_failures: 0,
            left_ms: None,
            told: None,
        }
    }

    pub(super) fn status(&self, session: &Session) -> Status {
        if let Some(why) = self.stopped {
            return Status::Stopped(why);
        }
        if let Some(link) = self.current.and_then(|current| self.links.get(&current)) {
            return match self.replace {
                Some(Replace::Stalled) => Status::Stalled { kind: link.kind },
                _ => Status::Online { kind: link.kind, node: session.node },
            };
        }
        match self.dial_at_ms {
            Some(until_ms) => Status::Waiting { until_ms },
            None => Status::Connecting,
        }
    }

    /// The link that attachments are on.
    pub(super) fn carrier(&self) -> Option<LinkId> {
        self.current.or(self.upcoming)
    }

    pub(super) fn carrier_mut(&mut self) -> Option<(LinkId, &mut Link)> {
        let id = self.carrier()?;
        self.links.get_mut(&id).map(|link| (id, link))
    }

    pub(super) fn current_mut(&mut self) -> Option<&mut Link> {
        self.links.get_mut(&self.current?)
    }

    pub(super) fn is_replacing_stalled(&self) -> bool {
        self.replace == Some(Replace::Stalled)
    }

    pub(super) fn is_trying(&self) -> bool {
        self.race.is_some() || self.upcoming.is_some() || self.discovering_until_ms.is_some()
    }
}
