//! The page: tables, each row beside its reference.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::estimates::Estimate;

/// What the figures were made on.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    commit: String,
}

impl Machine {
    pub(crate) fn this(root: &Path) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let commit = Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(root).output();
        Self {
            processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            commit: commit.map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        }
    }
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
                (the text), a frame made from encoded entries none.",
        prefix: "codec/",
        reference: |_| Some("codec/bare/copy".to_owned()),
    },
    Table {
        title: "Durable commits",
        about: "One key of 128 bytes set in a transaction and acknowledged, with 1 to 256 writers who each wait for one \
                commit before the next. The reference for `embedded` is a loop of append and `fdatasync` on the same file \
                system; for `foundationdb` the same loop on the binding itself. `memory` is durable in nothing: it shows \
                what the transaction layer costs.",
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
];

/// The whole page.
pub(crate) fn write(estimates: &BTreeMap<String, Estimate>, machine: &Machine) -> String {
    let mut page = format!(
        "# Performance\n\nMade by `make bench`; don't edit. Commit {}, {} × {}.\n\nThe machine is shared and noisy: compare \
         within a table, and trust ratios and medians. *Ratio* is this row's rate divided by its reference's in the same \
         run (above 1: faster than the reference).\n",
        machine.commit, machine.cores, machine.processor
    );
    for table in TABLES {
        let rows: Vec<_> = estimates.iter().filter(|(name, _)| name.starts_with(table.prefix)).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(page, "\n## {}\n\n{}\n\n", table.title, table.about);
        page.push_str("| what | median | 95 % interval | per second | ratio |\n|---|---:|---:|---:|---:|\n");
        for (name, estimate) in sorted(rows) {
            let reference = (table.reference)(name).filter(|reference| reference != name);
            let ratio = reference.and_then(|reference| estimates.get(&reference)).map_or_else(
                || "reference".to_owned(),
                |reference| format!("{:.2}", reference.median_ns / estimate.median_ns),
            );
            let _ = writeln!(
                page,
                "| `{}` | {} | {} – {} | {:.0} | {ratio} |",
                name.trim_start_matches(table.prefix),
                time(estimate.median_ns),
                time(estimate.low_ns),
                time(estimate.high_ns),
                1e9 / estimate.median_ns,
            );
        }
    }
    page
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
