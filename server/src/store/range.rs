//! Which rows to read, and what comes back.

use bytes::Bytes;

/// The most rows in one page, whatever the query asks for.
pub const PAGE_ROWS_MAX: usize = 10_000;
/// A page ends with the row that brings it to so many bytes, whatever the query asks for.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// A query for the rows of a span of keys. Made by [`Range::new`], [`Range::prefix`], [`Range::children`] or
/// [`Range::all`], then narrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub(crate) begin: Bytes,
    pub(crate) end: Bytes,
    pub(crate) reverse: bool,
    pub(crate) limit_rows: usize,
    pub(crate) limit_bytes: usize,
    pub(crate) snapshot: bool,
    /// So many bytes of each key are the store's prefix, and don't count.
    pub(crate) prefix_bytes: usize,
}

impl Range {
    /// From `begin` up to, and without, `end`. Empty where `begin` is not before `end`.
    pub fn new(begin: impl AsRef<[u8]>, end: impl AsRef<[u8]>) -> Self {
        Self {
            begin: Bytes::copy_from_slice(begin.as_ref()),
            end: Bytes::copy_from_slice(end.as_ref()),
            reverse: false,
            limit_rows: PAGE_ROWS_MAX,
            limit_bytes: PAGE_BYTES_MAX,
            snapshot: false,
            prefix_bytes: 0,
        }
    }

    /// All keys that begin with these bytes, the prefix itself among them.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let prefix = prefix.as_ref();
        Self::new(prefix, after_prefix(prefix))
    }

    /// All tuples that continue this tuple, without itself: the range of the FoundationDB tuple layer.
    pub fn children(tuple: impl AsRef<[u8]>) -> Self {
        let tuple = tuple.as_ref();
        Self::new([tuple, &[0x00]].concat(), [tuple, &[0xff]].concat())
    }

    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::new([], [0xff])
    }

    /// From the last key to the first.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most so many rows, at least 1.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit_rows = rows.clamp(1, PAGE_ROWS_MAX);
        self
    }

    /// The page ends with the row that brings keys and values to so many bytes. There is always one row.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.limit_bytes = bytes.clamp(1, PAGE_BYTES_MAX);
        self
    }

    /// Without a read conflict: others may change the rows, and this transaction commits all the same.
    #[must_use]
    pub fn snapshot(mut self) -> Self {
        self.snapshot = true;
        self
    }

    /// Where it begins.
    #[must_use]
    pub fn begin(&self) -> &[u8] {
        &self.begin
    }

    /// Where it ends: the first key that is not in it.
    #[must_use]
    pub fn end(&self) -> &[u8] {
        &self.end
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.begin >= self.end
    }
}

/// Some rows of a range, in the order asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys and values.
    pub rows: Vec<(Bytes, Bytes)>,
    /// Whether the range has rows after these: exact, on every engine.
    pub more: bool,
    pub(crate) next: Option<Range>,
}

impl Page {
    /// The query for the rows after these, if there are any.
    #[must_use]
    pub fn next(&self) -> Option<Range> {
        self.next.clone()
    }
}

/// The first key after all those that begin with these bytes.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|&byte| byte != 0xff);
    kept.map_or_else(
        || vec![0xff],
        |last| {
            let mut end = prefix.get(..=last).unwrap_or_default().to_vec();
            if let Some(byte) = end.last_mut() {
                *byte += 1;
            }
            end
        },
    )
}

/// The first key after this one.
#[must_use]
pub fn after_key(key: &[u8]) -> Vec<u8> {
    [key, &[0x00]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_prefix() {
        assert_eq!(after_prefix(b"a"), b"b");
        assert_eq!(after_prefix(b"a\xff\xff"), b"b");
        assert_eq!(after_prefix(b"\xff\xff"), b"\xff");
        assert_eq!(after_prefix(b""), b"\xff");
    }
}
