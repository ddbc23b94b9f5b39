//! One WebSocket connection: reads, writes, keeps alive, says goodbye.
//!
//! The tungstenite library reads: it takes messages apart, checks them, and answers pings and goodbyes, whose bytes it
//! leaves in `control`. What streams send is put in messages here, because the library would copy each frame and keep
//! a buffer for each link.

use std::future::{Future as _, poll_fn};
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::codec::{Codec, json, mux};
use suda_schema::limits::{WS_CHUNK_BYTES_MAX, WS_JSON_BYTES_MAX};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::super::io::TcpIo;
use super::super::metrics::{LinkMetrics, Rejected};
use super::super::stream::Chunk;
use super::super::{LinkConfig, LinkEnd, WriteError, quic};
use super::encode::Wire;
use super::streams::{Arrived, Limits, Streams, Violation};

/// What is read from the network at once, and the least memory that a link keeps for it.
const READ_BYTES: usize = 4 << 10;
/// What is put together before it is written.
const WRITE_BYTES: usize = 16 << 10;
/// Two of the longest pieces, so that one waits while the other is being sent.
const STREAM_OUT_BYTES_MIN: usize = 40 << 10;
/// Answers to pings that wait to be sent: a client that sends pings and reads nothing is not read any more.
const CONTROL_BYTES_MAX: usize = 4 << 10;
/// The stream's number and what is said of it, before the bytes of a binary message.
const MUX_HEAD_BYTES_MAX: usize = 6;
/// What is read at once from a peer that was not understood any more, to be thrown away.
const DISCARD_BYTES: usize = 4 << 10;
/// The longest text that a WebSocket close can carry.
const CLOSE_TEXT_BYTES_MAX: usize = 123;

/// What a connection is allowed.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Settings {
    limits: Limits,
    idle_timeout: Duration,
    keep_alive: Duration,
    close_timeout: Duration,
    unsent_bytes: u32,
}

impl From<&LinkConfig> for Settings {
    fn from(config: &LinkConfig) -> Self {
        Self {
            limits: Limits {
                streams_max: config.streams_max as usize,
                stream_out_bytes: config.tcp.ws_stream_out_bytes.max(STREAM_OUT_BYTES_MIN),
                out_bytes: config.tcp.ws_out_bytes,
                in_bytes: config.tcp.ws_in_bytes,
            },
            idle_timeout: config.idle_timeout,
            keep_alive: config.keep_alive,
            close_timeout: config.tcp.ws_close_timeout,
            unsent_bytes: config.tcp.ws_unsent_bytes,
        }
    }
}

pub(super) struct Conn {
    inner: Mutex<Inner>,
    ended: Notify,
    settings: Settings,
    metrics: LinkMetrics,
}

struct Inner {
    /// Gone when all is over.
    io: Option<TcpIo>,
    codec: Codec,
    ws: WebSocketContext,
    streams: Streams,
    /// Answers to pings and goodbyes, as they go on the wire.
    control: Vec<u8>,
    wire: Wire,
    unflushed: bool,
    /// Writers that wait until everything is with the kernel.
    draining: Vec<Waker>,
    /// The link's task: woken when the socket is ready again.
    driver: Waker,
    reading: Reading,
    state: State,
    heard_at: Instant,
    /// Whether the client was asked, since it was last heard, if it is still there.
    asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Messages,
    /// Not now: too much waits to be read here.
    Full,
    /// The peer was not understood any more. What it sends is read and thrown away, because closing a socket on
    /// unread bytes resets it, and the peer might never see why.
    Discarding,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A goodbye was said or heard; until then at most, the rest is waited for.
    Closing(Instant),
    Over,
}

