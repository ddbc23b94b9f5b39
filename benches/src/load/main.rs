//! `suda-load`: many devices in one process, on the Rust SDK.
//!
//! | module | idea |
//! |---|---|
//! | `args` | what can be said |
//! | `server`, `usage` | a node of the run's own; what processes use |
//! | `world` | devices and the channels they talk in; storms |
//! | `work` | those who send, paced or not, and those who read |
//! | `checker` | nothing lost, doubled or out of order |
//! | `meter`, `progress`, `report` | latencies and counts; what is shown |

mod args;
mod checker;
mod meter;
mod progress;
mod report;
mod server;
mod usage;
mod work;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::{Args, Scenario, seconds};
use crate::checker::Checker;
use crate::meter::{Meter, get};
use crate::report::{Outcome, Report, Usages};
use crate::server::Server;
use crate::usage::Usage;
use crate::work::Run;
use crate::world::{Cost, Device, Place};

/// How often it is looked whether everything has arrived.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the exit code says.
const FAULTS: u8 = 1;
const NO_RUN: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("suda-load: {error}");
            return ExitCode::from(NO_RUN);
        }
    };
    let done = runtime.block_on(run(&args));
    // Nobody waits for thousands of clients to say goodbye.
    runtime.shutdown_background();
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAULTS),
        Err(error) => {
            eprintln!("suda-load: {error:#}");
            ExitCode::from(NO_RUN)
        }
    }
}

/// Whether nothing was found.
async fn run(args: &Args) -> Result<bool> {
    args.check()?;
    let mut server = match args.start {
        true => Some(Server::start(args.suda.as_deref(), &args.settings)?),
        false => None,
    };
    let url = args.url.clone().or_else(|| server.as_ref().map(Server::url)).context("neither --url nor --start")?;
    let server_before = usage_of(server.as_ref())?;
    let meter = Meter::new();
    let progress = progress::show(args, &meter);
    let (devices, cost) = world::devices(args, &url, &meter).await?;
    let server_connected = usage_of(server.as_ref())?;
    let _watching = world::watch(&devices, &meter);

    let mut checker = Checker::default();
    let places = world::places(args, &devices, &mut checker).await?;
    let readers = work::readers(&devices, &places, &mut checker);
    let run = Run { meter, checker: Arc::new(checker) };
    progress.judged_by(&run.checker);
    let reading = work::read(readers, &run);

    let Worked { began, server_began, client_began, is_same_server } =
        work(args, &run, &devices, &places, &mut server).await?;
    settle(args, &run).await;
    let measured_seconds = began.elapsed().as_secs_f64();
    let (client_ended, server_ended) = (Usage::own()?, usage_of(server.as_ref())?);
    drop((reading, progress));

    let Cost { before, after, .. } = cost;
    let client = Usages { before, connected: after, began: client_began, ended: client_ended, is_same: true };
    let usages =
        |(((before, connected), began), ended)| Usages { before, connected, began, ended, is_same: is_same_server };
    let of_server = server_before.zip(server_connected).zip(server_began).zip(server_ended).map(usages);
    let outcome = Outcome {
        channels: places.len(),
        cost,
        measured_seconds,
        client,
        server: of_server,
        faults: run.checker.finish(),
    };
    tell(args, &Report::new(args, &run.meter, outcome))
}

fn usage_of(server: Option<&Server>) -> Result<Option<Usage>> {
    server.map(|server| Usage::of(server.pid())).transpose()
}

/// When measuring began, and what had been used by then.
struct Worked {
    began: Instant,
    client_began: Usage,
    server_began: Option<Usage>,
    is_same_server: bool,
}

async fn work(
    args: &Args,
    run: &Run,
    devices: &[Device],
    places: &[Place],
    server: &mut Option<Server>,
) -> Result<Worked> {
    let senders = work::senders(args, places);
    let (mut pacing, mut sending) = (None, None);
    match args.in_flight {
        _ if senders.is_empty() => {}
        Some(in_flight) => sending = Some(work::unpaced(args, in_flight, senders, run)),
        None => pacing = Some(work::paced(args, senders, run)?),
    }
    tokio::time::sleep(seconds(args.warm_up_seconds)).await;
    // Where there is a pace, it goes by when each was meant to be sent.
    if pacing.is_none() {
        run.meter.is_measuring.store(true, Ordering::Relaxed);
    }
    let (began, client_began, server_began) = (Instant::now(), Usage::own()?, usage_of(server.as_ref())?);
    if args.scenario == Scenario::Storm {
        let every = seconds(args.seconds / f64::from(args.storms + 1));
        for _ in 0..args.storms {
            tokio::time::sleep(every).await;
            let killed = server.as_mut().filter(|_| args.kill);
            world::storm(devices, &run.meter, killed, seconds(args.setup_seconds)).await?;
        }
    }
    let ends = began + seconds(args.seconds);
    tokio::time::sleep_until(ends.into()).await;
    drop(sending.take());
    if let Some(pacing) = pacing {
        tokio::task::spawn_blocking(move || pacing.join()).await?.ok().context("the pacing thread has panicked")?;
    }
    run.meter.is_measuring.store(false, Ordering::Relaxed);
    let is_same_server = !(args.kill && args.scenario == Scenario::Storm);
    Ok(Worked { began, client_began, server_began, is_same_server })
}

/// Waits for what is still on its way, as long as something arrives.
async fn settle(args: &Args, run: &Run) {
    let (mut last, mut since) = (0, Instant::now());
    while !run.checker.is_settled() && since.elapsed() < seconds(args.settle_seconds) {
        tokio::time::sleep(LOOK_EVERY).await;
        let arrived = get(&run.meter.totals.acked) + get(&run.meter.totals.delivered);
        if arrived != last {
            (last, since) = (arrived, Instant::now());
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is what it is for")]
fn tell(args: &Args, report: &Report) -> Result<bool> {
    let json = || serde_json::to_string_pretty(report).context("the result");
    match &args.json {
        Some(path) if path.as_os_str() == "-" => println!("{}", json()?),
        Some(path) => {
            std::fs::write(path, json()? + "\n").with_context(|| format!("can't write {}", path.display()))?;
            print!("{}", report.table());
        }
        None => print!("{}", report.table()),
    }
    Ok(report.ok)
}
