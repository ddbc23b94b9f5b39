//! What every engine has to do. `conformance!(make)` makes one test of each case, where `make` is an async function
//! that gives a [`Fixture`] with an empty store.

pub(crate) mod big;
pub(crate) mod isolation;
pub(crate) mod limits;
pub(crate) mod model;
pub(crate) mod ranges;
mod replay;
pub(crate) mod semantics;
pub(crate) mod watches;

use std::any::Any;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use suda_server::store::{Store, StoreError, Txn};

/// An empty store.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    /// How long the prefix is that the store puts before each key.
    pub(crate) prefix_bytes: usize,
    /// What must live as long as the store, such as its folder.
    pub(crate) keep: Box<dyn Any + Send>,
}

#[macro_export]
macro_rules! conformance {
    ($make:path) => {
        $crate::conformance! { @ $make,
            semantics: what_is_set_can_be_read, own_writes_are_read, own_writes_are_seen_in_ranges,
                a_cleared_range_is_empty_until_written_again, atomics_work_on_what_is_there,
                atomics_do_not_conflict_with_each_other, own_atomics_are_read, versionstamps_sort_as_commits,
                versionstamps_are_told, what_a_stamp_may_hide_is_not_read, a_failed_operation_leaves_nothing,
                a_dropped_transaction_leaves_nothing, commits_are_seen_by_who_begins_after, conflicts_are_run_again,
                empty_and_odd_keys, the_end_of_a_transaction_is_its_end, prefixes_are_invisible;
            isolation: lost_update, write_skew, phantom, phantom_at_the_edge_of_a_page, read_only_anomaly,
                dirty_and_fuzzy_reads, a_snapshot_stands_still, snapshot_reads_do_not_conflict,
                explicit_conflicts, blind_writes_do_not_conflict, own_writes_do_not_conflict,
                a_cleared_range_conflicts_with_readers, only_what_was_read_conflicts, reading_nothing_conflicts,
                read_only_transactions_never_conflict, concurrent_increments_all_count;
            ranges: rows_come_in_order, pages_by_rows, pages_by_bytes, pages_over_own_writes, bounds, more_is_exact;
            watches: a_change_is_seen, a_change_between_read_and_watch_is_seen, own_writes_are_not_changes,
                a_lost_watch_says_so, many_watches_on_one_key, cleared_ranges_ring;
            big: values_of_all_sizes, shorter_values_leave_nothing_behind, ranges_of_big_values,
                damaged_values_are_noticed;
            limits: keys, values, transactions, reads_count_too, writes_in_a_read;
        }
    };
    (@ $make:path, $($module:ident: $($case:ident),*;)*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::store_suite::run(stringify!($case), $make, $crate::store_suite::$module::$case).await;
            }
        )*)*
    };
}

/// Runs one case, with a limit.
pub(crate) async fn run<M, C, F, G>(name: &str, make: M, case: C)
where
    M: FnOnce() -> F,
    F: Future<Output = Fixture>,
    C: FnOnce(Store, usize) -> G,
    G: Future<Output = ()>,
{
    let fixture = make().await;
    let done = tokio::time::timeout(Duration::from_secs(60), case(fixture.store.clone(), fixture.prefix_bytes)).await;
    assert!(done.is_ok(), "{name} did not end");
    drop(fixture.store);
    drop(fixture.keep);
}

/// Sets some keys, each to itself.
pub(crate) async fn fill(store: &Store, keys: &[&str]) {
    write(store, |txn| keys.iter().for_each(|key| txn.set(key, key.to_string()))).await;
}

/// Commits some writes.
pub(crate) async fn write(store: &Store, writes: impl Fn(&Txn) + Send + Sync) {
    let done = store.run(|txn| {
        writes(&txn);
        std::future::ready(Ok::<_, StoreError>(()))
    });
    done.await.unwrap();
}

/// What is there now.
pub(crate) async fn get(store: &Store, key: &str) -> Option<Bytes> {
    let got = store.read(|txn| {
        let key = key.to_owned();
        async move { txn.get(key.as_bytes()).await }
    });
    got.await.unwrap()
}

pub(crate) fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8(bytes.as_ref().to_vec()).unwrap()
}

pub(crate) fn number(bytes: Option<Bytes>) -> u64 {
    u64::from_le_bytes(bytes.unwrap()[..].try_into().unwrap())
}

/// Commits a transaction that somebody was in the way of.
pub(crate) async fn conflicts(txn: Txn) {
    assert_eq!(txn.commit().await, Err(StoreError::Conflict));
}
