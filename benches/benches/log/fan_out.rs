//! One message to all attachments of a hub, each read by a task of its own, with nothing behind it. The store is in memory, so
//! that what is seen is the hub. The reference gives the same bytes to as many tasks by tokio's broadcast channel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use suda_schema::Seq;
use suda_schema::codec::Codec;
use suda_server::channel::{Attachment, Out};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use crate::world::World;

/// With 0 nobody listens: what the message costs before it is given to anybody.
const ATTACHMENTS: [usize; 5] = [0, 10, 100, 1_000, 10_000];
const FRAME_BYTES: usize = 180;
const BARE_WAITING_MAX: usize = 16;

/// How many have it, and who waits until all have.
#[derive(Default)]
struct Tally {
    missing: AtomicUsize,
    all: Notify,
}

impl Tally {
    fn one_more(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all.notify_one();
        }
    }

    async fn complete(&self) {
        while self.missing.load(Ordering::Acquire) > 0 {
            self.all.notified().await;
        }
    }
}

pub(crate) fn fan_out(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("hub_fan_out");
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for count in ATTACHMENTS {
        group.throughput(Throughput::Elements(count.max(1) as u64));
        group.bench_function(BenchmarkId::new("hub", count), |bencher| {
            bencher.iter_custom(|messages| runtime.block_on(hub(count, messages)));
        });
        if count > 0 {
            group.bench_function(BenchmarkId::new("bare_broadcast", count), |bencher| {
                bencher.iter_custom(|messages| runtime.block_on(bare(count, messages)));
            });
        }
    }
    group.finish();
}

async fn hub(count: usize, messages: u64) -> Duration {
    let world = World::memory().await;
    let channel = world.channel().await;
    let hubs = world.hubs();
    let head = world.chat.pulse(channel).await.expect("a store").expect("a channel").head;
    let tally = Arc::new(Tally::default());
    let mut readers = JoinSet::new();
    for _ in 0..count {
        let mut attachment = hubs.attach(channel, world.user, Codec::Binary).expect("an attachment");
        attachment.begin(head, head, &[]);
        readers.spawn(read(attachment, head, Arc::clone(&tally)));
    }
    // One that is not counted, after which all are where they wait.
    tally.missing.store(count, Ordering::Release);
    hubs.publish(channel, world.publish()).await.expect("a send");
    tally.complete().await;
    let begun = Instant::now();
    for _ in 0..messages {
        tally.missing.store(count, Ordering::Release);
        hubs.publish(channel, world.publish()).await.expect("a send");
        tally.complete().await;
    }
    begun.elapsed()
}

async fn read(mut attachment: Attachment, mut cursor: Seq, tally: Arc<Tally>) {
    loop {
        match attachment.next().await {
            Out::Frame(_) if attachment.cursor() > cursor => {
                cursor = attachment.cursor();
                tally.one_more();
            }
            Out::Frame(_) | Out::News(_) => {}
            Out::Ended(_) => return,
        }
    }
}

async fn bare(count: usize, messages: u64) -> Duration {
    let (sender, _) = broadcast::channel::<Bytes>(BARE_WAITING_MAX);
    let tally = Arc::new(Tally::default());
    let mut readers = JoinSet::new();
    for _ in 0..count {
        let (mut receiver, tally) = (sender.subscribe(), Arc::clone(&tally));
        readers.spawn(async move {
            while receiver.recv().await.is_ok() {
                tally.one_more();
            }
        });
    }
    let frame = Bytes::from(vec![0x55; FRAME_BYTES]);
    let say = || {
        tally.missing.store(count, Ordering::Release);
        sender.send(frame.clone()).expect("receivers");
    };
    say();
    tally.complete().await;
    let begun = Instant::now();
    for _ in 0..messages {
        say();
        tally.complete().await;
    }
    begun.elapsed()
}
