//! A node over a store in memory, and clients that speak frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use suda_schema::channel::{Ack, Attached, ChannelDown, ChannelUp, NewMessage, Op, Send};
use suda_schema::codec::{Codec, Decoded};
use suda_schema::control::{Closing, ControlDown, ControlUp, Welcome};
use suda_schema::entry::{Body, Entry};
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_schema::open::{Activity, Attach, Hello, Open, Start};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, CloseCode, Seq, UserId};
use suda_server::channel::{HubConfig, HubMetrics, Hubs};
use suda_server::chat::accounts::SignUp;
use suda_server::chat::auth::{AuthConfig, Login, PasswordConfig};
use suda_server::chat::channels::NewChannel;
use suda_server::chat::devices::{NewDevice, Platform};
use suda_server::chat::{Chat, ChatConfig};
use suda_server::clock::Clock;
use suda_server::link::pair::{PairClient, PairConfig, pair};
use suda_server::link::{LinkEnd, LinkKind, StreamReader, StreamWriter};
use suda_server::rate::RateLimiter;
use suda_server::session::{LocalBell, SessionConfig, SessionMetrics, Sessions};
use suda_server::store::Store;

pub const PASSWORD: &str = "correct horse";
/// How long anything may take.
pub const SOON: Duration = Duration::from_secs(30);
const NOW_MS: u64 = 1_800_000_000_000;

/// A node without links of its own.
#[derive(Clone)]
pub struct World {
    pub chat: Chat,
    pub hubs: Hubs,
    pub sessions: Sessions,
    pub clock: Clock,
    made: Arc<AtomicU64>,
}

impl World {
    pub fn new() -> Self {
        Self::with(SessionConfig::default(), HubConfig::default())
    }

    pub fn with_sessions(config: SessionConfig) -> Self {
        Self::with(config, HubConfig::default())
    }

    pub fn with(config: SessionConfig, hubs: HubConfig) -> Self {
        Self::over(Store::memory(), config, hubs)
    }

    pub fn over(store: Store, config: SessionConfig, hub_config: HubConfig) -> Self {
        let clock = Clock::manual(NOW_MS, 7);
        let passwords = PasswordConfig { memory_kib: 8, passes: 1, ..PasswordConfig::default() };
        let chat_config =
            ChatConfig { auth: AuthConfig { passwords, ..AuthConfig::default() }, ..ChatConfig::default() };
        let bell = Arc::new(LocalBell::new());
        let chat = Chat::new(store, clock.clone(), 1, bell.clone(), chat_config).unwrap();
        let hubs = Hubs::new(chat.clone(), hub_config, HubMetrics::default());
        let limiter = Arc::new(RateLimiter::new(clock.clone()));
        let sessions = Sessions::new(chat.clone(), hubs.clone(), config, SessionMetrics::default(), limiter, 1);
        bell.connect(hubs.clone(), sessions.clone());
        Self { chat, hubs, sessions, clock, made: Arc::new(AtomicU64::new(1)) }
    }

    pub async fn sign_up(&self, handle: &str) -> Login {
        let request = SignUp {
            handle: handle.to_owned(),
            display_name: String::new(),
            password: PASSWORD.to_owned(),
            device: device(),
        };
        self.chat.sign_up(&request).await.unwrap()
    }

    /// Another device of the same user.
    pub async fn log_in(&self, handle: &str) -> Login {
        self.chat.login(handle, PASSWORD, &device()).await.unwrap()
    }

    /// A group of these users, owned by the first.
    pub async fn group(&self, users: &[UserId]) -> ChannelId {
        self.channel(ChannelKind::Group, users).await
    }

    pub async fn channel(&self, kind: ChannelKind, users: &[UserId]) -> ChannelId {
        let members = users[1..].to_vec();
        let new = NewChannel { kind, title: "room".to_owned(), picture: None, members, request: None };
        self.chat.create_channel(users[0], &new).await.unwrap().channel
    }

    pub async fn head(&self, channel: ChannelId) -> Seq {
        self.chat.pulse(channel).await.unwrap().unwrap().head
    }

