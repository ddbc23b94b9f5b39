//! Frames on a byte stream: `varint length · varint kind · postcard`.
//!
//! The length counts what follows it. It is checked against the caller's limit before anything is allocated.

use postcard::ser_flavors::{Flavor, Size};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, Decoded, varint};
use crate::AppendOnly;

/// The front of a frame: how long its length field and its body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the length field.
    pub header_len: usize,
    /// Bytes after it.
    pub body_len: usize,
}

/// Reads a frame's length from the front of `bytes`; `None` if more bytes are needed to tell.
pub fn header(bytes: &[u8], limit: usize) -> Result<Option<Header>, DecodeError> {
    let Some((len, header_len)) = varint::peek(bytes)? else { return Ok(None) };
    match usize::try_from(len) {
        Ok(body_len) if body_len <= limit => Ok(Some(Header { header_len, body_len })),
        _ => Err(DecodeError::TooLarge { len: len.into(), limit }),
    }
}

/// Reads one whole frame from the front of `bytes`: the frame and how many bytes it took; `None` if it is not whole yet.
pub fn decode<F>(bytes: &[u8], limit: usize) -> Result<Option<(Decoded<F>, usize)>, DecodeError>
where
    F: AppendOnly + DeserializeOwned,
{
    let Some(Header { header_len, body_len }) = header(bytes, limit)? else { return Ok(None) };
    let Some(body) = bytes.get(header_len..header_len.saturating_add(body_len)) else { return Ok(None) };
    Ok(Some((decode_body(body)?, header_len + body_len)))
}

/// Reads a frame's body, without its length.
pub fn decode_body<F>(body: &[u8]) -> Result<Decoded<F>, DecodeError>
where
    F: AppendOnly + DeserializeOwned,
{
    if kind(body)? >= F::KINDS {
        return Ok(Decoded::Unknown);
    }
    match postcard::take_from_bytes(body) {
        Ok((frame, [])) => Ok(Decoded::Frame(frame)),
        Ok((_, rest)) => Err(DecodeError::Trailing { bytes: rest.len() }),
        Err(error) => Err(postcard_error(&error)),
    }
}

/// The number of the kind at the front of a body.
pub(super) fn kind(body: &[u8]) -> Result<u32, DecodeError> {
    varint::peek(body)?.map(|(kind, _)| kind).ok_or(DecodeError::Truncated)
}

/// Appends a whole frame to `out`.
pub fn encode<F: Serialize>(frame: &F, out: &mut Vec<u8>) {
    begin(value_len(frame), out);
    put_value(frame, out);
}

/// Appends a whole frame to `out` whose value is a struct with one list in it, from items that are encoded already:
/// what fan-out sends, made without encoding any entry again.
pub fn encode_list<'a>(kind: u32, items: impl ExactSizeIterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) {
    encode_around_list(kind, &(), items, &(), out);
}

/// The same where the struct has fields before and after the list: each a tuple, or `()` for none.
pub fn encode_around_list<'a>(
    kind: u32,
    before: &impl Serialize,
    items: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    after: &impl Serialize,
    out: &mut Vec<u8>,
) {
    let count = items.len();
    let items_len: usize = items.clone().map(<[u8]>::len).sum();
    begin(varint::len(kind) + value_len(before) + value_len(&count) + items_len + value_len(after), out);
    varint::put(out, kind);
    put_value(before, out);
    put_value(&count, out);
    for item in items {
        out.extend_from_slice(item);
    }
    put_value(after, out);
}

/// Appends a value without a length, as it is inside a frame.
pub fn put_value<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Append(out)).expect(SERIALIZABLE);
}

/// Reads a value that was written by [`put_value`]: the value and what follows it.
pub fn take_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|error| postcard_error(&error))
}

/// How many bytes [`put_value`] writes.
pub(super) fn size<T: Serialize + ?Sized>(value: &T) -> Result<usize, postcard::Error> {
    postcard::serialize_with_flavor(value, Size::default())
}

fn value_len<T: Serialize + ?Sized>(value: &T) -> usize {
    size(value).expect(SERIALIZABLE)
}

/// Appends a frame's length, and makes room for what it counts.
fn begin(body_len: usize, out: &mut Vec<u8>) {
    out.reserve(varint::BYTES_MAX + body_len);
    put_value(&body_len, out);
}

/// Our types have lengths and no maps without one, and memory takes every byte.
const SERIALIZABLE: &str = "the schema's own types are serializable";

/// Writes at the end of a vector.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn postcard_error(error: &postcard::Error) -> DecodeError {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => DecodeError::Truncated,
        postcard::Error::DeserializeBadUtf8 => DecodeError::NotUtf8,
        postcard::Error::DeserializeBadVarint => DecodeError::BadVarint,
        _ => DecodeError::Invalid,
    }
}