impl Conn {
    pub(super) fn new(
        mut io: TcpIo,
        early: &[u8],
        codec: Codec,
        settings: Settings,
        metrics: LinkMetrics,
    ) -> Arc<Self> {
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
        let inner = Inner {
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
        };
        Arc::new(Self { inner: Mutex::new(inner), ended: Notify::new(), settings, metrics })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link's task.
    pub(super) async fn drive(self: Arc<Self>) {
        let mut timer = Box::pin(sleep_until(Instant::now() + self.settings.keep_alive));
        poll_fn(|cx| self.poll_drive(cx, timer.as_mut())).await;
    }

    fn poll_drive(&self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        let mut inner = self.lock();
        inner.driver.clone_from(cx.waker());
        loop {
            self.read(&mut inner, cx);
            let choked = inner.is_choked();
            self.write(&mut inner, cx);
            // Reading stops while too many answers wait; if they just went, it goes on.
            if !choked || inner.is_choked() {
                break;
            }
        }
        loop {
            let due = self.due(&mut inner, cx);
            if inner.state == State::Over {
                return self.poll_over(&mut inner, cx);
            }
            // Each message moves the time away; it is enough to look again when the old one has come.
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }

    /// Lets go of everything, though streams may be held for a while.
    fn poll_over(&self, inner: &mut Inner, cx: &mut Context<'_>) -> Poll<()> {
        self.end(inner, LinkEnd::Lost("the connection is over".to_owned()));
        if let Some(mut io) = inner.io.take() {
            // TLS says goodbye too, if there is room for it; nobody waits for it.
            let _ = Pin::new(&mut io).poll_shutdown(cx);
        }
        inner.wire = Wire::default();
        inner.driver = Waker::noop().clone();
        Poll::Ready(())
    }

    /// Does what time demands; when to look again.
    fn due(&self, inner: &mut Inner, cx: &mut Context<'_>) -> Instant {
        let now = Instant::now();
        if let State::Closing(until) = inner.state {
            if now >= until || (inner.reading == Reading::Done && inner.is_written()) {
                inner.state = State::Over;
            }
            return until;
        }
        // What this node has not read yet may be what would show that the client lives.
        if inner.reading == Reading::Full {
            inner.heard_at = now;
        }
        if now >= inner.heard_at + self.settings.idle_timeout {
            self.say_goodbye(inner, CloseCode::IDLE, "nothing was heard for too long", LinkEnd::TimedOut);
            self.write(inner, cx);
            return now + self.settings.close_timeout;
        }
        let ask_at = inner.heard_at + self.settings.keep_alive;
        if now >= ask_at && !inner.asked {
            inner.asked = true;
            inner.control(|ws, end| ws.write(end, Message::Ping(Bytes::new())));
            self.write(inner, cx);
        }
        if inner.asked { inner.heard_at + self.settings.idle_timeout } else { ask_at }
    }

    fn read(&self, inner: &mut Inner, cx: &mut Context<'_>) {
        loop {
            match inner.reading {
                Reading::Done => return,
                Reading::Discarding => return inner.discard(cx),
                Reading::Messages | Reading::Full => {}
            }
            inner.reading = if inner.streams.is_full() { Reading::Full } else { Reading::Messages };
            if inner.reading == Reading::Full || inner.is_choked() {
                return;
            }
            let Inner { io: Some(io), ws, control, .. } = &mut *inner else { return };
            match ws.read(&mut End { io: Some((io, cx)), control }) {
                Ok(message) => {
                    inner.heard_at = Instant::now();
                    inner.asked = false;
                    if let Err(violation) = self.heard(inner, message) {
                        self.violated(inner, &violation);
                    }
                }
                Err(WsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.not_read(inner, &error),
            }
        }
    }

    fn heard(&self, inner: &mut Inner, message: Message) -> Result<(), Violation> {
        let (id, arrived) = match (message, inner.codec) {
            (Message::Close(frame), _) => {
                let (code, message) = frame.map_or((CloseCode::NORMAL, String::new()), |frame| {
                    (quic::close_code(u16::from(frame.code).into()), frame.reason.to_string())
                });
                inner.closing(self.settings.close_timeout);
                self.end(inner, LinkEnd::Peer { code, message });
                return Ok(());
            }
            (Message::Ping(_) | Message::Pong(_) | Message::Frame(_), _) => return Ok(()),
            // What comes after the goodbye is only read away.
            _ if inner.state != State::Open => return Ok(()),
            (Message::Binary(bytes), Codec::Binary) => from_binary(&bytes)?,
            (Message::Text(text), Codec::Json) => from_json(&text)?,
            (Message::Text(_), Codec::Binary) => {
                let text = "a text message, where the subprotocol suda.1.bin has binary ones";
                return Err(Violation::new(Rejected::Malformed, text));
            }
            (Message::Binary(_), Codec::Json) => {
                let text = "a binary message, where the subprotocol suda.1.json has text ones";
                return Err(Violation::new(Rejected::Malformed, text));
            }
        };
        inner.streams.arrived(id, arrived)
    }

    /// The library could not read on.
    fn not_read(&self, inner: &mut Inner, error: &WsError) {
        match error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => {
                inner.reading = Reading::Done;
                inner.closing(self.settings.close_timeout);
            }
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                self.broken(inner, "the peer left without a goodbye".to_owned());
            }
            WsError::Io(error) => self.broken(inner, error.to_string()),
            error => {
                let counted =
                    if matches!(error, WsError::Capacity(_)) { Rejected::TooLarge } else { Rejected::Malformed };
                self.violated(inner, &Violation::new(counted, error.to_string()));
                inner.reading = Reading::Discarding;
            }
        }
    }

    /// Writes what there is, as far as the socket takes it. `cx` must be the driver's.
    fn write(&self, inner: &mut Inner, cx: &mut Context<'_>) {
        match inner.poll_write_all(cx) {
            Poll::Ready(Ok(())) => {
                for waker in inner.draining.drain(..) {
                    waker.wake();
                }
            }
            Poll::Ready(Err(error)) => self.broken(inner, error.to_string()),
            Poll::Pending => {}
        }
    }

    /// Changes something about the streams, and sends what that made to send.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Streams) -> T) -> T {
        let mut inner = self.lock();
        let changed = change(&mut inner.streams);
        self.write_as_driver(&mut inner);
        if inner.reading == Reading::Full && !inner.streams.is_full() {
            inner.driver.wake_by_ref();
        }
        changed
    }

