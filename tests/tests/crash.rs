//! `kill -9` of the node under load, again and again; whatever the devices were promised must hold.
//!
//! `SUDA_CRASH_ROUNDS=20` is the long form.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use suda_schema::channel::ChannelDown;
use suda_schema::open::Start;
use suda_schema::{ChannelId, ClientMsgId, Seq};
use suda_tests::checker::{Seen, Witness, check};
use suda_tests::client::{Kind, WAIT};
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, Person, View, message, new_id};
use tokio::sync::{RwLock, watch};

const SENDERS: usize = 50;
/// Sends of one device that wait for their ack.
const IN_FLIGHT: usize = 4;
/// How many acks there are before the next kill.
const ACKS_PER_ROUND: u64 = 400;
/// A device that hears nothing for so long takes the link for dead, as a client would.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// What all senders look at.
struct World {
    node: RwLock<NodeProcess>,
    /// Grows with each life of the node; the links of the one before are dead.
    life: watch::Sender<u64>,
    acks: AtomicU64,
    /// No more is begun; what waits for its ack is seen through.
    finish: watch::Sender<bool>,
    settled: AtomicUsize,
}

/// A device that sends, and what it knows.
struct Sender {
    world: Arc<World>,
    person: Person,
    kind: Kind,
    channel: ChannelId,
    witness: Witness,
    waiting: VecDeque<(ClientMsgId, String)>,
    cursor: Seq,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_broken_by_kill_9() {
    let rounds: u64 = std::env::var("SUDA_CRASH_ROUNDS").map_or(3, |rounds| rounds.parse().expect("a number"));
    let node = NodeProcess::start().await;
    let people = node.sign_up_all("sender", SENDERS).await;
    let channel = node.group(&people[0], "crash", &people[1..].iter().collect::<Vec<_>>()).await;
    let world = Arc::new(World {
        node: RwLock::new(node),
        life: watch::channel(0).0,
        acks: AtomicU64::new(0),
        finish: watch::channel(false).0,
        settled: AtomicUsize::new(0),
    });
    let senders: Vec<_> = people
        .iter()
        .zip(Kind::ALL.into_iter().cycle())
        .map(|(person, kind)| {
            let witness = Witness { user: person.user, ..Witness::default() };
            let (world, person) = (Arc::clone(&world), person.clone());
            let waiting = VecDeque::new();
            tokio::spawn(Sender { world, person, kind, channel, witness, waiting, cursor: Seq::ZERO }.run())
        })
        .collect();

    for round in 1..=rounds {
        let goal = world.acks.load(Ordering::Relaxed) + ACKS_PER_ROUND;
        until(|| world.acks.load(Ordering::Relaxed) >= goal).await;
        let mut node = world.node.write().await;
        node.kill();
        node.restart().await;
        world.life.send_replace(round);
    }
    let goal = world.acks.load(Ordering::Relaxed) + ACKS_PER_ROUND;
    until(|| world.acks.load(Ordering::Relaxed) >= goal).await;
    world.finish.send_replace(true);
    until(|| world.settled.load(Ordering::Relaxed) == SENDERS).await;

    // The whole log, as somebody sees it who was not there.
    let node = world.node.read().await;
    let reader = Device::connect(&node, Kind::Quic, &people[0]).await;
    let mut view = reader.attach(channel, Start::After(Seq::ZERO)).await;
    let head = view.attached.channel.head;
    view.until(head).await.unwrap();
    let log: Vec<Seen> = view.entries.iter().map(Seen::from).collect();
    drop(node);
    // Everybody sees all of it in the end.
    let goals = senders.into_iter().map(|sender| async move { sender.await.expect("a sender").catch_up(head).await });
    let witnesses: Vec<Witness> = try_join_all(goals).await.unwrap();
    for witness in &witnesses {
        assert_eq!(witness.view.last().map(|seen| seen.seq), Some(head));
        assert_eq!(witness.view.first().map(|seen| seen.seq), Some(Seq(1)));
    }
    let acks: usize = witnesses.iter().map(|witness| witness.acks.len()).sum();
    check(&log, &witnesses).unwrap_or_else(|fault| panic!("after {rounds} kills: {fault}"));
    println!("{rounds} kills, {} entries, {acks} acks, {SENDERS} views", log.len());
}

impl Sender {
    /// Sends until it is told to finish and everything is acknowledged.
    async fn run(mut self) -> Self {
        let mut number = 0;
        loop {
            let life = *self.world.life.borrow();
            if let Ok(true) = self.one_link(life, &mut number).await {
                self.world.settled.fetch_add(1, Ordering::Relaxed);
                return self;
            }
            // The link broke. A client would wait a little; here the next life of the node is what is waited for,
            // unless this one only was too slow.
            let mut lives = self.world.life.subscribe();
            let _ = tokio::time::timeout(DEAD_AFTER, lives.wait_for(|now| *now != life)).await;
        }
    }

