//! Rate limits: token buckets, kept per (what, who) in bounded memory.
//!
//! A bucket is one number: the time at which it will be full again. A bucket that is full need not be remembered, which is
//! what keeps the memory bounded: full ones are swept as the map is used. When a shard is nevertheless at its limit,
//! because so many different askers came at once, the newcomer shares one bucket with all other newcomers of that kind:
//! a flood of addresses can't buy itself room, nor have the node forget those it already slows down.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use suda_schema::{DeviceId, UserId};

use crate::clock::Clock;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Connecting a link.
    Connect,
    /// Appending to a channel.
    Send,
    /// Attaching to a channel.
    Attach,
    /// Saying that one types.
    Typing,
    /// Other frames: marks, presence, history, sync.
    Query,
    /// A call of the HTTP API.
    Http,
    /// Trying a password, or anything else that costs as much.
    Login,
    /// Making an account.
    SignUp,
}

/// Who is limited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// A user, on whatever devices.
    User(UserId),
    /// A device.
    Device(DeviceId),
    /// A network address. IPv6 is counted by its /64, because that is what one customer gets.
    Address(IpAddr),
    /// A handle that somebody tries to log in as, whether it exists or not.
    Handle(String),
}

impl Who {
    /// The network address as it is counted.
    #[must_use]
    pub fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::Address(v4.into()),
            IpAddr::V6(v6) => {
                let network = v6.to_bits() & !u128::from(u64::MAX);
                Self::Address(std::net::Ipv6Addr::from_bits(network).into())
            }
        }
    }
}

/// How much is allowed: so many at once, and so many over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many at once, after a rest.
    pub burst: u32,
    /// How many in a second, for ever.
    pub per_second: f64,
}

impl Rate {
    /// A rate.
    #[must_use]
    pub const fn new(burst: u32, per_second: f64) -> Self {
        Self { burst, per_second }
    }

    /// How long one takes to come back, in microseconds; at least one, so that no rate divides by zero.
    fn interval_us(self) -> u64 {
        let interval = 1e6 / self.per_second.max(1e-6);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number below 10¹²")]
        let interval_us = interval as u64;
        interval_us.max(1)
    }
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too often: wait {wait_ms} ms")]
pub struct TooOften {
    /// How long until it would be allowed; at least one.
    pub wait_ms: u64,
}

/// How many buckets all shards together hold.
pub const BUCKETS_MAX: usize = 262_144;
const SHARDS: usize = 64;
/// How many buckets a shard holds.
const SHARD_BUCKETS_MAX: usize = BUCKETS_MAX / SHARDS;
/// After so many insertions into a shard, its full buckets are forgotten.
const SWEEP_EVERY: usize = 256;

/// The buckets of a node.
pub struct RateLimiter {
    clock: Clock,
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    refused: AtomicU64,
    crowded: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// The time in microseconds at which the bucket will be full again.
    buckets: HashMap<(What, Option<Who>), u64>,
    inserted: usize,
}

impl RateLimiter {
    /// No buckets yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { clock, hasher: RandomState::new(), shards, refused: AtomicU64::new(0), crowded: AtomicU64::new(0) }
    }

    /// Takes one from the bucket, or says how long to wait.
    pub fn take(&self, what: What, who: Who, rate: Rate) -> Result<(), TooOften> {
        self.take_many(what, who, rate, 1)
    }

