//! Frames and datagrams go both ways, whole and in order, on every transport.

use suda_schema::ChannelId;
use suda_schema::channel::{DatagramUp, TypingIn};
use suda_schema::control::{ControlUp, Ping};
use suda_tests::client::{Ended, Kind};

use crate::node::{ALL, Node, text, text_of};

#[tokio::test]
async fn frames_of_all_sizes_go_both_ways() {
    let node = Node::echo();
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        for frame in [
            text(0),
            text(100),
            text(16_360),
            text(16_384),
            text(16_385),
            text(400_000),
            text_of("수다👋\u{0}\"\\", 30_000),
        ] {
            stream.send(&frame).await.unwrap();
            assert!(stream.recv::<ControlUp>().await.unwrap() == frame, "{kind:?}");
        }
        stream.finish().await;
        assert_eq!(stream.ended().await, Ended::Finished, "{kind:?}");
    }
}

#[tokio::test]
async fn many_frames_keep_their_order_on_many_streams() {
    const FRAMES: u64 = 500;
    let node = Node::echo();
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(client.open().await.unwrap());
        }
        let echoes = streams.into_iter().map(|mut stream| async move {
            let mut sent = Vec::new();
            for nonce in 0..FRAMES {
                sent.push(stream.send(&ControlUp::Ping(Ping { nonce })).await);
            }
            assert!(sent.iter().all(Result::is_ok));
            for nonce in 0..FRAMES {
                assert_eq!(stream.recv::<ControlUp>().await.unwrap(), ControlUp::Ping(Ping { nonce }));
            }
        });
        futures_util::future::join_all(echoes).await;
    }
}

#[tokio::test]
async fn frames_may_come_in_any_pieces() {
    let node = Node::echo();
    for kind in [Kind::WebTransport, Kind::Quic, Kind::WebSocket] {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        let bytes = kind.codec().encode(&text(300));
        for byte in bytes.chunks(1).take(5).chain([&bytes[5..200], &bytes[200..]]) {
            stream.send_raw(byte.to_vec()).await.unwrap();
        }
        stream.send_raw([&bytes[..], &bytes[..]].concat()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(300), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn datagrams_go_both_ways_where_there_are_any() {
    let node = Node::echo();
    let typing = DatagramUp::Typing(TypingIn { channel: ChannelId(7), on: true });
    for kind in ALL {
        let client = node.connect(kind).await;
        assert_eq!(client.send_datagram(&typing), !kind.is_websocket(), "{kind:?}");
        if !kind.is_websocket() {
            assert_eq!(client.recv_datagram::<DatagramUp>().await.unwrap(), typing);
        }
    }
}

#[tokio::test]
async fn deep_nesting_costs_no_stack() {
    let node = Node::echo();
    for (open, close) in [("[", "]"), (r#"{"ping":"#, "}")] {
        let client = node.connect(Kind::WebSocketJson).await;
        let mut stream = client.open().await.unwrap();
        let nested = format!(r#"{{"ping":{}1{}}}"#, open.repeat(100_000), close.repeat(100_000));
        stream.send_raw(nested).await.unwrap();
        assert_eq!(stream.ended().await, Ended::Reset(suda_schema::CloseCode::PROTOCOL_ERROR));
    }
}
