//! Sends that wait for their answer. suda answers when the entry is durable, and gives it to all who look at the channel. The
//! bare server answers at once with as many bytes, or, where many share a channel, gives each frame to all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use suda_benches::figures::{Pair, Sends};
use suda_schema::channel::ChannelDown;
use suda_tests::client::{Kind, RawStream};
use suda_tests::people::{message, new_id};
use tokio::task::JoinHandle;

use crate::bare::{Bare, Mode};
use crate::frames;
use crate::world::{Joined, Server, World, attach_all, next, within};
use suda_benches::usage::Cpu;

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(700);
const KINDS: [(Kind, &str); 2] = [(Kind::Quic, "raw QUIC"), (Kind::WebSocket, "WebSocket, TLS")];
const SENDERS: [usize; 2] = [64, 256];
/// Links that share their sends, where those are many on each.
const SHARED_LINKS: usize = 4;
/// How many people it takes.
pub(crate) const PEOPLE: usize = 256;

/// Who sends where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Each over a link of its own in a channel of its own.
    Apart,
    /// Each over a link of its own, all in one channel: each also hears all the others.
    Together,
    /// Over a few links, in one channel.
    Pipelined,
}

const WHO: [(Who, &str); 3] = [
    (Who::Apart, "each in its own channel"),
    (Who::Together, "all in one channel, each hears all"),
    (Who::Pipelined, "all in one channel, over 4 links"),
];

