//! The promises of `DESIGN.md`, each as a test by its name, over every transport, on a real node.
//!
//! Not here: what promises say of many nodes (fan-out between nodes, permission "everywhere"), which comes with the
//! cluster, and promise 8, "Offline people are told", which comes with push.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::json;
use suda_schema::channel::{ChannelDown, ChannelUp, Marks, NewEdit, Op};
use suda_schema::entry::{Body, Delete, React, What};
use suda_schema::open::Start;
use suda_schema::{CloseCode, ErrorCode, Seq};
use suda_tests::client::Kind;
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, View, message, new_id};
use tokio::time::Instant;

/// What promise 6 allows.
const PERMISSION_WITHIN: Duration = Duration::from_secs(1);
/// Nothing may come after it any more; so long it is watched.
const SILENCE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn promise_1_acknowledged_is_durable() {
    let mut node = NodeProcess::start().await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &kim).await;
        let mut view = device.attach(channel, Start::Tail(0)).await;
        let mut acks = Vec::new();
        let ids: Vec<_> = (0..20).map(|_| new_id()).collect();
        for id in &ids {
            view.stream.send(&message(*id, "acknowledged")).await.unwrap();
        }
        // The node dies right after some ack, while others are on their way.
        acks.push(view.acked(ids[7]).await.unwrap());
        node.kill();
        acks.extend(view.acks.values().copied());
        node.restart().await;
        let device = Device::connect(&node, kind, &lee).await;
        let mut reader = device.attach(channel, Start::After(Seq::ZERO)).await;
        reader.until(reader.attached.channel.head).await.unwrap();
        for ack in acks {
            let entry = &reader.entries[usize::try_from(ack.seq.0).unwrap() - 1];
            assert_eq!((entry.client_msg_id, entry.at_ms), (Some(ack.client_msg_id), ack.at_ms), "{kind:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_2_one_order() {
    const EACH: usize = 50;
    let node = NodeProcess::start().await;
    let people = node.sign_up_all("person", 4).await;
    let channel = node.group(&people[0], "all", &people[1..].iter().collect::<Vec<_>>()).await;
    let mut devices = Vec::new();
    for (kind, person) in Kind::ALL.into_iter().zip(&people) {
        let device = Device::connect(&node, kind, person).await;
        let view = device.attach(channel, Start::After(Seq::ZERO)).await;
        devices.push((device, view));
    }
    // All say something at once, and each sees all of it.
    let first = devices[0].1.attached.channel.head.0;
    let talking = devices.into_iter().map(|(device, mut view)| {
        tokio::spawn(async move {
            let device = device;
            let kind = device.link.kind();
            for number in 0..EACH {
                view.send(&format!("{kind:?} {number}")).await?;
            }
            view.until(Seq(first + 4 * EACH as u64)).await?;
            while view.acks.len() < EACH {
                view.next().await?;
            }
            anyhow::Ok(view)
        })
    });
    let views = try_join_all(talking).await.unwrap().into_iter().collect::<Result<Vec<View>, _>>().unwrap();
    for (view, kind) in views.iter().zip(Kind::ALL) {
        assert_eq!(view.entries, views[0].entries, "{kind:?}");
        assert!(view.entries.iter().zip(1..).all(|(entry, seq)| entry.seq == Seq(seq)), "{kind:?}");
        assert!(view.entries.is_sorted_by_key(|entry| entry.at_ms), "{kind:?}");
        let prefix = format!("{kind:?} ");
        let own: Vec<&str> = view.texts().into_iter().filter(|text| text.starts_with(&prefix)).collect();
        assert_eq!(own, (0..EACH).map(|number| format!("{kind:?} {number}")).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_3_retry_is_safe() {
    let mut node = NodeProcess::start().await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    let id = new_id();
    let mut acks = Vec::new();
    // The same id in one view twice, over every transport, by HTTP, and after a crash.
    for crash in [false, true] {
        if crash {
            node.kill();
            node.restart().await;
        }
        for kind in Kind::ALL {
            let device = Device::connect(&node, kind, &kim).await;
            let mut view = device.attach(channel, Start::Tail(0)).await;
            view.stream.send(&message(id, "once")).await.unwrap();
            view.stream.send(&message(id, "once")).await.unwrap();
            for _ in 0..2 {
                acks.push(loop {
                    match view.next().await.unwrap() {
                        ChannelDown::Ack(ack) => break ack,
                        ChannelDown::Refused(refused) => panic!("{kind:?}: {refused:?}"),
                        _ => {}
                    }
                });
            }
        }
        let body = json!({ "client_msg_id": id.to_string(), "op": { "message": { "body": { "text": "once" } } } });
        let ack = node.ask(&kim, "POST", &format!("/v1/channels/{channel}/entries"), Some(body), 200).await;
        acks.push(serde_json::from_value(ack).unwrap());
    }
    assert!(acks.iter().all(|ack| *ack == acks[0]), "{acks:?}");
    // The same id is somebody else's message when somebody else sends it.
    let device = Device::connect(&node, Kind::Quic, &lee).await;
    let mut view = device.attach(channel, Start::After(Seq::ZERO)).await;
    view.stream.send(&message(id, "lee's")).await.unwrap();
    let other = view.acked(id).await.unwrap();
    view.until(other.seq).await.unwrap();
    assert_eq!(view.texts(), ["once", "lee's"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_4_no_gaps_no_doubles() {
    const TOTAL: u64 = 400;
    let mut node = NodeProcess::start().await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    for (round, kind) in Kind::ALL.into_iter().enumerate() {
        let sender = Device::connect(&node, Kind::Quic, &lee).await;
        let mut from = sender.attach(channel, Start::Tail(0)).await;
        let before = from.attached.channel.head;
        let goal = Seq(before.0 + TOTAL);
        let sending = tokio::spawn(async move {
            for number in 0..TOTAL {
                from.send(&format!("{round}/{number}")).await?;
            }
            from.until(goal).await.map(|()| (sender, from))
        });
        // Meanwhile the reader breaks off again and again and goes on from its cursor.
        let (mut cursor, mut texts, mut breaks) = (before, Vec::new(), 0);
        while cursor < goal {
            let device = Device::connect(&node, kind, &kim).await;
            let mut view = device.attach(channel, Start::After(cursor)).await;
            assert_eq!(view.after, cursor);
            let until = Seq((cursor.0 + 60).min(goal.0));
            view.until(until).await.unwrap();
            cursor = view.cursor;
            texts.extend(view.texts().into_iter().map(str::to_owned));
            breaks += 1;
        }
        let (_sender, from) = sending.await.unwrap().unwrap();
        assert_eq!(texts, from.texts(), "{kind:?}");
        assert!(breaks > 2, "{kind:?}: {breaks}");
    }
    // However long ago: the whole log, after a restart, over each.
    assert!(node.terminate().await.success());
    node.restart().await;
    let mut logs = Vec::new();
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &kim).await;
        let mut view = device.attach(channel, Start::After(Seq::ZERO)).await;
        view.until(view.attached.channel.head).await.unwrap();
        assert_eq!(view.texts().len() as u64, 4 * TOTAL, "{kind:?}");
        logs.push(view.entries);
    }
    assert!(logs.iter().all(|log| *log == logs[0]));
}

/// The long form of it is `slow_reader.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn promise_5_slow_is_not_fatal() {
    const ENTRIES: usize = 150;
    let node = NodeProcess::start().await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    let mut readers = Vec::new();
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &node.log_in(&kim).await).await;
        let view = device.attach(channel, Start::Tail(0)).await;
        // On QUIC a stream that is not read is enough.
        device.link.websocket().inspect(|websocket| websocket.pause_reading(true));
        readers.push((device, view));
    }
    let sender = Device::connect(&node, Kind::Quic, &lee).await;
    let mut from = sender.attach(channel, Start::Tail(0)).await;
    // Far more than windows and buffers hold.
    let long = "slow ".repeat(8_000);
    let mut last = Seq::ZERO;
    for _ in 0..ENTRIES {
        last = from.say(&long).await.unwrap().seq;
    }
    for (device, view) in &mut readers {
        device.link.websocket().inspect(|websocket| websocket.pause_reading(false));
        view.until(last).await.unwrap();
        assert_eq!(view.texts().len(), ENTRIES, "{:?}", device.link.kind());
        assert!(view.texts().iter().all(|text| *text == long));
        device.ping().await.unwrap();
    }
}

/// The other ways of losing a permission are in `permission.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn promise_6_permission_is_live() {
    let node = NodeProcess::start().await;
    let owner = node.sign_up("owner").await;
    for kind in Kind::ALL {
        let guest = node.sign_up(&format!("guest_{kind:?}").to_lowercase()).await;
        let channel = node.group(&owner, "room", &[&guest]).await;
        let mut device = Device::connect(&node, kind, &guest).await;
        let mut view = device.attach(channel, Start::Tail(0)).await;
        let talker = Device::connect(&node, Kind::Quic, &owner).await;
        let mut talk = talker.attach(channel, Start::Tail(0)).await;
        view.until(talk.say("still here").await.unwrap().seq).await.unwrap();

        let path = format!("/v1/channels/{channel}/members/{}", guest.user);
        let begun = Instant::now();
        node.ask(&owner, "DELETE", &path, None, 204).await;
        let secret = talk.say("not for guests").await.unwrap();
        let closing = view.closed().await.unwrap();
        let took = begun.elapsed();
        assert_eq!(closing.code, CloseCode::REMOVED, "{kind:?}");
        assert!(took < PERMISSION_WITHIN, "{kind:?}: it took {took:?}");
        assert!(view.cursor < secret.seq, "{kind:?}: it saw what came after");
        // Only the attachment is over, and there is no other.
        device.ping().await.unwrap();
        assert!(device.refused(channel, Start::Tail(1)).await.is_ok(), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promise_7_one_channel_never_holds_up_another() {
    let node = NodeProcess::start().await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let (busy, calm) = (node.direct(&kim, &lee).await, node.group(&lee, "calm", &[&kim]).await);
    let sender = Device::connect(&node, Kind::Quic, &lee).await;
    let mut loud = sender.attach(busy, Start::Tail(0)).await;
    let mut soft = sender.attach(calm, Start::Tail(0)).await;
    let long = "x".repeat(100_000);
    let mut last = Seq::ZERO;
    for _ in 0..40 {
        last = loud.say(&long).await.unwrap().seq;
    }
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &kim).await;
        let mut quiet = device.attach(calm, Start::Tail(0)).await;
        // Four megabytes of one channel that nobody reads …
        let mut held = device.attach(busy, Start::After(Seq::ZERO)).await;
        // … and a word in another, there and back.
        for round in 0..3 {
            let said = soft.say(&format!("{round}")).await.unwrap();
            quiet.until(said.seq).await.unwrap();
            let back = quiet.say("heard").await.unwrap();
            soft.until(back.seq).await.unwrap();
        }
        assert!(held.cursor < last, "{kind:?}");
        held.until(last).await.unwrap();
        assert_eq!(held.texts().len(), 40, "{kind:?}");
    }
}

/// More of it in `abuse.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn promise_9_bad_input_is_answered() {
    let node = NodeProcess::start().await;
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &kim).await;
        let mut view = device.attach(channel, Start::Tail(0)).await;
        let own = view.say("mine").await.unwrap().seq;
        let edit = |target| Op::Edit(NewEdit { target, body: Body::Text("new".to_owned()), mentions: Vec::new() });
        let cases = [
            (message(new_id(), ""), ErrorCode::INVALID),
            (message(new_id(), " \u{3000}\n"), ErrorCode::INVALID),
            (message(new_id(), &"x".repeat(100_001)), ErrorCode::TOO_LARGE),
            (send(edit(Seq(1 << 40))), ErrorCode::NOT_FOUND),
            (send(Op::Delete(Delete { target: Seq::ZERO })), ErrorCode::NOT_FOUND),
            (send(Op::React(React { target: own, emoji: String::new(), on: true })), ErrorCode::INVALID),
        ];
        for (frame, wanted) in cases {
            view.stream.send(&frame).await.unwrap();
            let ChannelUp::Send(send) = frame else { panic!("{frame:?}") };
            let error = view.answer(send.client_msg_id).await.unwrap().unwrap_err();
            assert_eq!(error.code, wanted, "{kind:?}: {error:?}");
        }
        // Nothing was half done: what comes next has the next seq.
        assert_eq!(view.say("after it").await.unwrap().seq, own.next(), "{kind:?}");
    }
    let wrong = json!({ "handle": "kim", "password": "wrong", "device": { "name": "x" } });
    let answer = node.call("POST", "/v1/login", None, Some(&wrong)).await;
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("wrong_credentials")));
}

