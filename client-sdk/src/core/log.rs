//! What is known of one channel's log: a stretch of it without a gap, each message as it is now.
//!
//! This is cache and timeline in one. Entries come in three ways: live or after a resume at the end, as a page of history
//! at the front, and from storage when the app starts. A message that is read late is already as it was at that time, so
//! that the edits and reactions that follow it may be contained in it already. Everything here may be applied twice.

use std::collections::VecDeque;

use suda_schema::entry::{Body, Delete, Edit, Edited, Entry, Erased, Message, React, Reaction, What};
use suda_schema::limits::REACTION_USERS_MAX;
use suda_schema::{Seq, UserId};

/// An entry does not fit where it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} came where {wanted} was to come")]
pub struct Gap {
    /// What was to come.
    pub wanted: Seq,
    /// What came.
    pub found: Seq,
}

/// A stretch of a channel's log.
#[derive(Debug, Clone)]
pub struct ChannelLog {
    /// The seq of the first slot, or of the next entry to come where there is none.
    first: u64,
    slots: VecDeque<Slot>,
    version: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    entry: Entry,
    /// The version in which it changed last.
    changed: u64,
    /// Reactions up to here are in it where they can't be told from new ones.
    as_of: Seq,
}

impl ChannelLog {
    /// Nothing yet; what comes first follows `after`.
    #[must_use]
    pub fn new(after: Seq) -> Self {
        Self { first: after.next().0, slots: VecDeque::new(), version: 0 }
    }

    /// From what was kept: the longest stretch without a gap at its end.
    #[must_use]
    pub fn restore(entries: Vec<Entry>, version: u64) -> Option<Self> {
        let mut log: Option<Self> = None;
        for entry in entries {
            let fits = log.as_ref().is_some_and(|log| log.next() == entry.seq);
            if !fits {
                log = Some(Self { version, ..Self::new(Seq(entry.seq.0.saturating_sub(1))) });
            }
            if let Some(log) = &mut log {
                let _ = log.append(entry, Seq::ZERO);
            }
        }
        log
    }

