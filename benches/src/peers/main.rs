//! suda beside other servers, by the same workloads: idle connections, one to a thousand, groups of four, sends that are
//! acknowledged. Each server runs as a process of its own, in a folder that is thrown away, and all take turns.
//!
//! Clients are in this process, speak each server's own protocol on bare sockets, and judge what they are given: everything
//! once and in order. The figures to trust are the server's own processor time and memory; rates are of a machine that
//! clients share.

mod centrifugo;
mod conn;
mod crowd;
mod layout;
mod message;
mod mosquitto;
mod nats;
mod process;
mod redis;
mod sends;
mod socket_io;
mod stage;
mod suda;
mod ws;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use suda_benches::figures::{self, PeerDeliveries, PeerName, PeerSends, Peers, Rounds};
use suda_benches::usage::steady_bytes;

use crate::crowd::{Crowd, Load, connect};
use crate::layout::Layout;
use crate::stage::{Contender, DELIVERIES, Peer, SENDS, Stage};

/// No server's turn takes longer, whatever it does.
const TURN_MAX: Duration = Duration::from_secs(120);
const WARM_UP: Duration = Duration::from_millis(500);

/// Messages a second of the fan-out, and in all groups together, when they are paced.
const FAN_OUT_PACE: u32 = 20;
const GROUPS_PACE: u32 = 1_000;
/// How many are on their way otherwise.
const FAN_OUT_IN_FLIGHT: usize = 64;
const GROUPS_IN_FLIGHT: usize = 256;

/// suda beside other servers, by the same workloads. Who is not on this machine is left out, and said.
///
/// The result is kept in the target folder, from where `suda-performance` writes docs/performance.md.
#[derive(Debug, Parser)]
#[command(name = "suda-peers", version)]
struct Args {
    /// How often all take their turn.
    #[arg(long, default_value_t = 2)]
    passes: usize,
    /// How long each load is kept up.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only servers whose name or setting has this in it, and suda. The page keeps nothing of the others.
    #[arg(long)]
    only: Option<String>,
    /// Leave out idle connections, fan-out and groups.
    #[arg(long)]
    no_deliveries: bool,
    /// Leave out sends.
    #[arg(long)]
    no_sends: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.passes > 0 && (0.1..=600.0).contains(&args.seconds), "--passes: at least 1; --seconds: 0.1 to 600");
    tokio::runtime::Runtime::new()?.block_on(run(&args))
}

async fn run(args: &Args) -> Result<()> {
    let (begun, time) = (Instant::now(), Duration::from_secs_f64(args.seconds));
    let mut peers = Peers { commit: figures::commit(), passes: args.passes, ..Peers::default() };
    let mut stage = Stage::default();
    let deliveries = here(DELIVERIES, args, !args.no_deliveries, &mut peers.skipped);
    let sends = here(SENDS, args, !args.no_sends, &mut peers.skipped);
    peers.deliveries = deliveries.iter().map(|_| PeerDeliveries::default()).collect();
    peers.sends = sends.iter().map(|_| PeerSends::default()).collect();
    for pass in 1..=args.passes {
        let mut done = |contender: &Contender, what: &str, result: Result<Result<()>, _>| {
            let result = result.context("its turn took too long").and_then(|result: Result<()>| result);
            let Contender { name, setting, transport, .. } = contender;
            let at = begun.elapsed();
            eprintln!("pass {pass} of {}, {at:.0?}: {what}, {name} ({setting}, {transport})", args.passes);
            if let Err(error) = result {
                let said = format!("{name} ({setting}, {transport}), {what}, pass {pass}: {error:#}");
                eprintln!("FAILED: {said}");
                peers.skipped.push(said);
            }
        };
        for (contender, row) in deliveries.iter().zip(&mut peers.deliveries) {
            let turn = tokio::time::timeout(TURN_MAX, delivers(&mut stage, contender, time, row)).await;
            row.peer = name(contender);
            done(contender, "deliveries", turn);
        }
        for (contender, row) in sends.iter().zip(&mut peers.sends) {
            let turn = tokio::time::timeout(TURN_MAX, acknowledges(&mut stage, contender, time, row)).await;
            row.peer = name(contender);
            done(contender, "sends", turn);
        }
        figures::write(&peers, &Peers::path())?;
    }
    for skipped in &peers.skipped {
        eprintln!("NOT MEASURED: {skipped}");
    }
    eprintln!("done after {:.0?}: {}", begun.elapsed(), Peers::path().display());
    Ok(())
}

