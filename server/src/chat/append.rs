//! The batch append: everything that waits to be sent to one channel, in one transaction.
//!
//! What must hold, whatever else changes here:
//!
//! - The head is read and written, so appends to a channel happen one after the other, and seqs have no gap.
//! - The retry rows are looked up and written in the same transaction, so a retry finds its entry or makes it.
//! - Membership and role are read with a conflict, so nobody is still let in after having been removed.
//!
//! What only appends write (retry rows, own messages, entries) is read by snapshot: the conflict on the head covers it.
//! Reads go out side by side: one round for a plain message, a second one for what the first one asks for.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::{try_join, try_join_all, try_join3, try_join4};
use serde::{Deserialize, Serialize};
use suda_schema::channel::{Ack, NewMessage, Op, Send};
use suda_schema::entry::{Body, Message, React, Role, What};
use suda_schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId, WireError};

use super::draft::Draft;
use super::hot::{self, Beside, Lead};
use super::members::may_post;
use super::outbox::{OutboxRow, Told};
use super::row::{ChannelRow, MemberRow, OwnRow, RetryRow, StoredEntry};
use super::targets::{Answered, Targets};
use super::{Chat, ChatError, Tx, channels, contact, edit, log, outbox, react, validate};
use crate::store::keys;

/// The most sends in one batch. More are taken in several transactions.
pub const BATCH_SENDS_MAX: usize = 256;
/// About the most bytes that one batch writes, with the older rows that it changes: far enough from the store's limit on
/// a transaction for all that belongs to them. More are taken in several transactions.
pub const BATCH_BYTES_MAX: usize = 3 << 20;

/// Something to be appended, and who sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    /// Who.
    pub user: UserId,
    /// From which device.
    pub device: DeviceId,
    /// What.
    pub send: Send,
}

