//! What all sessions of a node share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use suda_schema::control::Typing;
use suda_schema::{ChannelId, UserId};
use tokio::sync::Semaphore;

use super::config::SessionConfig;
use super::interest::Interest;
use super::metrics::SessionMetrics;
use crate::channel::Hubs;
use crate::chat::Chat;
use crate::chat::presence::LinkId;
use crate::rate::RateLimiter;

/// How many transactions that say who is there run side by side.
const PRESENCE_WRITES_MAX: usize = 64;

pub(super) struct Node {
    pub(super) chat: Chat,
    pub(super) hubs: Hubs,
    pub(super) config: SessionConfig,
    pub(super) metrics: SessionMetrics,
    pub(super) limiter: Arc<RateLimiter>,
    /// The node's number.
    pub(super) number: u16,
    /// The sessions of each user.
    pub(super) users: Interest<UserId>,
    /// Sessions of members that have not attached a channel.
    pub(super) channels: Interest<ChannelId>,
    /// Sessions that are told when a user comes and goes.
    pub(super) watchers: Interest<UserId>,
    pub(super) count: AtomicUsize,
    /// Links whose session is over, and who are being told so.
    pub(super) goodbyes: AtomicUsize,
    pub(super) draining: AtomicBool,
    pub(super) presence_writes: Semaphore,
}

impl Node {
    pub(super) fn new(
        chat: Chat,
        hubs: Hubs,
        config: SessionConfig,
        metrics: SessionMetrics,
        limiter: Arc<RateLimiter>,
        number: u16,
    ) -> Self {
        Self {
            chat,
            hubs,
            config,
            metrics,
            limiter,
            number,
            users: Interest::new(),
            channels: Interest::new(),
            watchers: Interest::new(),
            count: AtomicUsize::new(0),
            goodbyes: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            presence_writes: Semaphore::new(PRESENCE_WRITES_MAX),
        }
    }

    /// A link is being closed for as long as this is held.
    pub(super) fn goodbye(&self) -> Goodbye<'_> {
        self.goodbyes.fetch_add(1, Ordering::SeqCst);
        Goodbye(&self.goodbyes)
    }

    /// The next link's id, unique over restarts.
    pub(super) fn next_link(&self) -> LinkId {
        LinkId { node: self.number, number: self.chat.ids().device().0 }
    }

    /// Passes typing on to those members' sessions that have not attached the channel.
    pub(super) fn typing_elsewhere(&self, typing: Typing, hidden_from: &[UserId]) {
        for session in self.channels.of(typing.channel) {
            if !hidden_from.contains(&session.user) {
                session.typing_elsewhere(typing);
            }
        }
    }
}

/// See [`Node::goodbye`].
pub(super) struct Goodbye<'a>(&'a AtomicUsize);

impl Drop for Goodbye<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
