//! Cuts a row of byte chunks into frames.

use bytes::{Buf, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use suda_schema::AppendOnly;
use suda_schema::codec::{DecodeError, Decoded, binary, json};

/// One whole frame, not decoded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawFrame {
    /// The body of a postcard frame, without its length.
    Binary(Bytes),
    /// The text of a JSON frame.
    Json(String),
}

impl RawFrame {
    /// Reads the frame.
    pub fn decode<F: AppendOnly + DeserializeOwned>(&self) -> Result<Decoded<F>, DecodeError> {
        match self {
            Self::Binary(body) => binary::decode_body(body),
            Self::Json(text) => json::decode(text),
        }
    }

    /// How long it is, for rate limits.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Binary(body) => body.len(),
            Self::Json(text) => text.len(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Cuts chunks into length-prefixed frames. A frame that lies in one chunk is a slice of it; only one that came in
/// pieces is copied together, into memory that grows with what really came, never with what a length promised.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// What came last, as it came.
    chunk: Bytes,
    /// The beginning of a frame whose rest has not come yet.
    partial: BytesMut,
}

impl Cutter {
    /// Takes the next chunk. Only when [`Cutter::cut`] has said that it needs more.
    pub(super) fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "cut before pushing more");
        self.chunk = chunk;
    }

    /// Whether a frame has begun and not ended.
    pub(super) fn is_midway(&self) -> bool {
        !self.partial.is_empty() || !self.chunk.is_empty()
    }

    /// The next whole frame's body; `None` if more is needed.
    pub(super) fn cut(&mut self, limit: usize) -> Result<Option<Bytes>, DecodeError> {
        loop {
            if self.partial.is_empty() {
                return self.cut_chunk(limit);
            }
            // A piece of a frame waits: give it what it still needs, and no more.
            let missing = match binary::header(&self.partial, limit)? {
                None => 1,
                Some(header) => (header.header_len + header.body_len).saturating_sub(self.partial.len()),
            };
            if missing == 0 {
                let header = binary::header(&self.partial, limit)?.map_or(0, |header| header.header_len);
                let mut frame = std::mem::take(&mut self.partial).freeze();
                frame.advance(header);
                return Ok(Some(frame));
            }
            if self.chunk.is_empty() {
                return Ok(None);
            }
            let piece = self.chunk.split_to(missing.min(self.chunk.len()));
            self.partial.extend_from_slice(&piece);
        }
    }

    fn cut_chunk(&mut self, limit: usize) -> Result<Option<Bytes>, DecodeError> {
        let whole = match binary::header(&self.chunk, limit)? {
            Some(header) if header.header_len + header.body_len <= self.chunk.len() => Some(header),
            _ => None,
        };
        let Some(header) = whole else {
            if !self.chunk.is_empty() {
                self.partial.extend_from_slice(&self.chunk);
            }
            // Also lets go of the memory that the chunk is a slice of.
            self.chunk = Bytes::new();
            return Ok(None);
        };
        self.chunk.advance(header.header_len);
        let frame = self.chunk.split_to(header.body_len);
        if self.chunk.is_empty() {
            self.chunk = Bytes::new();
        }
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        binary::encode(&Len(body.len()), &mut out);
        out.remove(0);
        out.extend_from_slice(body);
        out
    }

    /// As a frame: a byte of length, then the length that is wanted.
    #[derive(serde::Serialize)]
    struct Len(usize);

    #[test]
    fn frames_come_out_whole_however_the_bytes_are_cut() {
        let bodies: Vec<Vec<u8>> = [0, 1, 127, 128, 300, 5_000, 2].iter().map(|len| vec![7; *len]).collect();
        let bytes: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        for size in [1, 2, 3, 7, 130, 1_000, bytes.len()] {
            let mut cutter = Cutter::default();
            let mut out = Vec::new();
            for chunk in bytes.chunks(size) {
                cutter.push(Bytes::copy_from_slice(chunk));
                while let Some(body) = cutter.cut(10_000).unwrap() {
                    out.push(body.to_vec());
                }
            }
            assert_eq!(out, bodies, "in pieces of {size}");
            assert!(!cutter.is_midway());
        }
    }

    #[test]
    fn a_whole_frame_is_a_slice_of_its_chunk() {
        let chunk = Bytes::from(frame(b"hello"));
        let mut cutter = Cutter::default();
        cutter.push(chunk.clone());
        let body = cutter.cut(100).unwrap().unwrap();
        assert_eq!(body.as_ptr(), chunk.slice(1..).as_ptr());
    }

    #[test]
    fn a_promised_length_takes_no_memory() {
        let mut cutter = Cutter::default();
        cutter.push(Bytes::from_static(&[0xff, 0xff, 0x3f, 1, 2, 3]));
        assert_eq!(cutter.cut(1 << 20), Ok(None));
        assert!(cutter.partial.capacity() < 1_024);
        assert!(cutter.is_midway());
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_at_once() {
        let mut cutter = Cutter::default();
        cutter.push(Bytes::from_static(&[101]));
        assert_eq!(cutter.cut(100), Err(DecodeError::TooLarge { len: 101, limit: 100 }));
        let mut cutter = Cutter::default();
        cutter.push(Bytes::from_static(&[0xff]));
        assert_eq!(cutter.cut(100), Ok(None));
        cutter.push(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff]));
        assert_eq!(cutter.cut(100), Err(DecodeError::BadVarint));
    }
}