    /// A message with an id of its own.
    pub fn message(&self, text: &str) -> Send {
        let body = Body::Text(text.to_owned());
        self.op(Op::Message(NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() }))
    }

    pub fn op(&self, op: Op) -> Send {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Send { client_msg_id: ClientMsgId(u128::from(number).to_be_bytes()), op }
    }

    /// A link that has said nothing yet.
    pub fn dial(&self, config: PairConfig) -> PairClient {
        let (link, client) = pair(config);
        let sessions = self.sessions.clone();
        tokio::spawn(async move { sessions.serve(link).await });
        client
    }

    /// A link with a session.
    pub async fn connect(&self, login: &Login) -> Client {
        self.connect_as(login, PairConfig::default(), |_| {}).await
    }

    pub async fn connect_as(&self, login: &Login, config: PairConfig, hello: impl FnOnce(&mut Hello)) -> Client {
        let mut said = say_hello(login);
        hello(&mut said);
        let mut client = Client::open(self.dial(config), config.kind, &Open::Control(said)).await;
        let ControlDown::Welcome(welcome) = client.next().await else { panic!("no welcome") };
        client.welcome = Some(welcome);
        client
    }

    /// A link that is closed instead of being welcomed: why.
    pub async fn refused(&self, first: &Open) -> Closing {
        let config = PairConfig::default();
        Client::open(self.dial(config), config.kind, first).await.closing().await
    }

    pub fn rejected(&self) -> String {
        let mut registry = prometheus_client::registry::Registry::default();
        self.sessions.metrics().register(&mut registry);
        self.hubs.metrics().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }
}

pub fn device() -> NewDevice {
    NewDevice { name: "phone".to_owned(), platform: Platform::Ios }
}

pub fn say_hello(login: &Login) -> Hello {
    Hello {
        token: login.tokens.access.clone(),
        client: "test/1".to_owned(),
        user_cursor: None,
        sync_limit: 0,
        activity: Activity::Active,
    }
}

/// JSON over WebSocket, as far as the frames go.
pub fn json() -> PairConfig {
    PairConfig { kind: LinkKind::WebSocketJson, datagrams: false, ..PairConfig::default() }
}

/// Within the time that anything may take.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.unwrap_or_else(|_| panic!("took too long: {what}"))
}

/// Waits until this holds.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// The client's end of a link, and its control stream.
pub struct Client {
    pub link: PairClient,
    pub codec: Codec,
    pub reader: StreamReader,
    pub writer: StreamWriter,
    welcome: Option<Welcome>,
}

impl Client {
    pub async fn open(link: PairClient, kind: LinkKind, first: &Open) -> Self {
        let (reader, mut writer) = link.open().await.unwrap();
        let codec = kind.codec();
        writer.write(codec.encode(first)).await.unwrap();
        Self { link, codec, reader, writer, welcome: None }
    }

    pub fn welcome(&self) -> &Welcome {
        self.welcome.as_ref().unwrap()
    }

    pub async fn say(&mut self, frame: impl Into<ControlUp>) {
        let frame = self.codec.encode(&frame.into());
        self.writer.write(frame).await.unwrap();
    }

    pub async fn say_raw(&mut self, bytes: &[u8]) {
        self.writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    }

    /// The next frame on the control stream.
    pub async fn next(&mut self) -> ControlDown {
        let frame = soon("a control frame", self.reader.frame(FRAME_BYTES_MAX)).await;
        let frame = frame.unwrap_or_else(|error| panic!("{error}")).expect("the control stream goes on");
        match frame.decode().unwrap() {
            Decoded::Frame(frame) => frame,
            Decoded::Unknown => panic!("unknown frame"),
        }
    }

    /// The next frame that this takes; others are passed over.
    pub async fn expect<T>(&mut self, what: &str, mut take: impl FnMut(ControlDown) -> Option<T>) -> T {
        let mut passed = Vec::new();
        loop {
            let frame = self.next().await;
            if let ControlDown::Closing(closing) = &frame
                && take(frame.clone()).is_none()
            {
                panic!("expected {what}, was closed: {closing:?}");
            }
            match take(frame.clone()) {
                Some(taken) => return taken,
                None => passed.push(frame),
            }
            assert!(passed.len() < 10_000, "expected {what}, got {passed:?}");
        }
    }

    /// Why the link is closed: in-band, and then by the link itself with the same code.
    pub async fn closing(&mut self) -> Closing {
        let closing = self
            .expect("closing", |frame| if let ControlDown::Closing(closing) = frame { Some(closing) } else { None })
            .await;
        let end = soon("the link's end", self.link.closed()).await;
        assert!(matches!(&end, LinkEnd::Peer { code, .. } if *code == closing.code), "{end:?}, {closing:?}");
        closing
    }

    pub async fn closed_with(&mut self, code: CloseCode) {
        let closing = self.closing().await;
        assert_eq!(closing.code, code, "{closing:?}");
    }

