//! Several nodes over one store in memory, under virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use suda_schema::ChannelId;
use suda_schema::channel::{NewMessage, Op, Send};
use suda_schema::control::Status;
use suda_schema::entry::Body;
use suda_schema::open::Activity;
use suda_schema::summary::ChannelKind;
use suda_schema::{ClientMsgId, DeviceId, Seq};

use super::directory::tests::address;
use super::*;
use crate::chat::append::Publish;
use crate::chat::channels::NewChannel;
use crate::chat::log::PageLimit;
use crate::chat::presence::LinkId;
use crate::chat::{Bell, ChatError, Tx, testing};
use crate::store::{Faults, keys};

/// What a node's listeners would be: the topics listened to, and what was rung.
#[derive(Default)]
struct Ears {
    topics: Mutex<BTreeSet<Topic>>,
    rung: Mutex<BTreeMap<Topic, u64>>,
    typed: Mutex<Vec<Typing>>,
}

impl Ears {
    fn rung(&self, topic: Topic) -> u64 {
        self.rung.lock().unwrap().get(&topic).copied().unwrap_or(0)
    }
}

impl Bell for Ears {
    fn ring(&self, topic: Topic) {
        *self.rung.lock().unwrap().entry(topic).or_default() += 1;
    }
}

impl Local for Ears {
    fn ring(&self, topic: Topic) {
        Bell::ring(self, topic);
    }

    fn listens(&self, topic: Topic) -> bool {
        self.topics.lock().unwrap().contains(&topic)
    }

    fn typing(&self, typing: Typing, _hidden_from: &[UserId]) {
        self.typed.lock().unwrap().push(typing);
    }

    fn links(&self) -> usize {
        0
    }

    fn certificate_hashes(&self) -> Vec<String> {
        vec!["ab".to_owned()]
    }
}

struct TestNode {
    cluster: Cluster,
    chat: Chat,
    ears: Arc<Ears>,
    tasks: JoinSet<()>,
}

impl TestNode {
    async fn join(store: &Store, seed: u64) -> Self {
        let clock = Clock::manual(testing::NOW_MS, seed);
        let config = ClusterConfig::default();
        let joined =
            Cluster::join(store.clone(), clock.clone(), config, address("a", 1, 100), ClusterMetrics::default());
        let cluster = joined.await.unwrap();
        let ears = Arc::new(Ears::default());
        let (peers, number) = (cluster.peers(), cluster.number());
        let chat = Chat::among(peers, store.clone(), clock, number, ears.clone(), testing::config()).unwrap();
        let mut tasks = JoinSet::new();
        cluster.run(&(ears.clone() as Arc<dyn Local>), &chat, &mut tasks);
        cluster.open();
        Self { cluster, chat, ears, tasks }
    }

    /// Listens as a session does, and waits until that is known.
    async fn listen(&self, topic: Topic) {
        self.ears.topics.lock().unwrap().insert(topic);
        self.chat.peers().listen(&[topic]).await.unwrap();
    }

    async fn send(&self, channel: ChannelId, user: UserId, id: u128) -> Result<Seq, ChatError> {
        let body = Body::Text(format!("{id}"));
        let op = Op::Message(NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() });
        let send = Send { client_msg_id: ClientMsgId(id.to_be_bytes()), op };
        let mut outcome = self.chat.append(channel, &[Publish { user, device: DeviceId(1), send }]).await?;
        Ok(outcome.results.remove(0).unwrap().seq)
    }

    fn names(&self) -> BTreeSet<u16> {
        self.cluster.recommend(None).iter().map(|node| node.node).collect()
    }

    /// As `kill -9` does.
    async fn kill(mut self) -> u16 {
        self.tasks.shutdown().await;
        self.cluster.number()
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(300), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Two users and a group of theirs, over a store that several nodes share.
async fn people(node: &TestNode) -> (UserId, UserId, ChannelId) {
    let one = testing::sign_up(&node.chat, "one").await.user;
    let two = testing::sign_up(&node.chat, "two").await.user;
    let new = NewChannel {
        kind: ChannelKind::Group,
        title: "room".to_owned(),
        picture: None,
        members: vec![two],
        request: None,
    };
    (one, two, node.chat.create_channel(one, &new).await.unwrap().channel)
}

#[tokio::test(start_paused = true)]
async fn what_one_node_commits_is_rung_on_those_that_listen() {
    let store = Store::memory();
    let (a, b, c) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await, TestNode::join(&store, 3).await);
    assert_eq!([&a, &b, &c].map(|node| node.cluster.number()), [1, 2, 3]);
    let (one, two, channel) = people(&a).await;
    let topic = Topic::Channel(channel);
    b.listen(Topic::User(two)).await;
    let before = b.ears.rung(topic);
    a.send(channel, one, 1).await.unwrap();
    until("b hears it", async || b.ears.rung(topic) > before).await;
    assert_eq!(c.ears.rung(topic), 0);
    // The inbox is empty again, and what nobody listens to is left.
    until("the inbox is cleared", async || marks(&store, b.cluster.number()).await == 0).await;
    b.ears.topics.lock().unwrap().clear();
    until("it is left", async || !b.cluster.inner.interest.has(Topic::User(two))).await;
    a.send(channel, one, 2).await.unwrap();
    assert_eq!(marks(&store, b.cluster.number()).await, 0);
}

