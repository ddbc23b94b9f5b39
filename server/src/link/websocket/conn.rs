//! One WebSocket connection: hears, has its streams sent, keeps alive, says goodbye.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::codec::{Codec, json, mux};
use suda_schema::limits::WS_JSON_BYTES_MAX;
use tokio::io::AsyncWrite as _;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::super::io::TcpIo;
use super::super::metrics::{LinkMetrics, Rejected};
use super::super::stream::Chunk;
use super::super::{LinkConfig, LinkEnd, WriteError, quic};
use super::encode::Wire;
use super::socket::{End, READ_BYTES, Reading, Socket, State};
use super::streams::{Arrived, Limits, Streams, Violation};

/// Two of the longest pieces, so that one waits while the other is being sent.
const STREAM_OUT_BYTES_MIN: usize = 40 << 10;
/// The longest text that a WebSocket close can carry.
const CLOSE_TEXT_BYTES_MAX: usize = 123;

/// What a connection is allowed.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Settings {
    pub(super) limits: Limits,
    idle_timeout: Duration,
    keep_alive: Duration,
    close_timeout: Duration,
    pub(super) unsent_bytes: u32,
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
    socket: Mutex<Socket>,
    ended: Notify,
    settings: Settings,
    metrics: LinkMetrics,
}

impl Conn {
    pub(super) fn new(io: TcpIo, early: &[u8], codec: Codec, settings: Settings, metrics: LinkMetrics) -> Arc<Self> {
        let socket = Socket::new(io, early, codec, &settings);
        Arc::new(Self { socket: Mutex::new(socket), ended: Notify::new(), settings, metrics })
    }

