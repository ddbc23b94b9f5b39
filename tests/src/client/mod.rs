//! A raw client over every transport.
//!
//! ```no_run
//! # use suda_schema::control::{ControlDown, ControlUp, Ping};
//! # use suda_tests::client::{Connector, Kind, RawClient};
//! # async fn run(addr: std::net::SocketAddr) -> anyhow::Result<()> {
//! let client = RawClient::connect(Kind::WebTransport, addr, [0; 32]).await?;
//! let mut stream = client.open().await?;
//! stream.send(&ControlUp::Ping(Ping { nonce: 1 })).await?;
//! let answer: ControlDown = stream.recv().await?;
//! # Ok(()) }
//! ```
//!
//! Every wait has a limit, [`WAIT`], so that a test never hangs.

mod quic;
mod tls;
mod websocket;
mod webtransport;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use suda_schema::codec::{Codec, Decoded, binary, json};
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_schema::{AppendOnly, CloseCode};

pub use tls::{client_config, leaf_hash};
pub use websocket::WsClient;

/// How long anything may take. Nothing in a test should need nearly as much, even on a busy machine.
pub const WAIT: Duration = Duration::from_secs(20);

/// The transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// WebTransport.
    WebTransport,
    /// Raw QUIC.
    Quic,
    /// WebSocket over TLS, binary subprotocol.
    WebSocket,
    /// WebSocket over TLS, JSON subprotocol.
    WebSocketJson,
    /// WebSocket over plain HTTP, JSON subprotocol: connect to the plain port.
    PlainJson,
    /// WebSocket over plain HTTP, binary subprotocol: connect to the plain port.
    Plain,
}

impl Kind {
    /// All that connect to the public port.
    pub const ALL: [Self; 4] = [Self::WebTransport, Self::Quic, Self::WebSocket, Self::WebSocketJson];

    /// What frames are encoded in.
    #[must_use]
    pub fn codec(self) -> Codec {
        if matches!(self, Self::WebSocketJson | Self::PlainJson) { Codec::Json } else { Codec::Binary }
    }

    /// Whether it is a WebSocket.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        !matches!(self, Self::WebTransport | Self::Quic)
    }
}

/// How a stream or a link ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The node finished the stream.
    #[error("the node finished the stream")]
    Finished,
    /// The node gave the stream up, or does not read it any more.
    #[error("the node reset the stream: {0:?}")]
    Reset(CloseCode),
    /// The link ended.
    #[error("the link ended: {0:?} {1:?}")]
    Link(CloseCode, String),
    /// Nothing happened in time.
    #[error("nothing happened within {WAIT:?}")]
    TimedOut,
    /// The connection broke.
    #[error("broken: {0}")]
    Broken(String),
}

impl Ended {
    /// The code with which the link was closed, if it was.
    #[must_use]
    pub fn link_code(&self) -> Option<CloseCode> {
        if let Self::Link(code, _) = self { Some(*code) } else { None }
    }
}

/// What many clients share: sockets and TLS settings. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    tls: rustls::ClientConfig,
    quic: quinn::Endpoint,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// Trusts a node by the hash of its certificate.
    pub fn new(cert_hash: [u8; 32]) -> anyhow::Result<Self> {
        Ok(Self { tls: client_config(cert_hash)?, quic: quic::endpoint()? })
    }

    /// Connects.
    pub async fn connect(&self, kind: Kind, addr: SocketAddr) -> anyhow::Result<RawClient> {
        let connecting = async {
            anyhow::Ok(match kind {
                Kind::Quic => Inner::Quic(quic::connect(&self.quic, self.tls.clone(), addr).await?),
                Kind::WebTransport => {
                    Inner::WebTransport(webtransport::connect(self.tls.clone(), addr, "/connect", None).await?)
                }
                _ => Inner::WebSocket(WsClient::connect(kind, self.tls.clone(), addr).await?),
            })
        };
        let inner = tokio::time::timeout(WAIT, connecting).await.map_err(|_| Ended::TimedOut)??;
        Ok(RawClient { kind, inner })
    }
}

