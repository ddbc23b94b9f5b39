//! Frames out of bytes that come in pieces, as a stream of QUIC or WebTransport delivers them.
//!
//! ```
//! use suda_client::frames::FrameReader;
//! use suda_client::schema::codec::{Decoded, binary};
//! use suda_client::schema::control::{ControlDown, Pong};
//!
//! let pong = ControlDown::Pong(Pong { nonce: 7, server_time_ms: 1_767_312_000_123 });
//! let mut bytes = Vec::new();
//! binary::encode(&pong, &mut bytes);
//!
//! let mut reader = FrameReader::new();
//! reader.push(&bytes[..3]);
//! assert_eq!(reader.take::<ControlDown>()?, None, "it has not come whole");
//! reader.push(&bytes[3..]);
//! assert_eq!(reader.take()?, Some(Decoded::Frame(pong)));
//! # Ok::<(), suda_client::schema::codec::DecodeError>(())
//! ```

use serde::de::DeserializeOwned;
use suda_schema::AppendOnly;
use suda_schema::codec::{DecodeError, Decoded, binary};
use suda_schema::limits::FRAME_BYTES_MAX;

/// Collects the bytes of one stream and hands out its frames.
///
/// It holds what was pushed and not yet taken. When all frames have been taken, that is less than one frame, whose
/// length has been checked against the limit before more of it was waited for.
#[derive(Debug)]
pub struct FrameReader {
    bytes: Vec<u8>,
    taken: usize,
    limit: usize,
    broken: Option<DecodeError>,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader for frames of any length the protocol allows.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(FRAME_BYTES_MAX)
    }

    /// A reader for frames whose body is at most `limit` bytes long.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { bytes: Vec::new(), taken: 0, limit, broken: None }
    }

    /// Adds what has come. Take all frames out before adding more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The next frame, if it is whole. After an error the stream can't be read any further: where one frame can't be
    /// understood, nobody knows where the next begins, and every call returns the same error.
    pub fn take<F>(&mut self) -> Result<Option<Decoded<F>>, DecodeError>
    where
        F: AppendOnly + DeserializeOwned,
    {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        match binary::decode(rest, self.limit) {
            Ok(Some((decoded, len))) => {
                self.taken += len;
                Ok(Some(decoded))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                (self.bytes, self.taken) = (Vec::new(), 0);
                self.broken = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The stream has ended: an error if it did so in the middle of a frame.
    pub fn end(self) -> Result<(), DecodeError> {
        match self.broken {
            Some(error) => Err(error),
            None if self.taken < self.bytes.len() => Err(DecodeError::Truncated),
            None => Ok(()),
        }
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.bytes.len() - self.taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use suda_schema::channel::ChannelDown;
    use suda_schema::control::{ControlUp, Ping};
    use suda_schema::samples::Samples;

    use super::*;

    fn stream() -> (Vec<ChannelDown>, Vec<u8>) {
        let frames: Vec<_> = ChannelDown::samples().into_iter().map(|(_, frame)| frame).collect();
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| binary::encode(frame, &mut bytes));
        (frames, bytes)
    }

    proptest! {
        #[test]
        fn wherever_the_stream_is_cut(pieces in prop::collection::vec(1usize..400, 1..60)) {
            let (frames, bytes) = stream();
            let (mut reader, mut got, mut rest) = (FrameReader::new(), Vec::new(), bytes.as_slice());
            for len in pieces.iter().cycle() {
                let (piece, more) = rest.split_at((*len).min(rest.len()));
                reader.push(piece);
                while let Some(decoded) = reader.take::<ChannelDown>()? {
                    got.push(decoded);
                }
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, frames.into_iter().map(Decoded::Frame).collect::<Vec<_>>());
            prop_assert_eq!(reader.held(), 0);
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }

    #[test]
    fn a_byte_at_a_time() {
        let (frames, bytes) = stream();
        let (mut reader, mut got) = (FrameReader::new(), 0);
        for byte in bytes {
            reader.push(&[byte]);
            while let Some(decoded) = reader.take::<ChannelDown>().unwrap() {
                assert_eq!(decoded, Decoded::Frame(frames[got].clone()));
                got += 1;
            }
        }
        assert_eq!(got, frames.len());
    }

    #[test]
    fn unknown_frames_are_said_and_stepped_over() {
        let mut reader = FrameReader::new();
        reader.push(b"\x03\x63ab\x02\x00\x07");
        assert_eq!(reader.take::<ControlUp>(), Ok(Some(Decoded::Unknown)));
        assert_eq!(reader.take(), Ok(Some(Decoded::Frame(ControlUp::Ping(Ping { nonce: 7 })))));
        assert_eq!(reader.take::<ControlUp>(), Ok(None));
    }

    #[test]
    fn a_broken_stream_stays_broken_and_holds_nothing() {
        let mut reader = FrameReader::with_limit(10);
        reader.push(b"\x0b");
        let error = DecodeError::TooLarge { len: 11, limit: 10 };
        assert_eq!(reader.take::<ControlUp>(), Err(error.clone()));
        reader.push(b"\x02\x00\x07");
        assert_eq!(reader.take::<ControlUp>(), Err(error.clone()));
        assert_eq!(reader.held(), 0);
        assert_eq!(reader.end(), Err(error));
    }

    #[test]
    fn an_end_in_the_middle_of_a_frame_is_an_error() {
        let mut reader = FrameReader::new();
        reader.push(b"\x02\x00");
        assert_eq!(reader.take::<ControlUp>(), Ok(None));
        assert_eq!(reader.end(), Err(DecodeError::Truncated));
    }
}
