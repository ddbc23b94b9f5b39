//! The SDK's side: a task that does what is to be done, in order, and tells the model what is new.

use std::collections::{HashMap, HashSet, VecDeque};

use suda_client::schema::event::UserEvent;
use suda_client::schema::limits::PRESENCE_USERS_MAX;
use suda_client::{Channel, ChannelId, Client, ClientMsgId, Event, Outcome, Timeline, UserId};
use tokio::sync::mpsc;

use super::{deeds, now_ms};
use crate::model::say::{Cmd, News};

/// How many texts that are on their way are remembered, to be given back if they are refused.
const TEXTS_MAX: usize = 1_000;
/// How many conversations are followed without being looked at.
const NEAR: usize = 8;
/// The conversation that is looked at.
struct Looking {
    channel: Channel,
    timeline: Timeline,
}

pub(super) struct Bridge {
    pub(super) client: Client,
    pub(super) news: mpsc::Sender<News>,
    looking: Option<Looking>,
    texts: HashMap<ClientMsgId, String>,
    order: VecDeque<ClientMsgId>,
    user: UserId,
    /// The conversations that were busy last: their messages come without anybody looking, so that they are there when
    /// somebody does, with a network or without, and so that others see them delivered.
    near: Vec<Channel>,
    /// Whose presence was asked for since there is this session.
    asked: HashSet<UserId>,
}

/// Runs until the model or the client is gone.
pub(super) async fn run(client: Client, news: mpsc::Sender<News>, mut cmds: mpsc::Receiver<Cmd>) {
    let mut events = client.events();
    let mut bridge = Bridge {
        client,
        news,
        looking: None,
        texts: HashMap::new(),
        order: VecDeque::new(),
        user: UserId(0),
        near: Vec::new(),
        asked: HashSet::new(),
    };
    bridge.greet().await;
    loop {
        let next = tokio::select! {
            biased;
            cmd = cmds.recv() => match cmd {
                Some(cmd) => Next::Cmd(cmd),
                None => break,
            },
            event = events.next() => match event {
                Some(event) => Next::Event(event),
                None => break,
            },
            update = update(&mut bridge.looking) => Next::Update(update),
        };
        match next {
            Next::Cmd(cmd) => bridge.carry_out(cmd).await,
            Next::Event(event) => bridge.heard(event).await,
            Next::Update(Some((channel, update))) => {
                bridge.tell(News::Timeline(channel, update)).await;
                bridge.beside().await;
            }
            Next::Update(None) => bridge.looking = None,
        }
    }
    // The node hears it now and not when it has waited.
    bridge.client.disconnect();
}

enum Next {
    Cmd(Cmd),
    Event(Event),
    Update(Option<(ChannelId, suda_client::Update)>),
}

async fn update(looking: &mut Option<Looking>) -> Option<(ChannelId, suda_client::Update)> {
    match looking {
        Some(looking) => looking.timeline.next().await.map(|update| (looking.channel.id(), update)),
        None => std::future::pending().await,
    }
}

impl Bridge {
    /// Nobody may listen any more: then it is over soon.
    pub(super) async fn tell(&self, news: News) {
        let _ = self.news.send(news).await;
    }

    /// Says how things are at the beginning, and after somebody has logged in.
    async fn greet(&mut self) {
        let user = self.client.user();
        if user.0 != 0 && std::mem::replace(&mut self.user, user) != user {
            self.tell(News::LoggedIn { user }).await;
        }
        self.link().await;
        self.rows().await;
    }

