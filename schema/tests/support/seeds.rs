//! Seeds for the fuzz targets, from the specimens.

use suda_schema::codec::{binary, json, mux};
use suda_schema::samples::Samples;

use super::for_every_frame;
use super::targets::Wire;

pub(crate) fn binary<F: Samples + Wire>() -> Vec<Vec<u8>> {
    F::samples()
        .into_iter()
        .map(|(_, frame)| {
            let mut bytes = Vec::new();
            binary::encode(&frame, &mut bytes);
            bytes
        })
        .collect()
}

pub(crate) fn json_frames() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    macro_rules! add {
        ($frame:ty) => {
            seeds.extend(<$frame>::samples().iter().map(|(_, frame)| json::encode(frame).into_bytes()));
        };
    }
    for_every_frame!(add);
    seeds
}

pub(crate) fn mux_messages() -> Vec<Vec<u8>> {
    let close = mux::Message::Reset(suda_schema::CloseCode::NORMAL);
    let messages = [mux::Message::Data(b"\x02\x00\x11"), mux::Message::Fin, close];
    messages.iter().zip([0, 1, 300]).map(|(message, stream)| mux::encode_message(stream, message)).collect()
}

pub(crate) fn json_messages() -> Vec<Vec<u8>> {
    let close = json::Message::Reset(suda_schema::CloseCode::NORMAL);
    let part = |last| json::Message::Part { text: "{\"a\":\"…\"}".into(), last };
    let frame = json::Message::Frame(r#"{"ping":{"nonce":17}}"#.into());
    let messages = [frame, part(false), part(true), json::Message::Fin, close];
    messages.iter().zip(0..).map(|(message, stream)| json::encode_message(stream, message).into_bytes()).collect()
}
