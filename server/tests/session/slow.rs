//! Readers that do not read.

use std::time::Duration;

use suda_schema::CloseCode;
use suda_schema::control::{ControlDown, Ping};
use suda_schema::open::Start;
use suda_server::channel::HubConfig;
use suda_server::chat::append::Publish;
use suda_server::link::pair::PairConfig;
use suda_server::session::SessionConfig;

use super::world::*;

/// A link on which little fits before its writer waits.
fn narrow() -> PairConfig {
    PairConfig { window_bytes: 4 << 10, ..PairConfig::default() }
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_then_catches_up_exactly() {
    let hubs = HubConfig { tail_entries_max: 50, tail_bytes_max: 32 << 10, ..HubConfig::default() };
    let world = World::with(SessionConfig::default(), hubs);
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let (busy, other) = (world.group(&[kim.user, lee.user]).await, world.group(&[kim.user, lee.user]).await);
    let mut slow = world.connect_as(&lee, narrow(), |_| {}).await;
    let fast = world.connect(&kim).await;
    let (mut stuck, mut fine) = (slow.view(busy).await, slow.view(other).await);
    let (mut reads, mut talks) = (fast.view(busy).await, fast.view(other).await);
    let head = world.head(busy).await.0;
    for round in 0..10_u64 {
        let sends = (0..200).map(|number| {
            let send = world.message(&format!("{number} {}", "x".repeat(200)));
            world.hubs.publish(busy, Publish { user: kim.user, device: kim.device, send })
        });
        for sent in futures_util::future::join_all(sends).await {
            sent.unwrap();
        }
        // The same link goes on in its other channel and on its control stream.
        talks.say(world.message("still there?")).await;
        fine.seqs(1).await;
        slow.say(Ping { nonce: round }).await;
        slow.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
    }
    let all: Vec<u64> = (head + 1..=head + 2_000).collect();
    assert_eq!(reads.seqs(2_000).await, all);
    assert!(world.hubs.metrics().tail_bytes.get() < 100 << 10, "what the slow reader has not read is held nowhere");
    assert_eq!(stuck.seqs(2_000).await, all);
    until("nobody lags", async || world.hubs.metrics().lagging.get() == 0).await;
    talks.say(world.message("live again")).await;
    assert_eq!(fine.seqs(1).await.len(), 1);
}

#[tokio::test]
async fn one_who_reads_nothing_for_too_long_loses_the_attachment() {
    let world = World::with_sessions(SessionConfig { stuck_ms: 200, ..SessionConfig::default() });
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let (busy, other) = (world.group(&[kim.user, lee.user]).await, world.group(&[kim.user, lee.user]).await);
    let client = world.connect_as(&lee, narrow(), |_| {}).await;
    let mut stuck = client.view(busy).await;
    let mut fine = client.view(other).await;
    for _ in 0..100 {
        let send = world.message(&"x".repeat(1_000));
        world.hubs.publish(busy, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
    }
    until("the attachment is given up", async || world.rejected().contains("detaches_total{reason=\"too_slow\"} 1"))
        .await;
    // What the stream held is read, and then it is reset.
    while stuck.try_next().await.is_some() {}
    fine.say(world.message("unaffected")).await;
    fine.ack().await;
    let (mut again, _) = client.attach(busy, Start::Tail(3)).await;
    assert_eq!(again.seqs(3).await.len(), 3);
}

#[tokio::test]
async fn one_who_reads_slowly_but_does_read_is_not_too_slow() {
    let world = World::with_sessions(SessionConfig { stuck_ms: 500, ..SessionConfig::default() });
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let client = world.connect_as(&lee, narrow(), |_| {}).await;
    let mut view = client.view(channel).await;
    for _ in 0..12 {
        // The pair takes one of them at a time, and the session hands over several in one go.
        let send = world.message(&"x".repeat(5_000));
        world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
    }
    let begun = std::time::Instant::now();
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        view.seqs(1).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(1_500));
    assert!(!world.rejected().contains("too_slow"));
}

#[tokio::test]
async fn a_control_stream_that_is_not_read_is_bounded_and_ends_the_link() {
    let config =
        SessionConfig { stuck_ms: 300, outbox_bytes_max: 2 << 10, dead_after_ms: 100, ..SessionConfig::default() };
    let world = World::with_sessions(config);
    let kim = world.sign_up("kim").await;
    let client = world.connect_as(&kim, narrow(), |_| {}).await;
    let Client { link, mut writer, reader, codec, .. } = client;
    let pings = async {
        for nonce in 0.. {
            let ping = suda_schema::control::ControlUp::Ping(Ping { nonce });
            if writer.write(codec.encode(&ping)).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(pings, async {
        let end = soon("the end", link.closed()).await;
        let suda_server::link::LinkEnd::Peer { code, .. } = end else { panic!("{end:?}") };
        assert_eq!(code, CloseCode::TOO_SLOW);
    });
    drop(reader);
}
