//! Random programs of several users against a store that conflicts, fails and does not always say what it did. Whatever
//! happened, the log must explain everything else: acks, older rows, threads, reactions, unread counts, erasures.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};
use proptest::prelude::*;
use suda_schema::channel::{HistoryAt, HistoryQuery};
use suda_schema::entry::{MemberChange, Role};
use suda_schema::error::Retry;

use super::*;
use crate::chat::append::AppendOutcome;
use crate::chat::testing::cases;
use crate::store::Faults;

const USERS: usize = 4;
const EMOJI: [&str; 2] = ["👍", "🎉"];

#[derive(Debug, Clone, Copy)]
enum Step {
    Say,
    Reply,
    Edit,
    Delete,
    React { emoji: usize, on: bool },
    Read,
    Kick,
    Add,
}

/// A step, who takes it, and which message it is about, counted back from the newest that fits.
#[derive(Debug, Clone, Copy)]
struct Turn {
    step: Step,
    user: usize,
    back: u64,
}

fn turn() -> impl Strategy<Value = Turn> {
    let step = prop_oneof![
        4 => Just(Step::Say),
        2 => Just(Step::Reply),
        3 => Just(Step::Edit),
        2 => Just(Step::Delete),
        6 => (prop_oneof![5 => Just(0), 1 => Just(1)], any::<bool>()).prop_map(|(emoji, on)| Step::React { emoji, on }),
        2 => Just(Step::Read),
        1 => Just(Step::Kick),
        3 => Just(Step::Add),
    ];
    (step, 0..USERS, prop_oneof![4 => 0..3u64, 1 => 3..12u64]).prop_map(|(step, user, back)| Turn { step, user, back })
}

fn faults() -> impl Strategy<Value = Faults> {
    any::<u64>().prop_map(|seed| Faults {
        seed,
        conflict_permille: 100,
        unknown_applied_permille: 100,
        unknown_dropped_permille: 100,
        failure_permille: 4,
        // Enough for transactions to get in between each other.
        delay_permille: 60,
        delay_ms_max: 1,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, ..cases(50) })]

    #[test]
    fn the_log_explains_everything(rounds in prop::collection::vec(prop::collection::vec(turn(), 1..12), 1..12), faults in faults()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut program = Program::new(faults).await;
            for round in &rounds {
                program.round(round).await;
                program.check().await;
            }
        });
    }
}

struct Program {
    world: World,
    channel: ChannelId,
    sends: u64,
    acks: BTreeMap<(UserId, ClientMsgId), Ack>,
    /// What was said at a seq: of which message, in which words.
    said: BTreeMap<Seq, (Seq, String)>,
    reads: BTreeMap<UserId, Seq>,
}

/// What a turn is about: mostly a message that it can be about, of the newest; else any place near the head.
fn target(log: &[Entry], turn: &Turn, user: UserId) -> Seq {
    let own = matches!(turn.step, Step::Edit | Step::Delete);
    let fits = log.iter().rev().filter(|entry| match &entry.what {
        What::Message(message) => !matches!(message.body, Body::Erased(_)) && (!own || entry.by == user),
        _ => false,
    });
    let nth = fits.take(3).nth(usize::try_from(turn.back).unwrap());
    nth.map_or(Seq((log.len() as u64 + 4).saturating_sub(turn.back)), |entry| entry.seq)
}

/// Tries until it is known what became of it.
async fn insist<T>(op: impl AsyncFn() -> Result<T, ChatError>) -> Result<T, ChatError> {
    // About a third of all tries fails on purpose.
    for _ in 0..1_000 {
        match op().await {
            Err(error) if error.to_wire().code.retry() == Retry::Later => {}
            known => return known,
        }
    }
    panic!("it failed 1,000 times");
}

impl Program {
    async fn new(faults: Faults) -> Self {
        let (chat, rung) = testing::faulty_chat(faults);
        let mut world = World { chat, rung, users: Vec::new() };
        while world.users.len() < USERS {
            let user = UserId(world.users.len() as u64 + 1);
            insist(|| world.try_join_in(user)).await.unwrap();
            world.users.push(user);
        }
        let new = NewChannel {
            kind: ChannelKind::Group,
            title: "room".to_owned(),
            picture: None,
            members: world.users[1..].to_vec(),
            request: Some(ClientMsgId([9; 16])),
        };
        let channel = insist(|| world.chat.create_channel(world.user(0), &new)).await.unwrap().channel;
        let mut reads = BTreeMap::new();
        for &user in &world.users {
            reads.insert(user, insist(|| world.chat.channel(user, channel)).await.unwrap().read);
        }
        Self { world, channel, sends: 0, acks: BTreeMap::new(), said: BTreeMap::new(), reads }
    }

