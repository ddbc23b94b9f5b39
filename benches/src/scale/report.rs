//! From what the sample did to what all do, and what that takes.

use std::fmt::Write as _;

use super::People;
use super::world::{COUNTED_MS, Counts, SCALE, play};

/// `link.links_max`, and how much of it is used while all nodes are there.
const LINKS: f64 = 100_000.0;
const FILL: f64 = 0.8;
/// From docs/performance.md: memory of a WebTransport link and of an attachment, of which a device holds four; processor time of
/// a delivery, and of a send that is alone in its batch.
const LINK_KIB: f64 = 73.0;
const ATTACHMENT_KIB: f64 = 3.3;
const ATTACHMENTS: f64 = 4.0;
const DELIVERY_US: f64 = 18.2;
const SEND_US: f64 = 95.5;
/// Assumed, not measured: what the node keeps of a topic that is registered; the processor time of a link's beginning, and of a
/// keep-alive each `link.keep_alive_ms`.
const TOPIC_KIB: f64 = 0.15;
const CONNECT_US: f64 = 2_000.0;
const KEEP_ALIVE_US: f64 = 20.0;
const KEEP_ALIVE_S: f64 = 5.0;
/// Rows that stay of a message, by a test of the server's (`a_message_to_many_costs_what_a_message_to_few_costs`); and bytes of them
/// and of a read mark's row, with keys and prefix, reckoned from the layout for a text of 128 bytes.
const MESSAGE_ROWS: f64 = 3.0;
const MESSAGE_BYTES: f64 = 300.0;
const READ_BYTES: f64 = 45.0;
/// Rows that are written again and again: the channel's head; of a delivered mark the device's cursor, the mark and the channel's
/// pulse; of a read mark the same, and entry and head of its user's log.
const HEAD_ROWS: f64 = 1.0;
const DELIVERED_ROWS: f64 = 3.0;
const READ_ROWS: f64 = 5.0;
/// Of presence: device, node's list, user, device seen. Of interest: by topic and by node. Of a mark for a node: mark and clearing;
/// bells are added to, most of them to one that rings already.
const PRESENCE_ROWS: f64 = 4.0;
const INTEREST_ROWS: f64 = 2.0;
const MARK_ROWS: f64 = 2.0;
/// What FoundationDB is taken to do: rows written a second by one storage process on SSD, half of what its documents say of writes
/// alone, and by the largest cluster that they show.
const STORAGE_ROWS: f64 = 10_000.0;
const CLUSTER_ROWS: f64 = 800_000.0;
const COPIES: f64 = 3.0;
/// And read, a key or a short range at a time: half of what its documents say of reads alone from one storage process, and what the
/// largest cluster that they show reads beside those writes.
const STORAGE_READS: f64 = 27_000.0;
const CLUSTER_READS: f64 = 7_000_000.0;
/// Topics that one transaction registers, and, assumed, how long one takes. A node has one such transaction at a time.
const TOPICS_AT_ONCE: f64 = 500.0;
const REGISTER_MS: f64 = 20.0;

/// What is to be held against a limit.
struct Load {
    what: &'static str,
    needs: f64,
    has: f64,
    unit: &'static str,
}

