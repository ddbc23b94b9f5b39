//! What is stored about a node.

use serde::{Deserialize, Serialize};

use super::directory::Address;
use crate::chat::Row;

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
