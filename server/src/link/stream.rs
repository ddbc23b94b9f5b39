//! The two halves of a stream, the same on every transport.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use suda_schema::CloseCode;
use suda_schema::codec::DecodeError;

use super::frames::{Cutter, RawFrame};
use super::metrics::StreamMetrics;
use super::websocket::{WsReader, WsWriter};
use super::{Codec, LinkEnd, ReadError, WriteError, pair, quic, webtransport};

/// How much is taken from a QUIC stream at once.
const CHUNK_BYTES_MAX: usize = 64 << 10;

/// How much longer than in postcard a frame may be in JSON, where escapes and base64 take room.
const JSON_EXPANSION: usize = 2;

/// The client's half of a stream: whole frames.
///
/// Dropping it tells the peer, where the transport can, that nothing more will be read.
pub struct StreamReader {
    source: Source,
    cutter: Cutter,
    /// Pieces of a long JSON frame.
    text: String,
    bytes_in: Counter,
}

/// This node's half of a stream: frames that are encoded already.
///
/// Dropping it finishes the stream.
pub struct StreamWriter {
    sink: Sink,
    bytes_out: Counter,
}

pub(super) enum Source {
    Quic(quinn::RecvStream),
    WebTransport(wtransport::RecvStream),
    WebSocket(WsReader),
    Pair(pair::PipeReader, Codec),
}

pub(super) enum Sink {
    Quic(quinn::SendStream),
    WebTransport(wtransport::SendStream),
    WebSocket(WsWriter),
    Pair(pair::PipeWriter),
}

/// What a source yields.
pub(super) enum Chunk {
    /// Bytes of postcard frames, cut anywhere.
    Bytes(Bytes),
    /// JSON text: a whole frame, or the next piece of one.
    Text {
        /// The text.
        text: String,
        /// Whether the frame ends here.
        last: bool,
    },
}

impl StreamReader {
    pub(super) fn new(source: Source, metrics: &StreamMetrics) -> Self {
        Self { source, cutter: Cutter::default(), text: String::new(), bytes_in: metrics.bytes_in.clone() }
    }

