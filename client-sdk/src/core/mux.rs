//! Streams over one WebSocket: what a driver needs between [`Transmit`] and the messages of the subprotocol `suda.1.bin`.

use bytes::Bytes;
use suda_schema::codec::{DecodeError, mux};

use super::io::{Piece, StreamId, Transmit};

/// The WebSocket message that says this. Pieces have at most
/// [`CHUNK_BYTES_MAX`](super::config::CHUNK_BYTES_MAX) bytes, and come in turns, so each makes one message.
#[must_use]
pub fn encode(transmit: &Transmit) -> Vec<u8> {
    let message = match &transmit.what {
        Piece::Data(bytes) => mux::Message::Data(bytes),
        Piece::Fin => mux::Message::Fin,
        Piece::Reset(code) => mux::Message::Reset(*code),
    };
    mux::encode_message(transmit.stream.0, &message)
}

/// What a WebSocket message says of which stream.
pub fn decode(message: &[u8]) -> Result<Transmit, DecodeError> {
    let (stream, message) = mux::decode_message(message)?;
    let what = match message {
        mux::Message::Data(bytes) => Piece::Data(Bytes::copy_from_slice(bytes)),
        mux::Message::Fin => Piece::Fin,
        mux::Message::Reset(code) => Piece::Reset(code),
    };
    Ok(Transmit { stream: StreamId(stream), what })
}

#[cfg(test)]
mod tests {
    use suda_schema::CloseCode;

    use super::*;

    #[test]
    fn there_and_back() {
        for what in [Piece::Data(Bytes::from_static(b"abc")), Piece::Fin, Piece::Reset(CloseCode::DETACHED)] {
            let transmit = Transmit { stream: StreamId(300), what };
            assert_eq!(decode(&encode(&transmit)), Ok(transmit));
        }
        assert!(decode(b"").is_err());
    }
}
