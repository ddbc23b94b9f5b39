//! What came of a run: as JSON for machines, as a table for people.

use std::fmt::Write as _;

use serde::Serialize;

use crate::args::{Args, Scenario, Transport};
use crate::checker::Faults;
use crate::meter::{Meter, Percentiles, get};
use crate::usage::Usage;
use crate::world::Cost;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether nothing was found.
    pub(crate) ok: bool,
    scenario: Scenario,
    transport: Transport,
    /// Where the server was; `null` if it was started for this.
    url: Option<String>,
    devices: usize,
    channels: usize,
    /// Messages a second that were meant to be sent; `null` if as many as go.
    rate: Option<f64>,
    in_flight: Option<usize>,
    seconds: f64,
    bytes: usize,
    setup_seconds: f64,
    sent: u64,
    acked: u64,
    delivered: u64,
    /// Of those that were measured.
    acked_per_second: f64,
    delivered_per_second: f64,
    latency: Latencies,
    online_at_end: u64,
    links_lost: u64,
    client: Process,
    /// Only of a server that was started for this.
    server: Option<Process>,
    faults: Faults,
}

/// `null` where nothing was timed.
#[derive(Debug, Serialize)]
struct Latencies {
    /// From having a login to having a session.
    connect: Option<Percentiles>,
    /// From losing the link to having a session again.
    reconnect: Option<Percentiles>,
    /// From when a message was to be sent to its acknowledgement.
    ack: Option<Percentiles>,
    /// From when a message was to be sent to another device's app having it.
    delivery: Option<Percentiles>,
    /// The same, to those that are slow by intention.
    delivery_slow: Option<Percentiles>,
}

/// What a process has used.
#[derive(Debug, Serialize)]
struct Process {
    rss_bytes: u64,
    rss_peak_bytes: u64,
    /// How much it has grown by while the devices were made, for each of them.
    rss_per_device_bytes: Option<u64>,
    /// Processors that it kept busy while messages were measured.
    cpu_cores: Option<f64>,
    /// Processor time for each message that was delivered.
    cpu_us_per_delivery: Option<f64>,
}

/// What a process used before anything, with all devices connected, when measuring began, and at the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usages {
    pub(crate) before: Usage,
    pub(crate) connected: Usage,
    pub(crate) began: Usage,
    pub(crate) ended: Usage,
    /// Whether it was the same process all the time.
    pub(crate) is_same: bool,
}

