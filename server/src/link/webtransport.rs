//! WebTransport over HTTP/3, for browsers, by the wtransport library on our own QUIC endpoint.
//!
//! What the library (0.7) leaves open, and what is done about it:
//! - A close code does not reach JavaScript: sessions say `closing` in-band first.
//! - Chromium leaves the QUIC connection standing after its session has ended: the library closes it when the session's
//!   stream ends, and a link that ends here closes it too.
//! - A client that opens a stream and never sends its header holds up its own next streams, nobody else's.
//! - An HTTP/3 frame that the library does not know on the control stream (PRIORITY_UPDATE) ends the connection, and so
//!   does GOAWAY: the client reconnects.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use suda_schema::limits::DATAGRAM_BYTES_MAX;
use suda_schema::{CONNECT_PATH, CloseCode};
use wtransport::endpoint::{IncomingSessionFuture, SessionRequest};
use wtransport::error::ConnectionError;

use super::gate::{Gate, LinkGuard};
use super::metrics::{Rejected, StreamMetrics};
use super::quic::Room;
use super::stream::{Sink, Source};
use super::{DatagramError, Link, LinkEnd, LinkKind, StreamReader, StreamWriter, origin, quic};

/// The most bytes that WebTransport puts in front of a datagram: the number of the session's stream.
const DATAGRAM_HEADER_BYTES_MAX: usize = 8;

pub(super) struct WebTransportLink {
    conn: wtransport::Connection,
    room: Room,
    closed_with: OnceLock<CloseCode>,
    metrics: StreamMetrics,
    _guard: LinkGuard,
}

/// Takes a QUIC connection that speaks HTTP/3 as far as a link. `None`: it was turned away, and told so.
pub(super) async fn accept(
    connecting: quinn::Connecting,
    gate: &Gate,
) -> Result<Option<Arc<dyn Link>>, ConnectionError> {
    let request = IncomingSessionFuture::with_quic_connecting(connecting).await?;
    if !is_connect_path(request.path()) {
        gate.metrics.rejected(Rejected::Path);
        request.not_found().await;
        return Ok(None);
    }
    if !origin::is_allowed(request.origin(), Some(request.authority()), &gate.config.origins) {
        gate.metrics.rejected(Rejected::Origin);
        request.forbidden().await;
        return Ok(None);
    }
    match gate.admit(request.remote_address()) {
        Ok(guard) => open(request, guard, gate).await.map(Some),
        Err(_) => {
            request.too_many_requests().await;
            Ok(None)
        }
    }
}

async fn open(request: SessionRequest, guard: LinkGuard, gate: &Gate) -> Result<Arc<dyn Link>, ConnectionError> {
    let conn = request.accept().await?;
    let guard = guard.opened(&gate.metrics, LinkKind::WebTransport);
    let metrics = gate.metrics.of_streams(LinkKind::WebTransport);
    let room = Room::new(gate.config.streams_max);
    Ok(Arc::new(WebTransportLink { conn, room, closed_with: OnceLock::new(), metrics, _guard: guard }))
}

fn is_connect_path(path: &str) -> bool {
    path.split('?').next() == Some(CONNECT_PATH)
}

impl WebTransportLink {
    fn ended(&self, error: ConnectionError) -> LinkEnd {
        match error {
            ConnectionError::ApplicationClosed(close) => LinkEnd::Peer {
                code: quic::close_code(close.code().into_inner()),
                message: String::from_utf8_lossy(close.reason()).into_owned(),
            },
            ConnectionError::LocallyClosed => {
                LinkEnd::Local(self.closed_with.get().copied().unwrap_or(CloseCode::NORMAL))
            }
            ConnectionError::TimedOut => LinkEnd::TimedOut,
            other => LinkEnd::Lost(other.to_string()),
        }
    }
}

impl Link for WebTransportLink {
    fn kind(&self) -> LinkKind {
        LinkKind::WebTransport
    }

    fn remote_addr(&self) -> SocketAddr {
        quic::canonical(self.conn.remote_address())
    }