pub(crate) async fn measure(world: &World) -> Result<Vec<Sends>> {
    let mut rows = Vec::new();
    for (who, what) in WHO {
        for senders in SENDERS {
            let links = if who == Who::Pipelined { SHARED_LINKS } else { senders };
            let people = world.people.get(..links).context("too few people")?;
            let mut channels = Vec::new();
            match who {
                Who::Apart => {
                    for person in people {
                        channels.push(world.channel("group", std::slice::from_ref(person)).await?);
                    }
                }
                _ => channels.push(world.channel("group", people).await?),
            }
            for (kind, transport) in KINDS {
                let bare = Bare::start(if who == Who::Apart { Mode::Echo } else { Mode::Broadcast })?;
                let mut joined = world.connect(kind, people).await?;
                attach_all(&mut joined, |at| channels[at % channels.len()]).await?;
                let mut suda = Crowd::new(joined, senders / links, |_| Wire::Suda);
                let of_bare = |tag| if who == Who::Apart { Wire::Echo } else { Wire::Broadcast { tag } };
                let mut bare_crowd = Crowd::new(bare.join(kind, links).await?, senders / links, of_bare);
                let mut row =
                    Sends { transport: transport.to_owned(), who: format!("{senders} {what}"), ..Sends::default() };
                for _ in 0..ROUNDS {
                    suda.round(Server::Suda(world)).await?.note(&mut row, |pair| &mut pair.suda);
                    bare_crowd.round(Server::Bare(&bare)).await?.note(&mut row, |pair| &mut pair.bare);
                }
                eprintln!("{row:?}");
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// How sends look, and which answers are theirs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire {
    Suda,
    Echo,
    /// What comes back is known by its tag.
    Broadcast {
        tag: usize,
    },
}

impl Wire {
    pub(crate) async fn send(self, stream: &mut RawStream) -> Result<()> {
        self.send_of_len(stream, frames::TEXT_BYTES).await
    }

    /// Sends a text of so many bytes.
    pub(crate) async fn send_of_len(self, stream: &mut RawStream, len: usize) -> Result<()> {
        match self {
            Self::Suda | Self::Echo => stream.send(&message(new_id(), &frames::text_of_len(0, len))).await?,
            Self::Broadcast { tag } => stream.send_raw(frames::entries(&frames::text_of_len(tag, len))).await?,
        }
        Ok(())
    }

    /// How many answers are in a frame.
    pub(crate) fn answers(self, frame: &ChannelDown) -> Result<usize> {
        match (self, frame) {
            (Self::Suda | Self::Echo, ChannelDown::Ack(_)) => Ok(1),
            (Self::Broadcast { tag }, ChannelDown::Entries(entries)) => {
                let own = |entry| matches!(frames::read(entry), Some((from, _)) if from == tag);
                Ok(entries.entries.iter().filter(|entry| own(entry)).count())
            }
            (_, ChannelDown::Refused(refused)) => bail!("refused: {}", refused.error),
            (_, ChannelDown::Closed(closing)) => bail!("closed: {closing:?}"),
            _ => Ok(0),
        }
    }
}

struct Sender {
    wire: Wire,
    in_flight_max: usize,
    joined: Joined,
}

impl Sender {
    /// Sends until then, and waits for what is still to be answered: how long each took.
    async fn send_until(mut self, end: Instant) -> Result<(Self, Vec<Duration>)> {
        let stream = self.joined.streams.last_mut().context("no stream")?;
        let (mut sent, mut took) = (VecDeque::new(), Vec::new());
        loop {
            while sent.len() < self.in_flight_max && Instant::now() < end {
                self.wire.send(stream).await?;
                sent.push_back(Instant::now());
            }
            if sent.is_empty() {
                return Ok((self, took));
            }
            for _ in 0..self.wire.answers(&next(stream).await?)? {
                took.extend(sent.pop_front().map(|sent| sent.elapsed()));
            }
        }
    }
}

impl Sender {
    /// Sends at these times, and waits in the end for what is still to be answered: how long each took from when it was sent.
    async fn pace(mut self, first: Instant, every: Duration, end: Instant) -> Result<(Self, Vec<Duration>)> {
        let stream = self.joined.streams.last_mut().context("no stream")?;
        let (mut due, mut sent, mut took) = (first, VecDeque::new(), Vec::new());
        loop {
            let now = Instant::now();
            let frame = if due >= end {
                if sent.is_empty() {
                    return Ok((self, took));
                }
                Some(next(stream).await?)
            } else if let Some(left) = due.checked_duration_since(now).filter(|left| !left.is_zero()) {
                within(stream, left).await?
            } else {
                sent.push_back(now);
                self.wire.send(stream).await?;
                due += every;
                None
            };
            for _ in 0..frame.map_or(Ok(0), |frame| self.wire.answers(&frame))? {
                took.extend(sent.pop_front().map(|sent| sent.elapsed()));
            }
        }
    }
}

/// All senders of a row.
pub(crate) struct Crowd(Vec<Sender>);

/// What one round came to.
pub(crate) struct Round {
    pub(crate) took: Vec<Duration>,
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
}

impl Crowd {
    pub(crate) fn new(links: Vec<Joined>, in_flight_max: usize, wire: impl Fn(usize) -> Wire) -> Self {
        let sender = |(tag, joined)| Sender { wire: wire(tag + 1), in_flight_max, joined };
        Self(links.into_iter().enumerate().map(sender).collect())
    }

    /// Each sends when the one before it is answered.
    pub(crate) async fn round(&mut self, server: Server<'_>) -> Result<Round> {
        self.each(server, |_, sender, begun| tokio::spawn(sender.send_until(begun + ROUND))).await
    }

    /// All together send so many a second, each at times of its own that do not wait for answers.
    pub(crate) async fn paced(&mut self, server: Server<'_>, per_second: f64) -> Result<Round> {
        let between = Duration::from_secs_f64(1.0 / per_second);
        let every = between * u32::try_from(self.0.len())?;
        let pace = |at, sender: Sender, begun| tokio::spawn(sender.pace(begun + between * at, every, begun + ROUND));
        self.each(server, pace).await
    }

    async fn each(
        &mut self,
        server: Server<'_>,
        act: impl Fn(u32, Sender, Instant) -> JoinHandle<Result<(Sender, Vec<Duration>)>>,
    ) -> Result<Round> {
        let (cpu, begun) = (Cpu::of(server.pid())?, Instant::now());
        let sending: Vec<_> = (0..).zip(self.0.drain(..)).map(|(at, sender)| act(at, sender, begun)).collect();
        let mut all = Vec::new();
        for sender in sending {
            let (sender, took) = sender.await??;
            self.0.push(sender);
            all.extend(took);
        }
        Ok(Round { took: all, elapsed: begun.elapsed(), cpu: cpu.since(server.pid())? })
    }
}

impl Round {
    fn note(mut self, row: &mut Sends, side: impl Fn(&mut Pair) -> &mut Vec<f64>) {
        let [p50, p99] = percentiles_ms(&mut self.took);
        let count = self.took.len();
        side(&mut row.per_second).push(per(count, self.elapsed));
        side(&mut row.cpu_us).push(1e6 / per(count, self.cpu));
        side(&mut row.p50_ms).push(p50);
        side(&mut row.p99_ms).push(p99);
    }
}

/// So many in so long: how many a second.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2⁵³")]
pub(crate) fn per(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The longest of the shorter half, and of 99 of 100.
pub(crate) fn percentiles_ms(took: &mut [Duration]) -> [f64; 2] {
    took.sort_unstable();
    [50, 99].map(|percent| {
        let at = took.len().saturating_sub(1) * percent / 100;
        took.get(at).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    })
}
