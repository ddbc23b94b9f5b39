//! Hubs over a chat in memory.

mod hot;
mod property;
mod rules;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use suda_schema::channel::{Ack, ChannelDown, NewEdit, NewMessage, Op, Send};
use suda_schema::codec::{Codec, Decoded, binary};
use suda_schema::entry::{Body, Delete, Entry, React, What};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId, WireError};

use super::{Attachment, Ended, HubConfig, HubMetrics, Hubs, Out};
use crate::chat::append::Publish;
use crate::chat::channels::NewChannel;
use crate::chat::testing::{NOW_MS, config, wish};
use crate::chat::{Bell, Chat, ChatError, Topic};
use crate::clock::Clock;
use crate::store::{Faults, Store};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(20);

/// A chat, its hubs, and a group of three.
struct World {
    chat: Chat,
    hubs: Hubs,
    users: [UserId; 3],
    channel: ChannelId,
    made: AtomicU64,
    bell: Arc<HubBell>,
}

/// Rings the hubs.
#[derive(Default)]
struct HubBell(Mutex<Option<Hubs>>);

impl Bell for HubBell {
    fn ring(&self, topic: Topic) {
        if let (Some(hubs), Topic::Channel(channel)) = (&*self.0.lock().unwrap(), topic) {
            hubs.ring(channel);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The bell holds the hubs, which hold the chat, which holds the bell.
        *self.bell.0.lock().unwrap() = None;
    }
}

impl World {
    async fn new(config: HubConfig) -> Self {
        Self::over(Store::memory(), config).await
    }

    async fn faulty(faults: Faults, config: HubConfig) -> Self {
        Self::over(Store::memory_with(faults), config).await
    }

    async fn over(store: Store, hub_config: HubConfig) -> Self {
        let bell = Arc::new(HubBell::default());
        let chat = Chat::new(store, Clock::manual(NOW_MS, 7), 1, bell.clone(), config()).unwrap();
        let hubs = Hubs::new(chat.clone(), hub_config, HubMetrics::default());
        *bell.0.lock().unwrap() = Some(hubs.clone());
        let mut users = [UserId(0); 3];
        for (number, user) in users.iter_mut().enumerate() {
            *user = insist(async |tried| {
                let login = chat.sign_up(&wish(&format!("user_{number}_{tried}"))).await?;
                Ok::<_, ChatError>(login.user)
            })
            .await;
        }
        let members = users[1..].to_vec();
        let title = "room".to_owned();
        let new = NewChannel { kind: ChannelKind::Group, title, picture: None, members, request: None };
        let channel = insist(async |_| chat.create_channel(users[0], &new).await).await.channel;
        Self { chat, hubs, users, channel, made: 1.into(), bell }
    }

    fn publish(&self, by: usize, op: Op) -> Publish {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let client_msg_id = ClientMsgId(u128::from(number).to_be_bytes());
        Publish { user: self.users[by], device: DeviceId(1), send: Send { client_msg_id, op } }
    }

    /// Sends until it is known what became of it, as a client would.
    async fn send(&self, by: usize, op: Op) -> Result<Ack, WireError> {
        until_known(&self.hubs, self.channel, self.publish(by, op)).await
    }

    async fn say(&self, by: usize, text: &str) -> Seq {
        self.send(by, message(text)).await.unwrap().seq
    }

    async fn head(&self) -> Seq {
        insist(async |_| self.chat.pulse(self.channel).await).await.unwrap().head
    }

    /// An attachment as a session makes one.
    async fn attach(&self, user: usize, after: Option<Seq>) -> Attachment {
        let read = async |_| {
            let summary = self.chat.channel(self.users[user], self.channel).await?;
            Ok::<_, ChatError>((summary.head, self.chat.member_marks(self.channel).await?))
        };
        // What is sent from now on is not missed, whenever the rest is read.
        let mut attachment = self.hubs.attach(self.channel, self.users[user], Codec::Binary).unwrap();
        let (head, marks) = insist(read).await;
        attachment.begin(head, after.unwrap_or(head), &marks);
        attachment
    }
}

fn message(text: &str) -> Op {
    let body = Body::Text(text.to_owned());
    Op::Message(NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() })
}

fn edit(target: Seq, text: &str) -> Op {
    Op::Edit(NewEdit { target, body: Body::Text(text.to_owned()), mentions: Vec::new() })
}

fn react(target: Seq, emoji: &str, on: bool) -> Op {
    Op::React(React { target, emoji: emoji.to_owned(), on })
}

fn delete(target: Seq) -> Op {
    Op::Delete(Delete { target })
}

/// Tries until the store does it.
async fn insist<T, E>(op: impl AsyncFn(u32) -> Result<T, E>) -> T {
    soon("an operation over a faulty store", async {
        let mut tried = 0;
        loop {
            match op(tried).await {
                Ok(done) => return done,
                Err(_) => tried += 1,
            }
        }
    })
    .await
}

/// Publishes until it is known what became of it.
async fn until_known(hubs: &Hubs, channel: ChannelId, publish: Publish) -> Result<Ack, WireError> {
    soon("a send", async {
        loop {
            match hubs.publish(channel, publish.clone()).await {
                Err(error) if error.code.retry() == suda_schema::error::Retry::Later => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                result => return result,
            }
        }
    })
    .await
}

/// Within the time that anything may take.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("took too long: {what}"))
}

/// Waits until this holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The frames in some bytes.
fn frames(mut bytes: &[u8]) -> Vec<ChannelDown> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, len) = binary::decode::<ChannelDown>(bytes, usize::MAX).unwrap().unwrap();
        let Decoded::Frame(frame) = frame else { panic!("unknown") };
        frames.push(frame);
        bytes = &bytes[len..];
    }
    frames
}

/// Reads until it has at least so many entries, or the end.
async fn read(attachment: &mut Attachment, at_least: usize) -> (Vec<Entry>, Option<Ended>) {
    let mut entries = Vec::new();
    while entries.len() < at_least {
        match soon("an entry", attachment.next()).await {
            Out::Frame(bytes) => {
                for frame in frames(&bytes) {
                    if let ChannelDown::Entries(more) = frame {
                        entries.extend(more.entries);
                    }
                }
            }
            Out::News(_) => {}
            Out::Ended(ended) => return (entries, Some(ended)),
        }
    }
    (entries, None)
}

fn seqs(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq.0).collect()
}

/// The text that an entry shows, if it shows one.
fn text(entry: &Entry) -> Option<&str> {
    match &entry.what {
        What::Message(message) => body_text(&message.body),
        What::Edit(edit) => body_text(&edit.body),
        _ => None,
    }
}

fn body_text(body: &Body) -> Option<&str> {
    if let Body::Text(text) = body { Some(text) } else { None }
}
