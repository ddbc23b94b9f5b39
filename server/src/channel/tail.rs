//! The hot tail: the newest entries of a channel, in memory, as the frames that deliver them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use suda_schema::Seq;

use super::batch::Batch;
use crate::chat::row::StoredEntry;

/// How much one tail may hold, and all together.
#[derive(Clone)]
pub(super) struct TailLimits {
    pub(super) entries_max: usize,
    pub(super) bytes_max: usize,
    pub(super) all: Arc<AllTails>,
}

/// What all tails of the node hold.
pub(super) struct AllTails {
    pub(super) bytes_max: usize,
    pub(super) bytes: AtomicUsize,
    pub(super) gauge: Gauge,
}

/// The newest entries of a channel: those after `base`, up to `head`.
pub(super) struct Tail {
    limits: TailLimits,
    /// `None`: where the log ends is not known.
    span: Option<Span>,
    batches: VecDeque<Arc<Batch>>,
    entries: usize,
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Span {
    base: Seq,
    head: Seq,
}

/// What a reader finds at its cursor.
pub(super) enum Found {
    /// Nothing newer.
    UpToDate,
    /// Its next entries, and perhaps some that it has.
    Batch(Arc<Batch>),
    /// Its next entries are in the store only.
    Behind,
}

impl Tail {
    pub(super) fn new(limits: TailLimits) -> Self {
        Self { limits, span: None, batches: VecDeque::new(), entries: 0, bytes: 0 }
    }

    /// The newest entry known here.
    pub(super) fn head(&self) -> Option<Seq> {
        self.span.map(|span| span.head)
    }

    /// Says where the log ends, to a tail that does not know it.
    pub(super) fn begin_at(&mut self, head: Seq) {
        self.span.get_or_insert(Span { base: head, head });
    }

    /// Forgets everything, also where the log ends.
    pub(super) fn reset(&mut self) {
        self.span = None;
        while self.pop_front().is_some() {}
    }

    /// What comes next after `cursor`.
    pub(super) fn find(&self, cursor: Seq) -> Found {
        let Some(span) = self.span else { return Found::UpToDate };
        if cursor >= span.head {
            return Found::UpToDate;
        }
        if cursor < span.base {
            return Found::Behind;
        }
        // Nearly always it is the newest.
        if let Some(newest) = self.batches.back()
            && newest.first() <= cursor.next()
        {
            return Found::Batch(Arc::clone(newest));
        }
        let at = self.batches.partition_point(|batch| batch.last() <= cursor);
        self.batches.get(at).map_or(Found::Behind, |batch| Found::Batch(Arc::clone(batch)))
    }

    /// Adds entries. If they don't follow on what is here, all that is here is forgotten.
    pub(super) fn push(&mut self, entries: &[StoredEntry]) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
        let before = Seq(first.seq.0.saturating_sub(1));
        if self.head() != Some(before) {
            self.reset();
            self.begin_at(before);
        }
        for batch in Batch::cut(entries) {
            self.entries += batch.len();
            self.add_bytes(batch.bytes());
            self.batches.push_back(Arc::new(batch));
        }
        if let Some(span) = &mut self.span {
            span.head = last.seq;
        }
        self.trim();
    }

    /// Which of the entries here an entry with this target has changed: the target, and if it was deleted, also its
    /// edits, which lose their text.
    pub(super) fn touched_by(&self, target: Seq, deletes: bool) -> Vec<Seq> {
        let Some(span) = self.span else { return Vec::new() };
        let edits = self.batches.iter().filter(|_| deletes).flat_map(|batch| batch.edits_of(target));
        let mut touched: Vec<Seq> = edits.collect();
        if target > span.base && target <= span.head {
            touched.push(target);
        }
        touched
    }

    /// Puts a newer state of a row in the place of the one that is here.
    pub(super) fn replace(&mut self, row: &StoredEntry) {
        let at = self.batches.partition_point(|batch| batch.last() < row.seq);
        let Some(batch) = self.batches.get_mut(at).filter(|batch| batch.first() <= row.seq) else { return };
        let (old, new) = (batch.bytes(), batch.with(row));
        let bytes = new.bytes();
        *batch = Arc::new(new);
        self.remove_bytes(old);
        self.add_bytes(bytes);
    }

    /// Forgets everything up to `seq`.
    pub(super) fn forget_to(&mut self, seq: Seq) {
        while self.batches.front().is_some_and(|batch| batch.first() <= seq) {
            self.pop_front();
        }
    }

    /// Keeps the newest batch only, if the node has too much in its tails.
    pub(super) fn trim(&mut self) {
        loop {
            let all = self.limits.all.bytes.load(Ordering::Relaxed);
            let over = self.entries > self.limits.entries_max
                || self.bytes > self.limits.bytes_max
                || all > self.limits.all.bytes_max;
            if !over || self.batches.len() <= 1 {
                return;
            }
            self.pop_front();
        }
    }

