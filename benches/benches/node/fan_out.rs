//! One sender, a thousand readers of one channel, each over a link of its own.
//!
//! Paced, what a delivery costs when little goes together in one packet; at capacity, what goes through at most, with 64
//! messages on their way that not all have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use suda_benches::figures::{FanOut, Pair};
use suda_schema::channel::ChannelDown;
use suda_tests::client::{Kind, RawStream};
use tokio::task::JoinSet;

use crate::bare::{Bare, Mode};
use crate::frames;
use crate::sends::{Wire, per, percentiles_ms};
use crate::world::{Joined, Server, World, attach_all, within};
use suda_benches::usage::Cpu;

const ROUNDS: usize = 3;
pub(crate) const READERS: usize = 1_000;
const KINDS: [(Kind, &str); 3] =
    [(Kind::Quic, "raw QUIC"), (Kind::WebTransport, "WebTransport"), (Kind::WebSocket, "WebSocket, TLS")];
const LOADS: [(Load, &str); 2] = [(Load::Paced, "20 messages a second"), (Load::Capacity, "64 in flight")];

/// Paced, each message waits so long for the one before it.
const PACE: Duration = Duration::from_millis(50);
const PACED_FOR: Duration = Duration::from_millis(2_500);
const IN_FLIGHT_MAX: usize = 64;
const CAPACITY_FOR: Duration = Duration::from_millis(1_500);
/// How long it may take until all have what was sent.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);
/// A reader who hears nothing for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Paced,
    Capacity,
}

pub(crate) async fn measure(world: &World) -> Result<Vec<FanOut>> {
    let people = world.people.get(..=READERS).context("too few people")?;
    let channel = world.channel("broadcast", people).await?;
    let mut rows = Vec::new();
    for (kind, transport) in KINDS {
        let bare = Bare::start(Mode::Broadcast)?;
        // The first is the channel's owner, and sends.
        let mut joined = world.connect(kind, people).await?;
        attach_all(&mut joined, |_| channel).await?;
        let mut suda = Audience::new(joined, Server::Suda(world), Wire::Suda)?;
        let joined = bare.join(kind, READERS + 1).await?;
        let mut bare = Audience::new(joined, Server::Bare(&bare), Wire::Broadcast { tag: 0 })?;
        for (load, name) in LOADS {
            let mut row = FanOut { transport: transport.to_owned(), load: name.to_owned(), ..FanOut::default() };
            for _ in 0..ROUNDS {
                suda.round(load).await?.note(&mut row, |pair| &mut pair.suda);
                bare.round(load).await?.note(&mut row, |pair| &mut pair.bare);
            }
            eprintln!("{row:?}");
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A sender and its readers.
struct Audience<'a> {
    server: Server<'a>,
    wire: Wire,
    sender: Joined,
    tally: Arc<Tally>,
    /// Stopped with it.
    _readers: JoinSet<()>,
}

#[derive(Default)]
struct Tally {
    delivered: AtomicUsize,
    took: Vec<Mutex<Vec<Duration>>>,
}

struct Round {
    took: Vec<Duration>,
    elapsed: Duration,
    cpu: Duration,
}

impl<'a> Audience<'a> {
    fn new(mut links: Vec<Joined>, server: Server<'a>, wire: Wire) -> Result<Self> {
        ensure!(links.len() == READERS + 1, "{} links", links.len());
        let sender = links.remove(0);
        let took = links.iter().map(|_| Mutex::default()).collect();
        let tally = Arc::new(Tally { delivered: AtomicUsize::new(0), took });
        let mut readers = JoinSet::new();
        for (number, link) in links.into_iter().enumerate() {
            let tally = Arc::clone(&tally);
            readers.spawn(async move {
                if let Err(error) = read(link, number, &tally).await {
                    eprintln!("a reader: {error:#}");
                }
            });
        }
        Ok(Self { server, wire, sender, tally, _readers: readers })
    }

    async fn round(&mut self, load: Load) -> Result<Round> {
        let stream = self.sender.streams.last_mut().context("no stream")?;
        self.tally.clear();
        let (cpu, begun) = (Cpu::of(self.server.pid())?, Instant::now());
        let sent = match load {
            Load::Paced => paced(stream, self.wire).await?,
            Load::Capacity => at_capacity(stream, self.wire, &self.tally).await?,
        };
        while self.tally.delivered() < sent * READERS {
            let missing = sent * READERS - self.tally.delivered();
            ensure!(begun.elapsed() < CAPACITY_FOR.max(PACED_FOR) + DRAINED_WITHIN, "{missing} did not arrive");
            within(stream, Duration::from_millis(1)).await?;
        }
        let (elapsed, cpu) = (begun.elapsed(), cpu.since(self.server.pid())?);
        Ok(Round { took: self.tally.take(), elapsed, cpu })
    }
}

async fn paced(stream: &mut RawStream, wire: Wire) -> Result<usize> {
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < PACED_FOR {
        wire.send(stream).await?;
        sent += 1;
        let next = begun + PACE * u32::try_from(sent)?;
        // What comes meanwhile is read.
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            within(stream, left).await?;
        }
    }
    Ok(sent)
}

async fn at_capacity(stream: &mut RawStream, wire: Wire, tally: &Tally) -> Result<usize> {
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < CAPACITY_FOR {
        while sent < IN_FLIGHT_MAX + tally.delivered() / READERS {
            wire.send(stream).await?;
            sent += 1;
        }
        within(stream, Duration::from_millis(1)).await?;
    }
    Ok(sent)
}

async fn read(mut link: Joined, number: usize, tally: &Tally) -> Result<()> {
    let stream = link.streams.last_mut().context("no stream")?;
    let took = tally.took.get(number).context("too many readers")?;
    loop {
        let frame = within(stream, SILENCE_MAX).await?.context("nothing came")?;
        let ChannelDown::Entries(entries) = frame else { continue };
        let mut took = took.lock().unwrap_or_else(PoisonError::into_inner);
        let before = took.len();
        took.extend(entries.entries.iter().filter_map(frames::read).map(|(_, took)| took));
        let count = took.len() - before;
        drop(took);
        tally.delivered.fetch_add(count, Ordering::Relaxed);
    }
}

impl Tally {
    fn delivered(&self) -> usize {
        self.delivered.load(Ordering::Relaxed)
    }

    fn clear(&self) {
        self.take();
        self.delivered.store(0, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Duration> {
        let took = |reader: &Mutex<Vec<_>>| std::mem::take(&mut *reader.lock().unwrap_or_else(PoisonError::into_inner));
        self.took.iter().flat_map(took).collect()
    }
}

impl Round {
    fn note(mut self, row: &mut FanOut, side: impl Fn(&mut Pair) -> &mut Vec<f64>) {
        let [p50, p99] = percentiles_ms(&mut self.took);
        let count = self.took.len();
        side(&mut row.per_second).push(per(count, self.elapsed));
        side(&mut row.cpu_us).push(1e6 / per(count, self.cpu));
        side(&mut row.p50_ms).push(p50);
        side(&mut row.p99_ms).push(p99);
    }
}