    async fn link(&self) {
        let status = self.client.status();
        let retry_in = self.client.retry_in();
        let retry_at_ms =
            retry_in.map(|wait| now_ms().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
        let waiting = if status.is_online() { 0 } else { self.client.outbox_len() };
        self.tell(News::Link { status, retry_at_ms, waiting }).await;
    }

    async fn rows(&mut self) {
        let rows = self.client.channels();
        let near: Vec<Channel> = rows.iter().take(NEAR).map(|row| self.client.channel(row.channel)).collect();
        // What was held before is let go after the new is held, so that what stays never ends.
        self.near = near;
        self.tell(News::Rows(rows)).await;
        if self.client.status().is_online() {
            self.ask_presence();
        }
    }

    /// Who types, and how far the others have read, where it is looked.
    async fn beside(&self) {
        let Some(looking) = &self.looking else { return };
        let channel = &looking.channel;
        let news = News::Beside { channel: channel.id(), typing: channel.typing(), marks: channel.marks() };
        self.tell(news).await;
    }

    async fn heard(&mut self, event: Event) {
        match event {
            Event::Status(_) => self.link().await,
            Event::Welcome { .. } => {
                self.asked.clear();
                self.greet().await;
            }
            Event::ChannelList => self.rows().await,
            Event::Channel(channel) => {
                if self.looking.as_ref().is_some_and(|looking| looking.channel.id() == channel) {
                    self.beside().await;
                }
                if !self.client.status().is_online() {
                    self.link().await;
                }
            }
            Event::ChannelGone(channel) => {
                self.tell(News::Gone(channel)).await;
                self.rows().await;
            }
            Event::Sent { channel, id, outcome } => {
                let text = self.texts.remove(&id);
                if let Outcome::Refused(error) = outcome {
                    self.tell(News::NotSent { channel, text, error: error.to_string() }).await;
                }
            }
            Event::Presence { users: Ok(users), .. } => self.tell(News::Presence(users)).await,
            Event::User(entry) => match entry.event {
                UserEvent::FriendRequest(who) => self.tell(News::FriendRequest(who.user)).await,
                UserEvent::FriendAdded(_) | UserEvent::FriendRemoved(_) => deeds::begin(self, Cmd::Friends),
                _ => {}
            },
            Event::StorageFailed(error) => self.tell(News::Failed(format!("Nothing can be kept: {error}"))).await,
            Event::Missed => {
                self.greet().await;
                self.beside().await;
            }
            _ => {}
        }
    }

    /// Asks who is there, of those that one talks to and has not asked about; of them one hears by oneself from then on.
    fn ask_presence(&mut self) {
        let peers = self.client.channels().into_iter().filter_map(|row| row.peer);
        let peers: Vec<UserId> = peers.filter(|peer| self.asked.insert(*peer)).take(PRESENCE_USERS_MAX).collect();
        if peers.is_empty() {
            return;
        }
        let (client, news) = (self.client.clone(), self.news.clone());
        tokio::spawn(async move {
            if let Ok(users) = client.ask_presence(&peers).await {
                // Nobody may listen any more.
                let _ = news.send(News::Presence(users)).await;
            }
        });
    }

    async fn carry_out(&mut self, cmd: Cmd) {
        match cmd {
            Cmd::Open(id) => {
                let channel = self.client.channel(id);
                self.looking = Some(Looking { timeline: channel.timeline(), channel });
                self.beside().await;
            }
            Cmd::Close => self.looking = None,
            Cmd::Send { channel: id, text, reply_to } => {
                let channel = self.client.channel(id);
                let mut draft = suda_client::Draft::text(&text);
                if let Some(seq) = reply_to {
                    draft = draft.reply_to(seq);
                }
                self.sent(channel.send_message(draft), id, Some(text)).await;
            }
            Cmd::Edit { channel: id, target, text } => {
                let sending = self.client.channel(id).edit(target, text.clone());
                self.sent(sending, id, None).await;
            }
            Cmd::Delete { channel: id, target } => {
                let sending = self.client.channel(id).delete(target);
                self.sent(sending, id, None).await;
            }
            Cmd::React { channel: id, target, emoji, on } => {
                let sending = self.client.channel(id).react(target, emoji, on);
                self.sent(sending, id, None).await;
            }
            Cmd::Typing { channel, on } => self.client.channel(channel).set_typing(on),
            Cmd::Read { channel, seq } => self.client.channel(channel).mark_read(seq),
            Cmd::Active(active) => self.client.set_active(active),
            Cmd::Reconnect => self.client.reconnect(),
            Cmd::LogOut => {
                self.looking = None;
                self.near.clear();
                let done = self.client.logout().await;
                self.user = UserId(0);
                self.tell(News::LoggedOut).await;
                if let Err(error) = done {
                    self.tell(News::Denied(format!("The server was not told: {error}"))).await;
                }
            }
            cmd => deeds::begin(self, cmd),
        }
    }

    async fn sent(&mut self, sending: suda_client::Sending, channel: ChannelId, text: Option<String>) {
        match (sending.id(), text) {
            (Some(id), Some(text)) => {
                if self.order.len() >= TEXTS_MAX
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.texts.remove(&oldest);
                }
                self.order.push_back(id);
                self.texts.insert(id, text);
            }
            (Some(_), None) => {}
            (None, text) => {
                let error = match sending.await {
                    Ok(_) => return,
                    Err(error) => error.to_string(),
                };
                self.tell(News::NotSent { channel, text, error }).await;
            }
        }
    }
}