    fn accept_stream(&self) -> BoxFuture<'_, Result<(StreamReader, StreamWriter), LinkEnd>> {
        Box::pin(async {
            let (send, recv) = self.conn.accept_bi().await.map_err(|error| self.ended(error))?;
            self.metrics.opened.inc();
            self.room.opened(self.conn.quic_connection(), recv.quic_stream().id().index());
            Ok((
                StreamReader::new(Source::WebTransport(recv), &self.metrics),
                StreamWriter::new(Sink::WebTransport(send), &self.metrics),
            ))
        })
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Result<Bytes, LinkEnd>> {
        Box::pin(async {
            loop {
                let body = self.conn.receive_datagram().await.map_err(|error| self.ended(error))?.payload();
                // Dropped, as the network might have done.
                if body.len() <= DATAGRAM_BYTES_MAX {
                    return Ok(body);
                }
            }
        })
    }

    fn send_datagram(&self, body: Bytes) -> Result<(), DatagramError> {
        use wtransport::error::SendDatagramError;
        let quic = self.conn.quic_connection();
        if quic.datagram_send_buffer_space() < body.len() + DATAGRAM_HEADER_BYTES_MAX {
            return Ok(());
        }
        self.conn.send_datagram(body).map_err(|error| match error {
            SendDatagramError::UnsupportedByPeer => DatagramError::Unsupported,
            SendDatagramError::TooLarge => DatagramError::TooLarge,
            SendDatagramError::NotConnected => DatagramError::Closed,
        })
    }

    fn datagram_bytes_max(&self) -> usize {
        // Not the library's own, which subtracts without looking whether there is as much.
        let quic = self.conn.quic_connection().max_datagram_size();
        quic.unwrap_or(0).saturating_sub(DATAGRAM_HEADER_BYTES_MAX).min(DATAGRAM_BYTES_MAX)
    }

    fn close(&self, code: CloseCode, message: &str) {
        quic::close(self.conn.quic_connection(), &self.closed_with, code, message);
    }

    fn closed(&self) -> BoxFuture<'_, LinkEnd> {
        Box::pin(async {
            let error = self.conn.closed().await;
            if self.closed_with.get().is_some() || !matches!(error, ConnectionError::LocallyClosed) {
                return self.ended(error);
            }
            // The library closed the connection because the session ended: it knows why.
            match self.conn.accept_uni().await {
                Err(error) => self.ended(error),
                Ok(_) => LinkEnd::Lost("a stream after the end".to_owned()),
            }
        })
    }
}

impl Drop for WebTransportLink {
    fn drop(&mut self) {
        self.close(CloseCode::NORMAL, "");
    }
}

/// Where WebTransport's stream codes lie among those of HTTP/3.
const FIRST_STREAM_CODE: u64 = 0x52e4_a40f_a8db;
/// Every so many numbers there, HTTP/3 keeps one for itself.
const RESERVED_EVERY: u64 = 0x1e;

/// The code of a stream as HTTP/3 carries it, so that JavaScript sees ours.
pub(super) fn stream_code(code: CloseCode) -> wtransport::VarInt {
    let code = u64::from(code.0);
    // At most 2⁴⁷, where a varint ends at 2⁶².
    wtransport::VarInt::try_from_u64(FIRST_STREAM_CODE + code + code / RESERVED_EVERY).unwrap_or_default()
}

/// And back. A code outside of WebTransport's range comes from a library that does not translate.
pub(super) fn close_code(code: u64) -> CloseCode {
    quic::close_code(match code.checked_sub(FIRST_STREAM_CODE) {
        Some(shifted) if shifted <= u64::from(u32::MAX) * 2 => shifted - shifted / (RESERVED_EVERY + 1),
        _ => code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_codes_come_back_as_they_were() {
        for row in suda_schema::close::CLOSES {
            let wire = stream_code(row.code).into_inner();
            assert!(!(wire - 0x21).is_multiple_of(0x1f), "{wire:#x} is reserved");
            assert_eq!(close_code(wire), row.code);
        }
        assert_eq!(close_code(4_301), CloseCode::DETACHED, "not translated by the peer");
        assert_eq!((close_code(0), close_code(u64::MAX >> 2)), (CloseCode::NORMAL, CloseCode::NORMAL));
    }

    #[test]
    fn a_query_does_not_hide_the_path() {
        assert!(is_connect_path("/connect") && is_connect_path("/connect?region=x"));
        assert!(!is_connect_path("/") && !is_connect_path("/connect/") && !is_connect_path("/connected"));
    }
}
