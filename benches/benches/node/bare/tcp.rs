//! Bare tungstenite, with buffers as small as suda's, over TLS or not.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::ServerConfig;
use suda_schema::SUBPROTOCOL_BINARY;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::{Answers, In, Out};

/// What is in front of the bytes of a link's first stream.
pub(super) const FIRST_STREAM: [u8; 2] = [0, 0];
/// As suda reads.
const READ_BYTES: usize = 4 << 10;

pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(super) type Sink = SplitSink<WebSocketStream<Box<dyn Io>>, Message>;
pub(super) type Source = SplitStream<WebSocketStream<Box<dyn Io>>>;

pub(super) async fn serve(tls: Option<Arc<ServerConfig>>, answers: Answers) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    let tls = tls.map(tokio_rustls::TlsAcceptor::from);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(connection(tcp, tls.clone(), answers.clone()));
        }
    });
    Ok(addr)
}

async fn connection(tcp: TcpStream, tls: Option<tokio_rustls::TlsAcceptor>, answers: Answers) -> Result<()> {
    tcp.set_nodelay(true)?;
    let io: Box<dyn Io> = match tls {
        Some(tls) => Box::new(tls.accept(tcp).await?),
        None => Box::new(tcp),
    };
    let config = WebSocketConfig::default().read_buffer_size(READ_BYTES).write_buffer_size(0);
    // Boxed: a handshake takes much more room than what comes after it.
    let socket = Box::pin(accept_hdr_async_with_config(io, choose, Some(config))).await?;
    let (sink, source) = socket.split();
    super::stream(In::WebSocket(source), Out::WebSocket(sink), answers).await;
    Ok(())
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "the library wants it so")]
fn choose(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = HeaderValue::from_static(SUBPROTOCOL_BINARY);
    response.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(response)
}

pub(super) async fn write(sink: &mut Sink, message: Bytes) -> bool {
    sink.send(Message::Binary(message)).await.is_ok()
}

pub(super) async fn read(source: &mut Source) -> Option<Bytes> {
    loop {
        match source.next().await?.ok()? {
            Message::Binary(bytes) => return Some(bytes.slice(FIRST_STREAM.len().min(bytes.len())..)),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}
