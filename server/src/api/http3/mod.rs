//! The same router over HTTP/3, on a port of its own: h3 takes a whole QUIC connection, and on the main port `h3` is
//! WebTransport's.

mod capped;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::ConnectInfo;
use axum::http::{Response, header};
use bytes::{Buf as _, Bytes};
use futures_util::{StreamExt as _, stream};
use h3::quic::{RecvStream, SendStream};
use h3::server::{RequestResolver, RequestStream};
use quinn::crypto::rustls::QuicServerConfig;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use self::capped::Capped;
use crate::link::{Address, Counted};
use crate::tls::{CertStore, TlsError};

/// How many connections there may be. Each holds at most [`STREAMS_MAX`] requests.
const CONNECTIONS_MAX: usize = 1_024;
/// How many requests one connection may have at work.
const STREAMS_MAX: u32 = 32;
/// h3 itself needs three: control, and two of QPACK's.
const UNI_STREAMS_MAX: u32 = 8;
/// How many bytes one stream may have on the way.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// How many bytes a connection may have on the way.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// A connection that says nothing for so long is ended.
const IDLE_MS_MAX: u32 = 60_000;
/// HTTP/3's own code for it, `H3_EXCESSIVE_LOAD`.
const EXCESSIVE_LOAD: u32 = 0x107;
/// The longest list of headers, as HTTP/3 counts it.
const HEADERS_BYTES_MAX: usize = 32 << 10;

/// What HTTP/3 needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Http3Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// The longest body of a request.
    pub body_bytes_max: usize,
    /// How long a request's head may take.
    pub head_ms_max: u64,
    /// How long a client may read nothing of an answer.
    pub stall_ms_max: u64,
    /// How many connections of one address there may be.
    pub connections_per_address_max: usize,
}

