//! What a client is told without asking: hints, its user's log, and that it may be here no longer.

use std::time::{Duration, Instant};

use suda_schema::control::{ControlDown, Hint, Ping};
use suda_schema::event::{UserEntry, UserEvent};
use suda_schema::open::Start;
use suda_schema::{CloseCode, ErrorCode, Seq};
use suda_server::chat::Topic;
use suda_server::chat::append::Publish;
use suda_server::link::pair::PairConfig;
use suda_server::session::SessionConfig;

use super::world::*;

fn hints(frame: ControlDown) -> Option<Vec<Hint>> {
    if let ControlDown::Hints(hints) = frame { Some(hints.channels) } else { None }
}

fn user_entries(frame: ControlDown) -> Option<Vec<UserEntry>> {
    if let ControlDown::UserEntries(entries) = frame { Some(entries.entries) } else { None }
}

#[tokio::test]
async fn hints_are_merged_exact_and_only_for_channels_without_an_attachment() {
    let interval = Duration::from_millis(300);
    let config = SessionConfig { hint_interval_ms: 300, ..SessionConfig::default() };
    let world = World::with_sessions(config);
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let quiet = world.group(&[kim.user, lee.user]).await;
    let attached = world.group(&[kim.user, lee.user]).await;
    let mut client = world.connect(&lee).await;
    let _view = client.view(attached).await;
    let begun = Instant::now();
    let mut times = 0;
    for round in 1..=5_u64 {
        for channel in [quiet, attached] {
            for _ in 0..20 {
                let send = world.message(&format!("round {round}"));
                world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
            }
        }
        let head = world.head(quiet).await;
        loop {
            let told = client.expect("a hint", hints).await;
            times += 1;
            let [hint] = &told[..] else { panic!("{told:?}") };
            assert_eq!(hint.channel, quiet);
            if hint.head == head {
                assert_eq!((hint.unread, hint.preview.as_ref().unwrap().seq), (round * 20, head));
                break;
            }
        }
    }
    let most = 1 + begun.elapsed().as_millis() / interval.as_millis();
    assert!(times <= most, "{times} hints in {:?}", begun.elapsed());
}

#[tokio::test]
async fn what_happens_around_an_attachment_is_not_missed() {
    let config = SessionConfig { hint_interval_ms: 1, ..SessionConfig::default() };
    let world = World::with_sessions(config);
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let mut client = world.connect(&lee).await;
    for _ in 0..20 {
        let mut view = client.view(channel).await;
        let send = world.message("while attached");
        world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
        view.seqs(1).await;
        view.writer.finish();
        let send = world.message("while it ends");
        let ack = world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
        let told_by_view = async {
            loop {
                match view.try_next().await {
                    Some(suda_schema::channel::ChannelDown::Entries(entries))
                        if entries.entries.iter().any(|entry| entry.seq == ack.seq) =>
                    {
                        return;
                    }
                    Some(_) => {}
                    None => std::future::pending().await,
                }
            }
        };
        let told_by_hint = client.expect("a hint", |frame| hints(frame).filter(|hints| hints[0].head >= ack.seq));
        tokio::select! {
            () = told_by_view => {}
            _ = told_by_hint => {}
        }
    }
}

#[tokio::test]
async fn the_users_log_comes_live_in_order_and_resumes_from_a_cursor() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let mut client = world.connect(&lee).await;
    let mut cursor = client.welcome().user_cursor;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let channel = world.group(&[kim.user, lee.user]).await;
        while !seen.iter().any(
            |entry: &UserEntry| matches!(&entry.event, UserEvent::ChannelJoined(joined) if joined.channel == channel),
        ) {
            seen.extend(client.expect("entries", user_entries).await);
        }
    }
    for entry in &seen {
        assert_eq!(entry.seq, cursor.next());
        cursor = entry.seq;
    }
    drop(client);
    for _ in 0..3 {
        world.group(&[kim.user, lee.user]).await;
    }
    let mut again = world.connect_as(&lee, PairConfig::default(), |hello| hello.user_cursor = Some(cursor)).await;
    assert_eq!(again.welcome().user_cursor, cursor);
    let head = again.welcome().user_head;
    while cursor < head {
        for entry in again.expect("entries", user_entries).await {
            assert_eq!(entry.seq, cursor.next());
            cursor = entry.seq;
        }
    }
}

