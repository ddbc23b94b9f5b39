//! What each operation does.

use std::sync::atomic::{AtomicU32, Ordering};

use suda_server::store::tuple::{Pack, Unpack};
use suda_server::store::{Range, Store, StoreError};

use super::{fill, get, number, text, write};

pub(crate) async fn what_is_set_can_be_read(store: Store, _: usize) {
    assert_eq!(get(&store, "a").await, None);
    write(&store, |txn| txn.set("a", "1")).await;
    assert_eq!(get(&store, "a").await.unwrap(), "1");
    write(&store, |txn| txn.set("a", "")).await;
    assert_eq!(get(&store, "a").await.unwrap(), "");
    write(&store, |txn| txn.clear("a")).await;
    assert_eq!(get(&store, "a").await, None);
    write(&store, |txn| txn.clear("a")).await;
    // The last write of a transaction counts.
    write(&store, |txn| {
        txn.set("a", "1");
        txn.clear("a");
        txn.set("a", "2");
        txn.set("b", "1");
        txn.clear("b");
    })
    .await;
    assert_eq!((get(&store, "a").await.unwrap(), get(&store, "b").await), ("2".into(), None));
}

pub(crate) async fn own_writes_are_read(store: Store, _: usize) {
    fill(&store, &["a", "b"]).await;
    let txn = store.begin();
    txn.set("a", "2");
    txn.clear("b");
    txn.set("c", "3");
    assert_eq!(txn.get(b"a").await.unwrap().unwrap(), "2");
    assert_eq!(txn.get(b"b").await.unwrap(), None);
    assert_eq!(txn.get_snapshot(b"c").await.unwrap().unwrap(), "3");
    assert_eq!(get(&store, "a").await.unwrap(), "a", "nobody else sees it yet");
    txn.commit().await.unwrap();
    assert_eq!(get(&store, "a").await.unwrap(), "2");
    assert_eq!(get(&store, "b").await, None);
    assert_eq!(get(&store, "c").await.unwrap(), "3");
}

pub(crate) async fn own_writes_are_seen_in_ranges(store: Store, _: usize) {
    fill(&store, &["b", "d", "f", "h"]).await;
    write(&store, |txn| txn.add("n", 5)).await;
    let txn = store.begin();
    txn.set("a", "");
    txn.set("d", "");
    txn.set("e", "");
    txn.clear("f");
    txn.set("g", "");
    txn.clear("g");
    txn.clear_range("h", "i");
    txn.add("n", 2);
    txn.max("o", 3);
    txn.set("z", "");
    let keys = |page: suda_server::store::Page| page.rows.iter().map(|(key, _)| text(key)).collect::<String>();
    assert_eq!(keys(txn.range(Range::all()).await.unwrap()), "abdenoz");
    assert_eq!(keys(txn.range(Range::all().reverse()).await.unwrap()), "zonedba");
    assert_eq!(keys(txn.range(Range::new("b", "n")).await.unwrap()), "bde");
    assert_eq!(keys(txn.range(Range::all().reverse().limit(3).snapshot()).await.unwrap()), "zon");
    let page = txn.range(Range::new("n", "p")).await.unwrap();
    assert_eq!(number(Some(page.rows[0].1.clone())), 7);
    assert_eq!(number(Some(page.rows[1].1.clone())), 3);
}

pub(crate) async fn a_cleared_range_is_empty_until_written_again(store: Store, _: usize) {
    fill(&store, &["a", "b", "c", "d", "e"]).await;
    let txn = store.begin();
    txn.set("bb", "new");
    txn.clear_range("b", "d");
    assert_eq!(txn.get(b"b").await.unwrap(), None);
    assert_eq!(txn.get(b"bb").await.unwrap(), None);
    assert_eq!(txn.get(b"d").await.unwrap().unwrap(), "d");
    txn.set("c", "again");
    txn.add("b", 1);
    txn.clear_range("x", "x");
    txn.clear_range("y", "x");
    assert_eq!(txn.get(b"c").await.unwrap().unwrap(), "again");
    assert_eq!(number(txn.get(b"b").await.unwrap()), 1, "an atomic over what is cleared begins anew");
    txn.commit().await.unwrap();
    let page = store.read(async |txn| txn.range(Range::all()).await).await.unwrap();
    assert_eq!(page.rows.iter().map(|(key, _)| text(key)).collect::<String>(), "abcde");
    assert_eq!(get(&store, "c").await.unwrap(), "again");
    assert_eq!(number(get(&store, "b").await), 1);
}

