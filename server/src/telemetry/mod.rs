//! What a node says of itself: logs (`tracing`) and metrics (Prometheus).
//!
//! There is no OpenTelemetry export: its crates are many and large beside what they would add here. A collector
//! reads `/metrics` and the JSON logs as they are.

mod log;
mod metrics;
mod process;

pub use log::{LogFormat, LogSettings, init};
pub use metrics::{ErrorLabel, Metrics, latency_buckets};
