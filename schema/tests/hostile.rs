//! What nobody should send. Everything gets a typed error, and nothing else happens.

mod support;

use suda_schema::channel::{ChannelDown, ChannelUp, Op, Send};
use suda_schema::codec::{DecodeError, Decoded, binary, json, mux};
use suda_schema::control::{ControlDown, ControlUp, Ping};
use suda_schema::entry::{Body, Entry, What};
use suda_schema::limits::{CONTROL_BYTES_MAX, FRAME_BYTES_MAX};
use suda_schema::open::Open;
use suda_schema::samples::{self, Samples};
use suda_schema::{AppendOnly, ErrorCode, Seq, WireError};
use support::targets::Wire;
use support::{check, for_every_enum, for_every_frame};

#[test]
fn truncated_at_every_byte() {
    fn check<F: Samples + Wire>() {
        for (name, frame) in F::samples() {
            let mut bytes = Vec::new();
            binary::encode(&frame, &mut bytes);
            for cut in 0..bytes.len() {
                assert_eq!(binary::decode::<F>(&bytes[..cut], FRAME_BYTES_MAX), Ok(None), "{name} cut at {cut}");
            }
            let mut body = Vec::new();
            binary::put_value(&frame, &mut body);
            for cut in 0..body.len() {
                // A list or text that ends early ends the body; an embedded value may instead be found to be wrong.
                let error = binary::decode_body::<F>(&body[..cut]).expect_err(name);
                assert!(matches!(error, DecodeError::Truncated | DecodeError::Invalid), "{name} cut at {cut}: {error}");
            }
        }
    }
    for_every_frame!(check);
}

#[test]
fn truncated_json_at_every_byte() {
    fn check<F: Samples + Wire>() {
        for (name, value) in F::samples() {
            let text = json::encode(&value);
            for (cut, _) in text.char_indices() {
                let error = json::decode::<F>(&text[..cut]).expect_err(name);
                assert!(matches!(error, DecodeError::Json(_)), "{name} cut at {cut}: {error}");
            }
        }
    }
    for_every_enum!(check);
}

#[test]
fn one_byte_too_many() {
    fn check<F: Samples + Wire>() {
        for (name, frame) in F::samples() {
            let mut body = Vec::new();
            binary::put_value(&frame, &mut body);
            body.push(0);
            assert_eq!(binary::decode_body::<F>(&body), Err(DecodeError::Trailing { bytes: 1 }), "{name}");
            assert!(json::decode::<F>(&(json::encode(&frame) + "{}")).is_err(), "{name}");
        }
    }
    for_every_enum!(check);
}

#[test]
fn lengths_beyond_the_limit_are_known_from_the_length_alone() {
    for (length, len) in [(&b"\x81\x80\x04"[..], 65_537), (b"\xff\xff\xff\xff\x0f", u64::from(u32::MAX))] {
        let error = DecodeError::TooLarge { len, limit: CONTROL_BYTES_MAX };
        assert_eq!(binary::decode::<ControlUp>(length, CONTROL_BYTES_MAX), Err(error.clone()));
        assert_eq!(WireError::from(&error).code, ErrorCode::TOO_LARGE);
    }
    assert!(binary::header(b"\x80\x80\x04", CONTROL_BYTES_MAX).unwrap().is_some(), "the limit itself is allowed");
    assert_eq!(json::decode_message("{}", 1), Err(DecodeError::TooLarge { len: 2, limit: 1 }));
}

#[test]
fn varints_that_are_too_long() {
    for bad in [&b"\x80\x00"[..], b"\x82\x80\x00", b"\xff\xff\xff\xff\x1f", b"\x80\x80\x80\x80\x80\x01"] {
        assert_eq!(binary::decode::<ControlUp>(bad, FRAME_BYTES_MAX), Err(DecodeError::BadVarint), "{bad:?}");
        assert_eq!(binary::decode_body::<ControlUp>(bad), Err(DecodeError::BadVarint), "{bad:?}");
        assert_eq!(mux::decode_message(bad), Err(DecodeError::BadVarint), "{bad:?}");
    }
    // A nonce of eleven bytes.
    let body = b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(binary::decode_body::<ControlUp>(body), Err(DecodeError::BadVarint));
}

#[test]
fn an_empty_frame_has_no_kind() {
    assert_eq!(binary::decode::<ControlUp>(b"\x00", FRAME_BYTES_MAX), Err(DecodeError::Truncated));
}

