//! Who may come in: caps, origins, draining, and handshakes that never end.

use std::net::SocketAddr;
use std::time::Duration;

use suda_schema::CloseCode;
use suda_schema::control::ControlUp;
use suda_server::link::{Layer, LinkConfig, Outcome, Rejected};
use suda_tests::client::{Connector, Kind, WAIT, client_config, try_webtransport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::node::{ALL, Node, config, echo, text, until};

#[tokio::test]
async fn an_address_has_so_many_links_and_no_more() {
    let node = Node::start(LinkConfig { links_per_address_max: 2, ..config() }, |link| Box::pin(echo(link)));
    for (count, kind) in (1..).zip(ALL) {
        let first = node.connect(Kind::Quic).await;
        let second = node.connect(kind).await;
        match node.try_connect(kind).await {
            // Browsers don't see the status of a refused WebSocket, but they see its close code.
            Ok(third) => assert_eq!(third.closed().await.link_code(), Some(CloseCode::TOO_MANY_LINKS), "{kind:?}"),
            Err(error) => assert_eq!(kind, Kind::WebTransport, "{error:#}"),
        }
        assert_eq!(node.metrics.rejections(Rejected::AddressFull), count);
        drop((first, second));
        until("the places are free again", || {
            suda_server::link::LinkKind::ALL.iter().all(|kind| node.metrics.open(*kind) == 0)
        })
        .await;
    }
}

#[tokio::test]
async fn a_full_node_says_so() {
    let node = Node::start(LinkConfig { links_max: 1, ..config() }, |link| Box::pin(echo(link)));
    let _first = node.connect(Kind::Quic).await;
    for kind in [Kind::Quic, Kind::WebSocket, Kind::PlainJson] {
        let refused = node.connect(kind).await.closed().await;
        assert_eq!(refused.link_code(), Some(CloseCode::OVERLOADED), "{kind:?}");
    }
    assert!(node.try_connect(Kind::WebTransport).await.is_err());
}

#[tokio::test]
async fn a_draining_node_takes_no_new_links_and_keeps_the_old_ones() {
    let node = Node::echo();
    let mut old = Vec::new();
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(1)).await.unwrap();
        assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(1));
        old.push((client, stream));
    }
    node.serving.drain();
    for kind in ALL {
        match node.try_connect(kind).await {
            Ok(client) => assert_eq!(client.closed().await.link_code(), Some(CloseCode::GOING_AWAY), "{kind:?}"),
            Err(_) => assert!(!kind.is_websocket(), "{kind:?}"),
        }
    }
    for (client, stream) in &mut old {
        stream.send(&text(2)).await.unwrap();
        assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(2), "{:?}", client.kind());
    }
    // Sessions close their own links; QUIC ones that are left are closed with the endpoint.
    node.serving.shutdown(Duration::from_secs(5)).await;
    for (client, _) in &old {
        if !client.kind().is_websocket() {
            assert_eq!(client.closed().await.link_code(), Some(CloseCode::GOING_AWAY), "{:?}", client.kind());
        }
    }
}

#[tokio::test]
async fn webtransport_is_at_its_path_and_for_allowed_origins() {
    let node = Node::start(LinkConfig { origins: vec!["https://app.example".to_owned()], ..config() }, |link| {
        Box::pin(echo(link))
    });
    let ok =
        async |path: &str, origin: Option<&str>| try_webtransport(node.addr, node.hash(), path, origin).await.is_ok();
    assert!(ok("/connect", None).await && ok("/connect?from=test", Some("https://app.example")).await);
    assert!(ok("/connect", Some("http://localhost:3000")).await);
    assert!(!ok("/connect", Some("https://evil.example")).await);
    assert!(!ok("/", None).await && !ok("/connected", None).await);
    assert_eq!(node.metrics.rejections(Rejected::Origin), 1);
    assert_eq!(node.metrics.rejections(Rejected::Path), 2);
}

#[tokio::test]
async fn quic_without_a_known_protocol_is_refused() {
    let node = Node::echo();
    for alpn in [vec![b"suda/9".to_vec()], vec![b"h2".to_vec()]] {
        let mut tls = client_config(node.hash()).unwrap();
        tls.alpn_protocols = alpn;
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let config = quinn::ClientConfig::new(std::sync::Arc::new(crypto));
        let refused = endpoint.connect_with(config, node.addr, "localhost").unwrap().await;
        assert!(refused.is_err());
    }
    until("both are counted", || node.metrics.handshakes(Layer::Quic, Outcome::Failed) == 2).await;
}

