//! What concurrent transactions must not see or do to each other. Each anomaly is really tried.

use futures_util::future::join_all;
use suda_server::store::{Range, Store, StoreError};

use super::{conflicts, fill, get, number, text, write};

pub(crate) async fn lost_update(store: Store, _: usize) {
    write(&store, |txn| txn.set("n", "1")).await;
    let (one, two) = (store.begin(), store.begin());
    for txn in [&one, &two] {
        let n: u32 = text(txn.get(b"n").await.unwrap().unwrap()).parse().unwrap();
        txn.set("n", (n + 1).to_string());
    }
    one.commit().await.unwrap();
    conflicts(two).await;
    assert_eq!(get(&store, "n").await.unwrap(), "2");
}

/// Two doctors are on call; each goes off duty having seen that the other is there.
pub(crate) async fn write_skew(store: Store, _: usize) {
    fill(&store, &["alice", "bob"]).await;
    let (alice, bob) = (store.begin(), store.begin());
    for txn in [&alice, &bob] {
        assert_eq!(txn.range(Range::all()).await.unwrap().rows.len(), 2);
    }
    alice.clear("alice");
    bob.clear("bob");
    alice.commit().await.unwrap();
    conflicts(bob).await;
    // The same by single keys.
    fill(&store, &["alice"]).await;
    let (alice, bob) = (store.begin(), store.begin());
    for txn in [&alice, &bob] {
        assert!(txn.get(b"alice").await.unwrap().is_some() && txn.get(b"bob").await.unwrap().is_some());
    }
    alice.clear("alice");
    bob.clear("bob");
    bob.commit().await.unwrap();
    conflicts(alice).await;
}

/// Two look for bookings of a room, find none, and book.
pub(crate) async fn phantom(store: Store, _: usize) {
    let (one, two) = (store.begin(), store.begin());
    for (txn, booking) in [(&one, "room/1"), (&two, "room/2")] {
        assert!(txn.range(Range::prefix("room/")).await.unwrap().rows.is_empty());
        txn.set(booking, "");
    }
    two.commit().await.unwrap();
    conflicts(one).await;
}

/// A row that comes into the part of the range that a page has covered; also where the page was cut.
pub(crate) async fn phantom_at_the_edge_of_a_page(store: Store, _: usize) {
    fill(&store, &["b", "d", "f", "h"]).await;
    for (range, key) in [
        (Range::all().limit(2), "a"),
        (Range::all().limit(2), "c"),
        (Range::all().limit(2), "d"),
        (Range::all().reverse().limit(2), "g"),
        (Range::all().reverse().limit(2), "i"),
        (Range::all().reverse().limit(1), "hh"),
        (Range::new("a", "e").limit(10), "dd"),
    ] {
        let txn = store.begin();
        txn.range(range.clone()).await.unwrap();
        txn.set("result", "");
        write(&store, |txn| txn.set(key, "new")).await;
        assert_eq!(txn.commit().await, Err(StoreError::Conflict), "{range:?} {key}");
        write(&store, |txn| txn.clear_range("", "\u{10ffff}")).await;
        fill(&store, &["b", "d", "f", "h"]).await;
    }
}

/// Fekete, O'Neil, O'Neil: a withdrawal that saw no deposit pays a fee; who has seen the deposit, and no withdrawal,
/// must be able to conclude that there will be none.
pub(crate) async fn read_only_anomaly(store: Store, _: usize) {
    fill(&store, &["checking", "savings"]).await;
    let (deposit, withdrawal, report) = (store.begin(), store.begin(), store.begin());
    assert!(withdrawal.get(b"checking").await.unwrap().is_some());
    assert!(withdrawal.get(b"savings").await.unwrap().is_some());
    assert!(deposit.get(b"savings").await.unwrap().is_some());
    deposit.set("savings", "20");
    deposit.commit().await.unwrap();
    assert_eq!(report.get(b"checking").await.unwrap().unwrap(), "checking");
    assert_eq!(report.get(b"savings").await.unwrap().unwrap(), "20");
    report.commit().await.unwrap();
    withdrawal.set("checking", "-11");
    conflicts(withdrawal).await;
}

pub(crate) async fn dirty_and_fuzzy_reads(store: Store, _: usize) {
    fill(&store, &["a"]).await;
    let (writer, reader) = (store.begin(), store.begin());
    writer.set("a", "dirty");
    assert_eq!(reader.get(b"a").await.unwrap().unwrap(), "a");
    writer.commit().await.unwrap();
    assert_eq!(reader.get(b"a").await.unwrap().unwrap(), "a", "the same as before");
    reader.set("b", "");
    conflicts(reader).await;
    assert_eq!(get(&store, "b").await, None);
}

pub(crate) async fn a_snapshot_stands_still(store: Store, _: usize) {
    fill(&store, &["a", "b", "c"]).await;
    let reader = store.begin();
    let version = reader.read_version().await.unwrap();
    write(&store, |txn| {
        txn.set("a", "changed");
        txn.clear("b");
        txn.set("bb", "new");
    })
    .await;
    write(&store, |txn| txn.clear_range("c", "d")).await;
    for range in [Range::all(), Range::all().reverse(), Range::all().snapshot()] {
        let rows = reader.range(range).await.unwrap().rows;
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|(key, value)| key == value));
    }
    assert_eq!(reader.get(b"b").await.unwrap().unwrap(), "b");
    assert_eq!(reader.get_snapshot(b"bb").await.unwrap(), None);
    assert_eq!(reader.read_version().await.unwrap(), version);
    assert!(store.begin().read_version().await.unwrap() > version);
}