/// The tables.
pub(crate) fn page(people: &People, seed: u64) -> String {
    let devices = people.online();
    let nodes = (devices / (LINKS * FILL)).ceil() + 1.0;
    let counts = play(people, nodes as u64, seed);
    let all = |count: u64| count as f64 * SCALE;
    let rate = |count: u64| all(count) * 1_000.0 / COUNTED_MS as f64;
    let rows = rows(&counts);
    let total: f64 = rows.iter().map(|(_, rows)| rows).sum();
    let mut page = String::new();
    let mut put = |line: String| writeln!(page, "{line}").unwrap_or_default();

    put(format!(
        "Seed {seed}, {} people played on {nodes} nodes, {} s counted.\n",
        thousands(people.daily / SCALE),
        COUNTED_MS / 1_000
    ));
    put("| in the busiest hour | a second | |\n|---|---:|---|".to_owned());
    let per = |count: u64, of: u64| count as f64 / of.max(1) as f64;
    let told = |count: u64, of: u64, what: &str| format!("{:.2} {what}", per(count, of));
    for (what, count, more) in [
        ("messages", counts.sends, format!("{} on the mean of a day", thousands(people.messages_a_second()))),
        ("recipients", counts.recipients, told(counts.recipients, counts.sends, "a message")),
        ("deliveries to people online", counts.deliveries, told(counts.deliveries, counts.sends, "a message")),
        (
            "marks for other nodes, of messages",
            counts.message_marks,
            told(counts.message_marks, counts.sends, "a message"),
        ),
        ("sessions that begin", counts.connects, told(counts.registered, counts.connects, "topics registered each")),
        (
            "presence changes shown",
            counts.presence_changes,
            told(counts.presence_told, counts.presence_changes, "watchers online"),
        ),
        (
            "marks for other nodes, of presence",
            counts.presence_marks,
            told(counts.presence_marks, counts.presence_changes, "a change"),
        ),
        ("users looked up", counts.lookups, "for the nodes where they are".to_owned()),
        ("topics registered", counts.registered, format!("{} are, all nodes together", thousands(all(counts.topics)))),
    ] {
        put(format!("| {what} | {} | {more} |", thousands(rate(count))));
    }

    put("\n| rows written to FoundationDB | a second | share |\n|---|---:|---:|".to_owned());
    for (what, rows) in &rows {
        put(format!("| {what} | {} | {:.0} % |", thousands(*rows), 100.0 * rows / total));
    }
    put(format!("| together | {} | |", thousands(total)));

    let a_day = people.daily * people.messages_a_day;
    let read = per(counts.deliveries, counts.sends);
    let kept = a_day * (MESSAGE_BYTES + read * READ_BYTES);
    let links = devices / nodes;
    let topics = all(counts.topics) / nodes;
    let memory_gib = (links * (LINK_KIB + ATTACHMENTS * ATTACHMENT_KIB) + topics * TOPIC_KIB) / (1024.0 * 1024.0);
    let cpu = (rate(counts.sends) * SEND_US
        + rate(counts.deliveries) * DELIVERY_US
        + rate(counts.connects) * CONNECT_US
        + devices / KEEP_ALIVE_S * KEEP_ALIVE_US)
        / 1e6;
    put("\n| size | | |\n|---|---:|---|".to_owned());
    put(format!("| devices online | {} | |", thousands(devices)));
    put(format!("| nodes | {nodes} | {} links each, of {} |", thousands(links), thousands(LINKS)));
    put(format!("| memory of a node | {memory_gib:.1} GiB | {} topics among it |", thousands(topics)));
    put(format!("| processors of a node | {:.1} | of {cpu:.0} in all, half used |", 2.0 * cpu / nodes));
    put(format!(
        "| storage processes of FoundationDB | {:.0} | {COPIES} copies, {} rows a second each |",
        (total * COPIES / STORAGE_ROWS + rate(counts.lookups) / STORAGE_READS).ceil(),
        thousands(STORAGE_ROWS)
    ));
    put(format!(
        "| kept a day, one copy | {:.2} TB | {} of it messages |",
        kept / 1e12,
        percent(a_day * MESSAGE_BYTES / kept)
    ));
    put(format!("| kept a year, {COPIES} copies | {:.1} PB | |", kept * 365.0 * COPIES / 1e15));

    let storm_rows = all(counts.stranded_topics) * INTEREST_ROWS + all(counts.stranded) * PRESENCE_ROWS;
    let spare = CLUSTER_ROWS - total;
    put("\n| one node dies | | |\n|---|---:|---|".to_owned());
    put(format!(
        "| its devices | {} | {} for each other node |",
        thousands(all(counts.stranded)),
        thousands(all(counts.stranded) / (nodes - 1.0))
    ));
    put(format!(
        "| topics that they register elsewhere | {} | {:.1} each |",
        thousands(all(counts.stranded_topics)),
        per(counts.stranded_topics, counts.stranded)
    ));
    put(format!("| rows written for it | {} | |", thousands(storm_rows)));
    let registering = all(counts.stranded_topics) / (nodes - 1.0) / TOPICS_AT_ONCE * REGISTER_MS / 1_000.0;
    put(format!(
        "| time that the other nodes need to register | {registering:.1} s | {} transactions each |",
        thousands(all(counts.stranded_topics) / (nodes - 1.0) / TOPICS_AT_ONCE)
    ));
    let store = if spare > 0.0 { format!("{:.0} s", storm_rows / spare) } else { "for ever".to_owned() };
    put(format!(
        "| time that FoundationDB needs beside all else | {store} | at {} rows a second |",
        thousands(CLUSTER_ROWS)
    ));
    put(format!(
        "| rows of the dead node to sweep | {} | every other node tries to, and conflicts |",
        thousands(all(counts.swept_topics) * INTEREST_ROWS)
    ));

    put("\n| what breaks first | needs | has | used |\n|---|---:|---:|---:|".to_owned());
    let mut loads = vec![
        Load { what: "rows written by one FoundationDB", needs: total, has: CLUSTER_ROWS, unit: "/s" },
        Load {
            what: "users looked up in one FoundationDB",
            needs: rate(counts.lookups),
            has: CLUSTER_READS,
            unit: "/s",
        },
        Load {
            what: "registering topics, by one node",
            needs: rate(counts.registered + counts.left) / nodes,
            has: TOPICS_AT_ONCE * 1_000.0 / REGISTER_MS,
            unit: "/s",
        },
        Load { what: "links of one node", needs: links, has: LINKS, unit: "" },
        Load { what: "node numbers", needs: nodes, has: 1_023.0, unit: "" },
        Load {
            what: "sign of life: rows read of all by all",
            needs: nodes * nodes,
            has: 10.0 * STORAGE_ROWS,
            unit: "/s",
        },
    ];
    loads.sort_by(|one, other| (other.needs / other.has).total_cmp(&(one.needs / one.has)));
    for Load { what, needs, has, unit } in loads {
        put(format!("| {what} | {}{unit} | {}{unit} | {} |", thousands(needs), thousands(has), percent(needs / has)));
    }
    page
}

