//! What passes by and is in no log: who types. It travels as best it can: what comes while much waits is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use suda_schema::control::Typing;
use suda_schema::{ChannelId, UserId};
use tokio::sync::Notify;

use super::{Cluster, Inner, inbox};
use crate::chat::tx::encode_row;
use crate::chat::{Chat, ChatError, Row, Topic};
use crate::store::keys;

/// How many notices may wait.
const WAITING_MAX: usize = 256;
/// Somebody who has blocked more users than this is not shown as typing on other nodes.
const HIDDEN_FROM_MAX: usize = 200;
/// How many notices one transaction passes on: with all whom they are hidden from, they fit into one value.
const NOTICES_AT_ONCE: usize = 32;
/// What is older than this is not shown any more, as far as clocks can tell.
const OLD_MS: u64 = 5_000;

/// What waits to be passed on.
#[derive(Default)]
pub(super) struct Passing {
    waiting: Mutex<BTreeMap<(ChannelId, UserId), Passed>>,
    work: Notify,
}

/// Somebody types, and who is not to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passed {
    pub(super) typing: Typing,
    pub(super) hidden_from: Vec<UserId>,
}

/// What one transaction has for one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    at_ms: u64,
    typings: Vec<Passed>,
}

impl Row for Notice {
    const NAME: &'static str = "notice";
}

impl Notice {
    /// What is not too old.
    pub(super) fn passed(self, now_ms: u64) -> Vec<Passed> {
        if now_ms.saturating_sub(self.at_ms) > OLD_MS { Vec::new() } else { self.typings }
    }
}

impl Passing {
    /// Has this passed on; whether there was room for it.
    pub(super) fn push(&self, typing: Typing, hidden_from: &[UserId]) -> bool {
        let mut waiting = self.waiting();
        let key = (typing.channel, typing.user);
        if hidden_from.len() > HIDDEN_FROM_MAX || (waiting.len() >= WAITING_MAX && !waiting.contains_key(&key)) {
            return false;
        }
        // The newest of a user in a channel counts.
        waiting.insert(key, Passed { typing, hidden_from: hidden_from.to_vec() });
        self.work.notify_one();
        true
    }

    fn take(&self) -> BTreeMap<(ChannelId, UserId), Passed> {
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<(ChannelId, UserId), Passed>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes on what waits, for ever.
pub(super) async fn run(cluster: Cluster, chat: Chat) {
    let inner = &cluster.inner;
    loop {
        inner.passing.work.notified().await;
        tokio::time::sleep(inner.config.passing_interval).await;
        let waiting: Vec<Passed> = inner.passing.take().into_values().collect();
        for some in waiting.chunks(NOTICES_AT_ONCE) {
            if let Err(error) = pass_on(inner, &chat, some).await {
                inner.metrics.typings_dropped.inc_by(some.len() as u64);
                tracing::debug!(%error, "typing was not passed on");
            }
        }
    }
}

/// Tried once: by the time of a second try it would be old.
async fn pass_on(inner: &Inner, chat: &Chat, waiting: &[Passed]) -> Result<(), ChatError> {
    let topics: &BTreeSet<Topic> = &waiting.iter().map(|passed| Topic::Channel(passed.typing.channel)).collect();
    let concerned = chat.read(|tx| async move { inbox::concerned(&tx, topics).await }).await?;
    let mut nodes: BTreeMap<u16, Vec<Passed>> = BTreeMap::new();
    for (topic, concerned) in concerned {
        let passed = waiting.iter().filter(|passed| Topic::Channel(passed.typing.channel) == topic);
        let passed: Vec<Passed> = passed.cloned().collect();
        for node in concerned.into_iter().filter(|node| *node != inner.member.number()) {
            nodes.entry(node).or_default().extend(passed.iter().cloned());
        }
    }
    if nodes.is_empty() {
        return Ok(());
    }
    let txn = inner.store.begin();
    let at_ms = inner.clock.now_ms();
    for (node, typings) in nodes {
        let (before, behind) = keys::passing_to_come(node);
        txn.set_versionstamped_key(before, behind, encode_row(&Notice { at_ms, typings }));
        txn.add(keys::bell(node), 1);
    }
    Ok(txn.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::VALUE_BYTES_MAX;

    #[test]
    fn what_one_transaction_passes_on_fits_into_a_value() {
        let typing = Typing { channel: ChannelId(u64::MAX), user: UserId(u64::MAX), for_ms: u32::MAX };
        let passed = Passed { typing, hidden_from: vec![UserId(u64::MAX); HIDDEN_FROM_MAX] };
        let notice = Notice { at_ms: u64::MAX, typings: vec![passed; NOTICES_AT_ONCE] };
        assert!(encode_row(&notice).len() <= VALUE_BYTES_MAX);
        let passing = Passing::default();
        assert!(!passing.push(typing, &vec![UserId(1); HIDDEN_FROM_MAX + 1]));
        let push = |channel| passing.push(Typing { channel: ChannelId(channel), ..typing }, &[]);
        assert_eq!((0..1_000).filter(|channel| push(*channel)).count(), WAITING_MAX);
        assert!(push(0));
    }

    #[test]
    fn what_is_old_is_not_shown() {
        let typing = Typing { channel: ChannelId(1), user: UserId(1), for_ms: 6_000 };
        let notice = Notice { at_ms: 1_000, typings: vec![Passed { typing, hidden_from: Vec::new() }] };
        assert_eq!(notice.clone().passed(1_000 + OLD_MS).len(), 1);
        assert!(notice.passed(1_001 + OLD_MS).is_empty());
    }
}
