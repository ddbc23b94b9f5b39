//! The UDP endpoint: one socket for raw QUIC and WebTransport, told apart by ALPN.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use suda_schema::{ALPN_QUIC, CloseCode};

use super::gate::{Gate, Slot};
use super::metrics::{Layer, Outcome, Rejected};
use super::quic::{QuicLink, Room, wire_code};
use super::{Link, LinkConfig, LinkKind, webtransport};
use crate::tls::{CertStore, TlsError};

/// The ALPN of HTTP/3, under which WebTransport comes.
const ALPN_H3: &[u8] = b"h3";

/// Packets of clients whose handshake has not begun yet: while the node is busy, more than so many clients wait in vain.
const WAITING_CLIENTS_MAX: usize = 1_024;
/// What all of them together may send before they are heard.
const WAITING_BYTES_MAX: u64 = 8 << 20;

/// How large the UDP socket's buffers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpBuffers {
    /// What was asked for, each way.
    pub wanted_bytes: usize,
    /// What the kernel gave for arriving packets.
    pub recv_bytes: usize,
    /// What it gave for leaving ones.
    pub send_bytes: usize,
}

impl UdpBuffers {
    /// Asks the kernel what it would give.
    pub fn probe(wanted_bytes: usize) -> io::Result<Self> {
        bind((Ipv4Addr::LOCALHOST, 0).into(), wanted_bytes).map(|(_, buffers)| buffers)
    }

    /// Whether the kernel gave what was asked for.
    #[must_use]
    pub fn are_granted(&self) -> bool {
        self.recv_bytes.min(self.send_bytes) >= self.wanted_bytes
    }
}

/// Opens the socket, with buffers as large as the kernel allows.
pub(super) fn bind(addr: SocketAddr, wanted_bytes: usize) -> io::Result<(std::net::UdpSocket, UdpBuffers)> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    socket.set_nonblocking(true)?;
    // The kernel cuts what is too much without an error; where it does not, the default stays.
    let _ = socket.set_recv_buffer_size(wanted_bytes);
    let _ = socket.set_send_buffer_size(wanted_bytes);
    // Linux counts its own bookkeeping in, and so says twice what was asked for.
    let doubled = if cfg!(target_os = "linux") { 2 } else { 1 };
    let buffers = UdpBuffers {
        wanted_bytes,
        recv_bytes: socket.recv_buffer_size()? / doubled,
        send_bytes: socket.send_buffer_size()? / doubled,
    };
    Ok((socket.into(), buffers))
}

/// Starts QUIC on the socket. Nothing is accepted yet.
pub(super) fn endpoint(
    socket: std::net::UdpSocket,
    config: &LinkConfig,
    certs: &CertStore,
) -> Result<quinn::Endpoint, EndpointError> {
    let crypto = certs.quic_config(&[ALPN_QUIC, ALPN_H3])?;
    let crypto = QuicServerConfig::try_from(crypto).map_err(|_| EndpointError::NoInitialCipher)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(Arc::new(transport(config)));
    server.migration(true);
    server.max_incoming(WAITING_CLIENTS_MAX);
    server.incoming_buffer_size_total(WAITING_BYTES_MAX);
    Ok(quinn::Endpoint::new(EndpointConfig::default(), Some(server), socket, Arc::new(TokioRuntime))?)
}

/// Why QUIC can't start.
#[derive(Debug, thiserror::Error)]
pub(super) enum EndpointError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the crypto provider lacks the cipher that QUIC begins with")]
    NoInitialCipher,
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn transport(config: &LinkConfig) -> TransportConfig {
    let quic = &config.quic;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(Room::at_first(config.streams_max).into())
        .max_concurrent_uni_streams(quic.uni_streams_max.into())
        .stream_receive_window(quic.stream_window_bytes.into())
        .receive_window(quic.receive_window_bytes.into())
        .send_window(quic.send_window_bytes.into())
        .send_fairness(true)
        .datagram_receive_buffer_size(Some(quic.datagram_buffer_bytes))
        .datagram_send_buffer_size(quic.datagram_buffer_bytes)
        .keep_alive_interval(Some(config.keep_alive))
        .max_idle_timeout(Some(idle_timeout(config.idle_timeout)))
        .initial_rtt(quic.initial_rtt)
        .mtu_discovery_config(quic.mtu_discovery.then(MtuDiscoveryConfig::default))
        .ack_frequency_config(ack_frequency(quic.ack_every_packets));
    transport
}

