//! Sends and typing.

use suda_schema::channel::{ChannelDown, DatagramDown, DatagramUp, NewEdit, Op, SetTyping, TypingIn};
use suda_schema::codec::{Decoded, binary};
use suda_schema::control::{ControlDown, Typing};
use suda_schema::entry::{Body, React};
use suda_schema::limits::TEXT_CHARS_MAX;
use suda_schema::summary::ChannelKind;
use suda_schema::{CloseCode, ErrorCode, Seq};
use suda_server::channel::HubConfig;
use suda_server::link::pair::PairConfig;
use suda_server::rate::Rate;
use suda_server::session::SessionConfig;
use suda_server::store::{Faults, Store};

use super::world::*;

#[tokio::test]
async fn sends_are_answered_in_order_and_the_same_id_makes_one_entry() {
    for config in [PairConfig::default(), json()] {
        let world = World::new();
        let kim = world.sign_up("kim").await;
        let channel = world.group(&[kim.user]).await;
        let client = world.connect_as(&kim, config, |_| {}).await;
        let mut view = client.view(channel).await;
        let head = world.head(channel).await.0;
        let sends: Vec<_> = (0..100).map(|number| world.message(&format!("message {number}"))).collect();
        for send in sends.iter().chain(&sends) {
            view.say(send.clone()).await;
        }
        for round in 0..2 {
            for (number, send) in sends.iter().enumerate() {
                let ack = view.ack().await;
                assert_eq!((ack.client_msg_id, ack.seq.0), (send.client_msg_id, head + 1 + number as u64), "{round}");
            }
        }
        assert_eq!(world.head(channel).await.0, head + 100);
    }
}

#[tokio::test]
async fn what_can_not_be_sent_is_refused_by_its_id() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let client = world.connect(&kim).await;
    let mut view = client.view(channel).await;
    let text = |chars: usize| world.message(&"ü".repeat(chars));
    view.say(text(TEXT_CHARS_MAX)).await;
    view.ack().await;
    let react = |target| world.op(Op::React(React { target: Seq(target), emoji: "👍".to_owned(), on: true }));
    let edit = |target| {
        let body = Body::Text("mine now".to_owned());
        world.op(Op::Edit(NewEdit { target: Seq(target), body, mentions: Vec::new() }))
    };
    for send in [text(TEXT_CHARS_MAX + 1), world.message(" \n\t "), react(9_999), edit(1), react(0)] {
        view.say(send.clone()).await;
        let refused = view.refused().await;
        assert_eq!(refused.client_msg_id, send.client_msg_id);
        assert_eq!(refused.error.code.retry(), suda_schema::error::Retry::Never, "{:?}", refused.error);
    }
    for odd in ["نص من اليمين", "👨‍👩‍👧‍👦", "e\u{301}", "\u{202e}txet"] {
        view.say(world.message(odd)).await;
        view.ack().await;
    }
}

#[tokio::test]
async fn who_is_blocked_or_may_not_post_is_refused_on_a_live_attachment() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let direct = world.chat.open_direct(kim.user, lee.user).await.unwrap().channel;
    let client = world.connect(&lee).await;
    let mut view = client.view(direct).await;
    view.say(world.message("hello")).await;
    view.ack().await;
    world.chat.block(kim.user, lee.user).await.unwrap();
    view.say(world.message("hello?")).await;
    assert_eq!(view.refused().await.error.code, ErrorCode::BLOCKED);
    let broadcast = world.channel(ChannelKind::Broadcast, &[kim.user, world.sign_up("max").await.user]).await;
    let max = world.log_in("max").await;
    let client = world.connect(&max).await;
    let mut view = client.view(broadcast).await;
    view.say(world.message("me too")).await;
    assert_eq!(view.refused().await.error.code, ErrorCode::FORBIDDEN);
}

