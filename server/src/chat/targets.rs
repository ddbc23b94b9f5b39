//! What the sends of a batch refer to: messages to change or to answer, and people mentioned. Read all at once, before
//! anything is applied.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::future::{try_join, try_join_all, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use suda_schema::channel::Op;
use suda_schema::entry::React;
use suda_schema::limits::EDITS_PER_MESSAGE_MAX;
use suda_schema::{ChannelId, Seq, UserId};

use super::append::{BATCH_BYTES_MAX, Publish};
use super::draft::Draft;
use super::log::{self, Glance};
use super::row::{About, EditRow};
use super::{ChatError, Tx};
use crate::store::keys;

/// How many messages to be changed are read side by side. Each may be as long as a message can be.
const READS_AT_ONCE: usize = 8;
/// About how many bytes it takes to erase one edit.
const ERASED_EDIT_BYTES: usize = 256;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// How many of the sends, from the first, may be applied: the rest would make the transaction too large.
    pub(super) taken: usize,
    /// The messages answered, with the first message of their thread and their author.
    replies: BTreeMap<Seq, Answered>,
    /// Who has reacted with what to which message.
    reacted: BTreeSet<(Seq, String, UserId)>,
    /// The edits of messages that are to be deleted.
    edits: BTreeMap<Seq, Vec<(Seq, EditRow)>>,
    /// Those of the people mentioned who are members.
    members: BTreeSet<UserId>,
}

/// A message that is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    /// The first message of its thread: itself, if it answers nothing.
    pub(super) root: Seq,
    /// Who wrote it.
    pub(super) by: UserId,
}

impl Targets {
    /// Reads what these sends refer to; the messages to be changed go into the draft. `None` stands for a send that is
    /// refused or answered already.
    pub(super) async fn load(
        tx: &Tx,
        channel: ChannelId,
        draft: &mut Draft,
        sends: &[Option<&Publish>],
    ) -> Result<Self, ChatError> {
        let mut targets = Self { taken: sends.len(), ..Self::default() };
        targets.load_changed(tx, channel, draft, sends).await?;
        let asked = Asked::by(sends.iter().take(targets.taken).copied().flatten(), draft.head().seq);
        let replies = asked.replies.iter().map(async |&seq| Ok((seq, answered(tx, channel, seq).await?)));
        let reacted = asked.reactions.iter().map(async |(seq, emoji, user)| {
            let key = keys::reaction(channel, *seq, emoji, *user);
            Ok::<_, ChatError>(tx.get_snapshot(&key).await?.map(|_| (*seq, (*emoji).to_owned(), *user)))
        });
        let members = asked
            .mentions
            .iter()
            .map(async |&user| Ok::<_, ChatError>(tx.get_snapshot(&keys::member(channel, user)).await?.map(|_| user)));
        let found = try_join3(try_join_all(replies), try_join_all(reacted), try_join_all(members)).await?;
        targets.replies = found.0.into_iter().filter_map(|(seq, answered)| Some((seq, answered?))).collect();
        targets.reacted = found.1.into_iter().flatten().collect();
        targets.members = found.2.into_iter().flatten().collect();
        Ok(targets)
    }

    /// Reads the messages that are to be changed, in the order in which they are first needed, until there are too many
    /// bytes to be written again.
    async fn load_changed(
        &mut self,
        tx: &Tx,
        channel: ChannelId,
        draft: &mut Draft,
        sends: &[Option<&Publish>],
    ) -> Result<(), ChatError> {
        let mut changed: Vec<Changed> = Vec::new();
        let mut place: BTreeMap<Seq, usize> = BTreeMap::new();
        for (index, publish) in sends.iter().enumerate().filter_map(|(index, publish)| Some((index, (*publish)?))) {
            let Some(seq) = target(&publish.send.op).filter(|&seq| seq > Seq::ZERO && seq <= draft.head().seq) else {
                continue;
            };
            let at = *place.entry(seq).or_insert_with(|| {
                changed.push(Changed { index, seq, deleted: false });
                changed.len() - 1
            });
            if let (Some(changed), Op::Delete(_)) = (changed.get_mut(at), &publish.send.op) {
                changed.deleted = true;
            }
        }
        let reads = stream::iter(changed).map(async |changed| {
            let read = if changed.deleted {
                Self::read_whole(tx, channel, changed.seq).await?.1
            } else {
                Whole { row: log::row(tx, channel, changed.seq).await?, edits: Vec::new() }
            };
            Ok::<_, ChatError>((changed, read))
        });
        let mut reads = std::pin::pin!(reads.buffered(READS_AT_ONCE));
        let mut bytes = 0usize;
        while let Some((changed, read)) = reads.try_next().await? {
            bytes = bytes.saturating_add(read.size());
            if bytes > BATCH_BYTES_MAX && changed.index > 0 {
                self.taken = changed.index;
                break;
            }
            self.take_in(draft, changed.seq, read)?;
        }
        Ok(())
    }

