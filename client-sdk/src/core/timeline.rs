//! What a conversation shows: its entries as they are now, and what this device has sent and not seen come back yet.

use suda_schema::channel::{NewMessage, Op};
use suda_schema::entry::{Body, Edit, Edited, Entry, Erased, Message, What};
use suda_schema::{ClientMsgId, Seq, UserId};

use super::log::{ChannelLog, erase, react};
use super::outbox::{Pending, Queue, Way, target};

/// How far something shown has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// In the outbox: it goes out when there is a link.
    Waiting,
    /// On its way.
    Sending,
    /// In the log.
    Sent,
}

/// One thing shown in a conversation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Item {
    /// Its place in the log, once it has one.
    pub seq: Option<Seq>,
    /// The id that its sender gave it.
    pub id: Option<ClientMsgId>,
    /// Who did it.
    pub by: UserId,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What it is, as it is now; one's own edits and reactions that are on their way included.
    pub what: What,
    /// How far it has got.
    pub delivery: Delivery,
    /// Whether a change of it is on its way.
    pub changing: bool,
}

impl Item {
    /// Its text, if it is a message of text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.what {
            What::Message(Message { body: Body::Text(text), .. }) => Some(text),
            _ => None,
        }
    }

    fn pending(pending: &Pending, me: UserId, seq: Option<Seq>, delivery: Delivery) -> Option<Self> {
        let Op::Message(message) = &pending.send.op else { return None };
        let NewMessage { body, reply_to, mentions, attachments } = message.clone();
        let message =
            Message { body, reply_to, thread: None, mentions, attachments, edited: None, reactions: Vec::new() };
        Some(Self {
            seq,
            id: Some(pending.id()),
            by: me,
            at_ms: pending.at_ms,
            what: What::Message(message),
            delivery,
            changing: false,
        })
    }
}

/// An entry as the timeline shows it: for pages of history that are not in it.
impl From<&Entry> for Item {
    fn from(entry: &Entry) -> Self {
        Self {
            seq: Some(entry.seq),
            id: entry.client_msg_id,
            by: entry.by,
            at_ms: entry.at_ms,
            what: entry.what.clone(),
            delivery: Delivery::Sent,
            changing: false,
        }
    }
}

/// Whether an entry is shown by itself, rather than in the message it changes.
fn is_shown(entry: &Entry) -> bool {
    !matches!(entry.what, What::Edit(_) | What::Delete(_) | What::React(_))
}

/// What has changed in a timeline.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Update {
    /// Forget what was shown before: this is all there is.
    pub reset: bool,
    /// New or changed, in order.
    pub items: Vec<Item>,
    /// What was shown under these ids is in the log now, under its seq, or was refused.
    pub removed: Vec<ClientMsgId>,
}

impl Update {
    /// Brings a list of what is shown up to date: by seq, and what has none yet at the end.
    pub fn apply(&self, shown: &mut Vec<Item>) {
        if self.reset {
            shown.clear();
        }
        shown.retain(|item| item.seq.is_some() || item.id.is_none_or(|id| !self.removed.contains(&id)));
        for item in &self.items {
            match item.seq {
                Some(seq) => {
                    // What is on its way has no seq and comes last.
                    let place = shown.partition_point(|other| other.seq.is_some_and(|other| other < seq));
                    match shown.get_mut(place) {
                        Some(there) if there.seq == Some(seq) => *there = item.clone(),
                        _ => shown.insert(place, item.clone()),
                    }
                }
                None => match shown.iter_mut().find(|other| other.seq.is_none() && other.id == item.id) {
                    Some(there) => *there = item.clone(),
                    None => shown.push(item.clone()),
                },
            }
        }
    }
}

/// What changed after `since`; everything if that is `None`.
pub(super) fn update(log: &ChannelLog, queue: Option<&Queue>, me: UserId, since: Option<u64>) -> Update {
    let mut items: Vec<Item> = match since {
        None => log.entries().filter(|entry| is_shown(entry)).map(Item::from).collect(),
        Some(since) => log.changed_since(since).filter(|entry| is_shown(entry)).map(Item::from).collect(),
    };
    if let Some(queue) = queue {
        let changes = queue.acked.iter().map(|(pending, _)| pending);
        for pending in changes.chain(queue.items.iter().map(|item| &item.pending)) {
            change(&mut items, pending, me);
        }
        let acked = queue.acked.iter().map(|(pending, _)| (pending, Delivery::Sending));
        let waiting = queue
            .items
            .iter()
            .map(|item| (&item.pending, if item.way == Way::Sent { Delivery::Sending } else { Delivery::Waiting }));
        items.extend(acked.chain(waiting).filter_map(|(pending, way)| Item::pending(pending, me, None, way)));
    }
    Update { reset: since.is_none(), items, removed: Vec::new() }
}

/// Shows a change that is on its way on the message that it changes.
fn change(items: &mut [Item], pending: &Pending, me: UserId) {
    let Some(seq) = target(&pending.send.op) else { return };
    let Some(item) = items.iter_mut().find(|item| item.seq == Some(seq)) else { return };
    let What::Message(message) = &mut item.what else { return };
    item.changing = true;
    match &pending.send.op {
        Op::Edit(edit) if !matches!(message.body, Body::Erased(_)) => {
            let Edit { body, mentions, .. } =
                Edit { target: seq, body: edit.body.clone(), mentions: edit.mentions.clone() };
            let count = message.edited.as_ref().map_or(0, |edited| edited.count).saturating_add(1);
            (message.body, message.mentions) = (body, mentions);
            message.edited = Some(Edited { seq, at_ms: pending.at_ms, count });
        }
        Op::Delete(_) => erase(message, Erased { seq, by: me }),
        Op::React(change) => {
            react(message, me, change, true);
        }
        _ => {}
    }
}