/// Everybody whom something concerns is found where they are, and nobody else is told.
#[tokio::test(start_paused = true)]
async fn those_are_told_whom_it_concerns() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let (one, two, channel) = people(&a).await;
    let stranger = testing::sign_up(&a.chat, "stranger").await;
    b.listen(Topic::User(stranger.user)).await;
    let (group, presence) = (Topic::Channel(channel), Topic::Presence(one));
    let link = |number| LinkId { node: 1, number };
    let comes_and_goes = async |number| {
        let device = a.chat.login("one", testing::PASSWORD, &testing::phone()).await.unwrap().device;
        a.chat.presence_set(one, device, link(number), Some(Activity::Active)).await.unwrap();
        a.chat.presence_set(one, device, link(number), None).await.unwrap();
    };
    a.send(channel, one, 1).await.unwrap();
    comes_and_goes(1).await;
    assert_eq!(marks(&store, b.cluster.number()).await, 0);

    b.listen(Topic::User(two)).await;
    let before = b.ears.rung(group);
    a.send(channel, one, 2).await.unwrap();
    until("a member hears it", async || b.ears.rung(group) > before).await;
    // Who is put out is told so, and of the entry that says so; and of nothing after it.
    let before = b.ears.rung(group);
    a.chat.kick(one, channel, two).await.unwrap();
    until("they hear that they are out", async || b.ears.rung(group) > before).await;
    until("the inbox is cleared", async || marks(&store, b.cluster.number()).await == 0).await;
    a.send(channel, one, 3).await.unwrap();
    assert_eq!(marks(&store, b.cluster.number()).await, 0);

    comes_and_goes(2).await;
    assert_eq!(b.ears.rung(presence), 0);
    a.chat.request_friend(one, two).await.unwrap();
    a.chat.request_friend(two, one).await.unwrap();
    comes_and_goes(3).await;
    until("a friend sees them come and go", async || b.ears.rung(presence) > 0).await;
}

/// A member whose node registers while something is written to the channel.
#[tokio::test(start_paused = true)]
async fn a_member_who_comes_during_a_transaction_is_told_of_it() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let (_, two, channel) = people(&a).await;
    let topic = Topic::Channel(channel);
    let (attempts, b_listens) = (&AtomicU64::new(0), &b);
    let write = |tx: Tx| async move {
        tx.set(b"x", "1");
        tx.wake(topic);
        let concerned = inbox::concerned(&tx, &BTreeSet::from([topic])).await?;
        if attempts.fetch_add(1, Ordering::SeqCst) == 0 {
            assert_eq!(concerned, [(topic, BTreeSet::new())]);
            b_listens.listen(Topic::User(two)).await;
        }
        Ok(())
    };
    a.chat.run(write).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    until("b hears it", async || b.ears.rung(topic) > 0).await;
}

async fn marks(store: &Store, node: u16) -> usize {
    store.read(|txn| async move { txn.range(keys::inbox(node)).await.map(|page| page.rows.len()) }).await.unwrap()
}

/// A node that registers while a transaction is under way which has looked at who listens before.
#[tokio::test(start_paused = true)]
async fn who_registers_during_a_transaction_is_told_of_it() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let topic = Topic::Channel(ChannelId(7));
    let (attempts, b_listens) = (&AtomicU64::new(0), &b);
    let write = |tx: Tx| async move {
        tx.get(b"x").await?;
        if attempts.fetch_add(1, Ordering::SeqCst) == 0 {
            b_listens.listen(topic).await;
        }
        tx.set(b"x", "1");
        tx.wake(topic);
        Ok(())
    };
    a.chat.run(write).await.unwrap();
    assert_eq!(attempts.load(Ordering::SeqCst), 2);
    until("b hears it", async || b.ears.rung(topic) > 0).await;
}

