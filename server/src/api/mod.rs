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
mod admin;
mod around;
mod caller;
mod channels;
mod devices;
mod discovery;
mod error;
mod extract;
mod fallback;
mod friends;
mod health;
pub mod http3;
mod members;
mod messages;
mod metrics;
mod openapi;
mod profile;
mod routes;
mod sync;
#[cfg(test)]
mod tests;
mod users;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, header};
use axum::{Router, middleware};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use caller::ApiRates;
pub use discovery::SignUp;
pub use metrics::ApiMetrics;
pub use sync::Ears;

use crate::channel::Hubs;
use crate::chat::Chat;
use crate::clock::Clock;
use crate::cluster::{Address, Cluster};
use crate::rate::RateLimiter;
use crate::session::Sessions;
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
    /// How often may be called.
    pub rates: ApiRates,
    /// The longest wait of a long poll.
    pub sync_wait_ms_max: u64,
    /// How many long polls may wait at once.
    pub sync_waiters_max: usize,
    /// The folder with the web app.
    pub web: Option<PathBuf>,
}

/// What the API says of its node.
#[derive(Clone)]
pub struct NodeFacts {
    /// Its number.
    pub node: u16,
    /// Where it is reached.
    pub address: Address,
    /// The certificate in use.
    pub certificate: CertStore,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// The other nodes, if there may be any.
    pub cluster: Option<Cluster>,
    /// The key with which browsers subscribe to pushes.
    pub web_push_key: Option<String>,
}

/// The API of one node. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

/// What the API stands on.
pub struct ApiParts {
    /// Everything it does.
    pub chat: Chat,
    /// Where sends go.
    pub hubs: Hubs,
    /// Who is connected.
    pub sessions: Sessions,
    /// Who waits in long polls; the node's bell rings it.
    pub ears: Ears,
    /// How often may be called.
    pub limiter: Arc<RateLimiter>,
    /// How it behaves.
    pub config: ApiConfig,
    /// What it says of its node.
    pub facts: NodeFacts,
    /// What it shows of the node, and where its own counters go.
    pub metrics: Metrics,
    /// The token of `/admin`.
    pub admin_token: String,
}

struct Inner {
    parts: ApiParts,
    metrics: ApiMetrics,
    started_at_ms: u64,
    draining: AtomicBool,
    /// How many long polls wait.
    waiting: AtomicUsize,
}

impl Api {
    /// The API over these parts.
    #[must_use]
    pub fn new(parts: ApiParts) -> Self {
        let metrics = ApiMetrics::new();
        parts.metrics.register(|registry| metrics.register(registry));
        let started_at_ms = parts.chat.clock().now_ms();
        let (draining, waiting) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { inner: Arc::new(Inner { parts, metrics, started_at_ms, draining, waiting }) }
    }

    /// From now on `/readyz` fails, and nobody waits in a long poll.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
        self.ears().ring_all();
    }

    /// The router, for all listeners.
    pub fn router(&self) -> Router {
        let api = self.clone();
        let (public, _) = routes().finish();
        let (admin, _) = admin::routes().finish();
        public
            .merge(admin.layer(middleware::from_fn_with_state(api.clone(), admin::guard)))
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
            .expose_headers([around::REQUEST_ID, header::RETRY_AFTER, header::ALT_SVC])
            .max_age(std::time::Duration::from_secs(3_600))
    }

    fn chat(&self) -> &Chat {
        &self.inner.parts.chat
    }

    fn hubs(&self) -> &Hubs {
        &self.inner.parts.hubs
    }

    fn ears(&self) -> &Ears {
        &self.inner.parts.ears
    }

    fn limiter(&self) -> &RateLimiter {
        &self.inner.parts.limiter
    }

    fn config(&self) -> &ApiConfig {
        &self.inner.parts.config
    }

    fn facts(&self) -> &NodeFacts {
        &self.inner.parts.facts
    }

    fn metrics(&self) -> &ApiMetrics {
        &self.inner.metrics
    }

    fn all_metrics(&self) -> &Metrics {
        &self.inner.parts.metrics
    }

    fn clock(&self) -> &Clock {
        self.inner.parts.chat.clock()
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
        .with(channels::routes())
        .with(members::routes())
        .with(messages::routes())
        .with(sync::routes())
}
