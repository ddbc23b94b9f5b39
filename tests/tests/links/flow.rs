//! Backpressure, fairness and time: nobody who does not read costs unbounded memory or holds up others.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use suda_schema::CloseCode;
use suda_schema::control::{ControlUp, Ping};
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_server::link::{LinkConfig, LinkEnd};
use suda_tests::client::{Ended, Kind, RawClient, RawStream};

use crate::node::{ALL, Node, config, text, until};

/// Far more than everything between the two may hold: queues here, windows, and two kernels' buffers.
const HELD_BYTES_MAX: usize = 3 << 20;

fn pause(client: &RawClient, pause: bool) {
    // On QUIC a stream that is not read is enough.
    if let Some(websocket) = client.websocket() {
        websocket.pause_reading(pause);
    }
}

async fn opened(client: &RawClient) -> RawStream {
    let mut stream = client.open().await.unwrap();
    stream.send(&text(10)).await.unwrap();
    stream
}

#[tokio::test]
async fn a_slow_reader_makes_its_writer_wait_and_gets_everything_in_the_end() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = opened(&client).await;
        let link = links.recv().await.unwrap();
        let (_reader, mut writer) = link.accept_stream().await.unwrap();
        pause(&client, true);
        let frame = link.codec().encode(&text(50_000));
        let mut taken = 0;
        // Until it has waited for half a second.
        while tokio::time::timeout(Duration::from_millis(500), async {
            let mut frames = [frame.clone()];
            while writer.write_all(&mut frames).await.is_err() {}
        })
        .await
        .is_ok()
        {
            taken += 1;
            assert!(taken * frame.len() < HELD_BYTES_MAX, "{kind:?}: {taken} frames were taken");
        }
        pause(&client, false);
        for _ in 0..taken {
            assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(50_000), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_read_here_makes_the_client_wait() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = opened(&client).await;
        let link = links.recv().await.unwrap();
        let (mut reader, _writer) = link.accept_stream().await.unwrap();
        let mut sent = 0;
        while tokio::time::timeout(Duration::from_millis(500), stream.send(&text(8_000))).await.is_ok() {
            sent += 1;
            // Kernels hold some megabytes for a TCP sender.
            assert!(sent * 8_000 < 4 * HELD_BYTES_MAX, "{kind:?}: {sent} frames were taken");
        }
        for _ in 0..sent {
            assert!(reader.frame(FRAME_BYTES_MAX).await.unwrap().is_some(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_long_frame_on_one_stream_does_not_hold_up_a_short_one_on_another() {
    const LONG_FRAMES: usize = 25;
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let (mut long, mut short) = (opened(&client).await, opened(&client).await);
        let link = links.recv().await.unwrap();
        let (_reader, mut long_writer) = link.accept_stream().await.unwrap();
        let (_reader2, mut short_writer) = link.accept_stream().await.unwrap();
        pause(&client, true);
        let mut frames = vec![link.codec().encode(&text(400_000)); LONG_FRAMES];
        let writing = tokio::spawn(async move {
            let result = long_writer.write_all(&mut frames).await;
            (long_writer, result)
        });
        tokio::task::yield_now().await;
        let ping = ControlUp::Ping(Ping { nonce: 1 });
        let written = short_writer.write(link.codec().encode(&ping));
        tokio::time::timeout(Duration::from_secs(5), written).await.expect("room for a short frame").unwrap();
        pause(&client, false);
        let mut before = 0;
        {
            let mut short = pin!(short.recv::<ControlUp>());
            loop {
                tokio::select! {
                    biased;
                    frame = &mut short => break assert_eq!(frame.unwrap(), ping),
                    frame = long.recv::<ControlUp>() => { frame.unwrap(); before += 1; }
                }
            }
        }
        assert!(before <= 5, "{kind:?}: {before} long frames came first");
        for _ in before..LONG_FRAMES {
            assert_eq!(long.recv::<ControlUp>().await.unwrap(), text(400_000), "{kind:?}");
        }
        writing.await.unwrap().1.unwrap();
    }
}

#[tokio::test]
async fn streams_take_turns() {
    const FRAMES: usize = 20;
    let (node, mut links) = Node::with_links(config());
    for kind in [Kind::WebSocket, Kind::WebSocketJson] {
        let client = node.connect(kind).await;
        let mut streams = Vec::new();
        for _ in 0..10 {
            streams.push(opened(&client).await);
        }
        let link = links.recv().await.unwrap();
        pause(&client, true);
        for _ in &streams {
            let (_reader, mut writer) = link.accept_stream().await.unwrap();
            let mut frames = vec![link.codec().encode(&text(100_000)); FRAMES];
            tokio::spawn(async move { writer.write_all(&mut frames).await });
        }
        pause(&client, false);
        let mut reading: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                tokio::spawn(async move {
                    for _ in 0..FRAMES / 2 {
                        stream.recv::<ControlUp>().await.unwrap();
                    }
                    let half = tokio::time::Instant::now();
                    for _ in FRAMES / 2..FRAMES {
                        stream.recv::<ControlUp>().await.unwrap();
                    }
                    (half, tokio::time::Instant::now())
                })
            })
            .collect();
        let mut times = Vec::new();
        for reading in reading.drain(..) {
            times.push(reading.await.unwrap());
        }
        // Each is half done before any is done.
        let last_half = times.iter().map(|(half, _)| half).max().unwrap();
        let first_done = times.iter().map(|(_, done)| done).min().unwrap();
        assert!(last_half < first_done, "{kind:?}");
    }
}

#[tokio::test]
async fn writing_is_ready_only_when_all_is_taken() {
    let (node, mut links) = Node::with_links(config());
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut stream = opened(&client).await;
        let link = links.recv().await.unwrap();
        let (_reader, mut writer) = link.accept_stream().await.unwrap();
        pause(&client, true);
        let mut frames: Vec<Bytes> = vec![link.codec().encode(&text(100_000)); 40];
        let mut dropped = 0;
        // The future is dropped again and again: what is left in `frames` is what is left to write.
        while poll!(pin!(writer.write_all(&mut frames))).is_pending() {
            dropped += 1;
            if dropped == 20 {
                pause(&client, false);
            }
            let reading = tokio::time::timeout(Duration::from_millis(20), stream.recv::<ControlUp>()).await;
            if let Ok(frame) = reading {
                assert_eq!(frame.unwrap(), text(100_000), "{kind:?}");
            }
        }
        assert!(frames.iter().all(Bytes::is_empty));
        writer.finish();
    }
}

