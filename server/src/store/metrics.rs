//! What a store counts.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What a store counts. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Transactions committed.
    pub commits: Counter,
    /// Attempts that failed because another transaction was in the way.
    pub conflicts: Counter,
    /// Attempts that failed because they took too long.
    pub too_old: Counter,
    /// Transactions that failed because all retries were used up.
    pub retries_used_up: Counter,
    /// Commits whose outcome is unknown.
    pub unknown: Counter,
    /// Commits refused because the disk is full.
    pub disk_full: Counter,
    /// Watches refused because there are too many.
    pub watches_refused: Counter,
    /// Commits refused because too many are waiting.
    pub queue_full: Counter,
    /// From asking for a commit to its answer.
    pub commit_seconds: Histogram,
    /// How many commits shared one sync.
    pub batch_commits: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let counter = Counter::default;
        Self {
            commits: counter(),
            conflicts: counter(),
            too_old: counter(),
            retries_used_up: counter(),
            unknown: counter(),
            disk_full: counter(),
            watches_refused: counter(),
            queue_full: counter(),
            commit_seconds: Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0]),
            batch_commits: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0]),
        }
    }
}

impl Metrics {
    /// Enters everything into a registry, under names that begin with `store_` there.
    pub fn register(&self, registry: &mut Registry) {
        let store = registry.sub_registry_with_prefix("store");
        for (name, help, counter) in [
            ("commits", "Transactions committed", &self.commits),
            ("conflicts", "Attempts that met a conflict", &self.conflicts),
            ("too_old", "Attempts that took too long", &self.too_old),
            ("retries_used_up", "Transactions that failed after all retries", &self.retries_used_up),
            ("commits_unknown", "Commits whose outcome is unknown", &self.unknown),
            ("commits_disk_full", "Commits refused because the disk is full", &self.disk_full),
            ("watches_refused", "Watches refused because there are too many", &self.watches_refused),
            ("commits_queue_full", "Commits refused because too many are waiting", &self.queue_full),
        ] {
            store.register(name, help, counter.clone());
        }
        store.register("commit_seconds", "From asking for a commit to its answer", self.commit_seconds.clone());
        store.register("batch_commits", "How many commits shared one sync", self.batch_commits.clone());
    }

    pub(super) fn committed(&self, took: Duration) {
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }
}