#[tokio::test]
async fn tls_handshakes_are_capped_and_timed() {
    let limits = LinkConfig { handshakes_max: 2, handshake_timeout: Duration::from_millis(1_000), ..config() };
    let node = Node::start(limits, |link| Box::pin(echo(link)));
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(node.addr).await.unwrap());
    }
    until("the third is turned away", || node.metrics.rejections(Rejected::Handshakes) == 1).await;
    until("the others run out of time", || node.metrics.handshakes(Layer::Tls, Outcome::TimedOut) == 2).await;
    for mut tcp in silent {
        let end = tokio::time::timeout(WAIT, tcp.read(&mut [0; 1])).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)));
    }
    node.connect(Kind::WebSocket).await;
}

#[tokio::test]
async fn quic_handshakes_are_capped_and_timed_and_addresses_are_proved_under_load() {
    let limits = LinkConfig {
        handshakes_max: 3,
        retry_from_handshakes: 2,
        handshake_timeout: Duration::from_millis(2_000),
        ..config()
    };
    let node = Node::start(limits, |link| Box::pin(echo(link)));
    let mut stalled = Vec::new();
    for _ in 0..2 {
        stalled.push(deaf_client(&node).await);
    }
    // The third has to prove its address, and does.
    let third = node.connect(Kind::Quic).await;
    assert!(node.metrics.retries() > 0);
    until("it is counted", || node.metrics.handshakes(Layer::Quic, Outcome::Ok) == 1).await;
    until("the deaf ones run out of time", || node.metrics.handshakes(Layer::Quic, Outcome::TimedOut) == 2).await;
    node.connect(Kind::WebTransport).await;
    drop((third, stalled));

    let node =
        Node::start(LinkConfig { handshakes_max: 1, handshake_timeout: Duration::from_secs(60), ..config() }, |link| {
            Box::pin(echo(link))
        });
    let _stalled = deaf_client(&node).await;
    assert!(node.try_connect(Kind::Quic).await.is_err());
    assert!(node.metrics.rejections(Rejected::Handshakes) > 0);
}

/// A client that sends its first packets and hears nothing of the answer.
async fn deaf_client(node: &Node) -> tokio::task::JoinHandle<()> {
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let onward = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (relay_addr, addr) = (relay.local_addr().unwrap(), node.addr);
    let connector = Connector::new(node.hash()).unwrap();
    tokio::spawn(async move { connector.connect(Kind::Quic, relay_addr).await });
    let mut packet = vec![0; 2_000];
    let len = relay.recv(&mut packet).await.unwrap();
    onward.send_to(&packet[..len], addr).await.unwrap();
    // The answer shows that the handshake has begun.
    let answered = tokio::time::timeout(WAIT, onward.recv(&mut packet)).await;
    answered.expect("an answer").unwrap();
    tokio::spawn(async move {
        let _sockets = (relay, onward);
        std::future::pending::<()>().await;
    })
}

#[tokio::test]
async fn garbage_on_every_port_harms_nobody() {
    let node = Node::echo();
    let client = node.connect(Kind::Quic).await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for len in [0, 1, 20, 1_200, 1_472] {
        for first in [0x00, 0x40, 0x80, 0xc0, 0xff] {
            let packet: Vec<u8> = std::iter::once(first).chain((0..=u8::MAX).cycle().take(len)).collect();
            udp.send_to(&packet, node.addr).await.unwrap();
        }
    }
    for addr in [node.addr, node.http_addr] {
        for garbage in
            [&b"\x16\x03\x01\xff\xff"[..], b"GET", b"\0\0\0\0", &[0xff; 5_000], b"GET / HTTP/1.1\r\n\r\n\r\n"]
        {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            tcp.write_all(garbage).await.unwrap();
            tcp.shutdown().await.unwrap();
            let _ = tokio::time::timeout(WAIT, tcp.read_to_end(&mut Vec::new())).await.unwrap();
        }
    }
    let mut stream = client.open().await.unwrap();
    stream.send(&text(5)).await.unwrap();
    assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(5));
    until("the TLS failures are counted", || node.metrics.handshakes(Layer::Tls, Outcome::Failed) == 5).await;
}

#[tokio::test]
async fn the_kernel_says_how_large_its_buffers_are() {
    let data = tempfile::tempdir().unwrap();
    let certs = suda_server::tls::CertStore::open(
        &suda_server::tls::TlsConfig::default(),
        data.path(),
        suda_server::clock::Clock::manual(1, 1),
    )
    .unwrap();
    let mut modest = config();
    modest.quic.socket_buffer_bytes = 64 << 10;
    let buffers = suda_server::link::Listeners::bind(modest, &certs).unwrap().udp_buffers();
    assert!(buffers.are_granted(), "{buffers:?}");
    let mut greedy = config();
    greedy.quic.socket_buffer_bytes = 1 << 40;
    let listeners = suda_server::link::Listeners::bind(greedy, &certs).unwrap();
    assert!(!listeners.udp_buffers().are_granted());
    let addr: SocketAddr = listeners.addr();
    let taken = suda_server::link::Listeners::bind(LinkConfig { listen: addr, ..config() }, &certs);
    assert!(taken.err().unwrap().to_string().contains(&addr.to_string()));
}