pub(crate) async fn snapshot_reads_do_not_conflict(store: Store, _: usize) {
    fill(&store, &["a", "b"]).await;
    let txn = store.begin();
    txn.get_snapshot(b"a").await.unwrap();
    txn.range(Range::all().snapshot()).await.unwrap();
    txn.set("result", "");
    write(&store, |txn| txn.set("a", "changed")).await;
    txn.commit().await.unwrap();
}

pub(crate) async fn explicit_conflicts(store: Store, _: usize) {
    // A read conflict without a read.
    for (spans, conflicts) in [("key", true), ("range", true), ("none", false)] {
        let txn = store.begin();
        txn.get_snapshot(b"a").await.unwrap();
        match spans {
            "key" => txn.conflict_on("a"),
            "range" => txn.conflict_on_range("", "b"),
            _ => txn.conflict_on("b"),
        }
        txn.set("result", "");
        write(&store, |txn| txn.set("a", "changed")).await;
        let expected = if conflicts { Err(StoreError::Conflict) } else { Ok(()) };
        assert_eq!(txn.commit().await, expected, "{spans}");
    }
    // A write conflict without a write.
    for (spans, conflicts) in [("key", true), ("range", true), ("none", false)] {
        let txn = store.begin();
        txn.get(b"a").await.unwrap();
        txn.set("result", "");
        write(&store, |txn| match spans {
            "key" => txn.claim("a"),
            "range" => txn.claim_range("", "b"),
            _ => txn.claim("b"),
        })
        .await;
        let expected = if conflicts { Err(StoreError::Conflict) } else { Ok(()) };
        assert_eq!(txn.commit().await, expected, "{spans}");
    }
    assert_eq!(get(&store, "b").await, None, "a claim writes nothing");
}

pub(crate) async fn blind_writes_do_not_conflict(store: Store, _: usize) {
    let (one, two) = (store.begin(), store.begin());
    for txn in [&one, &two] {
        txn.get(b"other").await.unwrap();
    }
    one.set("a", "1");
    two.set("a", "2");
    two.commit().await.unwrap();
    one.commit().await.unwrap();
    assert_eq!(get(&store, "a").await.unwrap(), "1");
}

pub(crate) async fn own_writes_do_not_conflict(store: Store, _: usize) {
    let txn = store.begin();
    txn.get(b"other").await.unwrap();
    txn.set("a", "1");
    txn.clear_range("b", "c");
    // What these give is known without the store.
    txn.get(b"a").await.unwrap();
    txn.get(b"bb").await.unwrap();
    write(&store, |txn| ["a", "bb"].iter().for_each(|key| txn.set(key, "theirs"))).await;
    txn.commit().await.unwrap();
    assert_eq!((get(&store, "a").await.unwrap(), get(&store, "bb").await), ("1".into(), None));
}

pub(crate) async fn a_cleared_range_conflicts_with_readers(store: Store, _: usize) {
    let (one, two) = (store.begin(), store.begin());
    assert_eq!(one.get(b"b").await.unwrap(), None);
    one.set("result", "");
    two.clear_range("a", "c");
    two.commit().await.unwrap();
    conflicts(one).await;
}

pub(crate) async fn only_what_was_read_conflicts(store: Store, _: usize) {
    fill(&store, &["b", "d", "f", "h"]).await;
    for (range, key) in [
        (Range::new("b", "d"), "d"),
        (Range::new("b", "d"), "a"),
        (Range::all().limit(1), "f"),
        (Range::all().limit(2), "g"),
        (Range::all().reverse().limit(1), "c"),
        (Range::prefix("d"), "e"),
    ] {
        let txn = store.begin();
        txn.range(range.clone()).await.unwrap();
        txn.set("result", "");
        write(&store, |txn| txn.add(key, 1)).await;
        assert_eq!(txn.commit().await, Ok(()), "{range:?} {key}");
        write(&store, |txn| txn.clear_range("", "\u{10ffff}")).await;
        fill(&store, &["b", "d", "f", "h"]).await;
    }
}

pub(crate) async fn reading_nothing_conflicts(store: Store, _: usize) {
    let txn = store.begin();
    assert_eq!(txn.get(b"a").await.unwrap(), None);
    txn.set("result", "");
    write(&store, |txn| txn.set("a", "")).await;
    conflicts(txn).await;
    // Also where it was there for a moment only.
    let txn = store.begin();
    txn.range(Range::prefix("b")).await.unwrap();
    txn.set("result", "");
    write(&store, |txn| txn.set("b", "")).await;
    write(&store, |txn| txn.clear("b")).await;
    conflicts(txn).await;
}

pub(crate) async fn read_only_transactions_never_conflict(store: Store, _: usize) {
    let reader = store.begin();
    reader.range(Range::all()).await.unwrap();
    reader.conflict_on("a");
    write(&store, |txn| txn.set("a", "")).await;
    reader.commit().await.unwrap();
}

pub(crate) async fn concurrent_increments_all_count(store: Store, _: usize) {
    const TASKS: u64 = 8;
    const EACH: u64 = 10;
    let task = |_| {
        let store = store.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let done = store.run(async |txn| {
                    let n = txn.get(b"n").await?.map_or(0, |n| number(Some(n)));
                    txn.set("n", (n + 1).to_le_bytes().to_vec());
                    Ok::<_, StoreError>(())
                });
                done.await.unwrap();
            }
        })
    };
    for done in join_all((0..TASKS).map(task)).await {
        done.unwrap();
    }
    assert_eq!(number(get(&store, "n").await), TASKS * EACH);
}