    /// The next frame; `None` when the peer has finished the stream. A frame longer than `limit` bytes is refused by
    /// its announced length, before memory is taken for it (twice as much in JSON). After an error the stream
    /// can't be read further.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<Result<Option<RawFrame>, ReadError>> {
        loop {
            if let Some(body) = self.cutter.cut(limit)? {
                return Poll::Ready(Ok(Some(RawFrame::Binary(body))));
            }
            match ready!(self.source.poll_chunk(cx))? {
                Some(Chunk::Bytes(bytes)) => {
                    self.bytes_in.inc_by(bytes.len() as u64);
                    self.cutter.push(bytes);
                }
                Some(Chunk::Text { text, last }) => {
                    self.bytes_in.inc_by(text.len() as u64);
                    if let Some(text) = self.join(text, last, limit)? {
                        return Poll::Ready(Ok(Some(RawFrame::Json(text))));
                    }
                }
                None if self.cutter.is_midway() || !self.text.is_empty() => {
                    return Poll::Ready(Err(ReadError::HalfFrame));
                }
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// [`StreamReader::poll_frame`] as a future, which may be dropped without losing anything.
    pub async fn frame(&mut self, limit: usize) -> Result<Option<RawFrame>, ReadError> {
        poll_fn(|cx| self.poll_frame(cx, limit)).await
    }

    /// Tells the peer that nothing more will be read here, and why.
    pub fn stop(self, code: CloseCode) {
        match self.source {
            // It fails only where the stream has ended already.
            Source::Quic(mut stream) => drop(stream.stop(quic::wire_code(code))),
            Source::WebTransport(stream) => stream.stop(webtransport::stream_code(code)),
            // There it is said by ending the other half.
            Source::WebSocket(_) => {}
            Source::Pair(pipe, _) => pipe.stop(code),
        }
    }

    /// Puts the next piece of a JSON frame behind those before it.
    fn join(&mut self, text: String, last: bool, limit: usize) -> Result<Option<String>, DecodeError> {
        let (len, limit) = (self.text.len() + text.len(), limit.saturating_mul(JSON_EXPANSION));
        if len > limit {
            return Err(DecodeError::TooLarge { len: len as u64, limit });
        }
        if self.text.is_empty() && last {
            return Ok(Some(text));
        }
        self.text.push_str(&text);
        Ok(last.then(|| std::mem::take(&mut self.text)))
    }
}

impl StreamWriter {
    pub(super) fn new(sink: Sink, metrics: &StreamMetrics) -> Self {
        Self { sink, bytes_out: metrics.bytes_out.clone() }
    }

    /// Hands over `frames`, in order, as far as there is room; ready when all are taken. What was taken is cut off:
    /// a `Bytes` that was taken whole is left empty. When pending, call again with what is left before anything else,
    /// or [`reset`](Self::reset): a frame may be half written.
    ///
    /// In [`Codec::Binary`] a `Bytes` is one or more whole frames with their lengths, in [`Codec::Json`] exactly one.
    /// Nothing is copied on QUIC and WebTransport.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, frames: &mut [Bytes]) -> Poll<Result<(), WriteError>> {
        let waiting = |frames: &[Bytes]| frames.iter().map(Bytes::len).sum::<usize>();
        let before = waiting(frames);
        let result = match &mut self.sink {
            Sink::Quic(stream) => poll_write_quic(stream, cx, frames),
            Sink::WebTransport(stream) => poll_write_quic(stream.quic_stream_mut(), cx, frames),
            Sink::WebSocket(writer) => writer.poll_write(cx, frames),
            Sink::Pair(pipe) => pipe.poll_write(cx, frames),
        };
        self.bytes_out.inc_by((before - waiting(frames)) as u64);
        result
    }

    /// [`poll_write`](Self::poll_write) of one frame as a future. If it is dropped before it is ready, the stream may
    /// only be reset.
    pub async fn write(&mut self, frame: Bytes) -> Result<(), WriteError> {
        let mut frames = [frame];
        poll_fn(|cx| self.poll_write(cx, &mut frames)).await
    }

    /// [`poll_write`](Self::poll_write) of many as a future. If it is dropped before it is ready, go on with what is
    /// left in `frames`.
    pub async fn write_all(&mut self, frames: &mut [Bytes]) -> Result<(), WriteError> {
        poll_fn(|cx| self.poll_write(cx, frames)).await
    }

    /// Says that nothing more will come. What was written still goes out.
    pub fn finish(&mut self) {
        match &mut self.sink {
            // It fails only where the stream has ended already.
            Sink::Quic(stream) => drop(stream.finish()),
            Sink::WebTransport(stream) => drop(stream.quic_stream_mut().finish()),
            Sink::WebSocket(writer) => writer.finish(),
            Sink::Pair(pipe) => pipe.finish(),
        }
    }

    /// Gives the stream up: what has not gone out yet never will.
    pub fn reset(&mut self, code: CloseCode) {
        match &mut self.sink {
            // It fails only where the stream has ended already.
            Sink::Quic(stream) => drop(stream.reset(quic::wire_code(code))),
            Sink::WebTransport(stream) => drop(stream.reset(webtransport::stream_code(code))),
            Sink::WebSocket(writer) => writer.reset(code),
            Sink::Pair(pipe) => pipe.reset(code),
        }
    }

    /// [`finish`](Self::finish)es, and waits until the peer's transport has all that was written (on WebSocket: until
    /// the kernel has it), or the stream or the link ended, or `limit` is over. To be called before a link is closed.
    pub async fn drained(&mut self, limit: Duration) {
        self.finish();
        let drained = async {
            match &mut self.sink {
                // Not "stopped" is: the peer has acknowledged everything.
                Sink::Quic(stream) => drop(stream.stopped().await),
                Sink::WebTransport(stream) => drop(stream.quic_stream().stopped().await),
                Sink::WebSocket(writer) => poll_fn(|cx| writer.poll_drained(cx)).await,
                Sink::Pair(pipe) => poll_fn(|cx| pipe.poll_drained(cx)).await,
            }
        };
        let _ = tokio::time::timeout(limit, drained).await;
    }
}

impl Source {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
        match self {
            Self::Quic(stream) => poll_read_quic(stream, cx, quic::close_code),
            Self::WebTransport(stream) => poll_read_quic(stream.quic_stream_mut(), cx, webtransport::close_code),
            Self::WebSocket(reader) => reader.poll_chunk(cx),
            Self::Pair(pipe, codec) => {
                let Some(bytes) = ready!(pipe.poll_chunk(cx))? else { return Poll::Ready(Ok(None)) };
                Poll::Ready(Ok(Some(match codec {
                    Codec::Binary => Chunk::Bytes(bytes),
                    Codec::Json => {
                        let text = String::from_utf8(bytes.into()).map_err(|_| DecodeError::NotUtf8)?;
                        Chunk::Text { text, last: true }
                    }
                })))
            }
        }
    }
}

fn poll_read_quic(
    stream: &mut quinn::RecvStream,
    cx: &mut Context<'_>,
    close_code: fn(u64) -> CloseCode,
) -> Poll<Result<Option<Chunk>, ReadError>> {
    // The future keeps nothing of its own: the stream knows where it is and whom to wake.
    let chunk = ready!(pin!(stream.read_chunk(CHUNK_BYTES_MAX, true)).poll(cx));
    Poll::Ready(match chunk {
        Ok(chunk) => Ok(chunk.map(|chunk| Chunk::Bytes(chunk.bytes))),
        Err(quinn::ReadError::Reset(code)) => Err(ReadError::Reset(close_code(code.into_inner()))),
        Err(quinn::ReadError::ConnectionLost(error)) => Err(quic::link_end(error, None).into()),
        Err(error) => Err(LinkEnd::Lost(error.to_string()).into()),
    })
}

fn poll_write_quic(
    stream: &mut quinn::SendStream,
    cx: &mut Context<'_>,
    mut frames: &mut [Bytes],
) -> Poll<Result<(), WriteError>> {
    loop {
        while frames.first().is_some_and(Bytes::is_empty) {
            frames = &mut frames[1..];
        }
        if frames.is_empty() {
            return Poll::Ready(Ok(()));
        }
        // As above: the future keeps nothing of its own.
        if let Err(error) = ready!(pin!(stream.write_chunks(frames)).poll(cx)) {
            return Poll::Ready(Err(match error {
                quinn::WriteError::Stopped(code) => WriteError::Stopped(webtransport::close_code(code.into_inner())),
                quinn::WriteError::ConnectionLost(error) => quic::link_end(error, None).into(),
                _ => WriteError::Finished,
            }));
        }
    }
}
