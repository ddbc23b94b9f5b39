//! A TCP connection, with TLS or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

/// What rustls may hold encrypted and unsent.
const TLS_OUT_BYTES_MAX: usize = 32 << 10;

pub(super) enum TcpIo {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl TcpIo {
    /// Whether HTTP/2 was agreed on in the TLS handshake.
    pub(super) fn is_http2(&self) -> bool {
        if let Self::Tls(tls) = self { tls.get_ref().1.alpn_protocol() == Some(b"h2") } else { false }
    }

    /// Has less waiting behind what was handed over already: in TLS, and in the kernel where it can be told so.
    pub(super) fn hold_little(&mut self, unsent_bytes: u32) {
        let tcp = match self {
            Self::Plain(tcp) => &*tcp,
            Self::Tls(tls) => {
                let (tcp, session) = tls.get_mut();
                session.set_buffer_limit(Some(TLS_OUT_BYTES_MAX));
                &*tcp
            }
        };
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // Without it only fairness suffers.
        let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(unsent_bytes);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = (tcp, unsent_bytes);
    }
}

macro_rules! either {
    ($self:ident, |$io:ident| $call:expr) => {
        match $self.get_mut() {
            TcpIo::Plain($io) => {
                let $io = Pin::new($io);
                $call
            }
            TcpIo::Tls($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
        }
    };
}

impl AsyncRead for TcpIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, |io| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for TcpIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, |io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, |io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, |io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, |io| io.poll_shutdown(cx))
    }
}

/// A connection that breaks when its peer takes nothing for too long, or does not even begin to speak: hyper waits for
/// ever.
pub(super) struct Impatient {
    io: TcpIo,
    stall_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    /// So many bytes must come until then.
    greeting: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Impatient {
    pub(super) fn new(io: TcpIo, stall_timeout: Duration, greeting_bytes: usize, greeting_timeout: Duration) -> Self {
        let greeting =
            (greeting_bytes > 0).then(|| (greeting_bytes, Box::pin(sleep_until(Instant::now() + greeting_timeout))));
        Self { io, stall_timeout, stalled: None, greeting }
    }

    pub(super) fn into_inner(self) -> TcpIo {
        self.io
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timeout = self.stall_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.io).poll_read(cx, buf);
        let Some((missing, until)) = &mut this.greeting else { return result };
        let read = buf.filled().len() - before;
        if read >= *missing || matches!(result, Poll::Ready(_) if read == 0) {
            this.greeting = None;
            return result;
        }
        *missing -= read;
        match result {
            Poll::Pending if until.as_mut().poll(cx).is_ready() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            result => result,
        }
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.watch(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(cx);
        this.watch(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        this.watch(cx, result)
    }
}
