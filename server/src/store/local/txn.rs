//! One transaction of a local engine: a view, what it has written over it, and what it has seen of it.

use std::collections::VecDeque;
use std::future::ready;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Local;
use super::backing::{Row, View};
use super::committer::{Request, Stamped, versionstamp};
use super::overlay::{Overlay, Pending, Span};
use super::watches::Bell;
use crate::store::engine::{Atomic, EngineTxn, Fut, Versionstamp, Write};
use crate::store::range::after_key;
use crate::store::{Page, Range, StoreError, TXN_AGE_MS_MAX};

/// The most rows that are read from the view at a time. At first it is as many as the page needs: each row costs a search.
const FETCH_ROWS_MAX: usize = 512;
/// The fewest rows that are read where those were not enough, because of what the transaction itself has cleared.
const FETCH_MORE_ROWS_MIN: usize = 16;

/// Who has waited so long for the outcome of a commit is told that it is unknown.
const ANSWER_WAIT_MS_MAX: u64 = 60_000;

pub(super) struct LocalTxn {
    local: Arc<Local>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    snapshot: Option<Snapshot>,
    overlay: Overlay,
    reads: Vec<Span>,
    claims: Vec<Span>,
    stamped: Vec<Stamped>,
    watches: Vec<(Bytes, Bell)>,
    stamps: Vec<oneshot::Sender<Versionstamp>>,
}

#[derive(Clone)]
struct Snapshot {
    version: u64,
    began_ms: u64,
    view: Arc<dyn View>,
}

impl LocalTxn {
    pub(super) fn new(local: Arc<Local>) -> Self {
        Self { local, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transaction's snapshot, taken when it first reads.
    fn snapshot(&self, state: &mut State) -> Result<Snapshot, StoreError> {
        let now_ms = self.local.clock.now_ms();
        let snapshot = state.snapshot.get_or_insert_with(|| {
            let (version, view) = self.local.published.get();
            Snapshot { version, began_ms: now_ms, view }
        });
        if now_ms.saturating_sub(snapshot.began_ms) > TXN_AGE_MS_MAX {
            return Err(StoreError::TooOld);
        }
        Ok(snapshot.clone())
    }

    fn get_now(&self, key: &Bytes, snapshot_read: bool) -> Result<Option<Bytes>, StoreError> {
        let mut state = self.state();
        let atomics = match state.overlay.get(key) {
            Some(Pending::Set(value)) => return Ok(Some(value.clone())),
            Some(Pending::Cleared) => return Ok(None),
            Some(Pending::Atomics(atomics)) => atomics.clone(),
            None if state.overlay.is_cleared(key) => return Ok(None),
            None => Vec::new(),
        };
        let snapshot = self.snapshot(&mut state)?;
        let span = (key.clone(), after_key(key).into());
        state.readable(&span, snapshot.version)?;
        if !snapshot_read {
            state.reads.push(span);
        }
        let base = snapshot.view.get(key)?;
        Ok(applied(base, &atomics))
    }

    fn range_now(&self, range: Range) -> Result<Page, StoreError> {
        let mut state = self.state();
        let snapshot = self.snapshot(&mut state)?;
        let span = (range.begin, range.end);
        state.readable(&span, snapshot.version)?;
        let wanted = (range.limit_rows, range.limit_bytes);
        let fetch = Fetch::new(Arc::clone(&snapshot.view), span.clone(), range.reverse, wanted);
        let mut merged = Merged { base: fetch, overlay: &state.overlay, own: own_writes(&state, &span, range.reverse) };
        let mut page = Page::default();
        let mut bytes = 0;
        let mut behind = None;
        while let Some((key, value)) = merged.next()? {
            if page.rows.len() >= range.limit_rows || bytes >= range.limit_bytes {
                page.more = true;
                behind = Some(key);
                break;
            }
            bytes += key.len() - range.prefix_bytes + value.len();
            page.rows.push((key, value));
        }
        drop(merged);
        if !range.snapshot {
            // `more` was read, too: so the conflict includes the first row that is not in the page.
            let seen = match (behind, range.reverse) {
                (Some(key), false) => (span.0, after_key(&key).into()),
                (Some(key), true) => (key, span.1),
                (None, _) => span,
            };
            state.reads.push(seen);
        }
        Ok(page)
    }
}

impl EngineTxn for LocalTxn {
    fn get(&self, key: Bytes, snapshot: bool) -> Fut<'_, Option<Bytes>> {
        Box::pin(ready(self.get_now(&key, snapshot)))
    }

    fn range(&self, range: Range) -> Fut<'_, Page> {
        Box::pin(ready(self.range_now(range)))
    }

