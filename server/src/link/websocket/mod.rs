//! WebSocket: streams that share one TCP connection, cut in pieces that take turns.
//!
//! | module | idea |
//! |---|---|
//! | [`streams`] | the table of streams: what came, what waits to go, whose turn it is; no I/O |
//! | [`encode`] | frames into WebSocket messages, without copying them |
//! | [`socket`] | the socket: what is read from it and written to it |
//! | [`conn`] | the connection: hears, keeps alive, says goodbye |
//!
//! Each link has one task, which reads and does what is due. Whoever writes to a stream tries the socket at once
//! itself, so that a delivery costs no second wake-up; when the socket is full, the task goes on when there is room.
//! There is no compression: it would cost each link some 300 KiB and much work, for messages that are short.

mod conn;
mod encode;
mod socket;
mod streams;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use suda_schema::CloseCode;

use conn::Conn;
pub(super) use conn::Settings;

use super::gate::{LinkGuard, Refusal};
use super::io::TcpIo;
use super::metrics::{LinkMetrics, StreamMetrics};
use super::stream::{Chunk, Sink, Source};
use super::{DatagramError, Link, LinkEnd, LinkKind, ReadError, StreamReader, StreamWriter, WriteError};

pub(super) struct WebSocketLink {
    kind: LinkKind,
    remote: SocketAddr,
    conn: Arc<Conn>,
    metrics: StreamMetrics,
    _guard: LinkGuard,
}

/// Makes a link of a connection whose upgrade is done, and starts its task.
pub(super) fn start(
    io: TcpIo,
    early: &[u8],
    kind: LinkKind,
    remote: SocketAddr,
    settings: Settings,
    metrics: &LinkMetrics,
    guard: LinkGuard,
) -> Arc<dyn Link> {
    let conn = Conn::new(io, early, kind.codec(), settings, metrics.clone());
    tokio::spawn(conn.clone().drive());
    let guard = guard.opened(metrics, kind);
    Arc::new(WebSocketLink { kind, remote, conn, metrics: metrics.of_streams(kind), _guard: guard })
}

/// Says why there is no link: browsers see a close code, but not the status of a refused upgrade.
pub(super) fn refuse(io: TcpIo, refusal: Refusal, kind: LinkKind, settings: Settings, metrics: &LinkMetrics) {
    let conn = Conn::new(io, &[], kind.codec(), settings, metrics.clone());
    conn.close(refusal.close_code(), refusal.text());
    tokio::spawn(conn.drive());
}

impl Link for WebSocketLink {
    fn kind(&self) -> LinkKind {
        self.kind
    }

    fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn accept_stream(&self) -> BoxFuture<'_, Result<(StreamReader, StreamWriter), LinkEnd>> {
        Box::pin(async {
            let id = poll_fn(|cx| self.conn.change(|streams| streams.poll_accept(cx))).await?;
            self.metrics.opened.inc();
            let (reader, writer) = (WsReader { conn: self.conn.clone(), id }, WsWriter { conn: self.conn.clone(), id });
            Ok((
                StreamReader::new(Source::WebSocket(reader), &self.metrics),
                StreamWriter::new(Sink::WebSocket(writer), &self.metrics),
            ))
        })
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Result<Bytes, LinkEnd>> {
        Box::pin(async { Err(self.conn.closed().await) })
    }

    fn send_datagram(&self, _body: Bytes) -> Result<(), DatagramError> {
        Err(DatagramError::Unsupported)
    }

    fn datagram_bytes_max(&self) -> usize {
        0
    }

    fn close(&self, code: CloseCode, message: &str) {
        self.conn.close(code, message);
    }

    fn closed(&self) -> BoxFuture<'_, LinkEnd> {
        Box::pin(self.conn.closed())
    }
}

impl Drop for WebSocketLink {
    fn drop(&mut self) {
        self.conn.close(CloseCode::NORMAL, "");
    }
}

/// The half of a stream that the client writes.
pub(super) struct WsReader {
    conn: Arc<Conn>,
    id: u32,
}

impl WsReader {
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
        self.conn.change(|streams| streams.poll_read(self.id, cx))
    }
}

impl Drop for WsReader {
    fn drop(&mut self) {
        self.conn.change(|streams| streams.reader_gone(self.id));
    }
}

/// The half of a stream that the node writes.
pub(super) struct WsWriter {
    conn: Arc<Conn>,
    id: u32,
}

impl WsWriter {
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, frames: &mut [Bytes]) -> Poll<Result<(), WriteError>> {
        self.conn.poll_write(self.id, cx, frames)
    }

    pub(super) fn finish(&mut self) {
        self.conn.change(|streams| streams.finish(self.id));
    }

    pub(super) fn reset(&mut self, code: CloseCode) {
        self.conn.change(|streams| streams.reset(self.id, code));
    }

    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.conn.poll_drained(self.id, cx)
    }
}

impl Drop for WsWriter {
    fn drop(&mut self) {
        self.conn.change(|streams| streams.writer_gone(self.id));
    }
}
