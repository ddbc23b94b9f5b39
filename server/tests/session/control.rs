//! What a client asks for on the control stream, and how a session ends.

use std::time::{Duration, Instant};

use suda_schema::channel::Marks;
use suda_schema::control::{Authenticate, ChannelMark, ControlDown, Ping, PresenceQuery, SetActivity, Status, Sync};
use suda_schema::open::Activity;
use suda_schema::summary::ChannelSummary;
use suda_schema::{CloseCode, ErrorCode, Seq, UserId};
use suda_server::link::pair::PairConfig;
use suda_server::rate::Rate;
use suda_server::session::SessionConfig;

use super::world::*;

fn failed(frame: ControlDown) -> Option<(u32, ErrorCode)> {
    if let ControlDown::Failed(failed) = frame { Some((failed.request, failed.error.code)) } else { None }
}

#[tokio::test]
async fn a_ping_is_answered_with_its_nonce_and_the_time() {
    for config in [PairConfig::default(), json()] {
        let world = World::new();
        let kim = world.sign_up("kim").await;
        let mut client = world.connect_as(&kim, config, |_| {}).await;
        client.say(Ping { nonce: u64::MAX }).await;
        let pong = client.expect("pong", |frame| if let ControlDown::Pong(pong) = frame { Some(pong) } else { None });
        let pong = pong.await;
        assert_eq!((pong.nonce, pong.server_time_ms), (u64::MAX, world.clock.now_ms()));
    }
}

#[tokio::test]
async fn a_silent_link_is_closed_and_a_heartbeat_keeps_it() {
    let world = World::with_sessions(SessionConfig { dead_after_ms: 400, ..SessionConfig::default() });
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let mut silent = world.connect(&kim).await;
    let mut alive = world.connect(&lee).await;
    let begun = Instant::now();
    tokio::select! {
        () = silent.closed_with(CloseCode::IDLE) => {}
        () = async {
            loop {
                alive.say(Ping { nonce: 1 }).await;
                alive.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        } => {}
    }
    assert!(begun.elapsed() >= Duration::from_millis(350));
    alive.say(Ping { nonce: 2 }).await;
    alive.expect("pong", |frame| matches!(frame, ControlDown::Pong(pong) if pong.nonce == 2).then_some(())).await;
}

#[tokio::test]
async fn a_token_runs_out_unless_it_is_renewed_in_band() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let (mut renews, mut does_not) = (world.connect(&kim).await, world.connect(&lee).await);
    world.clock.advance_ms(kim.tokens.access_expires_at_ms - world.clock.now_ms() - 10_000);
    let warned = |frame| if let ControlDown::TokenExpiring(expiring) = frame { Some(expiring.in_ms) } else { None };
    for client in [&mut renews, &mut does_not] {
        // The clock of the test does not wake anybody; a frame does.
        client.say(Ping { nonce: 1 }).await;
        assert_eq!(client.expect("a warning", warned).await, 10_000);
    }
    let others = world.chat.refresh(&lee.tokens.refresh).await.unwrap();
    let fresh = world.chat.refresh(&kim.tokens.refresh).await.unwrap();
    for (token, expected) in [
        ("nonsense", Some(ErrorCode::UNAUTHENTICATED)),
        (&others.tokens.access, Some(ErrorCode::UNAUTHENTICATED)),
        (&fresh.tokens.access, None),
    ] {
        renews.say(Authenticate { token: token.to_owned() }).await;
        let answer = renews
            .expect("an answer", |frame| match frame {
                ControlDown::Authenticated(done) => Some(Ok(done.expires_at_ms)),
                frame => failed(frame).map(Err),
            })
            .await;
        match expected {
            Some(code) => assert_eq!(answer, Err((0, code))),
            None => assert_eq!(answer, Ok(fresh.tokens.access_expires_at_ms)),
        }
    }
    world.clock.advance_ms(10_000);
    does_not.say(Ping { nonce: 2 }).await;
    does_not.closed_with(CloseCode::TOKEN_EXPIRED).await;
    renews.say(Ping { nonce: 2 }).await;
    renews.expect("pong", |frame| matches!(frame, ControlDown::Pong(pong) if pong.nonce == 2).then_some(())).await;
}

