//! Stand-ins for Apple's, Google's and a browser's push service: one TLS server that speaks what they speak, checks what
//! they check (signatures, ages, headers, encryption), and misbehaves when it is told to.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where something is not as it must be, the test is over")]

mod apple;
mod browser;
mod google;
mod serve;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub use apple::{KEY_ID, TEAM, TOPIC};
pub use browser::Browser;
pub use google::PROJECT;

/// How a provider is.
#[derive(Debug, Clone, PartialEq)]
pub enum Mood {
    /// As it should be.
    Well,
    /// It takes its time.
    Slow(Duration),
    /// It answers with this, and has done nothing.
    Answer(u16, Option<u64>, Value),
    /// It looks at nothing as long as it is so, and then is as it is by then.
    Busy,
    /// It takes the push, and does not answer as long as it is so.
    Silent,
    /// It takes the push, and the connection ends before its answer.
    Reset,
    /// It says GOAWAY while a request is under way, and answers that.
    GoAway,
    /// It answers with what nobody can read.
    Garbage,
}

/// A push that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// `apns`, `fcm` or `webpush`.
    pub provider: &'static str,
    /// Under which host it was asked: it has two names.
    pub host: String,
    /// Whose.
    pub token: String,
    /// Pushes with the same one are one notification.
    pub collapse_id: String,
    /// The payload, decrypted.
    pub payload: Value,
    /// When.
    pub at: Instant,
}

/// All three.
#[derive(Clone)]
pub struct Providers {
    inner: Arc<Inner>,
}

struct Inner {
    addr: SocketAddr,
    root_pem: String,
    apple: apple::Apple,
    google: google::Google,
    vapid: KeyPair,
    state: Mutex<State>,
    /// Grows with each change of a mood.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    moods: BTreeMap<&'static str, Mood>,
    /// For the next requests, before the mood.
    next: BTreeMap<&'static str, VecDeque<Mood>>,
    /// Tokens that are none any more, and since when, in milliseconds.
    gone: BTreeMap<String, u64>,
    browsers: BTreeMap<String, Browser>,
    taken: Vec<Taken>,
    /// What is taken is only counted.
    keeps_none: bool,
    count: usize,
    requests: u64,
    /// Of those, how many are here now, and were at most.
    here: u64,
    most_here: u64,
    connections: u64,
    logins: u64,
    wrong: Vec<String>,
    /// What requests to Apple and to browsers were signed with.
    signatures: BTreeSet<String>,
}

impl Providers {
    /// Starts them on a free port of this machine.
    pub async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let base = format!("https://127.0.0.1:{}", addr.port());
        let inner = Inner {
            addr,
            root_pem: certificate.pem(),
            apple: apple::Apple::new(),
            google: google::Google::new(&base),
            vapid: KeyPair::generate().unwrap(),
            state: Mutex::default(),
            changes: watch::channel(0).0,
        };
        let providers = Self { inner: Arc::new(inner) };
        tokio::spawn(providers.clone().serve(listener, TlsAcceptor::from(Arc::new(tls))));
        providers
    }

    /// Their address, for all three.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.inner.addr.port())
    }

    /// The same by the other name.
    #[must_use]
    pub fn other_url(&self) -> String {
        format!("https://localhost:{}", self.inner.addr.port())
    }

    /// A node's settings for all three. The keys, which have no place among them, are written into files of this folder.
    #[must_use]
    pub fn settings(&self, folder: &Path) -> Vec<(String, String)> {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let settings = [
            ("apns_key_file", file("apns.p8", &self.apns_key())),
            ("apns_key_id", KEY_ID.to_owned()),
            ("apns_team_id", TEAM.to_owned()),
            ("apns_topic", TOPIC.to_owned()),
            ("apns_url", self.url()),
            ("fcm_account_file", file("firebase.json", &self.fcm_account())),
            ("fcm_url", self.url()),
            ("vapid_key_file", file("vapid.pem", &self.vapid_key())),
            ("vapid_contact", "mailto:push@suda.example".to_owned()),
            ("webpush_exempt", "127.0.0.1".to_owned()),
            ("extra_roots_file", file("roots.pem", self.root_pem())),
        ];
        settings.into_iter().map(|(name, value)| (format!("push.{name}"), value)).collect()
    }

    /// The certificate to trust.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.inner.root_pem
    }

    /// The key with which pushes to Apple are signed.
    #[must_use]
    pub fn apns_key(&self) -> String {
        self.inner.apple.key_pem()
    }

    /// Google's file for a service account.
    #[must_use]
    pub fn fcm_account(&self) -> String {
        self.inner.google.account()
    }

    /// The key with which pushes to browsers are signed.
    #[must_use]
    pub fn vapid_key(&self) -> String {
        self.inner.vapid.serialize_pem()
    }

    /// A browser's subscription.
    #[must_use]
    pub fn subscribe(&self, name: &str) -> String {
        let browser = Browser::new();
        let subscription = browser.subscription(&format!("{}/wp/{name}", self.url()));
        self.state(|state| state.browsers.insert(name.to_owned(), browser));
        subscription
    }

    /// From now on a provider is so.
    pub fn set(&self, provider: &'static str, mood: Mood) {
        self.state(|state| state.moods.insert(provider, mood));
        self.inner.changes.send_modify(|changes| *changes += 1);
    }

    /// From now on Google's tokens end so soon.
    pub fn let_logins_end_after(&self, time: Duration) {
        self.inner.google.let_tokens_end_after(time);
    }

    /// For one request it will be so.
    pub fn next(&self, provider: &'static str, mood: Mood) {
        self.state(|state| state.next.entry(provider).or_default().push_back(mood));
    }

    /// A token is none any more since this time.
    pub fn forget(&self, token: &str, since_ms: u64) {
        self.state(|state| state.gone.insert(token.to_owned(), since_ms));
    }

    /// From now on what is taken is only counted: for very many.
    pub fn keep_none(&self) {
        self.state(|state| state.keeps_none = true);
    }

    /// What was taken, in order.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.state(|state| state.taken.clone())
    }

    /// How many pushes were taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state(|state| state.count)
    }

    /// How many notifications a device shows: pushes with the same id are one.
    #[must_use]
    pub fn visible(&self, token: &str) -> usize {
        let taken = self.taken();
        let of = taken.iter().filter(|taken| taken.token == token);
        of.map(|taken| taken.collapse_id.clone()).collect::<BTreeSet<_>>().len()
    }

    /// How many requests there were, whatever became of them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state(|state| state.requests)
    }

    /// How many requests there were at once, at most.
    #[must_use]
    pub fn most_at_once(&self) -> u64 {
        self.state(|state| state.most_here)
    }

    /// With how many tokens requests to Apple and to browsers were signed.
    #[must_use]
    pub fn signatures(&self) -> usize {
        self.state(|state| state.signatures.len())
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.state(|state| state.connections)
    }

    /// How often Google was asked for a token.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.state(|state| state.logins)
    }

    /// What was wrong with requests.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        self.state(|state| state.wrong.clone())
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.inner.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
