//! The socket of a WebSocket link: what is read from it, and what is written to it.
//!
//! The tungstenite library reads: it takes messages apart, checks them, and answers pings and goodbyes, whose bytes it
//! leaves in `control`. What streams send is put in messages here, because the library would copy each frame and keep
//! a buffer for each link.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use suda_schema::codec::Codec;
use suda_schema::limits::{WS_CHUNK_BYTES_MAX, WS_JSON_BYTES_MAX};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::super::io::TcpIo;
use super::conn::Settings;
use super::encode::Wire;
use super::streams::Streams;

/// What is read from the network at once, and the least memory that a link keeps for it.
pub(super) const READ_BYTES: usize = 4 << 10;
/// What is put together before it is written.
const WRITE_BYTES: usize = 16 << 10;
/// Answers to pings that wait to be sent: a client that sends pings and reads nothing is not read any more.
const CONTROL_BYTES_MAX: usize = 4 << 10;
/// The stream's number and what is said of it, before the bytes of a binary message.
const MUX_HEAD_BYTES_MAX: usize = 6;
/// What is read at once from a peer that was not understood any more, to be thrown away.
const DISCARD_BYTES: usize = 4 << 10;

/// The socket, and what is on its way from and to it.
pub(super) struct Socket {
    /// Gone when all is over.
    pub(super) io: Option<TcpIo>,
    pub(super) codec: Codec,
    pub(super) ws: WebSocketContext,
    pub(super) streams: Streams,
    /// Answers to pings and goodbyes, as they go on the wire.
    pub(super) control: Vec<u8>,
    pub(super) wire: Wire,
    pub(super) unflushed: bool,
    /// Writers that wait until everything is with the kernel.
    pub(super) draining: Vec<Waker>,
    /// The link's task: woken when the socket is ready again.
    pub(super) driver: Waker,
    pub(super) reading: Reading,
    pub(super) state: State,
    pub(super) heard_at: Instant,
    /// Whether the client was asked, since it was last heard, if it is still there.
    pub(super) asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Messages,
    /// Not now: too much waits to be read here.
    Full,
    /// The peer was not understood any more. What it sends is read and thrown away, because closing a socket on
    /// unread bytes resets it, and the peer might never see why.
    Discarding,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// A goodbye was said or heard; until then at most, the rest is waited for.
    Closing(Instant),
    Over,
}

impl Socket {
    pub(super) fn new(mut io: TcpIo, early: &[u8], codec: Codec, settings: &Settings) -> Self {
        io.hold_little(settings.unsent_bytes);
        let message_bytes_max = match codec {
            Codec::Binary => WS_CHUNK_BYTES_MAX + MUX_HEAD_BYTES_MAX,
            Codec::Json => WS_JSON_BYTES_MAX,
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BYTES_MAX)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        Self {
            io: Some(io),
            codec,
            ws: WebSocketContext::from_partially_read(early.to_vec(), Role::Server, Some(config)),
            streams: Streams::new(codec, settings.limits),
            control: Vec::new(),
            wire: Wire::default(),
            unflushed: false,
            draining: Vec::new(),
            driver: Waker::noop().clone(),
            reading: Reading::Messages,
            state: State::Open,
            heard_at: Instant::now(),
            asked: false,
        }
    }

    /// Whether so many answers wait to be sent that no more questions should be read.
    pub(super) fn is_choked(&self) -> bool {
        self.control.len() >= CONTROL_BYTES_MAX
    }

    pub(super) fn is_written(&self) -> bool {
        self.control.is_empty() && self.wire.is_empty() && !self.unflushed
    }

    pub(super) fn closing(&mut self, timeout: Duration) {
        if self.state == State::Open {
            self.state = State::Closing(Instant::now() + timeout);
        }
    }

    /// Has the library say something of its own.
    pub(super) fn control(&mut self, say: impl FnOnce(&mut WebSocketContext, &mut End<'_, '_>) -> Result<(), WsError>) {
        // It is written to memory; what fails is only that the other side has said goodbye already.
        let _ = say(&mut self.ws, &mut End { io: None, control: &mut self.control });
    }

    /// Ready when everything is with the kernel.
    pub(super) fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.gather();
            let Some(io) = &mut self.io else { return Poll::Ready(Ok(())) };
            if self.wire.is_empty() {
                break;
            }
            match ready!(Pin::new(io).poll_write_vectored(cx, &self.wire.slices()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.wire.advance(written),
            }
            self.unflushed = true;
        }
        if self.unflushed
            && let Some(io) = &mut self.io
        {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        if self.reading == Reading::Discarding
            && let Some(io) = &mut self.io
        {
            // The peer reads to the end, and hangs up.
            ready!(Pin::new(io).poll_shutdown(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Puts together what is written next: little, so that the turn of each stream comes soon.
    fn gather(&mut self) {
        if self.wire.len() < WRITE_BYTES && !self.control.is_empty() {
            self.wire.push(std::mem::take(&mut self.control).into());
        }
        while self.wire.len() < WRITE_BYTES && self.streams.next_message(&mut self.wire) {}
    }

    pub(super) fn discard(&mut self, cx: &mut Context<'_>) {
        let Some(io) = &mut self.io else { return };
        let mut bytes = [0; DISCARD_BYTES];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => {
                    self.reading = Reading::Done;
                    return;
                }
                Poll::Pending => return,
            }
        }
    }
}

/// What the library reads from and writes to: it reads from the socket, and what it writes is kept for later.
pub(super) struct End<'a, 'cx> {
    pub(super) io: Option<(&'a mut TcpIo, &'a mut Context<'cx>)>,
    pub(super) control: &'a mut Vec<u8>,
}

impl Read for End<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some((io, cx)) = &mut self.io else { return Err(io::ErrorKind::WouldBlock.into()) };
        let mut buf = ReadBuf::new(bytes);
        match Pin::new(&mut **io).poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) => Ok(buf.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for End<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.control.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
