//! What the notifier counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The notifier's metrics. Cloning shares them.
#[derive(Debug, Clone)]
pub struct PushMetrics {
    /// What became of pushes.
    pub outcomes: Family<OutcomeLabel, Counter>,
    /// People who were not told.
    pub skipped: Family<ReasonLabel, Counter>,
    /// How long a message that was due has waited until a provider took it.
    pub seconds: Histogram,
    /// Rows of the outbox at work.
    pub backlog: Family<ShardLabel, Gauge>,
    /// Pushes that wait for another try, and people who are asked about again.
    pub held: Family<ShardLabel, Gauge>,
    /// How old the oldest of all these is.
    pub oldest: Family<ShardLabel, Gauge>,
    /// Whether a provider is left alone.
    pub breaker_open: Family<ProviderLabel, Gauge>,
    /// Addresses that were removed.
    pub tokens_removed: Family<ProviderLabel, Counter>,
    /// Pushes that were given up.
    pub dead: Family<ReasonLabel, Counter>,
    /// Shards that this node works on.
    pub shards: Gauge,
    /// Shards that were lost to another node while at work.
    pub shards_lost: Counter,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// By whom.
    pub provider: &'static str,
    /// What.
    pub outcome: &'static str,
    /// Why.
    pub reason: String,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// Why.
    pub reason: String,
}

/// Whose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProviderLabel {
    /// `apns`, `fcm` or `webpush`.
    pub provider: &'static str,
}

/// Which shard of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ShardLabel {
    /// Its number.
    pub shard: u64,
}

impl Default for PushMetrics {
    fn default() -> Self {
        Self {
            outcomes: Family::default(),
            skipped: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.01, 2.0, 20)),
            backlog: Family::default(),
            held: Family::default(),
            oldest: Family::default(),
            breaker_open: Family::default(),
            tokens_removed: Family::default(),
            dead: Family::default(),
            shards: Gauge::default(),
            shards_lost: Counter::default(),
        }
    }
}

impl PushMetrics {
    /// Adds them to the registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("push_outcomes", "Requests to push providers, by what became of them", self.outcomes.clone());
        registry.register("push_skipped", "People who were not told of something, by why", self.skipped.clone());
        registry.register(
            "push_seconds",
            "From when a push was due to when its provider took it",
            self.seconds.clone(),
        );
        registry.register("push_backlog_rows", "Rows of the push outbox at work", self.backlog.clone());
        registry.register("push_held_rows", "Pushes that wait for another try", self.held.clone());
        registry.register("push_oldest_seconds", "Age of the oldest push that is not done", self.oldest.clone());
        registry.register("push_breaker_open", "Whether a push provider is left alone", self.breaker_open.clone());
        registry.register("push_tokens_removed", "Push addresses that were none any more", self.tokens_removed.clone());
        registry.register("push_dead", "Pushes that were given up, by why", self.dead.clone());
        registry.register("push_shards", "Shards of the push outbox that this node works on", self.shards.clone());
        registry.register("push_shards_lost", "Shards that another node took over", self.shards_lost.clone());
    }

    pub(super) fn skip(&self, reason: &str) {
        self.skipped.get_or_create(&ReasonLabel { reason: reason.to_owned() }).inc();
    }
}