    /// Reads a message with its edits, as deleting it needs.
    pub(super) async fn read_whole(tx: &Tx, channel: ChannelId, seq: Seq) -> Result<(Seq, Whole), ChatError> {
        let (row, edits) = try_join(log::row(tx, channel, seq), edits_of(tx, channel, seq)).await?;
        Ok((seq, Whole { row, edits }))
    }

    /// Takes in what was read.
    pub(super) fn take_in(&mut self, draft: &mut Draft, seq: Seq, read: Whole) -> Result<(), ChatError> {
        if let Some(row) = &read.row {
            draft.take_in(row)?;
        }
        self.edits.insert(seq, read.edits);
        Ok(())
    }

    /// The message that is answered, if there is one at this seq.
    pub(super) fn answered(&self, draft: &Draft, seq: Seq) -> Option<Answered> {
        if draft.is_new(seq) {
            let (by, message) = draft.message(seq).ok()?;
            return Some(Answered { root: message.thread.unwrap_or(seq), by });
        }
        self.replies.get(&seq).copied()
    }

    /// The members among these users, each once, in their order.
    pub(super) fn members_of(&self, users: &[UserId]) -> Vec<UserId> {
        let mut seen = BTreeSet::new();
        users.iter().copied().filter(|user| self.members.contains(user) && seen.insert(*user)).collect()
    }

    /// Notes that a reaction is there now, or is not: whether that is news.
    pub(super) fn set_reacted(&mut self, react: &React, user: UserId) -> bool {
        let key = (react.target, react.emoji.clone(), user);
        if react.on { self.reacted.insert(key) } else { self.reacted.remove(&key) }
    }

    /// Notes an edit that this transaction makes.
    pub(super) fn add_edit(&mut self, target: Seq, seq: Seq, row: EditRow) {
        self.edits.entry(target).or_default().push((seq, row));
    }

    /// Takes the edits of a message: those stored, if it is among the deleted, and those of this transaction.
    pub(super) fn take_edits(&mut self, target: Seq) -> Vec<(Seq, EditRow)> {
        self.edits.remove(&target).unwrap_or_default()
    }
}

/// A message to be changed.
#[derive(Clone, Copy)]
struct Changed {
    /// The first send that changes it.
    index: usize,
    seq: Seq,
    /// Whether any send deletes it, so that its edits are needed.
    deleted: bool,
}

/// A message as it was read, if it is there.
pub(super) struct Whole {
    row: Option<Bytes>,
    /// Only read where the message is to be deleted.
    edits: Vec<(Seq, EditRow)>,
}

impl Whole {
    /// About how many bytes it takes to write it again.
    pub(super) fn size(&self) -> usize {
        self.row.as_ref().map_or(0, Bytes::len) + ERASED_EDIT_BYTES * self.edits.len()
    }
}

/// What sends refer to beyond the messages they change.
#[derive(Default)]
struct Asked<'a> {
    replies: BTreeSet<Seq>,
    reactions: BTreeSet<(Seq, &'a str, UserId)>,
    mentions: BTreeSet<UserId>,
}

impl<'a> Asked<'a> {
    fn by(sends: impl Iterator<Item = &'a Publish>, head: Seq) -> Self {
        let mut asked = Self::default();
        for Publish { user, send, .. } in sends {
            match &send.op {
                Op::Message(message) => {
                    asked.replies.extend(message.reply_to.filter(|&seq| seq > Seq::ZERO && seq <= head));
                    asked.mentions.extend(&message.mentions);
                }
                Op::Edit(edit) => asked.mentions.extend(&edit.mentions),
                Op::React(react) if react.target <= head => {
                    asked.reactions.insert((react.target, &react.emoji, *user));
                }
                _ => {}
            }
        }
        asked
    }
}

fn target(op: &Op) -> Option<Seq> {
    match op {
        Op::Edit(edit) => Some(edit.target),
        Op::Delete(delete) => Some(delete.target),
        Op::React(react) => Some(react.target),
        _ => None,
    }
}

/// The message at this seq, as far as an answer needs to know it; its text is not read.
async fn answered(tx: &Tx, channel: ChannelId, seq: Seq) -> Result<Option<Answered>, ChatError> {
    Ok(match log::glance(tx, channel, seq).await? {
        Some(Glance { about: About::Message { thread }, by, .. }) => Some(Answered { root: thread.unwrap_or(seq), by }),
        _ => None,
    })
}

/// The edits that a message has had.
async fn edits_of(tx: &Tx, channel: ChannelId, target: Seq) -> Result<Vec<(Seq, EditRow)>, ChatError> {
    let page = tx.range(keys::edits(channel, target).snapshot().limit(EDITS_PER_MESSAGE_MAX)).await?;
    let edits = page.rows.iter().map(|(key, value)| {
        Ok((keys::last_number(key).map(Seq).ok_or(ChatError::BadRow("edit"))?, super::tx::decode_row(value)?))
    });
    edits.collect()
}