    /// Sends over one link. True when all is done.
    async fn one_link(&mut self, life: u64, number: &mut u64) -> anyhow::Result<bool> {
        let device = {
            let node = self.world.node.read().await;
            Device::try_connect(&node, self.kind, &self.person, suda_tests::people::Hi::default()).await?
        };
        let mut view = device.try_attach(self.channel, Start::After(self.cursor)).await?;
        // What was not answered is sent again, under the same ids and in the same order.
        for (id, text) in &self.waiting {
            view.stream.send(&message(*id, text)).await?;
        }
        let mut lives = self.world.life.subscribe();
        let mut finish = self.world.finish.subscribe();
        let result = tokio::select! {
            result = self.talk(&mut view, number, &mut finish) => result,
            // It was killed: nobody will say anything on this link any more.
            _ = lives.wait_for(|now| *now != life) => Err(anyhow::anyhow!("killed")),
        };
        self.keep(&view);
        result
    }

    async fn talk(
        &mut self,
        view: &mut View,
        number: &mut u64,
        finish: &mut watch::Receiver<bool>,
    ) -> anyhow::Result<bool> {
        loop {
            let finishing = *finish.borrow_and_update();
            while self.waiting.len() < IN_FLIGHT && !finishing {
                let (id, text) = (new_id(), format!("{} {number}", self.person.handle));
                *number += 1;
                self.witness.sent.push((id, text.clone()));
                self.waiting.push_back((id, text.clone()));
                view.stream.send(&message(id, &text)).await?;
            }
            if finishing && self.waiting.is_empty() {
                return Ok(true);
            }
            match view.next_within(WAIT).await? {
                Some(ChannelDown::Ack(ack)) => {
                    self.witness.acks.push((ack.client_msg_id, ack.seq));
                    self.waiting.retain(|(id, _)| *id != ack.client_msg_id);
                    self.world.acks.fetch_add(1, Ordering::Relaxed);
                }
                Some(ChannelDown::Refused(refused)) => anyhow::bail!("refused: {}", refused.error),
                Some(ChannelDown::Closed(closing)) => anyhow::bail!("closed: {closing:?}"),
                Some(_) => {}
                None => anyhow::bail!("nothing came"),
            }
        }
    }

    /// Keeps what this view has brought.
    fn keep(&mut self, view: &View) {
        self.cursor = view.cursor;
        self.witness.view.extend(view.entries.iter().map(Seen::from));
    }

    /// Reads up to the end.
    async fn catch_up(mut self, head: Seq) -> anyhow::Result<Witness> {
        let world = Arc::clone(&self.world);
        let node = world.node.read().await;
        let device = Device::connect(&node, self.kind, &self.person).await;
        let mut view = device.try_attach(self.channel, Start::After(self.cursor)).await?;
        view.until(head).await?;
        self.keep(&view);
        Ok(self.witness)
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + 6 * WAIT;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "nothing goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