#[test]
fn texts_that_are_not_utf8() {
    let title = b"\x05\x02\xff\xfe";
    assert_eq!(binary::decode_body::<What>(title), Err(DecodeError::NotUtf8));
    let hello = b"\x00\x01\xff\x00\x00\x00\x00";
    assert_eq!(binary::decode_body::<Open>(hello), Err(DecodeError::NotUtf8));
    // Half a surrogate pair is no text in JSON either.
    assert!(json::decode::<Body>(r#"{"text":"\ud83d"}"#).is_err());
    assert_eq!(json::decode::<Body>(r#"{"text":"\ud83d\udc4b"}"#), Ok(Decoded::Frame(Body::Text("👋".into()))));
}

#[test]
fn values_outside_their_type() {
    assert_eq!(binary::decode_body::<ChannelUp>(b"\x02\x02"), Err(DecodeError::Invalid), "a bool of 2");
    assert_eq!(binary::decode_body::<ControlUp>(b"\x02\x09"), Err(DecodeError::Invalid), "an activity of 9");
    assert_eq!(binary::decode_body::<ChannelUp>(b"\x01\x07\x00"), Err(DecodeError::Invalid), "an option of 7");
}

#[test]
fn unknown_frames_are_skipped() {
    let mut bytes = b"\x05\xc8\x01abc".to_vec();
    let ping = ControlUp::Ping(Ping { nonce: 1 });
    binary::encode(&ping, &mut bytes);
    assert_eq!(binary::decode::<ControlUp>(&bytes, 10), Ok(Some((Decoded::Unknown, 6))));
    assert_eq!(binary::decode::<ControlUp>(&bytes[6..], 10), Ok(Some((Decoded::Frame(ping), 3))));
    assert_eq!(json::decode::<ControlUp>(r#"{"teleport":{"to":[1,{}]}}"#), Ok(Decoded::Unknown));
}

#[test]
fn an_unknown_embedded_kind_keeps_its_place() {
    let mut bytes = Vec::new();
    binary::put_value(&(Seq(5), 6u64, samples::ALICE, None::<u64>), &mut bytes);
    bytes.extend_from_slice(b"\x04\x63\x01\x02\x03");
    let (entry, rest): (Entry, _) = binary::take_value(&bytes).unwrap();
    assert_eq!((entry.seq, entry.what.kind(), rest), (Seq(5), 0x63, &[][..]));

    let mut again = Vec::new();
    binary::put_value(&entry, &mut again);
    assert_eq!(again, bytes, "it is passed on as it came");

    let text = json::encode(&entry);
    assert!(text.ends_with(r#""what":{"unknown":null}}"#), "{text}");
    let from_json: Entry = serde_json::from_str(&text).unwrap();
    again.clear();
    binary::put_value(&from_json, &mut again);
    let (still, _): (Entry, _) = binary::take_value(&again).unwrap();
    assert_eq!((still.seq, still.what.kind()), (Seq(5), u32::MAX));
}

#[test]
fn an_unknown_op_can_be_refused_by_its_id() {
    let text = r#"{"send":{"client_msg_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","op":{"poll":{"of":[1,2]}}}}"#;
    let Ok(Decoded::Frame(ChannelUp::Send(Send { client_msg_id, op }))) = json::decode(text) else { panic!() };
    assert_eq!(client_msg_id, samples::CLIENT_MSG_ID);
    assert!(matches!(op, Op::Unknown(_)));
    // Whatever is done with it, it does not panic.
    let mut bytes = Vec::new();
    binary::put_value(&op, &mut bytes);
    assert_eq!(json::encode(&op), r#"{"unknown":null}"#);
}

#[test]
fn an_embedded_value_with_a_rest_is_refused() {
    // Body "text" of one letter, and one byte more inside its length.
    let body = b"\x04\x00\x01a\x00";
    let mut message = b"\x00".to_vec();
    message.extend_from_slice(body);
    message.extend_from_slice(b"\x00\x00\x00\x00\x00\x00");
    assert_eq!(binary::decode_body::<What>(&message), Err(DecodeError::Invalid));
}

#[test]
fn json_nested_a_hundred_thousand_deep() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(json::decode::<ControlUp>(&format!(r#"{{"teleport":{deep}}}"#)), Ok(Decoded::Unknown));
    assert_eq!(
        json::decode::<ControlUp>(&format!(r#"{{"ping":{{"nonce":1,"more":{deep}}}}}"#)),
        Ok(Decoded::Frame(ControlUp::Ping(Ping { nonce: 1 })))
    );
    for bad in [&deep, &format!(r#"{{"ping":{deep}}}"#), &format!(r#"{{"ping":{{"nonce":{deep}}}}}"#)] {
        assert!(json::decode::<ControlUp>(bad).is_err());
    }
    let message = format!(r#"{{"stream":0,"frame":{deep}}}"#);
    assert!(json::decode_message(&message, FRAME_BYTES_MAX).is_ok(), "what is in it is looked at later");
    let body = format!(r#"{{"send":{{"client_msg_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","op":{deep}}}}}"#);
    assert!(json::decode::<ChannelUp>(&body).is_err());
}

#[test]
fn json_that_is_no_frame() {
    let ping = r#"{"ping":{"nonce":1}}"#;
    assert!(json::decode::<ControlUp>(ping).is_ok());
    for bad in [
        "",
        "null",
        "17",
        "\"ping\"",
        "[]",
        "{}",
        r#"{"ping":{"nonce":1},"ping":{"nonce":1}}"#,
        r#"{"ping":{"nonce":1},"activity":{"activity":"idle"}}"#,
        r#"{"ping":{"nonce":1,"nonce":2}}"#,
        r#"{"ping":{"nonce":1}} x"#,
        r#"{"ping":{"nonce":-1}}"#,
        r#"{"ping":{"nonce":1.5}}"#,
        r#"{"ping":{"nonce":"1"}}"#,
        r#"{"ping":{"nonce":18446744073709551616}}"#,
        r#"{"ping":{"nonce":1e999999999}}"#,
        r#"{"ping":{}}"#,
        r#"{"ping":null}"#,
        r#"{"activity":{"activity":"sleepy"}}"#,
        r#"{"sync":{"request":4294967296,"limit":1}}"#,
        r#"{"sync":{"request":1,"limit":65536}}"#,
        r#"{"mark":{"channel":7,"marks":{}}}"#,
        "{\"ping\":{\"nonce\":1}\u{0}}",
        "\u{feff}{\"ping\":{\"nonce\":1}}",
    ] {
        let error = json::decode::<ControlUp>(bad).expect_err(bad);
        assert!(matches!(error, DecodeError::Json(_)), "{bad}");
        assert_eq!(WireError::from(&error).code, ErrorCode::MALFORMED);
    }
}

#[test]
fn json_fields_that_nobody_knows_are_ignored() {
    let text = r#"{"ping":{"colour":"red","nonce":1,"more":{"ping":{}}}}"#;
    assert_eq!(json::decode(text), Ok(Decoded::Frame(ControlUp::Ping(Ping { nonce: 1 }))));
}

#[test]
fn what_json_may_leave_out() {
    let hello = r#"{"control":{"token":"t"}}"#;
    let Ok(Decoded::Frame(Open::Control(hello))) = json::decode(hello) else { panic!() };
    assert_eq!((hello.client.as_str(), hello.user_cursor, hello.sync_limit), ("", None, 0));
    let send =
        r#"{"send":{"client_msg_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","op":{"message":{"body":{"text":"hi"}}}}}"#;
    assert!(matches!(json::decode(send), Ok(Decoded::Frame(ChannelUp::Send(_)))));
    assert!(matches!(json::decode(r#"{"mark":{"read":3}}"#), Ok(Decoded::Frame(ChannelUp::Mark(_)))));
}

#[test]
fn json_errors_do_not_repeat_the_input() {
    let text = format!(r#"{{"activity":{{"activity":"{}"}}}}"#, "수".repeat(100_000));
    let Err(DecodeError::Json(message)) = json::decode::<ControlUp>(&text) else { panic!() };
    assert!(message.len() < 1_000, "{} bytes", message.len());
}

#[test]
fn json_messages_say_one_thing_about_one_stream() {
    for bad in [
        r#"{"stream":0}"#,
        r#"{"frame":{}}"#,
        r#"{"stream":-1,"fin":true}"#,
        r#"{"stream":4294967296,"fin":true}"#,
        r#"{"stream":0,"fin":false}"#,
        r#"{"stream":0,"frame":null}"#,
        r#"{"stream":0,"frame":{},"fin":true}"#,
        r#"{"stream":0,"frame":{},"last":true}"#,
        r#"{"stream":0,"frame":{},"part":""}"#,
        r#"{"stream":0,"fin":true,"reset":4000}"#,
        r#"{"stream":0,"reset":65536}"#,
        r#"{"stream":0,"stream":1,"fin":true}"#,
        r#"{"stream":0,"part":7}"#,
    ] {
        assert!(matches!(json::decode_message(bad, 1_000), Err(DecodeError::Json(_))), "{bad}");
    }
}

#[test]
fn binary_messages_say_one_thing_about_one_stream() {
    for (bad, error) in [
        (&b""[..], DecodeError::Truncated),
        (b"\x00", DecodeError::Truncated),
        (b"\x80", DecodeError::Truncated),
        (b"\x00\x03", DecodeError::Invalid),
        (b"\x00\x01\x00", DecodeError::Trailing { bytes: 1 }),
        (b"\x00\x02", DecodeError::Truncated),
        (b"\x00\x02\x10", DecodeError::Truncated),
        (b"\x00\x02\x10\x00\x00", DecodeError::Trailing { bytes: 1 }),
    ] {
        assert_eq!(mux::decode_message(bad), Err(error), "{bad:?}");
    }
}

#[test]
fn lists_longer_than_the_frame() {
    // Four thousand million users, or entries, or attachments, in a frame of a few bytes.
    let many = b"\xff\xff\xff\xff\x0f";
    let presence = [&b"\x05\x00"[..], many].concat();
    assert_eq!(binary::decode_body::<ControlUp>(&presence), Err(DecodeError::Truncated));
    let entries = [&b"\x01"[..], many].concat();
    assert_eq!(binary::decode_body::<ChannelDown>(&entries), Err(DecodeError::Truncated));
    let user_entries = [&b"\x04"[..], many].concat();
    assert_eq!(binary::decode_body::<ControlDown>(&user_entries), Err(DecodeError::Truncated));
    let text = [&b"\x00"[..], many].concat();
    assert_eq!(binary::decode_body::<Body>(&text), Err(DecodeError::Truncated));
}
