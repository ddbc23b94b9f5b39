//! What it takes to get in, and to be told who is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use suda_benches::figures::{Connect, Pair, Presence};
use suda_benches::usage::Cpu;
use suda_schema::UserId;
use suda_schema::channel::ChannelDown;
use suda_schema::control::{ControlDown, ControlUp, SetActivity, Status};
use suda_schema::open::Activity;
use suda_tests::client::{Kind, WAIT};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::bare::{Bare, Mode};
use crate::frames;
use crate::sends::{per, percentiles_ms};
use crate::world::{Joined, World, within};

const KINDS: [(Kind, &str); 3] =
    [(Kind::Quic, "raw QUIC"), (Kind::WebTransport, "WebTransport"), (Kind::WebSocket, "WebSocket, TLS")];
const ROUNDS: usize = 3;
/// Connections of a round, one after the other.
const CONNECTIONS: usize = 40;
const WATCHERS: usize = 100;
/// Changes of a round.
const CHANGES: usize = 40;
/// What watchers hear, as numbers.
const IDLE: usize = 1;
const ONLINE: usize = 2;
/// Who hears nothing for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(120);

pub(crate) async fn measure(world: &World) -> Result<Vec<Connect>> {
    let mut rows = Vec::new();
    for (kind, transport) in KINDS {
        let server = Bare::start(Mode::Echo)?;
        let mut row = Connect { transport: transport.to_owned(), ..Connect::default() };
        for _ in 0..ROUNDS {
            let (cpu, mut took) = (Cpu::of(world.node.pid())?, Vec::new());
            for person in world.people.iter().take(CONNECTIONS) {
                let begun = Instant::now();
                world.connect_one(kind, person).await?;
                took.push(begun.elapsed());
            }
            note(&mut took, cpu.since(world.node.pid())?, 1, row.sides(), |pair| &mut pair.suda);
            let (cpu, mut took) = (Cpu::of(server.pid())?, Vec::new());
            for _ in 0..CONNECTIONS {
                let begun = Instant::now();
                server.join(kind, 1).await?;
                took.push(begun.elapsed());
            }
            note(&mut took, cpu.since(server.pid())?, 1, row.sides(), |pair| &mut pair.bare);
        }
        eprintln!("{row:?}");
        rows.push(row);
    }
    Ok(rows)
}

/// Of a row, what is noted of a round.
trait Sides {
    fn sides(&mut self) -> [&mut Pair; 3];
}

impl Sides for Connect {
    fn sides(&mut self) -> [&mut Pair; 3] {
        [&mut self.p50_ms, &mut self.p99_ms, &mut self.cpu_us]
    }
}

impl Sides for Presence {
    fn sides(&mut self) -> [&mut Pair; 3] {
        [&mut self.p50_ms, &mut self.p99_ms, &mut self.cpu_us]
    }
}

/// Notes how long each took, and the processor time for each of so many parts of them.
fn note(
    took: &mut [Duration],
    cpu: Duration,
    parts: usize,
    [p50_ms, p99_ms, cpu_us]: [&mut Pair; 3],
    side: impl Fn(&mut Pair) -> &mut Vec<f64>,
) {
    let [p50, p99] = percentiles_ms(took);
    side(p50_ms).push(p50);
    side(p99_ms).push(p99);
    side(cpu_us).push(1e6 / per(took.len() * parts, cpu));
}