#[tokio::test(start_paused = true)]
async fn typing_travels() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let channel = ChannelId(7);
    b.listen(Topic::Channel(channel)).await;
    let typing = Typing { channel, user: UserId(1), for_ms: 6_000 };
    for _ in 0..10 {
        a.chat.peers().typing(typing, &[]);
    }
    until("b hears it", async || !b.ears.typed.lock().unwrap().is_empty()).await;
    assert_eq!(*b.ears.typed.lock().unwrap(), [typing]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_node_is_noticed_swept_and_its_number_is_free_again() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let login = testing::sign_up(&a.chat, "two").await;
    let (two, device) = (login.user, login.device);
    until("both are known", async || a.names() == BTreeSet::from([1, 2])).await;
    b.listen(Topic::User(two)).await;
    b.chat.presence_set(two, device, LinkId { node: 2, number: 1 }, Some(Activity::Active)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let number = b.kill().await;
    until("it is doubted", async || a.names() == BTreeSet::from([1])).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let status = async || a.chat.presence_of(two, &[two]).await.unwrap()[0].status;
    assert_eq!(status().await, Status::Online);
    until("its user is offline", async || status().await == Status::Offline).await;
    let took = begun.elapsed();
    assert!(Duration::from_secs(28) < took && took < Duration::from_secs(36), "{took:?}");
    until("its rows are gone", async || rows_of(&store, number).await == 0).await;
    let again = TestNode::join(&store, 3).await;
    assert_eq!(again.cluster.number(), number);
}

/// Whoever is late with sweeping up after a node leaves those alone who have its number by then.
#[tokio::test(start_paused = true)]
async fn a_late_sweep_spares_the_next_node_with_the_number() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let number = b.kill().await;
    until("its rows are gone", async || rows_of(&store, number).await == 0).await;
    let next = TestNode::join(&store, 3).await;
    assert_eq!(next.cluster.number(), number);
    let (one, two, channel) = people(&a).await;
    let here = testing::sign_up(&a.chat, "three").await;
    let topic = Topic::Channel(channel);
    next.listen(Topic::User(two)).await;
    let link = LinkId { node: number, number: 1 };
    next.chat.presence_set(here.user, here.device, link, Some(Activity::Active)).await.unwrap();
    // As a node that has read before that it is gone.
    sweep::sweep(&a.cluster.inner, &a.chat, number, true).await.unwrap();
    let before = next.ears.rung(topic);
    a.send(channel, one, 1).await.unwrap();
    until("it hears it", async || next.ears.rung(topic) > before).await;
    assert_eq!(next.chat.presence_of(here.user, &[here.user]).await.unwrap()[0].status, Status::Online);
}

async fn rows_of(store: &Store, node: u16) -> usize {
    store
        .read(|txn| async move {
            let heard = txn.range(keys::all_heard(node)).await?.rows.len();
            let gone = txn.get(&keys::gone_node(node)).await?.is_some();
            let lease = txn.get(&keys::node(node)).await?.is_some();
            Ok::<_, StoreError>(heard + usize::from(gone) + usize::from(lease))
        })
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stood_still_knows_before_others_do_and_is_fenced_when_they_did() {
    let store = Store::memory();
    let a = TestNode::join(&store, 1).await;
    let (one, _, channel) = people(&a).await;
    // It stands still: nothing of it runs but what others ask it to do.
    let (cluster, chat) = (a.cluster.clone(), a.chat.clone());
    a.kill().await;
    // All that it has heard of its lease is from before.
    tokio::time::sleep(ClusterConfig::default().current_for()).await;
    assert!(!chat.peers().is_current());
    assert!(rows_lease(&store, 1).await.is_some(), "nobody else knows yet");
    let b = TestNode::join(&store, 2).await;
    until("it is taken for dead", async || rows_lease(&store, 1).await.is_none()).await;
    assert!(matches!(append(&chat, channel, one).await, Err(ChatError::Store(StoreError::Fenced { .. }))));
    tokio::time::timeout(Duration::from_secs(1), cluster.lost()).await.unwrap();
    assert_eq!(b.send(channel, one, 5).await.unwrap(), Seq(head(&b.chat, channel).await));
}

async fn rows_lease(store: &Store, node: u16) -> Option<bytes::Bytes> {
    store.read(|txn| async move { txn.get(&keys::node(node)).await }).await.unwrap()
}

async fn append(chat: &Chat, channel: ChannelId, user: UserId) -> Result<(), ChatError> {
    let body = Body::Text("late".to_owned());
    let op = Op::Message(NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() });
    let send = Send { client_msg_id: ClientMsgId([9; 16]), op };
    chat.append(channel, &[Publish { user, device: DeviceId(1), send }]).await.map(drop)
}

