//! Whatever happens, in whatever order, at whatever speed: every attachment sees exactly the contiguous sequence.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::chat::testing::cases;

#[derive(Debug, Clone)]
enum Step {
    /// So many sends at once, through the hub.
    Say { by: usize, count: u8, long: bool },
    /// The same, by another node: the hub only hears the bell.
    SayElsewhere { by: usize, count: u8 },
    /// A change of an older message, through the hub.
    Change { by: usize, kind: u8, target: usize },
    /// A change that is made elsewhere.
    ChangeElsewhere { by: usize, kind: u8, target: usize },
    /// An entry of the channel's own.
    Title,
    /// A reader comes, at this cursor (in permille of the head; none: from now on), that pauses this often.
    Attach { user: usize, from: Option<u16>, pause: u8 },
    /// A reader goes.
    Detach { which: usize },
    /// Wait until everything is quiet.
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize, 1..20u8, any::<bool>()).prop_map(|(by, count, long)| Step::Say { by, count, long }),
        2 => (0..3usize, 1..10u8).prop_map(|(by, count)| Step::SayElsewhere { by, count }),
        3 => (0..3usize, 0..3u8, any::<usize>()).prop_map(|(by, kind, target)| Step::Change { by, kind, target }),
        2 => (0..3usize, 0..3u8, any::<usize>())
            .prop_map(|(by, kind, target)| Step::ChangeElsewhere { by, kind, target }),
        1 => Just(Step::Title),
        3 => (0..3usize, prop::option::of(0..1_001u16), 0..8u8)
            .prop_map(|(user, from, pause)| Step::Attach { user, from, pause }),
        1 => any::<usize>().prop_map(|which| Step::Detach { which }),
        1 => Just(Step::Rest),
    ]
}

fn faults() -> impl Strategy<Value = Faults> {
    let trouble = (any::<u64>(), 0..100u64, 0..50u64, 0..50u64, 0..20u64, 0..300u64);
    trouble.prop_map(|(seed, conflict, applied, dropped, failure, delay)| Faults {
        seed,
        conflict_permille: conflict,
        unknown_applied_permille: applied,
        unknown_dropped_permille: dropped,
        failure_permille: failure,
        delay_permille: delay,
        delay_ms_max: 3,
    })
}

/// A reader and what it has seen.
struct Reader {
    after: Seq,
    seen: Arc<Mutex<Vec<Entry>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Reader {
    async fn new(world: &World, user: usize, from: Option<u16>, pause: u8) -> Self {
        let head = world.head().await;
        let after = from.map(|permille| Seq(head.0 * u64::from(permille) / 1_000));
        let mut attachment = world.attach(user, after).await;
        let after = attachment.cursor();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                if let Out::Frame(bytes) = attachment.next().await {
                    for frame in frames(&bytes) {
                        let ChannelDown::Entries(more) = frame else { panic!("{frame:?}") };
                        sees.lock().unwrap().extend(more.entries);
                    }
                }
                for _ in 0..pause {
                    tokio::time::sleep(Duration::from_micros(300)).await;
                }
            }
        });
        Self { after, seen, task }
    }

    fn check(&self) {
        let seen = self.seen.lock().unwrap();
        let expected: Vec<u64> = (self.after.0 + 1..).take(seen.len()).collect();
        assert_eq!(seqs(&seen), expected, "what was seen after {}", self.after);
    }

    fn cursor(&self) -> Seq {
        self.seen.lock().unwrap().last().map_or(self.after, |entry| entry.seq)
    }
}

