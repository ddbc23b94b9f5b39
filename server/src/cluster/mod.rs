//! The other nodes that share the store. The store is all that nodes have in common: they never talk to each other.
//!
//! | file | idea |
//! |---|---|
//! | `member` | a node's number, held by a lease: taken, renewed by beats, fenced in each transaction |
//! | `watch` | who else is there, by their beats, and who is dead |
//! | `sweep` | clears what nodes that are gone have left |
//! | `interest` | which users are here and which broadcast channels are listened to, kept in the store |
//! | `inbox` | marks for other nodes, written in the transaction; one watched key brings this node's own |
//! | `passing` | what is in no log and may be lost: who types |
//! | `directory` | which nodes discovery recommends |
//! | `rows` | what is stored about a node |
//!
//! What must hold:
//!
//! - **A node that may be taken for dead has stopped before.** It relies on its memory for less time after its last beat
//!   than others wait before they take its number away; and each transaction reads that the number is still its own.
//! - **No clock is compared with another machine's.** A beat is a count; who watches it measures by its own clock for how
//!   long it has stood still.
//! - **A user is registered before anything is read for them.** A transaction that appends reads whom it concerns and where
//!   they are registered, so it either sees a node or conflicts with it; nothing falls between.
//! - **Who can't give a sign of life judges nobody.** A store that nobody can write to kills no node.
//! - **Marks are hints.** An inbox is bounded by topics; the log says what happened.
//! - **Whoever notices sweeps.** Each step is a transaction that does nothing the second time.

mod config;
mod directory;
mod inbox;
mod interest;
mod member;
mod metrics;
mod passing;
mod peers;
mod rows;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;

use suda_schema::UserId;
use suda_schema::control::Typing;
use tokio::task::JoinSet;

pub use config::ClusterConfig;
pub use directory::{Address, Listed};
pub use member::JoinError;
pub use metrics::ClusterMetrics;

use crate::chat::{Chat, Peers, Topic};
use crate::clock::Clock;
use crate::store::{Store, StoreError};
use directory::Directory;
use interest::Interest;
use member::Member;
use passing::Passing;

/// What a node does with what comes from others.
pub trait Local: Send + Sync {
    /// Something about a topic was committed elsewhere.
    fn ring(&self, topic: Topic);
    /// Whether anybody here listens to it.
    fn listens(&self, topic: Topic) -> bool;
    /// Somebody types elsewhere.
    fn typing(&self, typing: Typing, hidden_from: &[UserId]);
    /// How many links there are.
    fn links(&self) -> usize;
    /// Of the certificate that the node made for itself, in hexadecimal: by these clients are to know it.
    fn certificate_hashes(&self) -> Vec<String>;
}

/// This node among others. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    config: ClusterConfig,
    metrics: ClusterMetrics,
    member: Member,
    directory: Directory,
    interest: Interest,
    passing: Passing,
}

impl Cluster {
    /// Takes a number that is free. Others see the node from now on, and recommend it once [`Cluster::open`] was called.
    ///
    /// # Errors
    /// The store's, or that all numbers are taken.
    pub async fn join(
        store: Store,
        clock: Clock,
        config: ClusterConfig,
        address: Address,
        metrics: ClusterMetrics,
    ) -> Result<Self, JoinError> {
        let member = Member::join(&store, &clock, &config, address).await?;
        let inner = Inner {
            directory: Directory::default(),
            interest: Interest::new(member.number()),
            passing: Passing::default(),
            store,
            clock,
            config,
            metrics,
            member,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The node's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.inner.member.number()
    }

    /// Chat's view of the others.
    #[must_use]
    pub fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(self.clone())
    }

    /// What goes on for as long as the node does. `chat` is this node's own, for sweeping up after others.
    pub fn run(&self, local: &Arc<dyn Local>, chat: &Chat, tasks: &mut JoinSet<()>) {
        tasks.spawn(member::beat(self.clone(), Arc::clone(local)));
        tasks.spawn(watch::run(self.clone()));
        tasks.spawn(sweep::run(self.clone(), chat.clone()));
        tasks.spawn(interest::run(self.clone(), Arc::clone(local)));
        tasks.spawn(inbox::run(self.clone(), Arc::clone(local)));
        tasks.spawn(passing::run(self.clone(), chat.clone()));
    }

    /// From now on the others recommend it.
    pub fn open(&self) {
        self.inner.member.set_state(rows::State::Serving);
    }

    /// From now on nobody recommends it.
    pub async fn drain(&self) {
        self.inner.member.set_state(rows::State::Draining);
        if let Err(error) = member::say(self).await {
            tracing::warn!(%error, "could not say that this node drains");
        }
    }

    /// Hands the number back. What the node leaves in the store is swept by the others, its users' presence after the
    /// time in which they may come back elsewhere.
    ///
    /// # Errors
    /// The store's.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.inner.member.leave(&self.inner.store).await
    }

    /// Resolves when others have taken this node for dead: it must stop, and may begin anew.
    pub async fn lost(&self) {
        self.inner.member.lost().await;
    }

    /// The nodes that a client in this region should try, in this order.
    #[must_use]
    pub fn recommend(&self, region: Option<&str>) -> Vec<Listed> {
        self.inner.directory.recommend(region.unwrap_or(&self.inner.member.address().region), &self.inner.clock)
    }
}
