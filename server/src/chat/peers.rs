//! The other nodes, as far as chat has to know of them: each transaction says what it woke, and leaves it to them to be heard.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use suda_schema::UserId;
use suda_schema::control::Typing;

use super::{ChatError, Topic, Tx};

/// The nodes that share this node's store.
pub trait Peers: Send + Sync {
    /// This node's number among others; none if there can't be others.
    fn number(&self) -> Option<u16>;

    /// Reads in the transaction that this node may still write. To be awaited before the commit.
    fn fence<'a>(&'a self, tx: &'a Tx) -> BoxFuture<'a, Result<(), ChatError>>;

    /// Writes in the transaction what has the listeners of these topics on other nodes told after its commit.
    fn tell<'a>(&'a self, tx: &'a Tx, topics: &'a BTreeSet<Topic>) -> BoxFuture<'a, Result<(), ChatError>>;

    /// From when this is done on, what other nodes commit about these topics is rung here, as long as somebody here
    /// listens. Whoever listens to a user's own topic hears of all that concerns the user, see [`super::audience`]. To be
    /// awaited between beginning to listen and looking, so that nothing falls between.
    fn listen<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Result<(), ChatError>>;

    /// Passes typing on to the listeners of its channel on other nodes, if that is easily done.
    fn typing(&self, typing: Typing, hidden_from: &[UserId]);

    /// Whether this node may rely on what it holds in memory: not once others may take it for dead.
    fn is_current(&self) -> bool;

    /// Waits until it may, again.
    fn current(&self) -> BoxFuture<'_, ()>;
}

/// There are no others.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Peers for Alone {
    fn number(&self) -> Option<u16> {
        None
    }

    fn fence<'a>(&'a self, _tx: &'a Tx) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn tell<'a>(&'a self, _tx: &'a Tx, _topics: &'a BTreeSet<Topic>) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn listen<'a>(&'a self, _topics: &'a [Topic]) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn typing(&self, _typing: Typing, _hidden_from: &[UserId]) {}

    fn is_current(&self) -> bool {
        true
    }

    fn current(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
