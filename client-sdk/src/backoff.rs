//! When to try again: capped exponential backoff with full jitter.
//!
//! Full jitter means that a wait is anything between nothing and its bound, so that a thousand clients that lost the
//! same node do not come back in the same second. A time the server has named is always waited for.
//!
//! ```
//! use suda_client::backoff::{Backoff, Config};
//!
//! let mut backoff = Backoff::new(Config::default(), 42);
//! let now_ms = 1_000_000;
//! let try_again_at_ms = backoff.failed(now_ms, None);
//! assert!(try_again_at_ms <= now_ms + 500, "the first wait is at most half a second");
//!
//! let after_being_told_so = backoff.failed(now_ms, Some(10_000));
//! assert!(after_being_told_so >= now_ms + 10_000);
//! ```

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The bound of the first wait. Each further one doubles it.
    pub first_ms: u64,
    /// The bound of every wait.
    pub cap_ms: u64,
    /// The longest time a server may ask for. A longer one is taken for this.
    pub retry_after_max_ms: u64,
    /// A connection that lasted so long was a good one: the waits begin anew after it. One that ended sooner counts as
    /// a failure, so that a server that accepts and closes at once is not hammered.
    pub good_after_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { first_ms: 500, cap_ms: 30_000, retry_after_max_ms: 3_600_000, good_after_ms: 10_000 }
    }
}

/// The state of waiting.
#[derive(Debug, Clone)]
pub struct Backoff {
    config: Config,
    failures: u32,
    up_since_ms: Option<u64>,
    random: u64,
}

impl Backoff {
    /// Nothing has failed yet. The seed decides all waits; each client needs one of its own.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        Self { config, failures: 0, up_since_ms: None, random: seed }
    }

    /// A connection stands.
    pub fn succeeded(&mut self, now_ms: u64) {
        self.up_since_ms = Some(now_ms);
    }

    /// An attempt failed, or the connection that stood was lost. Returns when to try again; `retry_after_ms` is what
    /// the server said, if it said something.
    #[must_use = "the time at which to try again"]
    pub fn failed(&mut self, now_ms: u64, retry_after_ms: Option<u64>) -> u64 {
        let up_ms = self.up_since_ms.take().map_or(0, |since_ms| now_ms.saturating_sub(since_ms));
        if up_ms >= self.config.good_after_ms {
            self.failures = 0;
        }
        let asked_ms = retry_after_ms.unwrap_or(0).min(self.config.retry_after_max_ms);
        let wait_ms = self.jitter(self.bound_ms());
        self.failures = self.failures.saturating_add(1);
        now_ms.saturating_add(asked_ms).saturating_add(wait_ms)
    }

    /// The network changed, or somebody is waiting: the next wait is as short as the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many attempts have failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn bound_ms(&self) -> u64 {
        let factor = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.config.first_ms.saturating_mul(factor).min(self.config.cap_ms)
    }

    /// A number from 0 to `bound`, both included.
    fn jitter(&mut self, bound: u64) -> u64 {
        let scaled = u128::from(self.next_random()) * (u128::from(bound) + 1);
        u64::try_from(scaled >> 64).unwrap_or(bound)
    }

    /// `SplitMix64`: enough to spread clients out, and the same on every platform.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config { first_ms: 100, cap_ms: 1_000, retry_after_max_ms: 60_000, good_after_ms: 5_000 };

    #[test]
    fn bounds_double_up_to_the_cap() {
        for (failures, bound_ms) in [100, 200, 400, 800, 1_000, 1_000].into_iter().enumerate() {
            let (mut least, mut most) = (u64::MAX, 0);
            for seed in 0..2_000 {
                let mut backoff = Backoff::new(CONFIG, seed);
                (0..failures).for_each(|_| _ = backoff.failed(0, None));
                let wait_ms = backoff.failed(0, None);
                (least, most) = (least.min(wait_ms), most.max(wait_ms));
            }
            assert!(most <= bound_ms && most > bound_ms * 9 / 10, "wait {failures}: at most {most}");
            assert!(least < bound_ms / 10, "wait {failures}: at least {least}");
        }
    }

    #[test]
    fn clients_of_one_node_come_back_evenly_spread() {
        let mut tenths = [0; 10];
        for seed in 0..10_000 {
            let wait_ms = Backoff::new(CONFIG, seed).failed(0, None);
            tenths[usize::try_from(wait_ms * 10 / 101).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (800..1_200).contains(count)), "{tenths:?}");
    }

    #[test]
    fn the_server_is_obeyed_within_reason() {
        let mut backoff = Backoff::new(CONFIG, 1);
        let at_ms = backoff.failed(7, Some(20_000));
        assert!((20_007..=20_107).contains(&at_ms), "{at_ms}");
        let at_ms = backoff.failed(7, Some(u64::MAX));
        assert!((60_007..=60_207).contains(&at_ms), "{at_ms}");
    }

    #[test]
    fn only_a_connection_that_lasted_counts_as_good() {
        let mut backoff = Backoff::new(CONFIG, 1);
        for failures in 1..5 {
            let _ = backoff.failed(0, None);
            backoff.succeeded(0);
            assert_eq!(backoff.failures(), failures);
        }
        let _ = backoff.failed(4_999, None);
        assert_eq!(backoff.failures(), 5);
        backoff.succeeded(10_000);
        let at_ms = backoff.failed(15_000, None);
        assert_eq!(backoff.failures(), 1);
        assert!(at_ms <= 15_100);
    }

    #[test]
    fn many_failures_and_the_end_of_time_are_no_special_case() {
        let mut backoff = Backoff::new(CONFIG, 1);
        for _ in 0..200 {
            assert!(backoff.failed(0, None) <= 1_000);
        }
        assert_eq!(backoff.failed(u64::MAX, Some(1)), u64::MAX);
    }

    #[test]
    fn one_seed_always_waits_the_same() {
        let waits = |seed| {
            let mut backoff = Backoff::new(CONFIG, seed);
            (0..5).map(|_| backoff.failed(0, None)).collect::<Vec<_>>()
        };
        assert_eq!(waits(9), waits(9));
        assert_ne!(waits(9), waits(10));
    }
}
