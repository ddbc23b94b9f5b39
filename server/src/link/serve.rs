//! Opens the ports, and runs what listens on them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use suda_schema::CloseCode;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::gate::{Gate, OnLink};
use super::quic::wire_code;
use super::tcp::Tcp;
use super::udp::{self, EndpointError, UdpBuffers};
use super::{LinkConfig, LinkMetrics};
use crate::tls::{CertStore, TlsError};

/// How often another free port is tried, when UDP got one that TCP can't have.
const PORT_TRIES: u32 = 16;
/// Connections that the kernel holds for a node that is busy.
const BACKLOG: u32 = 1_024;
/// What TCP speaks after TLS.
const TCP_ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why no links can be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A port can't be had.
    #[error("can't listen on {protocol} {addr}: {source}")]
    Bind {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// QUIC can't be set up.
    #[error("QUIC: {0}")]
    Quic(String),
}

/// The ports, opened. Nobody is answered yet.
pub struct Listeners {
    config: LinkConfig,
    endpoint: quinn::Endpoint,
    tcp: TcpListener,
    tls: TlsAcceptor,
    http: Option<TcpListener>,
    buffers: UdpBuffers,
    addr: SocketAddr,
    http_addr: Option<SocketAddr>,
}

impl Listeners {
    /// Opens the ports.
    pub fn bind(config: LinkConfig, certs: &CertStore) -> Result<Self, ListenError> {
        let (udp, buffers, tcp, addr) = bind_both(&config)?;
        if !buffers.are_granted() {
            tracing::warn!(
                wanted_bytes = buffers.wanted_bytes,
                recv_bytes = buffers.recv_bytes,
                send_bytes = buffers.send_bytes,
                "the kernel keeps the UDP buffers small; raise net.core.rmem_max and net.core.wmem_max"
            );
        }
        let endpoint = udp::endpoint(udp, &config, certs).map_err(|error| match error {
            EndpointError::Tls(error) => ListenError::Tls(error),
            error => ListenError::Quic(error.to_string()),
        })?;
        let tls = TlsAcceptor::from(Arc::new(certs.tcp_config(&TCP_ALPN)?));
        let http = config.http_listen.map(|addr| bind_tcp(addr).map_err(|source| failed("TCP", addr, source)));
        let http = http.transpose()?;
        let http_addr = http.as_ref().and_then(|http| http.local_addr().ok());
        Ok(Self { config, endpoint, tcp, tls, http, buffers, addr, http_addr })
    }

    /// Where UDP and TCP listen.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where plain HTTP listens.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// How large the kernel has made the UDP socket's buffers.
    #[must_use]
    pub fn udp_buffers(&self) -> UdpBuffers {
        self.buffers
    }

    /// Answers from now on: links go to `on_link`, other requests to `router`.
    #[must_use]
    pub fn serve(self, router: Router, metrics: LinkMetrics, on_link: OnLink) -> Serving {
        let (stop, stopped) = watch::channel(false);
        let gate = Arc::new(Gate::new(self.config, metrics, on_link));
        let tcp = Arc::new(Tcp::new(gate.clone(), router, stopped));
        let mut tasks = JoinSet::new();
        tasks.spawn(udp::accept(self.endpoint.clone(), gate.clone()));
        tasks.spawn(tcp.clone().accept(self.tcp, Some(self.tls)));
        if let Some(http) = self.http {
            tasks.spawn(tcp.accept(http, None));
        }
        Serving { gate, endpoint: self.endpoint, stop, tasks }
    }
}

/// What is listening. Dropping it stops that, without a goodbye.
pub struct Serving {
    gate: Arc<Gate>,
    endpoint: quinn::Endpoint,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Takes no new links from now on, and tells those who come so. HTTP goes on.
    pub fn drain(&self) {
        self.gate.drain();
    }

    /// Accepts nothing more, ends HTTP connections after what they are doing, and closes what is still open on QUIC.
    /// WebSocket links are closed by their sessions, or cut off with the process.
    pub async fn shutdown(mut self, within: Duration) {
        self.gate.drain();
        let _ = self.stop.send(true);
        let http_ends = async {
            // Each connection holds a receiver.
            self.stop.closed().await;
        };
        let all = async {
            tokio::join!(http_ends, async {
                self.endpoint.close(wire_code(CloseCode::GOING_AWAY), b"this node stops");
                self.endpoint.wait_idle().await;
                while self.tasks.join_next().await.is_some() {}
            });
        };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!("some connections were cut off");
        }
    }
}

/// UDP and TCP on the same port number.
fn bind_both(config: &LinkConfig) -> Result<(std::net::UdpSocket, UdpBuffers, TcpListener, SocketAddr), ListenError> {
    let mut listen = config.listen;
    let mut tries = PORT_TRIES;
    loop {
        tries -= 1;
        let (udp, buffers) = match udp::bind(listen, config.quic.socket_buffer_bytes) {
            Ok(bound) => bound,
            // A machine without IPv6.
            Err(_) if listen.ip() == Ipv6Addr::UNSPECIFIED => {
                listen = (Ipv4Addr::UNSPECIFIED, listen.port()).into();
                udp::bind(listen, config.quic.socket_buffer_bytes).map_err(|source| failed("UDP", listen, source))?
            }
            Err(source) => return Err(failed("UDP", listen, source)),
        };
        let addr = udp.local_addr().map_err(|source| failed("UDP", listen, source))?;
        match bind_tcp(addr) {
            Ok(tcp) => return Ok((udp, buffers, tcp, addr)),
            // UDP was given a free port that is not free for TCP.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && listen.port() == 0 && tries > 0 => {}
            Err(source) => return Err(failed("TCP", addr, source)),
        }
    }
}

fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart does not have to wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn failed(protocol: &'static str, addr: SocketAddr, source: io::Error) -> ListenError {
    ListenError::Bind { protocol, addr, source }
}
