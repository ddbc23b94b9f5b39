//! A first look at the engine `memory`.
#![allow(missing_docs)]

use suda_server::store::{Range, Store, StoreError};

#[tokio::test]
async fn first_steps() {
    let store = Store::memory().with_prefix(b"p");
    let watch = store
        .run(|txn| async move {
            txn.set(b"a", &b"1"[..]);
            txn.add(b"n", 5);
            txn.set_big(b"big", vec![7; 250_000]);
            assert_eq!(txn.get(b"a").await?.unwrap(), "1");
            Ok::<_, StoreError>(txn.watch(b"a"))
        })
        .await
        .unwrap();
    store
        .run(|txn| async move {
            txn.add(b"n", 5);
            txn.set(b"a", &b"2"[..]);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    watch.await.unwrap();
    store
        .read(|txn| async move {
            assert_eq!(txn.get(b"n").await?.unwrap(), 10u64.to_le_bytes()[..]);
            for range in [Range::prefix(b"big"), Range::prefix(b"big").reverse().limit(1)] {
                let page = txn.range_big(range).await?;
                assert_eq!((page.rows.len(), page.rows[0].1.len(), page.more), (1, 250_000, false));
            }
            let page = txn.range(Range::all().limit(2)).await?;
            assert_eq!(page.rows[0].0, "a");
            assert_eq!(page.rows[1].0, "big");
            assert!(page.more);
            assert_eq!(txn.range(page.next().unwrap()).await?.rows.len(), 2);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
}
