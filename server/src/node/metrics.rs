//! What is counted by parts that have no counters of their own.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::rate::RateLimiter;

/// The rate limiter's figures.
pub(super) struct Limiter(pub(super) Arc<RateLimiter>);

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limiter")
    }
}

impl Collector for Limiter {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = [
            ("rate_refused", "Requests refused because they came too often.", self.0.refused()),
            ("rate_crowded", "Requests that shared a bucket because there was no room for another.", self.0.crowded()),
        ];
        for (name, help, count) in counters {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let buckets = ConstGauge::new(u64::try_from(self.0.buckets()).unwrap_or(u64::MAX));
        let help = "Buckets of the rate limiter that are not full.";
        buckets.encode(encoder.encode_descriptor("rate_buckets", help, None, buckets.metric_type())?)
    }
}
