//! All sessions of the node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use suda_schema::{CloseCode, DeviceId, UserId};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::config::SessionConfig;
use super::metrics::SessionMetrics;
use super::node::Node;
use super::session::Session;
use super::{handshake, run};
use crate::channel::{Ended, Hubs};
use crate::chat::{Chat, Topic};
use crate::link::{Link, LinkKind};
use crate::rate::RateLimiter;

/// How often it is looked whether all sessions are gone.
const GONE_POLL_MS: u64 = 10;

/// All sessions of the node. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    node: Arc<Node>,
}

impl Sessions {
    /// No session yet. `number` is the node's.
    #[must_use]
    pub fn new(
        chat: Chat,
        hubs: Hubs,
        config: SessionConfig,
        metrics: SessionMetrics,
        limiter: Arc<RateLimiter>,
        number: u16,
    ) -> Self {
        Self { node: Arc::new(Node::new(chat, hubs, config, metrics, limiter, number)) }
    }

    /// Serves a device on a link until either ends it. The link is closed when this returns.
    pub async fn serve(&self, link: Arc<dyn Link>) {
        let kind = link.kind();
        let span =
            tracing::info_span!("link", kind = kind.name(), remote = %link.remote_addr(), user = Empty, device = Empty);
        self.serve_within(link, kind).instrument(span).await;
    }

    async fn serve_within(&self, link: Arc<dyn Link>, kind: LinkKind) {
        let live = self.node.metrics.links.get_or_create(&kind.into()).clone();
        live.inc();
        let ended = match handshake::handshake(&self.node, &link).await {
            Ok((session, control)) => {
                let span = Span::current();
                span.record("user", session.0.user.0);
                span.record("device", session.0.device.0);
                tracing::debug!("the session stands");
                self.node.metrics.handshakes.get_or_create(&kind.into()).inc();
                run::run(session, control).await
            }
            Err(ended) => ended,
        };
        self.node.metrics.closes.get_or_create(&ended.code.into()).inc();
        live.dec();
        tracing::debug!(code = ?ended.code, message = %ended.message, "the link is over");
    }

    /// Something about a topic was committed, here or elsewhere.
    pub fn ring(&self, topic: Topic) {
        match topic {
            Topic::Channel(channel) => {
                for session in self.node.channels.of(channel) {
                    session.feed.hint(&session, channel);
                }
            }
            Topic::User(user) => {
                for session in self.node.users.of(user) {
                    session.feed.user(&session);
                }
            }
            Topic::Presence(user) => {
                for session in self.node.watchers.of(user) {
                    session.feed.presence(&session, user);
                }
            }
        }
    }

    /// Ends the session of a device at once.
    pub fn end_device(&self, user: UserId, device: DeviceId, ended: &Ended) {
        for session in self.node.users.of(user) {
            if session.device == device {
                session.end(ended);
            }
        }
    }

    /// Passes typing on to members of a channel whose sessions have no attachment of it.
    pub fn typing(&self, typing: suda_schema::control::Typing, hidden_from: &[UserId]) {
        self.node.typing_elsewhere(typing, hidden_from);
    }

    /// Takes no new links, and asks all sessions to move within `spread`, each at another time.
    pub fn drain(&self, spread: Duration) {
        self.node.draining.store(true, Ordering::SeqCst);
        let spread_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        for session in self.node.users.all() {
            session.go_away(self.node.chat.clock().below(spread_ms.saturating_add(1)));
        }
    }

    /// Ends all sessions now.
    pub fn end_all(&self) {
        self.node.draining.store(true, Ordering::SeqCst);
        for session in self.node.users.all() {
            session.end(&Ended::new(CloseCode::GOING_AWAY, "the node stops"));
        }
    }

    /// Waits until there is no session left and all have said goodbye, or `limit` is over: false.
    pub async fn gone(&self, limit: Duration) -> bool {
        let gone = async {
            while self.count() > 0 || self.node.goodbyes.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(GONE_POLL_MS)).await;
            }
        };
        tokio::time::timeout(limit, gone).await.is_ok()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.node.count.load(Ordering::SeqCst)
    }

    /// Whether any session is to be told about a topic; those that have attached a channel are told by its hub.
    #[must_use]
    pub fn listens_to(&self, topic: Topic) -> bool {
        match topic {
            Topic::Channel(channel) => self.node.channels.has(channel),
            Topic::User(user) => self.node.users.has(user),
            Topic::Presence(user) => self.node.watchers.has(user),
        }
    }

    /// What they count.
    #[must_use]
    pub fn metrics(&self) -> &SessionMetrics {
        &self.node.metrics
    }
}

impl Node {
    /// Takes a session in: from now on it hears what is rung. An older one of the same device is replaced.
    pub(super) fn admit(&self, session: &Arc<Session>) -> Result<(), Ended> {
        if self.count.fetch_add(1, Ordering::SeqCst) >= self.config.links_max {
            self.count.fetch_sub(1, Ordering::SeqCst);
            return Err(Ended::new(CloseCode::OVERLOADED, "this node has as many links as it may"));
        }
        let max = self.config.links_per_user_max.max(1);
        let older = self.users.update(session.user, |sessions| {
            let is_live = |other: &&Arc<Session>| !other.outbox.has_ended();
            let (same, others): (Vec<_>, Vec<_>) =
                sessions.iter().filter(is_live).partition(|other| other.device == session.device);
            if others.len() >= max {
                return None;
            }
            let same: Vec<Arc<Session>> = same.into_iter().cloned().collect();
            sessions.push(Arc::clone(session));
            Some(same)
        });
        let Some(older) = older else {
            self.count.fetch_sub(1, Ordering::SeqCst);
            return Err(Ended::new(CloseCode::TOO_MANY_LINKS, "this user has as many links as one may have"));
        };
        for older in older {
            older.end(&Ended::new(CloseCode::REPLACED, "a newer link of this device took over"));
        }
        Ok(())
    }

    /// The session is over; `false` if it was already.
    pub(super) fn dismiss(&self, session: &Session) -> bool {
        let was_there = self.users.remove(session.user, session);
        if was_there {
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
        was_there
    }

    /// Whether a device has a session that goes on.
    pub(super) fn has_device(&self, user: UserId, device: DeviceId) -> bool {
        self.users.of(user).iter().any(|session| session.device == device && !session.outbox.has_ended())
    }
}
