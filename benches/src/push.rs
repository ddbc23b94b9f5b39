//! Figures of pushes: what the notifier costs for each, beside a bare loop that sends the same bytes to the same stand-in.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::figures::{Pair, target};

/// Pushes to a stand-in for a provider.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Push {
    /// By whom, and how much of the way is measured.
    pub what: String,
    /// Pushes per second.
    pub per_second: Pair,
    /// The sending process's own time for each, in microseconds.
    pub cpu_us: Pair,
}

/// Where they are kept.
#[must_use]
pub fn path() -> PathBuf {
    target().join("suda-bench/push.json")
}
