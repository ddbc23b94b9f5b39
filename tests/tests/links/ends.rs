//! Ends of streams and links are told to the other side, with their codes.

use std::time::Duration;

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::codec::DecodeError;
use suda_schema::control::{Closing, ControlDown, ControlUp};
use suda_server::link::{LinkEnd, ReadError, WriteError};
use suda_tests::client::{Ended, Kind};
use tokio_tungstenite::tungstenite::Message;

use crate::node::{ALL, Node, config, give_up, text};

#[tokio::test]
async fn a_frame_beyond_the_limit_is_refused_by_its_length() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        if kind.codec() == suda_schema::codec::Codec::Json {
            stream.send(&text(300)).await.unwrap();
        } else {
            // Only the length: four gigabytes.
            stream.send_raw(vec![0xff, 0xff, 0xff, 0xff, 0x0f]).await.unwrap();
        }
        let link = links.recv().await.unwrap();
        let (mut reader, writer) = link.accept_stream().await.unwrap();
        let refused = reader.frame(100).await.unwrap_err();
        assert!(matches!(refused, ReadError::Malformed(DecodeError::TooLarge { .. })), "{kind:?}: {refused}");
        give_up(reader, writer);
        assert_eq!(stream.ended().await, Ended::Reset(CloseCode::PROTOCOL_ERROR), "{kind:?}");
        // The link goes on.
        let mut stream = client.open().await.unwrap();
        stream.send(&text(10)).await.unwrap();
        let (mut reader, _writer) = link.accept_stream().await.unwrap();
        assert!(reader.frame(100).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn half_a_frame_is_not_a_frame() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        if let Some(websocket) = client.websocket().filter(|_| kind.codec() == suda_schema::codec::Codec::Json) {
            let part = r#"{"stream":0,"part":"{\"ping\":"}"#;
            websocket.send_message(Message::text(part)).await.unwrap();
        } else {
            stream.send_raw(vec![10, 1, 2]).await.unwrap();
        }
        stream.finish().await;
        let link = links.recv().await.unwrap();
        let (mut reader, _writer) = link.accept_stream().await.unwrap();
        assert_eq!(reader.frame(100).await, Err(ReadError::HalfFrame), "{kind:?}");
    }
}

#[tokio::test]
async fn streams_are_given_up_with_a_code_either_way() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(10)).await.unwrap();
        let link = links.recv().await.unwrap();
        let (mut reader, mut writer) = link.accept_stream().await.unwrap();
        assert!(reader.frame(100).await.unwrap().is_some());
        stream.reset(CloseCode::DETACHED).await;
        assert_eq!(reader.frame(100).await, Err(ReadError::Reset(CloseCode::DETACHED)), "{kind:?}");
        writer.reset(CloseCode::REMOVED);
        assert_eq!(stream.ended().await, Ended::Reset(CloseCode::REMOVED), "{kind:?}");
        assert_eq!(writer.write(Bytes::from_static(&[1, 0])).await, Err(WriteError::Finished), "{kind:?}");
    }
}

#[tokio::test]
async fn a_node_that_stops_reading_a_stream_says_so_where_the_transport_can() {
    let (node, mut links) = Node::with_links(config());
    for kind in [Kind::Quic, Kind::WebTransport] {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(10)).await.unwrap();
        let link = links.recv().await.unwrap();
        let (reader, _writer) = link.accept_stream().await.unwrap();
        reader.stop(CloseCode::REMOVED);
        let ended = loop {
            if let Err(ended) = stream.send(&text(1_000)).await {
                break ended;
            }
        };
        assert_eq!(ended, Ended::Reset(CloseCode::REMOVED), "{kind:?}");
    }
}

#[tokio::test]
async fn a_goodbye_in_band_arrives_before_the_close_code() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(10)).await.unwrap();
        let link = links.recv().await.unwrap();
        let (mut reader, mut writer) = link.accept_stream().await.unwrap();
        let closing = ControlDown::Closing(Closing {
            code: CloseCode::DEVICE_REVOKED,
            message: "logged out".to_owned(),
            retry_after_ms: None,
        });
        // After much else that is still on its way.
        let entries = link.codec().encode(&text(400_000));
        writer.write_all(&mut [entries, link.codec().encode(&closing)]).await.unwrap();
        writer.drained(Duration::from_secs(10)).await;
        link.close(CloseCode::DEVICE_REVOKED, "logged out");
        link.close(CloseCode::NORMAL, "only the first counts");
        assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(400_000), "{kind:?}");
        assert_eq!(stream.recv::<ControlDown>().await.unwrap(), closing, "{kind:?}");
        let ended = Ended::Link(CloseCode::DEVICE_REVOKED, "logged out".to_owned());
        assert_eq!(client.closed().await, ended, "{kind:?}");
        assert_eq!(link.closed().await, LinkEnd::Local(CloseCode::DEVICE_REVOKED), "{kind:?}");
        assert!(matches!(reader.frame(10_000).await, Ok(Some(_)) | Err(ReadError::Link(LinkEnd::Local(_)))));
        assert!(link.accept_stream().await.is_err());
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_heard() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(10)).await.unwrap();
        let link = links.recv().await.unwrap();
        let (mut reader, mut writer) = link.accept_stream().await.unwrap();
        assert!(reader.frame(100).await.unwrap().is_some());
        client.close(CloseCode::NORMAL, "bye");
        let ended = LinkEnd::Peer { code: CloseCode::NORMAL, message: "bye".to_owned() };
        assert_eq!(reader.frame(100).await, Err(ReadError::Link(ended.clone())), "{kind:?}");
        assert_eq!(link.closed().await, ended, "{kind:?}");
        assert_eq!(link.accept_stream().await.err(), Some(ended.clone()), "{kind:?}");
        assert_eq!(link.recv_datagram().await.err(), Some(ended.clone()), "{kind:?}");
        assert_eq!(writer.write(Bytes::from_static(&[1, 0])).await, Err(ended.into()), "{kind:?}");
    }
}

#[tokio::test]
async fn a_link_that_nobody_holds_is_closed_and_forgotten() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = client.open().await.unwrap();
        stream.send(&text(10)).await.unwrap();
        drop(links.recv().await.unwrap());
        assert_eq!(client.closed().await.link_code(), Some(CloseCode::NORMAL), "{kind:?}");
        for kind in suda_server::link::LinkKind::ALL {
            assert_eq!(node.metrics.open(kind), 0);
        }
    }
}
