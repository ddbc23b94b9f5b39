//! Accept a device, by WebTransport, raw QUIC or WebSocket, and turn its bytes into frames.
//!
//! Whoever uses a [`Link`] does not know which transport it is on. A link has bidirectional streams, which only the
//! client opens, and on some transports datagrams.
//!
//! | module | idea |
//! |---|---|
//! | [`config`](LinkConfig) | what links are allowed, and what it costs |
//! | [`serve`](Listeners) | opens the ports and runs what listens on them |
//! | [`udp`] · [`quic`] · [`webtransport`] | one UDP endpoint; ALPN tells raw QUIC and WebTransport apart |
//! | [`tcp`] · [`upgrade`] · [`websocket`] | HTTP on TCP, with TLS or without, and WebSocket upgraded from it |
//! | [`gate`](Counted) · [`origin`] | who may come in |
//! | [`metrics`](LinkMetrics) | what is counted |
//! | [`stream`](StreamReader) | the two halves of a stream: whole frames in, encoded frames out, both with backpressure |
//! | [`frames`] | cuts a row of byte chunks into frames, copying only those that came in pieces |
//! | [`pair`] | a link in memory, for tests |
//!
//! Nothing here buffers without a bound: a stream whose peer does not read makes [`StreamWriter::poll_write`] wait,
//! and a stream that nobody here reads makes the peer wait.

mod config;
mod end;
mod frames;
mod gate;
mod io;
mod metrics;
mod origin;
pub mod pair;
mod quic;
mod serve;
mod stream;
mod tcp;
mod udp;
mod upgrade;
mod websocket;
mod webtransport;

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use suda_schema::CloseCode;
pub use suda_schema::codec::Codec;

pub use config::{LinkConfig, QuicConfig, STREAMS_BESIDE_ATTACHMENTS, TcpConfig};
pub use end::{DatagramError, LinkEnd, ReadError, WriteError};
pub use frames::RawFrame;
pub use gate::{Address, CountGuard, Counted, OnLink};
pub use metrics::{Layer, LinkMetrics, Outcome, Rejected};
pub use serve::{ListenError, Listeners, Serving};
pub use stream::{StreamReader, StreamWriter};
pub use tcp::PlainHttp;
pub use udp::UdpBuffers;

/// The transport connection of one device.
///
/// The futures may be dropped at any time without losing anything. `accept_stream` and `recv_datagram` are each meant
/// for one caller at a time.
pub trait Link: Send + Sync + 'static {
    /// Which transport this is, for logs and metrics.
    fn kind(&self) -> LinkKind;

    /// What the frames of this link are encoded in.
    fn codec(&self) -> Codec {
        self.kind().codec()
    }

    /// Where the device is, as far as the transport knows. It may change: QUIC connections migrate.
    fn remote_addr(&self) -> SocketAddr;

    /// The next stream that the client opened.
    fn accept_stream(&self) -> BoxFuture<'_, Result<(StreamReader, StreamWriter), LinkEnd>>;

    /// The next datagram: a frame's body, without a length. On a link without datagrams this waits for its end.
    fn recv_datagram(&self) -> BoxFuture<'_, Result<Bytes, LinkEnd>>;

    /// Sends a datagram if there is room for it at once; it may be lost on the way like any other.
    fn send_datagram(&self, body: Bytes) -> Result<(), DatagramError>;

    /// The longest datagram that could be sent now; 0 where there are none.
    fn datagram_bytes_max(&self) -> usize;

    /// Ends the link at once: what streams still hold may be lost. Say `closing` in-band and wait for
    /// [`StreamWriter::drained`] before. Only the first call counts.
    fn close(&self, code: CloseCode, message: &str);

    /// Waits for the end, whoever brings it about.
    fn closed(&self) -> BoxFuture<'_, LinkEnd>;
}

impl fmt::Debug for dyn Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("kind", &self.kind()).field("remote", &self.remote_addr()).finish_non_exhaustive()
    }
}

/// The transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// WebTransport over HTTP/3: browsers.
    WebTransport,
    /// Raw QUIC: native apps.
    Quic,
    /// WebSocket with the binary subprotocol.
    WebSocket,
    /// WebSocket with the JSON subprotocol.
    WebSocketJson,
}

impl LinkKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WebTransport, Self::Quic, Self::WebSocket, Self::WebSocketJson];

    /// The name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebTransport => "webtransport",
            Self::Quic => "quic",
            Self::WebSocket => "websocket",
            Self::WebSocketJson => "websocket_json",
        }
    }

    /// What its frames are encoded in.
    #[must_use]
    pub fn codec(self) -> Codec {
        if self == Self::WebSocketJson { Codec::Json } else { Codec::Binary }
    }
}
