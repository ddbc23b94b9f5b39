//! The sections of what `benches/node` measures.

use std::fmt::Write as _;

use suda_benches::figures::{FanOut, Figures, Memory, Pair, Part, Sends};

use crate::page::{Section, about};

const MEMORY: &str = "Memory of idle links, in KiB: what a server process has grown by, files that are mapped and the kernel's \
    own buffers not counted, when 250 links came after the first 250; for attachments, when each of the 500 then attached four \
    channels. The links of suda have a session each, of users of their own. The bare server holds the same connections with one \
    stream in its own process: quinn, wtransport or tungstenite, with the buffers and limits that suda sets, and then four more \
    streams on each. *Ratio* is memory of suda's divided by the bare server's.";

const SENDS: &str = "Texts of 128 bytes, each sent when the one before it is acknowledged. The node is `suda serve`, the release \
    binary, on the embedded store, and acknowledges what is on disk. The bare server keeps nothing: it answers at once with as many \
    bytes, or, where all are in one channel, gives each frame to all. Where they go over 4 links, each link has a quarter of the \
    sends in flight. Clients run on the same cores as the server. *Ratio* is suda's rate divided by the bare server's (above 1: \
    faster), and suda's processor time divided by the bare server's (above 1: dearer). \
    Medians of rounds that take turns.";

const FAN_OUT: &str = "One sender and 1,000 readers of one broadcast channel, each over a link of its own, texts of 128 bytes. The \
    node is `suda serve`, the release binary, on the embedded store: a message is on disk before it is delivered. The bare server \
    writes the same bytes to all in one loop, and keeps nothing. Paced, 20 messages come a second, 20,000 deliveries; at capacity, \
    64 are on their way that not all have. Latency is from the sender's send to the reader's decoded entry, in milliseconds; the \
    clients run on the same cores as the server. *Ratio* is suda's rate divided by the bare server's (above 1: faster), and suda's \
    processor time divided by the bare server's (above 1: dearer). Medians of rounds that take turns.";

pub(crate) fn sections(figures: &Figures) -> [Section; 3] {
    [
        Section { title: "Fan-out", body: figures.fan_out.as_ref().map(fan_out) },
        Section { title: "Acknowledged sends", body: figures.sends.as_ref().map(sends) },
        Section { title: "Idle links", body: figures.memory.as_ref().map(memory) },
    ]
}

fn memory(part: &Part<Memory>) -> String {
    let mut body = about(MEMORY, &part.commit);
    body.push_str(
        "| transport | link | bare link | ratio | attachment | bare stream |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for Memory { transport, link_kib, attachment_kib } in &part.rows {
        let _ = writeln!(
            body,
            "| {transport} | {} | {} | {} | {} | {} |",
            number(link_kib.suda()),
            number(link_kib.bare()),
            number(link_kib.ratio()),
            number(attachment_kib.suda()),
            number(attachment_kib.bare()),
        );
    }
    body
}

fn sends(part: &Part<Sends>) -> String {
    let mut body = about(SENDS, &part.commit);
    body.push_str(&head("transport", "senders", "acknowledged per second", "send"));
    for row in &part.rows {
        let _ = writeln!(
            body,
            "| {} | {} | {} |",
            row.transport,
            row.who,
            columns(&row.per_second, &row.cpu_us, &row.p50_ms, &row.p99_ms)
        );
    }
    body
}

fn fan_out(part: &Part<FanOut>) -> String {
    let mut body = about(FAN_OUT, &part.commit);
    body.push_str(&head("transport", "load", "deliveries per second", "delivery"));
    for row in &part.rows {
        let _ = writeln!(
            body,
            "| {} | {} | {} |",
            row.transport,
            row.load,
            columns(&row.per_second, &row.cpu_us, &row.p50_ms, &row.p99_ms)
        );
    }
    body
}

fn head(first: &str, second: &str, rate: &str, each: &str) -> String {
    format!(
        "| {first} | {second} | {rate} | bare | ratio | server CPU µs per {each} | bare | ratio | p50 ms | bare | p99 ms | bare |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    )
}

fn columns(per_second: &Pair, cpu_us: &Pair, p50_ms: &Pair, p99_ms: &Pair) -> String {
    let both = |pair: &Pair| format!("{} | {}", number(pair.suda()), number(pair.bare()));
    let with_ratio = |pair: &Pair| format!("{} | {}", both(pair), number(pair.ratio()));
    [with_ratio(per_second), with_ratio(cpu_us), both(p50_ms), both(p99_ms)].join(" | ")
}

/// With as many digits as say something.
fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}
