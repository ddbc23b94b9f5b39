//! Who waits for which key to change.

use std::collections::BTreeMap;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::oneshot;

use super::overlay::Span;
use crate::store::StoreError;

/// The most watches at once; one more is lost at once, with an error that says so.
pub(super) const WATCHES_MAX: usize = 100_000;
/// Watches that nobody waits for any more are looked for when there are at least so many.
const SWEEP_MIN: usize = 1_024;

pub(super) type Bell = oneshot::Sender<Result<(), StoreError>>;

#[derive(Debug)]
pub(super) struct Watches {
    by_key: BTreeMap<Bytes, Vec<Bell>>,
    count: usize,
    /// Look for abandoned ones when there are so many.
    sweep_at: usize,
    refused: Counter,
}

impl Watches {
    /// `refused` counts those that are too many.
    pub(super) fn new(refused: Counter) -> Self {
        Self { by_key: BTreeMap::new(), count: 0, sweep_at: 0, refused }
    }

    pub(super) fn arm(&mut self, key: Bytes, bell: Bell) {
        if self.count >= self.sweep_at.clamp(SWEEP_MIN, WATCHES_MAX) {
            self.sweep();
        }
        if self.count >= WATCHES_MAX {
            self.refused.inc();
            let _ = bell.send(Err(StoreError::WatchLost { what: "too many watches" }));
            return;
        }
        self.by_key.entry(key).or_default().push(bell);
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The keys of a span have changed.
    pub(super) fn ring(&mut self, (begin, end): &Span) {
        for (_, bells) in self.by_key.extract_if(begin.clone()..end.clone(), |_, _| true) {
            self.count -= bells.len();
            for bell in bells {
                // Who does not wait any more needs no answer.
                let _ = bell.send(Ok(()));
            }
        }
    }

    /// Anything may have changed.
    pub(super) fn ring_all(&mut self) {
        self.count = 0;
        for bell in std::mem::take(&mut self.by_key).into_values().flatten() {
            let _ = bell.send(Ok(()));
        }
    }

    fn sweep(&mut self) {
        self.by_key.retain(|_, bells| {
            bells.retain(|bell| !bell.is_closed());
            !bells.is_empty()
        });
        self.count = self.by_key.values().map(Vec::len).sum();
        self.sweep_at = self.count * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_bounded_and_abandoned_ones_make_room() {
        let mut watches = Watches::new(Counter::default());
        let mut waiting = Vec::new();
        for n in 0..WATCHES_MAX {
            let (bell, heard) = oneshot::channel();
            watches.arm(Bytes::from(n.to_string()), bell);
            waiting.push(heard);
        }
        let (bell, mut heard) = oneshot::channel();
        watches.arm(Bytes::from_static(b"x"), bell);
        assert!(matches!(heard.try_recv(), Ok(Err(StoreError::WatchLost { .. }))));
        assert_eq!(watches.refused.get(), 1);

        waiting.clear();
        let (bell, mut heard) = oneshot::channel();
        watches.arm(Bytes::from_static(b"x"), bell);
        assert_eq!(watches.count, 1);
        watches.ring(&(Bytes::from_static(b"a"), Bytes::from_static(b"z")));
        assert_eq!(heard.try_recv(), Ok(Ok(())));
        assert!(watches.is_empty() && watches.count == 0);
    }
}
