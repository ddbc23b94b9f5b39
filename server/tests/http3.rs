//! The HTTP API over HTTP/3, on a node as `suda serve` makes it.

#![expect(clippy::unwrap_used, reason = "in a test, what must be there is there")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use h3::client::SendRequest;
use http::{Request, Response};
use quinn::crypto::rustls::QuicClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use suda_server::config::{EngineKind, Settings};
use suda_server::node::Node;
use suda_server::telemetry::Metrics;

/// How long anything may take.
const WAIT: Duration = Duration::from_secs(30);

struct Scene {
    node: Node,
    _data: tempfile::TempDir,
    endpoint: quinn::Endpoint,
    http3: SocketAddr,
}

type Sender = SendRequest<h3_quinn::OpenStreams, Bytes>;

impl Scene {
    async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.node.data = data.path().to_owned();
        settings.store.engine = EngineKind::Memory;
        settings.listen.host = [127, 0, 0, 1].into();
        (settings.listen.port, settings.listen.http_port, settings.listen.h3_port) = (0, 0, Some(0));
        (settings.accounts.hash_memory_kib, settings.accounts.hash_passes) = (8, 1);
        settings.http.body_bytes_max = 65_536;
        settings.http.connections_per_address_max = 3;
        let node = Node::start(settings, Metrics::new()).await.unwrap();
        let http3 = node.ready().http3.unwrap();

        let mut roots = rustls::RootCertStore::empty();
        let pem = fs::read_dir(data.path().join("tls")).unwrap().next().unwrap().unwrap().path();
        roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider);
        let tls = tls.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        endpoint.set_default_client_config(config);
        Self { node, _data: data, endpoint, http3 }
    }

    async fn connect(&self) -> Sender {
        let quic = self.endpoint.connect(self.http3, "localhost").unwrap().await.unwrap();
        let (mut connection, sender) = h3::client::new(h3_quinn::Connection::new(quic)).await.unwrap();
        tokio::spawn(async move { connection.wait_idle().await });
        sender
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("https://{}{path}", self.http3))
    }
}

async fn call(sender: &mut Sender, request: http::request::Builder, body: impl Into<Bytes>) -> (Response<()>, Value) {
    let answer = async {
        let request = request.header("content-type", "application/json").body(()).unwrap();
        let mut stream = sender.send_request(request).await.unwrap();
        // The node may have answered before all of it has come.
        let _ = stream.send_data(body.into()).await;
        let _ = stream.finish().await;
        let head = stream.recv_response().await.unwrap();
        let mut text = Vec::new();
        while let Some(mut data) = stream.recv_data().await.unwrap() {
            text.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        (head, serde_json::from_slice(&text).unwrap())
    };
    tokio::time::timeout(WAIT, answer).await.unwrap()
}

#[tokio::test]
async fn the_api_is_the_same() {
    let scene = Scene::new().await;
    let mut sender = scene.connect().await;
    let (head, discovery) = call(&mut sender, scene.request("GET", "/v1/discovery"), "").await;
    assert_eq!(head.status(), 200);
    assert_eq!(discovery["api_http3"], format!("https://127.0.0.1:{}/v1", scene.http3.port()));
    assert_eq!(head.headers()["alt-svc"], format!("h3=\":{}\"; ma=86400", scene.http3.port()));

    let sign_up = json!({ "handle": "kim", "password": "correct horse battery", "device": { "name": "laptop" } });
    let (head, login) = call(&mut sender, scene.request("POST", "/v1/accounts"), sign_up.to_string()).await;
    assert_eq!(head.status(), 201, "{login}");
    let bearer = format!("Bearer {}", login["access"].as_str().unwrap());
    let me = scene.request("GET", "/v1/me").header("authorization", bearer);
    assert_eq!(call(&mut sender, me, "").await.1["public"]["handle"], "kim");
    scene.node.stop().await;
}

#[tokio::test]
async fn what_is_too_much_or_not_for_everybody_is_refused() {
    let scene = Scene::new().await;
    let mut sender = scene.connect().await;
    for path in ["/metrics", "/admin/stats", "/nowhere"] {
        let (head, error) = call(&mut sender, scene.request("GET", path), "").await;
        assert_eq!((head.status().as_u16(), &error["code"]), (404, &json!("not_found")), "{path}");
    }
    let (head, error) = call(&mut sender, scene.request("GET", "/v1/me"), "").await;
    assert_eq!((head.status().as_u16(), &error["code"]), (401, &json!("unauthenticated")));
    let (head, error) = call(&mut sender, scene.request("POST", "/v1/login"), vec![b' '; 65_537]).await;
    assert_eq!((head.status().as_u16(), &error["code"]), (413, &json!("too_large")));
    // A head beyond the limit costs its own request and no other.
    let long = scene.request("GET", "/healthz").header("x-long", "x".repeat(256 << 10)).body(()).unwrap();
    if let Ok(mut stream) = sender.send_request(long).await {
        let refused = tokio::time::timeout(WAIT, stream.recv_response()).await.unwrap();
        assert!(refused.is_err() || refused.unwrap().status() == 431);
    }
    let mut sender = scene.connect().await;
    assert_eq!(call(&mut sender, scene.request("GET", "/healthz"), "").await.0.status(), 200);
    scene.node.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let scene = Scene::new().await;
    let mut within = [scene.connect().await, scene.connect().await, scene.connect().await];
    for sender in &mut within {
        assert_eq!(call(sender, scene.request("GET", "/healthz"), "").await.0.status(), 200);
    }
    let beyond = scene.endpoint.connect(scene.http3, "localhost").unwrap().await.unwrap();
    let closed = tokio::time::timeout(WAIT, beyond.closed()).await.unwrap();
    assert!(closed.to_string().contains("too many connections of this address"), "{closed}");
    assert_eq!(call(&mut within[0], scene.request("GET", "/healthz"), "").await.0.status(), 200);
}
