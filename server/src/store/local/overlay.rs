//! What a transaction has written so far, over what it reads.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::store::engine::Atomic;

/// A span of keys: from the first up to, and without, the second.
pub(super) type Span = (Bytes, Bytes);

/// Writes that are not committed yet: first the spans were cleared, then the single keys written.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Begin and end; they neither overlap nor touch.
    cleared: BTreeMap<Bytes, Bytes>,
    writes: BTreeMap<Bytes, Pending>,
}

/// What will become of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pending {
    Set(Bytes),
    Cleared,
    /// Applied in order to what is there at the commit.
    Atomics(Vec<Atomic>),
}

impl Overlay {
    pub(super) fn set(&mut self, key: Bytes, value: Bytes) {
        self.writes.insert(key, Pending::Set(value));
    }

    pub(super) fn clear(&mut self, key: Bytes) {
        self.writes.insert(key, Pending::Cleared);
    }

    pub(super) fn clear_range(&mut self, mut begin: Bytes, mut end: Bytes) {
        self.writes.extract_if(begin.clone()..end.clone(), |_, _| true).for_each(drop);
        // Merge with every span that overlaps or touches: those that begin at or before our end, and end at or after
        // our begin. They are the last ones at or before our end.
        while let Some((other_begin, other_end)) = self.cleared.range(..=end.clone()).next_back() {
            if *other_end < begin {
                break;
            }
            let other_begin = other_begin.clone();
            if let Some(other_end) = self.cleared.remove(&other_begin) {
                end = end.max(other_end);
            }
            begin = begin.min(other_begin);
        }
        self.cleared.insert(begin, end);
    }

    pub(super) fn atomic(&mut self, key: Bytes, atomic: Atomic) {
        let now = match self.get(&key) {
            Some(Pending::Set(value)) => Pending::Set(atomic.apply(Some(value))),
            Some(Pending::Cleared) => Pending::Set(atomic.apply(None)),
            Some(Pending::Atomics(before)) => Pending::Atomics(folded(before.clone(), atomic)),
            None if self.is_cleared(&key) => Pending::Set(atomic.apply(None)),
            None => Pending::Atomics(vec![atomic]),
        };
        self.writes.insert(key, now);
    }

    /// What will become of a key that was written by itself; whether it lies in a cleared span is another question.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Pending> {
        self.writes.get(key)
    }

    pub(super) fn is_cleared(&self, key: &[u8]) -> bool {
        self.cleared
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back()
            .is_some_and(|(_, end)| key < end)
    }

    pub(super) fn writes_in<'a>(
        &'a self,
        span: &Span,
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Pending)> + use<'a> {
        self.writes.range(span.0.clone()..span.1.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cleared.is_empty() && self.writes.is_empty()
    }

    pub(super) fn into_parts(self) -> (Vec<Span>, Vec<(Bytes, Pending)>) {
        (self.cleared.into_iter().collect(), self.writes.into_iter().collect())
    }
}

/// One more operation behind others, in as few as say the same.
fn folded(mut before: Vec<Atomic>, next: Atomic) -> Vec<Atomic> {
    match (before.last_mut(), next) {
        (Some(Atomic::Add(sum)), Atomic::Add(by)) => *sum = sum.wrapping_add(by),
        (Some(Atomic::Max(max)), Atomic::Max(other)) => *max = other.max(*max),
        _ => before.push(next),
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn cleared_spans_merge() {
        let mut overlay = Overlay::default();
        for (begin, end) in [("b", "c"), ("e", "f"), ("h", "i"), ("c", "e"), ("a", "b"), ("bb", "bc")] {
            overlay.clear_range(bytes(begin), bytes(end));
        }
        let (cleared, _) = overlay.into_parts();
        assert_eq!(cleared, [(bytes("a"), bytes("f")), (bytes("h"), bytes("i"))]);
    }

    #[test]
    fn atomics_fold_over_what_is_known() {
        let mut overlay = Overlay::default();
        overlay.atomic(bytes("a"), Atomic::Add(2));
        overlay.atomic(bytes("a"), Atomic::Add(3));
        overlay.atomic(bytes("a"), Atomic::Max(9));
        assert_eq!(overlay.get(b"a"), Some(&Pending::Atomics(vec![Atomic::Add(5), Atomic::Max(9)])));
        overlay.clear_range(bytes("a"), bytes("b"));
        overlay.atomic(bytes("a"), Atomic::Add(1));
        assert_eq!(overlay.get(b"a"), Some(&Pending::Set(1u64.to_le_bytes().to_vec().into())));
    }
}
