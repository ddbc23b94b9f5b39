//! One connection of a client's, whatever the protocol: bytes come, whole frames are taken off them, answers go back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::{Bytes, BytesMut};
use suda_schema::channel::ChannelDown;
use suda_tests::client::{RawClient, RawStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{suda, ws};

/// How long a server may take for anything that one connection waits for.
pub(crate) const WAIT: Duration = Duration::from_secs(20);
/// Who hears nothing for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(600);
const READ_BYTES: usize = 16 << 10;

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// It is let in, and listens where it is to.
    Ready,
    /// Somebody has said something.
    Text(&'a [u8]),
    /// What it has said is taken.
    Ack,
}

/// A client's side of a protocol, without its socket.
pub(crate) trait Protocol: Send {
    /// What it says first.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Says something in the connection's channel.
    fn publish(&mut self, text: &str, out: &mut Vec<u8>);
    /// Takes all whole frames off what has come.
    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()>;
}

pub(crate) enum Conn {
    Tcp { socket: TcpStream, protocol: Box<dyn Protocol>, bytes: BytesMut, out: Vec<u8> },
    Quic(Box<Quic>),
}

/// suda over QUIC: attached to its channel.
pub(crate) struct Quic {
    pub(crate) stream: RawStream,
    pub(crate) _control: RawStream,
    pub(crate) _link: RawClient,
    pub(crate) came: Option<ChannelDown>,
    pub(crate) out: Vec<u8>,
}

impl Conn {
    /// A connection that is let in.
    pub(crate) async fn tcp(addr: SocketAddr, protocol: Box<dyn Protocol>) -> Result<Self> {
        Self::begin(connect(addr).await?, BytesMut::new(), protocol).await
    }

    /// The same over a WebSocket.
    pub(crate) async fn websocket(
        addr: SocketAddr,
        path: &str,
        subprotocol: Option<&str>,
        protocol: Box<dyn Protocol>,
    ) -> Result<Self> {
        let mut socket = connect(addr).await?;
        let opening = ws::open(&mut socket, path, subprotocol);
        let bytes = tokio::time::timeout(WAIT, opening).await.context("no WebSocket in time")??;
        Self::begin(socket, bytes, protocol).await
    }

    async fn begin(socket: TcpStream, bytes: BytesMut, mut protocol: Box<dyn Protocol>) -> Result<Self> {
        let mut out = Vec::new();
        protocol.begin(&mut out);
        let mut conn = Self::Tcp { socket, protocol, bytes, out };
        conn.flush().await?;
        conn.wait_for(Heard::Ready).await.context("it is not let in")?;
        Ok(conn)
    }

    /// Waits until this is heard. Nothing else is to come before.
    pub(crate) async fn wait_for(&mut self, what: Heard<'static>) -> Result<()> {
        let waiting = async {
            loop {
                let mut found = false;
                // Of a WebSocket, the first bytes may have come with the answer to its request.
                self.take(&mut |heard| found |= heard == what)?;
                self.flush().await?;
                if found {
                    return Ok(());
                }
                self.fill().await?;
            }
        };
        tokio::time::timeout(WAIT, waiting).await.context("no answer in time")?
    }

    /// Waits for something to come. May be given up at any time.
    pub(crate) async fn fill(&mut self) -> Result<()> {
        match self {
            Self::Tcp { socket, bytes, .. } => {
                bytes.reserve(READ_BYTES);
                ensure!(socket.read_buf(bytes).await? > 0, "the server has hung up");
            }
            Self::Quic(quic) => quic.came = Some(quic.stream.recv_within(SILENCE_MAX).await?.context("nothing came")?),
        }
        Ok(())
    }

    /// Takes what has come.
    pub(crate) fn take(&mut self, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        match self {
            Self::Tcp { protocol, bytes, out, .. } => protocol.hear(bytes, out, heard),
            Self::Quic(quic) => quic.came.take().map_or(Ok(()), |frame| suda::heard(&frame, heard)),
        }
    }

    /// Says something in its channel, with the next [flush](Self::flush).
    pub(crate) fn publish(&mut self, text: &str) {
        match self {
            Self::Tcp { protocol, out, .. } => protocol.publish(text, out),
            Self::Quic(quic) => quic.out.extend_from_slice(&suda::send(text)),
        }
    }

    /// Writes what is to be written.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        match self {
            Self::Tcp { socket, out, .. } if !out.is_empty() => {
                let writing = socket.write_all(out);
                tokio::time::timeout(WAIT, writing).await.context("the server reads nothing")??;
                out.clear();
            }
            Self::Quic(quic) if !quic.out.is_empty() => {
                quic.stream.send_raw(Bytes::from(std::mem::take(&mut quic.out))).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

async fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let socket = tokio::time::timeout(WAIT, TcpStream::connect(addr)).await.context("no connection in time")??;
    socket.set_nodelay(true)?;
    Ok(socket)
}