#[tokio::test]
async fn the_channel_list_comes_in_pages() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    for _ in 0..7 {
        world.group(&[kim.user]).await;
        world.clock.advance_ms(1);
    }
    let mut client = world.connect_as(&kim, PairConfig::default(), |hello| hello.sync_limit = 3).await;
    let page = |frame| if let ControlDown::SyncPage(page) = frame { Some(page) } else { None };
    let mut all: Vec<ChannelSummary> = Vec::new();
    let mut next = client.expect("the first page", page).await;
    let mut request = 0;
    loop {
        assert_eq!(next.request, request);
        all.extend(next.channels);
        let Some(after) = next.next else { break };
        request += 1;
        client.say(Sync { request, after: Some(after), limit: 3 }).await;
        next = client.expect("a page", page).await;
    }
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|newer, older| newer.last_at_ms > older.last_at_ms));
    for limit in [0, 201, u16::MAX] {
        client.say(Sync { request: 9, after: None, limit }).await;
        assert_eq!(client.expect("a refusal", failed).await, (9, ErrorCode::INVALID));
    }
}

#[tokio::test]
async fn a_long_page_ends_where_a_control_frame_does() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let mut channels = Vec::new();
    for _ in 0..120 {
        let channel = world.group(&[kim.user]).await;
        world.chat.set_title(kim.user, channel, &"ü".repeat(200)).await.unwrap();
        let publish = suda_server::chat::append::Publish {
            user: kim.user,
            device: kim.device,
            send: world.message(&"ü".repeat(160)),
        };
        world.hubs.publish(channel, publish).await.unwrap();
        channels.push(channel);
    }
    let mut client = world.connect_as(&kim, PairConfig::default(), |hello| hello.sync_limit = 200).await;
    let mut found = Vec::new();
    loop {
        let frame = soon("a page", client.reader.frame(suda_schema::limits::CONTROL_BYTES_MAX)).await.unwrap().unwrap();
        let suda_schema::codec::Decoded::Frame(ControlDown::SyncPage(page)) = frame.decode().unwrap() else { continue };
        found.extend(page.channels.iter().map(|channel| channel.channel));
        let Some(after) = page.next else { break };
        client.say(Sync { request: 1, after: Some(after), limit: 200 }).await;
    }
    found.sort_unstable();
    assert_eq!(found, channels);
}

#[tokio::test]
async fn presence_is_told_to_whom_it_may_be_told() {
    let world = World::new();
    let (kim, lee, max) = (world.sign_up("kim").await, world.sign_up("lee").await, world.sign_up("max").await);
    world.chat.open_direct(kim.user, lee.user).await.unwrap();
    let mut client = world.connect(&kim).await;
    let mut other = world.connect(&lee).await;
    let answer = |request| {
        move |frame| match frame {
            ControlDown::Presence(list) if list.request == request => Some(list.users),
            _ => None,
        }
    };
    soon("lee is online", async {
        loop {
            client.say(PresenceQuery { request: 5, users: vec![lee.user, max.user] }).await;
            let seen = client.expect("presence", answer(5)).await;
            assert!(seen.iter().all(|seen| seen.user == lee.user), "max is a stranger");
            if seen.iter().any(|seen| seen.status == Status::Online) {
                return;
            }
        }
    })
    .await;
    let pushed = |frame| match frame {
        ControlDown::Presence(list) if list.request == 0 => list.users.first().copied(),
        _ => None,
    };
    other.say(SetActivity { activity: Activity::Idle }).await;
    soon("lee is idle", async { while client.expect("a change", pushed).await.status != Status::Idle {} }).await;
    let many = (0..201).map(UserId).collect();
    client.say(PresenceQuery { request: 6, users: many }).await;
    assert_eq!(client.expect("a refusal", failed).await, (6, ErrorCode::TOO_LARGE));
}

#[tokio::test]
async fn who_is_gone_is_offline_after_the_grace_period_and_not_if_they_come_back() {
    let world = World::with_sessions(SessionConfig { presence_grace_ms: 300, ..SessionConfig::default() });
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    world.chat.open_direct(kim.user, lee.user).await.unwrap();
    let mut watches = world.connect(&kim).await;
    let pushed = |frame| match frame {
        ControlDown::Presence(list) if list.request == 0 => list.users.first().copied(),
        _ => None,
    };
    let first = world.connect(&lee).await;
    assert_eq!(watches.expect("lee comes", pushed).await.status, Status::Online);
    drop(first);
    until("the first link is gone", async || world.sessions.count() == 1).await;
    let second = world.connect(&lee).await;
    let left = Instant::now();
    drop(second);
    // Had the first leave been announced, this would be it, and too early.
    assert_eq!(watches.expect("lee goes", pushed).await.status, Status::Offline);
    assert!(left.elapsed() >= Duration::from_millis(280));
}