    /// Takes some turns at once: the sends in two batches, beside them what is not sent.
    async fn round(&mut self, turns: &[Turn]) {
        let log = self.log().await;
        let (mut batches, mut others) = ([Vec::new(), Vec::new()], Vec::new());
        for turn in turns {
            let user = self.world.user(turn.user);
            let target = target(&log, turn, user);
            self.sends += 1;
            let words = format!("word{}.", self.sends);
            let op = match turn.step {
                Step::Say => message(&words).into_op(),
                Step::Reply => reply(target, &words).into_op(),
                Step::Edit => edit(target, &words).into_op(),
                Step::Delete => delete(target).into_op(),
                Step::React { emoji, on } => react(target, EMOJI[emoji], on).into_op(),
                Step::Read | Step::Kick | Step::Add => {
                    others.push((turn.step, user, target));
                    continue;
                }
            };
            batches[turn.user % 2].push(publish(user, self.sends.into(), op));
        }
        let this = &*self;
        let appends = join_all(batches.iter().map(|batch| this.append(batch)));
        let (acks, reads) = join(appends, this.others(&others)).await;
        self.reads = reads;
        for (publish, ack) in acks.into_iter().flatten() {
            let said = match publish.send.op {
                Op::Message(new) => Some((ack.seq, new.body)),
                Op::Edit(edit) => Some((edit.target, edit.body)),
                _ => None,
            };
            if let Some((message, Body::Text(words))) = said {
                self.said.insert(ack.seq, (message, words));
            }
            self.acks.insert((publish.user, publish.send.client_msg_id), ack);
        }
    }

    /// Sends a batch until every send is known to be in the log or refused; then once more, which must change nothing.
    async fn append(&self, batch: &[Publish]) -> Vec<(Publish, Ack)> {
        let is_known = |result: &Result<Ack, WireError>| {
            result.as_ref().err().is_none_or(|error| error.code.retry() != Retry::Later)
        };
        let send = || self.world.chat.append(self.channel, batch);
        let mut outcome = insist(send).await.unwrap();
        while !outcome.results.iter().all(is_known) {
            outcome = insist(send).await.unwrap();
        }
        let AppendOutcome { results, .. } = insist(send).await.unwrap();
        let mut acks = Vec::new();
        for ((publish, first), again) in batch.iter().zip(outcome.results).zip(results) {
            if let Ok(ack) = first {
                assert!(again.is_ok_and(|again| again == ack), "a retry got another answer");
                acks.push((publish.clone(), ack));
            }
        }
        acks
    }

    /// What is not sent, one after the other. Gives what everybody has read.
    async fn others(&self, steps: &[(Step, UserId, Seq)]) -> BTreeMap<UserId, Seq> {
        let (chat, owner) = (&self.world.chat, self.world.user(0));
        let mut reads = self.reads.clone();
        for &(step, user, target) in steps {
            match step {
                Step::Read => {
                    let marks = [(self.channel, Marks { read: Some(target), delivered: None })];
                    let marked = insist(|| chat.mark(user, None, &marks)).await.unwrap().remove(0);
                    if let Ok(marked) = marked {
                        assert!(marked.read >= reads[&user] && marked.delivered >= marked.read);
                        reads.insert(user, marked.read);
                    }
                }
                Step::Kick => drop(insist(|| chat.kick(owner, self.channel, user)).await),
                _ => {
                    let was_member = insist(|| chat.member_state(self.channel, user)).await.unwrap().is_some();
                    insist(async || chat.add_members(owner, self.channel, &[user]).await).await.unwrap();
                    if !was_member {
                        reads.insert(user, insist(|| chat.channel(user, self.channel)).await.unwrap().read);
                    }
                }
            }
        }
        reads
    }

    async fn log(&self) -> Vec<Entry> {
        let page = insist(|| self.world.chat.read_log(self.channel, Seq::ZERO, ALL)).await.unwrap();
        let log: Vec<Entry> = page.entries.iter().map(|entry| entry.decode().unwrap()).collect();
        assert_eq!(page.head, Seq(log.len() as u64));
        log
    }

    /// Tells the channel's story from its log alone, and compares it with what the store says.
    async fn check(&self) {
        let log = self.log().await;
        let story = Story::tell(&log);
        assert_eq!(story.messages, story.shown, "messages are not in the state that the log tells");
        for ((user, id), ack) in &self.acks {
            let entry = &log[usize::try_from(ack.seq.0).unwrap() - 1];
            assert_eq!((entry.by, entry.client_msg_id, entry.at_ms), (*user, Some(*id), ack.at_ms));
        }
        for &user in &self.world.users {
            self.check_user(user, &log, &story).await;
        }
        self.check_threads(&story).await;
        self.check_words(&story).await;
    }

