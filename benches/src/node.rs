//! The sections of what `benches/node` measures.

use std::fmt::Write as _;

use suda_benches::figures::{Connect, FanOut, Figures, Latency, Memory, Pair, Part, Presence, Sends, Storm, median};

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

const LATENCY: &str = "One message of 128 bytes, from its sender's send to the acknowledgement, which means that it is on disk, and to the \
    entry decoded by somebody else on another link. Alone, each is sent when the one before it is everywhere; at 10 % of capacity, 64 \
    senders in channels of their own send at fixed times a tenth of what they got through before, when they sent as fast as it \
    went. Alone, the bare server gives each message to both at once; at 10 %, it echoes. *fsync* is the disk by itself: 128 bytes appended \
    to a file and synced, one after the other, in the same run. Milliseconds; medians of rounds that take turns.";

const CONNECT: &str = "A new connection, one after the other: to suda until the device is welcome, its token checked; to the bare \
    server until a first frame is answered. No session is resumed. Medians of rounds that take turns.";

const PRESENCE: &str = "Somebody comes to their device or leaves it, which is written to the store, and 100 who watch, each over a link \
    of their own, are told: until the last of them knows. The bare server gives 100 a frame of 180 bytes and writes nothing. Medians of \
    rounds that take turns.";

const STORM: &str = "Devices on links that all end at once come back at once: they connect, authenticate, and attach a channel at their \
    cursor. Meanwhile 32 others on links that stay send 20 messages a second each, and each waits for nobody. The devices run in a process of a lower \
    priority on the same cores, as if they were elsewhere. Medians of rounds.";

pub(crate) fn sections(figures: &Figures) -> [Section; 7] {
    [
        Section { title: "Fan-out", body: figures.fan_out.as_ref().map(fan_out) },
        Section { title: "Acknowledged sends", body: figures.sends.as_ref().map(sends) },
        Section { title: "Latency", body: figures.latency.as_ref().map(latency) },
        Section { title: "Connecting", body: figures.connect.as_ref().map(connect) },
        Section { title: "Presence", body: figures.presence.as_ref().map(presence) },
        Section { title: "Idle links", body: figures.memory.as_ref().map(memory) },
        Section { title: "A storm of reconnects", body: figures.storm.as_ref().map(storm) },
    ]
}

fn latency(part: &Part<Latency>) -> String {
    let mut body = about(LATENCY, &part.commit);
    body.push_str(
        "| transport | load | messages per second | acknowledged p50 | bare | p99 | bare | delivered p50 | bare | p99 | bare | fsync p50 \
         | p99 | delivered p99 ÷ fsync p99 |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in &part.rows {
        let pairs = [&row.ack_p50_ms, &row.ack_p99_ms, &row.delivered_p50_ms, &row.delivered_p99_ms];
        let (fsync_p50, fsync_p99) = (median(&row.fsync_p50_ms), median(&row.fsync_p99_ms));
        let ratio = row.delivered_p99_ms.suda().zip(fsync_p99).map(|(own, disk)| own / disk);
        let cells = [median(&row.per_second)].into_iter();
        let cells = cells.chain(pairs.iter().flat_map(|pair| [pair.suda(), pair.bare()]));
        let cells: Vec<_> = cells.chain([fsync_p50, fsync_p99, ratio]).map(number).collect();
        let _ = writeln!(body, "| {} | {} | {} |", row.transport, row.load, cells.join(" | "));
    }
    body
}

fn connect(part: &Part<Connect>) -> String {
    let rows = part.rows.iter().map(|row| (&row.transport, &row.p50_ms, &row.p99_ms, &row.cpu_us));
    three("connection", CONNECT, &part.commit, rows)
}

fn presence(part: &Part<Presence>) -> String {
    let rows = part.rows.iter().map(|row| (&row.transport, &row.p50_ms, &row.p99_ms, &row.cpu_us));
    three("watcher", PRESENCE, &part.commit, rows)
}

/// How long something takes, and what each costs, over some transports.
fn three<'a>(
    each: &str,
    text: &str,
    commit: &str,
    rows: impl Iterator<Item = (&'a String, &'a Pair, &'a Pair, &'a Pair)>,
) -> String {
    let mut body = about(text, commit);
    let _ = writeln!(
        body,
        "| transport | p50 ms | bare | ratio | p99 ms | bare | ratio | server CPU µs per {each} | bare | ratio |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    for (transport, p50_ms, p99_ms, cpu_us) in rows {
        let cells = [p50_ms, p99_ms, cpu_us].map(with_ratio);
        let _ = writeln!(body, "| {transport} | {} |", cells.join(" | "));
    }
    body
}

fn storm(part: &Part<Storm>) -> String {
    let mut body = about(STORM, &part.commit);
    body.push_str(
        "| transport | devices | p99 ms of those who stay, before | while the others come back | ratio | all are back after, s |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for row in &part.rows {
        let (quiet, storm) = (median(&row.quiet_p99_ms), median(&row.storm_p99_ms));
        let ratio = quiet.zip(storm).map(|(quiet, storm)| storm / quiet);
        let cells = [quiet, storm, ratio, median(&row.all_back_s)].map(number);
        let _ = writeln!(body, "| {} | {} | {} |", row.transport, row.devices, cells.join(" | "));
    }
    body
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
    [with_ratio(per_second), with_ratio(cpu_us), both(p50_ms), both(p99_ms)].join(" | ")
}

fn both(pair: &Pair) -> String {
    format!("{} | {}", number(pair.suda()), number(pair.bare()))
}

fn with_ratio(pair: &Pair) -> String {
    format!("{} | {}", both(pair), number(pair.ratio()))
}

/// With as many digits as say something.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}