pub(crate) async fn atomics_work_on_what_is_there(store: Store, _: usize) {
    write(&store, |txn| txn.add("n", 5)).await;
    write(&store, |txn| txn.add("n", -7)).await;
    assert_eq!(number(get(&store, "n").await), (-2i64).cast_unsigned());
    write(&store, |txn| txn.add("n", 3)).await;
    assert_eq!(number(get(&store, "n").await), 1);
    write(&store, |txn| txn.max("n", 256)).await;
    write(&store, |txn| txn.max("n", 255)).await;
    assert_eq!(number(get(&store, "n").await), 256);
    write(&store, |txn| txn.max("m", 0)).await;
    assert_eq!(number(get(&store, "m").await), 0);
    // Shorter and longer values are filled up with zeros or cut.
    write(&store, |txn| {
        txn.set("short", &[1, 1][..]);
        txn.set("long", &[255, 255, 255, 255, 255, 255, 255, 255, 9][..]);
        txn.set("empty", "");
    })
    .await;
    write(&store, |txn| ["short", "long", "empty"].iter().for_each(|key| txn.add(key, 1))).await;
    assert_eq!(number(get(&store, "short").await), 258);
    assert_eq!(number(get(&store, "long").await), 0);
    assert_eq!(number(get(&store, "empty").await), 1);
}

pub(crate) async fn atomics_do_not_conflict_with_each_other(store: Store, _: usize) {
    let transactions: Vec<_> = (0..5).map(|_| store.begin()).collect();
    for txn in &transactions {
        // So that all read at the same version.
        txn.get(b"other").await.unwrap();
        txn.add("n", 2);
        txn.max("m", 7);
    }
    for txn in transactions {
        txn.commit().await.unwrap();
    }
    assert_eq!((number(get(&store, "n").await), number(get(&store, "m").await)), (10, 7));
}

pub(crate) async fn own_atomics_are_read(store: Store, _: usize) {
    write(&store, |txn| txn.add("n", 1)).await;
    let txn = store.begin();
    txn.add("n", 1);
    txn.max("n", 10);
    txn.add("n", 1);
    assert_eq!(number(txn.get(b"n").await.unwrap()), 11);
    // It has read what the number is, so now it does conflict.
    write(&store, |txn| txn.add("n", 1)).await;
    super::conflicts(txn).await;
    let txn = store.begin();
    txn.set("n", &[1][..]);
    txn.add("n", 1);
    txn.clear("m");
    txn.add("m", 4);
    assert_eq!(number(txn.get(b"n").await.unwrap()), 2);
    assert_eq!(number(txn.get(b"m").await.unwrap()), 4);
    txn.commit().await.unwrap();
    assert_eq!((number(get(&store, "n").await), number(get(&store, "m").await)), (2, 4));
}

pub(crate) async fn versionstamps_sort_as_commits(store: Store, _: usize) {
    let transactions: Vec<_> = (0..10).map(|_| store.begin()).collect();
    // Written in one order, committed in the other: the commits count. Nobody conflicts.
    for (n, txn) in transactions.iter().enumerate() {
        txn.get(b"other").await.unwrap();
        for own in 0..2 {
            let (prefix, suffix) = Pack::new().text("log").versionstamp_to_come(own);
            txn.set_versionstamped_key(prefix, suffix, format!("{n}.{own}"));
        }
    }
    for txn in transactions.iter().rev() {
        txn.commit().await.unwrap();
    }
    let log = Range::children(Pack::new().text("log").done());
    let page = store.read(|txn| txn_range(txn, log.clone())).await.unwrap();
    let values: Vec<String> = page.rows.iter().map(|(_, value)| text(value)).collect();
    let expected: Vec<String> = (0..10).rev().flat_map(|n| [format!("{n}.0"), format!("{n}.1")]).collect();
    assert_eq!(values, expected);
    for (key, _) in &page.rows {
        let mut key = Unpack::new(key);
        key.text().unwrap();
        key.versionstamp().unwrap();
        key.done().unwrap();
    }
}

async fn txn_range(txn: suda_server::store::Txn, range: Range) -> Result<suda_server::store::Page, StoreError> {
    txn.range(range).await
}

pub(crate) async fn versionstamps_are_told(store: Store, _: usize) {
    let mut last = [0; 10];
    for n in 0..3u8 {
        let txn = store.begin();
        txn.set_versionstamped_key("k", [n], "");
        let stamp = txn.versionstamp();
        txn.commit().await.unwrap();
        let stamp = stamp.await.unwrap();
        assert!(stamp > last);
        last = stamp;
        let key = [b"k", &stamp[..], &[n]].concat();
        assert!(store.read(|txn| get_owned(txn, key.clone())).await.unwrap().is_some());
    }
    let txn = store.begin();
    txn.get(b"k").await.unwrap();
    let stamp = txn.versionstamp();
    txn.commit().await.unwrap();
    drop(txn);
    assert!(stamp.await.is_err(), "nothing was written");
}

async fn get_owned(txn: suda_server::store::Txn, key: Vec<u8>) -> Result<Option<bytes::Bytes>, StoreError> {
    txn.get(&key).await
}