/// Not a promise with a number, but what they add up to: two talk, over each transport with each.
#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk() {
    let node = NodeProcess::start().await;
    for (number, (kind, other)) in Kind::ALL.into_iter().zip(Kind::ALL.into_iter().rev()).enumerate() {
        let [kim, lee] = [node.sign_up(&format!("kim{number}")).await, node.sign_up(&format!("lee{number}")).await];
        let channel = node.direct(&kim, &lee).await;
        let (kims, lees) = (Device::connect(&node, kind, &kim).await, Device::connect(&node, other, &lee).await);
        let mut here = kims.attach(channel, Start::Tail(0)).await;
        let mut there = lees.attach(channel, Start::Tail(0)).await;
        let hello = here.say("hello 👋 مرحبا").await.unwrap();
        there.until(hello.seq).await.unwrap();
        assert_eq!(there.texts(), ["hello 👋 مرحبا"]);
        // The sender learns that it was read.
        there.stream.send(&ChannelUp::Mark(Marks { delivered: Some(hello.seq), read: Some(hello.seq) })).await.unwrap();
        loop {
            if let ChannelDown::Marks(marks) = here.next().await.unwrap()
                && marks.members.iter().any(|mark| mark.user == lee.user && mark.read == hello.seq)
            {
                break;
            }
        }
        let id = there.op(Op::React(React { target: hello.seq, emoji: "👍".to_owned(), on: true })).await.unwrap();
        let react = there.acked(id).await.unwrap();
        here.until(react.seq).await.unwrap();
        assert!(matches!(&here.entries.last().unwrap().what, What::React(react) if react.emoji == "👍"));
        let id = here.op(Op::Delete(Delete { target: hello.seq })).await.unwrap();
        there.until(here.acked(id).await.unwrap().seq).await.unwrap();
        let mut late = lees.attach(channel, Start::After(Seq::ZERO)).await;
        late.until(late.attached.channel.head).await.unwrap();
        assert!(late.texts().is_empty(), "deleted text is gone: {:?}", late.texts());
    }
}