    /// Opens a stream with this first frame.
    pub async fn stream(&self, first: &Open) -> View {
        let (reader, mut writer) = soon("a stream", self.link.open()).await.unwrap();
        writer.write(self.codec.encode(first)).await.unwrap();
        View { codec: self.codec, reader, writer }
    }

    /// Asks for an attachment.
    pub async fn ask(&self, channel: ChannelId, from: Start) -> View {
        self.stream(&Open::Attach(Attach { channel, from })).await
    }

    /// Attaches.
    pub async fn attach(&self, channel: ChannelId, from: Start) -> (View, Attached) {
        let mut view = self.ask(channel, from).await;
        match view.next().await {
            ChannelDown::Attached(attached) => (view, attached),
            other => panic!("not attached: {other:?}"),
        }
    }

    /// Attaches and passes over the members' positions.
    pub async fn view(&self, channel: ChannelId) -> View {
        self.attach(channel, Start::Tail(0)).await.0
    }
}

/// The client's end of an attachment.
pub struct View {
    codec: Codec,
    pub reader: StreamReader,
    pub writer: StreamWriter,
}

impl View {
    pub async fn say(&mut self, frame: impl Into<ChannelUp>) {
        let frame = self.codec.encode(&frame.into());
        soon("room to say it", self.writer.write(frame)).await.unwrap();
    }

    pub async fn say_raw(&mut self, bytes: &[u8]) {
        self.writer.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn try_next(&mut self) -> Option<ChannelDown> {
        match soon("a frame", self.reader.frame(FRAME_BYTES_MAX)).await {
            Ok(Some(frame)) => match frame.decode().unwrap() {
                Decoded::Frame(frame) => Some(frame),
                Decoded::Unknown => panic!("unknown frame"),
            },
            _ => None,
        }
    }

    pub async fn next(&mut self) -> ChannelDown {
        self.try_next().await.expect("the stream goes on")
    }

    /// The next frame that this takes; others are passed over.
    pub async fn expect<T>(&mut self, what: &str, mut take: impl FnMut(ChannelDown) -> Option<T>) -> T {
        loop {
            let frame = self.next().await;
            if let ChannelDown::Closed(closing) = &frame
                && take(frame.clone()).is_none()
            {
                panic!("expected {what}, was closed: {closing:?}");
            }
            if let Some(taken) = take(frame) {
                return taken;
            }
        }
    }

    /// Reads so many entries.
    pub async fn entries(&mut self, count: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        while entries.len() < count {
            entries.extend(self.expect("entries", entries_of).await);
        }
        entries
    }

    /// Reads so many entries: their seqs.
    pub async fn seqs(&mut self, count: usize) -> Vec<u64> {
        self.entries(count).await.iter().map(|entry| entry.seq.0).collect()
    }

    pub async fn ack(&mut self) -> Ack {
        self.expect("an ack", |frame| match frame {
            ChannelDown::Ack(ack) => Some(ack),
            ChannelDown::Refused(refused) => panic!("{refused:?}"),
            _ => None,
        })
        .await
    }

    pub async fn refused(&mut self) -> suda_schema::channel::Refused {
        self.expect("a refusal", |frame| if let ChannelDown::Refused(refused) = frame { Some(refused) } else { None })
            .await
    }

    /// Why the attachment ended; nothing comes after it.
    pub async fn closed(&mut self) -> Closing {
        let closing = self
            .expect("closed", |frame| if let ChannelDown::Closed(closing) = frame { Some(closing) } else { None })
            .await;
        assert_eq!(self.try_next().await, None, "something came after the end");
        closing
    }

    pub async fn closed_with(&mut self, code: CloseCode) {
        let closing = self.closed().await;
        assert_eq!(closing.code, code, "{closing:?}");
    }
}

pub fn entries_of(frame: ChannelDown) -> Option<Vec<Entry>> {
    if let ChannelDown::Entries(entries) = frame { Some(entries.entries) } else { None }
}

impl Client {
    /// Over a control stream on which something else than a frame was said.
    pub fn of(link: PairClient, reader: StreamReader, writer: StreamWriter) -> Self {
        Self { link, codec: Codec::Binary, reader, writer, welcome: None }
    }
}

impl View {
    /// Over a stream on which something else than a frame was said.
    pub fn of(reader: StreamReader, writer: StreamWriter) -> Self {
        Self { codec: Codec::Binary, reader, writer }
    }
}
