//! Links over real transports: what the driver holds of one, and the tasks that move its bytes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use quinn::{ConnectionError, ReadError, WriteError};
use suda_schema::CloseCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::driver::Shared;
use crate::core::io::{LinkId, Piece, StreamId, Transmit};
use crate::core::mux;

/// How many pieces may wait to be written on one stream, or on one WebSocket.
const PIECES_MAX: usize = 2;
/// The longest read at once.
const READ_BYTES_MAX: usize = 64 << 10;
/// Where WebTransport's stream codes lie among those of HTTP/3. The library does not translate them.
const FIRST_STREAM_CODE: u64 = 0x52e4_a40f_a8db;

/// A connection that was just made.
pub(super) enum Conn {
    Quic(quinn::Connection, quinn::SendStream, quinn::RecvStream),
    WebTransport(Box<super::webtransport::Opened>),
    WebSocket(Box<super::websocket::Socket>),
}

/// A link, as the driver holds it. Its tasks end with it.
pub(super) struct LinkHandle {
    way: Way,
    tasks: JoinSet<()>,
}

enum Way {
    Streams { conn: StreamConn, streams: HashMap<StreamId, mpsc::Sender<Piece>> },
    Socket { pieces: mpsc::Sender<Vec<u8>>, close: Option<tokio::sync::oneshot::Sender<CloseCode>> },
}

/// A connection with streams of its own.
#[derive(Clone)]
pub(super) enum StreamConn {
    Quic(quinn::Connection),
    WebTransport(Arc<super::webtransport::Session>),
}

impl LinkHandle {
    /// Starts the tasks of a link that stands.
    pub(super) fn start(shared: &Arc<Shared>, link: LinkId, conn: Conn) -> Self {
        let mut tasks = JoinSet::new();
        let way = match conn {
            Conn::Quic(conn, send, recv) => {
                let conn = StreamConn::Quic(conn);
                let control = (Half::Quic(send), Half2::Quic(recv));
                streams(&mut tasks, shared, link, conn, control)
            }
            Conn::WebTransport(opened) => {
                let super::webtransport::Opened { session, send, recv } = *opened;
                let conn = StreamConn::WebTransport(Arc::new(session));
                let control = (Half::WebTransport(send), Half2::WebTransport(recv));
                streams(&mut tasks, shared, link, conn, control)
            }
            Conn::WebSocket(socket) => {
                let (pieces, waiting) = mpsc::channel(PIECES_MAX);
                let (close, closing) = tokio::sync::oneshot::channel();
                tasks.spawn(super::websocket::serve(Arc::clone(shared), link, *socket, waiting, closing));
                Way::Socket { pieces, close: Some(close) }
            }
        };
        Self { way, tasks }
    }

    /// Whether a stream has room for a piece.
    pub(super) fn has_room(&self, stream: StreamId) -> bool {
        match &self.way {
            Way::Streams { streams, .. } => streams.get(&stream).is_none_or(|pieces| pieces.capacity() > 0),
            Way::Socket { pieces, .. } => pieces.capacity() > 0,
        }
    }

    /// Has a piece written. There must be room for it.
    pub(super) fn write(&mut self, shared: &Arc<Shared>, link: LinkId, transmit: Transmit) {
        match &mut self.way {
            Way::Socket { pieces, .. } => {
                // It fails only after the link's end, which is told elsewhere.
                let _ = pieces.try_send(mux::encode(&transmit));
            }
            Way::Streams { conn, streams } => {
                let Transmit { stream, what } = transmit;
                // Tasks of streams that have ended leave their results behind.
                while self.tasks.try_join_next().is_some() {}
                let is_last = !matches!(what, Piece::Data(_));
                let pieces = streams.entry(stream).or_insert_with(|| {
                    let (pieces, waiting) = mpsc::channel(PIECES_MAX);
                    self.tasks.spawn(open_and_serve(Arc::clone(shared), link, conn.clone(), stream, waiting));
                    pieces
                });
                let _ = pieces.try_send(what);
                if is_last && stream != StreamId::CONTROL {
                    streams.remove(&stream);
                }
            }
        }
    }

    /// Sends a datagram, if the link has them and there is room: it may be lost in any case.
    pub(super) fn datagram(&self, body: Bytes) {
        let _ = match &self.way {
            Way::Streams { conn: StreamConn::Quic(conn), .. } => conn.send_datagram(body).is_ok(),
            Way::Streams { conn: StreamConn::WebTransport(session), .. } => session.send_datagram(&body),
            Way::Socket { .. } => false,
        };
    }

    /// Closes the link with a code, as far as that is possible; its tasks end.
    pub(super) fn close(mut self, code: CloseCode) {
        match &mut self.way {
            Way::Streams { conn: StreamConn::Quic(conn), .. } => conn.close(u32::from(code.0).into(), b""),
            Way::Streams { conn: StreamConn::WebTransport(session), .. } => session.close(code),
            Way::Socket { close, .. } => {
                // The task says goodbye, with a limit, and ends.
                if let Some(close) = close.take() {
                    let _ = close.send(code);
                }
                self.tasks.detach_all();
            }
        }
    }
}