/// What the run itself knows.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) channels: usize,
    pub(crate) cost: Cost,
    /// Between the last two looks at what processes use.
    pub(crate) measured_seconds: f64,
    pub(crate) client: Usages,
    pub(crate) server: Option<Usages>,
    pub(crate) faults: Faults,
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages and bytes are far below 2⁵³")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Report {
    pub(crate) fn new(args: &Args, meter: &Meter, outcome: Outcome) -> Self {
        let Outcome { channels, cost, measured_seconds, client, server, faults } = outcome;
        let totals = &meter.totals;
        let delivered = get(&totals.measured_delivered);
        let process = |usages: Usages| Process::new(usages, args.devices, measured_seconds, delivered);
        let per_second = |count: u64| if args.seconds > 0.0 { float(count) / args.seconds } else { 0.0 };
        let talks = args.scenario != Scenario::Idle;
        Self {
            ok: faults.count() == 0,
            scenario: args.scenario,
            transport: args.transport,
            url: args.url.clone(),
            devices: args.devices,
            channels,
            rate: (talks && args.in_flight.is_none()).then_some(args.rate),
            in_flight: args.in_flight,
            seconds: args.seconds,
            bytes: args.bytes,
            setup_seconds: cost.took.as_secs_f64(),
            sent: get(&totals.sent),
            acked: get(&totals.acked),
            delivered: get(&totals.delivered),
            acked_per_second: per_second(get(&totals.measured_acked)),
            delivered_per_second: per_second(delivered),
            latency: Latencies {
                connect: meter.connect.percentiles(),
                reconnect: meter.reconnect.percentiles(),
                ack: meter.ack.percentiles(),
                delivery: meter.delivery.percentiles(),
                delivery_slow: meter.delivery_slow.percentiles(),
            },
            online_at_end: get(&totals.online),
            links_lost: get(&totals.links_lost),
            client: process(client),
            server: server.map(process),
            faults,
        }
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        let server = self.url.as_deref().unwrap_or("a node of its own");
        line(format!(
            "{:?}: {} devices in {} channels over {:?}, {server}",
            self.scenario, self.devices, self.channels, self.transport
        ));
        line(format!("devices made and connected in {:.1} s", self.setup_seconds));
        if self.scenario != Scenario::Idle {
            let load = match (self.rate, self.in_flight) {
                (Some(rate), _) => format!("{rate} messages a second"),
                (_, in_flight) => format!("{} messages in flight", in_flight.unwrap_or(0)),
            };
            line(format!(
                "{load} of {} bytes for {} s: {} sent, {} acknowledged, {} delivered; a second {:.0} acknowledged, {:.0} delivered",
                self.bytes,
                self.seconds,
                self.sent,
                self.acked,
                self.delivered,
                self.acked_per_second,
                self.delivered_per_second
            ));
        }
        line(String::new());
        line(format!(
            "{:<18}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "latency, ms", "count", "mean", "p50", "p90", "p99", "p99.9", "max"
        ));
        let latency = &self.latency;
        for (name, percentiles) in [
            ("connect", &latency.connect),
            ("reconnect", &latency.reconnect),
            ("send to ack", &latency.ack),
            ("send to delivery", &latency.delivery),
            ("… to the slow", &latency.delivery_slow),
        ] {
            if let Some(Percentiles { count, mean_ms, p50_ms, p90_ms, p99_ms, p999_ms, max_ms }) = percentiles {
                line(format!(
                    "{name:<18}{count:>10}{mean_ms:>10.2}{p50_ms:>10.2}{p90_ms:>10.2}{p99_ms:>10.2}{p999_ms:>10.2}{max_ms:>10.2}"
                ));
            }
        }
        line(String::new());
        line(format!(
            "{:<18}{:>12}{:>12}{:>18}{:>12}{:>18}",
            "process", "RSS MiB", "peak MiB", "KiB per device", "CPU cores", "CPU µs/delivery"
        ));
        let shown = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
        for (name, process) in [("client", Some(&self.client)), ("server", self.server.as_ref())] {
            let Some(process) = process else { continue };
            let mib = |bytes: u64| float(bytes) / f64::from(1 << 20);
            let each = process.rss_per_device_bytes.map(|bytes| float(bytes) / 1_024.0);
            line(format!(
                "{name:<18}{:>12.1}{:>12.1}{:>18}{:>12}{:>18}",
                mib(process.rss_bytes),
                mib(process.rss_peak_bytes),
                shown(each),
                process.cpu_cores.map_or("–".to_owned(), |cores| format!("{cores:.2}")),
                shown(process.cpu_us_per_delivery),
            ));
        }
        line(String::new());
        line(format!("{} devices online at the end; links lost: {}", self.online_at_end, self.links_lost));
        let Faults { lost, doubled, disordered, unanswered, refused, described } = &self.faults;
        line(match self.ok {
            true => "checked: nothing lost, doubled or out of order".to_owned(),
            false => format!(
                "FAULTS: {lost} lost, {doubled} doubled, {disordered} out of order, {unanswered} not answered, {refused} refused"
            ),
        });
        described.iter().for_each(|fault| line(format!("  {fault}")));
        out
    }
}

impl Process {
    fn new(usages: Usages, devices: usize, seconds: f64, delivered: u64) -> Self {
        let Usages { before, connected, began, ended, is_same } = usages;
        let grown = connected.rss_bytes.saturating_sub(before.rss_bytes);
        let cpu = is_same.then(|| ended.cpu.saturating_sub(began.cpu).as_secs_f64());
        Self {
            rss_bytes: ended.rss_bytes,
            rss_peak_bytes: ended.rss_peak_bytes,
            rss_per_device_bytes: is_same.then(|| grown.checked_div(devices as u64)).flatten(),
            cpu_cores: cpu.filter(|_| seconds > 0.0).map(|cpu| cpu / seconds),
            cpu_us_per_delivery: cpu.filter(|_| delivered > 0).map(|cpu| cpu * 1e6 / float(delivered)),
        }
    }
}