/// SIGTERM: clients are told, nothing acknowledged is lost, the process ends well.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_says_goodbye() {
    let mut node = NodeProcess::start().await;
    let kim = node.sign_up("kim").await;
    let channel = node.group(&kim, "notes", &[]).await;
    let mut devices = Vec::new();
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &node.log_in(&kim).await).await;
        let mut view = device.attach(channel, Start::Tail(0)).await;
        view.say("before").await.unwrap();
        devices.push((device, view));
    }
    assert!(node.terminate().await.success());
    for (mut device, _view) in devices {
        assert_eq!(device.closing().await.unwrap().code, CloseCode::GOING_AWAY, "{:?}", device.link.kind());
    }
    node.restart().await;
    let device = Device::connect(&node, Kind::Quic, &kim).await;
    let mut view = device.attach(channel, Start::After(Seq::ZERO)).await;
    view.until(view.attached.channel.head).await.unwrap();
    assert_eq!(view.texts(), ["before"; 4]);
    // The view is quiet, and not over.
    assert!(view.next_within(SILENCE).await.unwrap().is_none_or(|frame| !matches!(frame, ChannelDown::Closed(_))));
}

fn send(op: Op) -> ChannelUp {
    ChannelUp::Send(suda_schema::channel::Send { client_msg_id: new_id(), op })
}
