//! From a commit on one node to the listeners on another: a mark for the topic, and the bell.
//!
//! A mark is written blindly, so marks of many transactions are one, and an inbox is never longer than the list of topics
//! that its node listens to. The reader rings first and clears then, with a conflict on what it clears: a mark that was
//! written anew meanwhile stays. Where that happens twice in a row it is cleared all the same, and rung once more after that.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use suda_schema::UserId;

use super::passing::{Notice, Passed};
use super::{Cluster, Inner, Local};
use crate::chat::audience::{self, Audience};
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

/// Marks these topics in the inboxes of the other nodes where somebody is to hear of them.
pub(super) async fn tell(inner: &Inner, tx: &Tx, topics: &BTreeSet<Topic>) -> Result<(), ChatError> {
    let mut marks = 0;
    let mut bells = BTreeSet::new();
    for (topic, nodes) in concerned(tx, topics).await? {
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

/// The nodes on which somebody is to hear of each topic. Each user is looked up once.
pub(super) async fn concerned(tx: &Tx, topics: &BTreeSet<Topic>) -> Result<Vec<(Topic, BTreeSet<u16>)>, ChatError> {
    let audiences = topics.iter().map(|topic| async { Ok::<_, ChatError>((*topic, audience::of(tx, *topic).await?)) });
    let audiences = try_join_all(audiences).await?;
    // Whoever is told something of their own hears of all: who has just left a channel is not among its members any more.
    let own = |topic: &Topic| if let Topic::User(user) = topic { Some(*user) } else { None };
    let told: Vec<UserId> = topics.iter().filter_map(own).collect();
    let asked = audiences.iter().flat_map(|(topic, audience)| match audience {
        Audience::Registered => vec![*topic],
        Audience::Users(users) => users.iter().chain(&told).map(|user| Topic::User(*user)).collect(),
    });
    let asked: BTreeSet<Topic> = asked.collect();
    let reads = asked
        .into_iter()
        .map(|topic| async move { Ok((topic, listeners(tx, keys::all_interest(topic.to_key())).await?)) });
    let nodes: HashMap<Topic, Vec<u16>> =
        try_join_all(reads).await.map_err(|error: StoreError| ChatError::from(error))?.into_iter().collect();
    let of = |topic: Topic| nodes.get(&topic).into_iter().flatten().copied();
    let concerned = audiences.into_iter().map(|(topic, audience)| match audience {
        Audience::Registered => (topic, of(topic).collect()),
        Audience::Users(users) => {
            (topic, users.into_iter().chain(told.iter().copied()).flat_map(|user| of(Topic::User(user))).collect())
        }
    });
    Ok(concerned.collect())
}

/// The nodes of rows of interest.
async fn listeners(txn: &Txn, range: Range) -> Result<Vec<u16>, StoreError> {
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
    // Whether what was read last could not be cleared, because it was written anew meanwhile.
    let mut again = false;
    loop {
        match turn(inner, &*local, again).await {
            Ok(Turn::Empty(bell)) => {
                again = false;
                tokio::select! {
                    // Lost or not: the inbox is read next.
                    _ = bell => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
            }
            Ok(Turn::Cleared) => again = false,
            Err(StoreError::Conflict) => again = true,
            Err(error) => {
                tracing::warn!(%error, "this node's inbox can't be read");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

enum Turn {
    /// There is nothing; this resolves when there is.
    Empty(Watch),
    Cleared,
}

/// Reads what the inbox has, rings, and clears it, in one transaction: what is written anew meanwhile conflicts with the
/// clearing. With `again` it does not; then it is rung after it, too.
async fn turn(inner: &Inner, local: &dyn Local, again: bool) -> Result<Turn, StoreError> {
    let node = inner.member.number();
    let txn = inner.store.begin();
    let (marks, passing) = futures_util::future::try_join(
        txn.range(keys::inbox(node).snapshot().limit(MARKS_AT_ONCE)),
        txn.range(keys::passing(node).snapshot().limit(PASSING_AT_ONCE)),
    )
    .await?;
    inner.metrics.inbox_reads.inc();
    inner.metrics.marks_in.inc_by(marks.rows.len() as u64);
    if marks.rows.is_empty() && passing.rows.is_empty() {
        let bell = txn.watch(&keys::bell(node));
        txn.commit().await?;
        return Ok(Turn::Empty(bell));
    }
    let topics = marks.rows.iter().filter_map(|(key, _)| keys::topic_of(key).and_then(Topic::from_key));
    let topics: Vec<Topic> = topics.collect();
    topics.iter().for_each(|topic| local.ring(*topic));
    for (key, _) in &marks.rows {
        if !again {
            txn.conflict_on(key);
        }
        txn.clear(key);
    }
    passing.rows.iter().for_each(|(key, _)| txn.clear(key));
    inner.member.fence(&txn).await?;
    let cleared = txn.commit().await;
    if again {
        // Also where it is not known whether they were cleared.
        topics.iter().for_each(|topic| local.ring(*topic));
    }
    cleared?;
    // Shown once: not before it is certain that it is not read again.
    for (_, value) in &passing.rows {
        let notice = decode_row::<Notice>(value).map(|notice| notice.passed(inner.clock.now_ms())).unwrap_or_default();
        notice.iter().for_each(|Passed { typing, hidden_from }| local.typing(*typing, hidden_from));
    }
    Ok(Turn::Cleared)
}
