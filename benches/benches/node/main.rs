//! A whole node beside bare servers: fan-out, durable sends, latency, connecting, presence, what idle links cost, and how costs
//! grow.
//!
//! The node is the release binary in a process of its own, and so is each bare server, so that processor time and memory are
//! theirs alone; the clients are in this process. Rounds of suda and of the bare server take turns, so that both meet the same
//! machine.
//!
//! `cargo bench -p suda-benches --bench node -- memory` takes only those figures whose name has that in it.

mod bare;
mod connect;
mod curves;
mod fan_out;
mod frames;
mod latency;
mod memory;
mod sends;
mod storm;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use suda_benches::figures::{self, Figures, Part, commit, path};

use crate::world::World;

/// All of it takes no longer, whatever happens.
const WITHIN: Duration = Duration::from_secs(1_200);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, mode] = &args[..]
        && first == "bare-server"
    {
        return bare::main(mode);
    }
    if args == ["storm-clients"] {
        return storm::main();
    }
    // `cargo test --benches` starts it too, without this.
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-')).cloned();
    let wanted = |part: &str| filter.as_ref().is_none_or(|filter| format!("node/{part}").contains(filter.as_str()));
    tokio::runtime::Runtime::new()?
        .block_on(async { tokio::time::timeout(WITHIN, measure(wanted)).await.context("it took too long")? })
}

/// All parts, in the order in which they are measured.
const PARTS: [&str; 8] = ["fan_out", "sends", "latency", "connect", "presence", "storm", "memory", "curves"];

async fn measure(wanted: impl Fn(&str) -> bool) -> Result<()> {
    let begun = Instant::now();
    let mut world = None;
    let mut figures: Figures = figures::read(&path());
    for part in PARTS.into_iter().filter(|part| wanted(part)) {
        if world.is_none() {
            let people = (fan_out::READERS + 1).max(sends::PEOPLE).max(2 * memory::LINKS).max(storm::people());
            world = Some(World::new(people).await?);
            eprintln!("{people} people signed up after {:.1?}", begun.elapsed());
        }
        let world = world.as_mut().context("no world")?;
        match part {
            "fan_out" => figures.fan_out = Some(of(fan_out::measure(world).await?)),
            "sends" => figures.sends = Some(of(sends::measure(world).await?)),
            "latency" => figures.latency = Some(of(latency::measure(world).await?)),
            "connect" => figures.connect = Some(of(connect::measure(world).await?)),
            "presence" => figures.presence = Some(of(connect::presence(world).await?)),
            "storm" => figures.storm = Some(of(storm::measure(world).await?)),
            "memory" => figures.memory = Some(of(memory::measure(world).await?)),
            _ => figures.curves = Some(of(curves::measure(world).await?)),
        }
        figures::write(&figures, &path())?;
        eprintln!("{part} measured after {:.1?}", begun.elapsed());
    }
    Ok(())
}

fn of<T>(rows: Vec<T>) -> Part<T> {
    Part { commit: commit(), rows }
}
