//! What only a WebSocket client can do wrong. Each gets a close code and a text, and nobody else notices.

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::control::ControlUp;
use suda_server::link::{LinkEnd, Rejected};
use suda_tests::client::{Ended, Kind, WAIT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::node::{Node, config, text};

#[tokio::test]
async fn malformed_messages_end_the_link_with_a_reason() {
    let node = Node::echo();
    let bystander = node.connect(Kind::WebSocket).await;
    let binary = |bytes: &[u8]| (Kind::WebSocket, Message::Binary(Bytes::copy_from_slice(bytes)));
    let json = |text: &str| (Kind::WebSocketJson, Message::text(text));
    let cases = [
        (binary(&[]), "middle of a value"),
        (binary(&[0]), "middle of a value"),
        (binary(&[0xff, 0xff, 0xff, 0xff, 0xff, 0]), "varint"),
        (binary(&[0x80, 0x00, 0]), "varint"),
        (binary(&[0, 9]), "well-formed"),
        (binary(&[0, 1, 7]), "left over"),
        (binary(&[0, 2, 1]), "middle of a value"),
        ((Kind::WebSocket, Message::text("{}")), "text message"),
        (json(""), "JSON"),
        (json("{}"), "JSON"),
        (json(r#"{"stream":0}"#), "exactly one"),
        (json(r#"{"stream":-1,"fin":true}"#), "JSON"),
        (json(r#"{"stream":4294967296,"fin":true}"#), "JSON"),
        (json(r#"{"stream":0,"frame":{},"fin":true}"#), "exactly one"),
        (json(r#"{"stream":0,"part":7}"#), "JSON"),
        ((Kind::WebSocketJson, Message::binary(vec![0, 0])), "binary message"),
    ];
    for ((kind, message), why) in cases {
        let client = node.connect(kind).await;
        client.websocket().unwrap().send_message(message.clone()).await.unwrap();
        let Ended::Link(code, text) = client.closed().await else { panic!("{message:?}: no goodbye") };
        assert_eq!(code, CloseCode::PROTOCOL_ERROR, "{message:?}");
        assert!(text.contains(why), "{message:?}: {text}");
    }
    assert!(node.metrics.rejections(Rejected::Malformed) == 16);
    let mut stream = bystander.open().await.unwrap();
    stream.send(&text(1)).await.unwrap();
    assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(1));
}

#[tokio::test]
async fn messages_beyond_the_limit_are_refused_by_their_header() {
    let node = Node::echo();
    let long = [
        (Kind::WebSocket, Message::binary(vec![0; 16_391])),
        (Kind::Plain, Message::binary(vec![0; 3_000_000])),
        (Kind::WebSocketJson, Message::text("x".repeat(131_073))),
        (Kind::PlainJson, Message::text("x".repeat(3_000_000))),
    ];
    for (kind, message) in long {
        let client = node.connect(kind).await;
        // The node hangs up while it is being sent.
        let _ = client.websocket().unwrap().send_message(message).await;
        let Ended::Link(code, text) = client.closed().await else { panic!("{kind:?}: no goodbye") };
        assert_eq!(code, CloseCode::PROTOCOL_ERROR, "{kind:?}");
        assert!(text.contains("too long") || text.contains("too big") || text.contains("large"), "{text}");
    }
    assert_eq!(node.metrics.rejections(Rejected::TooLarge), 4);
    // As long as allowed is fine.
    let client = node.connect(Kind::WebSocketJson).await;
    let text = format!(r#"{{"stream":0,"part":"{}","last":false}}"#, "x".repeat(131_072 - 40));
    client.websocket().unwrap().send_message(Message::text(text)).await.unwrap();
    let mut stream = client.open().await.unwrap();
    stream.send_raw(Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(stream.ended().await, Ended::Reset(CloseCode::PROTOCOL_ERROR), "JSON that is no frame");
}

#[tokio::test]
async fn a_finished_stream_is_not_opened_again() {
    let node = Node::echo();
    for kind in [Kind::WebSocket, Kind::WebSocketJson] {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(1)).await.unwrap();
        stream.finish().await;
        // Again, or giving it up too late, changes nothing.
        stream.finish().await;
        stream.reset(CloseCode::NORMAL).await;
        let mut second = client.open().await.unwrap();
        second.send(&text(2)).await.unwrap();
        assert_eq!(second.recv::<ControlUp>().await.unwrap(), text(2));
        stream.send(&text(3)).await.unwrap();
        let Ended::Link(code, text) = client.closed().await else { panic!("no goodbye") };
        assert_eq!(code, CloseCode::PROTOCOL_ERROR);
        assert!(text.contains("stream 0"), "{text}");
    }
}

#[tokio::test]
async fn bytes_on_a_stream_that_the_node_left_are_bounded() {
    let (node, mut links) = Node::with_links(config());
    for kind in [Kind::WebSocket, Kind::WebSocketJson] {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(1)).await.unwrap();
        let link = links.recv().await.unwrap();
        let (reader, mut writer) = link.accept_stream().await.unwrap();
        writer.reset(CloseCode::REMOVED);
        drop((reader, writer));
        let mut sent = 0;
        while stream.send(&text(10_000)).await.is_ok() {
            sent += 10_000;
            assert!(sent < 20 << 20, "{kind:?}");
        }
        let Ended::Link(code, text) = client.closed().await else { panic!("no goodbye") };
        assert_eq!(code, CloseCode::PROTOCOL_ERROR);
        assert!(text.contains("goes on sending"), "{text}");
        assert!(sent >= 1 << 20, "what was on its way is forgiven");
    }
    assert_eq!(node.metrics.rejections(Rejected::Stray), 2);
}

#[tokio::test]
async fn floods_of_pings_and_empty_messages_are_survived() {
    let node = Node::echo();
    let client = node.connect(Kind::WebSocket).await;
    let websocket = client.websocket().unwrap();
    let mut stream = client.open().await.unwrap();
    stream.send(&text(1)).await.unwrap();
    // The client reads none of the answers.
    websocket.pause_reading(true);
    for _ in 0..20_000 {
        websocket.send_message(Message::Ping(Bytes::from_static(&[7; 100]))).await.unwrap();
        websocket.send_message(Message::Binary(Bytes::from_static(&[0, 0]))).await.unwrap();
    }
    websocket.pause_reading(false);
    assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(1));
    stream.send(&text(2)).await.unwrap();
    assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(2));
}

#[tokio::test]
async fn a_polite_goodbye_is_answered_and_a_broken_socket_is_noticed() {
    let (node, mut links) = Node::with_links(config());
    for kind in [Kind::WebSocket, Kind::PlainJson] {
        let client = node.connect(kind).await;
        client.websocket().unwrap().send_message(Message::Close(None)).await.unwrap();
        let ended = links.recv().await.unwrap().closed().await;
        assert!(matches!(ended, LinkEnd::Peer { code: CloseCode::NORMAL, .. }), "{ended:?}");

        drop(node.connect(kind).await);
        let ended = links.recv().await.unwrap().closed().await;
        assert!(matches!(ended, LinkEnd::Lost(_)), "{ended:?}");
    }
}

/// A plain connection whose upgrade is done, to write frames by hand.
async fn by_hand(node: &Node) -> TcpStream {
    let mut tcp = TcpStream::connect(node.http_addr).await.unwrap();
    let request = "GET /connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        sec-websocket-protocol: suda.1.bin\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    tcp
}

#[tokio::test]
async fn broken_framing_ends_the_link_with_a_reason() {
    let node = Node::echo();
    // Masked with zeros, which changes nothing.
    let masked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let endless: Vec<u8> = std::iter::once(masked(0x02, &[0; 100]))
        .chain(std::iter::repeat_with(|| masked(0x00, &[0; 100])).take(300))
        .flatten()
        .collect();
    let cases: [(&str, Vec<u8>); 8] = [
        ("not masked", vec![0x82, 2, 0, 1]),
        ("reserved bits", masked(0xf2, &[0, 1])),
        ("an unknown kind of frame", masked(0x83, &[])),
        ("a ping in pieces", masked(0x09, b"x")),
        ("a long ping", [&[0x89, 0xfe, 0, 200, 0, 0, 0, 0][..], &[7; 200]].concat()),
        ("a continuation of nothing", masked(0x80, &[0, 1])),
        ("a length of 2^63", vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a message in pieces without end", endless),
    ];
    for (what, bytes) in cases {
        let mut tcp = by_hand(&node).await;
        tcp.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(WAIT, tcp.read_to_end(&mut answer)).await;
        read.expect("the node hangs up").unwrap();
        assert_eq!((answer[0], &answer[2..4]), (0x88, &4_200u16.to_be_bytes()[..]), "{what}");
    }
}

#[tokio::test]
async fn a_message_in_pieces_is_a_message() {
    let node = Node::echo();
    let mut tcp = by_hand(&node).await;
    let frame = suda_schema::codec::Codec::Binary.encode(&text(5));
    let message = [&[0, 0][..], &frame[..]].concat();
    for (at, byte) in message.iter().enumerate() {
        let first = if at == 0 {
            0x02
        } else if at + 1 == message.len() {
            0x80
        } else {
            0x00
        };
        // With a real mask, and a ping in between.
        tcp.write_all(&[first, 0x81, 1, 2, 3, 4, byte ^ 1, 0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    }
    let mut answer = Vec::new();
    while !answer.windows(frame.len()).any(|window| window == frame) {
        answer.push(tokio::time::timeout(WAIT, tcp.read_u8()).await.expect("the echo").unwrap());
    }
}
