//! Reading many rows.

use suda_server::store::{PAGE_BYTES_MAX, Page, Range, Store, StoreError, Txn};

use super::{fill, text, write};

async fn read(store: &Store, range: Range) -> Page {
    store.read(|txn| range_of(txn, range.clone())).await.unwrap()
}

async fn range_of(txn: Txn, range: Range) -> Result<Page, StoreError> {
    txn.range(range).await
}

/// All pages, one after the other.
async fn all(txn: &Txn, range: Range) -> (Vec<String>, usize) {
    let (mut keys, mut pages) = (Vec::new(), 0);
    let mut query = Some(range);
    while let Some(range) = query {
        let page = txn.range(range).await.unwrap();
        assert_eq!(page.more, page.next().is_some());
        assert!(!page.rows.is_empty() || !page.more);
        keys.extend(page.rows.iter().map(|(key, _)| text(key)));
        query = page.next();
        pages += 1;
    }
    (keys, pages)
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("k{n:04}")).collect()
}

async fn fill_many(store: &Store, count: usize, value_bytes: usize) {
    let value = vec![b'x'; value_bytes];
    write(store, |txn| keys(count).into_iter().for_each(|key| txn.set(key, value.clone()))).await;
}

pub(crate) async fn rows_come_in_order(store: Store, _: usize) {
    fill_many(&store, 1_500, 10).await;
    let mut expected = keys(1_500);
    let page = read(&store, Range::all()).await;
    assert_eq!(page.rows.iter().map(|(key, _)| text(key)).collect::<Vec<_>>(), expected);
    expected.reverse();
    let page = read(&store, Range::all().reverse()).await;
    assert_eq!(page.rows.iter().map(|(key, _)| text(key)).collect::<Vec<_>>(), expected);
}

pub(crate) async fn pages_by_rows(store: Store, _: usize) {
    fill_many(&store, 50, 10).await;
    let txn = store.begin();
    let mut backwards = keys(50);
    backwards.reverse();
    for limit in [1, 2, 3, 7, 16, 17, 25, 49, 50, 51, 1_000] {
        let (forward, pages) = all(&txn, Range::all().limit(limit)).await;
        assert_eq!((forward, pages), (keys(50), 50usize.div_ceil(limit)), "{limit}");
        let (reverse, pages) = all(&txn, Range::all().limit(limit).reverse()).await;
        assert_eq!((reverse, pages), (backwards.clone(), 50usize.div_ceil(limit)), "{limit}");
    }
}

pub(crate) async fn pages_by_bytes(store: Store, _: usize) {
    fill_many(&store, 20, 95).await;
    let txn = store.begin();
    // A row has 100 bytes; the one that reaches the limit ends the page.
    for (limit, rows) in [(1, 1), (100, 1), (101, 2), (200, 2), (950, 10), (1_900, 19), (1_901, 20), (9_999, 20)] {
        let page = txn.range(Range::all().bytes(limit)).await.unwrap();
        assert_eq!((page.rows.len(), page.more), (rows, rows < 20), "{limit}");
        let (forward, _) = all(&txn, Range::all().bytes(limit)).await;
        assert_eq!(forward, keys(20));
        let (reverse, _) = all(&txn, Range::all().bytes(limit).reverse()).await;
        assert_eq!(reverse.into_iter().rev().collect::<Vec<_>>(), keys(20));
    }
    // No page is larger than the limit of all pages, whatever is asked for.
    fill_many(&store, 40, 100_000).await;
    let page = read(&store, Range::all().bytes(usize::MAX)).await;
    let bytes: usize = page.rows.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(page.more && (PAGE_BYTES_MAX..PAGE_BYTES_MAX + 100_010).contains(&bytes));
    let (forward, _) = all(&store.begin(), Range::all()).await;
    assert_eq!(forward, keys(40));
}

pub(crate) async fn pages_over_own_writes(store: Store, _: usize) {
    fill_many(&store, 60, 10).await;
    let txn = store.begin();
    let mut expected = keys(60);
    txn.clear_range("k0010", "k0030");
    expected.drain(10..30);
    for key in ["a", "k0012", "k0033x", "z"] {
        txn.set(key, "own");
        expected.push(key.to_owned());
    }
    txn.clear("k0040");
    expected.retain(|key| key != "k0040");
    expected.sort();
    for limit in [1, 2, 5, 17, 100] {
        assert_eq!(all(&txn, Range::all().limit(limit)).await.0, expected);
        let (reverse, _) = all(&txn, Range::all().limit(limit).reverse()).await;
        assert_eq!(reverse.into_iter().rev().collect::<Vec<_>>(), expected);
    }
}

pub(crate) async fn bounds(store: Store, _: usize) {
    fill(&store, &["a", "b", "ba", "bb", "c", "d"]).await;
    let txn = store.begin();
    let found = async |range: Range| {
        let page = txn.range(range).await.unwrap();
        page.rows.iter().map(|(key, _)| text(key)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(Range::new("b", "c")).await, "b ba bb");
    assert_eq!(found(Range::new("b", "c").reverse()).await, "bb ba b");
    assert_eq!(found(Range::new("b\0", "c\0")).await, "ba bb c");
    assert_eq!(found(Range::prefix("b")).await, "b ba bb");
    assert_eq!(found(Range::prefix("bb")).await, "bb");
    assert_eq!(found(Range::prefix("x")).await, "");
    assert_eq!(found(Range::new("b", "b")).await, "");
    assert_eq!(found(Range::new("c", "b")).await, "");
    assert_eq!(found(Range::new("", "b")).await, "a");
    assert_eq!(found(Range::new("c", [0xff])).await, "c d");
    assert_eq!(found(Range::all()).await, "a b ba bb c d");
}

pub(crate) async fn more_is_exact(store: Store, _: usize) {
    fill(&store, &["a", "b", "c"]).await;
    for (range, more) in [
        (Range::all().limit(3), false),
        (Range::all().limit(2), true),
        (Range::new("a", "c").limit(2), false),
        (Range::all().reverse().limit(3), false),
        (Range::new("b", "d").reverse().limit(1), true),
        (Range::all().bytes(6), false),
        (Range::all().bytes(4), true),
    ] {
        assert_eq!(read(&store, range.clone()).await.more, more, "{range:?}");
    }
    let txn = store.begin();
    txn.clear("c");
    assert!(!txn.range(Range::all().limit(2)).await.unwrap().more);
    txn.set("x", "");
    assert!(txn.range(Range::all().limit(2)).await.unwrap().more);
}
