//! What FoundationDB forbids is forbidden everywhere.

use suda_server::store::{KEY_BYTES_MAX, Range, Store, StoreError, TXN_BYTES_MAX, Txn, VALUE_BYTES_MAX};

use super::{get, write};

async fn refused(store: &Store, writes: impl Fn(&Txn) + Send + Sync, what: &str) {
    let done = store.run(|txn| {
        txn.set("beside", "");
        writes(&txn);
        std::future::ready(Ok::<_, StoreError>(()))
    });
    match done.await {
        Err(StoreError::TooLarge { what: found, bytes, limit }) => assert!(found == what && bytes > limit),
        other => panic!("{what} is not refused: {other:?}"),
    }
    assert_eq!(get(store, "beside").await, None, "nothing of it happens");
}

pub(crate) async fn keys(store: Store, prefix_bytes: usize) {
    let longest = vec![b'k'; KEY_BYTES_MAX - prefix_bytes];
    write(&store, |txn| txn.set(&longest, "1")).await;
    let txn = store.begin();
    assert_eq!(txn.get(&longest).await.unwrap().unwrap(), "1");
    let page = txn.range(Range::all().limit(1)).await.unwrap();
    assert!(page.rows[0].0 == longest && page.next().is_none());
    let page = txn.range(Range::prefix(&longest)).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    txn.clear(&longest);
    txn.commit().await.unwrap();
    let longer = [&longest[..], b"k"].concat();
    refused(&store, |txn| txn.set(&longer, ""), "key").await;
    refused(&store, |txn| txn.clear(&longer), "key").await;
    refused(&store, |txn| txn.add(&longer, 1), "key").await;
    refused(&store, |txn| txn.set_versionstamped_key(&longest[13..], "", ""), "key").await;
    assert!(matches!(store.begin().get(&longer).await, Err(StoreError::TooLarge { .. })));
    write(&store, |txn| txn.set_versionstamped_key(&longest[14..], "", "")).await;
}

pub(crate) async fn values(store: Store, _: usize) {
    write(&store, |txn| txn.set("a", vec![1; VALUE_BYTES_MAX])).await;
    assert_eq!(get(&store, "a").await.unwrap().len(), VALUE_BYTES_MAX);
    refused(&store, |txn| txn.set("a", vec![1; VALUE_BYTES_MAX + 1]), "value").await;
    refused(&store, |txn| txn.set_versionstamped_key("a", "", vec![1; VALUE_BYTES_MAX + 1]), "value").await;
    assert_eq!(get(&store, "a").await.unwrap().len(), VALUE_BYTES_MAX);
}

pub(crate) async fn transactions(store: Store, _: usize) {
    let fill = |txn: &Txn, bytes: usize| {
        for n in 0..bytes / VALUE_BYTES_MAX {
            txn.set(n.to_string(), vec![1; VALUE_BYTES_MAX]);
        }
    };
    write(&store, |txn| fill(txn, TXN_BYTES_MAX - VALUE_BYTES_MAX)).await;
    assert_eq!(get(&store, "98").await.unwrap().len(), VALUE_BYTES_MAX);
    write(&store, |txn| txn.clear_range("", "\u{10ffff}")).await;
    refused(&store, |txn| fill(txn, TXN_BYTES_MAX), "transaction").await;
    refused(&store, |txn| txn.set_big("a", vec![1; TXN_BYTES_MAX]), "transaction").await;
}

pub(crate) async fn reads_count_too(store: Store, prefix_bytes: usize) {
    let txn = store.begin();
    let mut key = vec![b'k'; KEY_BYTES_MAX - prefix_bytes];
    for n in 0..1_000u64 {
        key[..8].copy_from_slice(&n.to_be_bytes());
        if let Err(error) = txn.get(&key).await {
            assert!(n > 400 && matches!(error, StoreError::TooLarge { what: "transaction", .. }), "{n} {error}");
            return;
        }
    }
    panic!("keys of 20 MB can be read in one transaction");
}

pub(crate) async fn writes_in_a_read(store: Store, _: usize) {
    let refused = store.read(async |txn| {
        txn.set("a", "1");
        Ok::<_, StoreError>(())
    });
    assert!(matches!(refused.await, Err(StoreError::Misuse { .. })));
    assert_eq!(get(&store, "a").await, None);
}
