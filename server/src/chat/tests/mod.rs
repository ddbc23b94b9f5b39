//! The channel half of chat, on the engine in memory.

mod append;

use suda_schema::channel::{Ack, NewEdit, NewMessage, Op, Send};
use suda_schema::entry::{Body, Delete, Entry, Message, React, What};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, ErrorCode, Seq, UserId, WireError};

use super::accounts::{self, Account, Standing};
use super::append::Publish;
use super::channels::NewChannel;
use super::log::PageLimit;
use super::profile::Profile;
use super::testing::{self, Rung};
use super::{Chat, ChatError, Topic, Tx};

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
        let (chat, rung) = testing::chat();
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
        let account = Account {
            handle: format!("user{user}"),
            made_at_ms: 0,
            standing: Standing::Live,
            external: None,
            profile: Profile::default(),
        };
        let account = &account;
        let put = |tx: Tx| async move {
            accounts::put(&tx, user, account);
            Ok(())
        };
        self.chat.run_idempotent(put).await.unwrap();
        self.users.push(user);
        user
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
        match page.entries[0].decode().unwrap().what {
            What::Message(message) => message,
            other => panic!("not a message: {other:?}"),
        }
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
