//! Transactions for the engines that live in this process.
//!
//! The way of a commit: a transaction (`txn`) reads a view that stands still, keeps its writes in an `overlay`, and
//! remembers which spans of keys it has seen. At its commit the `committer` checks those against the `window` of
//! what recent commits have written, makes the writes durable in the `backing`, shows them to those who begin now,
//! answers, and rings the `watches`.

mod backing;
mod committer;
mod embedded;
mod memory;
mod overlay;
mod queue;
#[cfg(test)]
mod tests;
mod txn;
mod watches;
mod window;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use backing::View;
use committer::{Committer, Request};
pub use embedded::Embedded;
use embedded::EmbeddedBacking;
use queue::Queue;

use super::engine::{Engine, EngineTxn};
use super::{Metrics, StoreError};
use crate::clock::Clock;

/// The engine `memory`.
pub(super) fn memory(clock: &Clock, metrics: &Metrics) -> impl Engine + use<> {
    let backing = memory::Memory::default();
    let published = Arc::new(Published::new(0, backing.view()));
    let committer = Committer::new(Box::new(backing), Arc::clone(&published), clock.clone(), metrics.clone());
    LocalEngine::new(published, Driver::Inline(Mutex::new(committer)), clock.clone())
}

/// The engine `embedded`.
pub(super) fn embedded(options: Embedded, clock: &Clock, metrics: &Metrics) -> Result<impl Engine + use<>, StoreError> {
    let (backing, version, view) = EmbeddedBacking::open(options, clock.clone())?;
    let published = Arc::new(Published::new(version, view));
    let committer = Committer::new(Box::new(backing), Arc::clone(&published), clock.clone(), metrics.clone());
    Ok(LocalEngine::new(published, Driver::Queue(Queue::start(committer, metrics.clone())?), clock.clone()))
}

struct LocalEngine(Arc<Local>);

struct Local {
    published: Arc<Published>,
    driver: Driver,
    clock: Clock,
}

impl LocalEngine {
    fn new(published: Arc<Published>, driver: Driver, clock: Clock) -> Self {
        Self(Arc::new(Local { published, driver, clock }))
    }
}

impl Engine for LocalEngine {
    fn begin(&self) -> Box<dyn EngineTxn> {
        Box::new(txn::LocalTxn::new(Arc::clone(&self.0)))
    }
}

/// What transactions that begin now read: the last durable version.
struct Published(RwLock<(u64, Arc<dyn View>)>);

impl Published {
    fn new(version: u64, view: Arc<dyn View>) -> Self {
        Self(RwLock::new((version, view)))
    }

    fn get(&self) -> (u64, Arc<dyn View>) {
        let published = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (published.0, Arc::clone(&published.1))
    }

    fn set(&self, version: u64, view: Arc<dyn View>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (version, view);
    }
}

/// How requests come to the committer.
enum Driver {
    /// The transaction's own thread runs it.
    Inline(Mutex<Committer>),
    /// It has a thread of its own.
    Queue(Queue),
}

impl Driver {
    async fn submit(&self, request: Request) -> Result<(), StoreError> {
        match self {
            Self::Inline(committer) => {
                committer.lock().unwrap_or_else(PoisonError::into_inner).commit(vec![request]);
                Ok(())
            }
            Self::Queue(queue) => queue.submit(request).await,
        }
    }
}