#[tokio::test]
async fn a_silent_link_lives_while_its_client_does() {
    let config =
        LinkConfig { keep_alive: Duration::from_millis(100), idle_timeout: Duration::from_millis(1_000), ..config() };
    let (node, mut links) = Node::with_links(config);
    let mut held = Vec::new();
    for kind in ALL {
        let client = node.connect(kind).await;
        let stream = opened(&client).await;
        let link = links.recv().await.unwrap();
        held.push((client, stream, link));
    }
    // Not waiting for something to happen, but seeing that it does not.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for (client, _stream, link) in &held {
        assert!(poll!(pin!(link.closed())).is_pending(), "{:?}", client.kind());
    }
    for (client, _stream, link) in &held {
        if client.kind().is_websocket() {
            // It answers no pings any more.
            pause(client, true);
            assert_eq!(link.closed().await, LinkEnd::TimedOut, "{:?}", client.kind());
            pause(client, false);
            assert_eq!(client.closed().await.link_code(), Some(CloseCode::IDLE));
        }
    }
}

#[tokio::test]
async fn a_client_that_never_reads_its_goodbye_is_cut_off() {
    let mut config = config();
    config.tcp.ws_close_timeout = Duration::from_millis(200);
    let (node, mut links) = Node::with_links(config);
    for kind in [Kind::WebSocket, Kind::PlainJson] {
        let client = node.connect(kind).await;
        let _stream = opened(&client).await;
        let link = links.recv().await.unwrap();
        let (_reader, mut writer) = link.accept_stream().await.unwrap();
        pause(&client, true);
        let mut frames = vec![link.codec().encode(&text(100_000)); 100];
        assert!(poll!(pin!(writer.write_all(&mut frames))).is_pending());
        link.close(CloseCode::TOO_SLOW, "");
        assert_eq!(link.closed().await, LinkEnd::Local(CloseCode::TOO_SLOW));
        // The socket itself is gone: sending fails some time.
        let websocket = client.websocket().unwrap();
        let ping = || tokio_tungstenite::tungstenite::Message::Ping(Bytes::new());
        let deadline = tokio::time::Instant::now() + suda_tests::client::WAIT;
        while websocket.send_message(ping()).await.is_ok() {
            assert!(tokio::time::Instant::now() < deadline, "{kind:?}: the socket stays open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_link_has_room_for_as_many_streams_as_it_may() {
    let streams_max = LinkConfig::default().streams_max;
    let node = Node::start(LinkConfig { streams_max, ..config() }, |link| Box::pin(crate::node::echo(link)));
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut streams = Vec::new();
        // WebTransport needs one for itself.
        for _ in 1..streams_max {
            streams.push(opened(&client).await);
        }
        for stream in &mut streams {
            assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(10), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn quic_streams_beyond_the_limit_wait_and_websocket_ones_end_the_link() {
    let config = LinkConfig { streams_max: 8, ..config() };
    let node = Node::start(config, |link| Box::pin(crate::node::echo(link)));
    let bystander = node.connect(Kind::WebSocket).await;
    for kind in ALL {
        let client = node.connect(kind).await;
        let mut streams = Vec::new();
        let wanted = if kind == Kind::WebTransport { 7 } else { 8 };
        for _ in 0..wanted {
            streams.push(opened(&client).await);
        }
        if kind.is_websocket() {
            let mut stream = client.open().await.unwrap();
            let _ = stream.send(&text(10)).await;
            assert_eq!(client.closed().await.link_code(), Some(CloseCode::PROTOCOL_ERROR), "{kind:?}");
        } else {
            let opening = client.open();
            let mut opening = pin!(opening);
            let waits = tokio::time::timeout(Duration::from_millis(300), &mut opening).await.is_err();
            assert!(waits, "{kind:?}: a stream too many");
            // Two, because quinn waits with new places until an eighth of them and more is free.
            for mut stream in streams.drain(..2) {
                stream.finish().await;
                assert_eq!(stream.ended().await, Ended::Finished);
            }
            opening.await.unwrap();
        }
    }
    // Streams that are over make room, however many there have been.
    for _ in 0..100 {
        let mut stream = opened(&bystander).await;
        assert_eq!(stream.recv::<ControlUp>().await.unwrap(), text(10));
        stream.finish().await;
        assert_eq!(stream.ended().await, Ended::Finished);
    }
    until("only the bystander is left", || node.metrics.open(suda_server::link::LinkKind::WebSocket) == 1).await;
}
