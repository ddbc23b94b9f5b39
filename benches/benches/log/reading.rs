//! Reading a log: a page of history, and the resume of a gap. The reference reads the same rows by ranges of the store's and
//! does nothing with them.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use suda_schema::channel::{ChannelDown, HistoryAt, HistoryQuery};
use suda_schema::codec::Codec;
use suda_schema::{ChannelId, Seq};
use suda_server::channel::{Hubs, Out};
use suda_server::store::{Range, Store, StoreError, keys};
use tokio::runtime::Runtime;

use crate::world::World;

const GAP_ENTRIES: u64 = 10_000;
const PAGE_ENTRIES: u16 = 50;

pub(crate) fn history_page(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (world, channel) = runtime.block_on(with_log());
    let mut group = criterion.benchmark_group("history_page");
    group
        .throughput(Throughput::Elements(1))
        .sample_size(20)
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1));
    let middle = Seq(GAP_ENTRIES / 2);
    let last = Seq(middle.0 - 1);
    let first = Seq(middle.0 - u64::from(PAGE_ENTRIES));
    group.bench_function("bare_range", |bencher| {
        bencher.to_async(&runtime).iter(|| read(&world.store, keys::entries(channel, first, last)));
    });
    for (name, at) in [("middle", HistoryAt::Before(middle)), ("newest", HistoryAt::Newest)] {
        group.bench_function(name, |bencher| {
            let query = HistoryQuery { request: 1, at, limit: PAGE_ENTRIES, thread: None };
            bencher.to_async(&runtime).iter(|| page(&world, channel, &query));
        });
    }
    group.finish();
}

/// As a session answers: read, decoded, and encoded for the wire.
async fn page(world: &World, channel: ChannelId, query: &HistoryQuery) -> usize {
    let stored = world.chat.history(world.user, channel, query).await.expect("a page");
    let page = stored.decode(query.request).expect("rows that can be read");
    assert_eq!(page.entries.len(), usize::from(PAGE_ENTRIES));
    Codec::Binary.encode(&ChannelDown::History(page)).len()
}

pub(crate) fn resume(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (world, channel) = runtime.block_on(with_log());
    let hubs = runtime.block_on(async { world.hubs() });
    let mut group = criterion.benchmark_group("resume");
    group
        .throughput(Throughput::Elements(GAP_ENTRIES))
        .sample_size(20)
        .measurement_time(Duration::from_secs(4))
        .warm_up_time(Duration::from_secs(1));
    group.bench_function("bare_range/10000", |bencher| {
        bencher.to_async(&runtime).iter(|| async { assert_eq!(read(&world.store, all(channel)).await, GAP_ENTRIES) });
    });
    group.bench_function("attachment/10000", |bencher| {
        bencher.to_async(&runtime).iter(|| catch_up(&world, &hubs, channel));
    });
    group.finish();
}

async fn with_log() -> (World, ChannelId) {
    let world = World::embedded().await;
    let channel = world.channel().await;
    world.fill(channel, GAP_ENTRIES).await;
    (world, channel)
}

fn all(channel: ChannelId) -> Range {
    keys::entries(channel, Seq(1), Seq(GAP_ENTRIES))
}

/// How many rows there are, page by page as large as the store gives them.
async fn read(store: &Store, range: Range) -> u64 {
    let mut next = Some(range);
    let mut rows = 0;
    while let Some(range) = next {
        let page = store.read(|txn| txn_range(txn, range.clone())).await.expect("a page");
        rows += page.rows.len() as u64;
        next = page.next();
    }
    rows
}

async fn txn_range(txn: suda_server::store::Txn, range: Range) -> Result<suda_server::store::Page, StoreError> {
    txn.range(range).await
}

/// As a link that comes back does it: attached at its cursor, which is far behind, until it is at the head.
async fn catch_up(world: &World, hubs: &Hubs, channel: ChannelId) -> usize {
    let mut attachment = hubs.attach(channel, world.user, Codec::Binary).expect("an attachment");
    attachment.begin(Seq(GAP_ENTRIES), Seq(0), &[]);
    let mut bytes = 0;
    while attachment.cursor() < Seq(GAP_ENTRIES) {
        match attachment.next().await {
            Out::Frame(frame) => bytes += frame.len(),
            Out::News(_) => {}
            Out::Ended(_) => break,
        }
    }
    assert_eq!(attachment.cursor(), Seq(GAP_ENTRIES), "the attachment ended");
    bytes
}
