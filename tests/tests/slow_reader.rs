//! Promise 5 at length: readers that stop reading while much is said. The node's memory stays bounded, nobody else notices,
//! and when they read again they get exactly what they missed.
//!
//! `SUDA_SLOW_ENTRIES=100000` is the long form.

use std::time::Duration;

use suda_schema::Seq;
use suda_schema::open::Start;
use suda_tests::client::Kind;
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, View, message, new_id, text_of};
use tokio::time::Instant;

/// With all of it held for each of the slow readers it would be more than this at the default number of entries: four times
/// 20 MB.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
const TEXT_CHARS: usize = 2_000;
/// Sends that wait for their ack.
const IN_FLIGHT: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_cost_little_and_miss_nothing() {
    let entries: usize =
        std::env::var("SUDA_SLOW_ENTRIES").map_or(10_000, |entries| entries.parse().expect("a number"));
    // The store's own buffers are small, so that what grows is not theirs.
    let settings =
        [("store.memtable_bytes", "1048576"), ("store.cache_bytes", "1048576"), ("session.stuck_ms", "3600000")];
    let node = NodeProcess::start_with(&settings).await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    let mut slow = Vec::new();
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &node.log_in(&kim).await).await;
        let view = device.attach(channel, Start::Tail(0)).await;
        // On QUIC a stream that is not read is enough.
        device.link.websocket().inspect(|websocket| websocket.pause_reading(true));
        slow.push((device, view));
    }
    let quick = Device::connect(&node, Kind::WebSocket, &kim).await;
    let mut quick_view = quick.attach(channel, Start::Tail(0)).await;
    let sender = Device::connect(&node, Kind::Quic, &lee).await;
    let mut from = sender.attach(channel, Start::Tail(0)).await;
    let last = Seq(from.attached.channel.head.0 + entries as u64);

    let before = node.usage();
    let begun = Instant::now();
    let reading = tokio::spawn(async move {
        let result = read_all(&mut quick_view, last).await;
        (quick, result)
    });
    let (mut sent, mut slowest) = (0, Duration::ZERO);
    while from.acks.len() < entries {
        while sent < entries && sent - from.acks.len() < IN_FLIGHT {
            from.stream.send(&message(new_id(), &text(sent))).await.unwrap();
            sent += 1;
        }
        let waited = Instant::now();
        from.next().await.unwrap();
        from.entries.clear();
        slowest = slowest.max(waited.elapsed());
    }
    let (_quick, result) = reading.await.unwrap();
    result.unwrap();
    let took = begun.elapsed();
    let after = node.usage();
    let growth = after.rss_peak_bytes.saturating_sub(before.rss_bytes);
    println!(
        "{entries} entries of {TEXT_CHARS} characters past {} readers that do not read: {took:.1?}, the node grew by {:.1} MiB \
         to {:.1} MiB and used {:.1?} of processor time, the slowest answer took {slowest:.0?}",
        slow.len(),
        growth as f64 / f64::from(1 << 20),
        after.rss_peak_bytes as f64 / f64::from(1 << 20),
        after.cpu.saturating_sub(before.cpu),
    );
    assert!(growth < GROWTH_BYTES_MAX, "it grew by {growth} bytes");
    assert!(slowest < Duration::from_secs(10), "others were held up for {slowest:?}");

    for (device, view) in &mut slow {
        let kind = device.link.kind();
        assert!(view.cursor < last, "{kind:?}");
        device.link.websocket().inspect(|websocket| websocket.pause_reading(false));
        read_all(view, last).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        device.ping().await.unwrap();
    }
}

/// Reads what was said up to here, and forgets it. The view itself makes sure that there is no gap and no double.
async fn read_all(view: &mut View, last: Seq) -> anyhow::Result<()> {
    let mut number = 0;
    while view.cursor < last {
        view.next().await?;
        for entry in view.entries.drain(..) {
            anyhow::ensure!(text_of(&entry) == Some(&text(number)), "{:?} is not what was said", entry.seq);
            number += 1;
        }
    }
    Ok(())
}

fn text(number: usize) -> String {
    let mut text = format!("{number} ");
    text.extend(std::iter::repeat_n('x', TEXT_CHARS - text.len()));
    text
}
