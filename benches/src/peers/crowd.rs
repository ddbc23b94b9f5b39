//! People who hear and speak: each on a connection of its own, in a task of its own, and what comes is judged.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use suda_benches::figures::Rounds;
use suda_benches::usage::Cpu;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::conn::{Conn, Heard};
use crate::layout::{Layout, Seat};
use crate::message::{Stamp, now_ns};
use crate::stage::Peer;

/// How many connections are made side by side.
const AT_ONCE: usize = 32;
/// Messages of a round, at most.
const MESSAGES_MAX: usize = 1 << 20;
/// What somebody is to say and has not said yet.
const WAITING_MAX: usize = 1_024;
/// How long it may take until all have what was sent.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// So many a second, who do not wait for anybody.
    Paced(u32),
    /// So many on their way that not all have.
    Capacity(usize),
}

/// Connections that are let in.
pub(crate) async fn connect(peer: &dyn Peer, seats: &[Seat]) -> Result<Vec<(Seat, Conn)>> {
    let one = |seat: &Seat| {
        let seat = *seat;
        async move { anyhow::Ok((seat, peer.connect(seat).await?)) }
    };
    stream::iter(seats).map(one).buffered(AT_ONCE).try_collect().await
}

/// All people of a layout.
pub(crate) struct Crowd {
    layout: Layout,
    /// By channel, those who speak in it, and how much they have said.
    speakers: Vec<Vec<Speaker>>,
    tally: Arc<Tally>,
    /// Stopped with it.
    _tasks: JoinSet<()>,
}

struct Speaker {
    says: mpsc::Sender<String>,
    said: u64,
}

struct Tally {
    delivered: AtomicUsize,
    doubled: AtomicU64,
    /// How many are yet to hear each message of the round.
    left: Vec<AtomicU32>,
    in_flight: Semaphore,
    progress: Notify,
    /// In microseconds, by seat.
    took: Vec<Mutex<Vec<u32>>>,
}

impl Crowd {
    pub(crate) fn new(layout: Layout, conns: Vec<(Seat, Conn)>) -> Self {
        let tally = Arc::new(Tally {
            delivered: AtomicUsize::new(0),
            doubled: AtomicU64::new(0),
            left: (0..MESSAGES_MAX).map(|_| AtomicU32::new(0)).collect(),
            in_flight: Semaphore::new(0),
            progress: Notify::new(),
            took: (0..conns.len()).map(|_| Mutex::default()).collect(),
        });
        let mut speakers: Vec<Vec<Speaker>> = layout.channels().iter().map(|_| Vec::new()).collect();
        let mut tasks = JoinSet::new();
        for (number, (seat, conn)) in conns.into_iter().enumerate() {
            let (says, said) = mpsc::channel(WAITING_MAX);
            if let Some(speakers) = speakers.get_mut(seat.channel).filter(|some| some.len() < layout.senders()) {
                speakers.push(Speaker { says, said: 0 });
            }
            let judge =
                Judge { heard: vec![0; layout.senders()], number, counts: seat.listens, tally: Arc::clone(&tally) };
            tasks.spawn(async move {
                if let Err(error) = sit(conn, said, judge).await {
                    eprintln!("  somebody's connection: {error:#}");
                }
            });
        }
        Self { layout, speakers, tally, _tasks: tasks }
    }