/// Tries to open a WebTransport session at some path as a page of some origin; an error if the node refuses.
pub async fn try_webtransport(
    addr: SocketAddr,
    cert_hash: [u8; 32],
    path: &str,
    origin: Option<&str>,
) -> anyhow::Result<()> {
    webtransport::connect(client_config(cert_hash)?, addr, path, origin).await.map(drop)
}

/// One link, from the client's side.
pub struct RawClient {
    kind: Kind,
    inner: Inner,
}

enum Inner {
    Quic(quic::QuicClient),
    WebTransport(webtransport::WtClient),
    WebSocket(WsClient),
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Drop for RawClient {
    fn drop(&mut self) {
        // The others do so by themselves.
        if let Inner::WebSocket(client) = &self.inner {
            client.hang_up();
        }
    }
}

impl RawClient {
    /// Connects one client by itself.
    pub async fn connect(kind: Kind, addr: SocketAddr, cert_hash: [u8; 32]) -> anyhow::Result<Self> {
        Connector::new(cert_hash)?.connect(kind, addr).await
    }

    /// Over which transport.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Opens a stream. The node hears of it with the first bytes. On QUIC this waits while there are as many as the
    /// node allows.
    pub async fn open(&self) -> Result<RawStream, Ended> {
        let inner = limit(async {
            match &self.inner {
                Inner::Quic(client) => client.open().await,
                Inner::WebTransport(client) => client.open().await,
                Inner::WebSocket(client) => Ok(StreamInner::WebSocket(client.open())),
            }
        })
        .await?;
        Ok(RawStream { codec: self.kind.codec(), inner, bytes: BytesMut::new() })
    }

    /// Sends a datagram; false where the transport has none, or it is too long.
    #[must_use]
    pub fn send_datagram<F: Serialize>(&self, frame: &F) -> bool {
        let mut body = Vec::new();
        binary::put_value(frame, &mut body);
        match &self.inner {
            Inner::Quic(client) => client.send_datagram(body.into()),
            Inner::WebTransport(client) => client.send_datagram(&body),
            Inner::WebSocket(_) => false,
        }
    }

    /// The next datagram.
    pub async fn recv_datagram<F: AppendOnly + DeserializeOwned>(&self) -> anyhow::Result<F> {
        let body = limit(async {
            match &self.inner {
                Inner::Quic(client) => client.recv_datagram().await,
                Inner::WebTransport(client) => client.recv_datagram().await,
                Inner::WebSocket(client) => Err(client.closed().await),
            }
        })
        .await?;
        match binary::decode_body(&body)? {
            Decoded::Frame(frame) => Ok(frame),
            Decoded::Unknown => anyhow::bail!("an unknown datagram"),
        }
    }

    /// Closes the link, as a client that says why.
    pub fn close(&self, code: CloseCode, message: &str) {
        match &self.inner {
            Inner::Quic(client) => client.close(code, message),
            Inner::WebTransport(client) => client.close(code, message),
            Inner::WebSocket(client) => client.close(code, message),
        }
    }

    /// Waits for the end of the link.
    pub async fn closed(&self) -> Ended {
        let ended = limit(async {
            Ok(match &self.inner {
                Inner::Quic(client) => client.closed().await,
                Inner::WebTransport(client) => client.closed().await,
                Inner::WebSocket(client) => client.closed().await,
            })
        });
        ended.await.unwrap_or_else(|timed_out| timed_out)
    }

    /// The WebSocket, for what only it can do wrong.
    #[must_use]
    pub fn websocket(&self) -> Option<&WsClient> {
        if let Inner::WebSocket(client) = &self.inner { Some(client) } else { None }
    }

    /// The QUIC connection, for what only it can do wrong.
    #[must_use]
    pub fn quic(&self) -> Option<&quinn::Connection> {
        match &self.inner {
            Inner::Quic(client) => Some(client.connection()),
            Inner::WebTransport(client) => Some(client.connection()),
            Inner::WebSocket(_) => None,
        }
    }
}

/// One stream, from the client's side.
pub struct RawStream {
    codec: Codec,
    inner: StreamInner,
    /// What came and is not a whole frame yet.
    bytes: BytesMut,
}

enum StreamInner {
    Quic(quinn::SendStream, quinn::RecvStream),
    WebTransport(wtransport::SendStream, wtransport::RecvStream),
    WebSocket(websocket::WsStream),
}

impl fmt::Debug for RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl RawStream {
    /// Sends a frame.
    pub async fn send<F: Serialize>(&mut self, frame: &F) -> Result<(), Ended> {
        let bytes = self.codec.encode(frame);
        self.send_raw(bytes).await
    }

