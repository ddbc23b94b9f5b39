//! What things cost as something grows: the size of a message, the attachments of a link, the links of a node.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use suda_benches::figures::Curve;
use suda_benches::usage::{Cpu, steady_bytes};
use suda_schema::channel::ChannelDown;
use suda_tests::client::Kind;

use crate::bare::{Bare, Mode};
use crate::frames;
use crate::sends::{Crowd, Wire, per, percentiles_ms};
use crate::world::{Joined, Server, World, attach_all, is_full, next};

const KINDS: [(Kind, &str); 2] = [(Kind::Quic, "raw QUIC"), (Kind::WebSocket, "WebSocket, TLS")];
const ROUNDS: usize = 2;
const ROUND: Duration = Duration::from_millis(300);

const TEXT_BYTES: [usize; 4] = [128, 1_000, 10_000, 100_000];
/// With the last there are nearly as many as a link may have.
const ATTACHMENTS: [usize; 4] = [1, 10, 100, 250];
/// In all attachments in turn, so many sends a round.
const SENDS: usize = 250;
const WRITERS: usize = 64;
const LINKS: &[usize] = &[100, 300, 900];
const LINKS_FULL: &[usize] = &[100, 300, 1_000, 3_000];

pub(crate) async fn measure(world: &mut World) -> Result<Vec<Curve>> {
    let mut curves = sizes(world).await?;
    eprintln!("sizes: {curves:?}");
    curves.extend(attachments(world).await?);
    curves.extend(links(world).await?);
    eprintln!("all: {curves:?}");
    Ok(curves)
}

fn curve(plot: &str, line: String) -> Curve {
    Curve { plot: plot.to_owned(), line, points: Vec::new() }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2⁵³")]
fn x(count: usize) -> f64 {
    count as f64
}

/// One after the other, there and back.
async fn sizes(world: &World) -> Result<Vec<Curve>> {
    let people = world.people.get(..1).context("too few people")?;
    let channel = world.channel("group", people).await?;
    let mut curves = Vec::new();
    for (kind, transport) in KINDS {
        let server = Bare::start(Mode::Broadcast)?;
        let mut suda = world.connect(kind, people).await?;
        attach_all(&mut suda, |_| channel).await?;
        let mut bare = server.join(kind, 1).await?;
        for (name, link, wire, pid) in [
            ("suda", suda.first_mut(), Wire::Suda, world.node.pid()),
            ("bare", bare.first_mut(), Wire::Broadcast { tag: 1 }, server.pid()),
        ] {
            let link = link.context("no link")?;
            let mut latency = curve("message-size-latency", format!("{name}, {transport}"));
            let mut cost = curve("message-size-cpu", format!("{name}, {transport}"));
            for bytes in TEXT_BYTES {
                let (mut ms, mut us) = (Vec::new(), Vec::new());
                for _ in 0..ROUNDS {
                    let cpu = Cpu::of(pid)?;
                    let mut took = there_and_back(link, wire, bytes).await?;
                    us.push(1e6 / per(took.len(), cpu.since(pid)?));
                    ms.push(percentiles_ms(&mut took)[0]);
                }
                latency.points.push((x(bytes), ms));
                cost.points.push((x(bytes), us));
            }
            curves.extend([latency, cost]);
        }
    }
    Ok(curves)
}

async fn there_and_back(link: &mut Joined, wire: Wire, bytes: usize) -> Result<Vec<Duration>> {
    let stream = link.streams.last_mut().context("no stream")?;
    let (begun, mut took) = (Instant::now(), Vec::new());
    while begun.elapsed() < ROUND {
        let sent = Instant::now();
        wire.send_of_len(stream, bytes).await?;
        // suda's own answer comes beside the entry, before it or after it.
        let (mut heard, mut answered) = (false, matches!(wire, Wire::Broadcast { .. }));
        while !(heard && answered) {
            let frame = next(stream).await?;
            match &frame {
                ChannelDown::Entries(entries) => heard |= entries.entries.iter().filter_map(frames::read).count() > 0,
                frame => answered |= wire.answers(frame)? > 0,
            }
        }
        took.push(sent.elapsed());
    }
    Ok(took)
}

/// A link with many attachments, each of which is sent in when it is its turn.
async fn attachments(world: &World) -> Result<Vec<Curve>> {
    let most = ATTACHMENTS.into_iter().max().unwrap_or(0);
    let people = world.people.get(..1).context("too few people")?;
    let mut channels = Vec::new();
    while channels.len() < most {
        channels.push(world.channel("group", people).await?);
    }
    let mut curves = Vec::new();
    for (kind, transport) in KINDS {
        let mut links = world.connect(kind, people).await?;
        let link = links.first_mut().context("no link")?;
        let mut curve = curve("attachments-per-link", format!("suda, {transport}"));
        for count in ATTACHMENTS {
            while let Some(channel) = channels.get(link.streams.len()).filter(|_| link.streams.len() < count) {
                link.attach(*channel).await?;
            }
            let mut us = Vec::new();
            for _ in 0..ROUNDS {
                let cpu = Cpu::of(world.node.pid())?;
                for at in 0..SENDS {
                    let stream = link.streams.get_mut(at % count).context("no stream")?;
                    Wire::Suda.send(stream).await?;
                    while Wire::Suda.answers(&next(stream).await?)? == 0 {}
                }
                us.push(1e6 / per(SENDS, cpu.since(world.node.pid())?));
            }
            curve.points.push((x(count), us));
        }
        curves.push(curve);
    }
    Ok(curves)
}

/// Writers, while more and more links are there that do nothing.
async fn links(world: &mut World) -> Result<Vec<Curve>> {
    let (writers, others) = world.people.split_at_checked(WRITERS).context("too few people")?;
    let (writers, others) = (writers.to_vec(), others.to_vec());
    let mut channels = Vec::new();
    for writer in &writers {
        channels.push(world.channel("group", std::slice::from_ref(writer)).await?);
    }
    let channel = world.channel("broadcast", &others).await?;
    let mut curves = Vec::new();
    for (kind, transport) in KINDS {
        world.node.kill();
        world.node.restart().await;
        let world = &*world;
        let pid = world.node.pid();
        let mut joined = world.connect(kind, &writers).await?;
        attach_all(&mut joined, |at| channels[at]).await?;
        let mut crowd = Crowd::new(joined, 1, |_| Wire::Suda);
        crowd.round(Server::Suda(world)).await?;
        let before = steady_bytes(pid).await?;
        let mut cost = curve("links-cpu", format!("suda, {transport}"));
        let mut memory = curve("links-memory", format!("suda, {transport}"));
        let mut there = Vec::new();
        for &count in if is_full() { LINKS_FULL } else { LINKS } {
            let some = others.get(there.len()..count).context("too few people")?;
            let mut more = world.connect(kind, some).await?;
            attach_all(&mut more, |_| channel).await?;
            there.extend(more);
            let grown = steady_bytes(pid).await?.saturating_sub(before);
            memory.points.push((x(count), vec![x(usize::try_from(grown)?) / 1_024.0 / x(count)]));
            let mut us = Vec::new();
            for _ in 0..ROUNDS {
                let round = crowd.round(Server::Suda(world)).await?;
                us.push(1e6 / per(round.took.len(), round.cpu));
            }
            cost.points.push((x(count), us));
        }
        curves.extend([cost, memory]);
    }
    Ok(curves)
}