    /// Takes `count` from the bucket, or says how long to wait and takes nothing. What costs more than the whole bucket
    /// passes when the bucket is full, and leaves it in debt.
    pub fn take_many(&self, what: What, who: Who, rate: Rate, count: u32) -> Result<(), TooOften> {
        let now_us = self.clock.now_ms().saturating_mul(1_000);
        let interval_us = rate.interval_us();
        let cost_us = interval_us.saturating_mul(count.into());
        let depth_us = interval_us.saturating_mul(rate.burst.max(1).into()).max(cost_us);

        let shard = usize::try_from(self.hasher.hash_one((what, &who)) % SHARDS as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(shard) else { return Ok(()) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at_us = shard.bucket(what, who, now_us, &self.crowded);

        let after_us = (*full_at_us).max(now_us).saturating_add(cost_us);
        let earliest_us = after_us.saturating_sub(depth_us);
        if earliest_us > now_us {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(TooOften { wait_ms: (earliest_us - now_us).div_ceil(1_000) });
        }
        *full_at_us = after_us;
        Ok(())
    }

    /// How many were refused, for the metrics.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many had to share a bucket because there was no room for one more, for the metrics.
    #[must_use]
    pub fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    /// How many buckets are remembered, for the metrics.
    #[must_use]
    pub fn buckets(&self) -> usize {
        let len = |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).buckets.len();
        self.shards.iter().map(len).sum()
    }
}

impl Shard {
    fn bucket(&mut self, what: What, who: Who, now_us: u64, crowded: &AtomicU64) -> &mut u64 {
        let mut key = (what, Some(who));
        if !self.buckets.contains_key(&key) {
            self.inserted += 1;
            if self.inserted >= SWEEP_EVERY {
                self.inserted = 0;
                self.buckets.retain(|_, full_at_us| *full_at_us > now_us);
            }
            if self.buckets.len() >= SHARD_BUCKETS_MAX {
                crowded.fetch_add(1, Ordering::Relaxed);
                key.1 = None;
            }
        }
        self.buckets.entry(key).or_insert(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::new(3, 2.0);

    fn limiter() -> (RateLimiter, Clock) {
        let clock = Clock::manual(1_000_000, 1);
        (RateLimiter::new(clock.clone()), clock)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (limiter, clock) = limiter();
        let take = || limiter.take(What::Send, Who::User(UserId(1)), RATE);
        (0..3).for_each(|_| take().unwrap());
        assert_eq!(take(), Err(TooOften { wait_ms: 500 }));
        clock.advance_ms(499);
        assert_eq!(take(), Err(TooOften { wait_ms: 1 }));
        clock.advance_ms(1);
        assert_eq!(take(), Ok(()));
        assert_eq!(take(), Err(TooOften { wait_ms: 500 }));
        assert_eq!(limiter.refused(), 3);
    }

    #[test]
    fn waiting_as_told_is_enough_for_any_rate() {
        for rate in [Rate::new(1, 0.3), Rate::new(7, 1_000.0), Rate::new(0, 0.0), Rate::new(2, 1e9)] {
            let (limiter, clock) = limiter();
            for _ in 0..50 {
                if let Err(TooOften { wait_ms }) = limiter.take(What::Http, Who::Device(DeviceId(1)), rate) {
                    clock.advance_ms(wait_ms);
                    limiter.take(What::Http, Who::Device(DeviceId(1)), rate).unwrap();
                }
            }
        }
    }

    #[test]
    fn askers_and_kinds_do_not_share() {
        let (limiter, _clock) = limiter();
        (0..3).for_each(|_| limiter.take(What::Send, Who::User(UserId(1)), RATE).unwrap());
        limiter.take(What::Send, Who::User(UserId(2)), RATE).unwrap();
        limiter.take(What::Send, Who::Device(DeviceId(1)), RATE).unwrap();
        limiter.take(What::Attach, Who::User(UserId(1)), RATE).unwrap();
    }

    #[test]
    fn more_than_the_bucket_passes_once_and_is_paid_for() {
        let (limiter, clock) = limiter();
        let take = |count| limiter.take_many(What::Typing, Who::User(UserId(1)), RATE, count);
        assert_eq!(take(10), Ok(()));
        assert_eq!(take(1), Err(TooOften { wait_ms: 4_000 }));
        clock.advance_ms(4_000);
        assert_eq!(take(1), Ok(()));
    }

    #[test]
    fn ipv6_counts_by_network_and_mapped_ipv4_as_ipv4() {
        let who = |text: &str| Who::address(text.parse().unwrap());
        assert_eq!(who("2001:db8::1"), who("2001:db8::ffff:2"));
        assert_ne!(who("2001:db8::1"), who("2001:db8:0:1::1"));
        assert_eq!(who("::ffff:192.0.2.1"), who("192.0.2.1"));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (limiter, clock) = limiter();
        for user in 0..20_000 {
            limiter.take(What::Http, Who::User(UserId(user)), RATE).unwrap();
        }
        assert_eq!(limiter.buckets(), 20_000);
        clock.advance_ms(500);
        for user in 20_000..60_000 {
            limiter.take(What::Http, Who::User(UserId(user)), RATE).unwrap();
        }
        assert!(limiter.buckets() <= 40_000);
    }

    #[test]
    fn a_flood_of_askers_is_bounded_and_frees_nobody() {
        let (limiter, _clock) = limiter();
        (0..3).for_each(|_| limiter.take(What::Http, Who::User(UserId(0)), RATE).unwrap());
        let passed =
            (1..600_000).filter(|&user| limiter.take(What::Http, Who::User(UserId(user)), RATE).is_ok()).count();
        assert!(limiter.buckets() <= BUCKETS_MAX + SHARDS);
        assert!(passed <= BUCKETS_MAX + 3 * SHARDS);
        assert!(limiter.crowded() > 0);
        assert!(limiter.take(What::Http, Who::User(UserId(0)), RATE).is_err());
    }
}
