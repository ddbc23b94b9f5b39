//! The section of what `suda-peers` measures: suda beside other servers.

use std::fmt::Write as _;

use suda_benches::figures::{PeerDeliveries, PeerName, PeerSends, Peers, Rounds, median};

use crate::node::number;
use crate::page::{Section, about};

const ABOUT: &str = "Made by `make bench-peers`: the same workloads against other servers, each as it comes and with the tuning that its \
    documentation names, each a process of its own on loopback, in turns. Clients speak each server's own protocol, and check that \
    everything comes once and in order. They run on the same cores, so rates are of a machine that clients share; what to compare is the \
    server's processor time and memory. *× suda* is the figure divided by that of suda over WebSocket in the clear, as the others \
    are; QUIC is always encrypted. Servers do not do the same: suda has written a message to disk before anybody is given it, \
    has checked that its sender may send, and keeps it; of the others only JetStream and Redis Streams, in the last table, keep \
    anything. Medians of rounds.";
const FAN_OUT: &str = "Idle connections are let in and listen to one channel: memory is what the server has grown by when 501 came after \
    the first 500. Then one sends to the thousand others, 128 bytes at a time: paced, 20 messages a second; at capacity, 64 on \
    their way that not all have.";
const GROUPS: &str = "500 groups of 4, each on a connection of its own; who speaks also hears it, so there are four deliveries to a message. \
    Paced, 1,000 messages a second in all groups together; at capacity, 256 on their way.";
const SENDS: &str = "64 writers, each on its own connection and in its own channel, who wait for the answer to 128 bytes before they send the \
    next. *suda is ×* is the rate of suda over WebSocket divided by the row's.";

pub(crate) fn section(peers: &Peers) -> Section {
    let measured = peers.deliveries.iter().any(|row| !row.peer.name.is_empty()) || !peers.sends.is_empty();
    Section { title: "Beside other servers", body: measured.then(|| body(peers)) }
}

fn body(peers: &Peers) -> String {
    let mut body = about(ABOUT, &peers.commit);
    let _ = writeln!(body, "### Idle connections, and one to a thousand\n\n{FAN_OUT}\n");
    let memory = peers.deliveries.iter().find(|row| is_suda(&row.peer)).and_then(|row| median(&row.link_kib));
    deliveries(peers, &mut body, memory, |row| [&row.fan_out_paced, &row.fan_out_capacity]);
    let _ = writeln!(body, "\n### Groups of four\n\n{GROUPS}\n");
    deliveries(peers, &mut body, None, |row| [&row.groups_paced, &row.groups_capacity]);
    let _ = writeln!(body, "\n### Sends that are acknowledged\n\n{SENDS}\n");
    sends(&peers.sends, &mut body);
    if !peers.skipped.is_empty() {
        body.push_str("\nNot measured:\n\n");
        for skipped in &peers.skipped {
            let _ = writeln!(body, "- {skipped}");
        }
    }
    body
}

/// suda over WebSocket, with which the others are compared.
pub(crate) fn is_suda(peer: &PeerName) -> bool {
    peer.name == "suda" && peer.transport == "WebSocket"
}

fn deliveries<'a>(
    peers: &'a Peers,
    body: &mut String,
    memory: Option<f64>,
    of: impl Fn(&'a PeerDeliveries) -> [&'a Rounds; 2],
) {
    let memory_head = if memory.is_some() { " KiB per connection | × suda |" } else { "" };
    let memory_line = if memory.is_some() { "---:|---:|" } else { "" };
    let _ = writeln!(
        body,
        "| server | setting | over |{memory_head} paced: server CPU µs per delivery | × suda | p50 ms | p99 ms | at capacity: \
         server CPU µs per delivery | × suda | deliveries per second | p99 ms | lost | doubled |\n\
         |---|---|---|{memory_line}---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    let suda = peers.deliveries.iter().find(|row| is_suda(&row.peer)).map(&of);
    let base = suda.map(|rounds| rounds.map(|rounds| median(&rounds.cpu_us)));
    for row in peers.deliveries.iter().filter(|row| !row.peer.name.is_empty()) {
        let [paced, capacity] = of(row);
        let mut line = front(&row.peer);
        if memory.is_some() {
            let own = median(&row.link_kib);
            let _ = write!(line, " {} | {} |", number(own), times(own, memory));
        }
        let cells = [
            number(median(&paced.cpu_us)),
            times(median(&paced.cpu_us), base.and_then(|base| base[0])),
            number(median(&paced.p50_ms)),
            number(median(&paced.p99_ms)),
            number(median(&capacity.cpu_us)),
            times(median(&capacity.cpu_us), base.and_then(|base| base[1])),
            number(median(&capacity.per_second)),
            number(median(&capacity.p99_ms)),
            (paced.lost + capacity.lost).to_string(),
            (paced.doubled + capacity.doubled).to_string(),
        ];
        let _ = writeln!(body, "{line} {} |", cells.join(" | "));
    }
}

fn sends(rows: &[PeerSends], body: &mut String) {
    body.push_str(
        "| server | setting | over | what an acknowledgement means | acknowledged per second | suda is × | server CPU µs per send | \
         p50 ms | p99 ms |\n|---|---|---|---|---:|---:|---:|---:|---:|\n",
    );
    let suda = rows.iter().find(|row| is_suda(&row.peer)).and_then(|row| median(&row.rounds.per_second));
    for PeerSends { peer, rounds } in rows.iter().filter(|row| !row.peer.name.is_empty()) {
        let cells = [
            peer.ack.clone(),
            number(median(&rounds.per_second)),
            times(suda, median(&rounds.per_second)),
            number(median(&rounds.cpu_us)),
            number(median(&rounds.p50_ms)),
            number(median(&rounds.p99_ms)),
        ];
        let _ = writeln!(body, "{} {} |", front(peer), cells.join(" | "));
    }
}

fn front(PeerName { name, version, setting, transport, .. }: &PeerName) -> String {
    format!("| {name} {version} | {setting} | {transport} |")
}

fn times(one: Option<f64>, other: Option<f64>) -> String {
    number(one.zip(other).map(|(one, other)| one / other).filter(|ratio| ratio.is_finite()))
}
