//! What a push costs: to make it (criterion), and to send it (figures), beside a bare HTTP/2 loop to the same stand-in.
//!
//! `SUDA_BENCH_FULL` sends ten times as many.

mod bare;
mod encode;
mod people;
mod sending;
mod stand_in;

use anyhow::{Context as _, Result};
use criterion::Criterion;
use suda_benches::figures::{self, Part, commit};
use suda_benches::push;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "stand-in") {
        return stand_in::main();
    }
    // `cargo test --benches` starts it too, without this.
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter.as_str()));
    let runtime = tokio::runtime::Runtime::new()?;
    let stand_in = stand_in::StandIn::start()?;
    if wanted("push_encode/") {
        let mut criterion = Criterion::default().configure_from_args();
        encode::encode(&mut criterion, &runtime, &stand_in);
        criterion.final_summary();
    }
    if wanted("push/sending") {
        let rows = runtime.block_on(sending::measure(&stand_in)).context("pushes")?;
        figures::write(&Part { commit: commit(), rows }, &push::path())?;
    }
    Ok(())
}
