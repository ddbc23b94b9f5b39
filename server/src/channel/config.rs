//! What the operator may set about hubs.

use serde::{Deserialize, Serialize};

/// Limits and times of the hubs. Each field's default is in [`HubConfig::default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubConfig {
    /// How many channels may be active at once. Beyond it, idle ones make room; if there are none, sends and attaches
    /// are refused as `overloaded`. An active channel costs about 1 KiB and its tail.
    pub hubs_max: usize,
    /// A channel that nobody has attached, and that nobody sent to for so long, is no longer active.
    pub idle_ms: u64,
    /// How many sends may wait in one channel. Beyond it they are refused as `overloaded`.
    pub queue_sends_max: usize,
    /// How many bytes of sends may wait in one channel. Beyond it they are refused as `overloaded`.
    pub queue_bytes_max: usize,
    /// How many sends are appended in one transaction.
    pub batch_sends_max: usize,
    /// How many bytes of sends are appended in one transaction, which the store bounds at 10 MB with all that it writes.
    pub batch_bytes_max: usize,
    /// For how long a batch whose commit outcome is unknown is tried again before its senders are told so.
    pub append_patience_ms: u64,
    /// How many of the newest entries a channel holds in memory.
    pub tail_entries_max: usize,
    /// How many bytes of them. The newest batch is always held, however large.
    pub tail_bytes_max: usize,
    /// How many bytes all channels together hold. Beyond it each holds its newest batch only.
    pub tails_bytes_max: usize,
    /// How many readers that have fallen behind may read from the store at once; the others wait their turn. Each holds
    /// one page of at most 64 KiB, or one larger entry.
    pub catch_up_reads_max: usize,
    /// Members' positions are pushed at most this often in a channel.
    pub marks_interval_ms: u64,
    /// How many of the last typing and position changes a channel holds for attachments that have yet to see them. Who
    /// is slower misses the typing, and gets all positions anew.
    pub news_max: usize,
    /// How many answers to sends an attachment may have outstanding; beyond it, its stream is not read.
    pub in_flight_max: usize,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            hubs_max: 100_000,
            idle_ms: 60_000,
            queue_sends_max: 4_096,
            queue_bytes_max: 16 << 20,
            batch_sends_max: 512,
            batch_bytes_max: 2 << 20,
            append_patience_ms: 10_000,
            tail_entries_max: 1_024,
            tail_bytes_max: 256 << 10,
            tails_bytes_max: 512 << 20,
            catch_up_reads_max: 64,
            marks_interval_ms: 500,
            news_max: 64,
            in_flight_max: 64,
        }
    }
}
