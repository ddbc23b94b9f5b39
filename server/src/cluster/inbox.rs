//! From a commit on one node to the listeners on another: a mark for the topic, and the bell.
//!
//! A mark is written blindly, so marks of many transactions are one, and an inbox is never longer than the list of topics
//! that its node listens to. The reader rings first and clears then, with a conflict on what it clears: a mark that was
//! written anew meanwhile stays, or else is cleared in a transaction after which the topics are rung again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;

use super::passing::{self, Passed};
use super::{Cluster, Inner, Local};
use crate::chat::tx::decode_row;
use crate::chat::{ChatError, Topic, Tx};
use crate::store::{Range, StoreError, Txn, Watch, keys};

/// How many marks are read at a time.
const MARKS_AT_ONCE: usize = 1_000;
/// How many notices of what passes by are read at a time.
const PASSING_AT_ONCE: usize = 100;
/// The inbox is read so often also if the bell is not heard.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After how long the inbox is read again that could not be read.
const AGAIN: Duration = Duration::from_millis(200);

/// Marks these topics in the inboxes of the other nodes that listen to them.
pub(super) async fn tell(inner: &Inner, tx: &Tx, topics: &BTreeSet<Topic>) -> Result<(), ChatError> {
    let reads =
        topics.iter().map(|topic| async { Ok((*topic, listeners(tx, keys::all_interest(topic.to_key())).await?)) });
    let mut marks = 0;
    let mut bells = BTreeSet::new();
    for (topic, nodes) in try_join_all(reads).await.map_err(|error: StoreError| ChatError::from(error))? {
        for node in nodes.into_iter().filter(|node| *node != inner.member.number()) {
            tx.set(keys::inbox_mark(node, topic.to_key()), Vec::new());
            bells.insert(node);
            marks += 1;
        }
    }
    for node in bells {
        tx.add(keys::bell(node), 1);
    }
    inner.metrics.marks.inc_by(marks);
    Ok(())
}

/// The nodes of rows of interest.
pub(super) async fn listeners(txn: &Txn, range: Range) -> Result<Vec<u16>, StoreError> {
    let mut nodes = Vec::new();
    let mut next = Some(range);
    while let Some(range) = next {
        let page = txn.range(range).await?;
        let numbers = page.rows.iter().filter_map(|(key, _)| keys::last_number(key));
        nodes.extend(numbers.filter_map(|number| u16::try_from(number).ok()));
        next = page.next();
    }
    Ok(nodes)
}

/// Reads this node's inbox whenever the bell is rung, for ever.
pub(super) async fn run(cluster: Cluster, local: Arc<dyn Local>) {
    let inner = &cluster.inner;
    let mut again = false;
    loop {
        let look = match look(inner).await {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(%error, "this node's inbox can't be read");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        inner.metrics.inbox_reads.inc();
        inner.metrics.marks_in.inc_by(look.topics.len() as u64);
        let ring_all = || look.topics.iter().for_each(|topic| local.ring(*topic));
        ring_all();
        for Passed { typing, hidden_from } in &look.passed {
            local.typing(*typing, hidden_from);
        }
        if look.keys.is_empty() {
            again = false;
            tokio::select! {
                // Lost or not: the inbox is read next.
                _ = look.bell => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            continue;
        }
        // Once in a row without: what is marked all the time would never be cleared.
        match clear(inner, &look.keys, !again).await {
            Ok(()) if again => {
                ring_all();
                again = false;
            }
            Ok(()) => {}
            Err(StoreError::Conflict) => again = true,
            Err(error) => {
                tracing::warn!(%error, "this node's inbox can't be cleared");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// What the inbox has.
struct Look {
    keys: Vec<Bytes>,
    topics: Vec<Topic>,
    passed: Vec<Passed>,
    /// Resolves when there is something new since.
    bell: Watch,
}

async fn look(inner: &Inner) -> Result<Look, StoreError> {
    let node = inner.member.number();
    inner
        .store
        .read(|txn| async move {
            let (marks, passing) = futures_util::future::try_join(
                txn.range(keys::inbox(node).snapshot().limit(MARKS_AT_ONCE)),
                txn.range(keys::passing(node).snapshot().limit(PASSING_AT_ONCE)),
            )
            .await?;
            let bell = txn.watch(&keys::bell(node));
            let topics = marks.rows.iter().filter_map(|(key, _)| keys::topic_of(key).and_then(Topic::from_key));
            let passed = passing.rows.iter().filter_map(|(_, value)| decode_row::<passing::Notice>(value).ok());
            Ok(Look {
                topics: topics.collect(),
                passed: passed.flat_map(|notice| notice.passed(inner.clock.now_ms())).collect(),
                keys: marks.rows.iter().chain(&passing.rows).map(|(key, _)| key.clone()).collect(),
                bell,
            })
        })
        .await
}

/// Clears what was read. With `exact` it fails where any of it was written anew.
async fn clear(inner: &Inner, keys: &[Bytes], exact: bool) -> Result<(), StoreError> {
    let txn = inner.store.begin();
    inner.member.fence(&txn).await?;
    for key in keys {
        if exact {
            txn.conflict_on(key);
        }
        txn.clear(key);
    }
    txn.commit().await
}