    fn lock(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link's task.
    pub(super) async fn drive(self: Arc<Self>) {
        let mut timer = Box::pin(sleep_until(Instant::now() + self.settings.keep_alive));
        poll_fn(|cx| self.poll_drive(cx, timer.as_mut())).await;
    }

    fn poll_drive(&self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<()> {
        let mut socket = self.lock();
        socket.driver.clone_from(cx.waker());
        loop {
            self.read(&mut socket, cx);
            let choked = socket.is_choked();
            self.write(&mut socket, cx);
            // Reading stops while too many answers wait; if they just went, it goes on.
            if !choked || socket.is_choked() {
                break;
            }
        }
        loop {
            let due = self.due(&mut socket, cx);
            if socket.state == State::Over {
                return self.poll_over(&mut socket, cx);
            }
            // Each message moves the time away; it is enough to look again when the old one has come.
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
        }
    }

    /// Lets go of everything, though streams may be held for a while.
    fn poll_over(&self, socket: &mut Socket, cx: &mut Context<'_>) -> Poll<()> {
        self.end(socket, LinkEnd::Lost("the connection is over".to_owned()));
        if let Some(mut io) = socket.io.take() {
            // TLS says goodbye too, if there is room for it; nobody waits for it.
            let _ = Pin::new(&mut io).poll_shutdown(cx);
        }
        socket.wire = Wire::default();
        socket.driver = Waker::noop().clone();
        Poll::Ready(())
    }

    /// Does what time demands; when to look again.
    fn due(&self, socket: &mut Socket, cx: &mut Context<'_>) -> Instant {
        let now = Instant::now();
        if let State::Closing(until) = socket.state {
            if now >= until || (socket.reading == Reading::Done && socket.is_written()) {
                socket.state = State::Over;
            }
            return until;
        }
        // What this node has not read yet may be what would show that the client lives.
        if socket.reading == Reading::Full {
            socket.heard_at = now;
        }
        if now >= socket.heard_at + self.settings.idle_timeout {
            self.say_goodbye(socket, CloseCode::IDLE, "nothing was heard for too long", LinkEnd::TimedOut);
            self.write(socket, cx);
            return now + self.settings.close_timeout;
        }
        let ask_at = socket.heard_at + self.settings.keep_alive;
        if now >= ask_at && !socket.asked {
            socket.asked = true;
            socket.control(|ws, end| ws.write(end, Message::Ping(Bytes::new())));
            self.write(socket, cx);
        }
        if socket.asked { socket.heard_at + self.settings.idle_timeout } else { ask_at }
    }

    fn read(&self, socket: &mut Socket, cx: &mut Context<'_>) {
        loop {
            match socket.reading {
                Reading::Done => return,
                Reading::Discarding => return socket.discard(cx),
                Reading::Messages | Reading::Full => {}
            }
            socket.reading = if socket.streams.is_full() { Reading::Full } else { Reading::Messages };
            if socket.reading == Reading::Full || socket.is_choked() {
                return;
            }
            let Socket { io: Some(io), ws, control, .. } = &mut *socket else { return };
            match ws.read(&mut End { io: Some((io, cx)), control }) {
                Ok(message) => {
                    socket.heard_at = Instant::now();
                    socket.asked = false;
                    if let Err(violation) = self.heard(socket, message) {
                        self.violated(socket, &violation);
                    }
                }
                Err(WsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.not_read(socket, &error),
            }
        }
    }

    fn heard(&self, socket: &mut Socket, message: Message) -> Result<(), Violation> {
        let (id, arrived) = match (message, socket.codec) {
            (Message::Close(frame), _) => {
                let (code, message) = frame.map_or((CloseCode::NORMAL, String::new()), |frame| {
                    (quic::close_code(u16::from(frame.code).into()), frame.reason.to_string())
                });
                socket.closing(self.settings.close_timeout);
                self.end(socket, LinkEnd::Peer { code, message });
                return Ok(());
            }
            (Message::Ping(_) | Message::Pong(_) | Message::Frame(_), _) => return Ok(()),
            // What comes after the goodbye is only read away.
            _ if socket.state != State::Open => return Ok(()),
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
        socket.streams.arrived(id, arrived)
    }

    /// The library could not read on.
    fn not_read(&self, socket: &mut Socket, error: &WsError) {
        match error {
            WsError::ConnectionClosed | WsError::AlreadyClosed => {
                socket.reading = Reading::Done;
                socket.closing(self.settings.close_timeout);
            }
            WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                self.broken(socket, "the peer left without a goodbye".to_owned());
            }
            WsError::Io(error) => self.broken(socket, error.to_string()),
            error => {
                let counted =
                    if matches!(error, WsError::Capacity(_)) { Rejected::TooLarge } else { Rejected::Malformed };
                self.violated(socket, &Violation::new(counted, error.to_string()));
                socket.reading = Reading::Discarding;
            }
        }
    }

    /// Writes what there is, as far as the socket takes it. `cx` must be the driver's.
    fn write(&self, socket: &mut Socket, cx: &mut Context<'_>) {
        match socket.poll_write_all(cx) {
            Poll::Ready(Ok(())) => {
                for waker in socket.draining.drain(..) {
                    waker.wake();
                }
            }
            Poll::Ready(Err(error)) => self.broken(socket, error.to_string()),
            Poll::Pending => {}
        }
    }

    /// Changes something about the streams, and sends what that made to send.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Streams) -> T) -> T {
        let mut socket = self.lock();
        let changed = change(&mut socket.streams);
        self.write_as_driver(&mut socket);
        if socket.reading == Reading::Full && !socket.streams.is_full() {
            socket.driver.wake_by_ref();
        }
        changed
    }

    /// Whoever writes tries the socket at once, in the driver's name: if it is full, the driver is woken when it is not.
    fn write_as_driver(&self, socket: &mut Socket) {
        if socket.state == State::Open && socket.streams.has_messages() {
            let driver = socket.driver.clone();
            self.write(socket, &mut Context::from_waker(&driver));
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
        let mut socket = self.lock();
        if socket.streams.ended().is_some() || (socket.streams.is_drained(id) && socket.is_written()) {
            return Poll::Ready(());
        }
        if !socket.draining.iter().any(|waker| waker.will_wake(cx.waker())) {
            socket.draining.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Says goodbye. Streams are over at once; the task waits for the client's half.
    pub(super) fn close(&self, code: CloseCode, text: &str) {
        let mut socket = self.lock();
        self.say_goodbye(&mut socket, code, text, LinkEnd::Local(code));
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

    fn say_goodbye(&self, socket: &mut Socket, code: CloseCode, text: &str, end: LinkEnd) {
        if socket.state != State::Open {
            return;
        }
        let reason = text.get(..text.floor_char_boundary(CLOSE_TEXT_BYTES_MAX)).unwrap_or_default();
        let frame = CloseFrame { code: code.0.into(), reason: reason.into() };
        socket.control(|ws, end| ws.close(end, Some(frame)));
        socket.closing(self.settings.close_timeout);
        self.end(socket, end);
        // It writes the goodbye, and watches the time.
        socket.driver.wake_by_ref();
    }

    fn violated(&self, socket: &mut Socket, violation: &Violation) {
        if socket.state == State::Open {
            self.metrics.rejected(violation.counted);
        }
        let code = CloseCode::PROTOCOL_ERROR;
        self.say_goodbye(socket, code, &violation.text, LinkEnd::Local(code));
    }

    fn broken(&self, socket: &mut Socket, error: String) {
        socket.state = State::Over;
        socket.reading = Reading::Done;
        self.end(socket, LinkEnd::Lost(error));
        // To clean up, if it was not the driver who found out.
        socket.driver.wake_by_ref();
    }

    fn end(&self, socket: &mut Socket, end: LinkEnd) {
        socket.streams.end(end);
        self.ended.notify_waiters();
        for waker in socket.draining.drain(..) {
            waker.wake();
        }
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
