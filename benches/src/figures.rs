//! Figures that criterion does not know how to take: of a whole node as a process of its own, each beside a bare server that
//! moves the same bytes, in rounds that take turns.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::de::DeserializeOwned;
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
    /// How long one message takes.
    pub latency: Option<Part<Latency>>,
    /// What it takes to get in.
    pub connect: Option<Part<Connect>>,
    /// Somebody's coming and going, told to a hundred.
    pub presence: Option<Part<Presence>>,
    /// Costs as something grows, for plots.
    pub curves: Option<Part<Curve>>,
    /// Many devices that come back at once.
    pub storm: Option<Part<Storm>>,
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

/// How long a message takes, to its sender's acknowledgement and to somebody else.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latency {
    /// The transport.
    pub transport: String,
    /// How much is sent.
    pub load: String,
    /// Messages per second.
    pub per_second: Vec<f64>,
    /// How long half of the acknowledgements took at most, in milliseconds.
    pub ack_p50_ms: Pair,
    /// The same for 99 of 100.
    pub ack_p99_ms: Pair,
    /// How long half of the deliveries took at most, in milliseconds.
    pub delivered_p50_ms: Pair,
    /// The same for 99 of 100.
    pub delivered_p99_ms: Pair,
    /// How long half of the disk's own syncs took at most, one after the other, in milliseconds.
    pub fsync_p50_ms: Vec<f64>,
    /// The same for 99 of 100.
    pub fsync_p99_ms: Vec<f64>,
}

/// What it takes to connect and to be let in; bare, to connect and be answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Connect {
    /// The transport.
    pub transport: String,
    /// How long half of them took at most, in milliseconds.
    pub p50_ms: Pair,
    /// The same for 99 of 100.
    pub p99_ms: Pair,
    /// The server's processor time for each, in microseconds.
    pub cpu_us: Pair,
}

/// Somebody comes to their device or leaves it, and a hundred who watch are told; bare, a hundred are given a frame.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Presence {
    /// The transport.
    pub transport: String,
    /// How long it took until the last of them knew, for half of the changes at most, in milliseconds.
    pub p50_ms: Pair,
    /// The same for 99 of 100.
    pub p99_ms: Pair,
    /// The server's processor time for each who was told, in microseconds.
    pub cpu_us: Pair,
}

/// A line of a plot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Curve {
    /// Which plot.
    pub plot: String,
    /// Which line.
    pub line: String,
    /// How much of what grows there is, and what it costs then, a value for each round.
    pub points: Vec<(f64, Vec<f64>)>,
}

/// Many devices lose their links at once and come back, while others talk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Storm {
    /// The transport.
    pub transport: String,
    /// How many come back.
    pub devices: usize,
    /// How long 99 of 100 acknowledgements of those who stay took at most before it, in milliseconds.
    pub quiet_p99_ms: Vec<f64>,
    /// The same while the others come back.
    pub storm_p99_ms: Vec<f64>,
    /// How long it took until all were back, in seconds.
    pub all_back_s: Vec<f64>,
}

/// What `suda-peers` measured last: suda beside other servers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Peers {
    /// The short hash of the commit.
    pub commit: String,
    /// How often all took their turn.
    pub passes: usize,
    /// Idle connections, fan-out and groups.
    pub deliveries: Vec<PeerDeliveries>,
    /// Sends that are acknowledged.
    pub sends: Vec<PeerSends>,
    /// Who was not there, or did not get through, and why.
    pub skipped: Vec<String>,
}

/// Which server, how it is set up, and how it is spoken with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerName {
    /// The server.
    pub name: String,
    /// Its version.
    pub version: String,
    /// In which setting.
    pub setting: String,
    /// Over what.
    pub transport: String,
    /// What its acknowledgement means.
    pub ack: String,
}

/// How a server gives messages to those who listen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PeerDeliveries {
    /// Which server.
    pub peer: PeerName,
    /// Memory of an idle connection that listens to one channel, in KiB.
    pub link_kib: Vec<f64>,
    /// One to a thousand, paced.
    pub fan_out_paced: Rounds,
    /// One to a thousand, as fast as it goes.
    pub fan_out_capacity: Rounds,
    /// Groups of four, paced.
    pub groups_paced: Rounds,
    /// Groups of four, as fast as it goes.
    pub groups_capacity: Rounds,
}

/// How a server acknowledges.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PeerSends {
    /// Which server.
    pub peer: PeerName,
    /// 64 writers, each with its own channel.
    pub rounds: Rounds,
}

/// A value for each round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rounds {
    /// Deliveries, or answers, per second.
    pub per_second: Vec<f64>,
    /// The server's processor time for each, in microseconds.
    pub cpu_us: Vec<f64>,
    /// How long half of them took at most, in milliseconds.
    pub p50_ms: Vec<f64>,
    /// The same for 99 of 100.
    pub p99_ms: Vec<f64>,
    /// How many did not come, in all rounds.
    pub lost: u64,
    /// How many came twice or out of order.
    pub doubled: u64,
}

impl Rounds {
    /// Notes a round: how many there were, in what time, at what cost, and how many microseconds each took.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2⁵³")]
    pub fn note(&mut self, count: usize, elapsed: Duration, cpu: Duration, took_us: &mut [u32]) {
        self.per_second.push(count as f64 / elapsed.as_secs_f64());
        self.cpu_us.push(cpu.as_secs_f64() * 1e6 / count as f64);
        took_us.sort_unstable();
        let at = |percent| took_us.get(took_us.len().saturating_sub(1) * percent / 100);
        let ms = |percent| at(percent).map_or(0.0, |us| f64::from(*us) / 1e3);
        self.p50_ms.push(ms(50));
        self.p99_ms.push(ms(99));
    }
}

impl Peers {
    /// Where they are kept.
    #[must_use]
    pub fn path() -> PathBuf {
        target().join("suda-bench/peers.json")
    }
}

/// What was measured last; nothing, if nothing was.
#[must_use]
pub fn read<T: DeserializeOwned + Default>(path: &Path) -> T {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Keeps what was measured for the page.
pub fn write<T: Serialize>(figures: &T, path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, serde_json::to_vec_pretty(figures)?)?)
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
