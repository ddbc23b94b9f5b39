//! Where commits are decided: one after the other, many in one update.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::oneshot;

use super::Published;
use super::backing::{Backing, Row, Update, View};
use super::overlay::{Pending, Span};
use super::watches::{Bell, Watches};
use super::window::Window;
use crate::clock::Clock;
use crate::store::engine::Versionstamp;
use crate::store::range::after_key;
use crate::store::{Metrics, StoreError, TXN_AGE_MS_MAX};

/// How many rows of a cleared span are read at a time.
const CLEAR_ROWS: usize = 1_000;

/// A transaction that asks to be committed.
pub(super) struct Request {
    /// The version it reads at, and when it began to; `None` if it read nothing.
    pub(super) snapshot: Option<(u64, u64)>,
    pub(super) reads: Vec<Span>,
    /// Spans written beside those below.
    pub(super) claims: Vec<Span>,
    pub(super) clears: Vec<Span>,
    pub(super) writes: Vec<(Bytes, Pending)>,
    pub(super) stamped: Vec<Stamped>,
    pub(super) watches: Vec<(Bytes, Bell)>,
    /// Gets the version of the commit.
    pub(super) reply: oneshot::Sender<Result<u64, StoreError>>,
}

/// A key that gets the commit's stamp.
#[derive(Debug, Clone)]
pub(super) struct Stamped {
    pub(super) prefix: Bytes,
    pub(super) suffix: Bytes,
    pub(super) value: Bytes,
}

/// Decides commits. It alone writes to the backing.
pub(super) struct Committer {
    backing: Box<dyn Backing>,
    window: Window,
    watches: Watches,
    version: u64,
    published: Arc<Published>,
    clock: Clock,
    metrics: Metrics,
}

/// A request that has passed.
struct Passed {
    version: u64,
    spans: Vec<Span>,
    /// With each, whether the key has changed since the transaction read.
    watches: Vec<(Bytes, Bell, bool)>,
    reply: oneshot::Sender<Result<u64, StoreError>>,
}

impl Committer {
    /// Over a backing whose current state is `published`.
    pub(super) fn new(backing: Box<dyn Backing>, published: Arc<Published>, clock: Clock, metrics: Metrics) -> Self {
        let version = published.get().0;
        let window = Window::starting_at(version);
        let watches = Watches::new(metrics.watches_refused.clone());
        Self { backing, window, watches, version, published, clock, metrics }
    }

    /// Commits what can be committed, in this order, in one update, and answers each.
    pub(super) fn commit(&mut self, mut requests: Vec<Request>) {
        let now_ms = self.clock.now_ms();
        self.window.forget(now_ms);
        if let Err(error) = self.prepare(&requests) {
            for request in requests.extract_if(.., |request| !request.writes_nothing()) {
                answer(request.reply, Err(error.clone()));
            }
        }
        let mut batch = Batch { base: self.published.get().1, writes: BTreeMap::new() };
        let mut passed = Vec::new();
        for request in requests {
            match self.decide(&request, &mut batch, now_ms) {
                Ok((version, spans)) => passed.push(self.pass(request, version, spans)),
                Err(error) => answer(request.reply, Err(error)),
            }
        }
        if let Err(error) = self.write(batch, passed.len()) {
            passed.into_iter().for_each(|passed| answer(passed.reply, Err(error.clone())));
            return;
        }
        for passed in passed {
            self.ring(&passed.spans);
            for (key, bell, changed) in passed.watches {
                if changed { ring(bell) } else { self.watches.arm(key, bell) }
            }
            answer(passed.reply, Ok(passed.version));
        }
    }

    fn prepare(&mut self, requests: &[Request]) -> Result<(), StoreError> {
        if requests.iter().all(Request::writes_nothing) {
            return Ok(());
        }
        if let Some(view) = self.backing.prepare()? {
            self.published.set(self.version, view);
            // What was unknown may have happened.
            self.watches.ring_all();
        }
        Ok(())
    }

    /// Whether a transaction can be committed after those before it; if so, its writes are in the batch.
    fn decide(&mut self, request: &Request, batch: &mut Batch, now_ms: u64) -> Result<(u64, Vec<Span>), StoreError> {
        if request.writes_nothing() {
            return Ok((self.version, Vec::new()));
        }
        if let Some((read_version, began_ms)) = request.snapshot {
            if read_version < self.window.oldest() || now_ms.saturating_sub(began_ms) > TXN_AGE_MS_MAX {
                return Err(StoreError::TooOld);
            }
            if request.reads.iter().any(|span| self.window.newest_in(span) > read_version) {
                return Err(StoreError::Conflict);
            }
        }
        let version = self.version + 1;
        let writes = batch.resolve(request, version)?;
        let spans = request.written_spans(version);
        batch.writes.extend(writes);
        self.version = version;
        Ok((version, spans))
    }

