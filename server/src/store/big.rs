//! Values of any size: stored in chunks, so that no caller meets [`VALUE_BYTES_MAX`].
//!
//! The first row lies at the value's own key: one byte that says how many rows follow, then the beginning. The others
//! lie right behind it, at the key with a number from 1 appended as a tuple element: a mark, then what follows. So a
//! log of such values stays contiguous, and a range over it tells values from chunks. Nothing else may lie below the
//! key of such a value.

use bytes::{Buf, Bytes, BytesMut};

use super::range::after_key;
use super::tuple::Pack;
use super::{Page, Range, StoreError, Txn, VALUE_BYTES_MAX};

/// In place of the number of rows: this row continues a value.
const CONTINUES: u8 = 0xff;
/// What fits in a row beside its first byte.
const CHUNK_BYTES: usize = VALUE_BYTES_MAX - 1;
/// The most bytes in a value stored in chunks. The transaction's own limit is lower.
const BIG_BYTES_MAX: usize = CHUNK_BYTES * CONTINUES as usize;

impl Txn {
    /// Sets a key to a value of any size. Read it by [`Txn::get_big`] or [`Txn::range_big`] only.
    pub fn set_big(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) {
        let (begin, end) = chunk_span(key.as_ref());
        self.clear_range(begin, end);
        self.set_big_new(key, value);
    }

    /// The same for a key that has no value yet, such as the next entry of a log: it saves looking for old chunks.
    pub fn set_big_new(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) {
        let (key, mut rest) = (key.as_ref(), value.into());
        if rest.len() > BIG_BYTES_MAX {
            self.refuse(StoreError::TooLarge { what: "value", bytes: rest.len(), limit: BIG_BYTES_MAX });
            return;
        }
        let first = rest.split_to(rest.len().min(CHUNK_BYTES));
        let follow = rest.len().div_ceil(CHUNK_BYTES);
        self.set(key, row(u8::try_from(follow).unwrap_or(CONTINUES), &first));
        for number in 1..=follow {
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
            self.set(chunk_key(key, number), row(CONTINUES, &chunk));
        }
    }

    /// Removes a value of any size.
    pub fn clear_big(&self, key: impl AsRef<[u8]>) {
        let (begin, end) = chunk_span(key.as_ref());
        self.clear(key);
        self.clear_range(begin, end);
    }

    /// The value that [`Txn::set_big`] has stored.
    ///
    /// # Errors
    /// What the engine says; `Corrupt` where chunks are missing.
    pub async fn get_big(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let Some(first) = self.get(key).await? else { return Ok(None) };
        let mut value = Assembly::begin(Bytes::copy_from_slice(key), first)?;
        let mut query = (!value.is_complete()).then(|| {
            let (begin, end) = chunk_span(key);
            Range::new(begin, end)
        });
        while let Some(range) = query {
            let page = self.range(range).await?;
            query = page.next();
            for (key, chunk) in page.rows {
                value.push(&key, chunk)?;
            }
        }
        value.done().map(|(_, value)| Some(value))
    }

    /// The beginning of such a value, at most its first chunk, without a read conflict: for a value whose front says
    /// what is wanted.
    ///
    /// # Errors
    /// What the engine says; `Corrupt` where the row is not the first of such a value.
    pub async fn get_big_start(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let Some(first) = self.get_snapshot(key).await? else { return Ok(None) };
        let value = Assembly::begin(Bytes::copy_from_slice(key), first)?;
        Ok(Some(value.first))
    }

    /// A page of values that [`Txn::set_big`] has stored. Limits count whole values; none is cut in half. The range
    /// must not begin or end between the chunks of a value.
    ///
    /// # Errors
    /// What the engine says; `Corrupt` where chunks are missing.
    pub async fn range_big(&self, range: Range) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let mut bytes = 0;
        let mut open = Open::default();
        let mut query = Some(range.clone());
        while let Some(part) = query {
            let rows = self.range(part).await?;
            query = rows.next();
            let mut rows = rows.rows.into_iter();
            while let Some((key, row)) = rows.next() {
                let last = key.clone();
                let Some((key, value)) = open.take(key, row, range.reverse)? else { continue };
                bytes += key.len() + value.len();
                page.rows.push((key, value));
                if page.rows.len() >= range.limit_rows || bytes >= range.limit_bytes {
                    page.more = query.is_some() || !rows.as_slice().is_empty();
                    page.next = page.more.then(|| continued(range, &last));
                    return Ok(page);
                }
            }
            // What is still open must be finished, whatever the limits; else only what is left of them is read.
            query = query.map(|next| next.limit(range.limit_rows - page.rows.len()));
        }
        open.done()?;
        Ok(page)
    }
}

