//! A whole node beside bare servers: what idle links cost, durable sends, fan-out.
//!
//! The node is the release binary in a process of its own, and so is each bare server, so that processor time and memory are
//! theirs alone; the clients are in this process. Rounds of suda and of the bare server take turns, so that both meet the same
//! machine.
//!
//! `cargo bench -p suda-benches --bench node -- memory` takes only those figures whose name has that in it.

mod bare;
mod fan_out;
mod frames;
mod memory;
mod sends;
mod usage;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use suda_benches::figures::{Figures, Part, commit, path};

use crate::world::World;

/// All of it takes no longer, whatever happens.
const WITHIN: Duration = Duration::from_secs(600);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, mode] = &args[..]
        && first == "bare-server"
    {
        return bare::main(mode);
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

async fn measure(wanted: impl Fn(&str) -> bool) -> Result<()> {
    if !["fan_out", "sends", "memory"].into_iter().any(&wanted) {
        return Ok(());
    }
    let begun = Instant::now();
    let people = fan_out::READERS + 1;
    let mut world = World::new(people.max(sends::PEOPLE).max(2 * memory::LINKS)).await?;
    eprintln!("{} people signed up after {:.1?}", world.people.len(), begun.elapsed());
    let mut figures = Figures::read(&path());
    if wanted("fan_out") {
        figures.fan_out = Some(Part { commit: commit(), rows: fan_out::measure(&world).await? });
        figures.write(&path())?;
        eprintln!("fan-out measured after {:.1?}", begun.elapsed());
    }
    if wanted("sends") {
        figures.sends = Some(Part { commit: commit(), rows: sends::measure(&world).await? });
        figures.write(&path())?;
        eprintln!("sends measured after {:.1?}", begun.elapsed());
    }
    if wanted("memory") {
        figures.memory = Some(Part { commit: commit(), rows: memory::measure(&mut world).await? });
        figures.write(&path())?;
        eprintln!("memory measured after {:.1?}", begun.elapsed());
    }
    Ok(())
}