/// Why HTTP/3 can't be listened for, or why one connection or request of it ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Http3Error {
    /// The certificate can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate can't be used with QUIC.
    #[error(transparent)]
    Cipher(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The port can't be listened on.
    #[error("can't listen on UDP {address} for HTTP/3: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The address has as many connections as it may.
    #[error("the address has as many connections as it may")]
    Crowded,
    /// The client took too long.
    #[error("the client took too long with its {0}")]
    Slow(&'static str),
    /// The connection ended.
    #[error(transparent)]
    Quic(#[from] quinn::ConnectionError),
    /// The connection ended, as HTTP/3 sees it.
    #[error(transparent)]
    Connection(#[from] h3::error::ConnectionError),
    /// A request ended.
    #[error(transparent)]
    Stream(#[from] h3::error::StreamError),
    /// The answer's body ended before its end.
    #[error("the answer broke off: {0}")]
    Body(#[from] axum::Error),
}

/// A listener for HTTP/3. It serves until its endpoint is closed.
pub struct Http3 {
    endpoint: quinn::Endpoint,
    config: Http3Config,
}

impl Http3 {
    /// Listens.
    pub fn bind(config: Http3Config, certificate: &CertStore) -> Result<Self, Http3Error> {
        let tls = QuicServerConfig::try_from(certificate.quic_config(&[b"h3"])?)?;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let mut transport = quinn::TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(STREAMS_MAX.into())
            .max_concurrent_uni_streams(UNI_STREAMS_MAX.into())
            .stream_receive_window(STREAM_WINDOW_BYTES.into())
            .receive_window(CONNECTION_WINDOW_BYTES.into())
            .datagram_receive_buffer_size(None)
            .max_idle_timeout(Some(quinn::VarInt::from_u32(IDLE_MS_MAX).into()));
        server.transport_config(Arc::new(transport)).migration(true);
        let endpoint = quinn::Endpoint::server(server, config.address)
            .map_err(|source| Http3Error::Listen { address: config.address, source })?;
        Ok(Self { endpoint, config })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The endpoint, to close it with.
    #[must_use]
    pub fn endpoint(&self) -> quinn::Endpoint {
        self.endpoint.clone()
    }

    /// Serves until the endpoint is closed.
    pub async fn serve(self, router: Router) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let addresses = Counted::new(self.config.connections_per_address_max);
        while let Some(incoming) = self.endpoint.accept().await {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            // Addresses have to prove themselves once many are here already.
            if places.available_permits() < CONNECTIONS_MAX / 2 && incoming.may_retry() {
                // Only fails if it may not.
                let _ = incoming.retry();
                continue;
            }
            let (router, config, addresses) = (router.clone(), self.config, addresses.clone());
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = connection(incoming, router, config, addresses).await {
                    tracing::debug!(%error, "HTTP/3 connection ended");
                }
            });
        }
    }
}

type Connection = h3::server::Connection<Capped<h3_quinn::Connection>, Bytes>;
type Resolver = RequestResolver<Capped<h3_quinn::Connection>, Bytes>;

async fn connection(
    incoming: quinn::Incoming,
    router: Router,
    config: Http3Config,
    addresses: Counted<Address>,
) -> Result<(), Http3Error> {
    let head_ms_max = Duration::from_millis(config.head_ms_max);
    let quic = within(head_ms_max, "handshake", incoming.into_future()).await??;
    let peer = quic.remote_address();
    // After the handshake: before it anybody may have written this address on their packets.
    let Some(_counted) = addresses.acquire(peer.ip().into()) else {
        quic.close(EXCESSIVE_LOAD.into(), b"too many connections of this address");
        return Err(Http3Error::Crowded);
    };
    let bytes_max = config.body_bytes_max.saturating_add(HEADERS_BYTES_MAX);
    let capped = Capped::new(h3_quinn::Connection::new(quic), bytes_max);
    let mut connection: Connection =
        h3::server::builder().max_field_section_size(HEADERS_BYTES_MAX as u64).build(capped).await?;
    while let Some(resolver) = connection.accept().await? {
        let router = router.clone();
        tokio::spawn(async move {
            if let Err(error) = request(resolver, router, peer, config).await {
                tracing::debug!(%error, "HTTP/3 request ended");
            }
        });
    }
    Ok(())
}

async fn request(resolver: Resolver, router: Router, peer: SocketAddr, config: Http3Config) -> Result<(), Http3Error> {
    let head_ms_max = Duration::from_millis(config.head_ms_max);
    let (head, stream) = within(head_ms_max, "headers", resolver.resolve_request()).await??;
    let (mut send, recv) = stream.split();
    let mut request = head.map(|()| incoming_body(recv));
    // HTTP/1 and HTTP/2 say it in `Host`, which is where handlers look.
    if let Some(host) = request.uri().authority().and_then(|authority| authority.as_str().parse().ok()) {
        request.headers_mut().entry(header::HOST).or_insert(host);
    }
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (mut head, body) = response.into_parts();
    // Names of HTTP/1 that HTTP/3 forbids.
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        head.headers.remove(name);
    }
    let stall_max = Duration::from_millis(config.stall_ms_max);
    within(stall_max, "reading", send.send_response(Response::from_parts(head, ()))).await??;
    outgoing_body(&mut send, body.into_data_stream(), stall_max).await
}

async fn within<F: Future>(limit: Duration, what: &'static str, future: F) -> Result<F::Output, Http3Error> {
    tokio::time::timeout(limit, future).await.map_err(|_| Http3Error::Slow(what))
}

/// The body as it comes; the router's own limit ends one that is too long.
fn incoming_body<S: RecvStream + Send + 'static>(recv: RequestStream<S, Bytes>) -> Body {
    Body::from_stream(stream::unfold(recv, |mut recv| async move {
        match recv.recv_data().await {
            Ok(Some(mut data)) => Some((Ok(data.copy_to_bytes(data.remaining())), recv)),
            Ok(None) => None,
            Err(error) => Some((Err(error), recv)),
        }
    }))
}

async fn outgoing_body<S>(
    send: &mut RequestStream<S, Bytes>,
    mut body: BodyDataStream,
    stall_max: Duration,
) -> Result<(), Http3Error>
where
    S: SendStream<Bytes>,
{
    while let Some(data) = body.next().await {
        match data {
            Ok(data) => within(stall_max, "reading", send.send_data(data)).await??,
            Err(error) => {
                // The client must not take what it has got for the whole.
                send.stop_stream(h3::error::Code::H3_INTERNAL_ERROR);
                return Err(error.into());
            }
        }
    }
    Ok(send.finish().await?)
}
