//! Random programs of concurrent transactions against a model: what each has seen and left must be explained by some
//! serial order, and that order must agree with real time.
//!
//! Every writing transaction also sets a key with its versionstamp; so the store itself says afterwards in which order
//! it has committed them, those of unknown outcome among them. The transactions are replayed in this order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use suda_server::store::{Range, Store, StoreError, Txn};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::replay::{Rows, Seen, check};

/// There are so many keys: few, so that transactions meet.
pub(super) const KEYS: u8 = 6;

/// One operation of a transaction. Keys are numbers; a span goes from one to another, in whichever order they come.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Get { key: u8, snapshot: bool },
    Range { one: u8, other: u8, reverse: bool, limit: usize, snapshot: bool },
    Set { key: u8, value: u8 },
    Clear { key: u8 },
    ClearRange { one: u8, other: u8 },
    Add { key: u8, by: i8 },
    Max { key: u8, to: u8 },
    ConflictOn { key: u8 },
    Claim { key: u8 },
}

/// What each client does, transaction by transaction, and who takes the next step.
#[derive(Debug, Clone)]
pub(super) struct Program {
    clients: Vec<Vec<Vec<Op>>>,
    /// Whose turn it is; at its end, all go on in turn.
    schedule: Vec<prop::sample::Index>,
}

/// What has become of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    Unknown,
    Conflict,
    /// A fault was injected before the commit.
    Failed,
}

/// A transaction as it went.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: u32,
    pub(super) ops: Vec<Op>,
    /// What each operation has given, as far as they were reached.
    pub(super) seen: Vec<Seen>,
    pub(super) read_version: Option<u64>,
    pub(super) outcome: Outcome,
    /// Moments in real time: before the first operation, and after the answer to the commit.
    pub(super) began: u64,
    pub(super) ended: u64,
}

/// Runs many random programs, one step after the other as their schedules say: what fails can be repeated and shrunk.
pub(crate) fn scheduled(store: &Store, cases: u32) {
    run(store, cases, |runtime, store, program| runtime.block_on(step_by_step(store, program)));
}

/// Runs many random programs, each client on its own as fast as it can.
pub(crate) fn racing(store: &Store, cases: u32) {
    run(store, cases, |runtime, store, program| runtime.block_on(side_by_side(store, program)));
}

