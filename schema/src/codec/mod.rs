//! The two codecs and the WebSocket multiplexer.
//!
//! - [`binary`]: on QUIC and WebTransport a stream is a row of frames, each `varint length · varint kind · postcard`.
//! - [`mux`]: on WebSocket with the binary subprotocol the same streams, cut in pieces, share one connection.
//! - [`json`]: on WebSocket with the JSON subprotocol each text message is one frame and the number of its stream.

pub mod base64;
pub mod binary;
pub(crate) mod bounded;
pub(crate) mod embedded;
pub mod json;
pub mod mux;
mod varint;

use bytes::Bytes;
use serde::Serialize;

use crate::{ErrorCode, WireError};

/// Which of the two codecs a link speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Length-prefixed postcard.
    Binary,
    /// JSON text.
    Json,
}

impl Codec {
    /// One whole frame, as it goes on a stream: with its length in front in [`Codec::Binary`], bare text in
    /// [`Codec::Json`].
    #[must_use]
    pub fn encode<F: Serialize>(self, frame: &F) -> Bytes {
        match self {
            Self::Binary => {
                let mut out = Vec::new();
                binary::encode(frame, &mut out);
                out.into()
            }
            Self::Json => json::encode(frame).into(),
        }
    }
}

/// Bytes or text that are not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Longer than allowed here. Found out from the length alone; nothing was allocated.
    #[error("{len} bytes where at most {limit} are allowed")]
    TooLarge {
        /// The length announced.
        len: u64,
        /// The limit here.
        limit: usize,
    },
    /// A varint that is too long or not in its shortest form.
    #[error("a number is not a well-formed varint")]
    BadVarint,
    /// The body ended in the middle of a value.
    #[error("the frame ends in the middle of a value")]
    Truncated,
    /// The value ended before the body did.
    #[error("{bytes} bytes are left over after the value")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A value is not of its type.
    #[error("not a well-formed value")]
    Invalid,
    /// Not JSON, or not of the right shape.
    #[error("JSON: {0}")]
    Json(String),
}

impl From<&DecodeError> for WireError {
    fn from(error: &DecodeError) -> Self {
        let code = match error {
            DecodeError::TooLarge { .. } => ErrorCode::TOO_LARGE,
            _ => ErrorCode::MALFORMED,
        };
        Self::new(code, error.to_string())
    }
}

/// A frame, or the news that a newer peer sent one that this build does not know and that was skipped.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded<F> {
    /// A frame.
    Frame(F),
    /// Skipped.
    Unknown,
}
