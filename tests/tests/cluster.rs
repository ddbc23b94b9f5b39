//! Several nodes over one FoundationDB, as processes.
#![cfg(feature = "foundationdb")]
// Clippy's own exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use suda_schema::channel::{ChannelDown, ChannelUp, SetTyping};
use suda_schema::control::{ControlDown, ControlUp, PresenceQuery, Status};
use suda_schema::open::Start;
use suda_schema::{ChannelId, CloseCode, ErrorCode, Seq};
use suda_tests::client::Kind;
use suda_tests::cluster::{Cluster, HASTY};
use suda_tests::people::{Device, Hi, Person, View, message, new_id, text_of};
use suda_tests::sdk::{KINDS, limited, sign_up, within};
use tokio::time::Instant;

/// What is promised of permissions.
const WITHIN: Duration = Duration::from_secs(1);
/// A room of three, each of them on another node and by another transport.
async fn room(cluster: &Cluster) -> (ChannelId, Vec<Person>, Vec<Device>, Vec<View>) {
    let mut people = Vec::new();
    for (node, name) in cluster.nodes.iter().zip(["ann", "bob", "cho"]) {
        people.push(node.sign_up(name).await);
    }
    let channel = cluster.nodes[0].group(&people[0], "room", &[&people[1], &people[2]]).await;
    let (mut devices, mut views) = (Vec::new(), Vec::new());
    for ((node, who), kind) in cluster.nodes.iter().zip(&people).zip([Kind::Quic, Kind::WebTransport, Kind::WebSocket])
    {
        let device = Device::connect(node, kind, who).await;
        views.push(device.attach(channel, Start::Tail(0)).await);
        devices.push(device);
    }
    (channel, people, devices, views)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_on_three_nodes_chat_as_if_on_one() {
    let cluster = Cluster::start(3, HASTY).await;
    let (channel, people, mut devices, mut views) = room(&cluster).await;
    let mut last = Seq::ZERO;
    for round in 0..10 {
        for view in &mut views {
            last = view.say(&format!("round {round}")).await.unwrap().seq;
        }
    }
    for view in &mut views {
        view.until(last).await.unwrap();
    }

    // Typing travels.
    views[0].stream.send(&ChannelUp::Typing(SetTyping { on: true })).await.unwrap();
    let seen = async {
        loop {
            if let ChannelDown::Typing(typing) = views[2].next().await.unwrap() {
                return typing.user;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), seen).await.unwrap(), people[0].user);

    // Who is kicked on one node is out on another within a second, and so is a device that is logged out.
    let begun = Instant::now();
    let path = format!("/v1/channels/{channel}/members/{}", people[1].user);
    cluster.nodes[2].ask(&people[0], "DELETE", &path, None, 204).await;
    assert_eq!(views[1].closed().await.unwrap().code, CloseCode::REMOVED);
    let kicked = begun.elapsed();
    let begun = Instant::now();
    let path = format!("/v1/devices/{}", people[2].device);
    cluster.nodes[0].ask(&people[2], "DELETE", &path, None, 204).await;
    devices[2].closing().await.unwrap();
    let logged_out = begun.elapsed();
    println!("out after {kicked:?} (kicked) and {logged_out:?} (logged out)");
    assert!(kicked < WITHIN && logged_out < WITHIN, "{kicked:?}, {logged_out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_had_is_with_the_others() {
    let mut cluster = Cluster::start(3, HASTY).await;
    let (channel, people, mut devices, mut views) = room(&cluster).await;
    for view in &mut views {
        view.say("before").await.unwrap();
    }
    let status = async |device: &mut Device| {
        let query = PresenceQuery { request: 7, users: vec![people[1].user] };
        device.control.send(&ControlUp::Presence(query)).await.unwrap();
        let answer = |frame| match frame {
            ControlDown::Presence(list) if list.request == 7 => Some(list.users[0].status),
            _ => None,
        };
        device.wait_for(answer).await.unwrap()
    };
    let begun = Instant::now();
    cluster.nodes[1].kill();
    let cursor = views[1].cursor;
    let mut last = Seq::ZERO;
    for round in 0..50 {
        last = views[round % 2 * 2].say("while it is gone").await.unwrap().seq;
    }
    let unnamed = cluster.named(0, 2).await;
    assert_eq!(status(&mut devices[0]).await, Status::Online);
    // On another node it goes on where it was.
    let device = Device::connect(&cluster.nodes[2], Kind::Quic, &people[1]).await;
    let mut view = device.attach(channel, Start::After(cursor)).await;
    view.until(last).await.unwrap();
    // Time for the dead node to be swept: who has come back elsewhere stays.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(status(&mut devices[0]).await, Status::Online);
    println!("unnamed {unnamed:?} after, all there {:?} after", begun.elapsed());
    // And who does not come back goes.
    device.link.close(CloseCode::NORMAL, "");
    cluster.nodes[2].kill();
    let begun = Instant::now();
    while status(&mut devices[0]).await != Status::Offline {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("offline after {:?}", begun.elapsed());
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_says_nothing_old() {
    let cluster = Cluster::start(3, HASTY).await;
    let (channel, people, _devices, mut views) = room(&cluster).await;
    let before = views[0].say("before").await.unwrap().seq;
    views[1].until(before).await.unwrap();
    // Somebody who stays a member, on the node that will stand still.
    let tablet = cluster.nodes[0].log_in(&people[0]).await;
    let tablet = Device::connect(&cluster.nodes[1], Kind::WebSocket, &tablet).await;
    let mut stays = tablet.attach(channel, Start::After(before)).await;
    cluster.nodes[1].pause();
    // What both say lies in the node's sockets until it wakes.
    views[1].stream.send(&message(new_id(), "late")).await.unwrap();
    stays.stream.send(&message(new_id(), "late")).await.unwrap();
    cluster.named(0, 2).await;
    let path = format!("/v1/channels/{channel}/members/{}", people[1].user);
    cluster.nodes[0].ask(&people[0], "DELETE", &path, None, 204).await;
    let secret = views[0].say("secret").await.unwrap().seq;
    tokio::time::sleep(Duration::from_secs(4)).await;
    cluster.nodes[1].proceed();
    for view in [&mut views[1], &mut stays] {
        while view.next().await.is_ok() {}
        assert!(view.acks.is_empty(), "{:?}", view.acks);
    }
    assert!(views[1].cursor < secret, "{:?}", views[1].cursor);
    // It comes back by itself, as another node.
    cluster.named(0, 3).await;
    let device = Device::try_connect(&cluster.nodes[1], Kind::Quic, &people[2], Hi::default()).await.unwrap();
    let mut view = device.attach(channel, Start::After(secret)).await;
    let seq = views[0].say("after").await.unwrap().seq;
    view.until(seq).await.unwrap();
    assert_eq!(seq, secret.next(), "the node wrote when it was not one any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_for_a_while_loses_nothing() {
    let mut cluster = Cluster::start(3, HASTY).await;
    let (_, _, _devices, mut views) = room(&cluster).await;
    let before = views[0].say("before").await.unwrap().seq;
    for view in &mut views {
        view.until(before).await.unwrap();
    }
    cluster.fdb.kill();
    let id = new_id();
    let mut tries = 0;
    views[0].stream.send(&message(id, "while it is away")).await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(3), views[0].answer(id)).await;
    assert!(!matches!(first, Ok(Ok(Ok(_)))), "acknowledged without a store");
    tokio::time::sleep(Duration::from_secs(3)).await;
    cluster.fdb.restart();
    let ack = loop {
        tries += 1;
        match tokio::time::timeout(Duration::from_secs(20), views[0].answer(id)).await {
            Ok(answer) => match answer.unwrap() {
                Ok(ack) => break ack,
                Err(error) => {
                    assert_ne!(error.code, ErrorCode::INTERNAL, "{error}");
                    views[0].refused.remove(&id);
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    views[0].stream.send(&message(id, "while it is away")).await.unwrap();
                }
            },
            Err(_) => panic!("no answer"),
        }
        assert!(tries < 200);
    };
    println!("acknowledged at try {tries}");
    // The links have stood, and everybody has it, once.
    for view in &mut views {
        view.until(ack.seq).await.unwrap();
        assert_eq!(view.texts().iter().filter(|text| **text == "while it is away").count(), 1);
    }
    cluster.named(0, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_drains_is_left_in_peace() {
    let mut cluster = Cluster::start(2, HASTY).await;
    let draining = cluster.fdb.node(&[HASTY, &[("node.drain_ms", "4000")]].concat()).await;
    cluster.nodes.push(draining);
    cluster.named(0, 3).await;
    let (channel, people, mut devices, mut views) = room(&cluster).await;
    let cursor = views[0].say("before").await.unwrap().seq;
    views[2].until(cursor).await.unwrap();
    let mut leaving = cluster.nodes.pop().unwrap();
    let begun = Instant::now();
    let stopping = tokio::spawn(async move { leaving.terminate().await });
    let delay =
        devices[2].wait_for(|frame| if let ControlDown::GoAway(away) = frame { Some(away.delay_ms) } else { None });
    let delay = delay.await.unwrap();
    let unnamed = cluster.named(0, 2).await;
    tokio::time::sleep(Duration::from_millis(delay.into())).await;
    let device = Device::connect(&cluster.nodes[1], Kind::WebSocket, &people[2]).await;
    let mut view = device.attach(channel, Start::After(cursor)).await;
    devices[2].link.close(CloseCode::NORMAL, "");
    let last = views[0].say("after").await.unwrap().seq;
    view.until(last).await.unwrap();
    assert!(stopping.await.unwrap().success());
    println!("unnamed after {unnamed:?}, asked to move after {delay} ms, stopped after {:?}", begun.elapsed());
}

/// From a send on one node to its delivery on another, beside what the store takes for one commit.
#[tokio::test(flavor = "multi_thread")]
async fn delivery_takes_little_longer_than_a_commit() {
    let cluster = Cluster::start(3, HASTY).await;
    let (_, _, _devices, mut views) = room(&cluster).await;
    let (mut acked, mut delivered) = (Vec::new(), Vec::new());
    let (one, rest) = views.split_at_mut(1);
    for round in 0..200 {
        let begun = Instant::now();
        let id = one[0].send(&format!("{round}")).await.unwrap();
        let next = rest[0].cursor.next();
        let ack = async {
            one[0].acked(id).await.unwrap();
            begun.elapsed()
        };
        let delivery = async {
            rest[0].until(next).await.unwrap();
            begun.elapsed()
        };
        let (ack, delivery) = futures_util::future::join(ack, delivery).await;
        acked.push(ack);
        delivered.push(delivery);
    }
    acked.sort();
    delivered.sort();
    let at = |times: &[Duration], percent: usize| times[times.len() * percent / 100];
    println!(
        "ack p50 {:?} p99 {:?}; delivered on another node p50 {:?} p99 {:?}; ratio at p50 {:.2}",
        at(&acked, 50),
        at(&acked, 99),
        at(&delivered, 50),
        at(&delivered, 99),
        at(&delivered, 50).as_secs_f64() / at(&acked, 50).as_secs_f64(),
    );
    assert!(at(&delivered, 50) < at(&acked, 50) * 6, "far slower than it should be");
}

/// Two apps go on through the ends of all nodes that there were, by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn apps_turn_to_another_node() {
    let mut cluster = Cluster::start(3, HASTY).await;
    let kim = sign_up(&cluster.nodes[0], "kim", &KINDS).await;
    let lee = sign_up(&cluster.nodes[1], "lee", &KINDS).await;
    let here = within(kim.direct(lee.user())).await.unwrap();
    let there = within(lee.direct(kim.user())).await.unwrap();
    let mut entries = there.entries(Seq::ZERO);
    let (mut sent, mut slowest) = (0, Duration::ZERO);
    let mut go_on = async |rounds: usize| {
        for _ in 0..rounds {
            let begun = Instant::now();
            limited(Duration::from_secs(20), here.send(format!("{sent}")).into_future()).await.unwrap();
            let entry = limited(Duration::from_secs(20), entries.next()).await.unwrap();
            assert_eq!(text_of(&entry), Some(sent.to_string().as_str()));
            sent += 1;
            slowest = slowest.max(begun.elapsed());
        }
        std::mem::take(&mut slowest)
    };
    let quiet = go_on(20).await;
    // Each node that there was in the beginning ends, so that whichever the links were to, they are lost.
    cluster.nodes[0].kill();
    let killed = go_on(100).await;
    cluster.nodes[0].restart().await;
    cluster.named(0, 3).await;
    let mut leaving = cluster.nodes.remove(1);
    let stopping = tokio::spawn(async move { leaving.terminate().await });
    let mut drained = Duration::ZERO;
    while !stopping.is_finished() {
        drained = drained.max(go_on(1).await);
    }
    assert!(stopping.await.unwrap().success());
    cluster.nodes[1].kill();
    let last = go_on(100).await;
    println!(
        "slowest of 20 in quiet {quiet:?}; after a node was killed {killed:?}; while one drained {drained:?}; killed {last:?}"
    );
    // What has to be asked of some node's HTTP API is answered too.
    assert_eq!(within(kim.users().by_handle("lee")).await.unwrap().user, lee.user());
}
