//! Watches the other nodes: who is there, who is dead, and what the dead have left.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::directory::Listed;
use super::member::give_up;
use super::rows::{BeatRow, NodeRow, State};
use super::{Cluster, Inner};
use crate::chat::tx::decode_row;
use crate::chat::{Chat, ChatError};
use crate::store::{Range, Store, StoreError, Txn, keys};

/// How many rows one step of a sweep clears.
const SWEEP_ROWS: usize = 500;

/// Since when a beat stands still, by this node's clock.
struct Seen {
    incarnation: u64,
    count: u64,
    since: Instant,
}

/// A node as it was read.
struct Read {
    number: u16,
    node: NodeRow,
    beat: BeatRow,
}

pub(super) async fn run(cluster: Cluster, chat: Chat) {
    let inner = &cluster.inner;
    let mut seen: HashMap<u16, Seen> = HashMap::new();
    let mut gone: HashMap<u16, Instant> = HashMap::new();
    let mut ticks = tokio::time::interval(inner.config.beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let read = match read(&inner.store).await {
            // What was read before a long pause, of the store or of this process, says nothing of how others do now.
            Ok(read) if begun.elapsed() < inner.config.doubted_after() => read,
            Ok(_) | Err(_) => {
                seen.clear();
                continue;
            }
        };
        let now = Instant::now();
        seen.retain(|number, _| read.nodes.iter().any(|node| node.number == *number));
        for node in &read.nodes {
            let fresh = Seen { incarnation: node.node.incarnation, count: node.beat.count, since: now };
            let known = seen.entry(node.number).or_insert(fresh);
            if (known.incarnation, known.count) != (node.node.incarnation, node.beat.count) {
                *known = Seen { incarnation: node.node.incarnation, count: node.beat.count, since: now };
            }
        }
        let still_for = |number: u16| seen.get(&number).map_or(Duration::ZERO, |seen| now - seen.since);
        inner.list(&read.nodes, still_for);
        for node in &read.nodes {
            if node.number != inner.member.number() && still_for(node.number) >= inner.config.dead_after {
                inner.declare_dead(node).await;
            }
        }
        gone.retain(|number, _| read.gone.contains(number));
        for number in read.gone {
            let since = *gone.entry(number).or_insert(now);
            if let Err(error) = sweep(inner, &chat, number, since).await {
                tracing::warn!(node = number, %error, "what a node has left can't be swept away");
            }
        }
    }
}

impl Inner {
    /// Tells discovery who takes clients.
    fn list(&self, nodes: &[Read], still_for: impl Fn(u16) -> Duration) {
        let is_there = |node: &&Read| still_for(node.number) < self.config.doubted_after();
        let serving = nodes.iter().filter(is_there).filter(|node| node.beat.state == State::Serving);
        let listed = serving.map(|node| Listed {
            node: node.number,
            address: node.node.address.clone(),
            certificate_hashes: node.beat.certificate_hashes.clone(),
            links: node.beat.links,
        });
        self.directory.set(listed.collect());
        self.metrics.nodes.set(i64::try_from(nodes.iter().filter(is_there).count()).unwrap_or(i64::MAX));
    }

    /// Takes the number away from a node that gives no sign of life, unless it just did.
    async fn declare_dead(&self, node: &Read) {
        let Read { number, node: NodeRow { incarnation, .. }, beat: BeatRow { count, .. } } = *node;
        let take = |txn: Txn| async move {
            let now = one(&txn, number).await?;
            let dead = now.is_some_and(|(node, beat)| node.incarnation == incarnation && beat.count == count);
            if dead {
                give_up(&txn, number);
            }
            Ok::<_, StoreError>(dead)
        };
        match self.store.run_idempotent(take).await {
            Ok(true) => {
                self.metrics.deaths.inc();
                tracing::warn!(node = number, "a node gave no sign of life: it is taken for dead");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(node = number, %error, "a dead node's number can't be taken away"),
        }
    }
}

struct All {
    nodes: Vec<Read>,
    gone: Vec<u16>,
}

async fn read(store: &Store) -> Result<All, StoreError> {
    store
        .read(|txn| async move {
            let (nodes, beats, gone) = futures_util::future::try_join3(
                rows(&txn, keys::nodes()),
                rows(&txn, keys::beats()),
                rows(&txn, keys::gone_nodes()),
            )
            .await?;
            let mut beats: HashMap<u16, BeatRow> =
                beats.into_iter().filter_map(|(number, row)| Some((number, decode_row(&row).ok()?))).collect();
            let nodes = nodes.into_iter().filter_map(|(number, row)| {
                // A row that this version can't read is of a newer node, which others look after.
                Some(Read { number, node: decode_row(&row).ok()?, beat: beats.remove(&number)? })
            });
            Ok(All { nodes: nodes.collect(), gone: gone.into_iter().map(|(number, _)| number).collect() })
        })
        .await
}

async fn rows(txn: &Txn, range: Range) -> Result<Vec<(u16, bytes::Bytes)>, StoreError> {
    let mut rows = Vec::new();
    let mut next = Some(range);
    while let Some(range) = next {
        let mut page = txn.range(range).await?;
        rows.extend(std::mem::take(&mut page.rows).into_iter().filter_map(|(key, value)| {
            let number = keys::last_number(&key).and_then(|number| u16::try_from(number).ok())?;
            Some((number, value))
        }));
        next = page.next();
    }
    Ok(rows)
}

async fn one(txn: &Txn, number: u16) -> Result<Option<(NodeRow, BeatRow)>, StoreError> {
    let (node, beat) = (txn.get(&keys::node(number)).await?, txn.get(&keys::beat(number)).await?);
    Ok(node.zip(beat).and_then(|(node, beat)| Some((decode_row(&node).ok()?, decode_row(&beat).ok()?))))
}

/// Clears what a node has left: at once what has others write for it, then, when its users have had the time to come back
/// elsewhere, their presence. Several nodes may do this at once.
async fn sweep(inner: &Inner, chat: &Chat, number: u16, since: Instant) -> Result<(), ChatError> {
    let store = &inner.store;
    while sweep_interest(store, number).await? {}
    // It took a while until the node was taken for dead: that counts.
    let grace = inner.config.presence_grace.saturating_sub(inner.config.dead_after);
    if since.elapsed() < grace {
        return Ok(());
    }
    while chat.presence_sweep(number).await? {}
    // Nobody marks or rings for it any more: those who might have conflicted with the sweep of its interest.
    let done = |txn: Txn| async move {
        for range in [keys::inbox(number), keys::passing(number)] {
            txn.clear_range(range.begin(), range.end());
        }
        txn.clear(keys::bell(number));
        txn.clear(keys::gone_node(number));
        Ok::<_, StoreError>(())
    };
    store.run_idempotent(done).await?;
    tracing::info!(node = number, "what a node had left is swept away");
    Ok(())
}

async fn sweep_interest(store: &Store, number: u16) -> Result<bool, StoreError> {
    store
        .run_idempotent(|txn| async move {
            let page = txn.range(keys::all_heard(number).limit(SWEEP_ROWS)).await?;
            for (key, _) in &page.rows {
                txn.clear(key);
                if let Some(topic) = keys::topic_of(key) {
                    txn.clear(keys::interest(topic, number));
                }
            }
            Ok(!page.rows.is_empty())
        })
        .await
}
