//! What is stored about a node.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::directory::Address;
use crate::chat::Row;
use crate::store::{Range, StoreError, Txn, keys};

/// Who holds a number. Whoever finds another incarnation than its own is not that node any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NodeRow {
    pub(super) incarnation: u64,
    pub(super) address: Address,
}

impl Row for NodeRow {
    const NAME: &'static str = "node";
}

/// A sign of life, and what changes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BeatRow {
    /// Grows with each.
    pub(super) count: u64,
    pub(super) state: State,
    pub(super) links: u32,
    /// Of the certificate that the node made for itself, in hexadecimal.
    pub(super) certificate_hashes: Vec<String>,
}

impl Row for BeatRow {
    const NAME: &'static str = "sign of life";
}

/// Whether clients are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// Not yet.
    Starting,
    Serving,
    /// No more.
    Draining,
}

/// A node that is no more, and has left rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GoneRow {
    /// For how long it had been silent already, at least.
    pub(super) silent_ms: u64,
}

impl Row for GoneRow {
    const NAME: &'static str = "node that is gone";
}

/// The rows of a range whose keys end with a node's number.
pub(super) async fn by_node(txn: &Txn, range: Range) -> Result<Vec<(u16, Bytes)>, StoreError> {
    let mut rows = Vec::new();
    let mut next = Some(range);
    while let Some(range) = next {
        let mut page = txn.range(range).await?;
        rows.extend(std::mem::take(&mut page.rows).into_iter().filter_map(|(key, value)| {
            let number = keys::last_number(&key).and_then(|number| u16::try_from(number).ok())?;
            Some((number, value))
        }));
        next = page.next();
    }
    Ok(rows)
}
