//! Counters of the HTTP API.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::telemetry::latency_buckets;

/// What the HTTP API counts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    requests: Family<RequestLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    seconds: Histogram,
    pub(super) active: Gauge,
    pub(super) sync_waiting: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    /// The route's pattern, never the path itself.
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    code: &'static str,
}

impl ApiMetrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            errors: Family::default(),
            seconds: Histogram::new(latency_buckets()),
            active: Gauge::default(),
            sync_waiting: Gauge::default(),
        }
    }

    /// Names them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "HTTP requests answered", self.requests.clone());
        registry.register("http_errors", "HTTP requests answered with an error", self.errors.clone());
        let help = "Time to answer an HTTP request, long polls and exports apart";
        registry.register("http_request_seconds", help, self.seconds.clone());
        registry.register("http_active_requests", "HTTP requests at work", self.active.clone());
        registry.register("http_sync_waiting_requests", "Long polls that wait", self.sync_waiting.clone());
    }

    pub(super) fn answered(&self, method: &'static str, route: String, status: u16) {
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
    }

    pub(super) fn failed(&self, code: &'static str) {
        self.errors.get_or_create(&ErrorLabels { code }).inc();
    }

    pub(super) fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }
}

impl Default for ApiMetrics {
    fn default() -> Self {
        Self::new()
    }
}
