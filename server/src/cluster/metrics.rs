//! What is counted about nodes among others.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Counters and gauges of a node among others.
#[derive(Debug, Clone)]
pub struct ClusterMetrics {
    /// Nodes that live, this one included.
    pub nodes: Gauge,
    /// Topics that are registered for this node.
    pub topics: Gauge,
    /// Marks written for other nodes.
    pub marks: Counter,
    /// Marks that came for this node.
    pub marks_in: Counter,
    /// Times that this node's inbox was read.
    pub inbox_reads: Counter,
    /// Nodes that this node took for dead.
    pub deaths: Counter,
    /// How long a sign of life takes.
    pub beat_seconds: Histogram,
    /// Signs of life that could not be given.
    pub beats_failed: Counter,
    /// Typing notices that were not passed on to other nodes for lack of room.
    pub typings_dropped: Counter,
}

impl Default for ClusterMetrics {
    fn default() -> Self {
        Self {
            nodes: Gauge::default(),
            topics: Gauge::default(),
            marks: Counter::default(),
            marks_in: Counter::default(),
            inbox_reads: Counter::default(),
            deaths: Counter::default(),
            beat_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            beats_failed: Counter::default(),
            typings_dropped: Counter::default(),
        }
    }
}

impl ClusterMetrics {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("cluster_nodes", "Nodes that live, this one included.", self.nodes.clone());
        registry.register("cluster_topics", "Topics that are registered for this node.", self.topics.clone());
        registry.register("cluster_marks", "Marks written for other nodes.", self.marks.clone());
        registry.register("cluster_marks_in", "Marks that came for this node.", self.marks_in.clone());
        registry.register("cluster_inbox_reads", "Times that this node's inbox was read.", self.inbox_reads.clone());
        registry.register("cluster_deaths", "Nodes that this node took for dead.", self.deaths.clone());
        registry.register("cluster_beat_seconds", "How long a sign of life takes.", self.beat_seconds.clone());
        registry.register(
            "cluster_beats_failed",
            "Signs of life that could not be given: the store did not answer.",
            self.beats_failed.clone(),
        );
        registry.register(
            "cluster_typings_dropped",
            "Typing notices not passed on to other nodes for lack of room.",
            self.typings_dropped.clone(),
        );
    }
}
