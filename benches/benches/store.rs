//! What a durable commit costs, beside the least that durability can cost: writing the same bytes to a file and
//! `fdatasync`, one after the other, on the same file system in the same run.
//!
//! With the feature `foundationdb` and a cluster in `SUDA_FDB_CLUSTER_FILE`, the same through that engine, beside a loop on
//! the binding itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use suda_server::clock::Clock;
use suda_server::store::{Embedded, Store, StoreError};
use tokio::runtime::Runtime;

const WRITERS: [u64; 4] = [1, 16, 64, 256];
const VALUE_BYTES: usize = 128;

fn commits(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the build's own disk");
    let mut group = criterion.benchmark_group("store_commit");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));

    group
        .bench_function("bare_fdatasync/1", |bencher| bencher.iter_custom(|commits| fdatasync(folder.path(), commits)));

    let embedded = Store::embedded(Embedded::new(folder.path().join("embedded")), Clock::system()).expect("a store");
    by_writers(&mut group, &runtime, "embedded", &embedded);
    // What it still puts in order in the background would be measured with the next.
    drop(embedded);
    by_writers(&mut group, &runtime, "memory", &Store::memory());
    #[cfg(feature = "foundationdb")]
    foundationdb::commits(&mut group, &runtime);
    group.finish();
}

fn by_writers(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, name: &str, store: &Store) {
    for writers in WRITERS {
        one(group, runtime, name, store, writers);
    }
}

fn one(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, name: &str, store: &Store, writers: u64) {
    group.bench_function(BenchmarkId::new(name, writers), |bencher| {
        bencher.iter_custom(|commits| {
            let store = store.clone();
            runtime.block_on(together(writers, commits, move |key| {
                let store = store.clone();
                async move { set(&store, key).await.expect("a commit") }
            }))
        });
    });
}

async fn set(store: &Store, key: u64) -> Result<(), StoreError> {
    store
        .run(|txn| async move {
            txn.set([&b"bench/"[..], &key.to_be_bytes()].concat(), vec![0x55; VALUE_BYTES]);
            Ok(())
        })
        .await
}

/// So many commits, shared out among so many writers who each wait for one before the next.
async fn together<F, Fut>(writers: u64, commits: u64, commit: F) -> Duration
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let left = Arc::new(AtomicU64::new(commits));
    let start = Instant::now();
    let writers: Vec<_> = (0..writers)
        .map(|writer| {
            let (left, commit) = (Arc::clone(&left), commit.clone());
            tokio::spawn(async move {
                while let Ok(number) =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                {
                    // Keys spread over the key space, as those of many channels do.
                    commit((number ^ (writer << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    start.elapsed()
}

/// The least that durability can cost: append and sync.
fn fdatasync(folder: &Path, commits: u64) -> Duration {
    let mut file = File::create(folder.join("bare")).expect("a file");
    let start = Instant::now();
    for _ in 0..commits {
        file.write_all(&[0x55; VALUE_BYTES]).and_then(|()| file.sync_data()).expect("a write");
    }
    start.elapsed()
}

#[cfg(feature = "foundationdb")]
mod foundationdb {
    use super::*;
    use suda_server::store::foundationdb::Options;

    const PREFIX: &[u8] = b"suda-bench/";

    pub(super) fn commits(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime) {
        let Ok(cluster_file) = std::env::var("SUDA_FDB_CLUSTER_FILE") else {
            eprintln!("no rows for FoundationDB: SUDA_FDB_CLUSTER_FILE is not set");
            return;
        };
        let options = Options { cluster_file: Some(cluster_file.clone().into()), ..Options::default() };
        let store = runtime.block_on(Store::foundationdb(&options, PREFIX, Clock::system())).expect("a cluster");
        let database = Arc::new(::foundationdb::Database::from_path(&cluster_file).expect("a cluster"));
        // Turn by turn, so that both meet the same machine.
        for writers in WRITERS {
            group.bench_function(BenchmarkId::new("bare_foundationdb", writers), |bencher| {
                bencher.iter_custom(|commits| {
                    let database = Arc::clone(&database);
                    runtime.block_on(together(writers, commits, move |key| bare(Arc::clone(&database), key)))
                });
            });
            one(group, runtime, "foundationdb", &store, writers);
        }
    }

    async fn bare(database: Arc<::foundationdb::Database>, key: u64) {
        let txn = database.create_trx().expect("a transaction");
        txn.set(&[PREFIX, b"bare/", &key.to_be_bytes()[..]].concat(), &[0x55; VALUE_BYTES]);
        txn.commit().await.expect("a commit");
    }
}

criterion_group!(benches, commits);
criterion_main!(benches);
