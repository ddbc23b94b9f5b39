//! What chat means: every operation is one transaction over `store`.
//!
//! An operation is a function over [`Tx`], wrapped by a method of [`Chat`] that runs it:
//!
//! ```ignore
//! pub async fn remove_friend(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
//!     self.run(|tx| async move { remove_friend(&tx, me, other).await }).await
//! }
//! ```
//!
//! Functions over [`Tx`] may be put together in one transaction; methods of [`Chat`] may not. What must be true of all:
//!
//! - Nothing in a transaction acts on the world outside the store: it may be run several times, and not count.
//! - What appends to a log or changes a permission calls [`Tx::wake`], and is run by [`Chat::run`], which rings.
//! - An id made for a new row is checked to be free in the transaction that takes it: see [`ids`].

pub mod accounts;
pub mod append;
pub mod audience;
pub mod auth;
pub mod channels;
mod contact;
pub mod devices;
mod draft;
mod edit;
pub mod erase;
pub mod error;
pub mod export;
pub mod friends;
pub mod history;
pub mod hot;
#[cfg(test)]
mod identity_tests;
pub mod ids;
pub mod invites;
pub mod leaving;
pub mod limits;
pub mod log;
pub mod marks;
pub mod members;
pub mod operator;
pub mod operator_channels;
pub mod outbox;
pub mod peers;
pub mod presence;
pub mod profile;
pub mod push;
mod react;
mod roster;
pub mod row;
pub mod settings;
mod summary;
pub mod sync;
mod targets;
pub mod telling;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod topic;
pub mod tx;
pub mod user_log;
mod validate;

use std::sync::Arc;

pub use auth::AuthConfig;
pub use error::ChatError;
pub use ids::IdGen;
pub use limits::ChatLimits;
pub use peers::{Alone, Peers};
pub use topic::{Bell, Topic};
pub use tx::{Row, Tx};

use crate::clock::Clock;
use crate::store::Store;

/// Everything that chat can do, over one store. Cheap to clone.
#[derive(Clone)]
pub struct Chat {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Clock,
    ids: IdGen,
    bell: Arc<dyn Bell>,
    peers: Arc<dyn Peers>,
    limits: ChatLimits,
    auth: auth::Auth,
}

/// What the operator decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatConfig {
    /// How much there may be of everything.
    pub limits: ChatLimits,
    /// How accounts are come by.
    pub auth: AuthConfig,
}

impl Chat {
    /// Chat over this store, as the node with this number and the only one. Fails if the configuration asks for what
    /// can't be.
    pub fn new(
        store: Store,
        clock: Clock,
        node: u16,
        bell: Arc<dyn Bell>,
        config: ChatConfig,
    ) -> Result<Self, ChatError> {
        Self::among(Arc::new(Alone), store, clock, node, bell, config)
    }

    /// The same as one of several nodes over this store.
    pub fn among(
        peers: Arc<dyn Peers>,
        store: Store,
        clock: Clock,
        node: u16,
        bell: Arc<dyn Bell>,
        config: ChatConfig,
    ) -> Result<Self, ChatError> {
        let ids = IdGen::new(clock.clone(), node);
        let auth = auth::Auth::new(config.auth, &clock)?;
        Ok(Self { inner: Arc::new(Inner { store, clock, ids, bell, peers, limits: config.limits, auth }) })
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Time and randomness.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Makes ids.
    #[must_use]
    pub fn ids(&self) -> &IdGen {
        &self.inner.ids
    }

    /// What the operator allows.
    #[must_use]
    pub fn limits(&self) -> &ChatLimits {
        &self.inner.limits
    }

    /// The nodes beside this one.
    #[must_use]
    pub fn peers(&self) -> &dyn Peers {
        &*self.inner.peers
    }

    fn auth(&self) -> &auth::Auth {
        &self.inner.auth
    }

    /// Runs an operation in a transaction, again as long as it conflicts, and rings the bell for what it woke.
    pub async fn run<T, F, Fut>(&self, op: F) -> Result<T, ChatError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ChatError>> + Send,
    {
        let wakes = topic::Wakes::default();
        let ring = topic::RingWhenOver::new(Arc::clone(&self.inner.bell), wakes.clone());
        let result = self.inner.store.run(|txn| self.attempt(&op, txn, &wakes)).await;
        ring.over();
        result
    }

    /// The same for an operation that can tell that it has been done already, by an id of its own or by what it finds:
    /// when the outcome of a commit is unknown, it is run again.
    pub async fn run_idempotent<T, F, Fut>(&self, op: F) -> Result<T, ChatError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ChatError>> + Send,
    {
        let wakes = topic::Wakes::default();
        let ring = topic::RingWhenOver::new(Arc::clone(&self.inner.bell), wakes.clone());
        let result = self.inner.store.run_idempotent(|txn| self.attempt(&op, txn, &wakes)).await;
        ring.over();
        result
    }

    /// One attempt: the operation, and in the same transaction what other nodes must know.
    async fn attempt<T, F, Fut>(&self, op: &F, txn: crate::store::Txn, wakes: &topic::Wakes) -> Result<T, ChatError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ChatError>> + Send,
    {
        let tx = Tx::new(txn, self.clone(), wakes.clone());
        let (done, fenced) = futures_util::future::join(op(tx.clone()), self.inner.peers.fence(&tx)).await;
        fenced?;
        let done = done?;
        let woken = wakes.all();
        if !woken.is_empty() {
            self.inner.peers.tell(&tx, &woken).await?;
        }
        Ok(done)
    }

    /// Runs an operation that only reads, on one consistent state of the store.
    pub async fn read<T, F, Fut>(&self, op: F) -> Result<T, ChatError>
    where
        T: Send,
        F: Fn(Tx) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ChatError>> + Send,
    {
        self.inner.store.read(|txn| op(Tx::new(txn, self.clone(), topic::Wakes::default()))).await
    }
}