/// Somebody comes and goes, before a hundred who have a direct channel with them.
pub(crate) async fn presence(world: &World) -> Result<Vec<Presence>> {
    let (watched, watchers) = world.people.split_first().context("nobody")?;
    let watchers = watchers.get(..WATCHERS).context("too few people")?;
    for watcher in watchers {
        world.node.direct(watched, watcher).await;
    }
    let mut rows = Vec::new();
    for (kind, transport) in KINDS {
        let mut row = Presence { transport: transport.to_owned(), ..Presence::default() };
        let mut own = world.connect_one(kind, watched).await?;
        let control = own.control.as_mut().context("no control stream")?;
        let told = Told::new();
        let mut tasks = JoinSet::new();
        for (at, link) in world.connect(kind, watchers).await?.into_iter().enumerate() {
            tasks.spawn(watch(link, watched.user, at, Arc::clone(&told)));
        }
        let server = Bare::start(Mode::Broadcast)?;
        let mut links = server.join(kind, WATCHERS + 1).await?;
        let mut sender = links.pop().context("nobody")?;
        let bare_told = Told::new();
        for (at, link) in links.into_iter().enumerate() {
            tasks.spawn(listen(link, at, Arc::clone(&bare_told)));
        }
        for _ in 0..ROUNDS {
            let (cpu, mut took) = (Cpu::of(world.node.pid())?, Vec::new());
            for change in 0..CHANGES {
                let activity = if change % 2 == 0 { Activity::Idle } else { Activity::Active };
                let begun = told.expect(if change % 2 == 0 { IDLE } else { ONLINE });
                control.send(&ControlUp::Activity(SetActivity { activity })).await?;
                told.all().await?;
                took.push(begun.elapsed());
            }
            note(&mut took, cpu.since(world.node.pid())?, WATCHERS, row.sides(), |pair| &mut pair.suda);
            let (cpu, mut took) = (Cpu::of(server.pid())?, Vec::new());
            for change in 0..CHANGES {
                let begun = bare_told.expect(1 + change % 2);
                let stream = sender.streams.last_mut().context("no stream")?;
                stream.send_raw(frames::entries(&frames::text(1 + change % 2))).await?;
                bare_told.all().await?;
                took.push(begun.elapsed());
            }
            note(&mut took, cpu.since(server.pid())?, WATCHERS, row.sides(), |pair| &mut pair.bare);
        }
        eprintln!("{row:?}");
        rows.push(row);
    }
    Ok(rows)
}

/// A watcher of somebody's.
async fn watch(mut link: Joined, user: UserId, at: usize, told: Arc<Told>) {
    let Some(control) = link.control.as_mut() else { return };
    while let Ok(Some(frame)) = control.recv_within::<ControlDown>(SILENCE_MAX).await {
        let ControlDown::Presence(list) = frame else { continue };
        for about in list.users.iter().filter(|about| about.user == user) {
            match about.status {
                Status::Idle => told.hears(at, IDLE),
                Status::Online => told.hears(at, ONLINE),
                Status::Offline => {}
            }
        }
    }
}

/// A reader of the bare server's.
async fn listen(mut link: Joined, at: usize, told: Arc<Told>) {
    let Some(stream) = link.streams.last_mut() else { return };
    while let Ok(Some(frame)) = within(stream, SILENCE_MAX).await {
        let ChannelDown::Entries(entries) = frame else { continue };
        entries.entries.iter().filter_map(frames::read).for_each(|(tag, _)| told.hears(at, tag));
    }
}

/// What everybody has heard last, and what they are to hear.
struct Told {
    last: Vec<AtomicUsize>,
    wanted: AtomicUsize,
    progress: Notify,
}

impl Told {
    fn new() -> Arc<Self> {
        let last = (0..WATCHERS).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { last, wanted: AtomicUsize::new(0), progress: Notify::new() })
    }

    fn expect(&self, what: usize) -> Instant {
        self.wanted.store(what, Ordering::Release);
        Instant::now()
    }

    fn hears(&self, at: usize, what: usize) {
        if let Some(last) = self.last.get(at) {
            last.store(what, Ordering::Release);
        }
        if self.wanted.load(Ordering::Acquire) == what {
            self.progress.notify_one();
        }
    }

    async fn all(&self) -> Result<()> {
        let wanted = self.wanted.load(Ordering::Acquire);
        let all = async {
            while self.last.iter().any(|last| last.load(Ordering::Acquire) != wanted) {
                self.progress.notified().await;
            }
        };
        tokio::time::timeout(WAIT, all).await.context("not all were told")
    }
}
