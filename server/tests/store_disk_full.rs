//! The engine `embedded` on a disk that fills up: a small tmpfs, which only root can mount.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use suda_server::clock::Clock;
use suda_server::store::{Embedded, Range, Store, StoreError};

const DISK_BYTES: u64 = 48 << 20;

/// A disk of its own, unmounted at the end.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None` where it can't be mounted; then this says so where nobody can miss it.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        match mounted {
            Ok(done) if done.status.success() => Some(Self { folder }),
            failed => {
                // Not by `eprintln!`: the test harness would keep it to itself.
                let notice = format!(
                    "\n\nTHE DISK-FULL TESTS DID NOT RUN: a tmpfs can't be mounted here ({failed:?}). Run them as root.\n\n"
                );
                std::io::stderr().write_all(notice.as_bytes()).unwrap();
                None
            }
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn free_bytes(&self) -> u64 {
        let disk = rustix::fs::statvfs(self.folder.path()).unwrap();
        disk.f_bavail * disk.f_frsize
    }

    /// Somebody else's file, which leaves so many bytes free.
    fn fill(&self, left_bytes: u64) {
        let bytes = usize::try_from(self.free_bytes().saturating_sub(left_bytes)).unwrap();
        File::create(self.filler()).unwrap().write_all(&vec![1; bytes]).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

fn open(folder: &Path, reserve_bytes: u64, memtable_bytes: u64, clock: Clock) -> Store {
    let options = Embedded { reserve_bytes, memtable_bytes, ..Embedded::new(folder) };
    Store::embedded(options, clock).unwrap()
}

async fn set(store: &Store, n: usize) -> Result<(), StoreError> {
    let txn = store.begin();
    txn.set(format!("{n:06}"), value(n));
    txn.commit().await
}

/// Nothing that can be compressed.
fn value(n: usize) -> Vec<u8> {
    let mut state = n as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..60_000 / 8).flat_map(|_| next()).collect()
}

/// How many of the values are there, each as it was written; the last may be one that nobody was told of.
async fn check(store: &Store, at_least: usize, at_most: usize) {
    let txn = store.begin();
    let (mut count, mut query) = (0, Some(Range::all()));
    while let Some(range) = query {
        let page = txn.range(range).await.unwrap();
        query = page.next();
        for (key, value) in &page.rows {
            assert_eq!(&key[..], format!("{count:06}").as_bytes());
            assert!(*value == self::value(count), "{count} is not as it was written");
            count += 1;
        }
    }
    assert!((at_least..=at_most).contains(&count), "{count} of {at_least} to {at_most}");
}

#[tokio::test]
async fn writes_stop_at_the_reserve_and_go_on_when_there_is_room() {
    let Some(disk) = Disk::mount() else { return };
    let reserve_bytes = 16 << 20;
    let store = open(&disk.store(), reserve_bytes, 1 << 20, Clock::system());
    for n in 0..10 {
        set(&store, n).await.unwrap();
    }
    disk.fill(reserve_bytes - (1 << 20));
    for _ in 0..3 {
        let Err(StoreError::DiskFull { what }) = set(&store, 10).await else { panic!("there is no room") };
        assert!(what.contains("Make room") && what.contains("store"), "{what}");
        check(&store, 10, 10).await;
    }
    // Who only reads and watches is not kept from it.
    let watch = store.read(async |txn| Ok::<_, StoreError>(txn.watch(b"000003"))).await.unwrap();
    disk.make_room();
    set(&store, 3).await.unwrap();
    watch.await.unwrap();
    for n in 10..20 {
        set(&store, n).await.unwrap();
    }
    drop(store);
    check(&open(&disk.store(), reserve_bytes, 1 << 20, Clock::system()), 20, 20).await;
}

/// Without a reserve the disk is full in the middle of what the tree does behind the commits.
#[tokio::test]
async fn running_out_of_space_behind_the_commits_is_survived() {
    run_out_of_space(1 << 20).await;
}

/// The same in the middle of commits: so much fits into memory that the tree does nothing else.
#[tokio::test]
async fn running_out_of_space_in_a_commit_is_survived() {
    assert!(run_out_of_space(12 << 20).await.is_none_or(|unknown| unknown > 0));
}

/// How many commits had an unknown outcome.
async fn run_out_of_space(memtable_bytes: u64) -> Option<usize> {
    let disk = Disk::mount()?;
    let clock = Clock::manual(0, 1);
    let store = open(&disk.store(), 0, memtable_bytes, clock.clone());
    let (mut written, mut unknown_outcomes) = (0, 0);
    for round in 0..4u64 {
        disk.fill((round + 1) * 700_000);
        let failed = loop {
            match set(&store, written).await {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 5_000, "the disk is never full");
        };
        println!("round {round}: {written} written, then {failed}");
        let unknown = usize::from(failed == StoreError::CommitUnknown);
        unknown_outcomes += unknown;
        assert!(unknown == 1 || matches!(failed, StoreError::DiskFull { .. }), "{failed}");
        for _ in 0..3 {
            clock.advance_ms(10_000);
            check(&store, written, written).await;
            let refused = set(&store, written).await;
            assert!(matches!(refused, Err(StoreError::DiskFull { .. })), "{refused:?}");
        }
        disk.make_room();
        clock.advance_ms(10_000);
        // By itself: the next write finds that there is room. What was unknown may have happened, before it.
        set(&store, written).await.unwrap();
        written += 1;
        check(&store, written, written).await;
    }
    drop(store);
    check(&open(&disk.store(), 0, memtable_bytes, Clock::system()), written, written).await;
    Some(unknown_outcomes)
}
