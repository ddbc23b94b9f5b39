//! A node dies and all its clients come back at once, to the others.
//!
//! `SUDA_STORM_CLIENTS=1000` is the long form: what is promised of a thousand holds for a release binary on a machine that is
//! not busy otherwise. What it does to the others' messages is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use suda_schema::open::Start;
use suda_schema::{ChannelId, Seq};
use suda_tests::client::Kind;
use suda_tests::cluster::{Cluster, Dice, Gate, HASTY, percentile};
use suda_tests::people::{Device, Person};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What is promised.
const WITHIN: Duration = Duration::from_secs(10);
/// Clients in one channel.
const ROOM: usize = 50;
/// Pairs of people on the other nodes who go on talking.
const PAIRS: usize = 8;
/// The kinds of links, as many of each.
const KINDS: [Kind; 3] = [Kind::Quic, Kind::WebTransport, Kind::WebSocket];

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_of_a_dead_node_are_back_soon() {
    let count: usize = std::env::var("SUDA_STORM_CLIENTS").map_or(250, |count| count.parse().expect("a number"));
    let roomy: Vec<_> =
        [HASTY, &[("link.links_per_address_max", "5000"), ("http.connections_per_address_max", "5000")]].concat();
    let mut cluster = Cluster::start(3, &roomy).await;
    let people = cluster.nodes[0].sign_up_all("crowd", count).await;
    let mut clients = Vec::new();
    for (room, some) in people.chunks(ROOM).enumerate() {
        let others: Vec<&Person> = some.iter().skip(1).collect();
        let channel = cluster.nodes[room % 2].group(&some[0], "room", &others).await;
        let joining = some.iter().enumerate().map(async |(number, person)| {
            let device = Device::connect(&cluster.nodes[2], KINDS[number % 3], person).await;
            let view = device.attach(channel, Start::After(Seq::ZERO)).await;
            (person.clone(), KINDS[number % 3], channel, device, view)
        });
        clients.extend(join_all(joining).await);
    }

    // Others talk on the nodes that stay.
    let stop = Arc::new(AtomicBool::new(false));
    let mut talking: Vec<JoinHandle<Vec<(Instant, Duration)>>> = Vec::new();
    for pair in 0..PAIRS {
        let one = cluster.nodes[0].sign_up(&format!("one{pair}")).await;
        let other = cluster.nodes[1].sign_up(&format!("other{pair}")).await;
        let channel = cluster.nodes[0].direct(&one, &other).await;
        let here = Device::connect(&cluster.nodes[0], Kind::Quic, &one).await;
        let there = Device::connect(&cluster.nodes[1], Kind::Quic, &other).await;
        talking.push(tokio::spawn(talk(here, there, channel, Arc::clone(&stop))));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;

    let killed = Instant::now();
    cluster.nodes[2].kill();
    let gates: Vec<Gate> = cluster.gates().into_iter().take(2).collect();
    let coming = clients.into_iter().enumerate().map(|(number, (person, kind, channel, device, view))| {
        let (gates, dice) = (gates.clone(), Dice::new(number as u64));
        tokio::spawn(async move {
            drop(device);
            let back = come_back(&gates, dice, &person, kind, channel, view.cursor).await;
            (killed.elapsed(), back)
        })
    });
    let back: Vec<(Duration, (Device, usize))> =
        join_all(coming.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect();
    let took: Vec<Duration> = back.iter().map(|(took, _)| *took).collect();
    let all = percentile(&took, 100);
    let tries: usize = back.iter().map(|(_, (_, tries))| tries).sum();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);

    let (mut before, mut during) = (Vec::new(), Vec::new());
    for pair in talking {
        for (at, took) in pair.await.unwrap() {
            if at + took < killed {
                before.push(took);
            } else if at < killed + all {
                during.push(took);
            }
        }
    }
    println!(
        "{count} clients were back after p50 {:.1?}, all {all:.1?}, in {tries} tries; of others, {} messages from node to node p50 \
         {:.1?} p99 {:.1?} before, {} meanwhile p50 {:.1?} p99 {:.1?}",
        percentile(&took, 50),
        before.len(),
        percentile(&before, 50),
        percentile(&before, 99),
        during.len(),
        percentile(&during, 50),
        percentile(&during, 99),
    );
    assert!(all < WITHIN, "{all:?}");
}

/// Says something every now and then, and waits until it is there: how long each took.
async fn talk(here: Device, there: Device, channel: ChannelId, stop: Arc<AtomicBool>) -> Vec<(Instant, Duration)> {
    let mut from = here.attach(channel, Start::Tail(0)).await;
    let mut to = there.attach(channel, Start::Tail(0)).await;
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let seq = from.say("and so on").await.unwrap().seq;
        to.until(seq).await.unwrap();
        took.push((begun, begun.elapsed()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took
}

/// As a client does: after a wait of its own, to any node, until one takes it.
async fn come_back(
    gates: &[Gate],
    mut dice: Dice,
    who: &Person,
    kind: Kind,
    channel: ChannelId,
    cursor: Seq,
) -> (Device, usize) {
    for tries in 1.. {
        tokio::time::sleep(Duration::from_millis(dice.below(1_000))).await;
        let back = async {
            let device = gates[dice.one_of(gates.len())].device(kind, who).await?;
            let view = device.try_attach(channel, Start::After(cursor)).await?;
            assert_eq!(view.after, cursor);
            anyhow::Ok(device)
        };
        if let Ok(device) = back.await {
            return (device, tries);
        }
        assert!(tries < 100, "{} does not come back", who.handle);
    }
    unreachable!()
}