pub(crate) async fn what_a_stamp_may_hide_is_not_read(store: Store, _: usize) {
    write(&store, |txn| txn.set_versionstamped_key("q", "", "1")).await;
    let txn = store.begin();
    txn.set_versionstamped_key("q", "", "2");
    assert!(matches!(txn.range(Range::prefix("q")).await, Err(StoreError::Misuse { .. })));
    assert!(matches!(txn.commit().await, Err(StoreError::Misuse { .. })), "such a transaction is spoilt");
    let txn = store.begin();
    txn.set_versionstamped_key("q", "", "2");
    assert!(txn.get(b"p").await.unwrap().is_none(), "beside it, there is reading");
    txn.commit().await.unwrap();
    let page = store.read(|txn| txn_range(txn, Range::prefix("q"))).await.unwrap();
    assert_eq!(page.rows.len(), 2);
}

pub(crate) async fn a_failed_operation_leaves_nothing(store: Store, _: usize) {
    let failed = store.run(async |txn| {
        txn.set("a", "1");
        Err::<(), _>(StoreError::Fenced { what: "on purpose".to_owned() })
    });
    assert_eq!(failed.await, Err(StoreError::Fenced { what: "on purpose".to_owned() }));
    assert_eq!(get(&store, "a").await, None);
}

pub(crate) async fn a_dropped_transaction_leaves_nothing(store: Store, _: usize) {
    let txn = store.begin();
    txn.set("a", "1");
    drop(txn);
    assert_eq!(get(&store, "a").await, None);
}

pub(crate) async fn commits_are_seen_by_who_begins_after(store: Store, _: usize) {
    for n in 0..50 {
        write(&store, |txn| txn.set("a", n.to_string())).await;
        assert_eq!(get(&store, "a").await.unwrap(), n.to_string());
    }
}

pub(crate) async fn conflicts_are_run_again(store: Store, _: usize) {
    let runs = AtomicU32::new(0);
    let done = store.run(|txn| {
        let (store, first) = (&store, runs.fetch_add(1, Ordering::Relaxed) == 0);
        async move {
            let seen = txn.get(b"a").await?;
            if first {
                write(store, |txn| txn.set("a", "theirs")).await;
            }
            txn.set("b", seen.unwrap_or_default());
            Ok::<_, StoreError>(())
        }
    });
    done.await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(get(&store, "b").await.unwrap(), "theirs");
}

pub(crate) async fn empty_and_odd_keys(store: Store, _: usize) {
    let keys: [&[u8]; 8] = [b"", b"\x00", b"\x00\x00", b"\x00\xff", b"a", b"a\x00", b"a\xff", b"\xfe\xff\xff"];
    write(&store, |txn| keys.iter().for_each(|key| txn.set(key, key.to_vec()))).await;
    let page = store.read(async |txn| txn.range(Range::all()).await).await.unwrap();
    assert_eq!(page.rows.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>(), keys);
    for key in keys {
        let value = store.read(|txn| get_owned(txn, key.to_vec())).await.unwrap();
        assert_eq!(value.unwrap(), key);
    }
    write(&store, |txn| txn.clear("")).await;
    assert_eq!(get(&store, "").await, None);
    for key in [&b"\xff"[..], b"\xff\xff/status"] {
        let refused = store.run(|txn| {
            txn.set(key, "");
            std::future::ready(Ok::<_, StoreError>(()))
        });
        assert!(matches!(refused.await, Err(StoreError::Misuse { .. })));
        assert!(matches!(store.begin().get(key).await, Err(StoreError::Misuse { .. })));
    }
}

pub(crate) async fn the_end_of_a_transaction_is_its_end(store: Store, _: usize) {
    let txn = store.begin();
    txn.set("a", "1");
    let clone = txn.clone();
    txn.commit().await.unwrap();
    assert!(matches!(clone.get(b"a").await, Err(StoreError::Misuse { .. })));
    assert!(matches!(clone.commit().await, Err(StoreError::Misuse { .. })));
    clone.set("a", "2");
    assert_eq!(get(&store, "a").await.unwrap(), "1");
}

pub(crate) async fn prefixes_are_invisible(store: Store, _: usize) {
    let (one, two) = (store.with_prefix(b"one/"), store.with_prefix(b"two\xff\xff").with_prefix(b"/"));
    fill(&one, &["a", "b"]).await;
    fill(&two, &["b", "c"]).await;
    for (store, expected) in [(&one, "ab"), (&two, "bc")] {
        for (range, expected) in [
            (Range::all(), expected.to_owned()),
            (Range::all().reverse(), expected.chars().rev().collect()),
            (Range::prefix("b"), "b".to_owned()),
        ] {
            let page = store.read(|txn| txn_range(txn, range.clone())).await.unwrap();
            assert_eq!(page.rows.iter().map(|(key, _)| text(key)).collect::<String>(), expected);
        }
        let page = store.read(async |txn| txn.range(Range::all().limit(1)).await).await.unwrap();
        let page = store.read(|txn| txn_range(txn, page.next().unwrap())).await.unwrap();
        assert_eq!(text(&page.rows[0].0), expected[1..]);
    }
    write(&one, |txn| txn.clear_range("", "\u{10ffff}")).await;
    assert_eq!(get(&one, "a").await, None);
    assert_eq!(get(&two, "b").await.unwrap(), "b");
}
