//! The engine `foundationdb`: conformance, and `kill -9` of the server under load. Each run has a server of its own.
//!
//! `SUDA_CRASH_ROUNDS` says how often the server is killed (default 3).
#![cfg(feature = "foundationdb")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod store_cluster;
mod store_suite;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use store_cluster::{FoundationDb, open};
use suda_server::clock::Clock;
use suda_server::store::foundationdb::Options;
use suda_server::store::tuple::Pack;
use suda_server::store::{Range, Store, StoreError, Txn};

/// One server for all cases, each under a prefix of its own.
async fn foundationdb() -> store_suite::Fixture {
    static CLUSTER: OnceLock<FoundationDb> = OnceLock::new();
    static CASES: AtomicU64 = AtomicU64::new(0);
    let cluster = CLUSTER.get_or_init(FoundationDb::start);
    let prefix = format!("case-{:03}/", CASES.fetch_add(1, Ordering::Relaxed));
    let store = open(&cluster.cluster_file(), prefix.as_bytes()).await;
    store_suite::Fixture { store, prefix_bytes: prefix.len(), keep: Box::new(()) }
}

conformance!(foundationdb);

#[test]
fn model() {
    store_suite::model::scheduled(&runtime().block_on(foundationdb()).store, 60);
}

#[test]
fn model_racing() {
    store_suite::model::racing(&runtime().block_on(foundationdb()).store, 60);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[tokio::test]
async fn a_missing_cluster_file_is_named() {
    let options = Options { cluster_file: Some(PathBuf::from("/nowhere/fdb.cluster")), ..Options::default() };
    let Err(StoreError::Open { what }) = Store::foundationdb(&options, b"", Clock::system()).await else {
        panic!("opened")
    };
    assert!(what.contains("/nowhere/fdb.cluster"), "{what}");
}

#[tokio::test]
async fn a_silent_cluster_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let cluster_file = folder.path().join("cluster");
    std::fs::write(&cluster_file, "suda:test@127.0.0.1:1").unwrap();
    let options = Options { cluster_file: Some(cluster_file), timeout_ms: 500 };
    let Err(StoreError::Unavailable { what }) = Store::foundationdb(&options, b"", Clock::system()).await else {
        panic!("opened")
    };
    assert!(what.contains("no coordinator of the cluster file answers"), "{what}");
}

const WRITERS: u64 = 16;
/// How long a writer may wait for the server to be back.
const BACK_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_kill_9_of_the_server() {
    let rounds: u32 = std::env::var("SUDA_CRASH_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let mut cluster = FoundationDb::start();
    let store = open(&cluster.cluster_file(), b"crash/").await;
    let (stop, acks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write_until(store.clone(), writer, Arc::clone(&stop), Arc::clone(&acks))))
        .collect();
    for _ in 0..rounds {
        some_more(&acks, 200).await;
        tokio::task::block_in_place(|| {
            cluster.kill();
            cluster.restart();
        });
    }
    some_more(&acks, 200).await;
    stop.store(true, Ordering::Relaxed);
    let (mut total, mut unknown) = (0, 0);
    for (writer, task) in (0..).zip(writers) {
        let (acknowledged, unknowns) = task.await.unwrap();
        let page = store.begin().range(Range::children(log(writer)).limit(10_000)).await.unwrap();
        assert_eq!(page.rows.len() as u64, acknowledged, "writer {writer}: one row for each acknowledged commit");
        total += acknowledged;
        unknown += unknowns;
    }
    let count = store.begin().get(b"count").await.unwrap().unwrap();
    assert_eq!(u64::from_le_bytes(count[..].try_into().unwrap()), total, "no commit happened twice, or by half");
    println!("{rounds} kills: {total} commits acknowledged, none lost, none doubled; {unknown} failures on the way");
}

/// Commits one numbered row after the other, each until it is acknowledged. Gives how many, and how many tries failed.
async fn write_until(store: Store, writer: u64, stop: Arc<AtomicBool>, acks: Arc<AtomicU64>) -> (u64, u64) {
    let (mut number, mut failures) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        while let Err(error) = store.run_idempotent(|txn| async move { append(&txn, writer, number).await }).await {
            assert!(begun.elapsed() < BACK_WITHIN, "the server has not come back: {error}");
            failures += 1;
        }
        number += 1;
        acks.fetch_add(1, Ordering::Relaxed);
    }
    (number, failures)
}

/// The row is its own retry id: one that is there was committed by a try whose answer was lost.
async fn append(txn: &Txn, writer: u64, number: u64) -> Result<(), StoreError> {
    let key = Pack::new().text("log").uint(writer).uint(number).done();
    if txn.get(&key).await?.is_none() {
        txn.set(&key, "");
        txn.add("count", 1);
    }
    Ok(())
}

fn log(writer: u64) -> Vec<u8> {
    Pack::new().text("log").uint(writer).done()
}

/// Waits until so many more commits have been acknowledged.
async fn some_more(acks: &AtomicU64, more: u64) {
    let goal = acks.load(Ordering::Relaxed) + more;
    let begun = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while acks.load(Ordering::Relaxed) < goal {
        assert!(begun.elapsed() < BACK_WITHIN, "no commits");
        tick.tick().await;
    }
}
