//! A chat over a store, with one user who owns all channels.

use std::sync::Arc;

use futures_util::future::join_all;
use suda_schema::channel::{NewMessage, Op, Send};
use suda_schema::entry::Body;
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, UserId};
use suda_server::channel::{HubConfig, HubMetrics, Hubs};
use suda_server::chat::accounts::SignUp;
use suda_server::chat::append::{BATCH_SENDS_MAX, Publish};
use suda_server::chat::channels::NewChannel;
use suda_server::chat::devices::{NewDevice, Platform};
use suda_server::chat::members::ADDED_AT_ONCE_MAX;
use suda_server::chat::topic::Silent;
use suda_server::chat::{Chat, ChatConfig};
use suda_server::clock::Clock;
use suda_server::store::{Embedded, Store};
use suda_tests::people::new_id;
use tempfile::TempDir;

/// How long each text is.
const TEXT_BYTES: usize = 128;

/// Whether `make bench-full` asks.
pub(crate) fn is_full() -> bool {
    std::env::var_os("SUDA_BENCH_FULL").is_some()
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) chat: Chat,
    pub(crate) user: UserId,
    device: DeviceId,
    /// The store's, as long as it is used.
    _folder: Option<TempDir>,
}

impl World {
    /// On the build's own disk.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let store = Store::embedded(Embedded::new(folder.path().join("store")), Clock::system()).expect("a store");
        Self::over(store, Some(folder)).await
    }

    pub(crate) async fn memory() -> Self {
        Self::over(Store::memory(), None).await
    }

    async fn over(store: Store, folder: Option<TempDir>) -> Self {
        let mut config = ChatConfig::default();
        config.limits.channels_per_user_max = u32::MAX;
        // What a password costs is not measured here.
        config.auth.passwords.memory_kib = 8;
        config.auth.passwords.passes = 1;
        config.auth.passwords.waiting_max = usize::MAX;
        config.auth.passwords.wait_ms_max = 60_000;
        let chat = Chat::new(store.clone(), Clock::system(), 1, Arc::new(Silent), config).expect("a chat");
        let login = chat.sign_up(&account("bench")).await.expect("an account");
        Self { store, chat, user: login.user, device: login.device, _folder: folder }
    }

    pub(crate) async fn channel(&self) -> ChannelId {
        self.channel_of(ChannelKind::Group).await
    }

    async fn channel_of(&self, kind: ChannelKind) -> ChannelId {
        let new = NewChannel { kind, title: "bench".to_owned(), picture: None, members: Vec::new(), request: None };
        self.chat.create_channel(self.user, &new).await.expect("a channel").channel
    }

    /// A broadcast channel with so many members, the user among them.
    pub(crate) async fn broadcast(&self, members: usize) -> ChannelId {
        let channel = self.channel_of(ChannelKind::Broadcast).await;
        let others: Vec<usize> = (1..members).collect();
        for some in others.chunks(ADDED_AT_ONCE_MAX) {
            let accounts: Vec<_> = some.iter().map(|number| account(&format!("m{members}_{number}"))).collect();
            let signed_up = join_all(accounts.iter().map(|account| self.chat.sign_up(account))).await;
            let users: Vec<_> = signed_up.into_iter().map(|login| login.expect("an account").user).collect();
            self.chat.add_members(self.user, channel, &users).await.expect("members");
        }
        channel
    }

    /// Hubs that know of no channel yet. To be called within a runtime.
    pub(crate) fn hubs(&self) -> Hubs {
        Hubs::new(self.chat.clone(), HubConfig::default(), HubMetrics::default())
    }

    pub(crate) fn publish(&self) -> Publish {
        publish(self.user, self.device, new_id())
    }

    /// Appends until the channel's log has so many entries.
    pub(crate) async fn fill(&self, channel: ChannelId, entries: u64) {
        loop {
            let head = self.chat.pulse(channel).await.expect("a store").expect("a channel").head.0;
            let missing = usize::try_from(entries.saturating_sub(head)).expect("not so many");
            if missing == 0 {
                return;
            }
            let sends: Vec<_> = (0..missing.min(BATCH_SENDS_MAX)).map(|_| self.publish()).collect();
            let outcome = self.chat.append(channel, &sends).await.expect("an append");
            assert!(outcome.results.iter().all(Result::is_ok), "a send was refused");
        }
    }
}

fn account(handle: &str) -> SignUp {
    SignUp {
        handle: handle.to_owned(),
        display_name: String::new(),
        password: "correct horse battery".to_owned(),
        device: NewDevice { name: "bench".to_owned(), platform: Platform::Desktop },
    }
}

fn publish(user: UserId, device: DeviceId, client_msg_id: ClientMsgId) -> Publish {
    let message = NewMessage {
        body: Body::Text("x".repeat(TEXT_BYTES)),
        reply_to: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
    };
    Publish { user, device, send: Send { client_msg_id, op: Op::Message(message) } }
}
