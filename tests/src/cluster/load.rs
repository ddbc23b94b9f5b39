//! Devices that send and listen without end. One whose node is gone, stands still or asks it to move goes on at another one
//! from its cursor, and sends again what was not answered. In the end all of it is judged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use suda_schema::channel::ChannelDown;
use suda_schema::control::ControlDown;
use suda_schema::open::Start;
use suda_schema::{ChannelId, ClientMsgId, Seq};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Cluster, Dice, Gate};
use crate::checker::{Seen, Witness, check};
use crate::client::Kind;
use crate::people::{Device, Person, View, message, new_id};

/// A device that hears nothing for so long, while it waits for an answer, takes the link for dead, as a client would.
const DEAD_AFTER: Duration = Duration::from_secs(4);
/// How long a device waits at most before it tries again.
const AGAIN_MS: u64 = 300;

/// How a load is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Devices in each channel.
    pub devices: usize,
    /// Sends of one device that wait for their answer. One, where sends may be refused in between: then their order is kept.
    pub in_flight: usize,
    /// How long a device rests after each answer.
    pub rest: Duration,
}

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    rooms: Vec<Room>,
}

#[derive(Debug)]
struct Room {
    channel: ChannelId,
    reader: Person,
    senders: Vec<JoinHandle<Sender>>,
}

#[derive(Debug)]
struct Shared {
    gates: Vec<Gate>,
    acks: AtomicU64,
    broken: AtomicU64,
    refused: AtomicU64,
    moved: AtomicU64,
    settled: AtomicUsize,
    finish: watch::Sender<bool>,
}

#[derive(Debug)]
struct Sender {
    shared: Arc<Shared>,
    person: Person,
    kind: Kind,
    pace: Pace,
    channel: ChannelId,
    dice: Dice,
    at: usize,
    witness: Witness,
    waiting: VecDeque<(ClientMsgId, String)>,
    number: u64,
    cursor: Seq,
}

/// Why a device is no longer on a link.
enum End {
    Done,
    Moved,
}

impl Load {
    /// Begins, in so many channels, with devices on all nodes and transports.
    pub async fn begin(cluster: &Cluster, name: &str, channels: usize, pace: Pace, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let shared = Arc::new(Shared {
            gates: cluster.gates(),
            acks: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            settled: AtomicUsize::new(0),
            finish: watch::channel(false).0,
        });
        let mut rooms = Vec::new();
        for room in 0..channels {
            let node = &cluster.nodes[room % cluster.nodes.len()];
            let people = node.sign_up_all(&format!("{name}{room}_"), pace.devices).await;
            let others: Vec<&Person> = people.iter().skip(1).collect();
            let channel = node.group(&people[0], name, &others).await;
            let reader = people[0].clone();
            let start = |(number, person): (usize, Person)| {
                let kind = Kind::ALL[number % Kind::ALL.len()];
                let witness = Witness { user: person.user, ..Witness::default() };
                let sender = Sender {
                    shared: Arc::clone(&shared),
                    person,
                    kind,
                    pace,
                    channel,
                    dice: Dice::new(dice.below(u64::MAX)),
                    at: number % cluster.nodes.len(),
                    witness,
                    waiting: VecDeque::new(),
                    number: 0,
                    cursor: Seq::ZERO,
                };
                tokio::spawn(sender.run())
            };
            let senders = people.into_iter().enumerate().map(start).collect();
            rooms.push(Room { channel, reader, senders });
        }
        Self { shared, rooms }
    }

    /// How many sends were acknowledged.
    #[must_use]
    pub fn acks(&self) -> u64 {
        self.shared.acks.load(Ordering::Relaxed)
    }

    /// How many links broke, and how many were left because the node had asked for it.
    #[must_use]
    pub fn broken_and_moved(&self) -> (u64, u64) {
        (self.shared.broken.load(Ordering::Relaxed), self.shared.moved.load(Ordering::Relaxed))
    }

    /// Waits until so many more sends are acknowledged. How long that took.
    pub async fn more(&self, more: u64) -> Duration {
        let goal = self.acks() + more;
        Cluster::until("sends are acknowledged", || self.acks() >= goal).await
    }

    /// Ends, when everything is acknowledged, and judges it. What there was to see, in a line.
    pub async fn judge(self, cluster: &Cluster) -> String {
        let all: usize = self.rooms.iter().map(|room| room.senders.len()).sum();
        self.shared.finish.send_replace(true);
        Cluster::until("everything is acknowledged", || self.shared.settled.load(Ordering::Relaxed) == all).await;
        let (mut entries, mut acks) = (0, 0);
        for room in self.rooms {
            // The whole log, as somebody sees it who was not there.
            let mut logs = Vec::new();
            for node in &cluster.nodes {
                let reader = Device::connect(node, Kind::Quic, &room.reader).await;
                let mut view = reader.attach(room.channel, Start::After(Seq::ZERO)).await;
                view.until(view.attached.channel.head).await.expect("the whole log");
                logs.push(view.entries.iter().map(Seen::from).collect::<Vec<Seen>>());
            }
            let log = logs.swap_remove(0);
            assert!(logs.iter().all(|other| *other == log), "nodes show different logs");
            let head = log.last().expect("a log with entries").seq;
            let ends =
                room.senders.into_iter().map(async |sender| sender.await.expect("a sender").catch_up(head).await);
            let witnesses: Vec<Witness> = try_join_all(ends).await.expect("devices that catch up");
            for witness in &witnesses {
                assert_eq!(witness.view.last().map(|seen| seen.seq), Some(head));
                assert_eq!(witness.view.first().map(|seen| seen.seq), Some(Seq(1)));
            }
            check(&log, &witnesses).unwrap_or_else(|fault| panic!("{fault}"));
            entries += log.len();
            acks += witnesses.iter().map(|witness| witness.acks.len()).sum::<usize>();
        }
        let Shared { broken, refused, moved, .. } = &*self.shared;
        format!("{entries} entries, {acks} acks, {broken:?} links broken, {moved:?} moved, {refused:?} sends refused")
    }
}

