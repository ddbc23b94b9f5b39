//! Stand-ins for Apple's, Google's and a browser's push service: one TLS server that speaks what they speak, checks what
//! they check (signatures, ages, headers, encryption), and misbehaves when it is told to.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where something is not as it must be, the test is over")]

mod apple;
mod browser;
mod google;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
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
    requests: u64,
    connections: u64,
    logins: u64,
    wrong: Vec<String>,
    /// Names of pushes that were taken.
    ids: BTreeSet<(String, String)>,
}

/// What a connection is told by one of its requests.
enum Order {
    GoAway,
    Reset,
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
    }

    /// For one request it will be so.
    pub fn next(&self, provider: &'static str, mood: Mood) {
        self.state(|state| state.next.entry(provider).or_default().push_back(mood));
    }

    /// A token is none any more since this time.
    pub fn forget(&self, token: &str, since_ms: u64) {
        self.state(|state| state.gone.insert(token.to_owned(), since_ms));
    }

    /// What was taken, in order.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.state(|state| state.taken.clone())
    }

    /// How many pushes were taken.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state(|state| state.taken.len())
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

    async fn serve(self, listener: TcpListener, tls: TlsAcceptor) {
        while let Ok((tcp, _)) = listener.accept().await {
            let (providers, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                let _ = tcp.set_nodelay(true);
                let Ok(stream) = tls.accept(tcp).await else { return };
                providers.state(|state| state.connections += 1);
                let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let (order, mut orders) = mpsc::unbounded_channel();
                let service = service_fn(move |request| {
                    let (providers, order) = (providers.clone(), order.clone());
                    async move { Ok::<_, Infallible>(providers.answer(request, is_h2, order).await) }
                });
                if is_h2 {
                    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .max_concurrent_streams(1_000)
                        .serve_connection(TokioIo::new(stream), service);
                    let mut connection = std::pin::pin!(connection);
                    loop {
                        tokio::select! {
                            _ = connection.as_mut() => return,
                            Some(order) = orders.recv() => match order {
                                Order::GoAway => connection.as_mut().graceful_shutdown(),
                                Order::Reset => return,
                            },
                        }
                    }
                }
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::select! { _ = connection => {}, _ = orders.recv() => {} }
            });
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        is_h2: bool,
        order: mpsc::UnboundedSender<Order>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let provider = match head.uri.path() {
            path if path.starts_with("/3/device/") => "apns",
            path if path.starts_with("/v1/projects/") => "fcm",
            path if path.starts_with("/wp/") => "webpush",
            "/token" => {
                self.state(|state| state.logins += 1);
                return self.inner.google.token(&body).unwrap_or_else(|wrong| self.refuse(401, wrong));
            }
            path => return self.refuse(404, format!("nothing is at {path}")),
        };
        let mood = self.state(|state| {
            state.requests += 1;
            let next = state.next.get_mut(provider).and_then(VecDeque::pop_front);
            next.or_else(|| state.moods.get(provider).cloned()).unwrap_or(Mood::Well)
        });
        match &mood {
            Mood::Slow(time) => tokio::time::sleep(*time).await,
            Mood::Answer(status, retry_after_s, body) => return respond(*status, *retry_after_s, body.to_string()),
            Mood::Garbage => return respond(500, None, "\u{0}<html>{{{".to_owned()),
            Mood::GoAway => {
                let _ = order.send(Order::GoAway);
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            Mood::Well | Mood::Reset => {}
        }
        let taken = match provider {
            "apns" => self.inner.apple.take(&head, &body, is_h2),
            "fcm" => self.inner.google.take(&head, &body),
            _ => {
                let name = head.uri.path().trim_start_matches("/wp/").to_owned();
                let browser = self.state(|state| state.browsers.get(&name).cloned());
                let key = self.inner.vapid.public_key_raw();
                browser
                    .ok_or_else(|| "no such browser".to_owned())
                    .and_then(|browser| browser.take(&head, &body, &self.url(), key, &name))
            }
        };
        let taken = match taken {
            Ok(taken) => taken,
            Err(wrong) => return self.refuse(403, wrong),
        };
        if let Some(since_ms) = self.state(|state| state.gone.get(&taken.token).copied()) {
            return match provider {
                "apns" => apple::gone(since_ms),
                "fcm" => google::gone(),
                _ => respond(410, None, String::new()),
            };
        }
        self.state(|state| {
            state.ids.insert((taken.token.clone(), taken.collapse_id.clone()));
            state.taken.push(taken);
        });
        if mood == Mood::Reset {
            let _ = order.send(Order::Reset);
            std::future::pending::<()>().await;
        }
        respond(if provider == "webpush" { 201 } else { 200 }, None, "{}".to_owned())
    }

    fn refuse(&self, status: u16, wrong: String) -> Response<Full<Bytes>> {
        let body = serde_json::json!({ "reason": "InvalidProviderToken", "error": { "message": wrong } });
        self.state(|state| state.wrong.push(wrong));
        respond(status, None, body.to_string())
    }
}

fn respond(status: u16, retry_after_s: Option<u64>, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}

fn header<'a>(head: &'a http::request::Parts, name: &str) -> Result<&'a str, String> {
    let value = head.headers.get(name).ok_or_else(|| format!("no header {name}"))?;
    value.to_str().map_err(|_| format!("header {name} is no text"))
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
