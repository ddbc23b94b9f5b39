//! The engine `embedded` under `kill -9`: a child process writes as fast as it can and says what was acknowledged;
//! it is killed at a random moment; then everything acknowledged must be there, and nothing by half.
//!
//! `SUDA_CRASH_ROUNDS` says how often (default 4), `SUDA_CRASH_SEED` repeats a run's choice of moments.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use suda_server::clock::Clock;
use suda_server::store::tuple::Pack;
use suda_server::store::{Embedded, Range, Store, StoreError, Txn};

/// Where the child finds its folder.
const CHILD_FOLDER: &str = "SUDA_CRASH_CHILD_FOLDER";
const WRITERS: u64 = 24;
const ROWS: u64 = 3;

#[test]
fn acknowledged_commits_survive_kill_9() {
    let rounds: u32 = std::env::var("SUDA_CRASH_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("SUDA_CRASH_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| u64::from_le_bytes(Clock::system().random()));
    println!("SUDA_CRASH_SEED={seed}");
    let dice = Clock::manual(0, seed);
    let folder = tempfile::tempdir().unwrap();
    let mut told = BTreeMap::new();
    let mut counts = Counts::default();
    for round in 0..rounds {
        // Every fourth time within the first moments: opening, recovering, the first commits.
        let acks_before = if round % 4 == 3 { 0 } else { dice.below(3_000) };
        let heard = kill_at(folder.path(), acks_before, Duration::from_micros(dice.below(30_000)));
        counts.acknowledged += heard.len();
        counts.silent_rounds += usize::from(heard.is_empty());
        for (writer, number) in heard {
            let last = told.insert(writer, number);
            assert!(last.is_none_or(|last| last < number));
        }
        counts.unacknowledged += verify(folder.path(), &mut told);
    }
    println!(
        "{rounds} rounds: {} commits acknowledged, none lost; {} more had happened when the answer was cut off; {} \
         rounds ended before the first answer",
        counts.acknowledged, counts.unacknowledged, counts.silent_rounds
    );
}

#[derive(Default)]
struct Counts {
    acknowledged: usize,
    unacknowledged: u64,
    silent_rounds: usize,
}

/// Runs a child until it has acknowledged so many commits and a moment longer, kills it, and gives what it said.
fn kill_at(folder: &Path, acks: u64, longer: Duration) -> Vec<(u64, u64)> {
    let mut child = spawn(folder);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = Vec::new();
    while (heard.len() as u64) < acks {
        heard.extend(next_ack(&mut lines));
    }
    // Not to wait for something: the moment is random.
    std::thread::sleep(longer);
    child.kill().unwrap();
    child.wait().unwrap();
    while let Some(ack) = next_ack(&mut lines) {
        heard.push(ack);
    }
    heard
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A line of the test harness's own says nothing; nor does one that was cut off.
fn next_ack(lines: &mut std::io::Lines<BufReader<ChildStdout>>) -> Option<(u64, u64)> {
    loop {
        let line = lines.next()?.unwrap();
        assert!(!line.contains("FAILED") && !line.contains("panicked"), "the child failed: {line}");
        let Some((writer, number)) = line.strip_prefix("ack ").and_then(|ack| ack.strip_suffix('.')?.split_once(' '))
        else {
            continue;
        };
        return Some((writer.parse().unwrap(), number.parse().unwrap()));
    }
}

/// Opens what was left and looks at all of it. Gives how many commits were there that had not been acknowledged.
fn verify(folder: &Path, told: &mut BTreeMap<u64, u64>) -> u64 {
    let store = open(folder);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut unacknowledged, mut total) = (0, 0);
    runtime.block_on(async {
        for writer in 0..WRITERS {
            let last = last_of(&store.begin(), writer).await.unwrap();
            let acked = told.get(&writer).copied().unwrap_or_default();
            assert!(last >= acked, "writer {writer}: {acked} was acknowledged, {last} is there");
            assert!(last <= acked + 1, "writer {writer} goes on only after an answer");
            unacknowledged += last - acked;
            total += last;
            told.insert(writer, last);
            let rows = all(&store, row_range(writer), true).await;
            assert_eq!(rows.len() as u64, last * ROWS, "writer {writer}: a commit is there by half");
            let expected = (1..=last).flat_map(|number| (0..ROWS).map(move |part| (number, part)));
            for ((key, value), (number, part)) in rows.iter().zip(expected) {
                assert!(*key == row_key(writer, number, part) && *value == row_value(writer, number, part));
            }
        }
        let count = store.begin().get(b"count").await.unwrap();
        assert_eq!(count.map_or(0, |count| u64::from_le_bytes(count[..].try_into().unwrap())), total);
        let log = all(&store, Range::children(Pack::new().text("log").done()), false).await;
        assert_eq!(log.len() as u64, total);
        let mut next: BTreeMap<Bytes, u64> = BTreeMap::new();
        for (_, entry) in log {
            // Each writer's commits are in the log in their order.
            let (writer, number) = (entry.slice(..8), u64::from_be_bytes(entry[8..].try_into().unwrap()));
            let last = next.insert(writer, number).unwrap_or_default();
            assert_eq!(number, last + 1);
        }
    });
    unacknowledged
}

