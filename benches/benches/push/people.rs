//! People who are away, for whom the outbox fills.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use suda_schema::channel::{NewMessage, Op, Send};
use suda_schema::entry::Body;
use suda_schema::summary::{ChannelKind, Mute};
use suda_schema::{ChannelId, DeviceId, UserId};
use suda_server::chat::accounts::SignUp;
use suda_server::chat::append::Publish;
use suda_server::chat::auth::{AuthConfig, PasswordConfig};
use suda_server::chat::channels::NewChannel;
use suda_server::chat::devices::{NewDevice, Platform};
use suda_server::chat::push::PushKind;
use suda_server::chat::topic::Silent;
use suda_server::chat::{Chat, ChatConfig, ChatLimits};
use suda_server::clock::Clock;
use suda_server::store::Store;
use suda_tests::people::new_id;

/// How long each text is.
const TEXT_BYTES: usize = 128;

pub(crate) struct People {
    pub(crate) chat: Chat,
    writer: (UserId, DeviceId),
    /// One with each of those who are away.
    conversations: Vec<ChannelId>,
    /// All of them have asked to be told of it.
    broadcast: ChannelId,
}

impl People {
    pub(crate) async fn over(store: Store, count: usize) -> Result<Self> {
        let passwords = PasswordConfig { memory_kib: 8, passes: 1, waiting_max: 1_000, ..PasswordConfig::default() };
        let auth = AuthConfig { passwords, ..AuthConfig::default() };
        let limits = ChatLimits { push_outbox: true, channels_per_user_max: u32::MAX, ..ChatLimits::default() };
        let chat = Chat::new(store, Clock::system(), 1, Arc::new(Silent), ChatConfig { limits, auth })?;
        let writer = sign_up(&chat, "writer".to_owned()).await?;
        let (kind, title) = (ChannelKind::Broadcast, "bench".to_owned());
        let new = NewChannel { kind, title, picture: None, members: Vec::new(), request: None };
        let broadcast = chat.create_channel(writer.0, &new).await?.channel;
        let code = chat.make_invite(writer.0, broadcast).await?;
        let mut conversations = Vec::new();
        for number in 0..count {
            let (user, device) = sign_up(&chat, format!("away_{number}")).await?;
            chat.register_push(user, device, PushKind::Apns, &format!("{number:064x}")).await?;
            chat.join(user, &code).await?;
            chat.set_mute(user, broadcast, Mute::Off).await?;
            conversations.push(chat.open_direct(writer.0, user).await?.channel);
        }
        Ok(Self { chat, writer, conversations, broadcast })
    }

    /// So much is said in each conversation.
    pub(crate) async fn say(&self, times: usize) -> Result<()> {
        for channel in &self.conversations {
            self.append(*channel, times).await?;
        }
        Ok(())
    }

    /// The same to all at once.
    pub(crate) async fn say_to_all(&self, times: usize) -> Result<()> {
        self.append(self.broadcast, times).await
    }

    async fn append(&self, channel: ChannelId, times: usize) -> Result<()> {
        let (user, device) = self.writer;
        let publish = || {
            let body = Body::Text("x".repeat(TEXT_BYTES));
            let message = NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() };
            Publish { user, device, send: Send { client_msg_id: new_id(), op: Op::Message(message) } }
        };
        let batch: Vec<Publish> = std::iter::repeat_with(publish).take(times).collect();
        for result in self.chat.append(channel, &batch).await?.results {
            result.ok().context("refused")?;
        }
        Ok(())
    }
}

async fn sign_up(chat: &Chat, handle: String) -> Result<(UserId, DeviceId)> {
    let device = NewDevice { name: "phone".to_owned(), platform: Platform::Ios };
    let sign_up = SignUp { handle, display_name: "Kim".to_owned(), password: "correct horse".to_owned(), device };
    let login = chat.sign_up(&sign_up).await?;
    Ok((login.user, login.device))
}