/// Those that are wanted and on this machine.
fn here<'a>(all: &'a [Contender], args: &Args, wanted: bool, skipped: &mut Vec<String>) -> Vec<&'a Contender> {
    let mut here = Vec::new();
    for contender in all.iter().filter(|_| wanted) {
        let Contender { name, setting, .. } = contender;
        let asked = |part: &String| *name == "suda" || format!("{name} {setting}").contains(part.as_str());
        if !args.only.as_ref().is_none_or(asked) {
            continue;
        }
        match contender.missing() {
            None => here.push(contender),
            Some(install) => {
                let said = format!("{name} is not on this machine: {install}");
                if !skipped.contains(&said) {
                    eprintln!("SKIPPED: {said}");
                    skipped.push(said);
                }
            }
        }
    }
    here
}

fn name(contender: &Contender) -> PeerName {
    PeerName {
        name: contender.name.to_owned(),
        version: contender.version(),
        setting: contender.setting.to_owned(),
        transport: contender.transport.to_owned(),
        ack: contender.ack.to_owned(),
    }
}

/// One turn: idle connections, which are then those of the fan-out, and groups.
async fn delivers(stage: &mut Stage, contender: &Contender, time: Duration, row: &mut PeerDeliveries) -> Result<()> {
    let mut peer = stage.start(contender).await?;
    // Who fails in one may do well in the other.
    let one_to_many = fan_out(&mut *peer, time, row).await;
    let few = groups(&mut *peer, time, row).await;
    match (one_to_many, few) {
        (Err(one), Err(other)) => Err(one.context(format!("{other:#}"))),
        (one, other) => one.and(other),
    }
}

async fn fan_out(peer: &mut dyn Peer, time: Duration, row: &mut PeerDeliveries) -> Result<()> {
    let pid = peer.pid();
    peer.prepare(Layout::FanOut).await?;
    let seats = Layout::FanOut.seats();
    // What handshakes leave behind is there from the first half.
    let (first, second) = seats.split_at(seats.len() / 2);
    let mut conns = connect(peer, first).await?;
    let half = steady_bytes(pid).await?;
    conns.extend(connect(peer, second).await?);
    let all = steady_bytes(pid).await?;
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2⁵³ bytes")]
    row.link_kib.push((all as f64 - half as f64) / 1_024.0 / second.len() as f64);
    let mut crowd = Crowd::new(Layout::FanOut, conns);
    crowd.round(pid, Load::Capacity(1), WARM_UP, &mut Rounds::default()).await.context("warming up")?;
    crowd.round(pid, Load::Paced(FAN_OUT_PACE), time, &mut row.fan_out_paced).await.context("paced fan-out")?;
    crowd.round(pid, Load::Capacity(FAN_OUT_IN_FLIGHT), time, &mut row.fan_out_capacity).await.context("fan-out")
}

async fn groups(peer: &mut dyn Peer, time: Duration, row: &mut PeerDeliveries) -> Result<()> {
    let pid = peer.pid();
    peer.prepare(Layout::Groups).await?;
    let mut crowd = Crowd::new(Layout::Groups, connect(peer, &Layout::Groups.seats()).await?);
    crowd.round(pid, Load::Capacity(1), WARM_UP, &mut Rounds::default()).await.context("warming up groups")?;
    crowd.round(pid, Load::Paced(GROUPS_PACE), time, &mut row.groups_paced).await.context("paced groups")?;
    crowd.round(pid, Load::Capacity(GROUPS_IN_FLIGHT), time, &mut row.groups_capacity).await.context("groups")
}

/// One turn: writers who wait for answers.
async fn acknowledges(stage: &mut Stage, contender: &Contender, time: Duration, row: &mut PeerSends) -> Result<()> {
    let mut peer = stage.start(contender).await?;
    let pid = peer.pid();
    peer.prepare(Layout::Apart).await?;
    let conns = connect(&*peer, &Layout::Apart.seats()).await?;
    let mut writers = conns.into_iter().map(|(_, conn)| conn).collect();
    sends::round(&mut writers, pid, WARM_UP, &mut Rounds::default()).await.context("warming up")?;
    sends::round(&mut writers, pid, time, &mut row.rounds).await
}