async fn run(steps: Vec<Step>, faults: Faults, tail_entries_max: usize) {
    let config = HubConfig { tail_entries_max, tail_bytes_max: 4_000, batch_sends_max: 7, ..HubConfig::default() };
    let world = Arc::new(World::faulty(faults, config).await);
    let mut readers: Vec<Reader> = Vec::new();
    let mut working = Vec::new();
    for step in steps {
        match step {
            Step::Say { by, count, long } => {
                let text = if long { "x".repeat(900) } else { "hello".to_owned() };
                for _ in 0..count {
                    let (world, text) = (Arc::clone(&world), text.clone());
                    working.push(tokio::spawn(async move { drop(world.send(by, message(&text)).await) }));
                }
            }
            Step::SayElsewhere { by, count } => {
                let sends = (0..count).map(|_| world.publish(by, message("from elsewhere"))).collect();
                working.push(tokio::spawn(elsewhere(Arc::clone(&world), sends)));
            }
            Step::Change { by, kind, target } => {
                let op = change(&world, kind, target).await;
                let world = Arc::clone(&world);
                working.push(tokio::spawn(async move { drop(world.send(by, op).await) }));
            }
            Step::ChangeElsewhere { by, kind, target } => {
                let sends = vec![world.publish(by, change(&world, kind, target).await)];
                working.push(tokio::spawn(elsewhere(Arc::clone(&world), sends)));
            }
            Step::Title => drop(world.chat.set_title(world.users[0], world.channel, "another").await),
            Step::Attach { user, from, pause } => readers.push(Reader::new(&world, user, from, pause).await),
            Step::Detach { which } if !readers.is_empty() => {
                let reader = readers.swap_remove(which % readers.len());
                reader.task.abort();
                reader.check();
            }
            Step::Detach { .. } => {}
            Step::Rest => rest(&world, &mut working).await,
        }
    }
    rest(&world, &mut working).await;
    let head = world.head().await;
    until("every reader is at the head", || readers.iter().all(|reader| reader.cursor() >= head)).await;
    readers.iter().for_each(Reader::check);
    readers.iter().for_each(|reader| reader.task.abort());
    check_log(&world, head).await;
}

/// What another node does.
async fn elsewhere(world: Arc<World>, sends: Vec<Publish>) {
    soon("an append of another node", async {
        while world.chat.append(world.channel, &sends).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn change(world: &World, kind: u8, target: usize) -> Op {
    let head = world.head().await.0.max(1);
    let target = Seq(1 + target as u64 % head);
    match kind {
        0 => edit(target, "edited"),
        1 => react(target, "👍", true),
        _ => delete(target),
    }
}

async fn rest(world: &World, working: &mut Vec<tokio::task::JoinHandle<()>>) {
    for work in working.drain(..) {
        soon("a send", work).await.unwrap();
    }
    assert!(world.hubs.at_rest(SOON).await);
}

/// The log has no gap, and no id in it twice; and what the tail gives out is what the log says.
async fn check_log(world: &World, head: Seq) {
    let mut from_hub = world.attach(0, Some(Seq::ZERO)).await;
    let (entries, _) = read(&mut from_hub, usize::try_from(head.0).unwrap()).await;
    assert_eq!(seqs(&entries), (1..=head.0).collect::<Vec<_>>());
    let mut ids: HashMap<ClientMsgId, Seq> = HashMap::new();
    for entry in &entries {
        if let Some(id) = entry.client_msg_id {
            assert_eq!(ids.insert(id, entry.seq), None, "{id} is there twice");
        }
    }
    let stored = loop {
        let limit = crate::chat::log::PageLimit { rows: 10_000, bytes: 1 << 20 };
        if let Ok(page) = world.chat.read_log(world.channel, Seq::ZERO, limit).await {
            break page.entries;
        }
    };
    for (entry, stored) in entries.iter().zip(stored) {
        let stored = stored.decode().unwrap();
        if text(entry).is_some() && text(entry) != text(&stored) {
            // The tail may hold an older text, whose edit follows; never one that is gone.
            assert!(text(&stored).is_some(), "a deleted text is in the tail: {entry:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..cases(25) })]

    #[test]
    fn every_attachment_sees_exactly_the_contiguous_sequence(
        steps in prop::collection::vec(step(), 1..40),
        faults in faults(),
        tail_entries_max in prop_oneof![Just(1usize), Just(5), Just(40), Just(1_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
        runtime.block_on(run(steps, faults, tail_entries_max));
    }
}
