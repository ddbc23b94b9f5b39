//! Sockets and settings that clients share.

use std::collections::HashMap;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::crypto::rustls::QuicClientConfig;
use suda_schema::ALPN_QUIC;

use super::error::Error;
use super::{http, tls};

/// How long an address may try alone before the next one of the same name begins as well.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// The most sets of trusted certificates whose settings are kept ready.
const TRUSTED_MAX: usize = 16;
/// What a link by QUIC is taken for dead after, by the transport itself; the heartbeat notices sooner.
const IDLE: Duration = Duration::from_secs(30);
/// What the node may send on one stream before it is read: enough for 2.5 MB a second over 100 ms.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// The same where reading is slow by intention, so that it is the node that waits and not this machine that fills.
const SLOW_WINDOW_BYTES: u32 = 16 << 10;
/// The same for all streams of a link.
const RECEIVE_WINDOW_BYTES: u32 = 1 << 20;
/// What may be on its way to the node without being acknowledged.
const SEND_WINDOW_BYTES: u64 = 1 << 20;
/// Datagrams that wait, each way; older ones are dropped.
const DATAGRAM_BUFFER_BYTES: usize = 16 << 10;
/// What a round trip is taken for before the first one was seen.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// A UDP socket, TLS settings and what the platform trusts: made once, used by many clients of a process. Cheap to
/// clone; each client has one of its own unless it is given one.
///
/// ```no_run
/// # async fn run() -> Result<(), suda_client::Error> {
/// use suda_client::{Client, Network};
///
/// let network = Network::new()?;
/// for number in 0..1_000 {
///     let client = Client::builder("https://suda.example").network(network.clone()).connect().await?;
///     client.login(&format!("robot{number}"), "correct horse battery").await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How many bytes a second are read, where that is to be slow.
    read_bytes_per_s: Option<NonZeroU32>,
    /// Made when the first link needs it.
    quic: Mutex<Option<quinn::Endpoint>>,
    trusted: Mutex<HashMap<Vec<[u8; 32]>, Trusted>>,
    http: Mutex<HashMap<Vec<[u8; 32]>, reqwest::Client>>,
}

/// Settings for one set of trusted certificates.
#[derive(Clone)]
pub(super) struct Trusted {
    pub(super) quic: quinn::ClientConfig,
    pub(super) webtransport: rustls::ClientConfig,
    pub(super) websocket: Arc<rustls::ClientConfig>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Nothing is opened yet.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { shared: Arc::new(Shared::default()) })
    }

    /// One whose clients read slowly: so many bytes a second of each channel or, by WebSocket, of all together. It is for
    /// trying out how an app and a server fare then; the server has to wait, as it does where the network is to blame.
    pub fn slow(bytes_per_s: u32) -> Result<Self, Error> {
        let read_bytes_per_s = NonZeroU32::new(bytes_per_s);
        Ok(Self { shared: Arc::new(Shared { read_bytes_per_s, ..Shared::default() }) })
    }

    pub(super) fn stream_window_bytes(&self) -> u32 {
        if self.shared.read_bytes_per_s.is_some() { SLOW_WINDOW_BYTES } else { STREAM_WINDOW_BYTES }
    }

    /// How long to wait after so many bytes were read.
    pub(super) fn pause(&self, bytes: usize) -> Option<Duration> {
        let per_s = self.shared.read_bytes_per_s?;
        let ms = (bytes as u64).saturating_mul(1_000) / u64::from(per_s.get());
        Some(Duration::from_millis(ms))
    }

    /// The machine has another address now: the UDP socket is replaced, and links by QUIC move with it.
    pub fn rebind(&self) -> Result<(), Error> {
        let quic = self.shared.quic.lock().unwrap_or_else(PoisonError::into_inner);
        match &*quic {
            Some(endpoint) => endpoint.rebind(socket()?).map_err(system),
            None => Ok(()),
        }
    }

    pub(super) fn quic(&self) -> Result<quinn::Endpoint, Error> {
        let mut quic = self.shared.quic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &*quic {
            return Ok(endpoint.clone());
        }
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket()?, runtime);
        Ok(quic.insert(endpoint.map_err(system)?).clone())
    }

    pub(super) fn http(&self, pinned: &[[u8; 32]]) -> Result<reqwest::Client, Error> {
        let mut all = self.shared.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = all.get(pinned) {
            return Ok(http.clone());
        }
        if all.len() >= TRUSTED_MAX {
            all.clear();
        }
        let http = http::connections(pinned)?;
        all.insert(pinned.to_vec(), http.clone());
        Ok(http)
    }

    pub(super) fn trusted(&self, hashes: &[[u8; 32]]) -> Result<Trusted, Error> {
        let mut all = self.shared.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(trusted) = all.get(hashes) {
            return Ok(trusted.clone());
        }
        let crypto = QuicClientConfig::try_from(tls::config(hashes, &[ALPN_QUIC])?).map_err(system)?;
        let mut quic = quinn::ClientConfig::new(Arc::new(crypto));
        quic.transport_config(Arc::new(transport(self.stream_window_bytes())));
        let trusted = Trusted {
            quic,
            webtransport: tls::config(hashes, &[b"h3"])?,
            websocket: Arc::new(tls::config(hashes, &[b"http/1.1"])?),
        };
        if all.len() >= TRUSTED_MAX {
            all.clear();
        }
        all.insert(hashes.to_vec(), trusted.clone());
        Ok(trusted)
    }
}

/// For raw QUIC and WebTransport alike.
pub(super) fn transport(stream_window_bytes: u32) -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport.stream_receive_window(stream_window_bytes.into());
    transport.receive_window(RECEIVE_WINDOW_BYTES.into());
    transport.send_window(SEND_WINDOW_BYTES);
    transport.datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES));
    transport.datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    transport.max_idle_timeout(IDLE.try_into().ok());
    transport.initial_rtt(FIRST_ROUND_TRIP);
    // Only the client opens streams.
    transport.max_concurrent_bidi_streams(0u8.into());
    transport
}

/// On a machine without IPv6, IPv4 does.
fn socket() -> Result<UdpSocket, Error> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    UdpSocket::bind(any).or_else(|_| UdpSocket::bind(("0.0.0.0", 0))).map_err(system)
}

fn system(error: impl std::fmt::Display) -> Error {
    Error::System(error.to_string())
}

/// Connects to the first address of a name that answers. Each has a head start over the next.
pub(super) async fn first_of<T, F>(host: &str, port: u16, connect: impl Fn(SocketAddr) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let unreachable = |error: String| Error::Unreachable(error);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| unreachable(error.to_string()))?;
    let mut waiting = found.take(ADDRESSES_MAX).collect::<Vec<_>>().into_iter();
    let mut running = FuturesUnordered::new();
    let mut last = unreachable("the name has no address".to_owned());
    running.extend(waiting.next().map(&connect));
    while !running.is_empty() {
        tokio::select! {
            done = running.next() => match done {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err(error)) => {
                    last = error;
                    running.extend(waiting.next().map(&connect));
                }
                None => {}
            },
            () = tokio::time::sleep(NEXT_ADDRESS_AFTER), if waiting.len() > 0 => {
                running.extend(waiting.next().map(&connect));
            }
        }
    }
    Err(last)
}
