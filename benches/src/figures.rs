//! Figures that criterion does not know how to take: of a whole node as a process of its own, each beside a bare server that
//! moves the same bytes, in rounds that take turns.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What `benches/node` measured last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Memory of idle links.
    pub memory: Option<Part<Memory>>,
    /// Sends that wait to be durable.
    pub sends: Option<Part<Sends>>,
    /// One sender and many readers.
    pub fan_out: Option<Part<FanOut>>,
}

/// The rows of a table, and the commit they were measured at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part<T> {
    /// The short hash of the commit.
    pub commit: String,
    /// The rows.
    pub rows: Vec<T>,
}

/// The same figure of suda and of the bare server, a value for each round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pair {
    /// Of suda.
    pub suda: Vec<f64>,
    /// Of the bare server.
    pub bare: Vec<f64>,
}

impl Pair {
    /// The middle of suda's rounds.
    #[must_use]
    pub fn suda(&self) -> Option<f64> {
        median(&self.suda)
    }

    /// The middle of the bare server's.
    #[must_use]
    pub fn bare(&self) -> Option<f64> {
        median(&self.bare)
    }

    /// How much of the one there is to one of the other.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(self.suda()? / self.bare()?).filter(|ratio| ratio.is_finite())
    }
}

/// Memory of idle links over one transport.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The transport.
    pub transport: String,
    /// Of a link with its one stream, in KiB.
    pub link_kib: Pair,
    /// Of an attachment; bare, of one more stream on the connection.
    pub attachment_kib: Pair,
}

/// Sends, each of which is answered when it is durable; bare, echoed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sends {
    /// The transport.
    pub transport: String,
    /// Who sends where.
    pub who: String,
    /// Answers per second.
    pub per_second: Pair,
    /// The server's processor time for each, in microseconds.
    pub cpu_us: Pair,
    /// How long half of them took at most, in milliseconds.
    pub p50_ms: Pair,
    /// The same for 99 of 100.
    pub p99_ms: Pair,
}

/// One sender and many readers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FanOut {
    /// The transport.
    pub transport: String,
    /// How much is sent.
    pub load: String,
    /// Deliveries per second.
    pub per_second: Pair,
    /// The server's processor time for each, in microseconds.
    pub cpu_us: Pair,
    /// How long half of the deliveries took at most, from the sender's send, in milliseconds.
    pub p50_ms: Pair,
    /// The same for 99 of 100.
    pub p99_ms: Pair,
}

impl Figures {
    /// What was measured last; nothing, if nothing was.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Keeps them for the page.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

/// The middle one; of an even number, the mean of the two there.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where Cargo builds, and where figures are left.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// Where [`Figures`] are kept.
#[must_use]
pub fn path() -> PathBuf {
    target().join("suda-bench/node.json")
}

/// The short hash of the commit that is checked out.
#[must_use]
pub fn commit() -> String {
    let said = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root()).output();
    said.map_or_else(|_| String::new(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
