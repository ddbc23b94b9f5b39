//! Several nodes that write to one channel: one of them appends for all.

use std::collections::BTreeMap;

use futures_util::future::{BoxFuture, join_all};
use std::collections::BTreeSet;
use suda_schema::ErrorCode;
use suda_schema::control::Typing;
use tokio::time::Instant;

use super::*;
use crate::chat::hot::{Beside, Lead};
use crate::chat::log::PageLimit;
use crate::chat::{Alone, Peers, Tx};
use crate::store::keys;

/// Within this time a node has begun to lead, or has noticed that it leads for nobody, which it looks for every 5 s.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

/// A number among others; who is told of what is left to [`AllHubs`].
struct Numbered(u16);

impl Peers for Numbered {
    fn number(&self) -> Option<u16> {
        Some(self.0)
    }

    fn fence<'a>(&'a self, tx: &'a Tx) -> BoxFuture<'a, Result<(), ChatError>> {
        Alone.fence(tx)
    }

    fn tell<'a>(&'a self, _tx: &'a Tx, _topics: &'a BTreeSet<Topic>) -> BoxFuture<'a, Result<(), ChatError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn listen<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Result<(), ChatError>> {
        Alone.listen(topics)
    }

    fn typing(&self, _typing: Typing, _hidden_from: &[UserId]) {}

    fn is_current(&self) -> bool {
        true
    }

    fn current(&self) -> BoxFuture<'_, ()> {
        Alone.current()
    }
}

/// Rings the hubs of all nodes.
#[derive(Default)]
struct AllHubs(Mutex<Vec<Hubs>>);

impl Bell for AllHubs {
    fn ring(&self, topic: Topic) {
        if let Topic::Channel(channel) = topic {
            self.0.lock().unwrap().iter().for_each(|hubs| hubs.ring(channel));
        }
    }
}

struct Nodes {
    store: Store,
    bell: Arc<AllHubs>,
    hubs: Vec<Hubs>,
    chat: Chat,
    users: Vec<UserId>,
    channel: ChannelId,
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.bell.0.lock().unwrap().clear();
    }
}

impl Nodes {
    async fn new(count: u16, faults: Faults) -> Self {
        let (store, bell) = (Store::memory_with(faults), Arc::new(AllHubs::default()));
        let chats: Vec<Chat> = (1..=count).map(|number| node(&store, &bell, number)).collect();
        let hubs: Vec<Hubs> =
            chats.iter().map(|chat| Hubs::new(chat.clone(), HubConfig::default(), HubMetrics::default())).collect();
        bell.0.lock().unwrap().extend(hubs.iter().cloned());
        let chat = chats.into_iter().next().unwrap();
        let mut users = Vec::new();
        for number in 0..count {
            let sign_up = async |tried| chat.sign_up(&wish(&format!("user_{number}_{tried}"))).await;
            users.push(insist(sign_up).await.user);
        }
        let (title, members) = ("room".to_owned(), users[1..].to_vec());
        let new = NewChannel { kind: ChannelKind::Group, title, picture: None, members, request: None };
        let channel = insist(async |_| chat.create_channel(users[0], &new).await).await.channel;
        Self { store, bell, hubs, chat, users, channel }
    }

    /// Sends until it is known what became of it. Ids of a node's sends grow.
    async fn send(&self, at: usize, id: u128) -> Result<Ack, WireError> {
        let send = Send { client_msg_id: ClientMsgId(id.to_be_bytes()), op: message(&format!("{id}")) };
        let publish = Publish { user: self.users[at], device: DeviceId(1), send };
        until_known(&self.hubs[at], self.channel, publish).await
    }

