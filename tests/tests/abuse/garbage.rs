//! Bytes that nobody could have meant, on every stream and port.

use bytes::Bytes;
use serde_json::json;
use suda_schema::CloseCode;
use suda_schema::channel::ChannelDown;
use suda_schema::codec::Codec;
use suda_schema::open::{Attach, Open, Start};
use suda_tests::client::{Ended, Kind};
use suda_tests::people::{Hi, hello};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;

use crate::{Scene, link_code, says_and_closes};

/// Bytes that nobody could have meant, always the same.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Bytes that are no frame, for a stream on this transport; for JSON, texts that are none, `known` being a frame's name.
fn garbage(kind: Kind, known: &str) -> Vec<Bytes> {
    let texts = |texts: &[&str]| texts.iter().map(|text| Bytes::from(text.replace("KNOWN", known))).collect();
    if kind.codec() == Codec::Json {
        return texts(&["[]", "7", r#""KNOWN""#, r#"{"KNOWN":-1}"#, r#"{"KNOWN":{}}"#, r#"{"KNOWN":1,"other":2}"#]);
    }
    vec![
        // Lengths of 4 GiB and of 1 MiB and a byte.
        Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Bytes::from_static(&[0x81, 0x80, 0x40]),
        // A length that is not in its shortest form, one that never ends, an empty frame.
        Bytes::from_static(&[0x80, 0x00]),
        Bytes::from_static(&[0xff; 16]),
        Bytes::from_static(&[0]),
        // A ping that ends in the middle, and one with something after it.
        Bytes::from_static(&[1, 0]),
        Bytes::from_static(&[3, 0, 1, 1]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_instead_of_a_hello() {
    let mut scene = Scene::new().await;
    for kind in Kind::ALL {
        let mut cases = garbage(kind, "control");
        if kind.codec() == Codec::Binary {
            cases.extend((0..5).map(|seed| Bytes::from([vec![0xd0, 0x0f], noise(2_000, seed)].concat())));
        } else {
            cases.push(Bytes::from(format!("{{\"control\":{{\"token\":\"{}\"}}}}", "x".repeat(200_000))));
        }
        for bytes in cases {
            let link = scene.node.connect(kind).await;
            let mut control = link.open().await.unwrap();
            // The node may close while it is still being sent.
            let _ = control.send_raw(bytes.clone()).await;
            if kind.codec() == Codec::Binary {
                control.finish().await;
            }
            let code = link_code(&link).await;
            assert_eq!(code, CloseCode::PROTOCOL_ERROR, "{kind:?}: {:?}", &bytes[..bytes.len().min(40)]);
        }
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_half_frames_on_open_streams() {
    let mut scene = Scene::new().await;
    for kind in Kind::ALL {
        // On the control stream the link ends.
        for bytes in garbage(kind, "ping") {
            let mut device = scene.kims(kind).await;
            let _ = device.control.send_raw(bytes.clone()).await;
            if kind.codec() == Codec::Binary {
                device.control.finish().await;
            }
            let what = format!("{bytes:?}");
            says_and_closes(&device.link, &mut device.control, CloseCode::PROTOCOL_ERROR, &what).await;
        }
        // On an attachment's stream, and instead of its first frame, only the attachment does.
        let mut device = scene.kims(kind).await;
        for attached in [false, true] {
            for bytes in garbage(kind, if attached { "send" } else { "attach" }) {
                let mut stream = device.link.open().await.unwrap();
                if attached {
                    let attach = Attach { channel: scene.channel, from: Start::Tail(0) };
                    stream.send(&Open::Attach(attach)).await.unwrap();
                    assert!(matches!(stream.recv().await.unwrap(), ChannelDown::Attached(_)), "{kind:?}");
                }
                let _ = stream.send_raw(bytes.clone()).await;
                if kind.codec() == Codec::Binary {
                    stream.finish().await;
                }
                let closing = loop {
                    match stream.recv::<ChannelDown>().await {
                        Ok(ChannelDown::Closed(closing)) => break closing,
                        Ok(_) => {}
                        Err(error) => panic!("{kind:?}, {attached}, {bytes:?}: {error:#}"),
                    }
                };
                assert_eq!(closing.code, CloseCode::PROTOCOL_ERROR, "{kind:?}, {attached}: {bytes:?}");
            }
        }
        // Frames and kinds of a future version are skipped.
        let mut view = device.attach(scene.channel, Start::Tail(0)).await;
        let unknown: &[u8] = if kind.codec() == Codec::Json { br#"{"wobble":{}}"# } else { &[3, 0x7f, 1, 2] };
        view.stream.send_raw(unknown.to_vec()).await.unwrap();
        device.control.send_raw(unknown.to_vec()).await.unwrap();
        view.say("still attached").await.unwrap();
        device.ping().await.unwrap();
        // A stream that begins with one is given up alone.
        let mut stream = device.link.open().await.unwrap();
        stream.send_raw(unknown.to_vec()).await.unwrap();
        assert_eq!(stream.ended().await, Ended::Reset(CloseCode::PROTOCOL_ERROR), "{kind:?}");
        device.ping().await.unwrap();
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_first_frames_and_second_hellos() {
    let mut scene = Scene::new().await;
    for kind in Kind::ALL {
        let link = scene.node.connect(kind).await;
        let mut control = link.open().await.unwrap();
        control.send(&Open::Attach(Attach { channel: scene.channel, from: Start::Tail(0) })).await.unwrap();
        says_and_closes(&link, &mut control, CloseCode::PROTOCOL_ERROR, "attach first").await;

        let mut device = scene.kims(kind).await;
        let mut second = device.link.open().await.unwrap();
        second.send(&hello(&scene.kim.access, Hi::default())).await.unwrap();
        says_and_closes(&device.link, &mut device.control, CloseCode::PROTOCOL_ERROR, "a second hello").await;

        // The control stream ends before it began.
        let link = scene.node.connect(kind).await;
        let mut control = link.open().await.unwrap();
        control.send_raw(Bytes::new()).await.ok();
        if kind.codec() == Codec::Binary {
            control.finish().await;
            assert_eq!(link_code(&link).await, CloseCode::PROTOCOL_ERROR, "{kind:?}");
        }
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_closed() {
    let mut scene = Scene::with(&[("session.hello_ms", "3000")]).await;
    for kind in Kind::ALL {
        let link = scene.node.connect(kind).await;
        assert_eq!(link_code(&link).await, CloseCode::HANDSHAKE_TIMEOUT, "{kind:?}: no stream");
        let link = scene.node.connect(kind).await;
        let mut control = link.open().await.unwrap();
        if kind.codec() == Codec::Binary {
            // A hello that never comes to its end.
            control.send_raw(Bytes::from_static(&[0x40, 0])).await.unwrap();
            says_and_closes(&link, &mut control, CloseCode::HANDSHAKE_TIMEOUT, "half a hello").await;
        }
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_ports_and_bad_http() {
    let mut scene = Scene::new().await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for seed in 0..500 {
        let len = usize::try_from(seed).unwrap() * 3 % 1_400 + 1;
        udp.send_to(&noise(len, seed), scene.node.addr()).await.unwrap();
    }
    let mut held = Vec::new();
    for addr in [scene.node.addr(), scene.node.http_addr()] {
        for seed in 0..20 {
            let mut tcp = TcpStream::connect(addr).await.unwrap();
            // It may be closed before all is sent.
            let _ = tcp.write_all(&noise(3_000, seed)).await;
            held.push(tcp);
        }
    }
    scene.others_are_unaffected().await;

    let token = Some(scene.kim.access.as_str());
    let node = &scene.node;
    for (method, path, body, status) in [
        ("POST", "/v1/login", json!([]), 422),
        ("POST", "/v1/login", json!({ "handle": 7 }), 422),
        ("POST", "/v1/channels", json!({ "kind": "direct", "title": "x" }), 422),
        ("POST", "/v1/channels", json!({ "kind": "group", "title": "\0" }), 422),
        ("POST", "/v1/channels", json!({ "kind": "group", "title": "x", "members": vec!["1"; 101] }), 413),
        ("GET", "/v1/channels/-1", json!({}), 422),
        ("GET", "/v1/channels/99999999999999999999", json!({}), 422),
        ("GET", "/v1/channels/1", json!({}), 404),
        ("PUT", "/v1/direct/1", json!({}), 404),
        ("POST", "/v1/nothing", json!({}), 404),
        ("DELETE", "/v1/login", json!({}), 405),
        ("POST", "/v1/invites/x/join", json!({}), 404),
        ("POST", "/v1/channels", json!({ "kind": "group", "title": "x".repeat(3 << 20) }), 413),
    ] {
        let answer = node.call(method, path, token, Some(&body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let error = answer.json();
        assert!(error["code"].is_string() && error["message"].is_string(), "{method} {path}: {answer:?}");
    }
    // Datagrams that mean nothing are dropped. (Noise below WebTransport's own header is HTTP/3's to judge, which ends that
    // connection.)
    for kind in [Kind::Quic, Kind::WebTransport] {
        let mut device = scene.kims(kind).await;
        for seed in 0..50 {
            // An array is written as it is, without its length.
            let body: [u8; 32] = noise(32, seed).try_into().unwrap();
            assert!(device.link.send_datagram(&body));
        }
        device.ping().await.unwrap();
    }
    // What only WebSocket can do wrong.
    for (kind, bad) in [
        (Kind::WebSocket, Message::text("{}")),
        (Kind::WebSocket, Message::binary(vec![0xff; 20])),
        (Kind::WebSocketJson, Message::text(r#"{"stream":-1,"fin":true}"#)),
        (Kind::WebSocketJson, Message::binary(vec![0, 0])),
    ] {
        let device = scene.kims(kind).await;
        device.link.websocket().unwrap().send_message(bad.clone()).await.unwrap();
        assert_eq!(link_code(&device.link).await, CloseCode::PROTOCOL_ERROR, "{bad:?}");
    }
    scene.others_are_unaffected().await;
    drop(held);
}