    fn write(&self, write: Write) {
        let mut state = self.state();
        match write {
            Write::Set(key, value) => state.overlay.set(key, value),
            Write::Clear(key) => state.overlay.clear(key),
            Write::ClearRange(begin, end) => state.overlay.clear_range(begin, end),
            Write::Atomic(key, atomic) => state.overlay.atomic(key, atomic),
            Write::SetVersionstamped { prefix, suffix, value } => {
                state.stamped.push(Stamped { prefix, suffix, value });
            }
            Write::AsIfRead(begin, end) => state.reads.push((begin, end)),
            Write::AsIfWritten(begin, end) => state.claims.push((begin, end)),
        }
    }

    fn watch(&self, key: Bytes) -> Fut<'static, ()> {
        let mut state = self.state();
        // What it waits for is a change against the snapshot: so there must be one.
        if let Err(error) = self.snapshot(&mut state) {
            return Box::pin(ready(Err(error)));
        }
        let (bell, heard) = oneshot::channel();
        state.watches.push((key, bell));
        Box::pin(async move {
            heard.await.unwrap_or(Err(StoreError::WatchLost { what: "its transaction or the store has ended" }))
        })
    }

    fn read_version(&self) -> Fut<'_, u64> {
        let snapshot = self.snapshot(&mut self.state());
        Box::pin(ready(snapshot.map(|snapshot| snapshot.version)))
    }

    fn versionstamp(&self) -> Fut<'static, Versionstamp> {
        let (sender, stamp) = oneshot::channel();
        self.state().stamps.push(sender);
        Box::pin(async move {
            stamp.await.map_err(|_| StoreError::Misuse { what: "no stamp: nothing was written and committed" })
        })
    }

    fn commit(&self) -> Fut<'_, ()> {
        let state = std::mem::take(&mut *self.state());
        Box::pin(async move {
            let (request, reply, stamps) = state.into_request();
            if let Some(request) = request {
                self.local.driver.submit(request).await?;
                // The committer answers all that it takes, unless it has ended in the middle, or the disk hangs.
                let answer = timeout(Duration::from_millis(ANSWER_WAIT_MS_MAX), reply).await;
                let version = answer
                    .map_or(Err(StoreError::CommitUnknown), |reply| reply.unwrap_or(Err(StoreError::CommitUnknown)))?;
                for stamp in stamps {
                    let _ = stamp.send(versionstamp(version));
                }
            }
            Ok(())
        })
    }
}

type Reply = oneshot::Receiver<Result<u64, StoreError>>;

impl State {
    /// Nobody can say what is where a stamp that is not known yet may put a key.
    fn readable(&self, (begin, end): &Span, read_version: u64) -> Result<(), StoreError> {
        for stamped in &self.stamped {
            let first = [&stamped.prefix[..], &versionstamp(read_version.saturating_add(1))].concat();
            let last = [&stamped.prefix[..], &[0xff; size_of::<Versionstamp>()]].concat();
            if **begin < *last && *first < **end {
                return Err(StoreError::Misuse { what: "reads where its own versionstamped key may come to be" });
            }
        }
        Ok(())
    }

    fn into_request(self) -> (Option<Request>, Reply, Vec<oneshot::Sender<Versionstamp>>) {
        let writes = !self.overlay.is_empty() || !self.stamped.is_empty() || !self.claims.is_empty();
        let (sender, reply) = oneshot::channel();
        if !writes && self.watches.is_empty() {
            return (None, reply, Vec::new());
        }
        let (clears, pending) = self.overlay.into_parts();
        let request = Request {
            snapshot: self.snapshot.map(|snapshot| (snapshot.version, snapshot.began_ms)),
            reads: self.reads,
            claims: self.claims,
            clears,
            writes: pending,
            stamped: self.stamped,
            watches: self.watches,
            reply: sender,
        };
        (Some(request), reply, if writes { self.stamps } else { Vec::new() })
    }
}

fn applied(base: Option<Bytes>, atomics: &[Atomic]) -> Option<Bytes> {
    atomics.iter().fold(base, |value, atomic| Some(atomic.apply(value.as_deref())))
}

type OwnWrites<'a> = Peekable<Box<dyn Iterator<Item = (&'a Bytes, &'a Pending)> + 'a>>;

fn own_writes<'a>(state: &'a State, span: &Span, reverse: bool) -> OwnWrites<'a> {
    let writes = state.overlay.writes_in(span);
    let writes: Box<dyn Iterator<Item = _>> = if reverse { Box::new(writes.rev()) } else { Box::new(writes) };
    writes.peekable()
}

/// The rows of a view with a transaction's own writes over them.
struct Merged<'a> {
    base: Fetch,
    overlay: &'a Overlay,
    own: OwnWrites<'a>,
}

