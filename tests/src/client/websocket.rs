//! WebSocket, with both subprotocols.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use suda_schema::codec::{Codec, json, mux};
use suda_schema::limits::WS_CHUNK_BYTES_MAX;
use suda_schema::{CONNECT_PATH, CloseCode, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Ended, Kind};

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

type Ws = WebSocketStream<Box<dyn Socket>>;

/// What the kernel may hold unread.
const RECV_BUFFER_BYTES: u32 = 64 << 10;
/// Parts of a long JSON frame have so many characters.
const PART_CHARS: usize = 10_000;

/// One WebSocket link. Cheap to clone.
#[derive(Clone)]
pub struct WsClient {
    shared: Arc<Shared>,
}

struct Shared {
    codec: Codec,
    next: AtomicU32,
    /// None after it was hung up.
    sink: AsyncMutex<Option<SplitSink<Ws, Message>>>,
    hung_up: watch::Sender<bool>,
    streams: Mutex<HashMap<u32, mpsc::UnboundedSender<Heard>>>,
    ended: watch::Sender<Option<Ended>>,
    paused: watch::Sender<bool>,
}

enum Heard {
    Chunk(Bytes),
    Fin,
    Reset(CloseCode),
}

impl WsClient {
    pub(super) async fn connect(kind: Kind, tls: rustls::ClientConfig, addr: SocketAddr) -> anyhow::Result<Self> {
        let protocol = if kind.codec() == Codec::Json { SUBPROTOCOL_JSON } else { SUBPROTOCOL_BINARY };
        let plain = matches!(kind, Kind::Plain | Kind::PlainJson);
        let ws = open(addr, (!plain).then_some(tls), &[("sec-websocket-protocol", protocol)]).await?;
        Ok(Self::start(kind.codec(), ws))
    }

    fn start(codec: Codec, ws: Ws) -> Self {
        let (sink, stream) = ws.split();
        let shared = Shared {
            codec,
            next: AtomicU32::new(0),
            sink: AsyncMutex::new(Some(sink)),
            hung_up: watch::channel(false).0,
            streams: Mutex::default(),
            ended: watch::channel(None).0,
            paused: watch::channel(false).0,
        };
        let client = Self { shared: Arc::new(shared) };
        tokio::spawn(client.clone().read(stream));
        client
    }

