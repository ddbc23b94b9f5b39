//! Years of bad network in a minute: clients without I/O, a model of the server, and between them a network that delays,
//! reorders, stalls and cuts, with nodes that die, drain and refuse, tokens that run out, members that are removed and apps
//! that are killed. Everything follows from one seed; the seed of a failure is printed, and `SUDA_SIM_SEED` plays it again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: what is not as it must be ends it")]

mod device;
mod keep;
mod server;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use world::{Counts, World};

/// How many steps are played at least; `SUDA_SIM_STEPS` plays more, as `make soak` does.
const STEPS: u64 = 600_000;
/// Beyond this, fewer steps have to do: a busy machine.
const TIME: Duration = Duration::from_secs(50);
/// The first seed, unless `SUDA_SIM_FROM` names another. A run plays this and those that follow.
const SEED: u64 = 1;

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_doubled_or_out_of_order() {
    if let Some(seed) = env("SUDA_SIM_SEED") {
        let mut world = World::new(seed);
        world.run();
        println!("seed {seed}: {} steps, {:?}", world.steps, world.counts());
        return;
    }
    let wanted = env("SUDA_SIM_STEPS");
    let first = env("SUDA_SIM_FROM").unwrap_or(SEED);
    let (begun, mut steps, mut seed) = (Instant::now(), 0, first);
    let mut counts = Counts::default();
    while steps < wanted.unwrap_or(STEPS) && (wanted.is_some() || begun.elapsed() < TIME) {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed);
            world.run();
            (world.steps, world.counts())
        }));
        match played {
            Ok((played, counted)) => {
                steps += played;
                counts.add(&counted);
            }
            Err(_) => panic!("seed {seed} fails; play it again with SUDA_SIM_SEED={seed}"),
        }
        seed += 1;
    }
    println!("seeds {first}..{seed}: {steps} steps in {:?}; {counts:?}", begun.elapsed());
    // A world in which nothing goes wrong shows nothing.
    let Counts { acked, refused, links, restarts, moved } = counts;
    assert!(acked > 10_000 && refused > 100 && links > 1_000 && restarts > 50 && moved > 100, "{counts:?}");
}
