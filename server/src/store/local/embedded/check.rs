//! What the tree does not check itself when it is opened.
//!
//! The tree's tables have a checksum for each block, checked when it is read. But of a journal that is damaged in the
//! middle, it may take the beginning for the whole; and it trusts its manifests, removing what they don't name. So this
//! looks at both before the tree does. It knows the formats of fjall 3 (journal `entry.rs`, lsm-tree `persist.rs`); the
//! tests of the embedded engine would notice if another version had others.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::folder::cannot_open;
use crate::store::StoreError;

/// Without these, the tree would take itself for new.
const NEEDED: [&str; 3] = ["version", "keyspaces/0/current", "keyspaces/1/current"];

/// Checks the manifests and journals of the tree in this folder; cuts off what a crash has left at the end.
pub(super) fn check(rows: &Path) -> Result<(), StoreError> {
    for needed in NEEDED {
        let path = rows.join(needed);
        if !path.exists() {
            return Err(damaged(&path, "it is missing"));
        }
    }
    for keyspace in list(&rows.join("keyspaces"))? {
        check_manifest(&keyspace)?;
    }
    let mut journals = Vec::new();
    for path in list(rows)?.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "jnl")) {
        let number: Option<u64> = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        journals.push((number.ok_or_else(|| damaged(&path, "its name is not a number"))?, path));
    }
    journals.sort();
    let Some((last, _)) = journals.last().cloned() else { return Err(damaged(rows, "it has no journal")) };
    let mut newest = None;
    for (number, path) in journals {
        check_journal(&path, number == last, &mut newest)?;
    }
    Ok(())
}

/// `current` names the manifest and its checksum.
fn check_manifest(keyspace: &Path) -> Result<(), StoreError> {
    let path = keyspace.join("current");
    let current = read(&path)?;
    let mut rest = &current[..];
    let (Some(id), Some(sum)) = (number(&mut rest).map(u64::from_le_bytes), number(&mut rest).map(u128::from_le_bytes))
    else {
        return Err(damaged(&path, "it is too short"));
    };
    let path = keyspace.join(format!("v{id}"));
    if xxh3_128(&read(&path)?) != sum { Err(damaged(&path, "its checksum is wrong")) } else { Ok(()) }
}

/// A journal is batches, then nothing. There is one writer, and it syncs each batch before it begins the next: so
/// what a crash leaves is at most one unfinished batch at the very end of the last journal.
fn check_journal(path: &Path, is_last: bool, newest: &mut Option<u64>) -> Result<(), StoreError> {
    let journal = read(path)?;
    let mut rest = &journal[..];
    while let Some((after, seqno)) = batch(rest) {
        if newest.is_some_and(|newest| seqno <= newest) {
            return Err(damaged(path, &format!("a batch is out of order at byte {}", journal.len() - rest.len())));
        }
        *newest = Some(seqno);
        rest = after;
    }
    let end = journal.len() - rest.len();
    rest = without_zeros(rest);
    if rest.is_empty() {
        return Ok(());
    }
    let another = (1..rest.len()).any(|at| rest.get(at..).and_then(batch).is_some());
    if !is_last || another {
        return Err(damaged(path, &format!("it is damaged at byte {end}, and goes on behind that")));
    }
    tracing::info!(path = %path.display(), end, "cutting off an unfinished commit, which was never acknowledged");
    let cut = File::options().write(true).open(path).and_then(|file| {
        file.set_len(u64::try_from(end).map_err(io::Error::other)?)?;
        file.sync_all()
    });
    cut.map_err(|error| cannot_open(path, &error))
}

/// Journals are made full of zeros, many megabytes of them: cuts those off, but for some.
fn without_zeros(rest: &[u8]) -> &[u8] {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    let used = rest.chunks(ZEROS.len()).rposition(|chunk| !ZEROS.starts_with(chunk));
    used.map_or(&[], |last| rest.get(..(last + 1) * ZEROS.len()).unwrap_or(rest))
}

/// Takes one whole and undamaged batch: what follows it, and its number.
fn batch(mut rest: &[u8]) -> Option<(&[u8], u64)> {
    const START: u8 = 1;
    const ITEM: u8 = 2;
    const END: u8 = 3;
    const CLEAR: u8 = 4;

    let [START] = number(&mut rest)? else { return None };
    let items = u32::from_le_bytes(number(&mut rest)?);
    let seqno = u64::from_le_bytes(number(&mut rest)?);
    let body = rest;
    for _ in 0..items {
        match number(&mut rest)? {
            [ITEM] => {
                let [_kind, _compression] = number(&mut rest)?;
                let _keyspace: [u8; 8] = number(&mut rest)?;
                let key_len = u16::from_le_bytes(number(&mut rest)?);
                let _value_len: [u8; 4] = number(&mut rest)?;
                let stored_len = u32::from_le_bytes(number(&mut rest)?);
                rest = rest.get(usize::from(key_len)..)?.get(usize::try_from(stored_len).ok()?..)?;
            }
            [CLEAR] => {
                let _keyspace: [u8; 8] = number(&mut rest)?;
            }
            _ => return None,
        }
    }
    let sum = xxh3_64(body.get(..body.len() - rest.len())?);
    let [END] = number(&mut rest)? else { return None };
    let sum_is_right = u64::from_le_bytes(number(&mut rest)?) == sum;
    let magic: [u8; 4] = number(&mut rest)?;
    (sum_is_right && magic == *b"FJL\x03").then_some((rest, seqno))
}

fn number<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*number)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(|error| cannot_open(folder, &error))
}

fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(path, "it is missing"),
        _ => cannot_open(path, &error),
    })
}

fn damaged(path: &Path, how: &str) -> StoreError {
    StoreError::Corrupt { what: format!("{}: {how}. Restore the folder from a backup", path.display()) }
}
