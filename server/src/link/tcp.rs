//! TCP: HTTP by hyper, with TLS or without, and WebSocket links upgraded from it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use suda_schema::CONNECT_PATH;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::gate::{Address, CountGuard, Counted, Gate, Slot};
use super::io::{Impatient, TcpIo};
use super::metrics::{Layer, Outcome, Rejected};
use super::{quic, upgrade};

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Resets of requests that an HTTP/2 client may have open: more is the "rapid reset" attack.
const HTTP2_RESETS_MAX: usize = 20;
/// What an HTTP/2 client may send of one body, and of all, before it is read.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 128 << 10;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// What waits to be sent of one answer, before it is asked for more.
const HTTP2_SEND_BYTES: usize = 64 << 10;
/// How an HTTP/2 client begins: less is no beginning.
const HTTP2_GREETING_BYTES: usize = 24;
/// After an error that is about this machine, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request carries this if it came in by the plain HTTP listener. Its `ConnectInfo` is the client, which is not the
/// peer where a trusted proxy is between.
#[derive(Debug, Clone, Copy)]
pub struct PlainHttp;

/// What the TCP listeners of a node share.
pub(super) struct Tcp {
    pub(super) gate: Arc<Gate>,
    router: Router,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    connections: Arc<AtomicUsize>,
    by_address: Counted<Address>,
    handshakes: Arc<AtomicUsize>,
    /// Becomes true when connections should end after what they are doing.
    stop: watch::Receiver<bool>,
}

/// What one connection counts as, until it is closed or has become a link.
struct ConnectionGuard {
    _total: Slot,
    _address: Option<CountGuard<Address>>,
    open: Gauge,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl Tcp {
    pub(super) fn new(gate: Arc<Gate>, router: Router, stop: watch::Receiver<bool>) -> Self {
        let config = &gate.config.tcp;
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(HEAD_BYTES_MAX);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.http2_streams_max)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(HTTP2_RESETS_MAX)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(HTTP2_SEND_BYTES)
            .keep_alive_interval(config.stall_timeout)
            .keep_alive_timeout(config.stall_timeout);
        let by_address = Counted::new(config.connections_per_address_max);
        Self { gate, router, http1, http2, connections: Arc::default(), by_address, handshakes: Arc::default(), stop }
    }