impl Merged<'_> {
    fn next(&mut self) -> Result<Option<Row>, StoreError> {
        loop {
            let reverse = self.base.reverse;
            let base_key = self.base.peek()?;
            let own_key = self.own.peek().map(|(key, _)| *key);
            let (take_own, same) = match (base_key, own_key) {
                (None, None) => return Ok(None),
                (Some(_), None) => (false, false),
                (None, Some(_)) => (true, false),
                (Some(base), Some(own)) => (own == base || (own < base) != reverse, own == base),
            };
            if !take_own {
                match self.base.take() {
                    Some((key, _)) if self.overlay.is_cleared(&key) => {}
                    row => return Ok(row),
                }
                continue;
            }
            let under = if same { self.base.take() } else { None };
            let Some((key, pending)) = self.own.next() else { continue };
            let value = match pending {
                Pending::Set(value) => Some(value.clone()),
                Pending::Cleared => None,
                Pending::Atomics(atomics) => applied(under.map(|(_, value)| value), atomics),
            };
            if let Some(value) = value {
                return Ok(Some((key.clone(), value)));
            }
        }
    }
}

/// The rows of a view, fetched some at a time.
struct Fetch {
    view: Arc<dyn View>,
    rest: Option<Span>,
    reverse: bool,
    fetched: VecDeque<Row>,
    rows: usize,
    bytes: usize,
}

impl Fetch {
    fn new(view: Arc<dyn View>, span: Span, reverse: bool, (rows_wanted, bytes): (usize, usize)) -> Self {
        // One more than is wanted says whether there is more.
        let rows = rows_wanted.saturating_add(1).min(FETCH_ROWS_MAX);
        Self { view, rest: Some(span), reverse, fetched: VecDeque::new(), rows, bytes }
    }

    fn peek(&mut self) -> Result<Option<&Bytes>, StoreError> {
        while self.fetched.is_empty()
            && let Some(span) = self.rest.take()
        {
            let rows = self.view.rows(&span, self.reverse, self.rows, self.bytes)?;
            let read = rows.iter().map(|(_, value)| value.len()).sum::<usize>();
            if let (Some((last, _)), true) = (rows.last(), rows.len() == self.rows || read >= self.bytes) {
                self.rest = Some(if self.reverse { (span.0, last.clone()) } else { (after_key(last).into(), span.1) });
            }
            self.rows = self.rows.saturating_mul(2).clamp(FETCH_MORE_ROWS_MIN, FETCH_ROWS_MAX);
            self.fetched = rows.into();
        }
        Ok(self.fetched.front().map(|(key, _)| key))
    }

    fn take(&mut self) -> Option<Row> {
        self.fetched.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred rows, which notes how many it was asked for.
    #[derive(Default)]
    struct Rows(Mutex<Vec<usize>>);

    impl View for Rows {
        fn get(&self, _: &[u8]) -> Result<Option<Bytes>, StoreError> {
            Ok(None)
        }

        fn rows(&self, (begin, end): &Span, reverse: bool, limit: usize, bytes: usize) -> Result<Vec<Row>, StoreError> {
            self.0.lock().unwrap().push(limit);
            let keys = (0..100).map(|key: u8| Bytes::copy_from_slice(&[key])).filter(|key| begin <= key && key < end);
            let mut rows: Vec<Row> = keys.map(|key| (key.clone(), key)).collect();
            if reverse {
                rows.reverse();
            }
            rows.truncate(limit.min(bytes));
            Ok(rows)
        }
    }

    #[test]
    fn no_more_rows_are_read_than_a_page_needs_and_all_can_be() {
        for reverse in [false, true] {
            let view = Arc::new(Rows::default());
            let all = || (Bytes::new(), Bytes::from_static(&[0xff]));
            let mut fetch = Fetch::new(Arc::<Rows>::clone(&view), all(), reverse, (1, usize::MAX));
            let mut keys = Vec::new();
            for _ in 0..2 {
                assert!(fetch.peek().unwrap().is_some());
                keys.extend(fetch.take().map(|(key, _)| key[0]));
            }
            assert_eq!(*view.0.lock().unwrap(), [2], "the one that is wanted, and the one that says there is more");
            while fetch.peek().unwrap().is_some() {
                keys.extend(fetch.take().map(|(key, _)| key[0]));
            }
            if reverse {
                keys.reverse();
            }
            assert!(keys.into_iter().eq(0..100));
            assert_eq!(*view.0.lock().unwrap(), [2, 16, 32, 64], "more at a time where those were not enough");
        }
    }

    #[test]
    fn no_more_bytes_are_read_than_a_page_may_have_and_all_can_be() {
        let view = Arc::new(Rows::default());
        let all = (Bytes::new(), Bytes::from_static(&[0xff]));
        let mut fetch = Fetch::new(Arc::<Rows>::clone(&view), all, false, (1_000, 30));
        let mut keys = Vec::new();
        while fetch.peek().unwrap().is_some() {
            assert!(fetch.fetched.len() <= 30);
            keys.extend(fetch.take().map(|(key, _)| key[0]));
        }
        assert!(keys.into_iter().eq(0..100));
        assert_eq!(view.0.lock().unwrap().len(), 4);
    }
}