    /// Some senders on each of these nodes, each with one send after the other: what was acknowledged.
    async fn write(
        &self,
        at: impl Iterator<Item = usize>,
        senders: u128,
        sends: u128,
        round: u128,
    ) -> BTreeMap<Seq, u128> {
        let sending = at.flat_map(|at| (0..senders).map(move |sender| (at, sender))).map(|(at, sender)| async move {
            let mut acked = Vec::new();
            for number in 0..sends {
                let id = ((round * 100 + at as u128) * 1_000 + sender) * 1_000_000 + number;
                acked.push((self.send(at, id).await.unwrap().seq, id));
            }
            assert!(acked.is_sorted(), "a sender's sends are in order");
            acked
        });
        let acked: Vec<_> = join_all(sending).await.into_iter().flatten().collect();
        let count = acked.len();
        let acked: BTreeMap<_, _> = acked.into_iter().collect();
        assert_eq!(acked.len(), count, "two sends with one seq");
        acked
    }

    /// The log has what was acknowledged, where it was, and nothing twice.
    async fn check(&self, acked: &BTreeMap<Seq, u128>) {
        let limit = PageLimit { rows: 100_000, bytes: 64 << 20 };
        let page = insist(async |_| self.chat.read_log(self.channel, Seq::ZERO, limit).await).await;
        let mut ids = BTreeSet::new();
        for (entry, seq) in page.entries.iter().zip(1..) {
            assert_eq!(entry.seq, Seq(seq));
            let entry = entry.decode().unwrap();
            let id = entry.client_msg_id.map(|id| u128::from_be_bytes(id.0));
            assert_eq!(acked.get(&Seq(seq)).copied(), id, "what was acknowledged at {seq}");
            assert!(id.is_none_or(|id| ids.insert(id)), "twice");
        }
        assert_eq!(page.entries.last().unwrap().seq, page.head);
        assert_eq!(ids.len(), acked.len());
    }

    async fn lead(&self) -> Option<Lead> {
        let read = || async { self.chat.read(|tx| async move { tx.row(&keys::lead(self.channel)).await }).await };
        insist(async |_| read().await).await
    }

    fn count(&self, of: impl Fn(&HubMetrics) -> u64) -> u64 {
        self.hubs.iter().map(|hubs| of(hubs.metrics())).sum()
    }
}

fn node(store: &Store, bell: &Arc<AllHubs>, number: u16) -> Chat {
    let clock = Clock::manual(NOW_MS, number.into());
    Chat::among(Arc::new(Numbered(number)), store.clone(), clock, number, bell.clone(), config()).unwrap()
}

