//! Rows in memory, with as many versions of each as somebody may still read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::backing::{Backing, Row, Update, View};
use super::overlay::Span;
use crate::store::StoreError;

#[derive(Default)]
pub(super) struct Memory {
    rows: Arc<RwLock<Rows>>,
}

#[derive(Default)]
struct Rows {
    /// Versions in order, each with the value it brought; `None` where it removed the key.
    by_key: BTreeMap<Bytes, Vec<(u64, Option<Bytes>)>>,
    /// Which keys have something to forget once this version is the oldest that is read.
    written: VecDeque<(u64, Bytes)>,
    oldest: u64,
}

struct MemoryView {
    rows: Arc<RwLock<Rows>>,
    version: u64,
}

impl Memory {
    /// What is there at first: nothing.
    pub(super) fn view(&self) -> Arc<dyn View> {
        Arc::new(MemoryView { rows: Arc::clone(&self.rows), version: 0 })
    }
}

impl Backing for Memory {
    fn write(&mut self, update: Update) -> Result<Arc<dyn View>, StoreError> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in update.writes {
            rows.written.push_back((update.version, key.clone()));
            rows.by_key.entry(key).or_default().push((update.version, value));
        }
        rows.forget(update.oldest);
        Ok(Arc::new(MemoryView { rows: Arc::clone(&self.rows), version: update.version }))
    }
}

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.readable(self.version)?;
        Ok(rows.by_key.get(key).and_then(|versions| value_at(versions, self.version)).cloned())
    }

    fn rows(&self, (begin, end): &Span, reverse: bool, limit: usize, bytes: usize) -> Result<Vec<Row>, StoreError> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.readable(self.version)?;
        let span = rows.by_key.range(begin.clone()..end.clone());
        let there = |(key, versions): (&Bytes, &Vec<_>)| Some((key.clone(), value_at(versions, self.version)?.clone()));
        let mut read = 0;
        let wanted = |(_, value): &Row| {
            let is_wanted = read < bytes;
            read += value.len();
            is_wanted
        };
        Ok(if reverse {
            span.rev().filter_map(there).take(limit).take_while(wanted).collect()
        } else {
            span.filter_map(there).take(limit).take_while(wanted).collect()
        })
    }
}

impl Rows {
    fn readable(&self, version: u64) -> Result<(), StoreError> {
        if version < self.oldest { Err(StoreError::TooOld) } else { Ok(()) }
    }

    fn forget(&mut self, oldest: u64) {
        self.oldest = oldest;
        while let Some((_, key)) = self.written.pop_front_if(|(version, _)| *version <= oldest) {
            let Some(versions) = self.by_key.get_mut(&key) else { continue };
            let newer = versions.partition_point(|(version, _)| *version <= oldest);
            // Of those at or before the oldest, only the last is still seen, and that only if it is a value.
            let seen = versions.get(newer.wrapping_sub(1)).is_some_and(|(_, value)| value.is_some());
            versions.drain(..newer.saturating_sub(usize::from(seen)));
            if versions.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }
}

fn value_at(versions: &[(u64, Option<Bytes>)], version: u64) -> Option<&Bytes> {
    let after = versions.partition_point(|(at, _)| *at <= version);
    versions.get(after.checked_sub(1)?).and_then(|(_, value)| value.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_forgotten() {
        let mut memory = Memory::default();
        let key = Bytes::from_static(b"a");
        let mut write = |version, oldest, value: Option<&'static [u8]>| {
            let writes = vec![(key.clone(), value.map(Bytes::from_static))];
            memory.write(Update { version, oldest, writes }).unwrap()
        };
        let one = write(1, 0, Some(b"1"));
        let two = write(2, 0, None);
        let three = write(3, 0, Some(b"3"));
        assert_eq!(one.get(b"a"), Ok(Some(Bytes::from_static(b"1"))));
        assert_eq!((two.get(b"a"), three.get(b"a")), (Ok(None), Ok(Some(Bytes::from_static(b"3")))));
        let four = write(4, 3, None);
        assert_eq!((two.get(b"a"), three.get(b"a").is_ok(), four.get(b"a")), (Err(StoreError::TooOld), true, Ok(None)));
        memory.write(Update { version: 5, oldest: 4, writes: Vec::new() }).unwrap();
        assert!(memory.rows.read().unwrap().by_key.is_empty());
    }
}
