//! What is counted and timed while a run goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::checker::Stamp;

/// Latencies are told apart to a tenth of a percent, up to an hour.
const DIGITS: u8 = 3;
const HIGHEST_US: u64 = 3_600_000_000;

/// Latencies in microseconds.
#[derive(Debug)]
pub(crate) struct Latency(Mutex<Histogram<u64>>);

impl Default for Latency {
    fn default() -> Self {
        let mut histogram = Histogram::new_with_bounds(1, HIGHEST_US, DIGITS).expect("bounds that can be");
        histogram.auto(false);
        Self(Mutex::new(histogram))
    }
}

impl Latency {
    pub(crate) fn record(&self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us);
    }

    /// `None` if nothing was timed.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |percentile| ms(histogram.value_at_percentile(percentile));
        (!histogram.is_empty()).then(|| Percentiles {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1_000.0,
            p50_ms: at(50.0),
            p90_ms: at(90.0),
            p99_ms: at(99.0),
            p999_ms: at(99.9),
            max_ms: ms(histogram.max()),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "an hour of microseconds is far below 2⁵³")]
fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// Of a latency.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) count: u64,
    pub(crate) mean_ms: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
}

/// A run's.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) began: Instant,
    /// Whether what is sent now is measured, beside being checked.
    pub(crate) is_measuring: AtomicBool,
    pub(crate) totals: Totals,
    pub(crate) connect: Latency,
    pub(crate) reconnect: Latency,
    pub(crate) ack: Latency,
    pub(crate) delivery: Latency,
    /// To those who are slow by intention.
    pub(crate) delivery_slow: Latency,
    /// In every text, so that those of another run are told apart.
    run: u32,
}

/// Everything there was, measured or not.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) devices: AtomicU64,
    pub(crate) online: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) acked: AtomicU64,
    pub(crate) delivered: AtomicU64,
    /// Measured ones of them.
    pub(crate) measured_acked: AtomicU64,
    pub(crate) measured_delivered: AtomicU64,
    /// How often a link was lost, in a storm too.
    pub(crate) links_lost: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) stamp: Stamp,
    /// When it was to be sent, since the run began.
    intended_ns: u64,
    is_measured: bool,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            is_measuring: AtomicBool::new(false),
            totals: Totals::default(),
            connect: Latency::default(),
            reconnect: Latency::default(),
            ack: Latency::default(),
            delivery: Latency::default(),
            delivery_slow: Latency::default(),
            run: rand::random(),
        })
    }

    /// A text that says which message it is, and when it was to be sent; filled up to so many bytes.
    pub(crate) fn text(&self, stamp: Stamp, intended: Instant, is_measured: bool, bytes: usize) -> String {
        let since = intended.saturating_duration_since(self.began);
        let Stamp { sender, number } = stamp;
        let mut text = format!("{:08x} {sender} {number} {} {} ", self.run, since.as_nanos(), u8::from(is_measured));
        while text.len() < bytes {
            text.push('.');
        }
        text
    }

    /// What such a text says; `None` of any other.
    pub(crate) fn read(&self, text: &str) -> Option<Said> {
        let mut words = text.split(' ');
        if u32::from_str_radix(words.next()?, 16).ok()? != self.run {
            return None;
        }
        let stamp = Stamp { sender: words.next()?.parse().ok()?, number: words.next()?.parse().ok()? };
        let intended_ns = words.next()?.parse().ok()?;
        Some(Said { stamp, intended_ns, is_measured: words.next()? == "1" })
    }

    /// It has arrived.
    pub(crate) fn delivered(&self, said: Said, is_slow: bool) {
        add(&self.totals.delivered);
        if said.is_measured {
            add(&self.totals.measured_delivered);
            let latency = self.began.elapsed().saturating_sub(Duration::from_nanos(said.intended_ns));
            if is_slow { &self.delivery_slow } else { &self.delivery }.record(latency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_it_was_told() {
        let meter = Meter::new();
        let stamp = Stamp { sender: 3, number: 17 };
        let text = meter.text(stamp, meter.began + Duration::from_micros(5), true, 128);
        assert_eq!(text.len(), 128);
        assert_eq!(meter.read(&text), Some(Said { stamp, intended_ns: 5_000, is_measured: true }));
        assert_eq!(meter.read("something else"), None);
        let another = Meter { run: meter.run.wrapping_add(1), ..Arc::into_inner(Meter::new()).unwrap() };
        assert_eq!(another.read(&text), None);
    }

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let latency = Latency::default();
        assert_eq!(latency.percentiles(), None);
        for ms in 1..=1_000 {
            latency.record(Duration::from_millis(ms));
        }
        let found = latency.percentiles().unwrap();
        let near = |is: f64, should: f64| (is - should).abs() <= should / 500.0;
        assert_eq!(found.count, 1_000);
        assert!(near(found.p50_ms, 500.0) && near(found.p99_ms, 990.0) && near(found.max_ms, 1_000.0), "{found:?}");
    }
}