fn run(store: &Store, cases: u32, execute: impl Fn(&Runtime, &Store, Program) -> Vec<Record>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let case = AtomicU32::new(0);
    // More or fewer by `PROPTEST_CASES`, in proportion to its default.
    let cases = (cases * Config::default().cases / 256).max(1);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&program(), |program| {
        // An empty store for each.
        let store = store.with_prefix(&case.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let records = execute(&runtime, &store, program);
        let (log, rows) = runtime.block_on(result(&store));
        check(&records, &log, &rows).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn program() -> impl Strategy<Value = Program> {
    let transaction = prop::collection::vec(op(), 1..6);
    let client = prop::collection::vec(transaction, 1..4);
    let clients = prop::collection::vec(client, 2..5);
    let schedule = prop::collection::vec(any::<prop::sample::Index>(), 0..60);
    (clients, schedule).prop_map(|(clients, schedule)| Program { clients, schedule })
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    let snapshot = || prop::bool::weighted(0.2);
    prop_oneof![
        4 => (key(), snapshot()).prop_map(|(key, snapshot)| Op::Get { key, snapshot }),
        3 => (key(), key(), any::<bool>(), 1..4usize, snapshot()).prop_map(
            |(one, other, reverse, limit, snapshot)| Op::Range { one, other, reverse, limit, snapshot }
        ),
        4 => (key(), any::<u8>()).prop_map(|(key, value)| Op::Set { key, value }),
        2 => key().prop_map(|key| Op::Clear { key }),
        1 => (key(), key()).prop_map(|(one, other)| Op::ClearRange { one, other }),
        2 => (key(), any::<i8>()).prop_map(|(key, by)| Op::Add { key, by }),
        1 => (key(), any::<u8>()).prop_map(|(key, to)| Op::Max { key, to }),
        1 => key().prop_map(|key| Op::ConflictOn { key }),
        1 => key().prop_map(|key| Op::Claim { key }),
    ]
}

async fn step_by_step(store: &Store, program: Program) -> Vec<Record> {
    let shared = Arc::new(Shared::default());
    let mut clients: Vec<_> =
        program.clients.into_iter().map(|transactions| Client::new(store, &shared, transactions)).collect();
    for turn in program.schedule {
        turn.get_mut(&mut clients).step().await;
    }
    while clients.iter().any(|client| !client.is_done()) {
        for client in &mut clients {
            client.step().await;
        }
    }
    clients.into_iter().flat_map(|client| client.records).collect()
}

async fn side_by_side(store: &Store, program: Program) -> Vec<Record> {
    let shared = Arc::new(Shared::default());
    let tasks: Vec<_> = program
        .clients
        .into_iter()
        .map(|transactions| {
            let mut client = Client::new(store, &shared, transactions);
            tokio::spawn(async move {
                while !client.is_done() {
                    client.step().await;
                    tokio::task::yield_now().await;
                }
                client.records
            })
        })
        .collect();
    let mut records = Vec::new();
    for task in tasks {
        records.extend(task.await.unwrap());
    }
    records
}

/// What all clients of a program have in common.
#[derive(Default)]
struct Shared {
    moment: AtomicU64,
    ids: AtomicU32,
}

impl Shared {
    fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }
}

struct Client {
    store: Store,
    shared: Arc<Shared>,
    todo: std::vec::IntoIter<Vec<Op>>,
    current: Option<Current>,
    records: Vec<Record>,
}

struct Current {
    txn: Txn,
    record: Record,
    commit: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Client {
    fn new(store: &Store, shared: &Arc<Shared>, transactions: Vec<Vec<Op>>) -> Self {
        let (store, shared) = (store.clone(), Arc::clone(shared));
        Self { store, shared, todo: transactions.into_iter(), current: None, records: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.current.is_none() && self.todo.len() == 0
    }

    /// An operation, or the beginning of the commit, or the answer to it: so that commits of several wait together.
    async fn step(&mut self) {
        let Some(current) = &mut self.current else {
            self.begin().await;
            return;
        };
        let record = &mut current.record;
        let outcome = if let Some(commit) = &mut current.commit {
            match commit.await.unwrap() {
                Ok(()) => Outcome::Committed,
                Err(StoreError::CommitUnknown) => Outcome::Unknown,
                Err(StoreError::Conflict) => Outcome::Conflict,
                Err(StoreError::Unavailable { .. }) => Outcome::Failed,
                Err(other) => panic!("{other}"),
            }
        } else if let Some(op) = record.ops.get(record.seen.len()) {
            match apply(&current.txn, op).await {
                Ok(seen) => {
                    record.seen.push(seen);
                    return;
                }
                Err(StoreError::Unavailable { .. }) => Outcome::Failed,
                Err(other) => panic!("{other}"),
            }
        } else {
            if writes(&record.ops) {
                current.txn.set_versionstamped_key("log", "", record.id.to_be_bytes().to_vec());
            }
            let txn = current.txn.clone();
            current.commit = Some(tokio::spawn(async move { txn.commit().await }));
            return;
        };
        if let Some(Current { mut record, .. }) = self.current.take() {
            record.outcome = outcome;
            record.ended = self.shared.now();
            self.records.push(record);
        }
    }

    async fn begin(&mut self) {
        let Some(ops) = self.todo.next() else { return };
        let began = self.shared.now();
        let txn = self.store.begin();
        // Some write blindly, and get their read version never or late.
        let reads = ops.iter().any(|op| matches!(op, Op::Get { .. } | Op::Range { .. } | Op::ConflictOn { .. }));
        let read_version = if reads { Some(txn.read_version().await.unwrap()) } else { None };
        let id = self.shared.ids.fetch_add(1, Ordering::Relaxed);
        let outcome = Outcome::Failed;
        let record = Record { id, ops, seen: Vec::new(), read_version, outcome, began, ended: u64::MAX };
        self.current = Some(Current { txn, record, commit: None });
    }
}

/// Claims alone don't make a transaction that can be found in the log.
pub(super) fn writes(ops: &[Op]) -> bool {
    ops.iter().any(|op| !matches!(op, Op::Get { .. } | Op::Range { .. } | Op::ConflictOn { .. }))
}

async fn apply(txn: &Txn, op: &Op) -> Result<Seen, StoreError> {
    match *op {
        Op::Get { key, snapshot: false } => return Ok(Seen::Value(txn.get(&[b'k', key]).await?)),
        Op::Get { key, snapshot: true } => return Ok(Seen::Value(txn.get_snapshot(&[b'k', key]).await?)),
        Op::Range { one, other, reverse, limit, snapshot } => {
            let mut range = Range::new([b'k', one.min(other)], [b'k', one.max(other)]).limit(limit);
            if reverse {
                range = range.reverse();
            }
            if snapshot {
                range = range.snapshot();
            }
            let page = txn.range(range).await?;
            return Ok(Seen::Rows(page.rows.into_iter().map(|(key, value)| (key[1], value)).collect(), page.more));
        }
        Op::Set { key, value } => txn.set([b'k', key], vec![value]),
        Op::Clear { key } => txn.clear([b'k', key]),
        Op::ClearRange { one, other } => txn.clear_range([b'k', one.min(other)], [b'k', one.max(other)]),
        Op::Add { key, by } => txn.add([b'k', key], by.into()),
        Op::Max { key, to } => txn.max([b'k', key], to.into()),
        Op::ConflictOn { key } => txn.conflict_on([b'k', key]),
        Op::Claim { key } => txn.claim([b'k', key]),
    }
    Ok(Seen::Nothing)
}

/// The order of the commits, by version and id, and the rows that are there in the end.
async fn result(store: &Store) -> (Vec<(u64, u32)>, Rows) {
    let (log, rows) = loop {
        let txn = store.begin();
        let log = all(&txn, Range::prefix("log")).await;
        match (log, all(&txn, Range::prefix("k")).await) {
            (Ok(log), Ok(rows)) => break (log, rows),
            // Injected here, too.
            (Err(StoreError::Unavailable { .. }), _) | (_, Err(StoreError::Unavailable { .. })) => {}
            (log, rows) => panic!("{log:?} {rows:?}"),
        }
    };
    let log = log.into_iter().map(|(key, id)| {
        let version = u64::from_be_bytes(key[3..11].try_into().unwrap());
        (version, u32::from_be_bytes(id[..].try_into().unwrap()))
    });
    let rows: BTreeMap<u8, Bytes> = rows.into_iter().map(|(key, value)| (key[1], value)).collect();
    (log.collect(), rows)
}

async fn all(txn: &Txn, range: Range) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    let page = txn.range(range).await?;
    assert!(!page.more);
    Ok(page.rows)
}
