//! Who may come in: how many links and connections at once, in all and per address.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use suda_schema::CloseCode;

use super::metrics::Rejected;
use super::{Link, LinkConfig, LinkKind, LinkMetrics};

/// What is done with each new link: start its session, and return.
pub type OnLink = Arc<dyn Fn(Arc<dyn Link>) + Send + Sync>;

/// Counts things by key, up to a limit for each key.
pub struct Counted<K> {
    shared: Arc<CountedShared<K>>,
}

struct CountedShared<K> {
    each_max: usize,
    counts: Mutex<HashMap<K, usize>>,
}

/// One of the things counted, until it is dropped.
pub struct CountGuard<K: Hash + Eq> {
    shared: Arc<CountedShared<K>>,
    key: K,
}

impl<K: Hash + Eq + Clone> Counted<K> {
    /// At most so many for each key.
    #[must_use]
    pub fn new(each_max: usize) -> Self {
        Self { shared: Arc::new(CountedShared { each_max, counts: Mutex::default() }) }
    }

    /// One more for this key, unless it has as many as it may.
    #[must_use]
    pub fn acquire(&self, key: K) -> Option<CountGuard<K>> {
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_default();
        if *count >= self.shared.each_max {
            // The key is there already, unless nothing at all is allowed.
            counts.retain(|_, count| *count > 0);
            return None;
        }
        *count += 1;
        drop(counts);
        Some(CountGuard { shared: self.shared.clone(), key })
    }

    /// How many this key has now.
    #[must_use]
    pub fn count(&self, key: &K) -> usize {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or(0)
    }
}

impl<K> Clone for Counted<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K: Hash + Eq> Drop for CountGuard<K> {
    fn drop(&mut self) {
        let mut counts = self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

impl<K> fmt::Debug for Counted<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("each_max", &self.shared.each_max).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq> fmt::Debug for CountGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountGuard").finish_non_exhaustive()
    }
}

/// What counts as one address: an IPv4 address, or an IPv6 /64, of which every customer has at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
            ip => ip,
        })
    }
}

/// What all the listeners of a node share.
pub(super) struct Gate {
    pub(super) config: LinkConfig,
    pub(super) metrics: LinkMetrics,
    on_link: OnLink,
    draining: AtomicBool,
    links: Arc<AtomicUsize>,
    by_address: Counted<Address>,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Draining,
    NodeFull,
    AddressFull,
}

impl Refusal {
    pub(super) fn close_code(self) -> CloseCode {
        match self {
            Self::Draining => CloseCode::GOING_AWAY,
            Self::NodeFull => CloseCode::OVERLOADED,
            Self::AddressFull => CloseCode::TOO_MANY_LINKS,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Draining => "this node is draining",
            Self::NodeFull => "this node has as many links as it may",
            Self::AddressFull => "your address has as many links as it may",
        }
    }

    fn metric(self) -> Rejected {
        match self {
            Self::Draining => Rejected::Draining,
            Self::NodeFull => Rejected::NodeFull,
            Self::AddressFull => Rejected::AddressFull,
        }
    }
}

impl Gate {
    pub(super) fn new(config: LinkConfig, metrics: LinkMetrics, on_link: OnLink) -> Self {
        let by_address = Counted::new(config.links_per_address_max);
        Self { config, metrics, on_link, draining: AtomicBool::new(false), links: Arc::default(), by_address }
    }

    /// Room for one more link from this address, counted until the guard is dropped.
    pub(super) fn admit(&self, remote: SocketAddr) -> Result<LinkGuard, Refusal> {
        let refuse = |refusal: Refusal| {
            self.metrics.rejected(refusal.metric());
            refusal
        };
        if self.is_draining() {
            return Err(refuse(Refusal::Draining));
        }
        let total = Slot::acquire(&self.links, self.config.links_max).ok_or_else(|| refuse(Refusal::NodeFull))?;
        let address = self.by_address.acquire(remote.ip().into()).ok_or_else(|| refuse(Refusal::AddressFull))?;
        Ok(LinkGuard { _total: total, _address: address, open: None })
    }

    /// Hands a new link over to whoever makes sessions.
    pub(super) fn deliver(&self, link: Arc<dyn Link>) {
        (self.on_link)(link);
    }

    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// One link's place, and its share of the open ones in the metrics.
pub(super) struct LinkGuard {
    _total: Slot,
    _address: CountGuard<Address>,
    open: Option<(LinkMetrics, LinkKind)>,
}

impl LinkGuard {
    /// From now on the link is open.
    pub(super) fn opened(mut self, metrics: &LinkMetrics, kind: LinkKind) -> Self {
        metrics.link_opened(kind);
        self.open = Some((metrics.clone(), kind));
        self
    }
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        if let Some((metrics, kind)) = &self.open {
            metrics.link_closed(*kind);
        }
    }
}

/// One of a limited number of places.
pub(super) struct Slot {
    taken: Arc<AtomicUsize>,
}

impl Slot {
    pub(super) fn acquire(taken: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| (taken < max).then_some(taken + 1))
            .ok()
            .map(|_| Self { taken: taken.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_count_and_forget() {
        let counted = Counted::new(2);
        let first = counted.acquire(7).unwrap();
        let second = counted.acquire(7).unwrap();
        assert!(counted.acquire(7).is_none());
        assert!(counted.acquire(8).is_some(), "another key has its own count");
        drop(first);
        let third = counted.acquire(7).unwrap();
        drop((second, third));
        assert_eq!(counted.count(&7), 0);
        assert!(counted.shared.counts.lock().unwrap().is_empty(), "nothing is kept of keys without guards");
        assert!(Counted::new(0).acquire(7).is_none());
    }

    #[test]
    fn an_address_is_an_ipv4_or_a_64() {
        let address = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff::9"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }

    #[test]
    fn the_gate_names_what_is_full() {
        let config = LinkConfig { links_max: 2, links_per_address_max: 1, ..LinkConfig::default() };
        let gate = Gate::new(config, LinkMetrics::default(), Arc::new(|_| {}));
        let at = |last: u8| SocketAddr::from(([192, 0, 2, last], 1));
        let first = gate.admit(at(1)).unwrap();
        assert_eq!(gate.admit(at(1)).err(), Some(Refusal::AddressFull));
        let second = gate.admit(at(2)).unwrap();
        assert_eq!(gate.admit(at(3)).err(), Some(Refusal::NodeFull));
        drop(first);
        let third = gate.admit(at(3)).unwrap();
        gate.drain();
        drop((second, third));
        assert_eq!(gate.admit(at(1)).err(), Some(Refusal::Draining));
        assert_eq!(gate.metrics.rejections(Rejected::AddressFull), 1);
    }
}