impl Publish {
    /// About how many bytes it will take in the store.
    #[must_use]
    pub fn size(&self) -> usize {
        /// The keys and small rows beside an entry.
        const BESIDE: usize = 512;
        let body = |body: &Body| match body {
            Body::Text(text) => text.len(),
            Body::Opaque(opaque) => opaque.bytes.len(),
            _ => 0,
        };
        BESIDE
            + match &self.send.op {
                Op::Message(message) => {
                    body(&message.body) + 10 * message.mentions.len() + 1_024 * message.attachments.len()
                }
                // Once in its own entry, once in the message's row.
                Op::Edit(edit) => 2 * (body(&edit.body) + 10 * edit.mentions.len()),
                _ => 0,
            }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct AppendOutcome {
    /// For each send, in order: where it is in the log, or why it is not.
    pub results: Vec<Result<Ack, WireError>>,
    /// The entries that were appended, in order, with no gap. They may end before `head` where somebody else appended
    /// meanwhile; the rest is to be read from the log.
    pub entries: Vec<StoredEntry>,
    /// The channel's head after the batch.
    pub head: Seq,
    /// How often a transaction had to be run again.
    pub retries: u32,
    /// Which node appends for all, if one does.
    pub led_by: Option<Lead>,
    /// The nodes whose sends were appended with these.
    pub handed_by: Vec<u16>,
}

impl Chat {
    /// Appends everything that may be appended. A send that is refused, or was made at an earlier try, is a result and
    /// no failure of the others; an error is one of all, and nothing was appended, unless it is an unknown commit.
    pub async fn append(&self, channel: ChannelId, sends: &[Publish]) -> Result<AppendOutcome, ChatError> {
        self.append_beside(channel, sends, Beside::Nothing).await
    }

    /// The same for a channel that several nodes write to.
    pub async fn append_beside(
        &self,
        channel: ChannelId,
        sends: &[Publish],
        beside: Beside,
    ) -> Result<AppendOutcome, ChatError> {
        let mut outcome = AppendOutcome::default();
        let mut looks = matches!(beside, Beside::Lead(_));
        while outcome.results.len() < sends.len() || std::mem::take(&mut looks) {
            let rest = sends.get(outcome.results.len()..).unwrap_or_default();
            let tries = AtomicU32::new(0);
            let step = self.run_idempotent(|tx| {
                tries.fetch_add(1, Ordering::Relaxed);
                async move { step(&tx, channel, rest, beside).await }
            });
            let step = step.await;
            looks = false;
            outcome.retries += tries.into_inner().saturating_sub(1);
            match step {
                Ok(step) => outcome.add(step),
                Err(error) if outcome.results.is_empty() => return Err(error),
                // What an earlier step has appended is durable and must be told.
                Err(error) => outcome.results.resize(sends.len(), Err(error.to_wire())),
            }
        }
        Ok(outcome)
    }
}

impl AppendOutcome {
    fn add(&mut self, step: Step) {
        self.results.extend(step.results);
        self.led_by = step.led_by;
        self.handed_by.extend(step.handed_by);
        self.head = step.head;
        // Seqs only grow: after a gap nothing follows on the last entry any more.
        let follows = match (self.entries.last(), step.entries.first()) {
            (Some(last), Some(next)) => next.seq == last.seq.next(),
            _ => true,
        };
        if follows {
            self.entries.extend(step.entries);
        }
    }
}

/// What one transaction did: at least one of the sends, perhaps all.
#[derive(Default)]
struct Step {
    results: Vec<Result<Ack, WireError>>,
    entries: Vec<StoredEntry>,
    head: Seq,
    led_by: Option<Lead>,
    handed_by: Vec<u16>,
}

async fn step(tx: &Tx, channel: ChannelId, sends: &[Publish], beside: Beside) -> Result<Step, ChatError> {
    let own = first_that_fit(sends);
    let mut handed = match beside {
        Beside::Lead(lead) => hot::handed(tx, channel, lead).await?,
        Beside::Back | Beside::Nothing => hot::Handed::default(),
    };
    if beside == Beside::Back {
        hot::take_back(tx, channel)?;
    }
    let mut sends = Cow::Borrowed(own);
    if !handed.sends.is_empty() {
        sends.to_mut().append(&mut handed.sends);
    } else if own.is_empty() {
        return Ok(Step { led_by: hot::led_by(tx, channel).await?, ..Step::default() });
    }
    let (mut batch, led_by) = try_join(Batch::read(tx, channel, &sends), hot::led_by(tx, channel)).await?;
    let verdicts: Vec<_> = sends.iter().map(|publish| batch.admit(publish)).collect();
    let pending = |(publish, verdict): (_, &Result<_, _>)| matches!(verdict, Ok(Admitted::New)).then_some(publish);
    let pending: Vec<_> = sends.iter().zip(&verdicts).map(pending).collect();
    batch.read_on(tx, &pending).await?;
    let taken = batch.targets.taken;
    let judged = sends.iter().zip(verdicts).take(taken).map(|(publish, verdict)| {
        verdict.and_then(|admitted| batch.apply(tx, publish, admitted)).map_err(|error| error.to_wire())
    });
    let mut results: Vec<_> = judged.collect();
    // Who has handed them over sees for themselves what became of theirs.
    results.truncate(own.len());
    let mut handed_by = Vec::new();
    for (node, _) in handed.ends.into_iter().filter(|(_, end)| own.len() + end <= taken) {
        tx.clear(keys::handed(channel, node));
        handed_by.push(node);
    }
    let head = batch.draft.head().seq;
    Ok(Step { results, entries: batch.draft.write(tx)?, head, led_by, handed_by })
}

/// The front of the sends that goes into one transaction: at least one.
fn first_that_fit(sends: &[Publish]) -> &[Publish] {
    let mut bytes = 0usize;
    let fit = sends.iter().take(BATCH_SENDS_MAX).take_while(|publish| {
        bytes = bytes.saturating_add(publish.size());
        bytes <= BATCH_BYTES_MAX
    });
    sends.get(..fit.count().max(1)).unwrap_or(sends)
}

/// A batch in its transaction.
struct Batch {
    id: ChannelId,
    channel: ChannelRow,
    draft: Draft,
    senders: BTreeMap<UserId, Sender>,
    /// What these sends, or others of the batch with the same id, have made.
    made: BTreeMap<(UserId, ClientMsgId), RetryRow>,
    targets: Targets,
    /// One of the two users of a direct channel has blocked the other.
    blocked: bool,
    /// There is somebody whom a push could reach.
    pushes: bool,
    /// How many rows of the push outbox were written.
    outbox_rows: u16,
}

#[derive(Clone, Copy)]
struct Sender {
    role: Option<Role>,
    /// How many messages they have sent.
    own: u64,
}

/// A send that is not refused by what is known before its targets are read.
#[derive(Clone, Copy)]
enum Admitted {
    /// It was made at an earlier try.
    Made(RetryRow),
    /// It was not.
    New,
}

impl Batch {
    async fn read(tx: &Tx, id: ChannelId, sends: &[Publish]) -> Result<Self, ChatError> {
        let users: BTreeSet<_> = sends.iter().map(|publish| publish.user).collect();
        let ids: BTreeSet<_> = sends.iter().map(|publish| (publish.user, publish.send.client_msg_id)).collect();
        let senders = users.into_iter().map(async |user| Ok::<_, ChatError>((user, Sender::read(tx, id, user).await?)));
        let made = ids.into_iter().map(async |(user, msg_id)| {
            let row = tx.row_snapshot::<RetryRow>(&keys::retry(id, user, msg_id)).await?;
            Ok::<_, ChatError>(row.map(|row| ((user, msg_id), row)))
        });
        let (channel, draft, senders, made) =
            try_join4(channels::live(tx, id), Draft::open(tx, id), try_join_all(senders), try_join_all(made)).await?;
        Ok(Self {
            id,
            channel,
            draft,
            senders: senders.into_iter().collect(),
            made: made.into_iter().flatten().collect(),
            targets: Targets::default(),
            blocked: false,
            pushes: false,
            outbox_rows: 0,
        })
    }

    /// Judges a send by what is known so far, so that nothing is read for one that is refused anyway.
    fn admit(&self, publish: &Publish) -> Result<Admitted, ChatError> {
        let Publish { user, send, .. } = publish;
        if let Some(made) = self.made.get(&(*user, send.client_msg_id)) {
            return Ok(Admitted::Made(*made));
        }
        validate::send(send)?;
        let role = self.sender(*user).role.ok_or(ChatError::NotFound("channel"))?;
        if matches!(send.op, Op::Delete(_)) {
            return Ok(Admitted::New);
        }
        if self.channel.closed {
            return Err(ChatError::Forbidden("the other account was deleted"));
        }
        if !may_post(self.channel.kind, role) {
            return Err(ChatError::Forbidden("your role may not post in this channel"));
        }
        Ok(Admitted::New)
    }

    /// The second round of reads.
    async fn read_on(&mut self, tx: &Tx, pending: &[Option<&Publish>]) -> Result<(), ChatError> {
        let pair = self.channel.pair;
        let targets = Targets::load(tx, self.id, &mut self.draft, pending);
        let blocked = async { contact::pair_is_blocked(tx, pair).await };
        let pushes = outbox::reaches_anybody(tx, self.id, pair);
        (self.targets, self.blocked, self.pushes) = try_join3(targets, blocked, pushes).await?;
        Ok(())
    }

    fn sender(&self, user: UserId) -> Sender {
        self.senders.get(&user).copied().unwrap_or(Sender { role: None, own: 0 })
    }

    /// Applies a send to the draft, or finds out that it can't be. Nothing is half done.
    fn apply(&mut self, tx: &Tx, publish: &Publish, admitted: Admitted) -> Result<Ack, ChatError> {
        let Publish { user, send: Send { client_msg_id, op }, .. } = publish;
        let ack = |made: RetryRow| Ack { client_msg_id: *client_msg_id, seq: made.seq, at_ms: made.at_ms };
        if let Admitted::Made(made) = admitted {
            return Ok(ack(made));
        }
        // The same send twice in one batch.
        if let Some(made) = self.made.get(&(*user, *client_msg_id)) {
            return Ok(ack(*made));
        }
        if self.blocked && !matches!(op, Op::Delete(_)) {
            return Err(ChatError::Blocked);
        }
        let from = (*user, *client_msg_id);
        let (draft, targets) = (&mut self.draft, &mut self.targets);
        let (seq, at_ms) = match op {
            Op::Message(message) => self.message(tx, from, message)?,
            Op::Edit(new) => edit::edit(tx, self.id, draft, targets, from, new)?,
            Op::React(new) => {
                let made = react::react(tx, self.id, draft, targets, from, new)?;
                self.tell_of_reaction(tx, *user, new, made);
                made
            }
            Op::Delete(delete) => {
                self.may_delete(*user, delete.target)?;
                let by = (*user, Some(*client_msg_id));
                edit::delete(tx, self.id, &mut self.draft, &mut self.targets, by, delete.target)?
            }
            _ => return Err(validate::unknown_op()),
        };
        let made = RetryRow { seq, at_ms };
        tx.set_row(keys::retry(self.id, *user, *client_msg_id), &made);
        self.made.insert(from, made);
        Ok(ack(made))
    }

    fn message(&mut self, tx: &Tx, from: (UserId, ClientMsgId), new: &NewMessage) -> Result<(Seq, u64), ChatError> {
        let (user, client_msg_id) = from;
        let answered = match new.reply_to {
            Some(seq) => {
                let answered = self.targets.answered(&self.draft, seq);
                Some(answered.ok_or_else(|| ChatError::invalid("reply_to", "no such message"))?)
            }
            None => None,
        };
        let mentions = self.targets.members_of(&new.mentions);
        let what = What::Message(Message {
            body: new.body.clone(),
            reply_to: new.reply_to,
            thread: answered.map(|answered| answered.root),
            mentions: mentions.clone(),
            attachments: new.attachments.clone(),
            edited: None,
            reactions: Vec::new(),
        });
        let (seq, at_ms) = self.draft.push(user, Some(client_msg_id), what);
        if let Some(Answered { root, .. }) = answered {
            tx.set(keys::in_thread(self.id, root, root), Vec::new());
            tx.set(keys::in_thread(self.id, root, seq), Vec::new());
        }
        if let Some(sender) = self.senders.get_mut(&user) {
            sender.own = sender.own.saturating_add(1);
            tx.set_row(keys::own(self.id, user, seq), &OwnRow { count: sender.own });
            if sender.own == 1 {
                tx.set(keys::wrote(user, self.id), Vec::new());
            }
        }
        if self.pushes {
            let answers = answered.map(|answered| answered.by);
            self.tell(tx, &OutboxRow { mentions, answers, ..OutboxRow::message(self.id, (seq, at_ms), user) });
        }
        Ok((seq, at_ms))
    }

    /// The author of a message is told of a reaction to it.
    fn tell_of_reaction(&mut self, tx: &Tx, user: UserId, react: &React, made: (Seq, u64)) {
        let Ok((to, _)) = self.draft.message(react.target) else { return };
        if self.pushes && react.on && to != user {
            let what = Told::Reaction { target: react.target, emoji: react.emoji.clone(), to };
            self.tell(tx, &OutboxRow { what, ..OutboxRow::message(self.id, made, user) });
        }
    }

    fn tell(&mut self, tx: &Tx, row: &OutboxRow) {
        self.outbox_rows = self.outbox_rows.saturating_add(1);
        outbox::put(tx, self.outbox_rows, row);
    }

    /// Its author may delete a message, also where they may no longer post; admins may delete anybody's.
    fn may_delete(&self, user: UserId, target: Seq) -> Result<(), ChatError> {
        let (author, _) = self.draft.message(target)?;
        let is_admin = self.channel.pair.is_none() && self.sender(user).role >= Some(Role::Admin);
        if author == user || is_admin {
            return Ok(());
        }
        Err(ChatError::Forbidden("only its author or an admin may delete a message"))
    }
}

impl Sender {
    async fn read(tx: &Tx, channel: ChannelId, user: UserId) -> Result<Self, ChatError> {
        let (member, own) = try_join(
            tx.row::<MemberRow>(&keys::member(channel, user)),
            log::own_count(tx, channel, user, Seq(u64::MAX)),
        )
        .await?;
        Ok(Self { role: member.map(|member| member.role), own })
    }
}