/// Rows a second, the most first.
fn rows(counts: &Counts) -> Vec<(&'static str, f64)> {
    let rate = |count: u64| count as f64 * SCALE * 1_000.0 / COUNTED_MS as f64;
    // Each mark of a reader wakes the channel's nodes as the message did.
    let wakes = rate(counts.message_marks);
    let spread = counts.message_marks as f64 / counts.sends.max(1) as f64;
    let read = rate(counts.deliveries);
    let mut rows = vec![
        ("messages", rate(counts.sends) * (MESSAGE_ROWS + HEAD_ROWS)),
        ("delivered marks", read * DELIVERED_ROWS),
        ("read marks", read * READ_ROWS),
        ("interest: topics registered and left", rate(counts.registered + counts.left) * INTEREST_ROWS),
        ("inbox marks of messages", wakes * MARK_ROWS),
        ("inbox marks of delivered and read marks", 2.0 * read * spread * MARK_ROWS),
        ("inbox marks of presence", rate(counts.presence_marks) * MARK_ROWS),
        ("presence", rate(counts.connects) * 2.0 * PRESENCE_ROWS),
    ];
    rows.sort_by(|one, other| other.1.total_cmp(&one.1));
    rows
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A number to three digits, in groups.
fn thousands(number: f64) -> String {
    let digits = number.abs().max(1.0).log10().floor() as i32 - 2;
    let step = 10f64.powi(digits.max(0));
    let whole = ((number / step).round() * step) as u64;
    let text = whole.to_string();
    let mut out = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
