//! Bare quinn, and wtransport on it: one UDP port, ALPN tells them apart, with the windows and limits that suda sets.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{AckFrequencyConfig, EndpointConfig, MtuDiscoveryConfig, TokioRuntime, TransportConfig};
use socket2::{Domain, Protocol, Socket, Type};
use suda_server::link::LinkConfig;
use wtransport::endpoint::IncomingSessionFuture;

use super::tls::{ALPN_H3, Identity};
use super::{Answers, In, Out};

/// As many streams as suda has room for at first.
const STREAMS_MAX: u32 = 20;

pub(super) fn serve(tls: &Identity, answers: Answers) -> Result<SocketAddr> {
    let config = LinkConfig::default();
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls.quic()?)?));
    server.transport_config(Arc::new(transport(&config)?));
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(config.quic.socket_buffer_bytes)?;
    socket.set_send_buffer_size(config.quic.socket_buffer_bytes)?;
    let endpoint =
        quinn::Endpoint::new(EndpointConfig::default(), Some(server), socket.into(), Arc::new(TokioRuntime))?;
    let addr = endpoint.local_addr()?;
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(connection(incoming, answers.clone()));
        }
    });
    Ok(addr)
}

fn transport(config: &LinkConfig) -> Result<TransportConfig> {
    let quic = &config.quic;
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold((quic.ack_every_packets - 1).into());
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS_MAX.into())
        .max_concurrent_uni_streams(quic.uni_streams_max.into())
        .stream_receive_window(quic.stream_window_bytes.into())
        .receive_window(quic.receive_window_bytes.into())
        .send_window(quic.send_window_bytes.into())
        .datagram_receive_buffer_size(Some(quic.datagram_buffer_bytes))
        .datagram_send_buffer_size(quic.datagram_buffer_bytes)
        .keep_alive_interval(Some(config.keep_alive))
        .max_idle_timeout(Some(config.idle_timeout.try_into()?))
        .initial_rtt(quic.initial_rtt)
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        .ack_frequency_config(Some(acks));
    Ok(transport)
}

async fn connection(incoming: quinn::Incoming, answers: Answers) -> Option<()> {
    let mut connecting = incoming.accept().ok()?;
    let data = connecting.handshake_data().await.ok()?.downcast::<HandshakeData>().ok()?;
    if data.protocol.as_deref() == Some(ALPN_H3) {
        let session = IncomingSessionFuture::with_quic_connecting(connecting).await.ok()?;
        let conn = session.accept().await.ok()?;
        while let Ok((send, recv)) = conn.accept_bi().await {
            tokio::spawn(super::stream(In::WebTransport(recv), Out::WebTransport(send), answers.clone()));
        }
    } else {
        let conn = connecting.await.ok()?;
        while let Ok((send, recv)) = conn.accept_bi().await {
            tokio::spawn(super::stream(In::Quic(recv), Out::Quic(send), answers.clone()));
        }
    }
    None
}