#[tokio::test]
async fn sending_too_often_is_refused_in_its_turn_and_one_who_goes_on_is_closed() {
    let sends = Rate::new(5, 1.0);
    let world = World::with_sessions(SessionConfig { sends, rate_ignored_max: 20, ..SessionConfig::default() });
    let kim = world.sign_up("kim").await;
    let channel = world.group(&[kim.user]).await;
    let mut client = world.connect(&kim).await;
    let mut view = client.view(channel).await;
    for _ in 0..10 {
        view.say(world.message("spam")).await;
    }
    for _ in 0..5 {
        view.ack().await;
    }
    let mut wait_ms = 0;
    for _ in 0..5 {
        let error = view.refused().await.error;
        assert_eq!(error.code, ErrorCode::RATE_LIMITED);
        wait_ms = error.retry_after_ms.unwrap();
    }
    world.clock.advance_ms(wait_ms);
    view.say(world.message("as told")).await;
    view.ack().await;
    for _ in 0..20 {
        view.say(world.message("spam")).await;
    }
    client.closed_with(CloseCode::RATE_IGNORED).await;
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_the_same_id_finds_out() {
    let faults = Faults { seed: 5, unknown_applied_permille: 100, failure_permille: 15, ..Faults::default() };
    let world = World::over(Store::memory_with(faults), SessionConfig::default(), HubConfig::default());
    let kim = loop {
        // Even signing up is not sure here.
        let handle = format!("kim{}", world.clock.below(1_000_000));
        let request = suda_server::chat::accounts::SignUp {
            handle,
            display_name: String::new(),
            password: PASSWORD.to_owned(),
            device: device(),
        };
        if let Ok(login) = world.chat.sign_up(&request).await {
            break login;
        }
    };
    let new = suda_server::chat::channels::NewChannel {
        kind: ChannelKind::Group,
        title: "room".to_owned(),
        picture: None,
        members: Vec::new(),
        request: None,
    };
    let channel = loop {
        if let Ok(made) = world.chat.create_channel(kim.user, &new).await {
            break made.channel;
        }
    };
    let mut acked = Vec::new();
    let mut unsent: Vec<_> = (0..30).map(|_| world.message("sure")).collect();
    // A client as it should be: connects again whenever it is closed, and sends what is not acknowledged.
    'links: while !unsent.is_empty() {
        let link = world.dial(PairConfig::default());
        let hello = suda_schema::open::Open::Control(say_hello(&kim));
        let client = Client::open(link, PairConfig::default().kind, &hello).await;
        let mut view = client.ask(channel, suda_schema::open::Start::Tail(0)).await;
        match view.try_next().await {
            Some(ChannelDown::Attached(_)) => {}
            _ => continue,
        }
        for send in unsent.clone() {
            view.say(send).await;
        }
        let mut answers = unsent.len();
        while answers > 0 {
            match view.try_next().await {
                Some(ChannelDown::Ack(ack)) => {
                    acked.push(ack.seq.0);
                    unsent.retain(|send| send.client_msg_id != ack.client_msg_id);
                    answers -= 1;
                }
                Some(ChannelDown::Refused(refused)) => {
                    assert_eq!(refused.error.code.retry(), suda_schema::error::Retry::Later, "{refused:?}");
                    answers -= 1;
                }
                None | Some(ChannelDown::Closed(_)) => continue 'links,
                Some(_) => {}
            }
        }
    }
    acked.sort_unstable();
    assert_eq!(acked, (acked[0]..acked[0] + 30).collect::<Vec<_>>());
}

fn typing(frame: ChannelDown) -> Option<Typing> {
    if let ChannelDown::Typing(typing) = frame { Some(typing) } else { None }
}

