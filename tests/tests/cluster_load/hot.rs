//! One, two and four nodes writing to one channel, and to a channel each. Nodes that write to one channel conflict; batches
//! keep that cheap. Printed are sends acknowledged a second and conflicts.
//!
//! `SUDA_HOT_SECONDS` says how long each of the six is measured.

use std::time::Duration;

use futures_util::future::join_all;
use suda_schema::ChannelId;
use suda_schema::open::Start;
use suda_tests::client::Kind;
use suda_tests::cluster::{Cluster, Gate, HASTY};
use suda_tests::people::{Device, Person};
use tokio::time::Instant;

/// Sends that wait for their answer, of all nodes together.
const IN_FLIGHT: usize = 128;
/// Devices on each node that writes.
const DEVICES: usize = 4;
const NODES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_write_to_one_channel_get_on() {
    let seconds = std::env::var("SUDA_HOT_SECONDS").map_or(4, |seconds| seconds.parse().expect("a number"));
    let cluster = Cluster::start(NODES, HASTY).await;
    let people = cluster.nodes[0].sign_up_all("writer", NODES * DEVICES).await;
    let mut of_one_node = 0.0;
    for nodes in [1, 2, NODES] {
        for same in [true, false] {
            let writers = &people[..nodes * DEVICES];
            let mut channels = Vec::new();
            for some in if same { writers.chunks(writers.len()) } else { writers.chunks(DEVICES) } {
                let others: Vec<&Person> = some.iter().skip(1).collect();
                channels.push(cluster.nodes[0].group(&some[0], "hot", &others).await);
            }
            let begin = log_lengths(&cluster, writers, &channels).await;
            let conflicts = cluster.metric("suda_store_conflicts_total").await;
            let until = Instant::now() + Duration::from_secs(seconds);
            let each = IN_FLIGHT / writers.len();
            let writing = writers.iter().enumerate().map(|(number, person)| {
                let gate = cluster.nodes[number / DEVICES].gate();
                let channel = channels[if same { 0 } else { number / DEVICES }];
                tokio::spawn(write(gate, person.clone(), channel, each, until))
            });
            let writing: Vec<_> = writing.collect();
            let written: Vec<u64> = join_all(writing).await.into_iter().map(Result::unwrap).collect();
            let written: u64 = written.iter().sum();
            assert_eq!(
                log_lengths(&cluster, writers, &channels).await - begin,
                written,
                "not exactly what was acknowledged"
            );
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let rate = written as f64 / seconds as f64;
            let conflicts = cluster.metric("suda_store_conflicts_total").await - conflicts;
            println!(
                "{nodes} nodes, {}: {rate:.0} sends a second, {:.3} conflicts a send",
                if same { "one channel" } else { "a channel each" },
                conflicts / (rate * seconds as f64),
            );
            if nodes == 1 && same {
                of_one_node = rate;
            }
            assert!(rate > of_one_node / 5.0, "{rate:.0} a second, of one node alone {of_one_node:.0}");
        }
    }
}

/// How many entries these channels have together. The writers are spread over them evenly.
async fn log_lengths(cluster: &Cluster, writers: &[Person], channels: &[ChannelId]) -> u64 {
    let mut sum = 0;
    for (channel, members) in channels.iter().zip(writers.chunks(writers.len() / channels.len())) {
        let device = Device::connect(&cluster.nodes[0], Kind::Quic, &members[0]).await;
        sum += device.attach(*channel, Start::Tail(0)).await.attached.channel.head.0;
    }
    sum
}

/// Writes as fast as it is acknowledged. How much was.
async fn write(gate: Gate, person: Person, channel: ChannelId, in_flight: usize, until: Instant) -> u64 {
    let device = gate.device(Kind::Quic, &person).await.unwrap();
    let mut view = device.attach(channel, Start::Tail(0)).await;
    let (mut sent, mut acked) = (0, 0);
    while acked < sent || Instant::now() < until {
        while sent < acked + in_flight && Instant::now() < until {
            view.send("as fast as it goes").await.unwrap();
            sent += 1;
        }
        if acked < sent {
            view.next().await.unwrap();
            assert!(view.refused.is_empty(), "{:?}", view.refused);
            acked = view.acks.len();
            view.entries.clear();
        }
    }
    acked as u64
}
