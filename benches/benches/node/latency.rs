//! How long one message takes: to its sender's acknowledgement, and to somebody else on another link. Alone, and at a tenth
//! of what goes through; beside the disk's own syncs in the same run.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use suda_benches::figures::{Latency, Pair};
use suda_schema::channel::ChannelDown;
use suda_tests::client::{Kind, WAIT};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::bare::{Bare, Mode};
use crate::frames;
use crate::sends::{Crowd, Round, Wire, per, percentiles_ms};
use crate::world::{Joined, Server, World, attach_all, next, within};

const KINDS: [(Kind, &str); 3] =
    [(Kind::Quic, "raw QUIC"), (Kind::WebTransport, "WebTransport"), (Kind::WebSocket, "WebSocket, TLS")];
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(600);
const SENDERS: usize = 64;
/// What of the capacity is sent.
const PART: f64 = 0.1;
/// A reader who hears nothing for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(120);

pub(crate) async fn measure(world: &World) -> Result<Vec<Latency>> {
    let mut rows = Vec::new();
    for (kind, transport) in KINDS {
        for (load, row) in [("alone", alone(world, kind).await?), ("10 % of capacity", at_tenth(world, kind).await?)] {
            let row = Latency { transport: transport.to_owned(), load: load.to_owned(), ..row };
            eprintln!("{row:?}");
            rows.push(row);
        }
    }
    Ok(rows)
}

/// One sends, the other reads, and the next is sent when both have it.
async fn alone(world: &World, kind: Kind) -> Result<Latency> {
    let people = world.people.get(..2).context("too few people")?;
    let channel = world.channel("group", people).await?;
    let mut suda = world.connect(kind, people).await?;
    attach_all(&mut suda, |_| channel).await?;
    let server = Bare::start(Mode::Broadcast)?;
    let mut bare = server.join(kind, 2).await?;
    let mut row = Latency::default();
    for _ in 0..ROUNDS {
        fsync(&mut row).await?;
        let [mut acked, mut delivered] = back_and_forth(&mut suda, Wire::Suda).await?;
        row.per_second.push(per(acked.len(), ROUND));
        note(&mut acked, &mut delivered, &mut row, |pair| &mut pair.suda);
        let [mut acked, mut delivered] = back_and_forth(&mut bare, Wire::Broadcast { tag: 1 }).await?;
        note(&mut acked, &mut delivered, &mut row, |pair| &mut pair.bare);
    }
    Ok(row)
}

async fn back_and_forth(pair: &mut [Joined], wire: Wire) -> Result<[Vec<Duration>; 2]> {
    let [sender, reader] = pair else { anyhow::bail!("not two") };
    let sender = sender.streams.last_mut().context("no stream")?;
    let reader = reader.streams.last_mut().context("no stream")?;
    let (mut acked, mut delivered) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < ROUND {
        let sent = Instant::now();
        wire.send(sender).await?;
        let answer = async {
            while wire.answers(&next(sender).await?)? == 0 {}
            anyhow::Ok(sent.elapsed())
        };
        let entry = async {
            while texts(&next(reader).await?).is_empty() {}
            anyhow::Ok(sent.elapsed())
        };
        let (answer, entry) = tokio::try_join!(answer, entry)?;
        acked.push(answer);
        delivered.push(entry);
    }
    Ok([acked, delivered])
}

/// How long each text in a frame was on its way.
fn texts(frame: &ChannelDown) -> Vec<Duration> {
    match frame {
        ChannelDown::Entries(entries) => {
            entries.entries.iter().filter_map(frames::read).map(|(_, took)| took).collect()
        }
        _ => Vec::new(),
    }
}

