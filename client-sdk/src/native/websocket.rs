//! Dialing by WebSocket, and its tasks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls_pki_types::ServerName;
use suda_schema::limits::WS_CHUNK_BYTES_MAX;
use suda_schema::{CloseCode, SUBPROTOCOL_BINARY};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::driver::Shared;
use super::error::Error;
use super::link::Conn;
use super::network::{Network, first_of};
use crate::core::io::LinkId;
use crate::core::mux;

/// How long a goodbye may take.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// The longest message that is taken: a piece with its head, and room for what a later version may add.
const MESSAGE_BYTES_MAX: usize = 4 * WS_CHUNK_BYTES_MAX;

pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(super) type Socket = WebSocketStream<Box<dyn Io>>;

pub(super) async fn dial(
    network: &Network,
    url: &str,
    host: &str,
    port: u16,
    hashes: &[[u8; 32]],
) -> Result<Conn, Error> {
    let unreachable = |error: String| Error::Unreachable(error);
    let tcp = first_of(host, port, |addr| async move {
        TcpStream::connect(addr).await.map_err(|error| Error::Unreachable(error.to_string()))
    })
    .await?;
    // It fails only on a socket that is broken, which will be seen.
    let _ = tcp.set_nodelay(true);
    let io: Box<dyn Io> = if url.starts_with("wss:") {
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|error| Error::BadUrl(error.to_string()))?;
        let tls = tokio_rustls::TlsConnector::from(network.trusted(hashes)?.websocket);
        Box::new(tls.connect(name, tcp).await.map_err(|error| unreachable(error.to_string()))?)
    } else {
        Box::new(tcp)
    };
    let mut request = url.into_client_request().map_err(|error| Error::BadUrl(error.to_string()))?;
    let protocol = HeaderValue::from_static(SUBPROTOCOL_BINARY);
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(WS_CHUNK_BYTES_MAX)
        .write_buffer_size(0);
    let (socket, _) =
        client_async_with_config(request, io, Some(config)).await.map_err(|error| unreachable(error.to_string()))?;
    Ok(Conn::WebSocket(Box::new(socket)))
}

/// Moves messages in both directions, until either ends the link.
pub(super) async fn serve(
    shared: Arc<Shared>,
    link: LinkId,
    socket: Socket,
    mut waiting: mpsc::Receiver<Vec<u8>>,
    mut closing: oneshot::Receiver<CloseCode>,
) {
    let (mut sink, mut stream) = socket.split();
    // Reading and writing are apart, so that a node that waits to be read is read.
    let writes = async {
        loop {
            let message = tokio::select! {
                message = waiting.recv() => message,
                code = &mut closing => {
                    let code = code.unwrap_or(CloseCode::NORMAL);
                    let frame = CloseFrame { code: code.0.into(), reason: "".into() };
                    let goodbye = sink.send(Message::Close(Some(frame)));
                    let _ = tokio::time::timeout(GOODBYE_WITHIN, goodbye).await;
                    return None;
                }
            };
            let message = message?;
            shared.wake();
            if sink.send(Message::Binary(message.into())).await.is_err() {
                // The reading side knows why, if there was a goodbye.
                std::future::pending::<()>().await;
            }
        }
    };
    let reads = async {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Binary(bytes) => match mux::decode(&bytes) {
                    Ok(transmit) => {
                        shared.received(link, transmit.stream, &transmit.what);
                        if let Some(pause) = shared.network.pause(bytes.len()) {
                            tokio::time::sleep(pause).await;
                        }
                    }
                    Err(_) => return Some(CloseCode::INTERNAL),
                },
                Message::Close(frame) => return frame.map(|frame| CloseCode(frame.code.into())),
                _ => {}
            }
            tokio::task::consume_budget().await;
        }
        None
    };
    let code: Option<CloseCode> = tokio::select! {
        code = reads => code,
        code = writes => code,
    };
    shared.link_ended(link, code.filter(|code| code.0 >= 4_000));
}
