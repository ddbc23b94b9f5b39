//! Raw QUIC.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, ReadError, WriteError};
use suda_schema::{ALPN_QUIC, CloseCode};

use super::{Ended, StreamInner, close_code};

/// The longest read at once.
const CHUNK_BYTES_MAX: usize = 64 << 10;

pub(super) struct QuicClient {
    conn: quinn::Connection,
}

pub(super) fn endpoint() -> anyhow::Result<quinn::Endpoint> {
    // On a machine without IPv6, IPv4 does.
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    Ok(quinn::Endpoint::client(any).or_else(|_| quinn::Endpoint::client(([0, 0, 0, 0], 0).into()))?)
}

pub(super) async fn connect(
    endpoint: &quinn::Endpoint,
    mut tls: rustls::ClientConfig,
    addr: SocketAddr,
) -> anyhow::Result<QuicClient> {
    tls.alpn_protocols = vec![ALPN_QUIC.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let conn = endpoint.connect_with(config, addr, "localhost")?.await?;
    Ok(QuicClient { conn })
}

impl QuicClient {
    pub(super) async fn open(&self) -> Result<StreamInner, Ended> {
        let (send, recv) = self.conn.open_bi().await.map_err(ended)?;
        Ok(StreamInner::Quic(send, recv))
    }

    pub(super) fn send_datagram(&self, body: Bytes) -> bool {
        self.conn.send_datagram(body).is_ok()
    }

    pub(super) async fn recv_datagram(&self) -> Result<Bytes, Ended> {
        self.conn.read_datagram().await.map_err(ended)
    }

    pub(super) fn close(&self, code: CloseCode, message: &str) {
        self.conn.close(u32::from(code.0).into(), message.as_bytes());
    }

    pub(super) async fn closed(&self) -> Ended {
        ended(self.conn.closed().await)
    }

    pub(super) fn connection(&self) -> &quinn::Connection {
        &self.conn
    }
}

pub(super) async fn send(stream: &mut quinn::SendStream, bytes: &[u8]) -> Result<(), Ended> {
    stream.write_all(bytes).await.map_err(|error| not_written(error, close_code))
}

pub(super) fn not_written(error: WriteError, close_code: fn(u64) -> CloseCode) -> Ended {
    match error {
        WriteError::Stopped(code) => Ended::Reset(close_code(code.into_inner())),
        WriteError::ConnectionLost(error) => ended(error),
        error => Ended::Broken(error.to_string()),
    }
}

pub(super) async fn recv(stream: &mut quinn::RecvStream) -> Result<Bytes, Ended> {
    recv_with(stream, close_code).await
}

pub(super) async fn recv_with(
    stream: &mut quinn::RecvStream,
    close_code: fn(u64) -> CloseCode,
) -> Result<Bytes, Ended> {
    match stream.read_chunk(CHUNK_BYTES_MAX, true).await {
        Ok(Some(chunk)) => Ok(chunk.bytes),
        Ok(None) => Err(Ended::Finished),
        Err(ReadError::Reset(code)) => Err(Ended::Reset(close_code(code.into_inner()))),
        Err(ReadError::ConnectionLost(error)) => Err(ended(error)),
        Err(error) => Err(Ended::Broken(error.to_string())),
    }
}

pub(super) fn ended(error: ConnectionError) -> Ended {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let message = String::from_utf8_lossy(&close.reason).into_owned();
            Ended::Link(close_code(close.error_code.into_inner()), message)
        }
        error => Ended::Broken(error.to_string()),
    }
}
