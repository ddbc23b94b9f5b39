//! Waiting for a key to change.

use std::time::Duration;

use futures_util::poll;
use suda_server::store::{Store, StoreError, Watch};
use tokio::time::timeout;

use super::{conflicts, fill, write};

/// Watches a key in a transaction that does nothing else.
async fn watch(store: &Store, key: &'static str) -> Watch {
    store.read(async |txn| Ok::<_, StoreError>(txn.watch(key.as_bytes()))).await.unwrap()
}

async fn rings(watch: Watch) {
    timeout(Duration::from_secs(10), watch).await.expect("the watch should ring").unwrap();
}

pub(crate) async fn a_change_is_seen(store: Store, _: usize) {
    fill(&store, &["a", "b"]).await;
    let mut quiet = watch(&store, "b").await;
    let ring = watch(&store, "a").await;
    write(&store, |txn| txn.set("a", "changed")).await;
    rings(ring).await;
    let ring = watch(&store, "a").await;
    write(&store, |txn| txn.clear("a")).await;
    rings(ring).await;
    let ring = watch(&store, "a").await;
    write(&store, |txn| txn.add("a", 1)).await;
    rings(ring).await;
    let ring = tokio::spawn(rings(watch(&store, "missing").await));
    write(&store, |txn| txn.set("missing", "no more")).await;
    ring.await.unwrap();
    assert!(poll!(&mut quiet).is_pending(), "another key has not changed");
    write(&store, |txn| txn.set("b", "changed")).await;
    rings(quiet).await;
}

pub(crate) async fn a_change_between_read_and_watch_is_seen(store: Store, _: usize) {
    fill(&store, &["a", "b"]).await;
    // Between the read and the call.
    let txn = store.begin();
    txn.get(b"a").await.unwrap();
    write(&store, |txn| txn.set("a", "changed")).await;
    let ring = txn.watch(b"a");
    txn.commit().await.unwrap();
    rings(ring).await;
    // Between the call and the commit.
    let txn = store.begin();
    txn.get_snapshot(b"a").await.unwrap();
    let ring = txn.watch(b"a");
    write(&store, |txn| txn.set("a", "changed again")).await;
    txn.commit().await.unwrap();
    rings(ring).await;
    // To watch is to read: a transaction that also writes is run again.
    let txn = store.begin();
    txn.get_snapshot(b"a").await.unwrap();
    let _lost = txn.watch(b"a");
    txn.set("b", "changed");
    write(&store, |txn| txn.set("a", "changed once more")).await;
    conflicts(txn).await;
}

pub(crate) async fn own_writes_are_not_changes(store: Store, _: usize) {
    fill(&store, &["a"]).await;
    let txn = store.begin();
    txn.set("a", "own");
    let mut ring = txn.watch(b"a");
    txn.commit().await.unwrap();
    assert!(poll!(&mut ring).is_pending());
    write(&store, |txn| txn.set("a", "theirs")).await;
    rings(ring).await;
}

pub(crate) async fn a_lost_watch_says_so(store: Store, _: usize) {
    let txn = store.begin();
    let lost = txn.watch(b"a");
    drop(txn);
    let lost = timeout(Duration::from_secs(10), lost).await.expect("the watch should end");
    assert!(matches!(lost, Err(StoreError::WatchLost { .. })));
    // A conflict loses it, too.
    let txn = store.begin();
    txn.get(b"a").await.unwrap();
    let lost = txn.watch(b"b");
    txn.set("c", "");
    write(&store, |txn| txn.set("a", "")).await;
    assert_eq!(txn.commit().await, Err(StoreError::Conflict));
    drop(txn);
    let lost = timeout(Duration::from_secs(10), lost).await.expect("the watch should end");
    assert!(matches!(lost, Err(StoreError::WatchLost { .. })));
}

pub(crate) async fn many_watches_on_one_key(store: Store, _: usize) {
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(watch(&store, "a").await);
    }
    // Who does not wait any more is no trouble.
    waiting.truncate(40);
    write(&store, |txn| txn.set("a", "changed")).await;
    for ring in waiting {
        rings(ring).await;
    }
}

pub(crate) async fn cleared_ranges_ring(store: Store, _: usize) {
    fill(&store, &["a", "b", "c"]).await;
    let (ring, mut quiet) = (watch(&store, "b").await, watch(&store, "c").await);
    write(&store, |txn| txn.clear_range("a", "c")).await;
    rings(ring).await;
    assert!(poll!(&mut quiet).is_pending());
}
