//! Chance from a seed.

use std::hash::{BuildHasher as _, RandomState};

/// A generator (splitmix64).
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The seed that this environment variable names, or another one each time.
    #[must_use]
    pub fn seed(variable: &str) -> u64 {
        let named = std::env::var(variable).ok().map(|seed| seed.parse().expect("a number"));
        named.unwrap_or_else(|| RandomState::new().hash_one(variable) >> 32)
    }

    /// A number below this one.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        number % end.max(1)
    }

    /// One of so many.
    pub fn one_of(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap_or(0)
    }
}