    /// The cursor: the seq of the last entry, or before the first that is to come.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        Seq(self.next().0.saturating_sub(1))
    }

    /// The seq that comes next.
    #[must_use]
    pub fn next(&self) -> Seq {
        Seq(self.first.saturating_add(self.slots.len() as u64))
    }

    /// The seq of the first entry that is held.
    #[must_use]
    pub fn first(&self) -> Seq {
        Seq(self.first)
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Counts up with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version to count on from.
    pub(super) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// Something about it changed that is not in it: what is shown is to be looked at again.
    pub fn touch(&mut self, target: Option<Seq>) {
        self.version += 1;
        let version = self.version;
        if let Some(slot) = target.and_then(|target| self.slot(target)) {
            slot.changed = version;
        }
    }

    /// The entries, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.slots.iter().map(|slot| &slot.entry)
    }

    /// The entries after a seq, in order; `None` if that is before what is held.
    pub fn after(&self, seq: Seq) -> Option<impl Iterator<Item = &Entry>> {
        let skip = seq.next().0.checked_sub(self.first)?;
        Some(self.slots.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)).map(|slot| &slot.entry))
    }

    /// The entries that changed after a version.
    pub fn changed_since(&self, version: u64) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter(move |slot| slot.changed > version).map(|slot| &slot.entry)
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, seq: Seq) -> Option<&Entry> {
        let index = usize::try_from(seq.0.checked_sub(self.first)?).ok()?;
        self.slots.get(index).map(|slot| &slot.entry)
    }

    /// Adds the next entry. `head` is the log's head as far as it was known when the entry was read.
    pub fn append(&mut self, entry: Entry, head: Seq) -> Result<(), Gap> {
        if entry.seq != self.next() {
            return Err(Gap { wanted: self.next(), found: entry.seq });
        }
        self.version += 1;
        let version = self.version;
        let operation = Operation::of(&entry);
        self.slots.push_back(Slot { as_of: head.max(entry.seq), entry, changed: version });
        if let Some(operation) = operation {
            self.apply(&operation);
        }
        Ok(())
    }

    /// Adds a page of history in front. It must end where the log begins.
    pub fn prepend(&mut self, entries: Vec<Entry>, head: Seq) -> Result<(), Gap> {
        let mut wanted = self.first;
        for entry in entries.iter().rev() {
            wanted = wanted.saturating_sub(1);
            if entry.seq.0 != wanted || wanted == 0 {
                return Err(Gap { wanted: Seq(wanted), found: entry.seq });
            }
        }
        self.version += 1;
        let version = self.version;
        let last = Seq(self.first.saturating_sub(1));
        for entry in entries.into_iter().rev() {
            self.first = entry.seq.0;
            self.slots.push_front(Slot { as_of: head.max(entry.seq), entry, changed: version });
        }
        // What came while the page was on its way may be newer than the page.
        let operations: Vec<Operation> = self.slots.iter().filter_map(|slot| Operation::of(&slot.entry)).collect();
        for operation in operations.iter().filter(|operation| operation.target <= last) {
            self.apply(operation);
        }
        Ok(())
    }

    /// Forgets the oldest entries beyond `most`.
    pub fn trim(&mut self, most: usize) {
        while self.slots.len() > most {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// How many messages of others lie after `read`; `None` if they are not all held.
    #[must_use]
    pub fn unread(&self, read: Seq, me: UserId) -> Option<u64> {
        let theirs = |entry: &&Entry| entry.by != me && matches!(entry.what, What::Message(_));
        if read >= self.cursor() {
            return Some(0);
        }
        Some(self.after(read)?.filter(theirs).count() as u64)
    }

    fn slot(&mut self, seq: Seq) -> Option<&mut Slot> {
        let index = usize::try_from(seq.0.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index)
    }

    fn apply(&mut self, operation: &Operation) {
        let version = self.version;
        let Some(slot) = self.slot(operation.target) else { return };
        let as_of = slot.as_of;
        // An edit's own text goes with the message.
        let What::Message(message) = &mut slot.entry.what else { return };
        if operation.apply(message, as_of) {
            slot.changed = version;
        }
    }
}

/// An entry that changes another.
#[derive(Debug, Clone)]
struct Operation {
    seq: Seq,
    at_ms: u64,
    by: UserId,
    target: Seq,
    what: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Edit(Edit),
    Delete,
    React(React),
}

impl Operation {
    fn of(entry: &Entry) -> Option<Self> {
        let (target, what) = match &entry.what {
            What::Edit(edit) => (edit.target, Change::Edit(edit.clone())),
            What::Delete(Delete { target }) => (*target, Change::Delete),
            What::React(react) => (react.target, Change::React(react.clone())),
            _ => return None,
        };
        Some(Self { seq: entry.seq, at_ms: entry.at_ms, by: entry.by, target, what })
    }

    /// Whether anything changed.
    fn apply(&self, message: &mut Message, as_of: Seq) -> bool {
        if matches!(message.body, Body::Erased(_)) {
            return false;
        }
        match &self.what {
            Change::Edit(edit) => {
                let contained = message.edited.as_ref().is_some_and(|edited| edited.seq >= self.seq);
                // The text of an edit is erased together with its message, whose deletion is still to come.
                if contained || matches!(edit.body, Body::Erased(_)) {
                    return false;
                }
                let count = message.edited.as_ref().map_or(0, |edited| edited.count).saturating_add(1);
                message.body = edit.body.clone();
                message.mentions.clone_from(&edit.mentions);
                message.edited = Some(Edited { seq: self.seq, at_ms: self.at_ms, count });
                true
            }
            Change::Delete => {
                erase(message, Erased { seq: self.seq, by: self.by });
                true
            }
            Change::React(change) => react(message, self.by, change, self.seq > as_of),
        }
    }
}

/// What a deleted message looks like.
pub(super) fn erase(message: &mut Message, erased: Erased) {
    message.body = Body::Erased(erased);
    message.mentions.clear();
    message.attachments.clear();
    message.reactions.clear();
}

/// Adds or takes back a reaction; `is_new` says what to do where the list of users is cut off and can't tell.
pub(super) fn react(message: &mut Message, by: UserId, change: &React, is_new: bool) -> bool {
    let found = message.reactions.iter().position(|reaction| reaction.emoji == change.emoji);
    let Some(reaction) = found.and_then(|index| message.reactions.get_mut(index)) else {
        if change.on {
            message.reactions.push(Reaction { emoji: change.emoji.clone(), count: 1, users: vec![by] });
        }
        return change.on;
    };
    let place = reaction.users.iter().position(|user| *user == by);
    let complete = reaction.users.len() as u64 == u64::from(reaction.count);
    match (change.on, place) {
        (true, None) if complete || is_new => {
            reaction.count = reaction.count.saturating_add(1);
            if reaction.users.len() < REACTION_USERS_MAX {
                reaction.users.push(by);
            }
        }
        (false, Some(place)) => {
            reaction.users.remove(place);
            reaction.count = reaction.count.saturating_sub(1);
        }
        (false, None) if !complete && is_new => reaction.count = reaction.count.saturating_sub(1),
        _ => return false,
    }
    message.reactions.retain(|reaction| reaction.count > 0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn message(seq: u64, by: u64, text: &str) -> Entry {
        let body = Body::Text(text.to_owned());
        let message = Message {
            body,
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            edited: None,
            reactions: Vec::new(),
        };
        Entry { seq: Seq(seq), at_ms: seq, by: UserId(by), client_msg_id: None, what: What::Message(message) }
    }

    fn entry(seq: u64, what: What) -> Entry {
        Entry { seq: Seq(seq), at_ms: seq, by: UserId(2), client_msg_id: None, what }
    }

    fn edit(seq: u64, target: u64, text: &str) -> Entry {
        let body = Body::Text(text.to_owned());
        entry(seq, What::Edit(Edit { target: Seq(target), body, mentions: Vec::new() }))
    }

    fn reaction(seq: u64, target: u64, on: bool) -> Entry {
        entry(seq, What::React(React { target: Seq(target), emoji: "👍".to_owned(), on }))
    }

    fn shown(log: &ChannelLog, seq: u64) -> &Message {
        let Some(Entry { what: What::Message(message), .. }) = log.get(Seq(seq)) else { panic!("no message") };
        message
    }

    #[test]
    fn edits_reactions_and_deletions_are_applied() {
        let mut log = ChannelLog::new(Seq::ZERO);
        for entry in [message(1, 1, "a"), edit(2, 1, "b"), reaction(3, 1, true), edit(4, 1, "c")] {
            log.append(entry, Seq::ZERO).unwrap();
        }
        assert_eq!(shown(&log, 1).body, Body::Text("c".to_owned()));
        assert_eq!(shown(&log, 1).edited, Some(Edited { seq: Seq(4), at_ms: 4, count: 2 }));
        assert_eq!(shown(&log, 1).reactions.len(), 1);
        let version = log.version();
        log.append(entry(5, What::Delete(Delete { target: Seq(1) })), Seq::ZERO).unwrap();
        assert_eq!(shown(&log, 1).body, Body::Erased(Erased { seq: Seq(5), by: UserId(2) }));
        let changed: Vec<u64> = log.changed_since(version).map(|entry| entry.seq.0).collect();
        assert_eq!(changed, [1, 5]);
        assert_eq!(log.append(message(7, 1, "gap"), Seq::ZERO), Err(Gap { wanted: Seq(6), found: Seq(7) }));
    }

    #[test]
    fn what_a_late_read_contains_is_not_applied_again() {
        let mut late = message(1, 1, "newest");
        let What::Message(inner) = &mut late.what else { panic!() };
        inner.edited = Some(Edited { seq: Seq(4), at_ms: 4, count: 2 });
        inner.reactions = vec![Reaction { emoji: "👍".to_owned(), count: 1, users: vec![UserId(2)] }];
        let mut log = ChannelLog::new(Seq::ZERO);
        for entry in [late, edit(2, 1, "older"), reaction(3, 1, true), edit(4, 1, "newest")] {
            log.append(entry, Seq(4)).unwrap();
        }
        assert_eq!(shown(&log, 1).body, Body::Text("newest".to_owned()));
        assert_eq!(shown(&log, 1).edited.as_ref().map(|edited| edited.count), Some(2));
        assert_eq!(shown(&log, 1).reactions[0].count, 1);
        log.append(reaction(5, 1, false), Seq(4)).unwrap();
        assert!(shown(&log, 1).reactions.is_empty());
    }

    #[test]
    fn a_page_of_history_takes_what_came_meanwhile() {
        let mut log = ChannelLog::new(Seq(2));
        log.append(edit(3, 1, "edited"), Seq::ZERO).unwrap();
        log.prepend(vec![message(1, 1, "as it was"), message(2, 1, "b")], Seq(2)).unwrap();
        assert_eq!(shown(&log, 1).body, Body::Text("edited".to_owned()));
        assert!(log.prepend(vec![message(1, 1, "again")], Seq(2)).is_err());
        assert_eq!((log.first(), log.cursor()), (Seq(1), Seq(3)));
        log.trim(1);
        assert_eq!((log.first(), log.len()), (Seq(3), 1));
        assert!(log.after(Seq(1)).is_none());
        assert_eq!(log.after(Seq(2)).unwrap().count(), 1);
    }

    #[test]
    fn unread_counts_messages_of_others() {
        let mut log = ChannelLog::new(Seq(10));
        for entry in [message(11, 1, "mine"), message(12, 2, "theirs"), edit(13, 12, "x"), message(14, 2, "theirs")] {
            log.append(entry, Seq::ZERO).unwrap();
        }
        assert_eq!(log.unread(Seq(10), UserId(1)), Some(2));
        assert_eq!(log.unread(Seq(12), UserId(1)), Some(1));
        assert_eq!(log.unread(Seq(20), UserId(1)), Some(0));
        assert_eq!(log.unread(Seq(9), UserId(1)), None);
    }

    #[test]
    fn what_was_kept_with_a_gap_counts_from_the_gap() {
        let log = ChannelLog::restore(vec![message(1, 1, "a"), message(5, 1, "b"), message(6, 1, "c")], 3).unwrap();
        assert_eq!((log.first(), log.cursor()), (Seq(5), Seq(6)));
        assert!(ChannelLog::restore(Vec::new(), 0).is_none());
    }
}
