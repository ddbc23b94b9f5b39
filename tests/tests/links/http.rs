//! The HTTP beside WebSocket: the router is served, `/connect` explains itself, and slow clients are cut off.

use std::time::Duration;

use suda_schema::{ErrorCode, SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON, WireError};
use suda_server::link::{LinkConfig, Rejected};
use suda_tests::client::{WAIT, WsClient, client_config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WsError;

use crate::node::{Node, config, echo};

const PROTOCOL: &str = "sec-websocket-protocol";

/// Sends a request and reads everything that comes.
async fn raw(node: &Node, request: &str) -> String {
    let mut tcp = TcpStream::connect(node.http_addr).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(WAIT, tcp.read_to_end(&mut answer)).await.expect("the node hangs up").unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn other_requests_go_to_the_router() {
    let node = Node::echo();
    let answer = raw(&node, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    let answer =
        raw(&node, "POST /body HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc").await;
    assert!(answer.ends_with("\r\n3"), "{answer}");
    let answer = raw(&node, "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[tokio::test]
async fn the_router_knows_the_client_behind_a_trusted_proxy() {
    let request = "GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 192.0.2.7\r\n\r\n";
    let answer = raw(&Node::echo(), request).await;
    assert!(answer.ends_with("127.0.0.1 plain"), "{answer}");
    let trusting = LinkConfig { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..config() };
    let answer = raw(&Node::start(trusting, |link| Box::pin(echo(link))), request).await;
    assert!(answer.ends_with("192.0.2.7 plain"), "{answer}");
}

#[tokio::test]
async fn connect_explains_itself_to_who_is_not_a_websocket() {
    let node = Node::echo();
    let answer = raw(&node, "GET /connect HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains("WebTransport"), "{answer}");
}

#[tokio::test]
async fn a_subprotocol_must_be_chosen_and_the_origin_allowed() {
    let node = Node::echo();
    let connect = async |headers: &[(&'static str, &str)]| {
        let tls = client_config(node.hash()).unwrap();
        match WsClient::try_connect(node.addr, Some(tls), headers).await {
            Ok(_) => Ok(()),
            Err(WsError::Http(answer)) => {
                let error: WireError = serde_json::from_slice(answer.body().as_deref().unwrap()).unwrap();
                Err((answer.status().as_u16(), error))
            }
            Err(error) => panic!("{error}"),
        }
    };
    let (status, error) = connect(&[]).await.unwrap_err();
    assert_eq!((status, error.code), (400, ErrorCode::MALFORMED));
    assert!(error.message.contains("suda.1.bin") && error.message.contains("suda.1.json"), "{error}");
    assert_eq!(connect(&[(PROTOCOL, "chat, mqtt")]).await.unwrap_err().0, 400);
    assert_eq!(node.metrics.rejections(Rejected::Upgrade), 2);

    for protocol in [SUBPROTOCOL_BINARY, SUBPROTOCOL_JSON] {
        connect(&[(PROTOCOL, protocol)]).await.unwrap();
        connect(&[(PROTOCOL, protocol), ("origin", "http://localhost:8000")]).await.unwrap();
        let own = format!("https://{}", node.addr);
        connect(&[(PROTOCOL, protocol), ("origin", &own)]).await.unwrap();
        let (status, error) = connect(&[(PROTOCOL, protocol), ("origin", "https://evil.example")]).await.unwrap_err();
        assert_eq!((status, error.code), (403, ErrorCode::FORBIDDEN));
    }
    assert_eq!(node.metrics.rejections(Rejected::Origin), 2);
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let mut config = config();
    config.tcp.header_timeout = Duration::from_millis(300);
    config.tcp.stall_timeout = Duration::from_millis(300);
    let node = Node::start(config, |link| Box::pin(echo(link)));
    // Half a head; a head in time but never its body; nothing at all; nothing after an answer.
    for request in [
        "GET / HTTP/1.1\r\nhost:",
        "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
        "",
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        raw(&node, request).await;
    }
    // The same after TLS, in HTTP/2: nothing, half a greeting, and a greeting without a request.
    for greeting in [&b""[..], b"PRI * HTTP", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut tls = client_config(node.hash()).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(tls));
        let tcp = TcpStream::connect(node.addr).await.unwrap();
        let mut tls = connector.connect(node.addr.ip().into(), tcp).await.unwrap();
        tls.write_all(greeting).await.unwrap();
        let ended = tokio::time::timeout(WAIT, tls.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{greeting:?}: the node waits for ever");
    }
}

#[tokio::test]
async fn an_address_has_so_many_http_connections_and_no_more() {
    let mut limits: LinkConfig = config();
    limits.tcp.connections_per_address_max = 2;
    let node = Node::start(limits.clone(), |link| Box::pin(echo(link)));
    let first = TcpStream::connect(node.http_addr).await.unwrap();
    let _second = TcpStream::connect(node.http_addr).await.unwrap();
    let answer = raw(&node, "").await;
    assert_eq!(answer, "", "hung up on");
    assert_eq!(node.metrics.rejections(Rejected::Connections), 1);
    // A trusted proxy brings many clients.
    let trusting = LinkConfig { trusted_proxies: vec!["127.0.0.1".parse().unwrap()], ..limits };
    let behind_proxy = Node::start(trusting, |link| Box::pin(echo(link)));
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(TcpStream::connect(behind_proxy.http_addr).await.unwrap());
    }
    let answer = raw(&behind_proxy, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
    // WebSocket links don't count as HTTP connections.
    drop(first);
    for _ in 0..5 {
        let headers = [(PROTOCOL, SUBPROTOCOL_JSON)];
        let connected = async {
            while WsClient::try_connect(node.http_addr, None, &headers).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT, connected).await.unwrap();
    }
}