    /// Sends bytes as they are: any part of the stream's bytes, or in JSON the text of one frame.
    pub async fn send_raw(&mut self, bytes: impl Into<Bytes>) -> Result<(), Ended> {
        let bytes = bytes.into();
        limit(async {
            match &mut self.inner {
                StreamInner::Quic(send, _) => quic::send(send, &bytes).await,
                StreamInner::WebTransport(send, _) => webtransport::send(send, &bytes).await,
                StreamInner::WebSocket(stream) => stream.send(bytes).await,
            }
        })
        .await
    }

    /// The next frame. Frames that this build does not know are skipped, as a client should.
    pub async fn recv<F: AppendOnly + DeserializeOwned>(&mut self) -> anyhow::Result<F> {
        limit(async { Ok(self.next().await) }).await?
    }

    /// The next frame, within a limit of one's own: `None` if none came in time.
    pub async fn recv_within<F>(&mut self, within: Duration) -> anyhow::Result<Option<F>>
    where
        F: AppendOnly + DeserializeOwned,
    {
        tokio::time::timeout(within, self.next()).await.ok().transpose()
    }

    /// Waits for the end of the stream, and skips what comes before it.
    pub async fn ended(&mut self) -> Ended {
        self.bytes.clear();
        loop {
            match limit(self.chunk()).await {
                Ok(_) => {}
                Err(ended) => return ended,
            }
        }
    }

    /// Says that nothing more will come.
    pub async fn finish(&mut self) {
        match &mut self.inner {
            StreamInner::Quic(send, _) => drop(send.finish()),
            StreamInner::WebTransport(send, _) => drop(send.quic_stream_mut().finish()),
            StreamInner::WebSocket(stream) => stream.finish().await,
        }
    }

    /// Gives the stream up.
    pub async fn reset(&mut self, code: CloseCode) {
        match &mut self.inner {
            StreamInner::Quic(send, _) => drop(send.reset(u32::from(code.0).into())),
            StreamInner::WebTransport(send, _) => webtransport::reset(send, code),
            StreamInner::WebSocket(stream) => stream.reset(code).await,
        }
    }

    async fn next<F: AppendOnly + DeserializeOwned>(&mut self) -> anyhow::Result<F> {
        loop {
            if self.codec == Codec::Json {
                let text = self.chunk().await?;
                match json::decode(std::str::from_utf8(&text)?)? {
                    Decoded::Frame(frame) => return Ok(frame),
                    Decoded::Unknown => continue,
                }
            }
            match binary::decode(&self.bytes, FRAME_BYTES_MAX)? {
                Some((frame, len)) => {
                    self.bytes.advance(len);
                    if let Decoded::Frame(frame) = frame {
                        return Ok(frame);
                    }
                }
                None => {
                    let chunk = self.chunk().await?;
                    self.bytes.extend_from_slice(&chunk);
                }
            }
        }
    }

    /// The next bytes; in JSON the text of the next frame.
    async fn chunk(&mut self) -> Result<Bytes, Ended> {
        match &mut self.inner {
            StreamInner::Quic(_, recv) => quic::recv(recv).await,
            StreamInner::WebTransport(_, recv) => webtransport::recv(recv).await,
            StreamInner::WebSocket(stream) => stream.recv().await,
        }
    }
}

async fn limit<T>(waiting: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
    tokio::time::timeout(WAIT, waiting).await.unwrap_or(Err(Ended::TimedOut))
}

/// The code that the other side meant; 0 where it gave none of ours.
fn close_code(code: u64) -> CloseCode {
    CloseCode(u16::try_from(code).unwrap_or(0))
}
