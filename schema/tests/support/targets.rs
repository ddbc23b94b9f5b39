//! What the fuzz targets do with their input; the smoke run does the same with fewer inputs.
//!
//! Whatever the input is, a decoder returns; and what it takes, it would write and read again as the same.

#![allow(dead_code, reason = "each fuzz target uses one")]

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use suda_schema::channel::{ChannelDown, ChannelUp, DatagramDown, DatagramUp};
use suda_schema::codec::{Decoded, binary, json, mux};
use suda_schema::control::{ControlDown, ControlUp};
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_schema::open::Open;
use suda_schema::{AppendOnly, UnknownKind};

/// An enum of the wire, with all that a test wants of it.
pub(crate) trait Wire: AppendOnly + Serialize + DeserializeOwned + Clone + PartialEq + Debug {}
impl<T: AppendOnly + Serialize + DeserializeOwned + Clone + PartialEq + Debug> Wire for T {}

/// Frames of one enum, in binary.
pub(crate) fn binary_frames<F: Wire>(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some((decoded, taken))) = binary::decode::<F>(rest, FRAME_BYTES_MAX) {
        assert!(taken > 0 && taken <= rest.len());
        rest = &rest[taken..];
        let Decoded::Frame(frame) = decoded else { continue };
        let mut again = Vec::new();
        binary::encode(&frame, &mut again);
        let len = again.len();
        assert_eq!(binary::decode::<F>(&again, FRAME_BYTES_MAX), Ok(Some((Decoded::Frame(frame.clone()), len))));
        same_in_json(&frame);
    }
}

/// WebSocket messages of the binary subprotocol.
pub(crate) fn mux_message(input: &[u8]) {
    if let Ok((stream, message)) = mux::decode_message(input) {
        assert_eq!(mux::encode_message(stream, &message), input, "there is one way to write it");
    }
}

/// WebSocket messages of the JSON subprotocol.
pub(crate) fn json_message(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Ok((stream, message)) = json::decode_message(text, FRAME_BYTES_MAX) {
        let again = json::encode_message(stream, &message);
        assert_eq!(json::decode_message(&again, usize::MAX), Ok((stream, message)));
    }
}

/// Frames of every enum, in JSON.
pub(crate) fn json_frames(input: &[u8]) {
    fn target<F: Wire>(text: &str) {
        if let Ok(Decoded::Frame(frame)) = json::decode::<F>(text) {
            same_in_json(&frame);
            let mut again = Vec::new();
            binary::encode(&frame, &mut again);
            let len = again.len();
            assert_eq!(binary::decode::<F>(&again, usize::MAX), Ok(Some((Decoded::Frame(frame), len))));
        }
    }
    let Ok(text) = str::from_utf8(input) else { return };
    target::<Open>(text);
    target::<ControlUp>(text);
    target::<ControlDown>(text);
    target::<ChannelUp>(text);
    target::<ChannelDown>(text);
    target::<DatagramUp>(text);
    target::<DatagramDown>(text);
}

/// JSON does not keep the bytes of unknown kinds nor the numbers of unknown errors, but what it keeps it keeps for good.
fn same_in_json<F: Wire>(frame: &F) {
    let text = json::encode(frame);
    let Ok(Decoded::Frame(again)) = json::decode::<F>(&text) else { unreachable!("can't read back {text}") };
    assert_eq!(json::encode(&again), text);
    let lossless = !text.contains(UnknownKind::NAME);
    assert!(!lossless || again == *frame, "{frame:?} came back as {again:?}");
}
