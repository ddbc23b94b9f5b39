//! The cluster as chat sees it.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use suda_schema::UserId;
use suda_schema::control::Typing;

use super::{Cluster, inbox};
use crate::chat::{ChatError, Peers, Topic, Tx};

impl Peers for Cluster {
    fn number(&self) -> Option<u16> {
        Some(Cluster::number(self))
    }

    fn fence<'a>(&'a self, tx: &'a Tx) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(async move { Ok(self.inner.member.fence(tx).await?) })
    }

    fn tell<'a>(&'a self, tx: &'a Tx, topics: &'a BTreeSet<Topic>) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(inbox::tell(&self.inner, tx, topics))
    }

    fn listen<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(self.inner.interest.listen(topics))
    }

    fn typing(&self, typing: Typing, hidden_from: &[UserId]) {
        if !self.inner.passing.push(typing, hidden_from) {
            self.inner.metrics.typings_dropped.inc();
        }
    }

    fn is_current(&self) -> bool {
        self.inner.member.is_current()
    }

    fn current(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.inner.member.current())
    }
}
