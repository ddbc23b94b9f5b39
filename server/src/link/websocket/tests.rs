//! The table of streams and the messages made of it, without a network.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::codec::{Codec, json, mux};
use suda_schema::limits::WS_CHUNK_BYTES_MAX;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

use super::super::metrics::Rejected;
use super::super::stream::Chunk;
use super::super::{LinkEnd, ReadError, WriteError};
use super::encode::Wire;
use super::streams::{Arrived, Limits, STRAY_BYTES_MAX, Streams};

const LIMITS: Limits = Limits { streams_max: 4, stream_out_bytes: 40 << 10, out_bytes: 66 << 10, in_bytes: 10_000 };

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn streams(codec: Codec, open: u32) -> Streams {
    let mut streams = Streams::new(codec, LIMITS);
    for id in 0..open {
        streams.arrived(id, Arrived::Chunk(Chunk::Bytes(Bytes::new()))).unwrap();
        assert_eq!(streams.poll_accept(&mut cx()), Poll::Ready(Ok(id)));
    }
    streams
}

fn write(streams: &mut Streams, id: u32, frames: &mut [Bytes]) -> bool {
    streams.poll_write(id, &mut cx(), frames).map(Result::unwrap).is_ready()
}

/// The next messages, as a client's library reads them.
fn messages(streams: &mut Streams, count: usize) -> Vec<Message> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut wire = Wire::default();
        if !streams.next_message(&mut wire) {
            break;
        }
        while !wire.is_empty() {
            let before = bytes.len();
            wire.slices().iter().for_each(|slice| bytes.extend_from_slice(slice));
            wire.advance(bytes.len() - before);
        }
    }
    let mut client = WebSocket::from_raw_socket(std::io::Cursor::new(bytes), Role::Client, None);
    std::iter::from_fn(|| client.read().ok()).collect()
}

