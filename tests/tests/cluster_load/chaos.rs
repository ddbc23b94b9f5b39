//! Everything at once, by chance: nodes are killed, paused and stopped, and the store is killed, while devices send and read.
//!
//! `SUDA_CHAOS_SECONDS=600` is the long form, `SUDA_CHAOS_SEED` plays the same accidents again.

use std::time::Duration;

use suda_tests::cluster::{Cluster, Dice, HASTY, Load, Pace};
use tokio::time::Instant;

const NODES: usize = 3;
/// Between two accidents so much must get through.
const ACKS_BETWEEN: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_broken_by_chance() {
    let seconds = std::env::var("SUDA_CHAOS_SECONDS").map_or(40, |seconds| seconds.parse().expect("a number"));
    let seed = Dice::seed("SUDA_CHAOS_SEED");
    println!("SUDA_CHAOS_SEED={seed}");
    let mut dice = Dice::new(seed);
    let settings: Vec<_> = [HASTY, &[("node.drain_ms", "1000"), ("node.stop_within_ms", "2000")]].concat();
    let mut cluster = Cluster::start(NODES, &settings).await;
    let pace = Pace { devices: 10, in_flight: 1, rest: Duration::from_millis(20) };
    let load = Load::begin(&cluster, "chaos", 2, pace, seed).await;
    let (begun, mut counts) = (Instant::now(), [0; 5]);
    let mut slowest = Duration::ZERO;
    while begun.elapsed() < Duration::from_secs(seconds) {
        slowest = slowest.max(load.more(ACKS_BETWEEN).await);
        let (at, other) = (dice.one_of(NODES), dice.one_of(NODES - 1));
        let other = (at + 1 + other) % NODES;
        let away = Duration::from_millis(dice.below(4_000));
        let accident = dice.one_of(counts.len());
        counts[accident] += 1;
        match accident {
            0 => {
                cluster.nodes[at].kill();
                tokio::time::sleep(away).await;
                cluster.nodes[at].restart().await;
            }
            1 => {
                cluster.nodes[at].pause();
                tokio::time::sleep(away * 3 / 2).await;
                cluster.nodes[at].proceed();
            }
            // All of them, one after the other, as for a new version.
            2 => {
                for node in &mut cluster.nodes {
                    assert!(node.terminate().await.success());
                    node.restart().await;
                }
            }
            3 => {
                cluster.fdb.kill();
                tokio::time::sleep(away / 2).await;
                cluster.fdb.restart();
            }
            // Two at once: one is killed while another stands still.
            _ => {
                cluster.nodes[at].pause();
                cluster.nodes[other].kill();
                tokio::time::sleep(away).await;
                cluster.nodes[other].restart().await;
                cluster.nodes[at].proceed();
            }
        }
    }
    load.more(ACKS_BETWEEN).await;
    for at in 0..NODES {
        cluster.named(at, NODES).await;
    }
    let [killed, paused, rolled, store, both] = counts;
    println!(
        "{killed} nodes killed, {paused} paused, {rolled} times all were stopped and started, {both} killed beside one that was paused, the store \
         killed {store} times; {ACKS_BETWEEN} sends took {slowest:.1?} at most. {}",
        load.judge(&cluster).await
    );
}
