//! What a durable send costs as the log grows, and as channels do. 64 are on their way at once, so that what a sync costs is
//! shared, and what grows would be seen.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use futures_util::future::join_all;
use suda_schema::ChannelId;
use suda_server::channel::Hubs;
use tokio::runtime::Runtime;

use crate::world::{World, is_full};

const AT_ONCE: usize = 64;
const HISTORY: &[u64] = &[10, 1_000, 100_000];
const HISTORY_FULL: &[u64] = &[10, 1_000, 10_000, 100_000, 1_000_000];
const CHANNELS: &[usize] = &[64, 1_000, 10_000];
const CHANNELS_FULL: &[usize] = &[64, 1_000, 10_000, 100_000];
const MEMBERS: &[usize] = &[1, 100, 1_000];
const MEMBERS_FULL: &[usize] = &[1, 100, 1_000, 10_000];

/// A step that is no divisor of the numbers of channels: all have their turn, in no order that a cache would like.
const STRIDE: usize = 7_919;

pub(crate) fn by_history(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::embedded());
    let hubs = runtime.block_on(async { world.hubs() });
    let mut group = criterion.benchmark_group("send_by_history");
    group.throughput(Throughput::Elements(AT_ONCE as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for &entries in if is_full() { HISTORY_FULL } else { HISTORY } {
        let channel = runtime.block_on(async {
            let channel = world.channel().await;
            world.fill(channel, entries).await;
            channel
        });
        group.bench_function(BenchmarkId::new("entries", entries), |bencher| {
            bencher.iter_custom(|rounds| runtime.block_on(sends(&world, &hubs, &[channel], rounds)));
        });
    }
    group.finish();
}

pub(crate) fn by_channels(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::embedded());
    let hubs = runtime.block_on(async { world.hubs() });
    let mut channels: Vec<ChannelId> = Vec::new();
    let mut group = criterion.benchmark_group("send_by_channels");
    group.throughput(Throughput::Elements(AT_ONCE as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for &count in if is_full() { CHANNELS_FULL } else { CHANNELS } {
        runtime.block_on(async {
            while channels.len() < count {
                channels.push(world.channel().await);
            }
        });
        group.bench_function(BenchmarkId::new("channels", count), |bencher| {
            bencher.iter_custom(|rounds| runtime.block_on(sends(&world, &hubs, &channels, rounds)));
        });
    }
    group.finish();
}

pub(crate) fn by_members(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::embedded());
    let hubs = runtime.block_on(async { world.hubs() });
    let mut group = criterion.benchmark_group("send_by_members");
    group.throughput(Throughput::Elements(AT_ONCE as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for &count in if is_full() { MEMBERS_FULL } else { MEMBERS } {
        let channel = runtime.block_on(world.broadcast(count));
        group.bench_function(BenchmarkId::new("members", count), |bencher| {
            bencher.iter_custom(|rounds| runtime.block_on(sends(&world, &hubs, &[channel], rounds)));
        });
    }
    group.finish();
}

async fn sends(world: &World, hubs: &Hubs, channels: &[ChannelId], rounds: u64) -> Duration {
    let mut at = 0;
    let begun = Instant::now();
    for _ in 0..rounds {
        let some = (0..AT_ONCE).map(|_| {
            at = (at + STRIDE) % channels.len();
            hubs.publish(channels[at], world.publish())
        });
        for result in join_all(some).await {
            result.expect("a send");
        }
    }
    begun.elapsed()
}
