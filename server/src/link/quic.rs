//! Raw QUIC: the native path.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use quinn::{ConnectionError, SendDatagramError, VarInt};
use suda_schema::CloseCode;
use suda_schema::limits::DATAGRAM_BYTES_MAX;

use super::gate::LinkGuard;
use super::metrics::StreamMetrics;
use super::stream::{Sink, Source};
use super::{DatagramError, Link, LinkEnd, LinkKind, StreamReader, StreamWriter};

pub(super) struct QuicLink {
    conn: quinn::Connection,
    room: Room,
    closed_with: OnceLock<CloseCode>,
    metrics: StreamMetrics,
    _guard: LinkGuard,
}

/// How many streams a client may have from the start. QUIC makes room for all that are allowed at once, about 70 bytes
/// each, and most links never need more than a few; who opens half of these gets all.
const STREAMS_AT_FIRST: u32 = 20;

/// Gives a connection room for more streams when it begins to need it.
pub(super) struct Room {
    streams_max: u32,
    given: AtomicBool,
}

impl Room {
    pub(super) fn new(streams_max: u32) -> Self {
        Self { streams_max, given: AtomicBool::new(streams_max <= STREAMS_AT_FIRST) }
    }

    /// How many streams there is room for at first.
    pub(super) fn at_first(streams_max: u32) -> u32 {
        streams_max.min(STREAMS_AT_FIRST)
    }

    /// The client has opened a stream; so many before.
    pub(super) fn opened(&self, conn: &quinn::Connection, before: u64) {
        if before >= u64::from(STREAMS_AT_FIRST / 2) && !self.given.swap(true, Ordering::Relaxed) {
            conn.set_max_concurrent_bi_streams(self.streams_max.into());
        }
    }
}

impl QuicLink {
    pub(super) fn new(conn: quinn::Connection, room: Room, metrics: StreamMetrics, guard: LinkGuard) -> Self {
        Self { conn, room, closed_with: OnceLock::new(), metrics, _guard: guard }
    }

    fn ended(&self, error: ConnectionError) -> LinkEnd {
        link_end(error, self.closed_with.get().copied())
    }
}

impl Link for QuicLink {
    fn kind(&self) -> LinkKind {
        LinkKind::Quic
    }

    fn remote_addr(&self) -> SocketAddr {
        canonical(self.conn.remote_address())
    }

    fn accept_stream(&self) -> BoxFuture<'_, Result<(StreamReader, StreamWriter), LinkEnd>> {
        Box::pin(async {
            let (send, recv) = self.conn.accept_bi().await.map_err(|error| self.ended(error))?;
            self.metrics.opened.inc();
            self.room.opened(&self.conn, recv.id().index());
            Ok((
                StreamReader::new(Source::Quic(recv), &self.metrics),
                StreamWriter::new(Sink::Quic(send), &self.metrics),
            ))
        })
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Result<Bytes, LinkEnd>> {
        Box::pin(async {
            loop {
                let body = self.conn.read_datagram().await.map_err(|error| self.ended(error))?;
                // Dropped, as the network might have done.
                if body.len() <= DATAGRAM_BYTES_MAX {
                    return Ok(body);
                }
            }
        })
    }

    fn send_datagram(&self, body: Bytes) -> Result<(), DatagramError> {
        send_datagram(&self.conn, body)
    }

    fn datagram_bytes_max(&self) -> usize {
        self.conn.max_datagram_size().unwrap_or(0).min(DATAGRAM_BYTES_MAX)
    }

    fn close(&self, code: CloseCode, message: &str) {
        close(&self.conn, &self.closed_with, code, message);
    }

    fn closed(&self) -> BoxFuture<'_, LinkEnd> {
        Box::pin(async { self.ended(self.conn.closed().await) })
    }
}

impl Drop for QuicLink {
    fn drop(&mut self) {
        self.close(CloseCode::NORMAL, "");
    }
}

/// Closes a connection with a code that is remembered.
pub(super) fn close(conn: &quinn::Connection, closed_with: &OnceLock<CloseCode>, code: CloseCode, message: &str) {
    if closed_with.set(code).is_ok() {
        conn.close(wire_code(code), message.as_bytes());
    }
}

/// Sends a datagram if there is room for it: a full buffer loses this one, rather than an older one that is more
/// likely on its way already.
pub(super) fn send_datagram(conn: &quinn::Connection, body: Bytes) -> Result<(), DatagramError> {
    if conn.datagram_send_buffer_space() < body.len() {
        return Ok(());
    }
    conn.send_datagram(body).map_err(|error| match error {
        SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled => DatagramError::Unsupported,
        SendDatagramError::TooLarge => DatagramError::TooLarge,
        SendDatagramError::ConnectionLost(_) => DatagramError::Closed,
    })
}

/// How QUIC's own words for an end are ours.
pub(super) fn link_end(error: ConnectionError, closed_with: Option<CloseCode>) -> LinkEnd {
    match error {
        ConnectionError::ApplicationClosed(close) => LinkEnd::Peer {
            code: close_code(close.error_code.into_inner()),
            message: String::from_utf8_lossy(&close.reason).into_owned(),
        },
        ConnectionError::LocallyClosed => LinkEnd::Local(closed_with.unwrap_or(CloseCode::NORMAL)),
        ConnectionError::TimedOut => LinkEnd::TimedOut,
        other => LinkEnd::Lost(other.to_string()),
    }
}

pub(super) fn wire_code(code: CloseCode) -> VarInt {
    VarInt::from_u32(code.0.into())
}

/// The close code that a peer meant: those of the table as they are, anything else is somebody just leaving.
pub(super) fn close_code(code: u64) -> CloseCode {
    u16::try_from(code).ok().filter(|code| (4_000..5_000).contains(code)).map_or(CloseCode::NORMAL, CloseCode)
}

/// The address without the IPv6 dress that a socket for both puts on IPv4.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
