//! A bad network between a client and a node, in this process: a UDP and a TCP proxy that lose, delay and cut.

mod tcp;
mod udp;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suda_client::core::rng::Rng;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How bad the network is. Both directions are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weather {
    /// Of a thousand datagrams so many are lost. Not for TCP, whose own repeats hide it.
    pub lost_per_mille: u64,
    /// Everything arrives so much later, and up to as much again.
    pub delay: Duration,
    /// No datagram arrives.
    pub no_udp: bool,
    /// Nothing arrives by TCP. What was sent arrives when this is over.
    pub no_tcp: bool,
}

impl Weather {
    /// Nothing arrives at all.
    pub const DROPS_ALL: Self = Self { lost_per_mille: 0, delay: Duration::ZERO, no_udp: true, no_tcp: true };
}

/// A proxy to one node. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    weather: watch::Sender<Weather>,
    rng: Mutex<Rng>,
    counts: Mutex<Counts>,
    /// Counts up when all TCP connections are to be cut.
    cuts: watch::Sender<u64>,
}

/// What went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Datagrams that came to the proxy.
    pub datagrams: u64,
    /// Those that it lost.
    pub lost: u64,
    /// TCP connections.
    pub connections: u64,
}

impl Proxy {
    /// A proxy on one port number for UDP and TCP. What it loses follows from the seed.
    pub async fn start(node: SocketAddr, seed: u64) -> anyhow::Result<Self> {
        let (listener, socket) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            // Somebody else may have the same number for UDP; then there is another.
            if let Ok(socket) = UdpSocket::bind(listener.local_addr()?).await {
                break (listener, socket);
            }
        };
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            weather: watch::channel(Weather::default()).0,
            rng: Mutex::new(Rng::new(seed)),
            counts: Mutex::default(),
            cuts: watch::channel(0).0,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(udp::serve(Arc::clone(&shared), socket, node));
        tasks.spawn(tcp::serve(Arc::clone(&shared), listener, node));
        Ok(Self { addr, shared, _tasks: tasks })
    }

    /// Where it listens, for UDP and TCP.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes the network so.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Cuts all TCP connections, in the middle of whatever is said.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// What went through so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }
}

impl Shared {
    fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    /// How much later something arrives.
    fn delay(&self, weather: Weather) -> Duration {
        let most_us = u64::try_from(weather.delay.as_micros()).unwrap_or(u64::MAX);
        weather.delay + Duration::from_micros(lock(&self.rng).below(most_us))
    }

    fn loses(&self, weather: Weather) -> bool {
        let lost = weather.no_udp || lock(&self.rng).below(1_000) < weather.lost_per_mille;
        let mut counts = lock(&self.counts);
        counts.datagrams += 1;
        counts.lost += u64::from(lost);
        lost
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
