//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use serde::Serialize;
use suda_client::Kind;

/// Many devices in one process, on the Rust SDK, against a node of suda: how fast it is with them, and whether it keeps its
/// promises.
///
/// Each device is a user of its own. Whatever the scenario, everything that each device is shown is checked: the exit code is
/// 1 if anything acknowledged is lost, doubled or out of order, or was not answered; 2 if the run could not be made.
///
/// A server that was not started by this command limits how often one address may do what. For thousands of devices set
/// there: rate.sign_up_address, rate.login_address, rate.http_address and http.connections_per_address_max for making
/// them (and accounts.hashes_at_once, accounts.hashes_waiting_max if passwords are to be hashed faster);
/// link.links_per_address_max for connecting them; rate.sends for sending faster than 50 a second from one device, and
/// limits.group_members_max for groups above 100. With the same --prefix the accounts of the last time are used again.
#[derive(Debug, Clone, Parser)]
#[command(name = "suda-load", version)]
#[command(group = ArgGroup::new("server").required(true).args(["url", "start"]))]
pub(crate) struct Args {
    /// What the devices do.
    pub(crate) scenario: Scenario,

    /// A server that runs already, such as `https://suda.example` or `http://localhost:8080`.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Start a node for this run, on the embedded store in a folder that is thrown away.
    #[arg(long)]
    pub(crate) start: bool,
    /// With --start: the server's binary. Otherwise it is looked for beside this one.
    #[arg(long, env = "SUDA_BIN")]
    pub(crate) suda: Option<PathBuf>,
    /// With --start: a setting of the server's, such as hub.batch_max=64. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,

    /// How the devices connect.
    #[arg(long, default_value = "quic")]
    pub(crate) transport: Transport,
    /// How many devices there are. In fan-out, all but one are readers.
    #[arg(long, default_value_t = 100)]
    pub(crate) devices: usize,
    /// Groups: how many devices are in one.
    #[arg(long, default_value_t = 10)]
    pub(crate) group_size: usize,
    /// Messages a second, of all devices together, at times that do not wait for the server: latencies are from the time at
    /// which a message was to be sent.
    #[arg(long, default_value_t = 100.0, conflicts_with = "in_flight")]
    pub(crate) rate: f64,
    /// As fast as it goes: so many messages are always on their way, that is not acknowledged or not everywhere yet.
    #[arg(long)]
    pub(crate) in_flight: Option<usize>,
    /// How long messages are sent.
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// How long before that messages are sent that are checked but not measured.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up_seconds: f64,
    /// In the end, what is still on its way is waited for until nothing has arrived for so long. What is missing then is
    /// lost.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) settle_seconds: f64,
    /// How long a message is.
    #[arg(long, default_value_t = 128)]
    pub(crate) bytes: usize,

    /// Storm: how often all devices lose their links at once.
    #[arg(long, default_value_t = 1)]
    pub(crate) storms: u32,
    /// Storm, with --start: the server is killed (kill -9) and started again, in place of the devices closing their links.
    #[arg(long, requires = "start")]
    pub(crate) kill: bool,
    /// Slow readers: of a hundred devices so many are slow.
    #[arg(long, default_value_t = 20)]
    pub(crate) slow_percent: usize,
    /// Slow readers: so many bytes a second of each channel are read by them.
    #[arg(long, default_value_t = 8_192)]
    pub(crate) slow_bytes: u32,

    /// How many sends of one device in one channel the SDK has on their way. With more than 1 a server that limits rates
    /// may have them change places. [default: 16 with --start, else 1]
    #[arg(long)]
    pub(crate) sends_in_flight: Option<usize>,
    /// The devices do not tell what has reached them.
    #[arg(long)]
    pub(crate) no_marks: bool,
    /// How many devices share one UDP socket, with QUIC. Real ones share none; with too many, datagrams overflow it.
    #[arg(long, default_value_t = 64)]
    pub(crate) devices_per_socket: usize,
    /// What handles begin with. [default: another one each time]
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// Everybody's password.
    #[arg(long, default_value = "correct horse battery", hide_default_value = true)]
    pub(crate) password: String,
    /// How many devices are made side by side.
    #[arg(long, default_value_t = 32)]
    pub(crate) at_once: usize,
    /// How long making and connecting the devices may take.
    #[arg(long, default_value_t = 900.0)]
    pub(crate) setup_seconds: f64,

    /// Write the result as JSON to this file, `-` for stdout.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Show no progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// All connect, and nobody says anything.
    Idle,
    /// One sends, all others read.
    FanOut,
    /// Each is in one small group, and all take turns.
    Groups,
    /// Pairs.
    OneToOne,
    /// Groups that talk while all lose their links at once.
    Storm,
    /// Fan-out with some that read slowly: the others must not notice.
    SlowReaders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::enum_variant_names, reason = "it is what it is called")]
pub(crate) enum Transport {
    /// QUIC.
    Quic,
    /// WebTransport.
    #[value(name = "webtransport")]
    WebTransport,
    /// WebSocket.
    #[value(name = "websocket")]
    WebSocket,
}

impl Transport {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Quic => Kind::Quic,
            Self::WebTransport => Kind::WebTransport,
            Self::WebSocket => Kind::WebSocket,
        }
    }
}

impl Args {
    /// What can't be, in words.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        use anyhow::ensure;
        let least = if self.scenario == Scenario::Idle { 1 } else { 2 };
        ensure!(self.devices >= least, "--devices: at least {least} for this");
        ensure!(self.group_size >= 2, "--group-size: at least 2");
        ensure!(self.rate > 0.0 && self.rate.is_finite(), "--rate: above 0");
        ensure!(self.in_flight != Some(0), "--in-flight: at least 1");
        ensure!(self.slow_percent <= 100 && self.slow_bytes > 0, "--slow-percent: at most 100; --slow-bytes: above 0");
        ensure!(self.at_once > 0 && self.devices_per_socket > 0, "--at-once, --devices-per-socket: at least 1");
        let fits = |seconds: f64| (0.0..=1e6).contains(&seconds);
        let times = [self.seconds, self.warm_up_seconds, self.settle_seconds, self.setup_seconds];
        ensure!(times.into_iter().all(fits), "seconds: between 0 and a million");
        Ok(())
    }

    pub(crate) fn is_slow(&self, device: usize) -> bool {
        // Spread evenly; the first is the one that sends.
        let before = |device: usize| device * self.slow_percent / 100;
        self.scenario == Scenario::SlowReaders && device > 0 && before(device) != before(device - 1)
    }

    pub(crate) fn handle_prefix(&self) -> String {
        self.prefix.clone().unwrap_or_else(|| format!("load{:08x}_", rand::random::<u32>()))
    }
}

/// Of seconds that were [checked](Args::check).
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
