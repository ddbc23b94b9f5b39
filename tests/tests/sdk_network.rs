//! The SDK on a bad network: everything that was sent arrives, once and in order.

#![expect(clippy::unwrap_used, reason = "a test: what is not as it must be ends it")]

use std::collections::VecDeque;
use std::time::Duration;

use suda_client::{Candidate, Channel, Client, Event, Kind, Sending, Seq, Status};
use suda_tests::node::NodeProcess;
use suda_tests::people::text_of;
use suda_tests::proxy::{Proxy, Weather};
use suda_tests::sdk::{KINDS, builder, event, limited, links_by, shows, sign_up, signed_up, texts, within};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long after the network is good again everything may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// Somebody behind a proxy.
async fn behind(node: &NodeProcess, proxy: &Proxy, handle: &str, kinds: &[Kind]) -> Client {
    signed_up(builder(node, kinds).links(links_by(node, proxy.addr()).await), handle).await
}

/// One sends at a pace for a while, the other listens; meanwhile something happens to the network. In the end everything
/// must have arrived. How many messages there were.
async fn all_arrives(from: &Channel, to: &Channel, during: Duration, meanwhile: impl Future<Output = ()>) -> usize {
    let mut entries = to.entries(Seq::ZERO);
    let sending = async {
        let (mut pace, end) = (interval(Duration::from_millis(40)), Instant::now() + during);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sendings: VecDeque<Sending> = VecDeque::new();
        while Instant::now() < end {
            pace.tick().await;
            sendings.push_back(from.send(format!("{}", sendings.len())));
        }
        sendings
    };
    let (sendings, ()) = tokio::join!(sending, meanwhile);
    let total = sendings.len();
    limited(ARRIVES_WITHIN, async {
        let mut last = Seq::ZERO;
        for sending in sendings {
            let ack = sending.await.unwrap();
            assert!(ack.seq > last, "in order");
            last = ack.seq;
        }
    })
    .await;
    let mut got = Vec::new();
    limited(ARRIVES_WITHIN, async {
        while got.len() < total {
            got.extend(text_of(&entries.next().await.unwrap()).map(str::to_owned));
        }
    })
    .await;
    assert_eq!(got, (0..total).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(from.client().outbox_len(), 0);
    total
}

/// Two seconds without anything, again and again, for a minute; over each transport at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn drops_of_two_seconds_for_a_minute() {
    let node = NodeProcess::start().await;
    let runs = KINDS.map(|kind| {
        let node = &node;
        async move {
            let proxy = Proxy::start(node.addr(), 7).await.unwrap();
            let [a, b] = ["kim", "lee"].map(|name| format!("{name}_{kind}"));
            let kim = behind(node, &proxy, &a, &[kind]).await;
            let lee = behind(node, &proxy, &b, &[kind]).await;
            let here = within(kim.direct(lee.user())).await.unwrap();
            let there = within(lee.direct(kim.user())).await.unwrap();
            let drops = async {
                for _ in 0..12 {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    proxy.set(Weather::DROPS_ALL);
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    proxy.set(Weather::default());
                }
            };
            let sent = all_arrives(&here, &there, Duration::from_secs(60), drops).await;
            println!("{kind}: {sent} messages, {:?}", proxy.counts());
            assert!(sent > 500, "{sent}");
        }
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_per_cent_of_all_packets_are_lost() {
    let node = NodeProcess::start().await;
    let proxy = Proxy::start(node.addr(), 11).await.unwrap();
    proxy.set(Weather { lost_per_mille: 50, delay: Duration::from_millis(10), ..Weather::default() });
    let kim = behind(&node, &proxy, "kim", &[Kind::Quic]).await;
    let lee = behind(&node, &proxy, "lee", &[Kind::Quic]).await;
    let here = within(kim.direct(lee.user())).await.unwrap();
    let there = within(lee.direct(kim.user())).await.unwrap();
    let sent = all_arrives(&here, &there, Duration::from_secs(20), async {}).await;
    let counts = proxy.counts();
    println!("{sent} messages, {counts:?}");
    assert!(sent > 200 && counts.lost > 50, "{sent} {counts:?}");
    assert_eq!((kim.transport(), lee.transport()), (Some(Kind::Quic), Some(Kind::Quic)));
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_takes_over_when_udp_is_blocked_in_mid_session() {
    let node = NodeProcess::start().await;
    let proxy = Proxy::start(node.addr(), 13).await.unwrap();
    let kim = behind(&node, &proxy, "kim", &KINDS).await;
    assert_eq!(kim.transport(), Some(Kind::Quic));
    let lee = sign_up(&node, "lee", &KINDS).await;
    let here = within(kim.direct(lee.user())).await.unwrap();
    let there = within(lee.direct(kim.user())).await.unwrap();
    let mut events = kim.events();
    let blocked = async {
        proxy.set(Weather { no_udp: true, ..Weather::default() });
        let begun = Instant::now();
        event(&mut events, |_| (kim.transport() == Some(Kind::WebSocket)).then_some(())).await;
        println!("another link after {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    };
    all_arrives(&here, &there, Duration::from_secs(12), blocked).await;
    assert!(kim.status().is_online());
    // A WebSocket that is cut is made anew, at once, and nothing is lost.
    all_arrives(&there, &here, Duration::from_secs(4), async { proxy.cut() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_killed_and_starts_again() {
    let mut node = NodeProcess::start().await;
    let kim = sign_up(&node, "kim", &KINDS).await;
    let lee = sign_up(&node, "lee", &[Kind::WebSocket]).await;
    let here = within(kim.direct(lee.user())).await.unwrap();
    let there = within(lee.direct(kim.user())).await.unwrap();
    for _ in 0..2 {
        let mut entries = there.entries(there.cursor());
        let before: Vec<Sending> = (0..20).map(|number| here.send(format!("before {number}"))).collect();
        node.kill();
        let after: Vec<Sending> = (0..20).map(|number| here.send(format!("after {number}"))).collect();
        node.restart().await;
        let mut acked = Vec::new();
        for sending in before.into_iter().chain(after) {
            acked.push(limited(ARRIVES_WITHIN, sending.into_future()).await.unwrap().seq);
        }
        assert!(acked.is_sorted_by(|one, other| one < other), "{acked:?}");
        let mut got = Vec::new();
        while entries.cursor() < *acked.last().unwrap() {
            let entry = limited(ARRIVES_WITHIN, entries.next()).await.unwrap();
            got.extend(text_of(&entry).map(str::to_owned));
        }
        let sent: Vec<String> =
            ["before", "after"].iter().flat_map(|word| (0..20).map(move |n| format!("{word} {n}"))).collect();
        assert_eq!(got[got.len() - 40..], sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_is_left_and_found_again() {
    let mut node = NodeProcess::start().await;
    let kim = sign_up(&node, "kim", &KINDS).await;
    let notes = within(kim.direct(kim.user())).await.unwrap();
    within(notes.send("before").into_future()).await.unwrap();
    assert!(node.terminate().await.success());
    let waiting = notes.send("while there is no node");
    node.restart().await;
    limited(ARRIVES_WITHIN, waiting.into_future()).await.unwrap();
    shows(&notes, |shown| texts(shown) == ["before", "while there is no node"]).await;
}

/// What is not sent when the app ends is sent by the next one, and what was shown is shown before there is a network.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_starts_where_it_ended() {
    let mut node = NodeProcess::start().await;
    let folder = tempfile::tempdir().unwrap();
    let start = || builder(&node, &KINDS).folder(folder.path());
    let kim = signed_up(start(), "kim").await;
    let notes = within(kim.direct(kim.user())).await.unwrap();
    let id = notes.id();
    for number in 0..30 {
        within(notes.send(format!("{number}")).into_future()).await.unwrap();
    }
    shows(&notes, |shown| texts(shown).len() == 30).await;
    let mut events = kim.events();
    kim.disconnect();
    event(&mut events, |_| matches!(kim.status(), Status::Stopped(_)).then_some(())).await;
    drop(notes.send("not sent"));
    drop((notes, kim, events));
    node.kill();

    let next = within(reopened(&node, folder.path())).await;
    let notes = next.channel(id);
    let shown = notes.items();
    assert_eq!(texts(&shown).len(), 31, "before the network answers");
    assert_eq!(next.channels().len(), 1);
    assert!(!next.status().is_online());
    assert_eq!(next.outbox_len(), 1);
    node.restart().await;
    let shown = shows(&notes, |shown| shown.len() > 30 && shown.iter().all(|item| item.seq.is_some())).await;
    let wanted: Vec<String> = (0..30).map(|number| number.to_string()).chain(["not sent".to_owned()]).collect();
    assert_eq!(texts(&shown), wanted);
    assert_eq!(next.outbox_len(), 0);
}

/// The client on a folder, as soon as the one before has let go of it.
async fn reopened(node: &NodeProcess, folder: &std::path::Path) -> Client {
    loop {
        if let Ok(client) = builder(node, &KINDS).folder(folder).connect().await {
            return client;
        }
        tokio::task::yield_now().await;
    }
}

/// A link by QUIC moves to another address of the machine, and the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_quic_link_survives_another_address() {
    let node = NodeProcess::start().await;
    let kim = sign_up(&node, "kim", &[Kind::Quic]).await;
    let notes = within(kim.direct(kim.user())).await.unwrap();
    within(notes.send("here").into_future()).await.unwrap();
    let mut events = kim.events();
    for _ in 0..3 {
        kim.network_changed();
        within(notes.send("elsewhere").into_future()).await.unwrap();
    }
    kim.disconnect();
    event(&mut events, |event| match event {
        Event::Status(Status::Stopped(_)) => Some(()),
        Event::Status(other) => panic!("the link was lost: {other:?}"),
        _ => None,
    })
    .await;
}

/// Where the node is not, and where it does not answer: the one that does is found.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_that_answers_is_enough() {
    let node = NodeProcess::start().await;
    let nowhere = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let bad = Candidate {
        node: 0,
        kind: Kind::Quic,
        url: format!("quic://{}", nowhere.local_addr().unwrap()),
        certificate_hashes: vec![[0; 32]],
    };
    let mut links = vec![bad];
    links.extend(links_by(&node, node.addr()).await.into_iter().filter(|link| link.kind == Kind::WebSocket));
    let begun = Instant::now();
    let kim = signed_up(builder(&node, &KINDS).links(links), "kim").await;
    assert_eq!(kim.transport(), Some(Kind::WebSocket));
    println!("online after {:?}", begun.elapsed());
}
