//! A circuit breaker: after some failures in a row nothing is sent for a while, then one is tried; if it succeeds, all
//! may go on. No I/O and no clock in here: the time is passed in.

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long at first; twice as long after each try that fails.
    pub open_ms: u64,
    /// And no longer than this.
    pub open_ms_max: u64,
}

/// One provider's breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    config: BreakerConfig,
    failures: u32,
    /// How often it has opened since the last success.
    opened: u32,
    open_until_ms: Option<u64>,
    /// Since when the one that tries has been under way.
    probing_since_ms: Option<u64>,
}

/// A try whose outcome is not heard of for so long counts as lost, and another may begin.
const PROBE_MS_MAX: u64 = 30_000;

impl Breaker {
    /// A closed one.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, failures: 0, opened: 0, open_until_ms: None, probing_since_ms: None }
    }

    /// Whether something would be let through, or from when on.
    pub fn gate(&self, now_ms: u64) -> Result<(), u64> {
        match (self.open_until_ms, self.probing_since_ms) {
            (None, _) => Ok(()),
            (Some(until_ms), _) if now_ms < until_ms => Err(until_ms),
            (Some(_), Some(since_ms)) if now_ms < since_ms + PROBE_MS_MAX => {
                Err(now_ms + self.config.open_ms.min(1_000))
            }
            (Some(_), _) => Ok(()),
        }
    }

    /// Lets something through, or says from when on.
    pub fn pass(&mut self, now_ms: u64) -> Result<(), u64> {
        self.gate(now_ms)?;
        if self.open_until_ms.is_some() {
            self.probing_since_ms = Some(now_ms);
        }
        Ok(())
    }

    /// The provider works. Says whether that is news.
    pub fn succeeded(&mut self) -> bool {
        let was_open = self.open_until_ms.is_some();
        *self = Self::new(self.config);
        was_open
    }

    /// It does not. Says whether that has opened the breaker, where it was closed.
    pub fn failed(&mut self, now_ms: u64) -> bool {
        self.failures = self.failures.saturating_add(1);
        let was_open = self.open_until_ms.is_some();
        // What was under way when it opened says nothing new.
        let is_late = was_open && self.probing_since_ms.is_none();
        if is_late || self.failures < self.config.failures {
            return false;
        }
        self.open(now_ms, 0);
        !was_open
    }

    /// The provider has asked to be left alone for so long.
    pub fn told_to_wait(&mut self, now_ms: u64, wait_ms: u64) -> bool {
        let was_open = self.open_until_ms.is_some();
        if self.open_until_ms.is_none_or(|until_ms| until_ms < now_ms + wait_ms) {
            self.open(now_ms, wait_ms);
        }
        !was_open
    }

    /// Whether it is open, or being tried.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_until_ms.is_some()
    }

    fn open(&mut self, now_ms: u64, at_least_ms: u64) {
        let doubled = self.config.open_ms.saturating_mul(1 << self.opened.min(20));
        let open_ms = doubled.min(self.config.open_ms_max).max(at_least_ms);
        self.opened = self.opened.saturating_add(1);
        self.open_until_ms = Some(now_ms.saturating_add(open_ms));
        self.probing_since_ms = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig { failures: 3, open_ms: 1_000, open_ms_max: 4_000 };

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let mut breaker = Breaker::new(CONFIG);
        assert!(!breaker.failed(0) && !breaker.failed(0));
        breaker.succeeded();
        assert!(!breaker.failed(0) && !breaker.failed(0) && breaker.failed(0));
        assert_eq!(breaker.pass(999), Err(1_000));
        // What was under way before does not lengthen it.
        assert!(!breaker.failed(500));
        assert_eq!(breaker.pass(1_000), Ok(()));
        assert_eq!(breaker.pass(1_001), Err(2_001));
        // The try fails: twice as long, up to the cap.
        assert!(!breaker.failed(1_002));
        assert_eq!(breaker.gate(1_003), Err(3_002));
        for until_ms in [7_002, 11_002] {
            let now_ms = breaker.gate(1_003).unwrap_err();
            assert_eq!(breaker.pass(now_ms), Ok(()));
            breaker.failed(now_ms);
            assert_eq!(breaker.gate(1_003), Err(until_ms));
        }
        assert_eq!(breaker.pass(11_002), Ok(()));
        assert!(breaker.succeeded());
        assert_eq!(breaker.pass(11_003), Ok(()));
        assert_eq!(breaker.pass(11_003), Ok(()));
    }

    #[test]
    fn a_try_that_is_never_heard_of_again_does_not_hold_it() {
        let mut breaker = Breaker::new(CONFIG);
        assert!(breaker.told_to_wait(0, 10_000));
        assert_eq!(breaker.gate(9_000), Err(10_000));
        assert_eq!(breaker.pass(10_000), Ok(()));
        assert!(breaker.gate(10_001).is_err());
        assert_eq!(breaker.gate(10_000 + PROBE_MS_MAX), Ok(()));
    }
}
