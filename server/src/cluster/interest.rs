//! Which topics somebody on this node listens to, as the store has it.
//!
//! Whoever begins to listen waits until the topic is registered. One task writes for all, so that many who come at once
//! cost few transactions, and so that registering and leaving a topic can't overtake each other. A topic is left when
//! nobody here has listened for a while: people who look away and back cost nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::{Cluster, Inner, Local};
use crate::chat::{ChatError, Topic};
use crate::store::{StoreError, Txn, keys};

/// How many topics one transaction registers or leaves.
const TOPICS_AT_ONCE: usize = 500;
/// How many topics may wait to be registered; beyond it, listening fails and is tried again.
const WAITING_MAX: usize = 1_000_000;
/// How long who listens is asked to wait then.
const FULL_WAIT_MS: u64 = 1_000;

pub(super) struct Interest {
    node: u16,
    state: Mutex<State>,
    work: Notify,
}

#[derive(Default)]
struct State {
    topics: HashMap<Topic, Entry>,
    /// Those to be registered.
    wanted: Vec<Topic>,
}

struct Entry {
    phase: Phase,
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// Since when nobody was found to listen.
    idle_since: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// To be registered.
    Wanted,
    Registered,
    /// Being left.
    Leaving,
}

impl Interest {
    pub(super) fn new(node: u16) -> Self {
        Self { node, state: Mutex::default(), work: Notify::new() }
    }

    /// Registers topics: all of them are when this is done.
    pub(super) async fn listen(&self, topics: &[Topic]) -> Result<(), ChatError> {
        let mut answers = Vec::new();
        {
            let mut state = self.state();
            if state.wanted.len() + topics.len() > WAITING_MAX {
                return Err(ChatError::Overloaded { what: "too many topics wait", wait_ms: FULL_WAIT_MS });
            }
            for &topic in topics {
                let State { topics, wanted } = &mut *state;
                let entry = topics.entry(topic).or_insert_with(|| {
                    wanted.push(topic);
                    Entry { phase: Phase::Wanted, waiting: Vec::new(), idle_since: None }
                });
                entry.idle_since = None;
                if entry.phase == Phase::Leaving {
                    wanted.push(topic);
                    entry.phase = Phase::Wanted;
                }
                if entry.phase == Phase::Wanted {
                    let (sender, receiver) = oneshot::channel();
                    entry.waiting.push(sender);
                    answers.push(receiver);
                }
            }
        }
        if answers.is_empty() {
            return Ok(());
        }
        self.work.notify_one();
        for answer in answers {
            // Who registers answers, or the node stops.
            answer.await.map_err(|_| ChatError::Unavailable("the node stops"))??;
        }
        Ok(())
    }

    /// Whether a topic is registered, or about to be.
    #[cfg(test)]
    pub(super) fn has(&self, topic: Topic) -> bool {
        self.state().topics.contains_key(&topic)
    }

    fn take_wanted(&self) -> Vec<Topic> {
        let mut state = self.state();
        let count = state.wanted.len().min(TOPICS_AT_ONCE);
        state.wanted.drain(..count).collect()
    }

    fn registered(&self, topics: &[Topic], done: &Result<(), StoreError>) {
        let mut state = self.state();
        for topic in topics {
            let Some(entry) = state.topics.get_mut(topic) else { continue };
            let waiting = std::mem::take(&mut entry.waiting);
            if done.is_ok() {
                entry.phase = Phase::Registered;
            } else {
                state.topics.remove(topic);
            }
            // Who does not wait any more tries again, or has gone.
            waiting.into_iter().for_each(|waiting| drop(waiting.send(done.clone())));
        }
    }

    /// The topics that nobody here has listened to for long enough; they are being left from now on.
    fn idle(&self, local: &dyn Local, idle_for: Duration) -> Vec<Topic> {
        let (now, mut leaving) = (Instant::now(), Vec::new());
        let topics: Vec<Topic> = {
            let state = self.state();
            state.topics.iter().filter(|(_, entry)| entry.phase == Phase::Registered).map(|(topic, _)| *topic).collect()
        };
        for topic in topics {
            let listens = local.listens(topic);
            let mut state = self.state();
            let Some(entry) = state.topics.get_mut(&topic).filter(|entry| entry.phase == Phase::Registered) else {
                continue;
            };
            if listens {
                entry.idle_since = None;
            } else if now - *entry.idle_since.get_or_insert(now) >= idle_for {
                entry.phase = Phase::Leaving;
                drop(state);
                // Who began to listen before this has found it registered; who does so from now on waits for it.
                if local.listens(topic) {
                    self.stay(topic);
                } else {
                    leaving.push(topic);
                }
            }
        }
        leaving
    }

    /// It is not left after all.
    fn stay(&self, topic: Topic) {
        if let Some(entry) = self.state().topics.get_mut(&topic).filter(|entry| entry.phase == Phase::Leaving) {
            entry.phase = Phase::Registered;
            entry.idle_since = None;
        }
    }

    fn want_again(&self, topics: &[Topic]) {
        let mut state = self.state();
        let State { topics: entries, wanted } = &mut *state;
        for topic in topics {
            if let Some(entry) = entries.get_mut(topic).filter(|entry| entry.phase == Phase::Leaving) {
                entry.phase = Phase::Wanted;
                wanted.push(*topic);
            }
        }
    }

    /// The store has left these; those that are wanted again are registered next.
    fn left(&self, topics: &[Topic]) {
        let mut state = self.state();
        for topic in topics {
            if state.topics.get(topic).is_some_and(|entry| entry.phase == Phase::Leaving) {
                state.topics.remove(topic);
            }
        }
    }

    fn count(&self) -> usize {
        self.state().topics.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers what is wanted and leaves what is idle, for ever.
pub(super) async fn run(cluster: Cluster, local: Arc<dyn Local>) {
    let inner = &cluster.inner;
    let look_every = inner.config.interest_idle / 2;
    let mut look_at = Instant::now() + look_every;
    loop {
        let wanted = inner.interest.take_wanted();
        if !wanted.is_empty() {
            let done = write(inner, &wanted, true).await;
            if let Err(error) = &done {
                tracing::warn!(%error, topics = wanted.len(), "could not register what is listened to");
            }
            inner.interest.registered(&wanted, &done);
        } else if look_at <= Instant::now() {
            for topics in inner.interest.idle(&*local, inner.config.interest_idle).chunks(TOPICS_AT_ONCE) {
                match write(inner, topics, false).await {
                    Ok(()) => inner.interest.left(topics),
                    // It may have happened: what is to stay is registered anew.
                    Err(error) => {
                        tracing::warn!(%error, "could not leave what nobody listens to");
                        inner.interest.want_again(topics);
                    }
                }
            }
            look_at = Instant::now() + look_every;
        } else {
            tokio::select! {
                () = inner.interest.work.notified() => {}
                () = tokio::time::sleep_until(look_at) => {}
            }
        }
        inner.metrics.topics.set(i64::try_from(inner.interest.count()).unwrap_or(i64::MAX));
    }
}

async fn write(inner: &Inner, topics: &[Topic], on: bool) -> Result<(), StoreError> {
    let node = inner.interest.node;
    let write = |txn: Txn| async move {
        inner.member.fence(&txn).await?;
        for topic in topics {
            let topic = topic.to_key();
            if on {
                txn.set(keys::interest(topic, node), Vec::new());
                txn.set(keys::hears(node, topic), Vec::new());
            } else {
                txn.clear(keys::interest(topic, node));
                txn.clear(keys::hears(node, topic));
            }
        }
        Ok(())
    };
    inner.store.run_idempotent(write).await
}