impl Sender {
    /// Sends until it is told to finish and everything is acknowledged.
    async fn run(mut self) -> Self {
        loop {
            match self.one_link().await {
                Ok(End::Done) => {
                    self.shared.settled.fetch_add(1, Ordering::Relaxed);
                    return self;
                }
                Ok(End::Moved) => drop(self.shared.moved.fetch_add(1, Ordering::Relaxed)),
                Err(_) => {
                    self.shared.broken.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(self.dice.below(AGAIN_MS))).await;
                }
            }
            // Any other one.
            let nodes = self.shared.gates.len();
            self.at = (self.at + 1 + self.dice.one_of(nodes - 1)) % nodes;
        }
    }

    async fn one_link(&mut self) -> anyhow::Result<End> {
        let shared = Arc::clone(&self.shared);
        let gate = shared.gates.get(self.at).context("a node")?;
        let opening = async {
            let device = gate.device(self.kind, &self.person).await?;
            let view = device.try_attach(self.channel, Start::After(self.cursor)).await?;
            anyhow::Ok((device, view))
        };
        let (mut device, mut view) = tokio::time::timeout(DEAD_AFTER, opening).await??;
        let end = self.talk(&mut device, &mut view).await;
        // What this view has brought.
        self.cursor = view.cursor;
        self.witness.view.extend(view.entries.iter().map(Seen::from));
        end
    }

    async fn talk(&mut self, device: &mut Device, view: &mut View) -> anyhow::Result<End> {
        // What was not answered is sent again, under the same ids and in the same order.
        for (id, text) in &self.waiting {
            view.stream.send(&message(*id, text)).await?;
        }
        let mut finish = self.shared.finish.subscribe();
        let mut leave_at: Option<Instant> = None;
        let mut rest_until = Instant::now();
        let mut heard = Instant::now();
        loop {
            let finishing = *finish.borrow_and_update();
            if finishing && self.waiting.is_empty() {
                return Ok(End::Done);
            }
            let may_send = !finishing && self.waiting.len() < self.pace.in_flight;
            if may_send && Instant::now() >= rest_until {
                let (id, text) = (new_id(), format!("{} {}", self.person.handle, self.number));
                self.number += 1;
                self.witness.sent.push((id, text.clone()));
                self.waiting.push_back((id, text.clone()));
                if self.waiting.len() == 1 {
                    heard = Instant::now();
                }
                view.stream.send(&message(id, &text)).await?;
                continue;
            }
            tokio::select! {
                frame = view.next() => match frame? {
                    ChannelDown::Ack(ack) => {
                        heard = Instant::now();
                        rest_until = heard + self.pace.rest;
                        self.witness.acks.push((ack.client_msg_id, ack.seq));
                        self.waiting.retain(|(id, _)| *id != ack.client_msg_id);
                        self.shared.acks.fetch_add(1, Ordering::Relaxed);
                    }
                    ChannelDown::Refused(refused) => {
                        self.shared.refused.fetch_add(1, Ordering::Relaxed);
                        bail!("refused: {}", refused.error);
                    }
                    ChannelDown::Closed(closing) => bail!("closed: {closing:?}"),
                    _ => {}
                },
                frame = device.control.recv::<ControlDown>() => match frame {
                    Ok(ControlDown::GoAway(away)) => {
                        leave_at = Some(Instant::now() + Duration::from_millis(away.delay_ms.into()));
                    }
                    Ok(ControlDown::Closing(closing)) => bail!("closing: {closing:?}"),
                    Ok(_) => {}
                    Err(error) if error.downcast_ref() == Some(&crate::client::Ended::TimedOut) => {}
                    Err(error) => return Err(error),
                },
                () = sleep_until(leave_at) => return Ok(End::Moved),
                () = tokio::time::sleep_until(rest_until), if may_send => {}
                () = tokio::time::sleep_until(heard + DEAD_AFTER), if !self.waiting.is_empty() => bail!("silence"),
                _ = finish.changed() => {}
            }
        }
    }

    /// Reads up to the end.
    async fn catch_up(mut self, head: Seq) -> anyhow::Result<Witness> {
        let gate = self.shared.gates.get(self.at).context("a node")?;
        let device = gate.device(self.kind, &self.person).await?;
        let mut view = device.try_attach(self.channel, Start::After(self.cursor)).await?;
        view.until(head).await?;
        self.witness.view.extend(view.entries.iter().map(Seen::from));
        Ok(self.witness)
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
