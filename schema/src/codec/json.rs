//! The same frames as JSON: `{"kind": {…fields…}}`, one to a WebSocket text message, with its stream's number beside it.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{DecodeError, Decoded};
use crate::{AppendOnly, CloseCode};

/// One WebSocket text message: something about one stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// A whole frame, as JSON text.
    Frame(Cow<'a, str>),
    /// A piece of a long frame's JSON text; pieces are joined until the last.
    Part {
        /// The piece.
        text: Cow<'a, str>,
        /// Whether it is the last.
        last: bool,
    },
    /// The sender is done with the stream.
    Fin,
    /// The sender gave the stream up.
    Reset(CloseCode),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    stream: u32,
    #[serde(borrow)]
    frame: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<CowStr<'a>>,
    #[serde(default)]
    last: bool,
    #[serde(default)]
    fin: bool,
    reset: Option<CloseCode>,
}

/// Reads a WebSocket text message: the stream's number and what is said of it.
pub fn decode_message(text: &str, limit: usize) -> Result<(u32, Message<'_>), DecodeError> {
    if text.len() > limit {
        return Err(DecodeError::TooLarge { len: text.len() as u64, limit });
    }
    let Envelope { stream, frame, part, last, fin, reset } =
        serde_json::from_str(text).map_err(|error| json_error(&error))?;
    let message = match (frame, part, fin, reset) {
        (Some(frame), None, false, None) if !last => Message::Frame(frame.get().into()),
        (None, Some(CowStr(text)), false, None) => Message::Part { text, last },
        (None, None, true, None) if !last => Message::Fin,
        (None, None, false, Some(code)) if !last => Message::Reset(code),
        _ => return Err(DecodeError::Json("give exactly one of frame, part (with last), fin, reset".to_owned())),
    };
    Ok((stream, message))
}

/// Writes a WebSocket text message.
#[must_use]
pub fn encode_message(stream: u32, message: &Message<'_>) -> String {
    let mut out = format!("{{\"stream\":{stream},");
    match message {
        Message::Frame(frame) => out.extend(["\"frame\":", frame]),
        Message::Part { text, last } => {
            out.extend(["\"part\":", &encode(text), if *last { ",\"last\":true" } else { "" }]);
        }
        Message::Fin => out.push_str("\"fin\":true"),
        Message::Reset(code) => out.extend(["\"reset\":", &code.0.to_string()]),
    }
    out.push('}');
    out
}

/// Reads a frame.
pub fn decode<F>(text: &str) -> Result<Decoded<F>, DecodeError>
where
    F: AppendOnly + DeserializeOwned,
{
    let KindOf(kind) = serde_json::from_str(text).map_err(|error| json_error(&error))?;
    if !F::NAMES.contains(&kind.as_ref()) {
        return Ok(Decoded::Unknown);
    }
    serde_json::from_str(text).map(Decoded::Frame).map_err(|error| json_error(&error))
}

/// Writes a frame.
#[must_use]
pub fn encode<F: Serialize>(frame: &F) -> String {
    #[expect(clippy::expect_used, reason = "writing to memory; our types have only string keys")]
    serde_json::to_string(frame).expect("the schema's own types are serializable")
}

/// Writes a frame whose value is a struct with one list in it, from items that are encoded already.
#[must_use]
pub fn encode_list<'a>(kind: &str, field: &str, items: impl Iterator<Item = &'a str>) -> String {
    let mut out = format!("{{\"{kind}\":{{\"{field}\":[");
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(item);
    }
    out.push_str("]}}");
    out
}

/// What serde says of the input may quote it. A quotation of a megabyte helps nobody.
fn json_error(error: &serde_json::Error) -> DecodeError {
    const CHARS_MAX: usize = 200;
    let mut text = error.to_string();
    if let Some((at, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(at);
        text.push('…');
    }
    DecodeError::Json(text)
}

/// The one key of an object.
struct KindOf<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for KindOf<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneKey;
        impl<'de> Visitor<'de> for OneKey {
            type Value = KindOf<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with one key, the frame's kind")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KindOf<'de>, A::Error> {
                let Some((kind, IgnoredAny)) = map.next_entry::<CowStr<'de>, IgnoredAny>()? else {
                    return Err(serde::de::Error::custom("the object is empty; its one key is the frame's kind"));
                };
                if map.next_key::<IgnoredAny>()?.is_some() {
                    return Err(serde::de::Error::custom("more than one key; a frame has one, its kind"));
                }
                Ok(KindOf(kind.0))
            }
        }
        deserializer.deserialize_map(OneKey)
    }
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct CowStr<'a>(#[serde(borrow)] Cow<'a, str>);