/// All rows of a range, in chunks or not.
async fn all(store: &Store, range: Range, big: bool) -> Vec<(Bytes, Bytes)> {
    let txn = store.begin();
    let mut rows = Vec::new();
    let mut query = Some(range.snapshot());
    while let Some(range) = query {
        let page = if big { txn.range_big(range).await } else { txn.range(range).await }.unwrap();
        query = page.next();
        rows.extend(page.rows);
    }
    rows
}

/// The child's whole life; nothing where this runs as a test of its own.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let store = open(Path::new(&folder));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

async fn write(store: Store, writer: u64) {
    loop {
        let done = store.run(async |txn| {
            let number = last_of(&txn, writer).await? + 1;
            txn.set(last_key(writer), number.to_be_bytes().to_vec());
            for part in 0..ROWS {
                txn.set_big_new(row_key(writer, number, part), row_value(writer, number, part));
            }
            txn.add("count", 1);
            let (prefix, suffix) = Pack::new().text("log").versionstamp_to_come(0);
            txn.set_versionstamped_key(prefix, suffix, [writer.to_be_bytes(), number.to_be_bytes()].concat());
            Ok::<_, StoreError>(number)
        });
        let number = done.await.unwrap();
        let mut out = std::io::stdout().lock();
        out.write_all(format!("ack {writer} {number}.\n").as_bytes()).unwrap();
    }
}

/// Small memtables, so that tables are written and merged all the time.
fn open(folder: &Path) -> Store {
    let options = Embedded { memtable_bytes: 1 << 20, reserve_bytes: 0, ..Embedded::new(folder) };
    Store::embedded(options, Clock::system()).unwrap()
}

async fn last_of(txn: &Txn, writer: u64) -> Result<u64, StoreError> {
    let last = txn.get(&last_key(writer)).await?;
    Ok(last.map_or(0, |last| u64::from_be_bytes(last[..].try_into().unwrap())))
}

fn last_key(writer: u64) -> Vec<u8> {
    Pack::new().text("last").uint(writer).done()
}

fn row_range(writer: u64) -> Range {
    Range::children(Pack::new().text("row").uint(writer).done())
}

fn row_key(writer: u64, number: u64, part: u64) -> Vec<u8> {
    Pack::new().text("row").uint(writer).uint(number).uint(part).done()
}

/// Mostly short; now and then one of several chunks.
fn row_value(writer: u64, number: u64, part: u64) -> Vec<u8> {
    let bytes = if number % 100 == 7 && part == 1 { 150_000 } else { 40 + number % 400 };
    let seed = writer.wrapping_mul(31).wrapping_add(number).wrapping_mul(31).wrapping_add(part);
    (0..bytes).map(|n| seed.wrapping_add(n).to_le_bytes()[0]).collect()
}