/// Many pairs, each in a channel of its own.
async fn at_tenth(world: &World, kind: Kind) -> Result<Latency> {
    let people = world.people.get(..2 * SENDERS).context("too few people")?;
    let mut channels = Vec::new();
    for pair in people.chunks(2) {
        channels.push(world.channel("group", pair).await?);
    }
    let mut joined = world.connect(kind, people).await?;
    attach_all(&mut joined, |at| channels[at / 2]).await?;
    let (mut senders, mut readers) = (Vec::new(), Vec::new());
    for (at, link) in joined.into_iter().enumerate() {
        if at % 2 == 0 { senders.push(link) } else { readers.push(link) }
    }
    let mut readers = Readers::new(readers);
    let mut suda = Crowd::new(senders, 1, |_| Wire::Suda);
    let server = Bare::start(Mode::Echo)?;
    let mut bare = Crowd::new(server.join(kind, SENDERS).await?, 1, |_| Wire::Echo);
    let Round { took, elapsed, .. } = suda.round(Server::Suda(world)).await?;
    readers.take(took.len()).await?;
    let rate = PART * per(took.len(), elapsed);
    let mut row = Latency::default();
    for _ in 0..ROUNDS {
        fsync(&mut row).await?;
        let mut round = suda.paced(Server::Suda(world), rate).await?;
        let mut delivered = readers.take(round.took.len()).await?;
        row.per_second.push(per(round.took.len(), round.elapsed));
        note(&mut round.took, &mut delivered, &mut row, |pair| &mut pair.suda);
        let mut round = bare.paced(Server::Bare(&server), rate).await?;
        note(&mut round.took, &mut [], &mut row, |pair| &mut pair.bare);
    }
    Ok(row)
}

fn note(
    acked: &mut [Duration],
    delivered: &mut [Duration],
    row: &mut Latency,
    side: impl Fn(&mut Pair) -> &mut Vec<f64>,
) {
    let [p50, p99] = percentiles_ms(acked);
    side(&mut row.ack_p50_ms).push(p50);
    side(&mut row.ack_p99_ms).push(p99);
    if !delivered.is_empty() {
        let [p50, p99] = percentiles_ms(delivered);
        side(&mut row.delivered_p50_ms).push(p50);
        side(&mut row.delivered_p99_ms).push(p99);
    }
}

/// Those who only listen, and how long what they heard was on its way.
struct Readers {
    heard: Arc<Heard>,
    /// Stopped with it.
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Heard {
    took: Mutex<Vec<Duration>>,
    more: Notify,
}

impl Readers {
    fn new(links: Vec<Joined>) -> Self {
        let heard = Arc::new(Heard::default());
        let mut tasks = JoinSet::new();
        for link in links {
            let heard = Arc::clone(&heard);
            tasks.spawn(async move {
                if let Err(error) = listen(link, &heard).await {
                    eprintln!("a reader: {error:#}");
                }
            });
        }
        Self { heard, _tasks: tasks }
    }

    /// What they have heard, once it is so much.
    async fn take(&mut self, count: usize) -> Result<Vec<Duration>> {
        let all = async {
            while self.heard.took().len() < count {
                self.heard.more.notified().await;
            }
        };
        tokio::time::timeout(WAIT, all).await.context("not everything was delivered")?;
        let took = std::mem::take(&mut *self.heard.took());
        ensure!(took.len() == count, "{} deliveries of {count} messages", took.len());
        Ok(took)
    }
}

impl Heard {
    fn took(&self) -> std::sync::MutexGuard<'_, Vec<Duration>> {
        self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(mut link: Joined, heard: &Heard) -> Result<()> {
    let stream = link.streams.last_mut().context("no stream")?;
    loop {
        let frame = within(stream, SILENCE_MAX).await?.context("nothing came")?;
        heard.took().extend(texts(&frame));
        heard.more.notify_one();
    }
}

/// The disk by itself, where the node's data is: append, sync, and again.
async fn fsync(row: &mut Latency) -> Result<()> {
    let mut took = tokio::task::spawn_blocking(|| {
        let mut file: File = tempfile::tempfile()?;
        let (begun, mut took) = (Instant::now(), Vec::new());
        while begun.elapsed() < ROUND {
            let at = Instant::now();
            file.write_all(&[0x55; frames::TEXT_BYTES])?;
            file.sync_data()?;
            took.push(at.elapsed());
        }
        anyhow::Ok(took)
    })
    .await??;
    let [p50, p99] = percentiles_ms(&mut took);
    row.fsync_p50_ms.push(p50);
    row.fsync_p99_ms.push(p99);
    Ok(())
}