fn streams(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    link: LinkId,
    conn: StreamConn,
    control: (Half, Half2),
) -> Way {
    let (pieces, waiting) = mpsc::channel(PIECES_MAX);
    tasks.spawn(serve(Arc::clone(shared), link, StreamId::CONTROL, control, waiting));
    let (watched, shared) = (conn.clone(), Arc::clone(shared));
    tasks.spawn(async move {
        let error = loop {
            // They end with the link.
            let datagram = match &watched {
                StreamConn::Quic(conn) => conn.read_datagram().await.ok(),
                StreamConn::WebTransport(session) => session.datagram().await,
            };
            match (datagram, &watched) {
                (Some(body), _) => shared.datagram(link, &body),
                (None, StreamConn::Quic(conn)) => break conn.closed().await,
                (None, StreamConn::WebTransport(session)) => break session.quic().closed().await,
            }
        };
        shared.link_ended(link, code_of(&error));
    });
    Way::Streams { conn, streams: HashMap::from([(StreamId::CONTROL, pieces)]) }
}

fn code_of(error: &ConnectionError) -> Option<CloseCode> {
    let ConnectionError::ApplicationClosed(close) = error else { return None };
    u16::try_from(close.error_code.into_inner()).ok().filter(|code| *code >= 4_000).map(CloseCode)
}

/// The sending half of a stream.
pub(super) enum Half {
    Quic(quinn::SendStream),
    WebTransport(wtransport::SendStream),
}

/// The receiving half.
pub(super) enum Half2 {
    Quic(quinn::RecvStream),
    WebTransport(wtransport::RecvStream),
}

impl Half {
    fn quic(&mut self) -> &mut quinn::SendStream {
        match self {
            Self::Quic(stream) => stream,
            Self::WebTransport(stream) => stream.quic_stream_mut(),
        }
    }

    fn reset(&mut self, code: CloseCode) {
        let code = match self {
            Self::Quic(_) => u64::from(code.0),
            Self::WebTransport(_) => FIRST_STREAM_CODE + u64::from(code.0) + u64::from(code.0) / 0x1e,
        };
        // It fails only where the stream has ended already.
        if let Ok(code) = quinn::VarInt::from_u64(code) {
            let _ = self.quic().reset(code);
        }
    }
}

impl Half2 {
    fn quic(&mut self) -> &mut quinn::RecvStream {
        match self {
            Self::Quic(stream) => stream,
            Self::WebTransport(stream) => stream.quic_stream_mut(),
        }
    }

    fn code(&self, code: u64) -> CloseCode {
        let code = match self {
            Self::Quic(_) => code,
            Self::WebTransport(_) => {
                let shifted = code.saturating_sub(FIRST_STREAM_CODE);
                shifted - shifted / 0x1f
            }
        };
        CloseCode(u16::try_from(code).unwrap_or(0))
    }
}

async fn open_and_serve(
    shared: Arc<Shared>,
    link: LinkId,
    conn: StreamConn,
    stream: StreamId,
    waiting: mpsc::Receiver<Piece>,
) {
    // It waits as long as the node has no room for more streams; that the link ended is told elsewhere.
    let opened = match &conn {
        StreamConn::Quic(conn) => conn.open_bi().await.ok().map(|(send, recv)| (Half::Quic(send), Half2::Quic(recv))),
        StreamConn::WebTransport(session) => session.open().await,
    };
    if let Some(halves) = opened {
        serve(shared, link, stream, halves, waiting).await;
    }
}

/// Moves the bytes of one stream, in both directions, until both have ended.
async fn serve(
    shared: Arc<Shared>,
    link: LinkId,
    stream: StreamId,
    (mut send, mut recv): (Half, Half2),
    mut waiting: mpsc::Receiver<Piece>,
) {
    let (mut reads, mut writes) = (true, true);
    let (mut current, mut pause) = (Bytes::new(), None);
    while reads || writes {
        tokio::select! {
            piece = waiting.recv(), if writes && current.is_empty() => {
                match piece {
                    Some(Piece::Data(bytes)) => current = bytes,
                    Some(Piece::Fin) => {
                        // It fails only where the node has stopped the stream, and then nothing is to be said.
                        let _ = send.quic().finish();
                        writes = false;
                    }
                    Some(Piece::Reset(code)) => {
                        send.reset(code);
                        writes = false;
                    }
                    None => writes = false,
                }
                shared.wake();
            }
            wrote = send.quic().write(&current), if writes && !current.is_empty() => match wrote {
                Ok(count) => current.advance(count),
                Err(WriteError::ConnectionLost(_)) => return,
                Err(_) => {
                    // Nobody reads it; what comes back says why.
                    current.clear();
                    writes = false;
                    waiting.close();
                }
            },
            () = sleep_until(pause.unwrap_or_else(Instant::now)), if pause.is_some() => pause = None,
            read = recv.quic().read_chunk(READ_BYTES_MAX, true), if reads && pause.is_none() => {
                let piece = match read {
                    Ok(Some(chunk)) => Piece::Data(chunk.bytes),
                    Ok(None) => Piece::Fin,
                    Err(ReadError::Reset(code)) => Piece::Reset(recv.code(code.into_inner())),
                    Err(_) => return,
                };
                reads = matches!(piece, Piece::Data(_));
                shared.received(link, stream, &piece);
                if let Piece::Data(bytes) = &piece && stream != StreamId::CONTROL {
                    pause = shared.network.pause(bytes.len()).map(|pause| Instant::now() + pause);
                }
                tokio::task::consume_budget().await;
            }
        }
    }
}