    /// Whoever writes tries the socket at once, in the driver's name: if it is full, the driver is woken when it is not.
    fn write_as_driver(&self, inner: &mut Inner) {
        if inner.state == State::Open && inner.streams.has_messages() {
            let driver = inner.driver.clone();
            self.write(inner, &mut Context::from_waker(&driver));
        }
    }

    pub(super) fn poll_write(
        &self,
        id: u32,
        cx: &mut Context<'_>,
        frames: &mut [Bytes],
    ) -> Poll<Result<(), WriteError>> {
        let waiting = |frames: &[Bytes]| frames.iter().map(Bytes::len).sum::<usize>();
        loop {
            let before = waiting(frames);
            let result = self.change(|streams| streams.poll_write(id, cx, frames));
            // If some was taken and more waits, there may be room for it by now.
            if result.is_ready() || waiting(frames) == before {
                return result;
            }
        }
    }

    pub(super) fn poll_drained(&self, id: u32, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.streams.ended().is_some() || (inner.streams.is_drained(id) && inner.is_written()) {
            return Poll::Ready(());
        }
        if !inner.draining.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.draining.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Says goodbye. Streams are over at once; the task waits for the client's half.
    pub(super) fn close(&self, code: CloseCode, text: &str) {
        let mut inner = self.lock();
        self.say_goodbye(&mut inner, code, text, LinkEnd::Local(code));
    }

    pub(super) async fn closed(&self) -> LinkEnd {
        loop {
            let mut ended = pin!(self.ended.notified());
            ended.as_mut().enable();
            if let Some(end) = self.lock().streams.ended() {
                return end.clone();
            }
            ended.await;
        }
    }

    fn say_goodbye(&self, inner: &mut Inner, code: CloseCode, text: &str, end: LinkEnd) {
        if inner.state != State::Open {
            return;
        }
        let reason = text.get(..text.floor_char_boundary(CLOSE_TEXT_BYTES_MAX)).unwrap_or_default();
        let frame = CloseFrame { code: code.0.into(), reason: reason.into() };
        inner.control(|ws, end| ws.close(end, Some(frame)));
        inner.closing(self.settings.close_timeout);
        self.end(inner, end);
        // It writes the goodbye, and watches the time.
        inner.driver.wake_by_ref();
    }

    fn violated(&self, inner: &mut Inner, violation: &Violation) {
        if inner.state == State::Open {
            self.metrics.rejected(violation.counted);
        }
        let code = CloseCode::PROTOCOL_ERROR;
        self.say_goodbye(inner, code, &violation.text, LinkEnd::Local(code));
    }

    fn broken(&self, inner: &mut Inner, error: String) {
        inner.state = State::Over;
        inner.reading = Reading::Done;
        self.end(inner, LinkEnd::Lost(error));
        // To clean up, if it was not the driver who found out.
        inner.driver.wake_by_ref();
    }

    fn end(&self, inner: &mut Inner, end: LinkEnd) {
        inner.streams.end(end);
        self.ended.notify_waiters();
        for waker in inner.draining.drain(..) {
            waker.wake();
        }
    }
}

impl Inner {
    /// Whether so many answers wait to be sent that no more questions should be read.
    fn is_choked(&self) -> bool {
        self.control.len() >= CONTROL_BYTES_MAX
    }

