//! The channel half of chat, on the engine in memory.

mod append;
mod erase;
mod history;
mod marks;
mod members;
mod model;
mod scale;

use bytes::Bytes;
use suda_schema::channel::{Ack, Marks, NewEdit, NewMessage, Op, Send};
use suda_schema::entry::{Body, Delete, Entry, Message, React, What};
use suda_schema::event::ChannelRef;
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, ErrorCode, Seq, UserId, WireError};

use super::accounts::{self, Account, Standing};
use super::append::Publish;
use super::channels::NewChannel;
use super::log::PageLimit;
use super::outbox::{OUTBOX_SHARDS, OutboxRow};
use super::profile::Profile;
use super::row::StoredEntry;
use super::testing::{self, Rung};
use super::{Chat, ChatConfig, ChatError, Topic, Tx};
use crate::store::{Range, Store, keys};

/// Everything there is.
const ALL: PageLimit = PageLimit { rows: 1_000, bytes: 1 << 20 };

/// A chat with some users in it.
struct World {
    chat: Chat,
    rung: Rung,
    users: Vec<UserId>,
}

impl World {
    async fn new(users: u64) -> Self {
        Self::with(users, |_| {}).await
    }

    async fn with(users: u64, configure: fn(&mut ChatConfig)) -> Self {
        let mut config = ChatConfig::default();
        configure(&mut config);
        let (chat, rung) = testing::over(Store::memory(), config);
        Self::over(chat, rung, users).await
    }

    async fn over(chat: Chat, rung: Rung, users: u64) -> Self {
        let mut world = Self { chat, rung, users: Vec::new() };
        for _ in 0..users {
            world.join_in().await;
        }
        world
    }

    /// Makes another user.
    async fn join_in(&mut self) -> UserId {
        let user = UserId(self.users.len() as u64 + 1);
        self.try_join_in(user).await.unwrap();
        self.users.push(user);
        user
    }

    async fn try_join_in(&self, user: UserId) -> Result<(), ChatError> {
        let account = &Account {
            handle: format!("user{user}"),
            made_at_ms: 0,
            standing: Standing::Live,
            external: None,
            profile: Profile::default(),
        };
        let put = |tx: Tx| async move {
            accounts::put(&tx, user, account);
            Ok(())
        };
        self.chat.run_idempotent(put).await
    }

    fn user(&self, index: usize) -> UserId {
        self.users[index]
    }

    /// A channel of all users, owned by the first.
    async fn channel(&self, kind: ChannelKind) -> ChannelId {
        let new = NewChannel {
            kind,
            title: "room".to_owned(),
            picture: None,
            members: self.users[1..].to_vec(),
            request: None,
        };
        self.chat.create_channel(self.user(0), &new).await.unwrap().channel
    }

    async fn group(&self) -> ChannelId {
        self.channel(ChannelKind::Group).await
    }

    /// One send, alone in its batch.
    async fn send(&self, channel: ChannelId, user: UserId, op: impl IntoOp) -> Result<Ack, WireError> {
        let id = u128::from(self.chat.clock().below(u64::MAX)) << 64 | u128::from(self.chat.clock().below(u64::MAX));
        let publish = publish(user, id, op);
        let outcome = self.chat.append(channel, &[publish]).await.map_err(|error| error.to_wire())?;
        outcome.results.into_iter().next().unwrap()
    }

    async fn say(&self, channel: ChannelId, user: UserId, text: &str) -> Seq {
        self.send(channel, user, message(text)).await.unwrap().seq
    }

    async fn head(&self, channel: ChannelId) -> Seq {
        self.chat.pulse(channel).await.unwrap().unwrap().head
    }

    /// The whole log, decoded. Seqs have no gap.
    async fn log(&self, channel: ChannelId) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = Seq(entries.len() as u64);
            let page = self.chat.read_log(channel, after, ALL).await.unwrap();
            entries.extend(page.entries.iter().map(|entry| entry.decode().unwrap()));
            assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == Seq(seq)), "seqs have a gap");
            if page.head == Seq(entries.len() as u64) {
                return entries;
            }
        }
    }

    async fn message(&self, channel: ChannelId, seq: Seq) -> Message {
        let page = self.chat.read_log(channel, Seq(seq.0 - 1), PageLimit { rows: 1, bytes: 1 }).await.unwrap();
        message_in(&page.entries[0])
    }

    /// All rows of the store.
    async fn rows(&self) -> Vec<(Bytes, Bytes)> {
        self.try_rows().await.unwrap()
    }

    async fn try_rows(&self) -> Result<Vec<(Bytes, Bytes)>, ChatError> {
        let read = |tx: Tx| async move {
            let mut rows = Vec::new();
            let mut next = Some(Range::all());
            while let Some(range) = next {
                let page = tx.range(range).await?;
                next = page.next();
                rows.extend(page.rows);
            }
            Ok(rows)
        };
        self.chat.read(read).await
    }

    /// Whether these bytes are anywhere in the store.
    async fn holds(&self, needle: &str) -> bool {
        let finder = |row: &Bytes| row.windows(needle.len()).any(|bytes| bytes == needle.as_bytes());
        self.rows().await.iter().any(|(key, value)| finder(key) || finder(value))
    }

    async fn outbox(&self) -> Vec<OutboxRow> {
        let mut rows = Vec::new();
        for shard in 0..OUTBOX_SHARDS {
            let page = self.chat.read(|tx| async move { Ok(tx.range(keys::pushes(shard)).await?) }).await.unwrap();
            rows.extend(page.rows.iter().map(|(_, value)| super::tx::decode_row::<OutboxRow>(value).unwrap()));
        }
        rows
    }
}

fn message_in(entry: &StoredEntry) -> Message {
    match entry.decode().unwrap().what {
        What::Message(message) => message,
        other => panic!("not a message: {other:?}"),
    }
}

fn publish(user: UserId, id: u128, op: impl IntoOp) -> Publish {
    let send = Send { client_msg_id: ClientMsgId(id.to_be_bytes()), op: op.into_op() };
    Publish { user, device: DeviceId(1), send }
}

fn text(text: &str) -> Body {
    Body::Text(text.to_owned())
}

fn message(words: &str) -> NewMessage {
    NewMessage { body: text(words), reply_to: None, mentions: Vec::new(), attachments: Vec::new() }
}

fn reply(reply_to: Seq, words: &str) -> NewMessage {
    NewMessage { reply_to: Some(reply_to), ..message(words) }
}

fn edit(target: Seq, words: &str) -> NewEdit {
    NewEdit { target, body: text(words), mentions: Vec::new() }
}

fn react(target: Seq, emoji: &str, on: bool) -> React {
    React { target, emoji: emoji.to_owned(), on }
}

fn delete(target: Seq) -> Delete {
    Delete { target }
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, ChatError>) -> ErrorCode {
    result.unwrap_err().to_wire().code
}

#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, WireError>) -> ErrorCode {
    result.unwrap_err().code
}

/// What can be sent.
pub(super) trait IntoOp {
    fn into_op(self) -> Op;
}

macro_rules! into_op {
    ($($kind:ident: $inner:ty),+) => {
        $( impl IntoOp for $inner {
            fn into_op(self) -> Op {
                Op::$kind(self)
            }
        } )+
    };
}
into_op!(Message: NewMessage, Edit: NewEdit, Delete: Delete, React: React);

impl IntoOp for Op {
    fn into_op(self) -> Op {
        self
    }
}