    /// Notes whether watched keys have changed, then enters the request's own writes into the window.
    fn pass(&mut self, request: Request, version: u64, spans: Vec<Span>) -> Passed {
        let read_version = request.snapshot.map_or(self.version, |(version, _)| version);
        let written = |key: &Bytes| spans.iter().any(|(begin, end)| begin <= key && key < end);
        let changed = |key: &Bytes| {
            let newest = self.window.newest_in(&point(key));
            !written(key) && (newest > read_version || read_version < self.window.oldest())
        };
        let watches = request.watches.into_iter().map(|(key, bell)| {
            let changed = changed(&key);
            (key, bell, changed)
        });
        let watches = watches.collect();
        if !spans.is_empty() {
            self.window.insert(version, self.clock.now_ms(), spans.iter());
        }
        Passed { version, spans, watches, reply: request.reply }
    }

    fn write(&mut self, batch: Batch, commits: usize) -> Result<(), StoreError> {
        if batch.writes.is_empty() {
            // Claims alone change no row, but who begins now comes after them.
            self.published.set(self.version, batch.base);
            return Ok(());
        }
        self.metrics.batch_commits.observe(commits as f64);
        let update =
            Update { version: self.version, oldest: self.window.oldest(), writes: batch.writes.into_iter().collect() };
        let view = self.backing.write(update)?;
        self.published.set(self.version, view);
        Ok(())
    }

    fn ring(&mut self, spans: &[Span]) {
        if !self.watches.is_empty() {
            spans.iter().for_each(|span| self.watches.ring(span));
        }
    }
}

impl Request {
    /// How much it writes, about.
    pub(super) fn bytes(&self) -> usize {
        let value = |pending: &Pending| if let Pending::Set(value) = pending { value.len() } else { 0 };
        let stamped = self.stamped.iter().map(|stamped| stamped.prefix.len() + stamped.value.len()).sum::<usize>();
        self.writes.iter().map(|(key, pending)| key.len() + value(pending)).sum::<usize>() + stamped
    }

    fn writes_nothing(&self) -> bool {
        self.claims.is_empty() && self.clears.is_empty() && self.writes.is_empty() && self.stamped.is_empty()
    }

    fn written_spans(&self, version: u64) -> Vec<Span> {
        let keys = self.writes.iter().map(|(key, _)| point(key));
        let stamped = self.stamped.iter().map(|stamped| point(&stamped.key(version)));
        keys.chain(stamped).chain(self.clears.iter().cloned()).chain(self.claims.iter().cloned()).collect()
    }
}

impl Stamped {
    fn key(&self, version: u64) -> Bytes {
        let mut key = BytesMut::with_capacity(self.prefix.len() + size_of::<Versionstamp>() + self.suffix.len());
        key.put_slice(&self.prefix);
        key.put_slice(&versionstamp(version));
        key.put_slice(&self.suffix);
        key.freeze()
    }
}

/// A local commit is alone in its version.
pub(super) fn versionstamp(version: u64) -> Versionstamp {
    let mut stamp = [0; size_of::<Versionstamp>()];
    let (in_version, _) = stamp.split_at_mut(size_of::<u64>());
    in_version.copy_from_slice(&version.to_be_bytes());
    stamp
}

fn point(key: &Bytes) -> Span {
    (key.clone(), after_key(key).into())
}

fn ring(bell: Bell) {
    // Who does not wait any more needs no answer.
    let _ = bell.send(Ok(()));
}

fn answer(reply: oneshot::Sender<Result<u64, StoreError>>, answer: Result<u64, StoreError>) {
    let _ = reply.send(answer);
}

/// The writes of the commits of one update so far, over what is durable.
struct Batch {
    base: Arc<dyn View>,
    writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Batch {
    /// What a transaction's writes come to, after those before it.
    fn resolve(&self, request: &Request, version: u64) -> Result<Vec<(Bytes, Option<Bytes>)>, StoreError> {
        let mut writes = Vec::with_capacity(request.writes.len() + request.stamped.len());
        for span in &request.clears {
            self.removals(span, &mut writes)?;
        }
        for (key, pending) in &request.writes {
            let value = match pending {
                Pending::Set(value) => Some(value.clone()),
                Pending::Cleared => None,
                Pending::Atomics(atomics) => {
                    let base = self.get(key)?;
                    atomics.iter().fold(base, |value, atomic| Some(atomic.apply(value.as_deref())))
                }
            };
            writes.push((key.clone(), value));
        }
        for stamped in &request.stamped {
            writes.push((stamped.key(version), Some(stamped.value.clone())));
        }
        Ok(writes)
    }

    fn get(&self, key: &Bytes) -> Result<Option<Bytes>, StoreError> {
        self.writes.get(key).map_or_else(|| self.base.get(key), |value| Ok(value.clone()))
    }

    fn removals(&self, span: &Span, writes: &mut Vec<(Bytes, Option<Bytes>)>) -> Result<(), StoreError> {
        let mut rest = span.clone();
        loop {
            let rows: Vec<Row> = self.base.rows(&rest, false, CLEAR_ROWS, usize::MAX)?;
            if let Some((last, _)) = rows.last() {
                rest.0 = after_key(last).into();
            }
            let more = rows.len() == CLEAR_ROWS;
            writes.extend(rows.into_iter().map(|(key, _)| (key, None)));
            if !more {
                break;
            }
        }
        writes.extend(self.writes.range(span.0.clone()..span.1.clone()).map(|(key, _)| (key.clone(), None)));
        Ok(())
    }
}
