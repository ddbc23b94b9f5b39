//! The page: sections, each with a table in which each row stands beside its reference.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use suda_benches::figures;

use crate::estimates::Estimate;

/// A part of the page.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// What is below the title; `None` if it was not measured.
    pub(crate) body: Option<String>,
}

/// What is between a section's title and its table.
pub(crate) fn about(text: &str, commit: &str) -> String {
    format!("{text}\n\nMeasured at commit {commit}.\n\n")
}

/// A table of the page.
struct Table {
    title: &'static str,
    about: &'static str,
    /// Benchmarks whose name begins so.
    prefix: &'static str,
    /// The reference of a benchmark, by its name.
    reference: fn(&str) -> Option<String>,
}

const TABLES: &[Table] = &[
    Table {
        title: "Frames",
        about: "One frame with a text of 128 bytes, written and read. The reference copies the same bytes. Allocations, \
                stated by a test (`schema/tests/allocations.rs`): writing into a used buffer none, reading a `send` one \
                (the text), a frame made from encoded entries none. *Ratio* is this row's rate divided by its reference's \
                (above 1: faster than the reference).",
        prefix: "codec/",
        reference: |_| Some("codec/bare/copy".to_owned()),
    },
    Table {
        title: "Durable commits",
        about: "One key of 128 bytes set in a transaction and acknowledged, with 1 to 256 writers who each wait for one \
                commit before the next. The reference for `embedded` is a loop of append and `fdatasync` on the same file \
                system; for `foundationdb` the same loop on the binding itself. `memory` is durable in nothing: it shows \
                what the transaction layer costs. *Ratio* is this row's rate divided by its reference's (above 1: faster than the reference).",
        prefix: "store_commit/",
        reference: |name| {
            let writers = name.rsplit_once('/')?.1;
            let foundationdb = format!("store_commit/bare_foundationdb/{writers}");
            Some(if name.contains("/foundationdb/") {
                foundationdb
            } else {
                "store_commit/bare_fdatasync/1".to_owned()
            })
        },
    },
    Table {
        title: "Pages of history",
        about: "50 messages of 128 bytes from a log of 10,000 on the embedded store, as a session answers: the reader's membership \
                is checked, the page read, decoded, and encoded for the wire. The reference reads the same rows of the store and does \
                nothing with them. *Ratio* is this row's rate divided by its reference's.",
        prefix: "history_page/",
        reference: |_| Some("history_page/bare_range".to_owned()),
    },
    Table {
        title: "Resume of a gap",
        about: "An attachment whose cursor is 10,000 messages of 128 bytes behind, until it is at the head: all frames, ready to be \
                written. The reference reads the same rows from the embedded store, in pages as large as it gives, and does nothing \
                with them. Times are of the whole gap. *Ratio* is this row's rate divided by its reference's.",
        prefix: "resume/",
        reference: |_| Some("resume/bare_range/10000".to_owned()),
    },
    Table {
        title: "Making pushes",
        about: "The request that tells one device of a text of 128 bytes: payload, headers, and what signs or encrypts it; not sent. \
                Tokens of Apple's and Google's and signatures for browsers' services are kept, as in the notifier; `apns_signed_anew` \
                makes each time the one that is made once in 50 minutes. References: `copy` copies the same payload, `sign` makes one ES256 signature, `agree` makes a P-256 \
                key and agrees with another, which encryption for a browser does once for each push. *Ratio* is this row's rate \
                divided by its reference's.",
        prefix: "push_encode/",
        reference: |name| {
            let bare = |what| Some(format!("push_encode/bare/{what}"));
            match name.rsplit_once('/')?.1 {
                "apns" | "fcm" => bare("copy"),
                "apns_signed_anew" => bare("sign"),
                "webpush" => bare("agree"),
                _ => None,
            }
        },
    },
];

/// The whole page. A section that was not measured is as the old page has it.
pub(crate) fn write(sections: &[Section], old: &str) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let mut page = format!(
        "# Performance\n\nMade by `make bench`; don't edit. Measured on {} × {}.\n\nThe machine is shared and noisy: compare \
         within a table, and trust ratios and medians.\n",
        std::thread::available_parallelism().map_or(1, usize::from),
        model.map_or("unknown", |(_, name)| name),
    );
    for Section { title, body } in sections {
        let before = || old.split("\n## ").find_map(|section| section.strip_prefix(*title)).map(str::trim);
        if let Some(body) = body.as_deref().map(str::trim).or_else(before) {
            let _ = write!(page, "\n## {title}\n\n{body}\n");
        }
    }
    page
}

/// The sections of what criterion measures.
pub(crate) fn criterion(estimates: &BTreeMap<String, Estimate>) -> Vec<Section> {
    let commit = figures::commit();
    TABLES.iter().map(|table| Section { title: table.title, body: table.body(estimates, &commit) }).collect()
}

impl Table {
    fn body(&self, estimates: &BTreeMap<String, Estimate>, commit: &str) -> Option<String> {
        let rows: Vec<_> = estimates.iter().filter(|(name, _)| name.starts_with(self.prefix)).collect();
        if rows.is_empty() {
            return None;
        }
        let mut body = about(self.about, commit);
        body.push_str("| what | median | 95 % interval | per second | ratio |\n|---|---:|---:|---:|---:|\n");
        for (name, estimate) in sorted(rows) {
            let reference = (self.reference)(name).filter(|reference| reference != name);
            let ratio = reference.and_then(|reference| estimates.get(&reference)).map_or_else(
                || "reference".to_owned(),
                |reference| format!("{:.2}", reference.median_ns / estimate.median_ns),
            );
            let _ = writeln!(
                body,
                "| `{}` | {} | {} – {} | {:.0} | {ratio} |",
                name.trim_start_matches(self.prefix),
                time(estimate.median_ns),
                time(estimate.low_ns),
                time(estimate.high_ns),
                1e9 / estimate.median_ns,
            );
        }
        Some(body)
    }
}

/// By name, and by number where names end in one.
fn sorted<'a>(mut rows: Vec<(&'a String, &'a Estimate)>) -> Vec<(&'a String, &'a Estimate)> {
    rows.sort_by_key(|(name, _)| {
        let (front, last) = name.rsplit_once('/').unwrap_or((name, ""));
        last.parse::<u64>().map_or_else(|_| ((*name).clone(), 0), |number| (front.to_owned(), number))
    });
    rows
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}