    fn is_written(&self) -> bool {
        self.control.is_empty() && self.wire.is_empty() && !self.unflushed
    }

    fn closing(&mut self, timeout: Duration) {
        if self.state == State::Open {
            self.state = State::Closing(Instant::now() + timeout);
        }
    }

    /// Has the library say something of its own.
    fn control(&mut self, say: impl FnOnce(&mut WebSocketContext, &mut End<'_, '_>) -> Result<(), WsError>) {
        // It is written to memory; what fails is only that the other side has said goodbye already.
        let _ = say(&mut self.ws, &mut End { io: None, control: &mut self.control });
    }

    /// Ready when everything is with the kernel.
    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    fn discard(&mut self, cx: &mut Context<'_>) {
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
struct End<'a, 'cx> {
    io: Option<(&'a mut TcpIo, &'a mut Context<'cx>)>,
    control: &'a mut Vec<u8>,
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

fn from_binary(bytes: &Bytes) -> Result<(u32, Arrived), Violation> {
    let (id, message) = mux::decode_message(bytes)?;
    let arrived = match message {
        // A slice would keep the whole read buffer, which for a short one is out of proportion to what it counts.
        mux::Message::Data(payload) if payload.len() < READ_BYTES => {
            Arrived::Chunk(Chunk::Bytes(Bytes::copy_from_slice(payload)))
        }
        mux::Message::Data(payload) => Arrived::Chunk(Chunk::Bytes(bytes.slice_ref(payload))),
        mux::Message::Fin => Arrived::Fin,
        mux::Message::Reset(code) => Arrived::Reset(code),
    };
    Ok((id, arrived))
}

fn from_json(text: &str) -> Result<(u32, Arrived), Violation> {
    let (id, message) = json::decode_message(text, WS_JSON_BYTES_MAX)?;
    let arrived = match message {
        json::Message::Frame(text) => Arrived::Chunk(Chunk::Text { text: text.into_owned(), last: true }),
        json::Message::Part { text, last } => Arrived::Chunk(Chunk::Text { text: text.into_owned(), last }),
        json::Message::Fin => Arrived::Fin,
        json::Message::Reset(code) => Arrived::Reset(code),
    };
    Ok((id, arrived))
}