    /// Tries to connect with headers of one's own.
    pub async fn try_connect(
        addr: SocketAddr,
        tls: Option<rustls::ClientConfig>,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, WsError> {
        let json = headers.iter().any(|(_, value)| *value == SUBPROTOCOL_JSON);
        let codec = if json { Codec::Json } else { Codec::Binary };
        Ok(Self::start(codec, open(addr, tls, headers).await?))
    }

    /// Stops reading from the socket, or goes on.
    pub fn pause_reading(&self, pause: bool) {
        self.shared.paused.send_replace(pause);
    }

    /// Sends a message of one's own.
    pub async fn send_message(&self, message: Message) -> Result<(), Ended> {
        let sent = match &mut *self.shared.sink.lock().await {
            Some(sink) => sink.send(message).await,
            None => Err(WsError::ConnectionClosed),
        };
        let Err(error) = sent else { return Ok(()) };
        // The reading side knows better why, if there was a goodbye.
        let ended = tokio::time::timeout(std::time::Duration::from_secs(1), self.closed()).await;
        Err(ended.unwrap_or_else(|_| Ended::Broken(error.to_string())))
    }

    pub(super) fn open(&self) -> WsStream {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (heard, hear) = mpsc::unbounded_channel();
        self.streams().insert(id, heard);
        WsStream { client: self.clone(), id, hear }
    }

    pub(super) fn close(&self, code: CloseCode, message: &str) {
        let (client, message) = (self.clone(), message.to_owned());
        tokio::spawn(async move {
            let frame = CloseFrame { code: code.0.into(), reason: message.into() };
            client.send_message(Message::Close(Some(frame))).await
        });
    }

    pub(super) async fn closed(&self) -> Ended {
        let mut ended = self.shared.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await;
        ended.ok().and_then(|ended| ended.clone()).unwrap_or(Ended::Broken("gone".to_owned()))
    }

    /// Leaves without a word.
    pub(super) fn hang_up(&self) {
        self.shared.hung_up.send_replace(true);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u32, mpsc::UnboundedSender<Heard>>> {
        self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(self, stream: SplitStream<Ws>) {
        let mut hung_up = self.shared.hung_up.subscribe();
        tokio::select! {
            () = self.read_on(stream) => {}
            _ = async { hung_up.wait_for(|hung_up| *hung_up).await.is_ok() } => {}
        }
        self.shared.ended.send_if_modified(|ended| {
            ended.get_or_insert(Ended::Broken("hung up".to_owned()));
            true
        });
        self.streams().clear();
        *self.shared.sink.lock().await = None;
    }

    async fn read_on(&self, mut stream: SplitStream<Ws>) {
        let mut paused = self.shared.paused.subscribe();
        let mut parts: HashMap<u32, BytesMut> = HashMap::new();
        let ended = loop {
            let _ = paused.wait_for(|paused| !paused).await;
            let message = tokio::select! {
                message = stream.next() => message,
                _ = paused.wait_for(|paused| *paused) => continue,
            };
            let heard = match message {
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) =
                        frame.map_or((0, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                    break Ended::Link(CloseCode(code), reason);
                }
                Some(Ok(Message::Binary(bytes))) => from_binary(&bytes),
                Some(Ok(Message::Text(text))) => from_json(&text, &mut parts),
                Some(Ok(_)) => continue,
                Some(Err(error)) => break Ended::Broken(error.to_string()),
                None => break Ended::Broken("the connection is gone".to_owned()),
            };
            match heard {
                Ok(Some((id, heard))) => {
                    if let Some(stream) = self.streams().get(&id) {
                        let _ = stream.send(heard);
                    }
                }
                Ok(None) => {}
                Err(error) => break Ended::Broken(format!("{error:#}")),
            }
        };
        self.shared.ended.send_replace(Some(ended));
        self.streams().clear();
        // Answers the goodbye, and reads on until the node hangs up.
        while let Some(Ok(_)) = stream.next().await {}
    }
}

async fn open(
    addr: SocketAddr,
    tls: Option<rustls::ClientConfig>,
    headers: &[(&'static str, &str)],
) -> Result<Ws, WsError> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Otherwise the kernel reads megabytes ahead for a client that reads nothing.
    socket.set_recv_buffer_size(RECV_BUFFER_BYTES)?;
    let tcp = socket.connect(addr).await?;
    tcp.set_nodelay(true)?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let io: Box<dyn Socket> = match tls {
        None => Box::new(tcp),
        Some(mut tls) => {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
            Box::new(connector.connect(addr.ip().into(), tcp).await?)
        }
    };
    let mut request = format!("{scheme}://{addr}{CONNECT_PATH}").into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, http::HeaderValue::from_str(value)?);
    }
    Ok(client_async(request, io).await?.0)
}

fn from_binary(bytes: &Bytes) -> anyhow::Result<Option<(u32, Heard)>> {
    anyhow::ensure!(bytes.len() <= WS_CHUNK_BYTES_MAX + 6, "a message of {} bytes", bytes.len());
    let (id, message) = mux::decode_message(bytes)?;
    let heard = match message {
        mux::Message::Data(payload) => Heard::Chunk(bytes.slice_ref(payload)),
        mux::Message::Fin => Heard::Fin,
        mux::Message::Reset(code) => Heard::Reset(code),
    };
    Ok(Some((id, heard)))
}

fn from_json(text: &str, parts: &mut HashMap<u32, BytesMut>) -> anyhow::Result<Option<(u32, Heard)>> {
    let (id, message) = json::decode_message(text, usize::MAX).context(text.to_owned())?;
    let heard = match message {
        json::Message::Frame(frame) => {
            anyhow::ensure!(frame.len() <= WS_CHUNK_BYTES_MAX, "a frame of {} bytes in one message", frame.len());
            anyhow::ensure!(!parts.contains_key(&id), "a frame between parts");
            Heard::Chunk(frame.into_owned().into())
        }
        json::Message::Part { text, last } => {
            anyhow::ensure!(text.len() <= WS_CHUNK_BYTES_MAX, "a part of {} bytes", text.len());
            parts.entry(id).or_default().extend_from_slice(text.as_bytes());
            if !last {
                return Ok(None);
            }
            Heard::Chunk(parts.remove(&id).unwrap_or_default().freeze())
        }
        json::Message::Fin => Heard::Fin,
        json::Message::Reset(code) => Heard::Reset(code),
    };
    Ok(Some((id, heard)))
}

/// One of a WebSocket's streams.
pub(super) struct WsStream {
    client: WsClient,
    id: u32,
    hear: mpsc::UnboundedReceiver<Heard>,
}

impl WsStream {
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<(), Ended> {
        match self.client.shared.codec {
            Codec::Binary => {
                for piece in bytes.chunks(WS_CHUNK_BYTES_MAX) {
                    self.say_binary(&mux::Message::Data(piece)).await?;
                }
                Ok(())
            }
            Codec::Json => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if text.len() <= WS_CHUNK_BYTES_MAX {
                    return self.say_json(&json::Message::Frame(text.into())).await;
                }
                let chars: Vec<char> = text.chars().collect();
                let mut pieces = chars.chunks(PART_CHARS).peekable();
                while let Some(piece) = pieces.next() {
                    let text = piece.iter().collect::<String>().into();
                    self.say_json(&json::Message::Part { text, last: pieces.peek().is_none() }).await?;
                }
                Ok(())
            }
        }
    }

    pub(super) async fn finish(&mut self) {
        // If the link has ended, so has the stream.
        let _ = match self.client.shared.codec {
            Codec::Binary => self.say_binary(&mux::Message::Fin).await,
            Codec::Json => self.say_json(&json::Message::Fin).await,
        };
    }

    pub(super) async fn reset(&mut self, code: CloseCode) {
        // As above.
        let _ = match self.client.shared.codec {
            Codec::Binary => self.say_binary(&mux::Message::Reset(code)).await,
            Codec::Json => self.say_json(&json::Message::Reset(code)).await,
        };
    }

    pub(super) async fn recv(&mut self) -> Result<Bytes, Ended> {
        match self.hear.recv().await {
            Some(Heard::Chunk(bytes)) => Ok(bytes),
            Some(Heard::Fin) => Err(Ended::Finished),
            Some(Heard::Reset(code)) => Err(Ended::Reset(code)),
            None => Err(self.client.closed().await),
        }
    }

    async fn say_binary(&self, message: &mux::Message<'_>) -> Result<(), Ended> {
        let bytes = mux::encode_message(self.id, message);
        self.client.send_message(Message::Binary(bytes.into())).await
    }

    async fn say_json(&self, message: &json::Message<'_>) -> Result<(), Ended> {
        let text = json::encode_message(self.id, message);
        self.client.send_message(Message::Text(text.into())).await
    }
}
