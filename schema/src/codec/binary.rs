//! Frames on a byte stream: `varint length · varint kind · postcard`.
//!
//! The length counts what follows it. It is checked against the caller's limit before anything is allocated.

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
        Err(postcard::Error::DeserializeUnexpectedEnd) => Err(DecodeError::Truncated),
        Err(postcard::Error::DeserializeBadUtf8) => Err(DecodeError::NotUtf8),
        Err(postcard::Error::DeserializeBadVarint) => Err(DecodeError::BadVarint),
        Err(_) => Err(DecodeError::Invalid),
    }
}

/// The number of the kind at the front of a body.
pub(super) fn kind(body: &[u8]) -> Result<u32, DecodeError> {
    varint::peek(body)?.map(|(kind, _)| kind).ok_or(DecodeError::Truncated)
}

/// Appends a whole frame to `out`.
pub fn encode<F: Serialize>(frame: &F, out: &mut Vec<u8>) {
    let start = out.len();
    // Most frames are short: one byte is kept for the length, and a longer one makes room for itself.
    out.push(0);
    put_value(frame, out);
    finish(out, start);
}

/// Appends a whole frame to `out` whose value is a struct with one list in it, from items that are encoded already:
/// what fan-out sends, made without encoding any entry again.
pub fn encode_list<'a>(kind: u32, items: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(0);
    varint::put(out, kind);
    varint::put(out, u32::try_from(items.len()).unwrap_or(u32::MAX));
    for item in items {
        out.extend_from_slice(item);
    }
    finish(out, start);
}

/// Appends a value without a length, as it is inside a frame.
pub fn put_value<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    struct Append<'a>(&'a mut Vec<u8>);
    impl Extend<u8> for Append<'_> {
        fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
            self.0.extend(bytes);
        }
    }
    #[expect(clippy::expect_used, reason = "writing to memory; our types have lengths and no maps without one")]
    postcard::to_extend(value, Append(out)).map(drop).expect("the schema's own types are serializable");
}

/// Reads a value that was written by [`put_value`].
pub fn take_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|_| DecodeError::Invalid)
}

/// Sets the length of the frame that begins at `start` with one byte kept for it.
fn finish(out: &mut Vec<u8>, start: usize) {
    let body_len = u32::try_from(out.len() - start - 1).unwrap_or(u32::MAX);
    let mut length = Vec::with_capacity(5);
    varint::put(&mut length, body_len);
    out.splice(start..=start, length);
}
