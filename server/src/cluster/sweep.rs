//! Sweeps up after nodes that are gone. Every node does, side by side, so each step first finds in its own transaction that
//! the node is still to be swept: once another has finished, the number may be a new node's, whose rows are not to be touched.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::rows::{GoneRow, by_node};
use super::{Cluster, Inner};
use crate::chat::tx::decode_row;
use crate::chat::{Chat, ChatError};
use crate::store::{Store, StoreError, Txn, keys};

/// How many rows one step clears.
const SWEEP_ROWS: usize = 500;

pub(super) async fn run(cluster: Cluster, chat: Chat) {
    let inner = &cluster.inner;
    // Since when each is known to be gone, by this node's clock.
    let mut since: HashMap<u16, Instant> = HashMap::new();
    let mut ticks = tokio::time::interval(inner.config.beat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // What can't be read now is read at the next turn.
        let Ok(gone) = inner.store.read(|txn| async move { by_node(&txn, keys::gone_nodes()).await }).await else {
            continue;
        };
        since.retain(|number, _| gone.iter().any(|(other, _)| other == number));
        for (number, row) in gone {
            let silent = decode_row(&row).map_or(Duration::ZERO, |row: GoneRow| Duration::from_millis(row.silent_ms));
            let known_for = since.entry(number).or_insert_with(Instant::now).elapsed();
            let users_too = known_for + silent >= inner.config.presence_grace;
            if let Err(error) = sweep(inner, &chat, number, users_too).await {
                tracing::warn!(node = number, %error, "what a node has left can't be swept away");
            }
        }
    }
}

/// Clears what a node has left: at once what has others write for it, then, when its users have had the time to come back
/// elsewhere, their presence.
pub(super) async fn sweep(inner: &Inner, chat: &Chat, number: u16, users_too: bool) -> Result<(), ChatError> {
    let store = &inner.store;
    while sweep_interest(store, number).await? {}
    if !users_too {
        return Ok(());
    }
    while chat.presence_sweep(number, Some(&keys::gone_node(number))).await? {}
    // Nobody marks or rings for it any more: those who might have conflicted with the sweep of its interest.
    let done = |txn: Txn| async move {
        if txn.get(&keys::gone_node(number)).await?.is_none() {
            return Ok(false);
        }
        for range in [keys::inbox(number), keys::passing(number)] {
            txn.clear_range(range.begin(), range.end());
        }
        txn.clear(keys::bell(number));
        txn.clear(keys::gone_node(number));
        Ok::<_, StoreError>(true)
    };
    if store.run_idempotent(done).await? {
        tracing::info!(node = number, "what a node had left is swept away");
    }
    Ok(())
}

async fn sweep_interest(store: &Store, number: u16) -> Result<bool, StoreError> {
    store
        .run_idempotent(|txn| async move {
            if txn.get(&keys::gone_node(number)).await?.is_none() {
                return Ok(false);
            }
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
