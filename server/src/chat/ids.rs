//! Snowflake ids: 41 bits of milliseconds since [`SNOWFLAKE_EPOCH_MS`], 10 bits of node, 12 bits of sequence.
//!
//! One generator never gives the same id twice nor a smaller one: where a millisecond is used up, or the clock has gone
//! backward, it runs on ahead of the clock instead of waiting for it. Two nodes can't collide because the node number is
//! leased. What is left is a node that restarts while its clock stands before that of its former life; so whoever makes
//! a user, device or channel also checks, in the transaction that writes it, that the id is not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use suda_schema::ids::SNOWFLAKE_EPOCH_MS;
use suda_schema::{ChannelId, DeviceId, MediaId, UserId};

use crate::clock::Clock;

const SEQUENCE_BITS: u32 = 12;
const NODE_BITS: u32 = 10;
const TIME_BITS: u32 = 41;

/// The largest node number.
pub const NODE_MAX: u16 = (1 << NODE_BITS) - 1;

/// Makes ids. Cheap to clone; clones share their sequence.
#[derive(Clone)]
pub struct IdGen {
    clock: Clock,
    node: u16,
    /// Time and sequence of the last id, without the node between them.
    last: Arc<AtomicU64>,
}

impl IdGen {
    /// A generator for this node; its number is cut to 10 bits.
    #[must_use]
    pub fn new(clock: Clock, node: u16) -> Self {
        Self { clock, node: node & NODE_MAX, last: Arc::default() }
    }

    /// The node's number.
    #[must_use]
    pub fn node(&self) -> u16 {
        self.node
    }

    /// A new user's.
    #[must_use]
    pub fn user(&self) -> UserId {
        UserId(self.next())
    }

    /// A new channel's.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        ChannelId(self.next())
    }

    /// A new device's.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        DeviceId(self.next())
    }

    /// A new media object's.
    #[must_use]
    pub fn media(&self) -> MediaId {
        MediaId(self.next())
    }

    fn next(&self) -> u64 {
        let since_ms = self.clock.now_ms().saturating_sub(SNOWFLAKE_EPOCH_MS) & ((1 << TIME_BITS) - 1);
        let earliest = since_ms << SEQUENCE_BITS;
        let step = |last: u64| last.saturating_add(1).max(earliest);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(step(last)));
        let next = step(last.unwrap_or_else(|last| last));
        let (time, sequence) = (next >> SEQUENCE_BITS, next & ((1 << SEQUENCE_BITS) - 1));
        time << (NODE_BITS + SEQUENCE_BITS) | u64::from(self.node) << SEQUENCE_BITS | sequence
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_id_says_when_and_where_it_was_made() {
        let ids = IdGen::new(Clock::manual(SNOWFLAKE_EPOCH_MS + 1_234, 1), 77);
        let id = ids.user();
        assert_eq!(id.made_at_ms(), SNOWFLAKE_EPOCH_MS + 1_234);
        assert_eq!(id.0 >> SEQUENCE_BITS & u64::from(NODE_MAX), 77);
    }

    #[test]
    fn a_used_up_millisecond_runs_into_the_next() {
        let ids = IdGen::new(Clock::manual(SNOWFLAKE_EPOCH_MS + 5, 1), 0);
        let made: Vec<_> = (0..10_000).map(|_| ids.channel().0).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert_eq!(ChannelId(made[9_999]).made_at_ms(), SNOWFLAKE_EPOCH_MS + 7);
    }

    #[test]
    fn a_clock_that_goes_backward_makes_no_smaller_id() {
        let mut ids = IdGen::new(Clock::manual(SNOWFLAKE_EPOCH_MS + 1_000, 1), 0);
        let first = ids.user();
        ids.clock = Clock::manual(SNOWFLAKE_EPOCH_MS + 10, 1);
        assert!(ids.user() > first);
    }

    #[test]
    fn a_clock_before_the_epoch_still_makes_different_ids() {
        let ids = IdGen::new(Clock::manual(0, 1), 3);
        assert!(ids.user() < ids.user());
    }

    #[test]
    fn threads_share_one_sequence() {
        let ids = IdGen::new(Clock::manual(SNOWFLAKE_EPOCH_MS + 5, 1), 1);
        let made: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).map(|_| ids.user().0).collect::<Vec<_>>())).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        assert_eq!(made.into_iter().flatten().collect::<BTreeSet<_>>().len(), 4_000);
    }
}
