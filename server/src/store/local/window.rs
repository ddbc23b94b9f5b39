//! The conflict window: which keys recent commits wrote, and when.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use bytes::Bytes;

use super::overlay::Span;
use crate::store::range::after_key;

/// Commits are remembered so long; a little more than a transaction may live.
const AGE_MS_MAX: u64 = super::super::TXN_AGE_MS_MAX + 1_000;
/// Commits are remembered while what they wrote takes no more than this.
const BYTES_MAX: usize = 64 << 20;
/// What a remembered span takes beside its keys.
const SPAN_OVERHEAD_BYTES: usize = 128;
/// How many steps are looked at for each new span of many keys, to find those that say nothing any more.
const SWEEP_STEPS: usize = 4;
/// How many keys are forgotten at a time, so that the first commit after a busy time need not wait for all of them.
const FORGET_KEYS_MAX: usize = 16_384;

/// For each key, the version of the last commit that wrote it, as far as it is newer than `oldest`.
///
/// Spans of many keys are kept as FoundationDB's resolvers do: a step function over all keys. An entry says which version
/// holds from its key on, up to the next entry. Nearly all that is written are single keys, though: they are kept beside
/// it, which takes a quarter of the memory, and go with the commit that wrote them.
#[derive(Debug, Default)]
pub(super) struct Window {
    steps: BTreeMap<Bytes, u64>,
    keys: BTreeMap<Bytes, u64>,
    commits: VecDeque<Commit>,
    bytes: usize,
    oldest: u64,
    swept: Bytes,
}

#[derive(Debug)]
struct Commit {
    version: u64,
    at_ms: u64,
    bytes: usize,
    /// The single keys that it wrote.
    keys: Vec<Bytes>,
}

impl Window {
    pub(super) fn starting_at(version: u64) -> Self {
        Self { oldest: version, ..Self::default() }
    }

    /// Who reads at an older version can't be checked any more.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// The version of the last commit that wrote in the span, or something up to `oldest`.
    pub(super) fn newest_in(&self, (begin, end): &Span) -> u64 {
        let key = if is_key(begin, end) { self.keys.get(begin).copied() } else { self.newest_key_in(begin, end) };
        let before = self.at(begin).max(key.unwrap_or(0));
        self.steps.range::<Bytes, _>(begin..end).map(|(_, version)| *version).fold(before, u64::max)
    }

    fn newest_key_in(&self, begin: &Bytes, end: &Bytes) -> Option<u64> {
        self.keys.range::<Bytes, _>(begin..end).map(|(_, version)| *version).max()
    }

    /// Remembers what a commit wrote.
    pub(super) fn insert<'a>(&mut self, version: u64, at_ms: u64, spans: impl Iterator<Item = &'a Span>) {
        let (mut bytes, mut wide) = (0, 0);
        let mut keys = Vec::with_capacity(spans.size_hint().0);
        for span in spans {
            bytes += span.0.len() + SPAN_OVERHEAD_BYTES;
            if is_key(&span.0, &span.1) {
                self.keys.insert(span.0.clone(), version);
                keys.push(span.0.clone());
            } else {
                bytes += span.1.len();
                self.write(span, version);
                wide += 1;
            }
        }
        self.sweep(wide * SWEEP_STEPS);
        self.bytes += bytes;
        self.commits.push_back(Commit { version, at_ms, bytes, keys });
    }

    /// Forgets what is too old, or too much.
    pub(super) fn forget(&mut self, now_ms: u64) {
        let mut forgotten = 0;
        while let Some(commit) = self.commits.front() {
            let is_old = commit.at_ms.saturating_add(AGE_MS_MAX) < now_ms && forgotten < FORGET_KEYS_MAX;
            if !is_old && self.bytes <= BYTES_MAX {
                break;
            }
            let Some(Commit { version, bytes, keys, .. }) = self.commits.pop_front() else { break };
            self.oldest = version;
            self.bytes -= bytes;
            forgotten += keys.len();
            for key in keys {
                // A later commit may have written it again.
                if self.keys.get(&key) == Some(&version) {
                    self.keys.remove(&key);
                }
            }
        }
    }

    fn at(&self, key: &[u8]) -> u64 {
        let step = self.steps.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        step.map_or(0, |(_, version)| *version)
    }

    fn write(&mut self, (begin, end): &Span, version: u64) {
        let behind = self.at(end);
        self.steps.extract_if(begin.clone()..end.clone(), |_, _| true).for_each(drop);
        self.steps.insert(begin.clone(), version);
        self.steps.entry(end.clone()).or_insert(behind);
    }

    /// Takes out some steps between one forgotten version and another. It goes round through all keys, a little with
    /// each commit, so that none waits for all of it.
    fn sweep(&mut self, steps: usize) {
        if steps == 0 {
            return;
        }
        let mut before = self.steps.range(..self.swept.clone()).next_back().map_or(0, |(_, version)| *version);
        let mut gone = Vec::new();
        let (mut last, mut seen) = (None, 0);
        for (key, &version) in self.steps.range(self.swept.clone()..).take(steps) {
            if version <= self.oldest && before <= self.oldest {
                gone.push(key.clone());
            } else {
                before = version;
            }
            (last, seen) = (Some(key), seen + 1);
        }
        // At the end it begins again at once: behind the last key there may be new ones with every commit, where ids grow
        // with time.
        self.swept = last.filter(|_| seen == steps).map_or_else(Bytes::new, |key| after_key(key).into());
        for key in gone {
            self.steps.remove(&key);
        }
    }
}

