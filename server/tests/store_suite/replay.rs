//! The model, and whether what has happened can be explained by it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::model::{KEYS, Op, Outcome, Record, writes};

/// The rows of a store, by the number of their key.
pub(super) type Rows = BTreeMap<u8, Bytes>;

/// What an operation has given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    Value(Option<Bytes>),
    Rows(Vec<(u8, Bytes)>, bool),
}

/// Replays the transactions in the order of the log (version and id of each commit).
pub(super) fn check(records: &[Record], log: &[(u64, u32)], in_the_end: &Rows) -> Result<(), String> {
    let by_id: BTreeMap<u32, &Record> = records.iter().map(|record| (record.id, record)).collect();
    let position: BTreeMap<u32, usize> = log.iter().enumerate().map(|(at, (_, id))| (*id, at)).collect();
    require(position.len() == log.len(), || format!("a transaction was committed twice: {log:?}"))?;
    // After each commit, what was there; at first, nothing.
    let mut states = vec![Rows::new()];
    for (at, (_, id)) in log.iter().enumerate() {
        let record = by_id.get(id).ok_or("a transaction that nobody made")?;
        require(matches!(record.outcome, Outcome::Committed | Outcome::Unknown), || {
            format!("it failed, and is there all the same: {record:?}")
        })?;
        let snapshot = record.read_version.map(|version| &states[committed_by(log, version)]);
        let after = replay(record, &states[at], snapshot.unwrap_or(&states[at]))?;
        states.push(after);
    }
    require(states.last() == Some(in_the_end), || format!("{in_the_end:?} is there, not {:?}", states.last()))?;
    for record in records {
        check_alone(record, log, &position, &states)?;
        check_real_time(record, records, log, &position)?;
    }
    records.iter().try_for_each(|record| check_conflict(record, &by_id, log))
}

/// How many commits a read version has seen.
fn committed_by(log: &[(u64, u32)], read_version: u64) -> usize {
    log.iter().take_while(|(version, _)| *version <= read_version).count()
}

/// Those that are not in the log must at least have seen what was there at their read version.
fn check_alone(
    record: &Record,
    log: &[(u64, u32)],
    position: &BTreeMap<u32, usize>,
    states: &[Rows],
) -> Result<(), String> {
    let in_log = position.contains_key(&record.id);
    require(in_log || record.outcome != Outcome::Committed || !writes(&record.ops), || {
        format!("it was committed, and is not there: {record:?}")
    })?;
    if let Some(version) = record.read_version {
        let state = &states[committed_by(log, version)];
        replay(record, state, state)?;
    }
    Ok(())
}

/// Who begins after another's answer comes after it.
fn check_real_time(
    record: &Record,
    records: &[Record],
    log: &[(u64, u32)],
    position: &BTreeMap<u32, usize>,
) -> Result<(), String> {
    for before in records.iter().filter(|before| before.ended < record.began && before.outcome == Outcome::Committed) {
        let Some(&at) = position.get(&before.id) else { continue };
        let seen = record.read_version.is_none_or(|version| log[at].0 <= version);
        let later = position.get(&record.id).is_none_or(|&other| at < other);
        require(seen && later, || format!("{record:?} began after the end of {before:?}, and came before it"))?;
    }
    Ok(())
}

/// Who was refused must have had somebody in the way.
fn check_conflict(record: &Record, by_id: &BTreeMap<u32, &Record>, log: &[(u64, u32)]) -> Result<(), String> {
    let (Outcome::Conflict, Some(version)) = (&record.outcome, record.read_version) else { return Ok(()) };
    let read = keys_read(&record.ops);
    let in_the_way = log.iter().skip(committed_by(log, version)).any(|(_, id)| {
        let other = by_id[id];
        other.began < record.ended && !keys_written(&other.ops).is_disjoint(&read)
    });
    require(in_the_way, || format!("nobody was in the way of {record:?}"))
}

fn keys_read(ops: &[Op]) -> BTreeSet<u8> {
    let span = |op: &Op| match *op {
        Op::Get { key, snapshot: false } | Op::ConflictOn { key } => key..key + 1,
        Op::Range { one, other, snapshot: false, .. } => one.min(other)..one.max(other),
        _ => 0..0,
    };
    ops.iter().flat_map(span).collect()
}

fn keys_written(ops: &[Op]) -> BTreeSet<u8> {
    let span = |op: &Op| match *op {
        Op::Set { key, .. } | Op::Clear { key } | Op::Add { key, .. } | Op::Max { key, .. } | Op::Claim { key } => {
            key..key + 1
        }
        Op::ClearRange { one, other } => one.min(other)..one.max(other),
        Op::Get { .. } | Op::Range { .. } | Op::ConflictOn { .. } => 0..0,
    };
    ops.iter().flat_map(span).collect()
}

/// Runs a transaction on the model: what it reads must be what it has seen. Gives what it leaves.
fn replay(record: &Record, serial: &Rows, snapshot: &Rows) -> Result<Rows, String> {
    let (mut serial, mut snapshot) = (serial.clone(), snapshot.clone());
    for (at, op) in record.ops.iter().enumerate() {
        let Some(seen) = record.seen.get(at) else { break };
        let reads_snapshot = matches!(op, Op::Get { snapshot: true, .. } | Op::Range { snapshot: true, .. });
        let expected = read(op, if reads_snapshot { &snapshot } else { &serial });
        require(expected == *seen, || format!("{op:?} of {record:?} should have seen {expected:?}"))?;
        write(op, &mut serial);
        write(op, &mut snapshot);
    }
    Ok(serial)
}

fn read(op: &Op, rows: &Rows) -> Seen {
    match *op {
        Op::Get { key, .. } => Seen::Value(rows.get(&key).cloned()),
        Op::Range { one, other, reverse, limit, .. } => {
            let mut found: Vec<_> =
                rows.range(one.min(other)..one.max(other)).map(|(key, value)| (*key, value.clone())).collect();
            if reverse {
                found.reverse();
            }
            let more = found.len() > limit;
            found.truncate(limit);
            Seen::Rows(found, more)
        }
        _ => Seen::Nothing,
    }
}

fn write(op: &Op, rows: &mut Rows) {
    let number = |rows: &Rows, key: u8| {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(rows.get(&key).into_iter().flatten()) {
            *to = *from;
        }
        u64::from_le_bytes(bytes)
    };
    let (key, value) = match *op {
        Op::Set { key, value } => (key, vec![value]),
        Op::Add { key, by } => (key, number(rows, key).wrapping_add_signed(by.into()).to_le_bytes().to_vec()),
        Op::Max { key, to } => (key, number(rows, key).max(to.into()).to_le_bytes().to_vec()),
        Op::Clear { key } => return drop(rows.remove(&key)),
        Op::ClearRange { one, other } => return rows.retain(|key, _| !(one.min(other)..one.max(other)).contains(key)),
        Op::Get { .. } | Op::Range { .. } | Op::ConflictOn { .. } | Op::Claim { .. } => return,
    };
    assert!(key < KEYS);
    rows.insert(key, value.into());
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}
