//! The engine `embedded`: conformance, and what only it does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod store_suite;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use suda_server::clock::Clock;
use suda_server::store::{Embedded, Store, StoreError};

async fn embedded() -> store_suite::Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    store_suite::Fixture { store: store.with_prefix(b"test/"), prefix_bytes: 5, keep: Box::new(folder) }
}

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::embedded(Embedded { reserve_bytes: 0, ..Embedded::new(folder) }, Clock::system())
}

conformance!(embedded);

#[test]
fn programs_have_a_serial_order() {
    let folder = tempfile::tempdir().unwrap();
    store_suite::model::scheduled(&open(folder.path()).unwrap(), 200);
}

#[test]
fn racing_programs_have_a_serial_order() {
    let folder = tempfile::tempdir().unwrap();
    store_suite::model::racing(&open(folder.path()).unwrap(), 200);
}

#[tokio::test]
async fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut last_stamp = [0; 10];
    for round in 0..4u8 {
        let store = open(folder.path()).unwrap();
        for earlier in 0..round {
            assert_eq!(store_suite::get(&store, &earlier.to_string()).await.unwrap(), vec![earlier; 1_000]);
        }
        let txn = store.begin();
        txn.set(round.to_string(), vec![round; 1_000]);
        let stamp = txn.versionstamp();
        txn.commit().await.unwrap();
        let stamp = stamp.await.unwrap();
        assert!(stamp > last_stamp, "versions go on");
        last_stamp = stamp;
    }
}

/// Many commits at once, so that updates hold many of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commits_share_syncs() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for part in 0..5 {
                    store_suite::write(&store, |txn| {
                        txn.set(format!("{n}/{part}"), "");
                        txn.add("count", 1);
                    })
                    .await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store_suite::number(store_suite::get(&store, "count").await), 1_000);
    assert_eq!(store.metrics().commits.get(), 1_000);
}

#[test]
fn another_handle_of_this_process_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let Err(StoreError::Open { what }) = open(folder.path()) else { panic!("opened twice") };
    assert!(what.contains(&format!("process {}", std::process::id())), "{what}");
    drop(store);
    open(folder.path()).unwrap();
}

/// Where the child of the next test finds the folder.
const CHILD_FOLDER: &str = "SUDA_SECOND_PROCESS_FOLDER";

#[test]
fn a_second_process_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(folder.path()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second_process", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn();
    let mut said = String::new();
    let mut child = child.unwrap();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    let expected = format!("is in use by process {}; stop that one first", std::process::id());
    assert!(said.contains(&expected), "{said}");
}

/// The child of the test before; nothing where this runs as a test of its own.
#[test]
fn second_process() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    match open(Path::new(&folder)) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_folder_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    std::fs::write(folder.path().join("format"), "suda embedded store 2\n").unwrap();
    assert!(matches!(open(folder.path()), Err(StoreError::Open { what }) if what.contains("suda embedded store 2")));
}

/// A first start that was interrupted leaves something that was never a store.
#[test]
fn an_unfinished_folder_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("rows/keyspaces/1")).unwrap();
    std::fs::write(folder.path().join("rows/0.jnl"), "rubbish").unwrap();
    drop(open(folder.path()).unwrap());
    drop(open(folder.path()).unwrap());
}