    /// Sends for so long, waits until all is there, and notes what it was.
    pub(crate) async fn round(&mut self, pid: u32, load: Load, time: Duration, rounds: &mut Rounds) -> Result<()> {
        self.tally.clear(load);
        let (cpu, begun) = (Cpu::of(pid)?, Instant::now());
        let mut sent = 0;
        while begun.elapsed() < time && sent < MESSAGES_MAX {
            match load {
                Load::Paced(per_second) => {
                    let due = begun + Duration::from_secs(1) * u32::try_from(sent)? / per_second;
                    tokio::time::sleep_until(due.into()).await;
                }
                Load::Capacity(_) => {
                    let Ok(permit) = tokio::time::timeout(DRAINED_WITHIN, self.tally.in_flight.acquire()).await else {
                        break;
                    };
                    permit?.forget();
                }
            }
            self.say(sent).await?;
            sent += 1;
        }
        let wanted = sent * self.layout.hearers();
        let complete = self.tally.complete(wanted);
        // What has not come by then is lost.
        let in_time = tokio::time::timeout(DRAINED_WITHIN, complete).await.is_ok();
        let (elapsed, cpu) = (begun.elapsed(), cpu.since(pid)?);
        let (delivered, mut took) = self.tally.take();
        rounds.note(delivered, elapsed, cpu, &mut took);
        rounds.lost += u64::try_from(wanted.saturating_sub(delivered))?;
        rounds.doubled += self.tally.doubled.swap(0, Ordering::Relaxed);
        ensure!(in_time, "{} of {wanted} deliveries did not come", wanted.saturating_sub(delivered));
        Ok(())
    }

    /// The round's next message: channels take turns, and in each those who speak.
    async fn say(&mut self, slot: usize) -> Result<()> {
        let channels = self.speakers.len();
        let speakers = self.speakers.get_mut(slot % channels).context("no channels")?;
        let sender = slot / channels % speakers.len().max(1);
        let speaker = speakers.get_mut(sender).context("nobody to speak")?;
        let hearers = u32::try_from(self.layout.hearers())?;
        self.tally.left.get(slot).context("too many messages")?.store(hearers, Ordering::Relaxed);
        let stamp = Stamp { sender, number: speaker.said, slot, sent_ns: now_ns() };
        speaker.said += 1;
        speaker.says.send(stamp.text()).await.context("a speaker is gone")
    }
}

/// One connection: hears what comes, and says what it is told to say.
async fn sit(mut conn: Conn, mut said: mpsc::Receiver<String>, mut judge: Judge) -> Result<()> {
    let (mut some, mut expects_more) = (Vec::new(), true);
    loop {
        tokio::select! {
            filled = conn.fill() => {
                filled?;
                conn.take(&mut |heard| if let Heard::Text(text) = heard { judge.note(text) })?;
            }
            count = said.recv_many(&mut some, WAITING_MAX), if expects_more => {
                expects_more = count > 0;
                some.drain(..).for_each(|text| conn.publish(&text));
            }
        }
        conn.flush().await?;
    }
}

/// Judges what comes to one connection: of each sender, every message once and in order.
struct Judge {
    /// How many of each sender's.
    heard: Vec<u64>,
    number: usize,
    counts: bool,
    tally: Arc<Tally>,
}

impl Judge {
    fn note(&mut self, text: &[u8]) {
        let Some(stamp) = Stamp::read(text).filter(|_| self.counts) else { return };
        let Some(next) = self.heard.get_mut(stamp.sender) else { return };
        let tally = &self.tally;
        if stamp.number < *next {
            tally.doubled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        *next = stamp.number + 1;
        let took = u32::try_from(now_ns().saturating_sub(stamp.sent_ns) / 1_000).unwrap_or(u32::MAX);
        if let Some(all) = tally.took.get(self.number) {
            all.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        }
        tally.delivered.fetch_add(1, Ordering::AcqRel);
        if tally.left.get(stamp.slot).is_some_and(|left| left.fetch_sub(1, Ordering::AcqRel) == 1) {
            tally.in_flight.add_permits(1);
            tally.progress.notify_one();
        }
    }
}

impl Tally {
    async fn complete(&self, wanted: usize) {
        while self.delivered.load(Ordering::Acquire) < wanted {
            self.progress.notified().await;
        }
    }

    fn clear(&self, load: Load) {
        self.take();
        self.in_flight.forget_permits(usize::MAX >> 4);
        self.in_flight.add_permits(if let Load::Capacity(count) = load { count } else { 0 });
    }

    fn take(&self) -> (usize, Vec<u32>) {
        let took = |seat: &Mutex<Vec<_>>| std::mem::take(&mut *seat.lock().unwrap_or_else(PoisonError::into_inner));
        (self.delivered.swap(0, Ordering::AcqRel), self.took.iter().flat_map(took).collect())
    }
}
