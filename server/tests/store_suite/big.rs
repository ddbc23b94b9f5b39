//! Values of any size.

use suda_server::store::{Range, Store, StoreError};

use super::write;

fn value(bytes: usize, seed: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from((n / 7 + n + seed) % 251).unwrap()).collect()
}

async fn get_big(store: &Store, key: &'static [u8]) -> Option<Vec<u8>> {
    let got = store.read(async |txn| txn.get_big(key).await).await.unwrap();
    got.map(|value| value.to_vec())
}

async fn rows(store: &Store) -> usize {
    store.read(async |txn| txn.range(Range::all().limit(1_000)).await).await.unwrap().rows.len()
}

pub(crate) async fn values_of_all_sizes(store: Store, _: usize) {
    assert_eq!(get_big(&store, b"k").await, None);
    for bytes in [0, 1, 99_998, 99_999, 100_000, 100_001, 199_998, 199_999, 400_000, 1_000_000] {
        let value = value(bytes, bytes);
        write(&store, |txn| txn.set_big("k", value.clone())).await;
        assert!(get_big(&store, b"k").await == Some(value), "{bytes}");
    }
    // Within its own transaction, too.
    let txn = store.begin();
    txn.set_big("k", value(150_000, 1));
    assert!(txn.get_big(b"k").await.unwrap().unwrap() == value(150_000, 1));
    txn.clear_big("k");
    assert_eq!(txn.get_big(b"k").await.unwrap(), None);
}

pub(crate) async fn shorter_values_leave_nothing_behind(store: Store, _: usize) {
    write(&store, |txn| txn.set_big("k", value(350_000, 1))).await;
    assert_eq!(rows(&store).await, 4);
    write(&store, |txn| txn.set_big("k", value(150_000, 2))).await;
    assert_eq!(rows(&store).await, 2);
    assert!(get_big(&store, b"k").await == Some(value(150_000, 2)));
    write(&store, |txn| txn.set_big("k", "")).await;
    assert_eq!((rows(&store).await, get_big(&store, b"k").await), (1, Some(Vec::new())));
    write(&store, |txn| txn.set_big("k", value(350_000, 1))).await;
    write(&store, |txn| txn.clear_big("k")).await;
    assert_eq!(rows(&store).await, 0);
}

pub(crate) async fn ranges_of_big_values(store: Store, _: usize) {
    let key = |n: usize| suda_server::store::tuple::Pack::new().uint(n as u64).done();
    let sizes = [10, 250_000, 0, 100_000, 99_999, 300_000, 5, 120_000];
    write(&store, |txn| {
        for (n, &bytes) in sizes.iter().enumerate() {
            txn.set_big_new(key(n), value(bytes, n));
        }
    })
    .await;
    let txn = store.begin();
    for limit in 1..=9 {
        for (reverse, bytes) in [(false, usize::MAX), (true, usize::MAX), (false, 200_000), (true, 1)] {
            let mut found = Vec::new();
            let mut range = Range::all().limit(limit).bytes(bytes);
            if reverse {
                range = range.reverse();
            }
            let mut query = Some(range);
            while let Some(range) = query {
                let page = txn.range_big(range).await.unwrap();
                assert!(page.rows.len() <= limit && page.more == page.next().is_some());
                query = page.next();
                found.extend(page.rows);
            }
            if reverse {
                found.reverse();
            }
            assert_eq!(found.len(), sizes.len());
            for (n, (found_key, found_value)) in found.iter().enumerate() {
                assert!(*found_key == key(n) && *found_value == value(sizes[n], n), "{n} at limit {limit}");
            }
        }
    }
    let some = txn.range_big(Range::new(key(1), key(4))).await.unwrap();
    assert_eq!((some.rows.len(), some.more), (3, false));
}

pub(crate) async fn damaged_values_are_noticed(store: Store, _: usize) {
    write(&store, |txn| txn.set_big("k", value(350_000, 1))).await;
    write(&store, |txn| txn.clear(b"k\x15\x02")).await;
    for forward in [true, false] {
        let range = if forward { Range::all() } else { Range::all().reverse() };
        let damaged = store.read(|txn| {
            let range = range.clone();
            async move { txn.range_big(range).await }
        });
        assert!(matches!(damaged.await, Err(StoreError::Corrupt { .. })));
    }
    assert!(matches!(store.begin().get_big(b"k").await, Err(StoreError::Corrupt { .. })));
}
