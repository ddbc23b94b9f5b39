//! People on a chat in memory, and notifiers over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use suda_schema::channel::{Marks, NewMessage, Op, Send};
use suda_schema::entry::Body;
use suda_schema::open::Activity;
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId};
use suda_server::chat::accounts::SignUp;
use suda_server::chat::append::Publish;
use suda_server::chat::auth::{AuthConfig, PasswordConfig};
use suda_server::chat::channels::NewChannel;
use suda_server::chat::devices::{NewDevice, Platform};
use suda_server::chat::presence::LinkId;
use suda_server::chat::push::PushKind;
use suda_server::chat::{Bell, Chat, ChatConfig, ChatLimits, Topic};
use suda_server::clock::Clock;
use suda_server::notifier::{
    ApnsConfig, Backoff, BreakerConfig, Exempt, FcmConfig, Hidden, Notifier, NotifierConfig, PushMetrics, WebPushConfig,
};
use suda_server::store::Store;
use suda_tests::providers::{KEY_ID, Providers, TEAM, TOPIC};

/// How long anything is waited for.
const WAIT: Duration = Duration::from_secs(30);

struct Quiet;

impl Bell for Quiet {
    fn ring(&self, _: Topic) {}
}

pub(crate) struct World {
    pub(crate) chat: Chat,
    pub(crate) providers: Providers,
    pub(crate) config: NotifierConfig,
    pub(crate) metrics: PushMetrics,
    numbers: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let providers = Providers::start().await;
        let passwords = PasswordConfig { memory_kib: 8, passes: 1, waiting_max: 1_000, ..PasswordConfig::default() };
        let limits = ChatLimits { push_outbox: true, ..ChatLimits::default() };
        let config = ChatConfig { limits, auth: AuthConfig { passwords, ..AuthConfig::default() } };
        let chat = Chat::new(Store::memory(), Clock::system(), 1, Arc::new(Quiet), config).unwrap();
        let config = NotifierConfig {
            apns: Some(ApnsConfig {
                team_id: TEAM.to_owned(),
                key_id: KEY_ID.to_owned(),
                key: Hidden(providers.apns_key()),
                topic: TOPIC.to_owned(),
                production_url: providers.url(),
                sandbox_url: providers.url(),
                sandbox: false,
            }),
            fcm: Some(FcmConfig {
                account: Hidden(providers.fcm_account()),
                url: providers.url(),
                token_url: None,
                data_only: false,
            }),
            webpush: Some(WebPushConfig {
                key: Hidden(providers.vapid_key()),
                contact: "mailto:push@suda.example".to_owned(),
                exempt: Exempt(vec!["127.0.0.1".parse().unwrap()]),
                dismiss: false,
            }),
            extra_roots: Some(providers.root_pem().to_owned()),
            wait_ms: 200,
            recheck_ms: 600,
            idle_ms: 1_000,
            backoff: Backoff { first_ms: 50, most_ms: 400 },
            breaker: BreakerConfig { failures: 5, open_ms: 200, open_ms_max: 800 },
            request_ms: 3_000,
            lease_ms: 1_000,
            ..NotifierConfig::default()
        };
        Self { chat, providers, config, metrics: PushMetrics::default(), numbers: AtomicU64::new(1) }
    }

    pub(crate) fn notifier(&self, node: u16) -> Notifier {
        Notifier::start(self.chat.clone(), node, self.config.clone(), self.metrics.clone()).unwrap()
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) async fn person(&self) -> Person {
        let handle = format!("user_{}", self.number());
        let device = NewDevice { name: "phone".to_owned(), platform: Platform::Ios };
        let sign_up = SignUp { handle, display_name: String::new(), password: "correct horse".to_owned(), device };
        let login = self.chat.sign_up(&sign_up).await.unwrap();
        Person { user: login.user, device: login.device }
    }

    /// A person with an iPhone; its token.
    pub(crate) async fn apple_person(&self) -> (Person, String) {
        let person = self.person().await;
        let token = format!("{:064x}", self.number());
        self.chat.register_push(person.user, person.device, PushKind::Apns, &token).await.unwrap();
        (person, token)
    }

    pub(crate) async fn direct(&self, one: Person, other: Person) -> ChannelId {
        self.chat.open_direct(one.user, other.user).await.unwrap().channel
    }

    pub(crate) async fn channel(&self, kind: ChannelKind, owner: Person, members: &[Person]) -> ChannelId {
        let members = members.iter().map(|person| person.user).collect();
        let new = NewChannel { kind, title: "Lunch".to_owned(), picture: None, members, request: None };
        self.chat.create_channel(owner.user, &new).await.unwrap().channel
    }

    pub(crate) async fn say(&self, channel: ChannelId, by: Person, text: &str) -> Seq {
        self.send(channel, by, text, None, Vec::new()).await
    }

    pub(crate) async fn send(
        &self,
        channel: ChannelId,
        by: Person,
        text: &str,
        reply_to: Option<Seq>,
        mentions: Vec<UserId>,
    ) -> Seq {
        let body = Body::Text(text.to_owned());
        self.op(channel, by, Op::Message(NewMessage { body, reply_to, mentions, attachments: Vec::new() })).await
    }

    pub(crate) async fn op(&self, channel: ChannelId, by: Person, op: Op) -> Seq {
        let client_msg_id = ClientMsgId(u128::from(self.number()).to_be_bytes());
        let publish = Publish { user: by.user, device: by.device, send: Send { client_msg_id, op } };
        let outcome = self.chat.append(channel, &[publish]).await.unwrap();
        outcome.results.into_iter().next().unwrap().unwrap().seq
    }

    pub(crate) async fn read(&self, channel: ChannelId, by: Person, seq: Seq) {
        let marks = Marks { delivered: None, read: Some(seq) };
        for marked in self.chat.mark(by.user, Some(by.device), &[(channel, marks)]).await.unwrap() {
            marked.unwrap();
        }
    }

    pub(crate) async fn delivered(&self, channel: ChannelId, by: Person, seq: Seq) {
        let marks = Marks { delivered: Some(seq), read: None };
        self.chat.mark(by.user, Some(by.device), &[(channel, marks)]).await.unwrap();
    }

    pub(crate) async fn is(&self, person: Person, activity: Option<Activity>) {
        let link = LinkId { node: 9, number: 1 };
        self.chat.presence_set(person.user, person.device, link, activity).await.unwrap();
    }

    /// Waits until so many pushes have been taken.
    pub(crate) async fn taken(&self, count: usize) {
        self.until(&format!("{count} pushes"), || self.providers.count() >= count).await;
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        self.until_within(WAIT, what, is_so).await;
    }

    pub(crate) async fn until_within(&self, within: Duration, what: &str, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(
                began.elapsed() < within,
                "no {what}: {} taken, wrong: {:?}",
                self.providers.count(),
                self.providers.wrong()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Says something to somebody who will be told of it, and waits for that: what was said before it would have been told
    /// by then.
    pub(crate) async fn settle(&self) {
        let (sender, (witness, token)) = (self.person().await, self.apple_person().await);
        let channel = self.direct(sender, witness).await;
        self.say(channel, sender, "witness").await;
        self.until("witness", || self.providers.taken().iter().any(|taken| taken.token == token)).await;
        tokio::time::sleep(Duration::from_millis(self.config.wait_ms + 300)).await;
    }

    pub(crate) fn texts(&self, token: &str) -> Vec<String> {
        let taken = self.providers.taken();
        let of = taken.iter().filter(|taken| taken.token == token);
        of.map(|taken| taken.payload["aps"]["alert"]["body"].as_str().unwrap_or_default().to_owned()).collect()
    }
}
