//! Watches the other nodes: who is there, and who is dead.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::directory::Listed;
use super::member::give_up;
use super::rows::{BeatRow, NodeRow, State, by_node};
use super::{Cluster, Inner};
use crate::chat::tx::decode_row;
use crate::store::{Store, StoreError, Txn, keys};

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

pub(super) async fn run(cluster: Cluster) {
    let inner = &cluster.inner;
    let mut seen: HashMap<u16, Seen> = HashMap::new();
    let mut ticks = tokio::time::interval(inner.config.beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begun = Instant::now();
        let nodes = match read(&inner.store).await {
            // What was read before a long pause, of the store or of this process, says nothing of how others do now. And as
            // long as this node can't give a sign of life itself, perhaps nobody can.
            Ok(nodes) if begun.elapsed() < inner.config.doubted_after() && inner.member.is_current() => nodes,
            Ok(_) | Err(_) => {
                seen.clear();
                continue;
            }
        };
        let now = Instant::now();
        seen.retain(|number, _| nodes.iter().any(|node| node.number == *number));
        for node in &nodes {
            let fresh = Seen { incarnation: node.node.incarnation, count: node.beat.count, since: now };
            let known = seen.entry(node.number).or_insert(fresh);
            if (known.incarnation, known.count) != (node.node.incarnation, node.beat.count) {
                *known = Seen { incarnation: node.node.incarnation, count: node.beat.count, since: now };
            }
        }
        let still_for = |number: u16| seen.get(&number).map_or(Duration::ZERO, |seen| now - seen.since);
        inner.list(&nodes, still_for);
        for node in &nodes {
            if node.number != inner.member.number() && still_for(node.number) >= inner.config.dead_after {
                inner.declare_dead(node).await;
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
                give_up(&txn, number, self.config.dead_after);
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

async fn read(store: &Store) -> Result<Vec<Read>, StoreError> {
    store
        .read(|txn| async move {
            let rows = futures_util::future::try_join(by_node(&txn, keys::nodes()), by_node(&txn, keys::beats()));
            let (nodes, beats) = rows.await?;
            let mut beats: HashMap<u16, BeatRow> =
                beats.into_iter().filter_map(|(number, row)| Some((number, decode_row(&row).ok()?))).collect();
            let nodes = nodes.into_iter().filter_map(|(number, row)| {
                // A row that this version can't read is of a newer node, which others look after.
                Some(Read { number, node: decode_row(&row).ok()?, beat: beats.remove(&number)? })
            });
            Ok(nodes.collect())
        })
        .await
}

async fn one(txn: &Txn, number: u16) -> Result<Option<(NodeRow, BeatRow)>, StoreError> {
    let (node, beat) = (txn.get(&keys::node(number)).await?, txn.get(&keys::beat(number)).await?);
    Ok(node.zip(beat).and_then(|(node, beat)| Some((decode_row(&node).ok()?, decode_row(&beat).ok()?))))
}
