//! A QUIC connection for h3 whose streams take only so many bytes.
//!
//! h3 gathers a frame of headers until it is whole, however long it says it is. So the bytes are counted below it, and a
//! stream that brings more than a request may have is stopped.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{
    BidiStream, Connection, ConnectionErrorIncoming, OpenStreams, RecvStream, SendStream, StreamErrorIncoming,
    StreamId, WriteBuf,
};

/// Something of a connection, and how many bytes a stream of it may still bring.
pub(super) struct Capped<T> {
    inner: T,
    bytes_left: usize,
}

impl<T> Capped<T> {
    pub(super) fn new(inner: T, bytes_left: usize) -> Self {
        Self { inner, bytes_left }
    }
}

impl Connection<Bytes> for Capped<h3_quinn::Connection> {
    type RecvStream = Capped<h3_quinn::RecvStream>;
    type OpenStreams = Capped<h3_quinn::OpenStreams>;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::RecvStream, ConnectionErrorIncoming>> {
        let stream = ready!(Connection::<Bytes>::poll_accept_recv(&mut self.inner, cx))?;
        Poll::Ready(Ok(Capped::new(stream, self.bytes_left)))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        let stream = ready!(Connection::<Bytes>::poll_accept_bidi(&mut self.inner, cx))?;
        Poll::Ready(Ok(Capped::new(stream, self.bytes_left)))
    }

    fn opener(&self) -> Self::OpenStreams {
        Capped::new(Connection::<Bytes>::opener(&self.inner), self.bytes_left)
    }
}

impl<T> OpenStreams<Bytes> for Capped<T>
where
    T: OpenStreams<Bytes, BidiStream = h3_quinn::BidiStream<Bytes>, SendStream = h3_quinn::SendStream<Bytes>>,
{
    type BidiStream = Capped<h3_quinn::BidiStream<Bytes>>;
    type SendStream = h3_quinn::SendStream<Bytes>;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        let stream = ready!(self.inner.poll_open_bidi(cx))?;
        Poll::Ready(Ok(Capped::new(stream, self.bytes_left)))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        self.inner.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.inner.close(code, reason);
    }
}

impl<T: RecvStream> RecvStream for Capped<T> {
    type Buf = T::Buf;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Self::Buf>, StreamErrorIncoming>> {
        let data = ready!(self.inner.poll_data(cx))?;
        let bytes = data.as_ref().map_or(0, Buf::remaining);
        let Some(bytes_left) = self.bytes_left.checked_sub(bytes) else {
            let code = Code::H3_EXCESSIVE_LOAD.value();
            self.inner.stop_sending(code);
            return Poll::Ready(Err(StreamErrorIncoming::StreamTerminated { error_code: code }));
        };
        self.bytes_left = bytes_left;
        Poll::Ready(Ok(data))
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.inner.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

impl<T: SendStream<Bytes>> SendStream<Bytes> for Capped<T> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_ready(cx)
    }

    fn send_data<D: Into<WriteBuf<Bytes>>>(&mut self, data: D) -> Result<(), StreamErrorIncoming> {
        self.inner.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.inner.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.inner.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.inner.send_id()
    }
}

impl<T: BidiStream<Bytes>> BidiStream<Bytes> for Capped<T> {
    type SendStream = T::SendStream;
    type RecvStream = Capped<T::RecvStream>;

    fn split(self) -> (Self::SendStream, Self::RecvStream) {
        let (send, recv) = self.inner.split();
        (send, Capped::new(recv, self.bytes_left))
    }
}