fn idle_timeout(timeout: Duration) -> IdleTimeout {
    IdleTimeout::from(VarInt::from_u32(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)))
}

/// Two is what QUIC does by itself.
fn ack_frequency(every_packets: u32) -> Option<AckFrequencyConfig> {
    (every_packets > 2).then(|| {
        let mut config = AckFrequencyConfig::default();
        // Acknowledged is what comes after so many that are not.
        config.ack_eliciting_threshold((every_packets - 1).into());
        config
    })
}

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept(endpoint: quinn::Endpoint, gate: Arc<Gate>) {
    let handshakes = Arc::new(AtomicUsize::new(0));
    while let Some(incoming) = endpoint.accept().await {
        if gate.is_draining() {
            gate.metrics.rejected(Rejected::Draining);
            incoming.refuse();
            continue;
        }
        let Some(slot) = Slot::acquire(&handshakes, gate.config.handshakes_max) else {
            gate.metrics.rejected(Rejected::Handshakes);
            incoming.refuse();
            continue;
        };
        let many = handshakes.load(Ordering::Relaxed) > gate.config.retry_from_handshakes;
        if many && !incoming.remote_address_validated() && incoming.may_retry() {
            gate.metrics.retried();
            // It fails only for addresses that are validated.
            let _ = incoming.retry();
            continue;
        }
        tokio::spawn(handshake(incoming, slot, gate.clone()));
    }
}

async fn handshake(incoming: quinn::Incoming, slot: Slot, gate: Arc<Gate>) {
    let handshaking = gate.metrics.handshaking();
    handshaking.inc();
    let remote = incoming.remote_address();
    let result = tokio::time::timeout(gate.config.handshake_timeout, connect(incoming, &gate)).await;
    handshaking.dec();
    drop(slot);
    let outcome = match &result {
        Ok(Ok(_)) => Outcome::Ok,
        Ok(Err(_)) => Outcome::Failed,
        Err(_) => Outcome::TimedOut,
    };
    gate.metrics.handshook(Layer::Quic, outcome);
    match result {
        Ok(Ok(Some(link))) => gate.deliver(link),
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!(%remote, error, "QUIC handshake failed"),
        Err(_) => tracing::debug!(%remote, "QUIC handshake timed out"),
    }
}

/// From the first packet to the link. `None`: it was turned away, and told so.
async fn connect(incoming: quinn::Incoming, gate: &Arc<Gate>) -> Result<Option<Arc<dyn Link>>, String> {
    let mut connecting = incoming.accept().map_err(|error| error.to_string())?;
    let data = connecting.handshake_data().await.map_err(|error| error.to_string())?;
    let alpn = data.downcast::<HandshakeData>().ok().and_then(|data| data.protocol);
    match alpn.as_deref() {
        Some(ALPN_H3) => webtransport::accept(connecting, gate).await.map_err(|error| error.to_string()),
        Some(ALPN_QUIC) => {
            let conn = connecting.await.map_err(|error| error.to_string())?;
            Ok(match gate.admit(conn.remote_address()) {
                Ok(guard) => {
                    let guard = guard.opened(&gate.metrics, LinkKind::Quic);
                    let room = Room::new(gate.config.streams_max);
                    Some(Arc::new(QuicLink::new(conn, room, gate.metrics.of_streams(LinkKind::Quic), guard)))
                }
                Err(refusal) => {
                    conn.close(wire_code(refusal.close_code()), refusal.text().as_bytes());
                    None
                }
            })
        }
        // The handshake fails by itself on an ALPN that is not offered; this is for a client that names none.
        _ => {
            gate.metrics.rejected(Rejected::Alpn);
            let conn = connecting.await.map_err(|error| error.to_string())?;
            conn.close(wire_code(CloseCode::PROTOCOL_ERROR), b"no ALPN: suda/1 or h3");
            Ok(None)
        }
    }
}