    async fn check_user(&self, user: UserId, log: &[Entry], story: &Story) {
        let chat = &self.world.chat;
        assert_eq!(
            insist(|| chat.member_state(self.channel, user)).await.unwrap().is_some(),
            story.members.contains(&user)
        );
        if !story.members.contains(&user) {
            return;
        }
        let summary = insist(|| chat.channel(user, self.channel)).await.unwrap();
        assert_eq!(summary.read, self.reads[&user]);
        let unread = log
            .iter()
            .filter(|entry| entry.seq > summary.read && entry.by != user && matches!(entry.what, What::Message(_)));
        assert_eq!(summary.unread, unread.count() as u64);
        assert_eq!(summary.members as usize, story.members.len());
        assert_eq!(summary.last_at_ms, log.last().unwrap().at_ms);
        let newest = story.messages.last_key_value();
        let preview = summary.preview.map(|preview| (preview.seq, preview.text));
        assert_eq!(preview, newest.map(|(&seq, message)| (seq, message.words.clone().unwrap_or_default())));
    }

    async fn check_threads(&self, story: &Story) {
        let owner = self.world.user(0);
        for &root in story.messages.iter().filter(|(_, message)| message.thread.is_none()).map(|(seq, _)| seq) {
            let query = HistoryQuery { request: 0, at: HistoryAt::Newest, limit: 500, thread: Some(root) };
            let page = insist(|| self.world.chat.history(owner, self.channel, &query)).await.unwrap();
            let page: Vec<Seq> = page.entries.iter().map(|entry| entry.seq).collect();
            let told = story.messages.iter().filter(|(seq, message)| **seq == root || message.thread == Some(root));
            assert_eq!(page, told.map(|(seq, _)| *seq).collect::<Vec<_>>());
        }
    }

    /// What was said is where it belongs, and what was erased is nowhere.
    async fn check_words(&self, story: &Story) {
        let rows = insist(|| self.world.try_rows()).await.unwrap();
        let stored: Vec<u8> = rows.iter().flat_map(|(_, value)| value.iter().copied().chain([0])).collect();
        let holds = |words: &str| stored.windows(words.len()).any(|bytes| bytes == words.as_bytes());
        for (seq, (of, words)) in &self.said {
            let message = &story.messages[of];
            if message.words.is_none() {
                assert!(!holds(words), "{words} was erased");
            } else if seq == of && message.edits == 0 {
                assert_eq!(message.words.as_ref(), Some(words));
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Told {
    thread: Option<Seq>,
    /// None once it was deleted.
    words: Option<String>,
    edits: u32,
    reactions: BTreeMap<String, BTreeSet<UserId>>,
}

/// What a log says has happened.
#[derive(Default)]
struct Story {
    /// As told by entries, from the first on.
    messages: BTreeMap<Seq, Told>,
    /// As their rows say.
    shown: BTreeMap<Seq, Told>,
    members: BTreeSet<UserId>,
}

impl Story {
    fn tell(log: &[Entry]) -> Self {
        let mut story = Self::default();
        let mut ids = BTreeSet::new();
        assert!(log.is_sorted_by_key(|entry| entry.at_ms));
        for (entry, seq) in log.iter().zip(1..) {
            assert_eq!(entry.seq, Seq(seq), "seqs have a gap");
            assert!(entry.client_msg_id.is_none_or(|id| ids.insert((entry.by, id))), "one id has made two entries");
            assert!(story.members.contains(&entry.by) || seq <= 2, "somebody who was out");
            story.add(entry);
        }
        story
    }

    fn add(&mut self, entry: &Entry) {
        match &entry.what {
            What::Message(message) => {
                let told = Told {
                    thread: message.reply_to.map(|seq| self.messages[&seq].thread.unwrap_or(seq)),
                    words: words(&message.body),
                    edits: message.edited.as_ref().map_or(0, |edited| edited.count),
                    reactions: message
                        .reactions
                        .iter()
                        .map(|reaction| {
                            assert_eq!(reaction.count as usize, reaction.users.len());
                            (reaction.emoji.clone(), reaction.users.iter().copied().collect())
                        })
                        .collect(),
                };
                assert_eq!(message.thread, told.thread);
                let first = Told { edits: 0, reactions: BTreeMap::new(), ..told.clone() };
                self.shown.insert(entry.seq, told);
                self.messages.insert(entry.seq, first);
            }
            What::Edit(edit) => {
                let message = self.messages.get_mut(&edit.target).unwrap();
                message.edits += 1;
                message.words = words(&edit.body);
            }
            What::Delete(delete) => {
                let message = self.messages.get_mut(&delete.target).unwrap();
                assert_eq!(message.words, None, "what was deleted still has words");
                message.reactions.clear();
            }
            What::React(react) => {
                let reactions = &mut self.messages.get_mut(&react.target).unwrap().reactions;
                let users = reactions.entry(react.emoji.clone()).or_default();
                if react.on {
                    users.insert(entry.by)
                } else {
                    users.remove(&entry.by)
                };
                reactions.retain(|_, users| !users.is_empty());
            }
            What::Member(member) => match member.change {
                MemberChange::Joined(Role::Owner | Role::Member) => assert!(self.members.insert(member.user)),
                MemberChange::Kicked => assert!(self.members.remove(&member.user)),
                other => panic!("nobody did {other:?}"),
            },
            _ => {}
        }
    }
}

fn words(body: &Body) -> Option<String> {
    if let Body::Text(text) = body { Some(text.clone()) } else { None }
}
