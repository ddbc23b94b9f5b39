//! What encoding and decoding cost in memory, stated.

use allocation_counter::measure;
use suda_schema::channel::{ChannelDown, ChannelUp, Entries, NewMessage, Op, Send};
use suda_schema::codec::{DecodeError, Decoded, binary, json, mux};
use suda_schema::control::ControlUp;
use suda_schema::entry::{Body, Entry, Message, What};
use suda_schema::limits::{ATTACHMENTS_MAX, FRAME_BYTES_MAX};
use suda_schema::{Seq, samples};

#[test]
fn a_length_of_four_gib_allocates_nothing() {
    let info = measure(|| {
        let error = DecodeError::TooLarge { len: u64::from(u32::MAX), limit: FRAME_BYTES_MAX };
        assert_eq!(binary::decode::<ControlUp>(b"\xff\xff\xff\xff\x0f", FRAME_BYTES_MAX), Err(error));
    });
    assert_eq!((info.count_total, info.bytes_total), (0, 0));
}

#[test]
fn a_list_of_four_gib_allocates_nothing_ahead() {
    for body in [
        &b"\x05\x00\xff\xff\xff\xff\x0f"[..], // presence of so many users
        b"\x00\xff\xff\xff\xff\x0f",          // a nonce, and the end
        b"\x01\xff\xff\xff\xff\x0f",          // a token so long
    ] {
        let info = measure(|| assert!(binary::decode_body::<ControlUp>(body).is_err() || body[0] == 0));
        assert_eq!(info.bytes_total, 0, "{body:?}");
    }
    let entries = measure(|| assert!(binary::decode_body::<ChannelDown>(b"\x01\xff\xff\xff\xff\x0f\x01").is_err()));
    assert_eq!(entries.bytes_total, 0);
}

/// The counts below are what the code does today. Fewer is progress; more wants a reason.
#[test]
fn a_message_of_128_bytes() {
    let send = ChannelUp::Send(Send {
        client_msg_id: samples::CLIENT_MSG_ID,
        op: Op::Message(NewMessage { body: text(), reply_to: None, mentions: Vec::new(), attachments: Vec::new() }),
    });
    let entries = ChannelDown::Entries(Entries { entries: vec![entry()] });
    let (mut up, mut down) = (Vec::new(), Vec::new());

    assert_eq!(count(|| binary::encode(&send, &mut up)), 1, "the buffer, at its final size");
    assert_eq!(count(|| binary::encode(&entries, &mut down)), 1, "the buffer, at its final size");
    assert_eq!((up.len(), down.len()), (158, 178));

    assert_eq!(count(|| drop(binary::decode::<ChannelUp>(&up, FRAME_BYTES_MAX))), 1, "the text");
    assert_eq!(count(|| drop(binary::decode::<ChannelDown>(&down, FRAME_BYTES_MAX))), 2, "the list and the text");

    up.clear();
    assert_eq!(count(|| binary::encode(&send, &mut up)), 0, "a buffer used again");

    let mut row = Vec::new();
    binary::put_value(&entry(), &mut row);
    let rows = [row.as_slice()];
    down.clear();
    assert_eq!(count(|| binary::encode_list(ChannelDown::ENTRIES, rows.into_iter(), &mut down)), 0);
    assert_eq!(count(|| assert!(matches!(mux::decode_message(&down), Ok(_) | Err(_)))), 0, "pieces are borrowed");
}

#[test]
fn the_same_message_in_json() {
    let entries = ChannelDown::Entries(Entries { entries: vec![entry()] });
    let text = json::encode(&entries);
    assert_eq!(text.len(), 396);
    // A String that grows from 128 bytes; for decoding, each embedded value's text as `RawValue` has it.
    assert_eq!(count(|| drop(json::encode(&entries))), 3);
    assert_eq!(count(|| assert!(matches!(json::decode::<ChannelDown>(&text), Ok(Decoded::Frame(_))))), 7);
}

/// A list of small things is larger in memory than on the wire, and a peer may fill a frame with one.
#[test]
fn the_largest_frame_costs_little_more_than_its_size() {
    // A message with as many of the smallest attachments as fit: six bytes each on the wire, a hundred in memory.
    let items = (FRAME_BYTES_MAX - 64) / 6;
    let mut message = b"\x00\x02\x00\x00\x00\x00".to_vec();
    binary::put_value(&items, &mut message);
    message.extend(std::iter::repeat_n(0, items * 6));
    let mut body = vec![0; 17];
    binary::put_value(&message.len(), &mut body);
    body.extend_from_slice(&message);
    assert!(body.len() <= FRAME_BYTES_MAX);
    let mut kept = 0;
    let info = measure(|| kept = attachments(binary::decode_body(&body)));
    assert_eq!(kept, ATTACHMENTS_MAX + 1, "enough to see that it is too many");
    assert!(info.bytes_max < 8 << 10, "{} bytes", info.bytes_max);

    let text = format!(
        r#"{{"send":{{"client_msg_id":"{}","op":{{"message":{{"body":{{"text":""}},"mentions":[{}"2"]}}}}}}}}"#,
        samples::CLIENT_MSG_ID,
        r#""1","#.repeat(FRAME_BYTES_MAX / 4 - 64),
    );
    let info = measure(|| assert!(matches!(json::decode::<ChannelUp>(&text), Ok(Decoded::Frame(_)))));
    let times = info.bytes_max / FRAME_BYTES_MAX as u64;
    assert!(times < 3, "{times} times the frame: the text of an embedded value is copied once");
}

fn attachments(decoded: Result<Decoded<ChannelUp>, DecodeError>) -> usize {
    match decoded {
        Ok(Decoded::Frame(ChannelUp::Send(Send { op: Op::Message(message), .. }))) => message.attachments.len(),
        other => unreachable!("{other:?}"),
    }
}

fn count(f: impl FnOnce()) -> u64 {
    measure(f).count_total
}

fn text() -> Body {
    Body::Text("수다".repeat(21) + "..")
}

fn entry() -> Entry {
    Entry {
        seq: Seq(1_042),
        at_ms: samples::AT_MS,
        by: samples::ALICE,
        client_msg_id: Some(samples::CLIENT_MSG_ID),
        what: What::Message(Message {
            body: text(),
            reply_to: None,
            thread: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
            edited: None,
            reactions: Vec::new(),
        }),
    }
}