    /// Accepts connections, with TLS or without, until told to stop.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let mut stop = pin!(told(self.stop.clone()));
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, remote)) => {
                    let remote = quic::canonical(remote);
                    match self.admit(remote) {
                        Some(guard) => drop(tokio::spawn(self.clone().connection(tcp, remote, tls.clone(), guard))),
                        None => self.gate.metrics.rejected(Rejected::Connections),
                    }
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no TCP connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, remote: SocketAddr) -> Option<ConnectionGuard> {
        let total = Slot::acquire(&self.connections, self.gate.config.tcp.connections_max)?;
        // A proxy brings many clients.
        let counted = !upgrade::is_trusted(remote.ip(), &self.gate.config.trusted_proxies);
        let address = if counted { Some(self.by_address.acquire(remote.ip().into())?) } else { None };
        let open = self.gate.metrics.http_open().clone();
        open.inc();
        Some(ConnectionGuard { _total: total, _address: address, open })
    }

    async fn connection(
        self: Arc<Self>,
        tcp: TcpStream,
        remote: SocketAddr,
        tls: Option<TlsAcceptor>,
        guard: ConnectionGuard,
    ) {
        // It fails only on a socket that is broken already.
        let _ = tcp.set_nodelay(true);
        let io = match tls {
            None => TcpIo::Plain(tcp),
            Some(tls) => match self.handshake(tcp, remote, tls).await {
                Some(io) => io,
                None => return,
            },
        };
        self.serve(io, remote).await;
        drop(guard);
    }

    async fn handshake(&self, tcp: TcpStream, remote: SocketAddr, tls: TlsAcceptor) -> Option<TcpIo> {
        let Some(_slot) = Slot::acquire(&self.handshakes, self.gate.config.handshakes_max) else {
            self.gate.metrics.rejected(Rejected::Handshakes);
            return None;
        };
        let handshaking = self.gate.metrics.handshaking();
        handshaking.inc();
        let result = tokio::time::timeout(self.gate.config.handshake_timeout, tls.accept(tcp)).await;
        handshaking.dec();
        let (outcome, io) = match result {
            Ok(Ok(tls)) => (Outcome::Ok, Some(TcpIo::Tls(Box::new(tls)))),
            Ok(Err(error)) => {
                tracing::debug!(%remote, %error, "TLS handshake failed");
                (Outcome::Failed, None)
            }
            Err(_) => {
                tracing::debug!(%remote, "TLS handshake timed out");
                (Outcome::TimedOut, None)
            }
        };
        self.gate.metrics.handshook(Layer::Tls, outcome);
        io
    }

    /// Serves HTTP until the connection ends or becomes a link. What is spoken was agreed on in the TLS handshake;
    /// without TLS it is HTTP/1.1. Nothing is guessed from the first bytes, which may never come.
    async fn serve(self: &Arc<Self>, io: TcpIo, remote: SocketAddr) {
        let config = &self.gate.config.tcp;
        let (is_http2, is_plain) = (io.is_http2(), matches!(io, TcpIo::Plain(_)));
        let greeting = if is_http2 { HTTP2_GREETING_BYTES } else { 0 };
        let io = TokioIo::new(Impatient::new(io, config.stall_timeout, greeting, config.header_timeout));
        let stop = self.stop.clone();
        let result = if is_http2 {
            let active = Arc::new(AtomicUsize::new(0));
            let counted = active.clone();
            let service = hyper::service::service_fn(move |request| {
                // Any number of them may be active: hyper has its own limit.
                let slot = Slot::acquire(&counted, usize::MAX);
                let response = self.clone().respond(request, remote, is_plain);
                async move {
                    let response = response.await;
                    drop(slot);
                    response
                }
            });
            let mut connection = pin!(self.http2.serve_connection(io, service));
            tokio::select! {
                result = connection.as_mut() => result,
                () = either(told(stop), idle(&active, config.header_timeout)) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        } else {
            let service = hyper::service::service_fn(move |request| self.clone().respond(request, remote, is_plain));
            let mut connection = pin!(self.http1.serve_connection(io, service).with_upgrades());
            tokio::select! {
                result = connection.as_mut() => result,
                () = told(stop) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%remote, %error, "HTTP connection failed");
        }
    }

    async fn respond(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        is_plain: bool,
    ) -> Result<Response<Body>, Infallible> {
        let remote = upgrade::client_address(peer, request.headers(), &self.gate.config.trusted_proxies);
        if request.uri().path() == CONNECT_PATH {
            return Ok(upgrade::respond(&mut request, remote, &self.gate));
        }
        request.extensions_mut().insert(ConnectInfo(remote));
        if is_plain {
            request.extensions_mut().insert(PlainHttp);
        }
        let timeout = self.gate.config.tcp.stall_timeout;
        let request = request.map(|body| Body::new(PatientBody { body, timeout, stalled: None }));
        self.router.clone().oneshot(request).await
    }
}

/// Waits until connections should end, or nobody is left to say so.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits until no request has been under way for so long. HTTP/1.1 connections have a timeout of hyper's for that.
async fn idle(active: &AtomicUsize, timeout: Duration) {
    let mut idle_since = Instant::now();
    loop {
        if active.load(Ordering::Relaxed) > 0 {
            idle_since = Instant::now();
        } else if idle_since.elapsed() >= timeout {
            return;
        }
        tokio::time::sleep(timeout / 4).await;
    }
}

async fn either(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    tokio::select! {
        () = one => {}
        () = other => {}
    }
}

/// Whether accepting failed because of this one peer, who is gone already.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A request's body that fails when the client stops in the middle of it for too long.
struct PatientBody {
    body: Incoming,
    timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl hyper::body::Body for PatientBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.stalled = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = this.timeout;
        let stalled = this.stalled.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + timeout)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err("the client stopped sending its request".into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
