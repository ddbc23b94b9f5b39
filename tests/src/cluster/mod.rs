//! Several nodes over one FoundationDB of the test's own. The binary has to have the engine: see `scripts/test.sh`.
//!
//! | file | idea |
//! |---|---|
//! | `load` | devices that send and listen without end, and go on elsewhere when their node is gone |
//! | `gate` | the way to a node, which outlives its process |
//! | `dice` | chance that can be played again |

#![expect(clippy::panic, reason = "helpers of tests: where something is not as it must be, the test is over")]

mod dice;
mod gate;
mod load;

use std::time::Duration;

use tokio::time::Instant;

use crate::foundationdb::FoundationDb;
use crate::node::NodeProcess;

pub use dice::Dice;
pub use gate::Gate;
pub use load::{Load, Pace};

/// Nodes that are soon taken for dead.
pub const HASTY: &[(&str, &str)] =
    &[("cluster.beat_ms", "250"), ("cluster.dead_after_ms", "2000"), ("session.presence_grace_ms", "5000")];
/// How long something may take before the test is over.
const PATIENCE: Duration = Duration::from_secs(60);

/// A FoundationDB and its nodes.
#[derive(Debug)]
pub struct Cluster {
    /// The store.
    pub fdb: FoundationDb,
    /// The nodes, running or not.
    pub nodes: Vec<NodeProcess>,
}

impl Cluster {
    /// Starts so many nodes with these settings, and waits until all know of all.
    pub async fn start(count: usize, settings: &[(&str, &str)]) -> Self {
        let mut cluster = Self { fdb: FoundationDb::start(), nodes: Vec::new() };
        for _ in 0..count {
            let node = cluster.fdb.node(settings).await;
            cluster.nodes.push(node);
        }
        for at in 0..count {
            cluster.named(at, count).await;
        }
        cluster
    }

    /// Waits until discovery of this node names so many. How long that took.
    pub async fn named(&self, at: usize, count: usize) -> Duration {
        let begun = Instant::now();
        loop {
            let discovery = self.nodes[at].call("GET", "/v1/discovery", None, None).await.json();
            let named = discovery["nodes"].as_array().map_or(0, Vec::len);
            if named == count {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < PATIENCE, "{named} nodes are named, not {count}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The ways to all nodes.
    #[must_use]
    pub fn gates(&self) -> Vec<Gate> {
        self.nodes.iter().map(NodeProcess::gate).collect()
    }

    /// Waits until something is so. How long that took.
    pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < 2 * PATIENCE, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    /// The sum of a metric's samples over the nodes, such as `suda_store_conflicts_total`.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut sum = 0.0;
        for node in &self.nodes {
            let text = node.call("GET", "/metrics", None, None).await.text;
            let lines = text.lines().filter(|line| line.starts_with(name));
            sum += lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>();
        }
        sum
    }
}

/// The value below which so many percent of these lie.
#[must_use]
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).copied().unwrap_or_default()
}