/// Which stream, how many bytes of payload, and whether it is data.
fn shape(message: &Message) -> (u32, usize, bool) {
    match message {
        Message::Binary(bytes) => match mux::decode_message(bytes).unwrap() {
            (id, mux::Message::Data(payload)) => (id, payload.len(), true),
            (id, _) => (id, 0, false),
        },
        Message::Text(text) => match json::decode_message(text, usize::MAX).unwrap() {
            (id, json::Message::Frame(text) | json::Message::Part { text, .. }) => (id, text.len(), true),
            (id, _) => (id, 0, false),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn streams_take_turns_piece_by_piece() {
    for codec in [Codec::Binary, Codec::Json] {
        let mut streams = streams(codec, 3);
        let long = Bytes::from(vec![b'1'; 400_000]);
        assert!(!write(&mut streams, 0, &mut [long.clone()]));
        assert!(!write(&mut streams, 1, &mut [long]));
        // Though the two have filled their shares, a short frame finds room.
        assert!(write(&mut streams, 2, &mut [Bytes::from_static(b"{}")]));
        let turns: Vec<_> = messages(&mut streams, 5).iter().map(shape).collect();
        assert_eq!(turns.iter().map(|turn| turn.0).collect::<Vec<_>>(), [0, 1, 2, 0, 1], "{codec:?}");
        assert!(turns.iter().all(|turn| turn.1 <= WS_CHUNK_BYTES_MAX));
    }
}

#[test]
fn a_stream_queues_no_more_than_its_share() {
    for codec in [Codec::Binary, Codec::Json] {
        let mut streams = streams(codec, 1);
        let mut frames = vec![Bytes::from(vec![b'1'; 100]); 1_000];
        assert!(!write(&mut streams, 0, &mut frames));
        let taken = frames.iter().filter(|frame| frame.is_empty()).count();
        assert!((250..=410).contains(&taken), "{codec:?}: {taken}");
        let mut went = 0;
        while frames.iter().any(|frame| !frame.is_empty()) {
            went += messages(&mut streams, 1).iter().map(|message| shape(message).1).sum::<usize>();
            write(&mut streams, 0, &mut frames);
        }
        went += messages(&mut streams, usize::MAX).iter().map(|message| shape(message).1).sum::<usize>();
        assert_eq!(went, 100_000, "{codec:?}: nothing is lost or doubled");
    }
}

#[test]
fn short_frames_share_a_binary_message() {
    let mut streams = streams(Codec::Binary, 1);
    assert!(write(&mut streams, 0, &mut [Bytes::from_static(b"ab"), Bytes::from_static(b"c")]));
    streams.finish(0);
    let made = messages(&mut streams, 10);
    assert_eq!(
        made,
        [
            Message::binary(mux::encode_message(0, &mux::Message::Data(b"abc"))),
            Message::binary(mux::encode_message(0, &mux::Message::Fin)),
        ]
    );
}

#[test]
fn json_messages_are_what_the_schema_says() {
    let mut streams = streams(Codec::Json, 1);
    let short = r#"{"ping":{"nonce":1}}"#;
    // 4-byte characters, and things that are escaped, at every place of a cut.
    let long: String = ["a", "é", "수", "👋", "\\", "\""].iter().cycle().take(30_000).copied().collect();
    let mut frames = [Bytes::from_static(short.as_bytes()), Bytes::from(long.clone()), Bytes::from_static(b"{}")];
    let mut made = Vec::new();
    while !write(&mut streams, 0, &mut frames) {
        made.extend(messages(&mut streams, 1));
    }
    streams.reset(0, CloseCode::REMOVED);
    // What waited is given up with the stream.
    made.extend(messages(&mut streams, usize::MAX));
    let texts: Vec<&str> = made.iter().map(|message| message.to_text().unwrap()).collect();
    assert_eq!(texts[0], json::encode_message(0, &json::Message::Frame(short.into())));
    assert_eq!(*texts.last().unwrap(), json::encode_message(0, &json::Message::Reset(CloseCode::REMOVED)));
    let mut joined = String::new();
    for text in &texts[1..texts.len() - 1] {
        let (0, json::Message::Part { text, .. }) = json::decode_message(text, usize::MAX).unwrap() else {
            panic!("{text}")
        };
        joined.push_str(&text);
    }
    assert!(long.starts_with(&joined) && joined.len() > long.len() / 2);
}

#[test]
fn a_finish_in_the_middle_of_a_frame_is_a_reset() {
    let mut streams = streams(Codec::Json, 1);
    assert!(!write(&mut streams, 0, &mut [Bytes::from(vec![b'x'; 100_000])]));
    streams.finish(0);
    let made = messages(&mut streams, usize::MAX);
    let reset = json::encode_message(0, &json::Message::Reset(CloseCode::INTERNAL));
    assert_eq!(made.last().unwrap().to_text().unwrap(), reset);
    let written = streams.poll_write(0, &mut cx(), &mut [Bytes::from_static(b"{}")]);
    assert_eq!(written, Poll::Ready(Err(WriteError::Finished)));
}

#[test]
fn what_is_not_read_fills_the_link_and_what_is_read_frees_it() {
    let mut streams = streams(Codec::Binary, 2);
    let mut count = 0u32;
    while !streams.is_full() {
        // Even messages without a payload are bounded.
        streams.arrived(count % 2, Arrived::Chunk(Chunk::Bytes(Bytes::new()))).unwrap();
        count += 1;
    }
    assert!(count < 200);
    streams.reader_gone(0);
    assert!(!streams.is_full());
    let mut read = 0;
    while let Poll::Ready(chunk) = streams.poll_read(1, &mut cx()) {
        assert!(chunk.unwrap().is_some());
        read += 1;
    }
    // Besides, each began with one.
    assert_eq!(read, count / 2 + 1);
    streams.arrived(1, Arrived::Fin).unwrap();
    assert!(matches!(streams.poll_read(1, &mut cx()), Poll::Ready(Ok(None))));
}

#[test]
fn streams_that_are_over_are_forgotten() {
    let mut streams = streams(Codec::Binary, 0);
    for id in 0..1_000 {
        streams.arrived(id, Arrived::Fin).unwrap();
        assert_eq!(streams.poll_accept(&mut cx()), Poll::Ready(Ok(id)));
        streams.reader_gone(id);
        streams.writer_gone(id);
        assert_eq!(messages(&mut streams, usize::MAX).len(), 1, "the finish");
    }
    let late = streams.arrived(7, Arrived::Chunk(Chunk::Bytes(Bytes::from_static(b"x")))).unwrap_err();
    assert_eq!(late.counted, Rejected::Malformed);
    streams.arrived(7, Arrived::Reset(CloseCode::NORMAL)).unwrap();
}

#[test]
fn too_many_streams_and_too_many_stray_bytes_are_violations() {
    let mut streams = streams(Codec::Binary, 4);
    let fifth = streams.arrived(4, Arrived::Fin).unwrap_err();
    assert_eq!(fifth.counted, Rejected::Streams);
    streams.reader_gone(3);
    let chunk = || Arrived::Chunk(Chunk::Bytes(Bytes::from(vec![0; 16_000])));
    let mut bytes = 0;
    let stray = loop {
        match streams.arrived(3, chunk()) {
            Ok(()) => bytes += 16_000,
            Err(violation) => break violation,
        }
    };
    assert_eq!(stray.counted, Rejected::Stray);
    assert!((STRAY_BYTES_MAX - 32_000..STRAY_BYTES_MAX).contains(&bytes) && !streams.is_full());
}

#[test]
fn the_end_reaches_everybody() {
    let mut streams = streams(Codec::Binary, 1);
    streams.end(LinkEnd::TimedOut);
    streams.end(LinkEnd::Local(CloseCode::NORMAL));
    assert_eq!(streams.poll_accept(&mut cx()), Poll::Ready(Err(LinkEnd::TimedOut)));
    let read = streams.poll_read(0, &mut cx());
    assert!(matches!(read, Poll::Ready(Err(ReadError::Link(LinkEnd::TimedOut)))));
    let written = streams.poll_write(0, &mut cx(), &mut [Bytes::from_static(b"x")]);
    assert_eq!(written, Poll::Ready(Err(WriteError::Link(LinkEnd::TimedOut))));
    assert!(streams.is_drained(0) && !streams.has_messages());
}