#[tokio::test]
async fn typing_is_passed_on_by_stream_and_by_datagram() {
    let world = World::new();
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let no_datagrams = PairConfig { datagrams: false, ..PairConfig::default() };
    let client = world.connect_as(&kim, no_datagrams, |_| {}).await;
    let other = world.connect(&lee).await;
    let (mut stream, mut datagrams) = (client.view(channel).await, other.view(channel).await);
    // Until it is known whom a user has blocked, their typing goes nowhere: it is repeated, as clients do.
    soon("typing by datagram", async {
        loop {
            stream.say(SetTyping { on: true }).await;
            tokio::select! {
                body = other.link.recv_datagram() => {
                    let Decoded::Frame(DatagramDown::Typing(typing)) = binary::decode_body(&body.unwrap()).unwrap() else {
                        panic!("typing")
                    };
                    assert_eq!((typing.channel, typing.user, typing.for_ms), (channel, kim.user, 6_000));
                    return;
                }
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
        }
    })
    .await;
    let mut body = Vec::new();
    binary::put_value(&DatagramUp::Typing(TypingIn { channel, on: false }), &mut body);
    soon("typing by stream", async {
        loop {
            let _ = other.link.send_datagram(body.clone().into());
            tokio::select! {
                frame = stream.expect("typing", typing) => {
                    assert_eq!((frame.user, frame.for_ms), (lee.user, 0));
                    return;
                }
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
        }
    })
    .await;
    // Garbage in a datagram, and typing in a channel that is not attached, harm nobody.
    let _ = other.link.send_datagram(bytes::Bytes::from_static(b"\xff\xff\xff"));
    let mut elsewhere = Vec::new();
    let foreign = suda_schema::ChannelId(7);
    binary::put_value(&DatagramUp::Typing(TypingIn { channel: foreign, on: true }), &mut elsewhere);
    let _ = other.link.send_datagram(elsewhere.into());
    datagrams.say(world.message("fine")).await;
    datagrams.ack().await;
}

#[tokio::test]
async fn typing_reaches_members_without_an_attachment_but_nobody_who_is_blocked() {
    let world = World::new();
    let (kim, lee, max) = (world.sign_up("kim").await, world.sign_up("lee").await, world.sign_up("max").await);
    let channel = world.group(&[kim.user, lee.user, max.user]).await;
    world.chat.block(max.user, kim.user).await.unwrap();
    let client = world.connect(&kim).await;
    let (mut told, mut blocks) = (world.connect(&lee).await, world.connect(&max).await);
    let mut view = client.view(channel).await;
    let mut typed = 0;
    soon("typing on the control stream", async {
        loop {
            view.say(SetTyping { on: true }).await;
            typed += 1;
            tokio::select! {
                () = told.expect("typing", |frame| match frame {
                    ControlDown::Typing(typing) => {
                        assert_eq!((typing.channel, typing.user), (channel, kim.user));
                        Some(())
                    }
                    _ => None,
                }) => return,
                () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            }
        }
    })
    .await;
    blocks.say(suda_schema::control::Ping { nonce: 1 }).await;
    blocks
        .expect("pong", |frame| match frame {
            ControlDown::Typing(typing) => panic!("{typing:?}"),
            ControlDown::Pong(_) => Some(()),
            _ => None,
        })
        .await;
    assert!(typed < 100);
}

#[tokio::test]
async fn typing_too_often_is_dropped_and_in_broadcast_channels_not_passed_on() {
    let typings = Rate::new(3, 0.1);
    let world = World::with_sessions(SessionConfig { typings, ..SessionConfig::default() });
    let (kim, lee) = (world.sign_up("kim").await, world.sign_up("lee").await);
    let channel = world.group(&[kim.user, lee.user]).await;
    let broadcast = world.channel(ChannelKind::Broadcast, &[kim.user, lee.user]).await;
    let client = world.connect(&kim).await;
    let (mut group_view, mut broadcast_view) = (client.view(channel).await, client.view(broadcast).await);
    for _ in 0..10 {
        broadcast_view.say(SetTyping { on: true }).await;
    }
    broadcast_view.say(world.message("done")).await;
    broadcast_view.ack().await;
    assert_eq!(world.sessions.metrics().typings.get(), 0);
    for _ in 0..10 {
        group_view.say(SetTyping { on: true }).await;
    }
    group_view.say(world.message("done")).await;
    group_view.ack().await;
    assert!(world.sessions.metrics().typings.get() <= 3);
    assert!(world.rejected().contains("rejected_inputs_total{reason=\"rate_limited\"} 7"), "{}", world.rejected());
}
