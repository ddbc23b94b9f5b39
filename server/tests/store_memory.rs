//! The engine `memory`: conformance, and what only it does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod store_suite;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use suda_server::clock::Clock;
use suda_server::store::{Faults, RETRIES_MAX, Store, StoreError, TXN_AGE_MS_MAX};

async fn memory() -> store_suite::Fixture {
    store_suite::Fixture { store: Store::memory(), prefix_bytes: 0, keep: Box::new(()) }
}

conformance!(memory);

#[test]
fn programs_have_a_serial_order() {
    store_suite::model::scheduled(&Store::memory(), 1_000);
}

#[test]
fn racing_programs_have_a_serial_order() {
    store_suite::model::racing(&Store::memory(), 500);
}

#[test]
fn programs_among_faults_have_a_serial_order() {
    let faults = Faults {
        unknown_applied_permille: 100,
        unknown_dropped_permille: 100,
        failure_permille: 20,
        ..Faults::default()
    };
    store_suite::model::scheduled(&Store::memory_with(Faults { seed: 3, ..faults }), 500);
    store_suite::model::racing(&Store::memory_with(Faults { seed: 4, ..faults }), 200);
}

/// What becomes of so many commits.
async fn try_many(faults: Faults, times: usize) -> BTreeMap<String, usize> {
    let store = Store::memory_with(faults);
    let mut outcomes = BTreeMap::new();
    for n in 0..times {
        let txn = store.begin();
        txn.set(n.to_string(), "");
        let outcome = match txn.commit().await {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("{error:?}").split(' ').next().unwrap().to_owned(),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

#[tokio::test]
async fn faults_come_as_often_as_asked_and_the_same_from_a_seed() {
    let faults = Faults {
        seed: 5,
        conflict_permille: 100,
        unknown_applied_permille: 100,
        unknown_dropped_permille: 100,
        failure_permille: 100,
        delay_permille: 5,
        delay_ms_max: 1,
    };
    let outcomes = try_many(faults, 2_000).await;
    for (outcome, least, most) in [("Conflict", 120, 240), ("CommitUnknown", 250, 450), ("Unavailable", 140, 260)] {
        assert!((least..most).contains(&outcomes[outcome]), "{outcomes:?}");
    }
    assert_eq!(outcomes, try_many(faults, 2_000).await);
    assert_ne!(outcomes, try_many(Faults { seed: 6, ..faults }, 2_000).await);
    assert_eq!(try_many(Faults::default(), 100).await["ok"], 100);
}

/// An operation with a retry id of its own happens once, whatever goes wrong.
#[tokio::test(start_paused = true)]
async fn idempotent_operations_resolve_unknown_outcomes() {
    let store = Store::memory_with(Faults {
        seed: 1,
        conflict_permille: 200,
        unknown_applied_permille: 200,
        unknown_dropped_permille: 200,
        ..Faults::default()
    });
    let mut unknown = 0;
    for n in 0..300u32 {
        let add_once = async |txn: suda_server::store::Txn| {
            let retry_id = format!("retry/{n}");
            if txn.get(retry_id.as_bytes()).await?.is_none() {
                txn.set(retry_id, "");
                txn.add("count", 1);
            }
            Ok::<_, StoreError>(())
        };
        if n % 2 == 0 {
            store.run_idempotent(add_once).await.unwrap();
            continue;
        }
        // Without it, the caller is told, and does the same.
        while let Err(error) = store.run(add_once).await {
            assert_eq!(error, StoreError::CommitUnknown);
            unknown += 1;
        }
    }
    assert!(unknown > 50);
    assert_eq!(store_suite::number(store_suite::get(&store, "count").await), 300);
}

#[tokio::test(start_paused = true)]
async fn retries_are_bounded() {
    let store = Store::memory_with(Faults { conflict_permille: 1_000, ..Faults::default() });
    let runs = AtomicU32::new(0);
    let failed = store.run(|txn| {
        runs.fetch_add(1, Ordering::Relaxed);
        txn.set("a", "");
        std::future::ready(Ok::<_, StoreError>(()))
    });
    assert_eq!(failed.await, Err(StoreError::Conflict));
    assert_eq!(runs.load(Ordering::Relaxed), RETRIES_MAX + 1);
    assert_eq!(store.metrics().retries_used_up.get(), 1);
    assert_eq!(store.metrics().conflicts.get(), u64::from(RETRIES_MAX) + 1);
}

#[tokio::test]
async fn a_transaction_ages_from_its_first_read() {
    let clock = Clock::manual(0, 1);
    let store = Store::memory_at(clock.clone());
    let (read, blind) = (store.begin(), store.begin());
    clock.advance_ms(60_000);
    read.get(b"a").await.unwrap();
    clock.advance_ms(TXN_AGE_MS_MAX);
    read.get(b"a").await.unwrap();
    clock.advance_ms(1);
    assert_eq!(read.get(b"a").await, Err(StoreError::TooOld));
    read.set("b", "");
    assert_eq!(read.commit().await, Err(StoreError::TooOld));
    blind.set("b", "");
    blind.commit().await.unwrap();
}

/// What is needed to check a transaction is forgotten while it waits: it must not be let through.
#[tokio::test]
async fn who_outlives_the_conflict_window_begins_again() {
    let store = Store::memory();
    let late = store.begin();
    late.get(b"a").await.unwrap();
    late.set("b", "");
    // More than the window remembers.
    let long = vec![b'k'; 9_000];
    for n in 0..16u32 {
        let writes = (0..500u32).map(|m| [&long[..], &n.to_be_bytes(), &m.to_be_bytes()].concat()).collect::<Vec<_>>();
        store_suite::write(&store, |txn| writes.iter().for_each(|key| txn.set(key, ""))).await;
    }
    assert_eq!(late.get(b"c").await, Err(StoreError::TooOld));
    assert_eq!(late.commit().await, Err(StoreError::TooOld));
}
