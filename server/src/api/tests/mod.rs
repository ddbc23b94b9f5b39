//! The router over a chat in memory.

mod accounts;
mod admin;
mod general;
mod people;
mod talk;
mod wait;

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::channel::{HubConfig, HubMetrics};
use crate::chat::{Bell, ChatConfig, Topic, testing};
use crate::link::PlainHttp;
use crate::session::{LocalBell, SessionConfig, SessionMetrics};
use crate::store::Store;
use crate::tls::TlsConfig;

/// A node's API, and what came of a request to it.
pub(super) struct Node {
    pub(super) api: Api,
    pub(super) router: Router,
    _data: tempfile::TempDir,
}

/// As the node's.
#[derive(Default)]
struct TestBell {
    local: LocalBell,
    ears: Ears,
}

impl Bell for TestBell {
    fn ring(&self, topic: Topic) {
        self.local.ring(topic);
        self.ears.ring(topic);
    }
}

/// The token of `/admin`.
pub(super) const ADMIN_TOKEN: &str = "admin-token";

pub(super) const PASSWORD: &str = "correct horse";

/// A device that is logged in.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) id: String,
    pub(super) device: String,
    pub(super) token: String,
    pub(super) refresh: String,
}

impl From<&Value> for Login {
    fn from(json: &Value) -> Self {
        let text = |field: &str| json[field].as_str().unwrap_or_else(|| panic!("{field} in {json}")).to_owned();
        Self { id: text("user"), device: text("device"), token: text("access"), refresh: text("refresh") }
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The answer is this error, in the one shape that errors have.
    #[track_caller]
    pub(super) fn assert_error(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        let json = self.json();
        let mut fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["code", "message", "retry_after_ms"], "{self:?}");
        assert_eq!(json["code"], code, "{self:?}");
        json["message"].as_str().unwrap().to_owned()
    }
}

pub(super) fn config() -> ApiConfig {
    ApiConfig {
        body_bytes_max: 1 << 20,
        request_ms_max: 30_000,
        cors_origins: vec!["https://app.example".to_owned()],
        metrics_public: false,
        rates: ApiRates::default(),
        sync_wait_ms_max: 60_000,
        sync_waiters_max: 4,
        web: None,
    }
}

impl Node {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: ApiConfig) -> Self {
        let data = tempfile::tempdir().unwrap();
        let bell = Arc::new(TestBell::default());
        let clock = Clock::manual(testing::NOW_MS, 1);
        let chat = Chat::new(Store::memory(), clock.clone(), 1, bell.clone(), ChatConfig::default()).unwrap();
        let limiter = Arc::new(RateLimiter::new(clock));
        let hubs = Hubs::new(chat.clone(), HubConfig::default(), HubMetrics::default());
        let (session_config, session_metrics) = (SessionConfig::default(), SessionMetrics::default());
        let sessions = Sessions::new(chat.clone(), hubs.clone(), session_config, session_metrics, limiter.clone(), 1);
        bell.local.connect(hubs.clone(), sessions.clone());
        let certificate = CertStore::open(&TlsConfig::default(), data.path(), chat.clock().clone()).unwrap();
        let facts = NodeFacts {
            node: 1,
            address: Address {
                version: "1".to_owned(),
                region: "local".to_owned(),
                host: None,
                port: 4433,
                http_port: Some(8080),
                http3_port: Some(4434),
                links_max: 1_000,
            },
            certificate,
            sign_up: SignUp::Open,
            cluster: None,
            web_push_key: None,
        };
        let api = Api::new(ApiParts {
            chat,
            hubs,
            sessions,
            ears: bell.ears.clone(),
            limiter,
            config,
            facts,
            metrics: Metrics::new(),
            admin_token: ADMIN_TOKEN.to_owned(),
        });
        let router = api.router();
        Self { api, router, _data: data }
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Answer {
        call(&self.router, request).await
    }

    /// A request with a JSON body and a token.
    pub(super) async fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.call(request.header("content-type", "application/json").body(body).unwrap()).await
    }

    /// The same, where the answer must be this status.
    #[track_caller]
    pub(super) fn expect(
        &self,
        status: u16,
        method: &str,
        path: &str,
        user: &Login,
        body: Value,
    ) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.send(method, path, &user.token, &body).await;
            assert_eq!(answer.status.as_u16(), status, "{answer:?} at {place}");
            if answer.text.is_empty() { Value::Null } else { answer.json() }
        }
    }

    /// Signs somebody up.
    pub(super) async fn sign_up(&self, handle: &str) -> Login {
        let body = json!({ "handle": handle, "password": PASSWORD, "device": { "name": "phone" } });
        let answer = self.send("POST", "/v1/accounts", "", &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Login::from(&answer.json())
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

/// The request as if it came in by the plain HTTP listener.
pub(super) fn plain(mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(PlainHttp);
    request
}

pub(super) async fn call(router: &Router, mut request: Request<Body>) -> Answer {
    let peer: SocketAddr = "192.0.2.1:1".parse().unwrap();
    if request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let text = to_bytes(body, 64 << 20).await.unwrap();
    Answer { status: head.status, headers: head.headers, text: String::from_utf8(text.to_vec()).unwrap() }
}