#[tokio::test]
async fn marks_are_written_together_and_failures_told() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let mut client = world.connect(&kim).await;
    let head = world.head(channel).await;
    for seq in 1..=head.0 {
        let marks = Marks { delivered: Some(Seq(seq)), read: Some(Seq(seq)) };
        client.say(ChannelMark { channel, marks }).await;
    }
    until("the mark is stored", async || {
        let marks = world.chat.member_marks(channel).await.unwrap();
        marks.iter().any(|mark| mark.user == kim.user && mark.read == head && mark.delivered == head)
    })
    .await;
    assert!(world.sessions.metrics().marks.get() <= 2);
    let foreign = world.group(&[lee.user]).await;
    client.say(ChannelMark { channel: foreign, marks: Marks { delivered: None, read: Some(Seq(1)) } }).await;
    assert_eq!(client.expect("a refusal", failed).await, (0, ErrorCode::NOT_FOUND));
}

#[tokio::test]
async fn the_last_marks_are_written_when_the_link_goes() {
    let config = SessionConfig { mark_delivered_ms: 3_600_000, ..SessionConfig::default() };
    let world = World::with_sessions(config);
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let head = world.head(channel).await;
    let mut client = world.connect(&kim).await;
    client.say(ChannelMark { channel, marks: Marks { delivered: Some(head), read: None } }).await;
    client.say(Ping { nonce: 1 }).await;
    client.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
    drop(client);
    until("the mark is stored", async || {
        world.chat.member_marks(channel).await.unwrap().iter().any(|mark| mark.delivered == head)
    })
    .await;
}

#[tokio::test]
async fn frames_of_a_newer_version_are_skipped_and_garbage_ends_the_link() {
    for (bytes, ends) in [
        (&b"\x03\x7fab"[..], false),
        (b"\x02\x00\xff", true),
        (b"\x03\x00\x01\x02", true),
        (b"\xff\xff\xff\x7f", true),
        (b"\x80\x80\x80\x80\x80\x01", true),
    ] {
        let world = World::new();
        let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
        let (mut client, mut other) = (world.connect(&kim).await, world.connect(&lee).await);
        client.say_raw(bytes).await;
        if ends {
            client.closed_with(CloseCode::PROTOCOL_ERROR).await;
        } else {
            client.say(Ping { nonce: 1 }).await;
            client.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
            assert_eq!(world.sessions.metrics().unknown_frames.get(), 1);
        }
        other.say(Ping { nonce: 1 }).await;
        other.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_and_one_who_goes_on_is_closed() {
    let queries = Rate::new(5, 1.0);
    let config = SessionConfig { queries, rate_ignored_max: 10, ..SessionConfig::default() };
    let world = World::with_sessions(config);
    let kim = world.sign_up("kim").await;
    let mut client = world.connect(&kim).await;
    for request in 1..=14 {
        client.say(PresenceQuery { request, users: Vec::new() }).await;
    }
    let mut limited = 0;
    for _ in 0..14 {
        let answer = client.expect("an answer", |frame| match frame {
            ControlDown::Failed(failed) => Some(Some(failed.error)),
            ControlDown::Presence(_) => Some(None),
            _ => None,
        });
        if let Some(error) = answer.await {
            assert_eq!(error.code, ErrorCode::RATE_LIMITED);
            assert!(error.retry_after_ms.is_some());
            limited += 1;
        }
    }
    assert_eq!(limited, 9);
    client.say(Ping { nonce: 1 }).await;
    let closing = client.closing().await;
    assert_eq!(closing.code, CloseCode::RATE_IGNORED);
    assert!(closing.retry_after_ms.is_some());
}

#[tokio::test]
async fn the_client_ends_the_session_by_finishing_the_control_stream() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let mut client = world.connect(&kim).await;
    client.writer.finish();
    client.closed_with(CloseCode::NORMAL).await;
    until("the session is over", async || world.sessions.count() == 0).await;
}