/// A store that takes its time, so that transactions of several nodes overlap.
fn slow(seed: u64) -> Faults {
    Faults { seed, delay_permille: 500, delay_ms_max: 3, ..Faults::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_appends_for_all() {
    let nodes = Nodes::new(4, slow(1)).await;
    let mut reader = {
        let mut attachment = nodes.hubs[3].attach(nodes.channel, nodes.users[3], Codec::Binary).unwrap();
        let head = nodes.chat.channel(nodes.users[3], nodes.channel).await.unwrap().head;
        attachment.begin(head, Seq::ZERO, &[]);
        attachment
    };
    let acked = nodes.write(0..4, 8, 80, 1).await;
    nodes.check(&acked).await;
    let (led, handed) = (nodes.count(|metrics| metrics.leads.get()), nodes.count(|metrics| metrics.handed.get()));
    assert!(led >= 1 && handed > 4 * 8 * 80 / 3, "{led} {handed}");
    let (entries, _) = read(&mut reader, acked.len()).await;
    assert_eq!(seqs(&entries), (1..=entries.len() as u64).collect::<Vec<_>>());

    // One that leads for itself only is of no use.
    assert!(nodes.lead().await.is_some());
    let (mut round, since) = (2, Instant::now());
    while nodes.lead().await.is_some() {
        assert!(since.elapsed() < DECIDED_WITHIN, "it leads for nobody, and does not stop");
        nodes.write(0..1, 1, 20, round).await;
        round += 1;
    }
    // The others find out, and go on by themselves.
    nodes.write(1..3, 1, 5, round).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_leads_no_longer() {
    let nodes = Nodes::new(2, slow(2)).await;
    // A node that is gone, and has led.
    let gone = node(&nodes.store, &nodes.bell, 9);
    let lead = gone.lead(nodes.channel, None).await.unwrap();
    let acked = nodes.write(0..2, 4, 150, 1).await;
    nodes.check(&acked).await;
    assert!(nodes.count(|metrics| metrics.handed_late.get()) >= 1);
    assert!(nodes.count(|metrics| metrics.handed.get()) > 0);
    assert_ne!(nodes.lead().await, Some(lead));
    // What it finds of a lead that is over is nothing.
    let late = gone.append_beside(nodes.channel, &[], Beside::Lead(lead)).await.unwrap();
    assert!(late.handed_by.is_empty() && late.entries.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_gives_the_lead_up_so_that_nobody_waits() {
    let nodes = Nodes::new(2, slow(4)).await;
    let mut acked = BTreeMap::new();
    let (mut round, since) = (1, Instant::now());
    while nodes.lead().await.is_none() {
        assert!(since.elapsed() < DECIDED_WITHIN, "nobody begins to lead");
        acked.extend(nodes.write(0..2, 4, 20, round).await);
        round += 1;
    }
    let lead = nodes.lead().await.unwrap();
    let (stops, stays) = if lead.node == 1 { (0, 1) } else { (1, 0) };
    let handed = |nodes: &Nodes| nodes.hubs[stays].metrics().handed.get();
    let before = handed(&nodes);
    let stop = async {
        until("something is handed over", || handed(&nodes) != before).await;
        nodes.hubs[stops].step_down().await;
    };
    let (more, ()) = futures_util::future::join(nodes.write(stays..=stays, 4, 100, round), stop).await;
    acked.extend(more);
    nodes.check(&acked).await;
    assert_eq!(nodes.count(|metrics| metrics.handed_late.get()), 0);
    assert_eq!(nodes.lead().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_handed_over_is_refused_as_ever() {
    let nodes = Nodes::new(3, slow(3)).await;
    let writing = nodes.write(0..2, 8, 60, 1);
    let kicked = async {
        let mut acked = BTreeMap::new();
        for id in 0.. {
            if id == 20 {
                nodes.chat.kick(nodes.users[0], nodes.channel, nodes.users[2]).await.unwrap();
            }
            match nodes.send(2, id).await {
                Ok(ack) => drop(acked.insert(ack.seq, id)),
                Err(error) => {
                    assert_eq!((error.code, id), (ErrorCode::NOT_FOUND, 20));
                    return acked;
                }
            }
        }
        unreachable!()
    };
    let (mut acked, others) = futures_util::future::join(writing, kicked).await;
    acked.extend(others);
    nodes.check(&acked).await;
}

/// Whatever goes wrong, and whoever believes to lead. `SUDA_HOT_SEEDS` plays more seeds, from `SUDA_HOT_FROM` on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_whoever_leads() {
    let number = |name: &str| std::env::var(name).ok().map(|number| number.parse::<u64>().expect("a number"));
    let first = number("SUDA_HOT_FROM").unwrap_or(0);
    for seed in first..first + number("SUDA_HOT_SEEDS").unwrap_or(2) {
        let trouble = Faults {
            conflict_permille: 200,
            unknown_applied_permille: 50,
            unknown_dropped_permille: 50,
            failure_permille: 20,
            ..slow(seed)
        };
        let nodes = Nodes::new(3, trouble).await;
        let others = async {
            // Somebody else takes the lead and gives it up, again and again.
            let (intruder, clock) = (node(&nodes.store, &nodes.bell, 9), Clock::manual(0, seed));
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(clock.below(600))).await;
                let Ok(lead) = intruder.lead(nodes.channel, nodes.lead().await).await else { continue };
                if clock.below(2) == 0 {
                    drop(intruder.append_beside(nodes.channel, &[], Beside::Lead(lead)).await);
                }
                if clock.below(2) == 0 {
                    drop(intruder.stop_leading(nodes.channel, lead).await);
                }
            }
        };
        let (acked, ()) = futures_util::future::join(nodes.write(0..3, 6, 40, 1), others).await;
        println!(
            "seed {seed}: {} sends, {} handed over, {} times too late, {} began to lead",
            acked.len(),
            nodes.count(|metrics| metrics.handed.get()),
            nodes.count(|metrics| metrics.handed_late.get()),
            nodes.count(|metrics| metrics.leads.get()),
        );
        nodes.check(&acked).await;
    }
}