    fn pop_front(&mut self) -> Option<Arc<Batch>> {
        let batch = self.batches.pop_front()?;
        self.entries -= batch.len();
        self.remove_bytes(batch.bytes());
        if let Some(span) = &mut self.span {
            span.base = batch.last();
        }
        Some(batch)
    }

    fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.limits.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.limits.all.gauge.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn remove_bytes(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.limits.all.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.limits.all.gauge.dec_by(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.reset();
    }
}

#[cfg(test)]
mod tests {
    use suda_schema::codec::Codec;

    use super::super::batch::tests::{edit, entry, seqs};
    use super::*;

    fn tail(entries_max: usize, bytes_max: usize, all_max: usize) -> (Tail, Arc<AllTails>) {
        let all = Arc::new(AllTails { bytes_max: all_max, bytes: AtomicUsize::new(0), gauge: Gauge::default() });
        (Tail::new(TailLimits { entries_max, bytes_max, all: Arc::clone(&all) }), all)
    }

    fn push(tail: &mut Tail, seqs: std::ops::RangeInclusive<u64>) {
        tail.push(&seqs.map(|seq| entry(seq, "hello")).collect::<Vec<_>>());
    }

    fn read(tail: &Tail, cursor: u64) -> Option<Vec<u64>> {
        match tail.find(Seq(cursor)) {
            Found::UpToDate => Some(Vec::new()),
            Found::Behind => None,
            Found::Batch(batch) => Some(seqs(&batch.frame_after(Seq(cursor), Codec::Binary).unwrap(), Codec::Binary)),
        }
    }

    #[test]
    fn a_reader_finds_what_follows_its_cursor() {
        let (mut tail, _) = tail(100, 1 << 20, 1 << 20);
        assert_eq!(read(&tail, 3), Some(Vec::new()), "nothing is known yet");
        push(&mut tail, 4..=4);
        push(&mut tail, 5..=8);
        push(&mut tail, 9..=9);
        assert_eq!(read(&tail, 2), None);
        assert_eq!(read(&tail, 3), Some(vec![4]));
        assert_eq!(read(&tail, 4), Some(vec![5, 6, 7, 8]));
        assert_eq!(read(&tail, 6), Some(vec![7, 8]));
        assert_eq!(read(&tail, 8), Some(vec![9]));
        assert_eq!(read(&tail, 9), Some(Vec::new()));
        assert_eq!(read(&tail, 12), Some(Vec::new()), "a cursor from a newer read of the head waits");
    }

    #[test]
    fn a_gap_forgets_what_was_before_it() {
        let (mut tail, all) = tail(100, 1 << 20, 1 << 20);
        push(&mut tail, 1..=3);
        push(&mut tail, 6..=7);
        assert_eq!(read(&tail, 2), None);
        assert_eq!(read(&tail, 4), None);
        assert_eq!(read(&tail, 5), Some(vec![6, 7]));
        drop(tail);
        assert_eq!(all.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(all.gauge.get(), 0);
    }

    #[test]
    fn it_is_bounded_by_entries_by_bytes_and_by_what_all_hold() {
        for (entries_max, bytes_max, all_max) in [(3, 1 << 20, 1 << 20), (100, 600, 1 << 20), (100, 1 << 20, 600)] {
            let (mut tail, all) = tail(entries_max, bytes_max, all_max);
            (1..=50).for_each(|seq| push(&mut tail, seq..=seq));
            assert_eq!(read(&tail, 46), None);
            assert_eq!(read(&tail, 47), Some(vec![48]));
            assert_eq!(all.bytes.load(Ordering::Relaxed), tail.bytes);
        }
        let (mut tail, _) = tail(1, 1, 1);
        push(&mut tail, 1..=50);
        assert_eq!(read(&tail, 0).unwrap().len(), 50, "the newest batch is always held");
    }

    #[test]
    fn changed_rows_are_found_replaced_or_forgotten() {
        let (mut tail, all) = tail(100, 1 << 20, 1 << 20);
        push(&mut tail, 2..=3);
        tail.push(&[edit(4, 2, "b"), edit(5, 1, "c"), entry(6, "d")]);
        assert_eq!(tail.touched_by(Seq(2), true), [Seq(4), Seq(2)]);
        assert_eq!(tail.touched_by(Seq(2), false), [Seq(2)]);
        assert_eq!(tail.touched_by(Seq(1), true), [Seq(5)]);
        tail.replace(&entry(2, "a text that is longer"));
        tail.replace(&entry(1, "not here"));
        assert_eq!(read(&tail, 1), Some(vec![2, 3]));
        assert_eq!(all.bytes.load(Ordering::Relaxed), tail.bytes);
        tail.forget_to(Seq(4));
        assert_eq!(read(&tail, 5), None);
        assert_eq!(read(&tail, 6), Some(Vec::new()));
        tail.forget_to(Seq(9));
        push(&mut tail, 7..=7);
        assert_eq!(read(&tail, 6), Some(vec![7]));
    }
}
