//! Dialing by WebTransport.

use suda_schema::CloseCode;
use wtransport::endpoint::endpoint_side::Client;

use super::error::Error;
use super::link::{Conn, Half, Half2};
use super::network::{Network, transport};

/// A WebTransport session.
pub(super) struct Session {
    conn: wtransport::Connection,
    /// Its socket: the library shares none.
    _endpoint: wtransport::Endpoint<Client>,
}

/// A session with its control stream.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) send: wtransport::SendStream,
    pub(super) recv: wtransport::RecvStream,
}

impl Session {
    pub(super) fn quic(&self) -> &quinn::Connection {
        self.conn.quic_connection()
    }

    pub(super) fn close(&self, code: CloseCode) {
        self.conn.close(u32::from(code.0).into(), b"");
    }

    pub(super) async fn datagram(&self) -> Option<bytes::Bytes> {
        self.conn.receive_datagram().await.ok().map(|datagram| datagram.payload())
    }

    /// Whether it was taken.
    pub(super) fn send_datagram(&self, body: &[u8]) -> bool {
        self.conn.send_datagram(body).is_ok()
    }

    pub(super) async fn open(&self) -> Option<(Half, Half2)> {
        let (send, recv) = self.conn.open_bi().await.ok()?.await.ok()?;
        Some((Half::WebTransport(send), Half2::WebTransport(recv)))
    }
}

pub(super) async fn dial(network: &Network, url: &str, hashes: &[[u8; 32]]) -> Result<Conn, Error> {
    let unreachable = |error: String| Error::Unreachable(error);
    let tls = network.trusted(hashes)?.webtransport;
    // The session needs streams that the server opens for itself: the limit is HTTP/3's own.
    let mut transport = transport(network.stream_window_bytes());
    transport.max_concurrent_bidi_streams(1u8.into());
    let config = wtransport::ClientConfig::builder().with_bind_default();
    let config = config.with_custom_tls_and_transport(tls, transport).build();
    let endpoint = wtransport::Endpoint::client(config).map_err(|error| Error::System(error.to_string()))?;
    let conn = endpoint.connect(url).await.map_err(|error| unreachable(error.to_string()))?;
    let opening = conn.open_bi().await.map_err(|error| unreachable(error.to_string()))?;
    let (send, recv) = opening.await.map_err(|error| unreachable(error.to_string()))?;
    Ok(Conn::WebTransport(Box::new(Opened { session: Session { conn, _endpoint: endpoint }, send, recv })))
}