fn continued(mut range: Range, last: &[u8]) -> Range {
    if range.reverse {
        range.end = Bytes::copy_from_slice(last);
    } else {
        range.begin = after_key(last).into();
    }
    range
}

fn row(head: u8, chunk: &[u8]) -> Bytes {
    let mut row = BytesMut::with_capacity(1 + chunk.len());
    row.extend_from_slice(&[head]);
    row.extend_from_slice(chunk);
    row.freeze()
}

fn chunk_key(key: &[u8], number: usize) -> Vec<u8> {
    [key, &Pack::new().uint(number as u64).done()].concat()
}

/// Where the chunks behind the first row lie: their numbers have one byte.
fn chunk_span(key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let first = Pack::new().uint(1).done();
    let code = first.get(..1).unwrap_or_default();
    ([key, code].concat(), super::after_prefix(&[key, code].concat()))
}

/// A value whose rows come one by one, in order.
struct Assembly {
    key: Bytes,
    first: Bytes,
    /// What follows. Most values have nothing there, and cost no allocation.
    others: Vec<Bytes>,
    follow: usize,
}

impl Assembly {
    fn begin(key: Bytes, mut row: Bytes) -> Result<Self, StoreError> {
        if row.is_empty() || row.first() == Some(&CONTINUES) {
            return Err(damaged(&key));
        }
        let follow = usize::from(row.get_u8());
        Ok(Self { key, first: row, others: Vec::new(), follow })
    }

    fn push(&mut self, key: &[u8], mut row: Bytes) -> Result<(), StoreError> {
        if self.is_complete() || key != chunk_key(&self.key, self.others.len() + 1) || row.first() != Some(&CONTINUES) {
            return Err(damaged(&self.key));
        }
        row.advance(1);
        self.others.push(row);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.others.len() == self.follow
    }

    fn done(self) -> Result<(Bytes, Bytes), StoreError> {
        if !self.is_complete() {
            return Err(damaged(&self.key));
        }
        if self.others.is_empty() {
            return Ok((self.key, self.first));
        }
        let mut value = BytesMut::with_capacity(self.first.len() + self.others.iter().map(Bytes::len).sum::<usize>());
        value.extend_from_slice(&self.first);
        self.others.iter().for_each(|part| value.extend_from_slice(part));
        Ok((self.key, value.freeze()))
    }
}

/// The value that is not complete yet, while a range goes on.
#[derive(Default)]
struct Open {
    forward: Option<Assembly>,
    /// In reverse, chunks come before the row that says how many there are.
    backward: Vec<(Bytes, Bytes)>,
}

impl Open {
    fn take(&mut self, key: Bytes, row: Bytes, reverse: bool) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let continues = row.first() == Some(&CONTINUES);
        if reverse && continues {
            self.backward.push((key, row));
            return Ok(None);
        }
        let mut value = match self.forward.take() {
            Some(mut value) => {
                value.push(&key, row)?;
                value
            }
            None => Assembly::begin(key, row)?,
        };
        for (key, row) in self.backward.drain(..).rev() {
            value.push(&key, row)?;
        }
        if value.is_complete() {
            return value.done().map(Some);
        }
        if reverse {
            return Err(damaged(&value.key));
        }
        self.forward = Some(value);
        Ok(None)
    }

    fn done(self) -> Result<(), StoreError> {
        let left = self.forward.map(|value| value.key).or(self.backward.into_iter().next().map(|(key, _)| key));
        left.map_or(Ok(()), |key| Err(damaged(&key)))
    }
}

fn damaged(key: &[u8]) -> StoreError {
    StoreError::Corrupt { what: format!("the chunks of the value at {} don't fit together", key.escape_ascii()) }
}
