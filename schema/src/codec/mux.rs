//! Streams over one WebSocket, in the binary subprotocol: each binary message is `varint stream · u8 what · payload`.
//!
//! A stream's payloads, joined, are the byte stream that QUIC would carry. A sender cuts long frames into pieces of at
//! most [`WS_CHUNK_BYTES_MAX`](crate::limits::WS_CHUNK_BYTES_MAX) and takes turns between streams, so that a long
//! message in one channel does not hold up another.

use super::{DecodeError, varint};
use crate::CloseCode;

/// One WebSocket binary message: something about one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// The stream's next bytes.
    Data(&'a [u8]),
    /// The sender is done with the stream.
    Fin,
    /// The sender gave the stream up.
    Reset(CloseCode),
}

const DATA: u8 = 0;
const FIN: u8 = 1;
const RESET: u8 = 2;

/// Reads a WebSocket binary message: the stream's number and what is said of it.
pub fn decode_message(bytes: &[u8]) -> Result<(u32, Message<'_>), DecodeError> {
    let (stream, at) = varint::peek(bytes)?.ok_or(DecodeError::Truncated)?;
    let (what, payload) = bytes.get(at..).and_then(<[u8]>::split_first).ok_or(DecodeError::Truncated)?;
    let message = match (*what, payload) {
        (DATA, payload) => Message::Data(payload),
        (FIN, []) => Message::Fin,
        (RESET, [high, low]) => Message::Reset(CloseCode(u16::from_be_bytes([*high, *low]))),
        (RESET, [] | [_]) => return Err(DecodeError::Truncated),
        (FIN, rest) => return Err(DecodeError::Trailing { bytes: rest.len() }),
        (RESET, rest) => return Err(DecodeError::Trailing { bytes: rest.len() - 2 }),
        _ => return Err(DecodeError::Invalid),
    };
    Ok((stream, message))
}

/// Writes a WebSocket binary message.
#[must_use]
pub fn encode_message(stream: u32, message: &Message<'_>) -> Vec<u8> {
    let payload_len = if let Message::Data(payload) = message { payload.len() } else { 2 };
    let mut out = Vec::with_capacity(6 + payload_len);
    varint::put(&mut out, stream);
    match message {
        Message::Data(payload) => {
            out.push(DATA);
            out.extend_from_slice(payload);
        }
        Message::Fin => out.push(FIN),
        Message::Reset(code) => {
            out.push(RESET);
            out.extend_from_slice(&code.0.to_be_bytes());
        }
    }
    out
}
