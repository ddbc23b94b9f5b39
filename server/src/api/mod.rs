//! The HTTP API: JSON under `/v1`, for everything that needs no open link.
//!
//! Handlers are thin: they take a request apart, call [`Chat`], and put the answer together; one file for each area.
//! The same router serves HTTPS, HTTP/3 and plain HTTP. Around every request are an id, a span, a time limit, a net
//! under panics and counters; every error has one shape.
//!
//! | module | idea |
//! |---|---|
//! | `around` | what happens around every request |
//! | `error` · `extract` · `fallback` | refusals, all of one shape |
//! | `routes` · `openapi` | the table of routes, and the document made from it |
//! | `http3` | the router over HTTP/3, on a port of its own |
//! | `web` | the web app at `/` |

mod accounts;
mod around;
mod caller;
mod client;
mod devices;
mod discovery;
mod error;
mod extract;
mod fallback;
mod friends;
mod health;
pub mod http3;
mod metrics;
mod openapi;
mod profile;
mod routes;
#[cfg(test)]
mod tests;
mod users;
mod web;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::{Router, middleware};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use caller::ApiRates;
pub use discovery::SignUp;
pub use metrics::ApiMetrics;

use crate::chat::Chat;
use crate::clock::Clock;
use crate::rate::RateLimiter;
use crate::telemetry::Metrics;
use crate::tls::CertStore;
use routes::Routes;

/// How the API behaves.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The longest body of a request.
    pub body_bytes_max: usize,
    /// How long a request may take, long polls and exports apart.
    pub request_ms_max: u64,
    /// Origins whose pages may call the API; `*` is all.
    pub cors_origins: Vec<String>,
    /// Whether metrics are shown on the public port too.
    pub metrics_public: bool,
    /// Proxies that are believed about whom they speak for.
    pub trusted_proxies: Vec<IpAddr>,
    /// How often may be called.
    pub rates: ApiRates,
    /// The folder with the web app.
    pub web: Option<PathBuf>,
}

/// What the API says of its node.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// Its number.
    pub node: u16,
    /// Its region.
    pub region: String,
    /// The host name that clients are given; without one, that which they asked.
    pub public_host: Option<String>,
    /// The port that clients are given, for UDP and TCP.
    pub public_port: u16,
    /// The port of HTTP/3, if it is served.
    pub http3_port: Option<u16>,
    /// The certificate in use.
    pub certificate: CertStore,
    /// Who may make an account.
    pub sign_up: SignUp,
}

/// Which listener a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// HTTPS and HTTP/3.
    Public,
    /// Plain HTTP, for this machine and a proxy in front.
    Plain,
}

/// The API of one node. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
    listener: Listener,
}

struct Inner {
    chat: Chat,
    limiter: Arc<RateLimiter>,
    config: ApiConfig,
    facts: NodeFacts,
    metrics: ApiMetrics,
    all_metrics: Metrics,
    draining: AtomicBool,
}

impl Api {
    /// The API over these parts.
    #[must_use]
    pub fn new(
        chat: Chat,
        limiter: Arc<RateLimiter>,
        config: ApiConfig,
        facts: NodeFacts,
        all_metrics: Metrics,
    ) -> Self {
        let metrics = ApiMetrics::new();
        all_metrics.register(|registry| metrics.register(registry));
        let draining = AtomicBool::new(false);
        let inner = Inner { chat, limiter, config, facts, metrics, all_metrics, draining };
        Self { inner: Arc::new(inner), listener: Listener::Public }
    }

    /// From now on `/readyz` fails.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// The router for a listener.
    pub fn router(&self, listener: Listener) -> Router {
        let api = Self { listener, ..self.clone() };
        let (router, _) = routes().finish();
        router
            .fallback(web::serve)
            .method_not_allowed_fallback(fallback::method_not_allowed)
            .layer(DefaultBodyLimit::max(api.config().body_bytes_max))
            .layer(api.cors())
            .layer(middleware::from_fn_with_state(api.clone(), around::around))
            .with_state(api)
    }

    fn cors(&self) -> CorsLayer {
        let origins = &self.config().cors_origins;
        let allowed = if origins.iter().any(|origin| origin == "*") {
            AllowOrigin::any()
        } else {
            AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
        };
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, around::REQUEST_ID])
            .expose_headers([around::REQUEST_ID, header::RETRY_AFTER, HeaderName::from_static("alt-svc")])
            .max_age(std::time::Duration::from_secs(3_600))
    }

    fn chat(&self) -> &Chat {
        &self.inner.chat
    }

    fn limiter(&self) -> &RateLimiter {
        &self.inner.limiter
    }

    fn config(&self) -> &ApiConfig {
        &self.inner.config
    }

    fn facts(&self) -> &NodeFacts {
        &self.inner.facts
    }

    fn metrics(&self) -> &ApiMetrics {
        &self.inner.metrics
    }

    fn all_metrics(&self) -> &Metrics {
        &self.inner.all_metrics
    }

    fn clock(&self) -> &Clock {
        self.inner.chat.clock()
    }

    fn listener(&self) -> Listener {
        self.listener
    }

    fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }
}

/// Every route there is.
fn routes() -> Routes<Api> {
    Routes::new()
        .with(health::routes())
        .with(discovery::routes())
        .with(openapi::routes())
        .with(accounts::routes())
        .with(profile::routes())
        .with(users::routes())
        .with(devices::routes())
        .with(friends::routes())
}
