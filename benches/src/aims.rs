//! What the suite aims at, and what was measured: each row says where it stands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use suda_benches::figures::{self, FanOut, Figures, PeerName, PeerSends, Peers, Sends, median};

use crate::beside::is_suda;
use crate::estimates::Estimate;
use crate::growth;
use crate::node::number;
use crate::page::{Section, about};

const ABOUT: &str = "What this project set out to reach, on two shared cores, each figure beside its reference in one run. *bare* is the \
    bare server of the sections below.";

/// Which side of the bound is good.
#[derive(Clone, Copy)]
enum Good {
    AtMost(f64),
    AtLeast(f64),
}

use Good::{AtLeast, AtMost};

struct Aims(String);

/// The section; none of it, if nothing was measured.
pub(crate) fn section(figures: &Figures, peers: &Peers, estimates: &BTreeMap<String, Estimate>) -> Section {
    let mut aims = Aims(about(ABOUT, &figures::commit()));
    aims.0.push_str("| what | aim | measured | |\n|---|---:|---:|---|\n");
    let empty = aims.0.len();
    fan_out(figures, peers, &mut aims);
    sends(figures, peers, estimates, &mut aims);
    latency(figures, &mut aims);
    memory(figures, &mut aims);
    let resume = of(estimates, "resume/bare_range/10000", "resume/attachment/10000");
    aims.row("resume of 10,000 entries: rate ÷ the same rows read from the store", AtLeast(0.5), resume);
    storm(figures, &mut aims);
    for (what, spread) in growth::spreads(estimates) {
        aims.row(&what, AtMost(1.2), Some(spread));
    }
    let measured = aims.0.len() > empty;
    Section { title: "Aims", body: measured.then_some(aims.0) }
}

impl Aims {
    fn row(&mut self, what: &str, good: Good, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let (aim, is_met) = match good {
            AtMost(bound) => (format!("≤ {bound}"), value <= bound),
            AtLeast(bound) => (format!("≥ {bound}"), value >= bound),
        };
        let said = if is_met { "met" } else { "**not met**" };
        let _ = writeln!(self.0, "| {what} | {aim} | {} | {said} |", number(Some(value)));
    }
}

fn fan_out(figures: &Figures, peers: &Peers, aims: &mut Aims) {
    let rows = figures.fan_out.iter().flat_map(|part| &part.rows);
    for FanOut { transport, load, cpu_us, .. } in rows {
        let is_paced = load.contains("second");
        let ratio = cpu_us.ratio();
        if is_paced {
            let bound = if transport.starts_with("WebSocket") { 1.25 } else { 1.4 };
            aims.row(&format!("fan-out, {transport}, {load}: server CPU ÷ bare"), AtMost(bound), ratio);
        } else {
            let what = format!("fan-out, {transport}, {load}: deliveries per server-CPU-second ÷ bare");
            aims.row(&what, AtLeast(0.7), ratio.map(f64::recip));
        }
    }
    let cpu = |is: &dyn Fn(&PeerName) -> bool| {
        let rows = peers.deliveries.iter().filter(|row| is(&row.peer));
        rows.filter_map(|row| median(&row.fan_out_capacity.cpu_us)).min_by(f64::total_cmp)
    };
    let suda = cpu(&is_suda);
    for (name, bound) in [("Socket.IO", 5.0), ("Centrifugo", 2.0)] {
        let other = cpu(&|peer| peer.name == name);
        let what = format!("fan-out, WebSocket, 64 in flight: server CPU of {name} at its best ÷ suda");
        aims.row(&what, AtLeast(bound), other.zip(suda).map(|(other, suda)| other / suda));
    }
}

