//! How long to wait before the next try: twice as long each time, up to a cap, with jitter, so that those who failed
//! together don't come back together.

use crate::clock::Clock;

/// The pauses between tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first_ms: u64,
    /// No pause is longer.
    pub most_ms: u64,
}

impl Backoff {
    /// The pause after so many failures, the first being 1: somewhere between half of it and all of it.
    #[must_use]
    pub fn pause_ms(&self, failures: u32, clock: &Clock) -> u64 {
        let doubled = self.first_ms.saturating_mul(1u64.checked_shl(failures.saturating_sub(1).min(40)).unwrap_or(1));
        let full = doubled.clamp(1, self.most_ms.max(1));
        full / 2 + clock.below(full - full / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let (clock, backoff) = (Clock::manual(0, 1), Backoff { first_ms: 1_000, most_ms: 60_000 });
        for (failures, full) in [(0, 1_000), (1, 1_000), (2, 2_000), (5, 16_000), (7, 60_000), (u32::MAX, 60_000)] {
            let pauses: Vec<u64> = (0..50).map(|_| backoff.pause_ms(failures, &clock)).collect();
            assert!(pauses.iter().all(|pause| (full / 2..=full).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "there is no jitter");
        }
    }
}
