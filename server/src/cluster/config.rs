//! What the operator may set about nodes among others.

use std::time::Duration;

/// Times of a node among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// How often a node gives a sign of life.
    pub beat: Duration,
    /// A node whose sign of life stands still for so long is dead. It stops by itself after three quarters of that.
    pub dead_after: Duration,
    /// How long after their node died users without a link elsewhere stay online, at least.
    pub presence_grace: Duration,
    /// After how long without a listener a topic is not heard any more.
    pub interest_idle: Duration,
    /// How long typing may wait for others to go along with it.
    pub passing_interval: Duration,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            beat: Duration::from_millis(1_000),
            dead_after: Duration::from_millis(10_000),
            presence_grace: Duration::from_millis(30_000),
            interest_idle: Duration::from_millis(60_000),
            passing_interval: Duration::from_millis(50),
        }
    }
}

impl ClusterConfig {
    /// For how long after the beginning of its last beat a node may rely on being alive to others.
    pub(super) fn current_for(&self) -> Duration {
        self.dead_after * 3 / 4
    }

    /// A node that has not been heard for so long is not recommended.
    pub(super) fn doubted_after(&self) -> Duration {
        (self.beat * 3).min(self.dead_after)
    }
}
