//! Transactions for the engines that live in this process.
//!
//! The way of a commit: a transaction (`txn`) reads a view that stands still, keeps its writes in an `overlay`, and
//! remembers which spans of keys it has seen. At its commit the `committer` checks those against the `window` of
//! what recent commits have written, makes the writes durable in the `backing`, shows them to those who begin now,
//! answers, and rings the `watches`.

mod backing;
mod committer;
mod memory;
mod overlay;
mod txn;
mod watches;
mod window;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use backing::{Backing, View};
use committer::Committer;

use super::engine::{Engine, EngineTxn};
use crate::clock::Clock;

/// The engine `memory`.
pub(super) fn memory(clock: &Clock) -> impl Engine {
    let backing = memory::Memory::default();
    // Memory can always be read.
    let (version, view) = backing.view().unwrap_or_else(|error| unreachable!("{error}"));
    let published = Arc::new(Published(RwLock::new((version, view))));
    let committer = Committer::new(Box::new(backing), Arc::clone(&published), clock.clone());
    LocalEngine(Arc::new(Local { published, driver: Driver::Inline(Mutex::new(committer)), clock: clock.clone() }))
}

struct LocalEngine(Arc<Local>);

struct Local {
    published: Arc<Published>,
    driver: Driver,
    clock: Clock,
}

impl Engine for LocalEngine {
    fn begin(&self) -> Box<dyn EngineTxn> {
        Box::new(txn::LocalTxn::new(Arc::clone(&self.0)))
    }
}

/// What transactions that begin now read: the last durable version.
struct Published(RwLock<(u64, Arc<dyn View>)>);

impl Published {
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
}