async fn head(chat: &Chat, channel: ChannelId) -> u64 {
    chat.pulse(channel).await.unwrap().unwrap().head.0
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_kills_nobody() {
    let away = Arc::new(AtomicBool::new(false));
    let store = Store::memory_that_goes_away(Faults::default(), away.clone());
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    until("both are known", async || a.names() == BTreeSet::from([1, 2])).await;
    away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!a.chat.peers().is_current() && !b.chat.peers().is_current());
    away.store(false, Ordering::SeqCst);
    until("they are current", async || a.chat.peers().is_current() && b.chat.peers().is_current()).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    until("both are known", async || a.names() == BTreeSet::from([1, 2]) && b.names() == BTreeSet::from([1, 2])).await;
    assert_eq!((a.cluster.number(), b.cluster.number()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn who_gives_no_sign_of_life_judges_nobody() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    b.kill().await;
    // It watches, and can't write: nobody can, for all it knows.
    let watcher = a.cluster.clone();
    a.kill().await;
    let watching = tokio::spawn(watch::run(watcher));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(rows_lease(&store, 1).await.is_some() && rows_lease(&store, 2).await.is_some());
    watching.abort();
}

/// What could not be left may have been left all the same: it must not be taken for registered.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_left_is_registered_anew() {
    let away = Arc::new(AtomicBool::new(false));
    let store = Store::memory_that_goes_away(Faults::default(), away.clone());
    let node = TestNode::join(&store, 1).await;
    let topic = Topic::Channel(ChannelId(7));
    node.chat.peers().listen(&[topic]).await.unwrap();
    away.store(true, Ordering::SeqCst);
    // Long enough to try to leave it.
    tokio::time::sleep(Duration::from_secs(100)).await;
    away.store(false, Ordering::SeqCst);
    assert!(!node.cluster.inner.interest.has(topic));
    // As if it had been left and the answer lost.
    let clear = |txn: crate::store::Txn| async move {
        txn.clear(keys::interest(topic.to_key(), 1));
        Ok::<_, StoreError>(())
    };
    store.run(clear).await.unwrap();
    node.listen(topic).await;
    let row = store.read(|txn| async move { txn.get(&keys::interest(topic.to_key(), 1)).await }).await.unwrap();
    assert!(row.is_some());
}

/// Users of a node that leaves in good order have the whole grace to come back elsewhere.
#[tokio::test(start_paused = true)]
async fn the_grace_begins_when_a_node_leaves() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    let login = testing::sign_up(&a.chat, "two").await;
    b.chat.presence_set(login.user, login.device, LinkId { node: 2, number: 1 }, Some(Activity::Active)).await.unwrap();
    let begun = tokio::time::Instant::now();
    b.cluster.leave().await.unwrap();
    b.kill().await;
    let status = async || a.chat.presence_of(login.user, &[login.user]).await.unwrap()[0].status;
    until("its user is offline", async || status().await == Status::Offline).await;
    assert!((30..34).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_drains_is_not_recommended_and_who_leaves_frees_its_number() {
    let store = Store::memory();
    let (a, b) = (TestNode::join(&store, 1).await, TestNode::join(&store, 2).await);
    until("both are known", async || a.names() == BTreeSet::from([1, 2])).await;
    b.cluster.drain().await;
    until("it is left out", async || a.names() == BTreeSet::from([1])).await;
    b.cluster.leave().await.unwrap();
    b.kill().await;
    until("its rows are gone", async || rows_of(&store, 2).await == 0).await;
}

/// A run of the whole: nodes come, die and stand still while they write and listen, and no listener misses anything.
/// `SUDA_CLUSTER_SEEDS` plays more seeds, from `SUDA_CLUSTER_FROM` on.
#[tokio::test(start_paused = true)]
async fn nothing_falls_between() {
    let number = |name: &str| std::env::var(name).ok().map(|number| number.parse::<u64>().expect("a number"));
    let first = number("SUDA_CLUSTER_FROM").unwrap_or(0);
    for seed in first..first + number("SUDA_CLUSTER_SEEDS").unwrap_or(8) {
        one_run(seed).await;
    }
}

/// Reads a channel's log whenever it is rung, as a hub does.
struct Reader {
    topic: Topic,
    channel: ChannelId,
    ears: Arc<Ears>,
    chat: Chat,
    seen: Mutex<u64>,
    stopped: AtomicBool,
}

impl Reader {
    async fn begin(node: &TestNode, user: UserId, channel: ChannelId, clock: &Clock) -> Arc<Self> {
        let topic = Topic::Channel(channel);
        node.ears.topics.lock().unwrap().insert(Topic::User(user));
        // A delay before, between and after, so that commits fall everywhere.
        tokio::time::sleep(Duration::from_millis(clock.below(20))).await;
        node.chat.peers().listen(&[Topic::User(user)]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(clock.below(20))).await;
        let (ears, chat) = (node.ears.clone(), node.chat.clone());
        let seen = Mutex::new(head(&chat, channel).await);
        let reader = Arc::new(Self { topic, channel, ears, chat, seen, stopped: AtomicBool::new(false) });
        tokio::spawn(Arc::clone(&reader).run());
        reader
    }

    async fn run(self: Arc<Self>) {
        let mut rung = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            let now = self.ears.rung(self.topic);
            if now == rung {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            rung = now;
            let seen = *self.seen.lock().unwrap();
            let limit = PageLimit { rows: 1_000, bytes: 1 << 20 };
            let page = self.chat.read_log(self.channel, Seq(seen), limit).await.unwrap();
            for entry in page.entries {
                let mut seen = self.seen.lock().unwrap();
                assert_eq!(entry.seq.0, *seen + 1, "a gap or a double");
                *seen = entry.seq.0;
            }
        }
    }
}

async fn one_run(seed: u64) {
    let clock = Clock::manual(0, 1_000 + seed);
    let store = Store::memory_with(Faults {
        seed,
        conflict_permille: 50,
        unknown_applied_permille: 20,
        unknown_dropped_permille: 20,
        delay_permille: 300,
        delay_ms_max: 150,
        ..Faults::default()
    });
    let mut nodes: Vec<Option<TestNode>> = Vec::new();
    for number in 0..4 {
        nodes.push(Some(TestNode::join(&store, seed * 100 + number).await));
    }
    let (one, two, channel) = people(nodes[0].as_ref().unwrap()).await;
    let mut readers: Vec<(usize, Arc<Reader>)> = Vec::new();
    let mut acked = BTreeSet::new();
    let mut id = 0u128;
    for step in 0..120u64 {
        let at = usize::try_from(clock.below(4)).unwrap();
        match clock.below(20) {
            0 => {
                if let Some(node) = nodes[at].take() {
                    readers.retain(|(of, reader)| {
                        reader.stopped.store(*of == at, Ordering::SeqCst);
                        *of != at
                    });
                    node.kill().await;
                }
            }
            1 | 2 if nodes[at].is_none() => {
                nodes[at] = Some(TestNode::join(&store, seed * 10_000 + step).await);
            }
            3 | 4 => {
                if let Some(node) = &nodes[at] {
                    // Somebody writes meanwhile, and nobody after it: what falls between is not made good by a later ring.
                    let other = nodes.iter().flatten().next().unwrap();
                    let sends = async {
                        let mut seqs = Vec::new();
                        for more in 0..4 {
                            tokio::time::sleep(Duration::from_millis(clock.below(15))).await;
                            seqs.push(other.send(channel, one, id + more).await.unwrap());
                        }
                        seqs
                    };
                    let (reader, seqs) =
                        futures_util::future::join(Reader::begin(node, two, channel, &clock), sends).await;
                    id += 4;
                    assert!(seqs.iter().all(|seq| acked.insert(*seq)), "seed {seed}: two entries with one seq");
                    let last = seqs.last().unwrap().0;
                    until(&format!("seed {seed}: a new reader has all"), async || *reader.seen.lock().unwrap() >= last)
                        .await;
                    readers.push((at, reader));
                }
            }
            5 => tokio::time::sleep(Duration::from_millis(clock.below(20_000))).await,
            _ => {
                let sends = nodes.iter().flatten().filter(|_| clock.below(2) == 0).map(|node| {
                    id += 1;
                    node.send(channel, one, id - 1)
                });
                for seq in futures_util::future::join_all(sends.collect::<Vec<_>>()).await {
                    assert!(acked.insert(seq.unwrap()), "seed {seed}: two entries with one seq");
                }
                tokio::time::sleep(Duration::from_millis(clock.below(10))).await;
            }
        }
    }
    if nodes.iter().all(Option::is_none) {
        nodes[0] = Some(TestNode::join(&store, seed + 999_999).await);
    }
    let head = head(&nodes.iter().flatten().next().unwrap().chat, channel).await;
    assert!(acked.last().is_none_or(|last| last.0 == head), "seed {seed}");
    for (of, reader) in &readers {
        until(&format!("seed {seed}: a reader on node {of} has all"), async || *reader.seen.lock().unwrap() == head)
            .await;
        reader.stopped.store(true, Ordering::SeqCst);
    }
}
