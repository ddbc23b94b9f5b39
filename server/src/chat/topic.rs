//! What listeners wait for: topics, the bell, and how a transaction rings it.
//!
//! The log is the truth and the bell is only a hint: whoever hears it reads the log from where it stood. So a ring too
//! many costs a read, but a ring too few leaves a live link behind until the next one. For that reason ringing is not
//! left to the operations. They call [`Tx::wake`](super::Tx::wake), and [`Chat::run`](super::Chat::run) rings: after the commit, also
//! when its outcome is unknown, and also when the caller has gone away while the commit was under way.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use suda_schema::{ChannelId, UserId};

/// Something that listeners wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// A channel's log, its members' positions, or who may do what in it.
    Channel(ChannelId),
    /// A user's own log, or their right to be here: a device revoked, a password changed, an account gone.
    User(UserId),
    /// A user's presence.
    Presence(UserId),
}

impl Topic {
    /// The topic as keys have it: its kind, and an id.
    #[must_use]
    pub fn to_key(self) -> (u64, u64) {
        match self {
            Self::Channel(channel) => (0, channel.0),
            Self::User(user) => (1, user.0),
            Self::Presence(user) => (2, user.0),
        }
    }

    /// The topic in a key; `None` for a kind that only a newer version knows.
    #[must_use]
    pub fn from_key((kind, id): (u64, u64)) -> Option<Self> {
        match kind {
            0 => Some(Self::Channel(ChannelId(id))),
            1 => Some(Self::User(UserId(id))),
            2 => Some(Self::Presence(UserId(id))),
            _ => None,
        }
    }
}

/// Who passes the news on to this node's listeners.
pub trait Bell: Send + Sync {
    /// Something about `topic` was committed. Must not block, and may be called for nothing.
    fn ring(&self, topic: Topic);
}

/// A bell that nobody hears, for commands and tests that have no listeners.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Bell for Silent {
    fn ring(&self, _topic: Topic) {}
}

/// The topics that the attempts of one transaction want rung. They are kept over its retries, because an attempt whose
/// commit was unknown may have been the one that counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Wakes(Arc<Mutex<BTreeSet<Topic>>>);

impl Wakes {
    pub(super) fn add(&self, topic: Topic) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(topic);
    }

    /// What was added so far.
    pub(super) fn all(&self) -> BTreeSet<Topic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self) -> BTreeSet<Topic> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Rings when the transaction is over, whatever way it ended.
pub(super) struct RingWhenOver {
    bell: Arc<dyn Bell>,
    wakes: Wakes,
    over: bool,
}

impl RingWhenOver {
    pub(super) fn new(bell: Arc<dyn Bell>, wakes: Wakes) -> Self {
        Self { bell, wakes, over: false }
    }

    /// The transaction has been committed, may have been, or has not: then the ring is one too many.
    pub(super) fn over(mut self) {
        self.over = true;
    }
}

/// After how long the topics of a transaction are rung whose caller went away before it was over. Dropping the caller
/// does not stop a commit that is under way; no engine lets one live longer than the last of these.
const LATE_RINGS_MS: [u64; 4] = [20, 200, 900, 6_000];

impl Drop for RingWhenOver {
    fn drop(&mut self) {
        let topics = self.wakes.take();
        for topic in &topics {
            self.bell.ring(*topic);
        }
        if self.over || topics.is_empty() {
            return;
        }
        let bell = Arc::clone(&self.bell);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let mut rung_ms = 0;
                for at_ms in LATE_RINGS_MS {
                    tokio::time::sleep(Duration::from_millis(at_ms - rung_ms)).await;
                    rung_ms = at_ms;
                    topics.iter().for_each(|topic| bell.ring(*topic));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Rung;
    use super::*;

    #[tokio::test]
    async fn a_caller_who_goes_away_leaves_rings_behind() {
        let rung = Rung::default();
        let wakes = Wakes::default();
        let ring = RingWhenOver::new(Arc::new(rung.clone()), wakes.clone());
        wakes.add(Topic::User(UserId(1)));
        drop(ring);
        assert_eq!(rung.take(), [Topic::User(UserId(1))]);
        let again = async {
            while rung.take().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
    }

    #[tokio::test]
    async fn a_transaction_that_is_over_rings_once() {
        let rung = Rung::default();
        let wakes = Wakes::default();
        let ring = RingWhenOver::new(Arc::new(rung.clone()), wakes.clone());
        wakes.add(Topic::Presence(UserId(1)));
        wakes.add(Topic::Presence(UserId(1)));
        ring.over();
        assert_eq!(rung.take(), [Topic::Presence(UserId(1))]);
    }
}
