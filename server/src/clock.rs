//! Time and randomness come in through here, so that tests can hold them still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The time of day and a source of randomness. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    now: Now,
    rng: Arc<Mutex<StdRng>>,
}

#[derive(Clone)]
enum Now {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock, and randomness from the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self { now: Now::System, rng: Arc::new(Mutex::new(StdRng::from_os_rng())) }
    }

    /// A clock that stands still until told, and randomness from a seed.
    #[must_use]
    pub fn manual(now_ms: u64, seed: u64) -> Self {
        Self {
            now: Now::Manual(Arc::new(AtomicU64::new(now_ms))),
            rng: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        match &self.now {
            Now::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            Now::Manual(now_ms) => now_ms.load(Ordering::Relaxed),
        }
    }

    /// Moves a manual clock forward; the machine's clock is not ours to move.
    pub fn advance_ms(&self, by_ms: u64) {
        if let Now::Manual(now_ms) = &self.now {
            now_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// Random bytes, fit for secrets with the system clock.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes[..]);
        bytes
    }

    /// A number in `0..below`; 0 if `below` is 0.
    #[must_use]
    pub fn below(&self, below: u64) -> u64 {
        if below == 0 {
            return 0;
        }
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..below)
    }
}
