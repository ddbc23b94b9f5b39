//! From a link to a session, or not.

use suda_schema::control::ControlDown;
use suda_schema::event::UserEvent;
use suda_schema::open::{Attach, Open, Start};
use suda_schema::{ChannelId, CloseCode, Seq};
use suda_server::link::pair::PairConfig;
use suda_server::rate::Rate;
use suda_server::session::SessionConfig;

use super::world::*;

#[tokio::test]
async fn one_round_trip_brings_welcome_the_channel_list_and_the_users_log() {
    for config in [PairConfig::default(), json()] {
        let world = World::new();
        let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
        let group = world.group(&[kim.user, lee.user]).await;
        world.chat.open_direct(kim.user, lee.user).await.unwrap();
        let mut client = world
            .connect_as(&lee, config, |hello| {
                hello.user_cursor = Some(Seq::ZERO);
                hello.sync_limit = 50;
            })
            .await;
        let welcome = client.welcome().clone();
        assert_eq!((welcome.user, welcome.device, welcome.node), (lee.user, lee.device, 1));
        assert_eq!(welcome.token_expires_at_ms, lee.tokens.access_expires_at_ms);
        assert_eq!(welcome.user_cursor, Seq::ZERO);
        assert!(welcome.user_head >= Seq(2));
        let ControlDown::SyncPage(page) = client.next().await else { panic!("no page") };
        assert_eq!((page.request, page.channels.len(), page.next), (0, 2, None));
        let ControlDown::UserEntries(entries) = client.next().await else { panic!("no entries") };
        let seqs: Vec<u64> = entries.entries.iter().map(|entry| entry.seq.0).collect();
        assert_eq!(seqs, (1..=welcome.user_head.0).collect::<Vec<_>>());
        let joined = entries
            .entries
            .iter()
            .filter(|entry| matches!(&entry.event, UserEvent::ChannelJoined(channel) if channel.channel == group));
        assert_eq!(joined.count(), 1);
    }
}

#[tokio::test]
async fn a_cursor_beyond_the_users_log_begins_at_its_head() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let client = world.connect_as(&kim, PairConfig::default(), |hello| hello.user_cursor = Some(Seq(u64::MAX))).await;
    assert_eq!(client.welcome().user_cursor, client.welcome().user_head);
}

#[tokio::test]
async fn tokens_that_are_wrong_expired_or_revoked_are_told_apart() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let hello = |token: &str| {
        let mut hello = say_hello(&kim);
        hello.token = token.to_owned();
        Open::Control(hello)
    };
    let mut forged = kim.tokens.access.clone();
    forged.truncate(forged.len() - 3);
    for bad in ["", "nonsense", &forged, &"x".repeat(9_000)] {
        assert_eq!(world.refused(&hello(bad)).await.code, CloseCode::UNAUTHENTICATED);
    }
    world.chat.log_out(kim.user, kim.device).await.unwrap();
    assert_eq!(world.refused(&hello(&kim.tokens.access)).await.code, CloseCode::DEVICE_REVOKED);
    world.clock.advance_ms(24 * 3_600_000);
    assert_eq!(world.refused(&hello(&lee.tokens.access)).await.code, CloseCode::TOKEN_EXPIRED);
    assert_eq!(world.sessions.count(), 0);
}

#[tokio::test]
async fn the_first_frame_is_hello_or_the_link_is_closed() {
    let world = World::new();
    let attach = Open::Attach(Attach { channel: ChannelId(1), from: Start::Tail(0) });
    assert_eq!(world.refused(&attach).await.code, CloseCode::PROTOCOL_ERROR);
    let kim = world.sign_up("kim").await;
    let mut long = say_hello(&kim);
    long.client = "x".repeat(1_000);
    assert_eq!(world.refused(&Open::Control(long)).await.code, CloseCode::PROTOCOL_ERROR);
    // Garbage, a frame that announces a gigabyte, one cut short, and a kind of a newer version.
    for bytes in [&b"\x05\x00\xff\xff\xff\xff"[..], b"\xff\xff\xff\xff\x03", b"\x03\x00", b"\x02\x7f\x00"] {
        let link = world.dial(PairConfig::default());
        let (reader, mut writer) = link.open().await.unwrap();
        writer.write(bytes::Bytes::copy_from_slice(bytes)).await.unwrap();
        writer.finish();
        let mut client = Client::of(link, reader, writer);
        client.closed_with(CloseCode::PROTOCOL_ERROR).await;
    }
}

#[tokio::test]
async fn a_link_that_says_nothing_is_closed() {
    let world = World::with_sessions(SessionConfig { hello_within_ms: 50, ..SessionConfig::default() });
    let link = world.dial(PairConfig::default());
    let (reader, writer) = link.open().await.unwrap();
    Client::of(link, reader, writer).closed_with(CloseCode::HANDSHAKE_TIMEOUT).await;
    let silent = world.dial(PairConfig::default());
    soon("the end", silent.closed()).await;
    assert_eq!(world.sessions.count(), 0);
}

#[tokio::test]
async fn the_newest_link_of_a_device_takes_over() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let mut older = world.connect(&kim).await;
    let mut newer = world.connect(&kim).await;
    older.closed_with(CloseCode::REPLACED).await;
    newer.say(suda_schema::control::Ping { nonce: 7 }).await;
    newer.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
    until("one session is left", async || world.sessions.count() == 1).await;
}

#[tokio::test]
async fn links_are_capped_by_user_and_by_node() {
    let world = World::with_sessions(SessionConfig { links_per_user_max: 2, links_max: 3, ..SessionConfig::default() });
    let first = world.sign_up("kim").await;
    let mut clients = vec![world.connect(&first).await];
    clients.push(world.connect(&world.log_in("kim").await).await);
    let third = world.log_in("kim").await;
    assert_eq!(world.refused(&Open::Control(say_hello(&third))).await.code, CloseCode::TOO_MANY_LINKS);
    clients.push(world.connect(&world.sign_up("lee").await).await);
    let other = world.sign_up("max").await;
    assert_eq!(world.refused(&Open::Control(say_hello(&other))).await.code, CloseCode::OVERLOADED);
    drop(clients.remove(0));
    until("there is room again", async || world.sessions.count() == 2).await;
    world.connect(&third).await;
}

#[tokio::test]
async fn who_connects_too_often_is_told_to_wait() {
    let connects = Rate::new(2, 0.1);
    let world = World::with_sessions(SessionConfig { connects, ..SessionConfig::default() });
    let kim = world.sign_up("kim").await;
    for _ in 0..2 {
        world.connect(&kim).await;
    }
    let closing = world.refused(&Open::Control(say_hello(&kim))).await;
    assert_eq!(closing.code, CloseCode::OVERLOADED);
    world.clock.advance_ms(closing.retry_after_ms.unwrap());
    world.connect(&kim).await;
}
