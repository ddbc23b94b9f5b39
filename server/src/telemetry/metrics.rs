//! The metrics registry.
//!
//! A part has its own struct of counters, gauges and histograms with a `register(&self, &mut Registry)`; the names there
//! are without `suda_` (the registry adds it) and without `_total` (the encoder adds it to counters). Labels say which
//! kind of thing (a link's kind, an error's code), never which one: no user, channel or address is ever a label.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use suda_schema::ErrorCode;

use super::process::Process;

/// Every metric of the node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    panics: Counter,
}

impl Metrics {
    /// A registry with what concerns the process itself.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("suda");
        registry.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let panics = Counter::default();
        registry.register("panics", "Bugs that stopped a task", panics.clone());
        registry.register_collector(Box::new(Process));
        Self { registry: Arc::new(Mutex::new(registry)), panics }
    }

    /// Adds a part's metrics.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The counter of panics, for the hook.
    #[must_use]
    pub fn panics(&self) -> Counter {
        self.panics.clone()
    }

    /// All of it in the text format that Prometheus reads.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string fails only if a metric's own encoding does; the rest is worth having then.
        if let Err(error) = encode(&mut text, &registry) {
            tracing::error!(%error, "a metric could not be encoded");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Why something was refused: the name of an error code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ErrorLabel {
    reason: &'static str,
}

impl From<ErrorCode> for ErrorLabel {
    fn from(code: ErrorCode) -> Self {
        Self { reason: code.name() }
    }
}

/// Buckets for latencies in seconds: 100 µs to 26 s, each twice the one before.
pub fn latency_buckets() -> impl Iterator<Item = f64> {
    exponential_buckets(0.000_1, 2.0, 19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let metrics = Metrics::new();
        metrics.panics().inc();
        metrics.register(|registry| registry.register("things", "Things", Counter::<u64>::default()));
        let text = metrics.render();
        for line in ["suda_panics_total 1\n", "suda_things_total 0\n", "suda_build_info{version=", "# EOF\n"] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(text.contains("suda_process_resident_bytes "), "{text}");
    }
}
