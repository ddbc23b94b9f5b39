//! The engine `embedded` on damaged files: what a crash leaves is recovered, everything else is reported, never served.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use suda_server::clock::Clock;
use suda_server::store::{Embedded, Range, Store, StoreError};

type Rows = Vec<(Bytes, Bytes)>;

const MEMTABLE_BYTES: u64 = 64 << 10;

fn open(folder: &Path) -> Result<Store, StoreError> {
    let options = Embedded { reserve_bytes: 0, memtable_bytes: MEMTABLE_BYTES, ..Embedded::new(folder) };
    Store::embedded(options, Clock::system())
}

/// All rows, read once by ranges and once one by one.
fn read_all(folder: &Path) -> Result<Rows, StoreError> {
    let store = open(folder)?;
    block_on(async {
        let txn = store.begin();
        let mut rows = Vec::new();
        let mut query = Some(Range::all().snapshot());
        while let Some(range) = query {
            let page = txn.range(range).await?;
            query = page.next();
            rows.extend(page.rows);
        }
        for (key, value) in rows.iter().step_by(7) {
            assert!(txn.get_snapshot(key).await?.as_ref() == Some(value), "ranges and single rows differ");
        }
        Ok(rows)
    })
}

fn write(store: &Store, writes: impl Fn(&suda_server::store::Txn) + Send + Sync) {
    block_on(async {
        let txn = store.begin();
        writes(&txn);
        txn.commit().await.unwrap();
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A folder with rows in tables of several levels and in the journal.
fn populated(folder: &Path) -> Rows {
    let store = open(folder).unwrap();
    for commit in 0..400u32 {
        write(&store, |txn| {
            for n in 0..5 {
                let key = (commit * 7 + n * 131) % 1_500;
                txn.set(format!("key{key:04}"), format!("{commit}-{key}-").repeat(1 + (key % 40) as usize));
            }
            txn.clear(format!("key{:04}", (commit * 11) % 1_500));
        });
    }
    drop(store);
    // Opening it cuts the journal to its length, which makes copies cheap.
    read_all(folder).unwrap()
}

/// `SUDA_FLIPS_PER_FILE` says how many (default 12).
#[test]
fn flipped_bits_are_reported_or_harmless() {
    let flips_per_file: u64 = std::env::var("SUDA_FLIPS_PER_FILE").map_or(12, |flips| flips.parse().unwrap());
    let base = tempfile::tempdir().unwrap();
    let (good, bad) = (base.path().join("good"), base.path().join("bad"));
    let truth = populated(&good);
    let dice = Clock::manual(0, 7);
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    let files = files_of(&good);
    assert!(files.len() > 8, "tables, manifests, journal: {files:?}");
    copy(&good, &bad);
    for file in &files {
        let name = file.strip_prefix(&good).unwrap();
        let bytes = fs::read(file).unwrap();
        if bytes.is_empty() || name == Path::new("lock") {
            continue;
        }
        for _ in 0..flips_per_file.min(bytes.len() as u64) {
            let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << dice.below(8);
            fs::write(bad.join(name), flipped).unwrap();
            let outcome = match read_all(&bad) {
                Ok(rows) => {
                    assert!(rows == truth, "{} flipped at byte {at}: wrong rows are served", name.display());
                    "harmless"
                }
                Err(StoreError::Corrupt { .. }) => "corrupt",
                Err(StoreError::Open { .. }) => "can't be opened",
                Err(other) => panic!("{} flipped at byte {at}: {other}", name.display()),
            };
            *outcomes.entry(outcome).or_default() += 1;
            // Opening may have written: begin anew.
            fs::remove_dir_all(&bad).unwrap();
            copy(&good, &bad);
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes["corrupt"] > outcomes["harmless"]);
}

#[test]
fn missing_files_are_reported() {
    let base = tempfile::tempdir().unwrap();
    let (good, bad) = (base.path().join("good"), base.path().join("bad"));
    let truth = populated(&good);
    for file in files_of(&good) {
        let name = file.strip_prefix(&good).unwrap();
        copy(&good, &bad);
        fs::remove_file(bad.join(name)).unwrap();
        match read_all(&bad) {
            // Without the mark nothing is lost; the lock and old manifests are nobody's data.
            Ok(rows) => assert!(rows == truth, "{} is missing, and so are rows", name.display()),
            Err(StoreError::Corrupt { .. } | StoreError::Open { .. }) => {}
            Err(other) => panic!("{} is missing: {other}", name.display()),
        }
        fs::remove_dir_all(&bad).unwrap();
    }
}

/// A folder before its last commit, the same after it, and what that commit has added to the journal.
struct LastCommit {
    base: tempfile::TempDir,
    before: Rows,
    after: Rows,
    journal: PathBuf,
    bytes: Vec<u8>,
    began_at: usize,
}

impl LastCommit {
    fn make() -> Self {
        let base = tempfile::tempdir().unwrap();
        let (one, two) = (base.path().join("one"), base.path().join("two"));
        let store = open(&one).unwrap();
        for n in 0..20 {
            write(&store, |txn| txn.set(format!("{n}"), "before"));
        }
        drop(store);
        let before = read_all(&one).unwrap();
        copy(&one, &two);
        let store = open(&two).unwrap();
        write(&store, |txn| (0..20).for_each(|n| txn.set(format!("{n}"), "after".repeat(100))));
        drop(store);
        let after = read_all(&two).unwrap();
        let journal = PathBuf::from("rows/0.jnl");
        let began_at = fs::read(one.join(&journal)).unwrap().len();
        let bytes = fs::read(two.join(&journal)).unwrap();
        assert!(bytes.len() > began_at + 10_000);
        Self { base, before, after, journal, bytes, began_at }
    }

    /// Opens the folder as it was `before` or after the last commit was acknowledged, with another journal.
    fn open(&self, acknowledged: bool, journal: &[u8]) -> Result<Rows, StoreError> {
        let (from, to) = (if acknowledged { "two" } else { "one" }, self.base.path().join("work"));
        copy(&self.base.path().join(from), &to);
        fs::write(to.join(&self.journal), journal).unwrap();
        let rows = read_all(&to);
        if rows.is_ok() {
            assert!(read_all(&to) == rows, "opened again, it is the same");
            let store = open(&to).unwrap();
            write(&store, |txn| txn.set("more", ""));
        }
        fs::remove_dir_all(&to).unwrap();
        rows
    }

    fn cuts(&self) -> impl Iterator<Item = usize> {
        let (begin, end) = (self.began_at, self.bytes.len());
        (begin..begin + 40).chain((begin + 40..end - 20).step_by(997)).chain(end - 20..end)
    }
}

#[test]
fn a_torn_tail_is_recovered() {
    let last = LastCommit::make();
    assert!(last.open(false, &last.bytes).unwrap() == last.after);
    for cut in last.cuts() {
        let mut journal = last.bytes[..cut].to_vec();
        assert!(last.open(false, &journal).unwrap() == last.before, "cut at {cut}");
        // The rest of the file is as it was made: zeros.
        journal.resize(last.bytes.len() + 5_000, 0);
        assert!(last.open(false, &journal).unwrap() == last.before, "zeros from {cut}");
        // The machine may have written the end of it, but not the middle.
        let mut journal = last.bytes.clone();
        let hole = cut..(cut + 64).min(journal.len());
        if last.bytes[hole.clone()].iter().any(|&byte| byte != 0) {
            journal[hole].fill(0);
            assert!(last.open(false, &journal).unwrap() == last.before, "a hole at {cut}");
        }
    }
}

#[test]
fn an_acknowledged_commit_that_is_gone_is_reported() {
    let last = LastCommit::make();
    assert!(last.open(true, &last.bytes).unwrap() == last.after);
    for cut in last.cuts() {
        let Err(StoreError::Corrupt { what }) = last.open(true, &last.bytes[..cut]) else {
            panic!("cut at {cut}, and nobody says so");
        };
        assert!(what.contains("commits are lost") && what.contains("backup"), "{what}");
    }
}

#[test]
fn damage_in_the_middle_of_the_journal_is_not_taken_for_its_end() {
    let last = LastCommit::make();
    for at in (0..last.began_at).step_by(13) {
        let mut journal = last.bytes.clone();
        journal[at] ^= 0x10;
        let opened = last.open(false, &journal);
        assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "byte {at}: {opened:?}");
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_of(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files_of(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}