#[tokio::test]
async fn a_channel_that_one_is_added_to_gives_hints_at_once() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user]).await;
    let mut client = world.connect(&lee).await;
    world.chat.add_members(kim.user, channel, &[lee.user]).await.unwrap();
    client.expect("joined", |frame| user_entries(frame).map(drop)).await;
    until("it listens", async || world.sessions.listens_to(Topic::Channel(channel))).await;
    let send = world.message("welcome");
    world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap();
    client.expect("a hint", hints).await;
    world.chat.kick(kim.user, channel, lee.user).await.unwrap();
    until("it listens no more", async || !world.sessions.listens_to(Topic::Channel(channel))).await;
}

#[tokio::test]
async fn reading_on_one_device_is_told_to_the_others() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let phone = world.connect(&lee).await;
    let mut laptop = world.connect(&world.log_in("lee").await).await;
    let send = world.message("read me");
    let seq = world.hubs.publish(channel, Publish { user: kim.user, device: kim.device, send }).await.unwrap().seq;
    let (mut view, _) = phone.attach(channel, Start::Tail(1)).await;
    view.say(suda_schema::channel::Marks { delivered: None, read: Some(seq) }).await;
    let moved = laptop
        .expect("a read position", |frame| {
            user_entries(frame)?.into_iter().find_map(|entry| match entry.event {
                UserEvent::Read(moved) => Some(moved),
                _ => None,
            })
        })
        .await;
    assert_eq!((moved.channel, moved.read, moved.unread), (channel, seq, 0));
}

#[tokio::test]
async fn a_device_that_was_logged_out_is_closed_and_its_others_stay() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let other = world.log_in("kim").await;
    let channel = world.group(&[kim.user]).await;
    let (mut revoked, mut stays) = (world.connect(&kim).await, world.connect(&other).await);
    let mut view = revoked.view(channel).await;
    let begun = Instant::now();
    world.chat.log_out(kim.user, kim.device).await.unwrap();
    revoked.closed_with(CloseCode::DEVICE_REVOKED).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    while view.try_next().await.is_some() {}
    stays.say(Ping { nonce: 1 }).await;
    stays.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
}

#[tokio::test]
async fn a_changed_password_closes_all_other_devices_and_the_old_token() {
    let world = World::new();
    let kim = world.sign_up("kim").await;
    let other = world.log_in("kim").await;
    let (mut own, mut theirs) = (world.connect(&kim).await, world.connect(&other).await);
    let fresh = world.chat.change_password(kim.user, kim.device, PASSWORD, "a better one").await.unwrap();
    theirs.closed_with(CloseCode::DEVICE_REVOKED).await;
    own.closed_with(CloseCode::TOKEN_EXPIRED).await;
    world.connect(&fresh).await;
}

#[tokio::test]
async fn nothing_is_accepted_from_a_device_that_is_closed() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let mut client = world.connect(&lee).await;
    let mut view = client.view(channel).await;
    world.chat.kick(kim.user, channel, lee.user).await.unwrap();
    let before = world.head(channel).await;
    view.say(world.message("one more thing")).await;
    let last = loop {
        match view.try_next().await {
            Some(suda_schema::channel::ChannelDown::Ack(ack)) => panic!("{ack:?}"),
            Some(suda_schema::channel::ChannelDown::Refused(refused)) => {
                assert_eq!(refused.error.code, ErrorCode::NOT_FOUND);
            }
            Some(suda_schema::channel::ChannelDown::Closed(closing)) => break closing.code,
            Some(_) => {}
            None => panic!("no reason given"),
        }
    };
    assert_eq!(last, CloseCode::REMOVED);
    assert_eq!(world.head(channel).await, before);
    client.say(Ping { nonce: 1 }).await;
    client.expect("pong", |frame| matches!(frame, ControlDown::Pong(_)).then_some(())).await;
    assert!(before > Seq::ZERO);
}
