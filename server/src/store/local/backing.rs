//! What keeps the rows under the transactions of a local engine.

use std::sync::Arc;

use bytes::Bytes;

use super::overlay::Span;
use crate::store::StoreError;

pub(super) type Row = (Bytes, Bytes);

/// Where rows are kept. Only the committer writes.
pub(super) trait Backing: Send {
    /// Asked before each update: whether writes work. Where they work again after a time when they did not, and when
    /// the outcome of an update was unknown, this gives the view of what is there now.
    fn prepare(&mut self) -> Result<Option<Arc<dyn View>>, StoreError> {
        Ok(None)
    }

    /// Makes an update durable, all of it or nothing, and gives back the view that shows it.
    ///
    /// An error means that nothing happened, but for `CommitUnknown`.
    fn write(&mut self, update: Update) -> Result<Arc<dyn View>, StoreError>;
}

/// The writes of some commits.
#[derive(Debug)]
pub(super) struct Update {
    /// The version of the last of them.
    pub(super) version: u64,
    /// Views of older versions won't be read any more.
    pub(super) oldest: u64,
    /// For each key the value, or that it is removed.
    pub(super) writes: Vec<(Bytes, Option<Bytes>)>,
}

/// The rows as of one version, whatever is written meanwhile.
pub(super) trait View: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The first rows of a span, or the last ones, in that order. Fewer than `limit` only where there are no more, or where
    /// their values have so many bytes already.
    fn rows(&self, span: &Span, reverse: bool, limit: usize, bytes: usize) -> Result<Vec<Row>, StoreError>;
}