fn sends(figures: &Figures, peers: &Peers, estimates: &BTreeMap<String, Estimate>, aims: &mut Aims) {
    let best = |is: &dyn Fn(&PeerName) -> bool| {
        let rows = peers.sends.iter().filter(|PeerSends { peer, .. }| is(peer));
        rows.filter_map(|row| median(&row.rounds.per_second)).max_by(f64::total_cmp)
    };
    for transport in ["WebSocket", "QUIC (TLS)"] {
        let suda = best(&|peer| peer.name == "suda" && peer.transport == transport);
        let beside = |other: Option<f64>| suda.zip(other).map(|(suda, other)| suda / other);
        let jetstream = best(&|peer| peer.name == "NATS" && peer.setting.contains("sync always"));
        let what = format!("durable sends, 64 writers, {transport}: rate ÷ JetStream, sync always, at its best");
        aims.row(&what, AtLeast(8.0), beside(jetstream));
        let redis = best(&|peer| peer.name == "Redis" && peer.setting.contains("always"));
        let what = format!("durable sends, 64 writers, {transport}: rate ÷ Redis Streams, appendfsync always");
        aims.row(&what, AtLeast(0.6), beside(redis));
    }
    let rows: Vec<&Sends> = figures.sends.iter().flat_map(|part| &part.rows).collect();
    let engine = estimates.get("store_commit/embedded/64").map(|estimate| 1e9 / estimate.median_ns);
    let rate = |transport: &str, who: &str| {
        let row = rows.iter().find(|row| row.transport == transport && row.who == who);
        row.and_then(|row| row.per_second.suda())
    };
    for transport in ["raw QUIC", "WebSocket, TLS"] {
        let apart = rate(transport, "64 each in its own channel");
        let what = format!("durable sends, 64 writers, {transport}: rate ÷ the store engine alone with 64 writers");
        aims.row(&what, AtLeast(0.6), apart.zip(engine).map(|(apart, engine)| apart / engine));
        for who in ["64 all in one channel, over 4 links", "64 all in one channel, each hears all"] {
            let what = format!("durable sends, {transport}, {who}: rate ÷ that in their own channels");
            aims.row(&what, AtLeast(0.8), rate(transport, who).zip(apart).map(|(one, apart)| one / apart));
        }
    }
}

fn latency(figures: &Figures, aims: &mut Aims) {
    for row in figures.latency.iter().flat_map(|part| &part.rows).filter(|row| row.load.contains('%')) {
        let ratio = row.delivered_p99_ms.suda().zip(median(&row.fsync_p99_ms)).map(|(own, disk)| own / disk);
        let what = format!("publish → delivered, {}, at {}: p99 ÷ the disk's own fsync p99", row.transport, row.load);
        aims.row(&what, AtMost(3.0), ratio);
    }
}

fn memory(figures: &Figures, aims: &mut Aims) {
    for row in figures.memory.iter().flat_map(|part| &part.rows) {
        let own = row.link_kib.suda().zip(row.attachment_kib.suda()).map(|(link, attachment)| link + attachment);
        let ratio = own.zip(row.link_kib.bare()).map(|(own, bare)| own / bare);
        aims.row(&format!("idle link with one attachment, {}: memory ÷ bare", row.transport), AtMost(1.3), ratio);
    }
}

fn storm(figures: &Figures, aims: &mut Aims) {
    for row in figures.storm.iter().flat_map(|part| &part.rows) {
        let devices = row.devices;
        let ratio = median(&row.storm_p99_ms).zip(median(&row.quiet_p99_ms)).map(|(storm, quiet)| storm / quiet);
        let what = format!("{devices} devices reconnect at once, {}: p99 of established links ÷ quiet", row.transport);
        aims.row(&what, AtMost(3.0), ratio);
        let what = format!("{devices} devices reconnect at once, {}: seconds until all are back", row.transport);
        aims.row(&what, AtMost(15.0), median(&row.all_back_s));
    }
}

/// How much faster the other is than the one: the rate of the second divided by that of the first.
fn of(estimates: &BTreeMap<String, Estimate>, reference: &str, own: &str) -> Option<f64> {
    Some(estimates.get(reference)?.median_ns / estimates.get(own)?.median_ns)
}
