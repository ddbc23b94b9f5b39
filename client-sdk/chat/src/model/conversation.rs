//! The conversation that is looked at.

use suda_client::schema::entry::{Body, Message, What};
use suda_client::schema::summary::MemberMark;
use suda_client::{ChannelId, ClientMsgId, Delivery, Item, Seq, Update, UserId};

use super::compose::Field;

/// The conversation that is looked at.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) id: ChannelId,
    pub(crate) items: Vec<Item>,
    pub(crate) typing: Vec<UserId>,
    pub(crate) marks: Vec<MemberMark>,
    pub(crate) draft: Draft,
    /// A page of what was before is on its way.
    pub(crate) loading: bool,
    /// There is nothing before the first item.
    pub(crate) complete: bool,
    /// Where the view ends; `None`: at the end, and it stays there when something comes.
    pub(crate) anchor: Option<Anchor>,
    /// The message that the cursor is on.
    pub(crate) selected: Option<Key>,
    /// What was read when it was opened: what comes after is new.
    pub(crate) read_before: Option<Seq>,
}

/// What is being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) field: Field,
    pub(crate) aim: Aim,
}

/// What for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Aim {
    #[default]
    New,
    Reply(Seq),
    Edit(Seq),
}

/// Which item: what is on its way has no seq yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Seq(Seq),
    Id(ClientMsgId),
}

/// The last line that is shown: so many lines of an item are below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) key: Key,
    pub(crate) below: usize,
}

/// How far one's own message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipt {
    Waiting,
    Sending,
    Sent,
    /// To so many others, at least one.
    Delivered(usize),
    Read(usize),
}

impl Conversation {
    pub(crate) fn new(id: ChannelId, read_before: Option<Seq>, draft: Draft) -> Self {
        Self {
            id,
            items: Vec::new(),
            typing: Vec::new(),
            marks: Vec::new(),
            draft,
            loading: false,
            complete: false,
            anchor: None,
            selected: None,
            read_before,
        }
    }

    pub(crate) fn apply(&mut self, update: &Update) {
        if update.reset {
            self.complete = false;
        }
        update.apply(&mut self.items);
    }

    /// The newest that is in the log.
    pub(crate) fn newest(&self) -> Option<Seq> {
        self.items.iter().rev().find_map(|item| item.seq)
    }

    pub(crate) fn index(&self, key: Key) -> Option<usize> {
        match key {
            Key::Seq(seq) => {
                let at = self.items.partition_point(|item| item.seq.is_some_and(|other| other < seq));
                self.items.get(at).is_some_and(|item| item.seq == Some(seq)).then_some(at)
            }
            Key::Id(id) => self.items.iter().rposition(|item| item.seq.is_none() && item.id == Some(id)),
        }
    }

    pub(crate) fn message(&self, seq: Seq) -> Option<&Item> {
        self.index(Key::Seq(seq)).and_then(|at| self.items.get(at))
    }

    /// The item that the cursor is on.
    pub(crate) fn selection(&self) -> Option<&Item> {
        self.selected.and_then(|key| self.index(key)).and_then(|at| self.items.get(at))
    }

    /// The last message in the log that is not deleted and of which this is true.
    pub(crate) fn last(&self, is_it: impl Fn(&Item) -> bool) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.seq.is_some() && is_alive(item) && is_it(item))
    }

    /// Moves the cursor to another message; where there is none, it stays.
    pub(crate) fn select(&mut self, older: bool) {
        let is_message = |item: &&Item| matches!(item.what, What::Message(_));
        let at = self.selected.and_then(|key| self.index(key));
        let found = match (older, at) {
            (true, at) => {
                // Without a cursor it begins with the last that is in sight.
                let in_sight = self.anchor.and_then(|anchor| self.index(anchor.key)).map(|at| at + 1);
                self.items.iter().take(at.or(in_sight).unwrap_or(usize::MAX)).rfind(is_message)
            }
            (false, Some(at)) => self.items.iter().skip(at + 1).find(is_message),
            (false, None) => None,
        };
        if let Some(key) = found.and_then(key) {
            self.selected = Some(key);
        } else if at.is_none() {
            self.selected = None;
        }
    }

    pub(crate) fn receipt(&self, item: &Item, me: UserId) -> Receipt {
        let seq = match (item.delivery, item.seq) {
            (Delivery::Waiting, _) => return Receipt::Waiting,
            (Delivery::Sent, Some(seq)) => seq,
            _ => return Receipt::Sending,
        };
        let count =
            |far: fn(&MemberMark) -> Seq| self.marks.iter().filter(|mark| mark.user != me && far(mark) >= seq).count();
        match (count(|mark| mark.read), count(|mark| mark.delivered.max(mark.read))) {
            (0, 0) => Receipt::Sent,
            (0, delivered) => Receipt::Delivered(delivered),
            (read, _) => Receipt::Read(read),
        }
    }
}

pub(crate) fn key(item: &Item) -> Option<Key> {
    item.seq.map(Key::Seq).or(item.id.map(Key::Id))
}

/// Whether it is a message that was not deleted.
pub(crate) fn is_alive(item: &Item) -> bool {
    matches!(&item.what, What::Message(Message { body, .. }) if !matches!(body, Body::Erased(_)))
}
