//! What the hubs count.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::telemetry::ErrorLabel;

/// The hubs' metrics. Cloning shares them.
#[derive(Debug, Clone)]
pub struct HubMetrics {
    /// Active channels.
    pub hubs: Gauge,
    /// Attachments.
    pub attachments: Gauge,
    /// Attachments that have fallen behind the tail and read from the store.
    pub lagging: Gauge,
    /// Sends that became an entry, or were found to have become one before.
    pub sends: Counter,
    /// Sends that were refused, by why.
    pub refused: Family<ErrorLabel, Counter>,
    /// Sends that found their channel's queue full.
    pub queue_full: Counter,
    /// Times that a channel could not become active because too many are.
    pub hubs_full: Counter,
    /// Entries handed to attachments, each attachment counted.
    pub deliveries: Counter,
    /// Of these, entries that were read from the store.
    pub deliveries_from_store: Counter,
    /// How many sends one transaction appended.
    pub batch_sends: Histogram,
    /// How long the append of a batch took, in seconds, with its retries.
    pub commit_seconds: Histogram,
    /// Batches that were tried again because the outcome of the commit was unknown.
    pub unknown_outcomes: Counter,
    /// Times that a hub read what was appended elsewhere.
    pub refreshes: Counter,
    /// Times that this node began to append to a channel for others too.
    pub leads: Counter,
    /// Sends handed to a node that appends for all.
    pub handed: Counter,
    /// Times that such a node was too late, and this one appended itself.
    pub handed_late: Counter,
    /// Times that attachments were woken.
    pub wakes: Counter,
    /// Typing and position changes that an attachment was too slow for.
    pub news_missed: Counter,
    /// Bytes in all tails.
    pub tail_bytes: Gauge,
}

impl Default for HubMetrics {
    fn default() -> Self {
        Self {
            hubs: Gauge::default(),
            attachments: Gauge::default(),
            lagging: Gauge::default(),
            sends: Counter::default(),
            refused: Family::default(),
            queue_full: Counter::default(),
            hubs_full: Counter::default(),
            deliveries: Counter::default(),
            deliveries_from_store: Counter::default(),
            batch_sends: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 19)),
            unknown_outcomes: Counter::default(),
            refreshes: Counter::default(),
            leads: Counter::default(),
            handed: Counter::default(),
            handed_late: Counter::default(),
            wakes: Counter::default(),
            news_missed: Counter::default(),
            tail_bytes: Gauge::default(),
        }
    }
}

impl HubMetrics {
    /// Puts them into the node's registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("hubs", "Active channels", self.hubs.clone());
        registry.register("attachments", "Attachments", self.attachments.clone());
        registry.register("attachments_lagging", "Attachments that read from the store", self.lagging.clone());
        registry.register("sends", "Sends acknowledged", self.sends.clone());
        registry.register("sends_refused", "Sends refused", self.refused.clone());
        registry.register("sends_queue_full", "Sends that found the queue full", self.queue_full.clone());
        registry.register("hubs_full", "Channels that could not become active", self.hubs_full.clone());
        registry.register("deliveries", "Entries handed to attachments", self.deliveries.clone());
        let from_store = self.deliveries_from_store.clone();
        registry.register("deliveries_from_store", "Entries handed to attachments from the store", from_store);
        registry.register("append_batch_sends", "Sends in one transaction", self.batch_sends.clone());
        registry.register("append_commit_seconds", "Time to append a batch", self.commit_seconds.clone());
        let unknown = self.unknown_outcomes.clone();
        registry.register("append_unknown_outcomes", "Batches tried again as their outcome was unknown", unknown);
        registry.register("hub_refreshes", "Reads of what was appended elsewhere", self.refreshes.clone());
        registry.register("hub_leads", "Times that this node began to append for others", self.leads.clone());
        registry.register("sends_handed", "Sends handed to a node that appends for all", self.handed.clone());
        registry.register("sends_handed_late", "Times that such a node was too late", self.handed_late.clone());
        registry.register("attachment_wakes", "Times that attachments were woken", self.wakes.clone());
        registry.register(
            "news_missed",
            "Typing and position changes missed by slow readers",
            self.news_missed.clone(),
        );
        registry.register("tail_bytes", "Bytes in hot tails", self.tail_bytes.clone());
    }
}
