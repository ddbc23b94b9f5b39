//! A node that has nothing but links.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ConnectInfo;
use futures_util::future::BoxFuture;
use suda_schema::CloseCode;
use suda_schema::codec::Decoded;
use suda_schema::control::{Authenticate, ControlUp};
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_server::clock::Clock;
use suda_server::link::{
    Link, LinkConfig, LinkMetrics, Listeners, OnLink, PlainHttp, ReadError, Serving, StreamReader, StreamWriter,
};
use suda_server::tls::{CertStore, TlsConfig};
use suda_tests::client::{Kind, RawClient};
use tokio::sync::mpsc;

pub(crate) struct Node {
    pub(crate) addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) certs: CertStore,
    pub(crate) metrics: LinkMetrics,
    pub(crate) clock: Clock,
    pub(crate) serving: Serving,
    pub(crate) data: tempfile::TempDir,
}

type Handler = dyn Fn(Arc<dyn Link>) -> BoxFuture<'static, ()> + Send + Sync;

impl Node {
    /// A node that echoes.
    pub(crate) fn echo() -> Self {
        Self::start(config(), |link| Box::pin(echo(link)))
    }

    pub(crate) fn start(
        config: LinkConfig,
        handler: impl Fn(Arc<dyn Link>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(config, &TlsConfig::default(), Arc::new(handler))
    }

    pub(crate) fn start_with(config: LinkConfig, tls: &TlsConfig, handler: Arc<Handler>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::manual(1_800_000_000_000, 1);
        let certs = CertStore::open(tls, data.path(), clock.clone()).unwrap();
        let metrics = LinkMetrics::default();
        let listeners = Listeners::bind(config, &certs).unwrap();
        let (addr, http_addr) = (listeners.addr(), listeners.http_addr().unwrap());
        let on_link: OnLink = Arc::new(move |link| drop(tokio::spawn(handler(link))));
        let router = axum::Router::new()
            .route("/", axum::routing::get(|| async { "hello" }))
            .route("/who", axum::routing::get(who))
            .route("/body", axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() }));
        let serving = listeners.serve(router, metrics.clone(), on_link);
        Self { addr, http_addr, certs, metrics, clock, serving, data }
    }

    /// A node whose links the test holds itself.
    pub(crate) fn with_links(config: LinkConfig) -> (Self, mpsc::UnboundedReceiver<Arc<dyn Link>>) {
        let (links, taken) = mpsc::unbounded_channel();
        let node = Self::start(config, move |link| {
            let _ = links.send(link);
            Box::pin(async {})
        });
        (node, taken)
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        self.certs.hash().0
    }

    pub(crate) async fn connect(&self, kind: Kind) -> RawClient {
        self.try_connect(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"))
    }

    pub(crate) async fn try_connect(&self, kind: Kind) -> anyhow::Result<RawClient> {
        let plain = matches!(kind, Kind::Plain | Kind::PlainJson);
        RawClient::connect(kind, if plain { self.http_addr } else { self.addr }, self.hash()).await
    }
}

async fn who(ConnectInfo(client): ConnectInfo<SocketAddr>, plain: Option<Extension<PlainHttp>>) -> String {
    format!("{} {}", client.ip(), if plain.is_some() { "plain" } else { "tls" })
}

pub(crate) fn config() -> LinkConfig {
    LinkConfig {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        http_listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..LinkConfig::default()
    }
}

pub(crate) const ALL: [Kind; 6] =
    [Kind::WebTransport, Kind::Quic, Kind::WebSocket, Kind::WebSocketJson, Kind::Plain, Kind::PlainJson];

/// Answers each frame with the same, and each datagram.
pub(crate) async fn echo(link: Arc<dyn Link>) {
    let datagrams = link.clone();
    tokio::spawn(async move {
        while let Ok(body) = datagrams.recv_datagram().await {
            let _ = datagrams.send_datagram(body);
        }
    });
    while let Ok((reader, writer)) = link.accept_stream().await {
        tokio::spawn(echo_stream(link.clone(), reader, writer));
    }
}

async fn echo_stream(link: Arc<dyn Link>, mut reader: StreamReader, mut writer: StreamWriter) {
    loop {
        match reader.frame(FRAME_BYTES_MAX).await {
            Ok(Some(frame)) => match frame.decode::<ControlUp>() {
                Ok(Decoded::Frame(frame)) => drop(writer.write(link.codec().encode(&frame)).await),
                Ok(Decoded::Unknown) => {}
                Err(_) => return give_up(reader, writer),
            },
            Ok(None) => return,
            Err(ReadError::Malformed(_) | ReadError::HalfFrame) => return give_up(reader, writer),
            Err(_) => return,
        }
    }
}

pub(crate) fn give_up(reader: StreamReader, mut writer: StreamWriter) {
    reader.stop(CloseCode::PROTOCOL_ERROR);
    writer.reset(CloseCode::PROTOCOL_ERROR);
}

/// A frame with a text so long.
pub(crate) fn text(len: usize) -> ControlUp {
    text_of("a", len)
}

pub(crate) fn text_of(piece: &str, times: usize) -> ControlUp {
    ControlUp::Authenticate(Authenticate { token: piece.repeat(times) })
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + suda_tests::client::WAIT;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