/// Whether it is the span of one key.
fn is_key(begin: &[u8], end: &[u8]) -> bool {
    end.split_last().is_some_and(|(last, front)| *last == 0 && front == begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(begin: u32, end: u32) -> Span {
        (Bytes::copy_from_slice(&begin.to_be_bytes()), Bytes::copy_from_slice(&end.to_be_bytes()))
    }

    #[test]
    fn the_newest_write_in_a_span_is_found() {
        let mut window = Window::default();
        window.insert(1, 0, [span(10, 20)].iter());
        window.insert(2, 0, [span(15, 16), span(30, 31)].iter());
        window.insert(3, 0, [span(12, 13)].iter());
        let newest = |begin, end| window.newest_in(&span(begin, end));
        assert_eq!([newest(0, 10), newest(10, 11), newest(10, 13), newest(13, 15)], [0, 1, 3, 1]);
        assert_eq!([newest(13, 16), newest(16, 20), newest(20, 30), newest(0, 99)], [2, 1, 0, 3]);
        assert_eq!([newest(30, 31), newest(31, 32)], [2, 0]);
    }

    #[test]
    fn what_is_too_old_is_forgotten_and_takes_no_room() {
        let mut window = Window::default();
        for i in 0..10_000 {
            window.insert(u64::from(i) + 1, u64::from(i), [span(i, i + 1)].iter());
        }
        window.forget(9_999 + AGE_MS_MAX);
        assert_eq!(window.oldest(), 9_999);
        for version in 10_001..=20_000 {
            window.insert(version, 20_000, [span(0, 1)].iter());
        }
        assert!(window.steps.len() < 10, "{}", window.steps.len());
        assert_eq!(window.newest_in(&span(0, 1)), 20_000);
    }

    #[test]
    fn too_much_is_forgotten_early() {
        let mut window = Window::default();
        for version in 1..=10_000 {
            window.insert(version, 0, [(Bytes::from(vec![1; 10_000]), Bytes::from(vec![2; 10_000]))].iter());
        }
        window.forget(0);
        assert!(window.oldest() > 6_000 && window.bytes <= BYTES_MAX);
    }

    /// A channel that is written to without a pause: a head, a log and retry ids that grow with time, behind all others.
    #[test]
    fn what_is_remembered_does_not_grow_with_what_was_written() {
        const COMMITS_PER_MS: u64 = 3;
        // As single keys, and as spans of many.
        for end in [0, 1] {
            let mut window = Window::default();
            let mut most = 0;
            for version in 1..=40_000 * COMMITS_PER_MS {
                let at_ms = version / COMMITS_PER_MS;
                let keys = [
                    [&b"log"[..], &version.to_be_bytes()].concat(),
                    [&b"retry"[..], &version.to_be_bytes()].concat(),
                    b"head".to_vec(),
                ];
                let spans = keys.map(|key| (Bytes::from(key.clone()), Bytes::from([&key[..], &[end]].concat())));
                window.forget(at_ms);
                window.insert(version, at_ms, spans.iter());
                most = most.max(window.steps.len() + window.keys.len());
            }
            let live = usize::try_from(2 * COMMITS_PER_MS * AGE_MS_MAX).unwrap();
            let bound = if end == 0 { live + 100 } else { 6 * live };
            assert!(most < bound, "{most} for {live} that say something");
        }
    }

    #[test]
    fn single_keys_and_spans_of_many_are_one() {
        let key = |key: u32| (Bytes::copy_from_slice(&key.to_be_bytes()), after_key(&key.to_be_bytes()).into());
        let mut window = Window::default();
        window.insert(1, 0, [key(5), key(7)].iter());
        window.insert(2, 0, [span(4, 6)].iter());
        window.insert(3, 10_000, [key(5)].iter());
        assert_eq!([window.newest_in(&key(5)), window.newest_in(&key(7)), window.newest_in(&key(4))], [3, 1, 2]);
        assert_eq!(
            [window.newest_in(&span(0, 99)), window.newest_in(&span(6, 99)), window.newest_in(&span(8, 9))],
            [3, 1, 0]
        );
        window.forget(10_000);
        assert_eq!((window.oldest(), window.newest_in(&key(5)), window.keys.len()), (2, 3, 1));
    }

    #[test]
    fn a_busy_time_is_forgotten_bit_by_bit() {
        let mut window = Window::default();
        for version in 1..=100_000 {
            window.insert(
                version,
                0,
                [(Bytes::copy_from_slice(&version.to_be_bytes()), after_key(&version.to_be_bytes()).into())].iter(),
            );
        }
        let mut turns = 0;
        while !window.keys.is_empty() {
            let before = window.keys.len();
            window.forget(AGE_MS_MAX + 1);
            assert!(before - window.keys.len() <= FORGET_KEYS_MAX);
            turns += 1;
        }
        assert_eq!((turns, window.oldest(), window.bytes), (7, 100_000, 0));
    }
}
