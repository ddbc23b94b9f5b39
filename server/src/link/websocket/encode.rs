//! Frames into WebSocket messages, without copying what is in them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};
use suda_schema::CloseCode;
use suda_schema::codec::{Codec, json, mux};
use suda_schema::limits::WS_CHUNK_BYTES_MAX;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// Something that waits to be sent on a stream.
pub(super) enum Item {
    /// Binary: the stream's next bytes. JSON: a whole frame.
    Whole(Bytes),
    /// JSON: a piece of a long frame.
    Part(Bytes, bool),
}

/// The most pieces that are written at once.
const SLICES_MAX: usize = 32;
/// What queueing costs beside the bytes themselves; counted, so that a flood of tiny frames is bounded too.
const ITEM_BYTES: usize = 32;
/// A frame is not cut into pieces smaller than this only because there is little room just now.
const PIECE_BYTES_MIN: usize = 1 << 10;

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) | Self::Part(bytes, _) => bytes.len(),
        }
    }

    /// What it counts in the queue.
    pub(super) fn weight(&self) -> usize {
        ITEM_BYTES + self.len()
    }
}

/// Messages that are on their way to the socket.
#[derive(Default)]
pub(super) struct Wire {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Wire {
    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        self.pieces.push_back(piece);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The first pieces, for one write.
    pub(super) fn slices(&self) -> [IoSlice<'_>; SLICES_MAX] {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
        }
        slices
    }

    /// So much has been written.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        while let Some(piece) = self.pieces.front_mut() {
            if bytes < piece.len() {
                return piece.advance(bytes);
            }
            bytes -= piece.len();
            self.pieces.pop_front();
        }
    }
}

/// Cuts off from `frame` what may be queued where there is room for so many bytes; `None` if it must wait. A queue that
/// is empty always takes a piece of JSON, which can't be cut just anywhere. `midway`: the frame's first pieces have
/// been taken already.
pub(super) fn take(codec: Codec, frame: &mut Bytes, room: usize, empty: bool, midway: &mut bool) -> Option<Item> {
    match codec {
        Codec::Binary => {
            let len = room.min(frame.len()).min(WS_CHUNK_BYTES_MAX);
            (len >= frame.len().min(PIECE_BYTES_MIN)).then(|| Item::Whole(frame.split_to(len)))
        }
        Codec::Json => {
            let long = *midway || frame.len() > WS_CHUNK_BYTES_MAX;
            let len = if long { char_boundary(frame, WS_CHUNK_BYTES_MAX) } else { frame.len() };
            if len > room && !(empty && room > 0) {
                return None;
            }
            let text = frame.split_to(len);
            *midway = long && !frame.is_empty();
            Some(if long { Item::Part(text, frame.is_empty()) } else { Item::Whole(text) })
        }
    }
}

/// The last place at or before `at` where no character is cut in two.
fn char_boundary(text: &[u8], at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let is_start = |byte: &u8| byte & 0xc0 != 0x80;
    // A character has at most four bytes. What is not UTF-8 at all is cut somewhere.
    (at.saturating_sub(3)..=at).rev().find(|at| text.get(*at).is_some_and(is_start)).unwrap_or(at)
}

/// Appends a message with the next of what waits; how much that counted in the queue.
pub(super) fn message(codec: Codec, id: u32, outbox: &mut VecDeque<Item>, wire: &mut Wire) -> usize {
    match codec {
        Codec::Binary => pieces(id, outbox, wire),
        Codec::Json => match outbox.pop_front() {
            Some(Item::Whole(frame)) => {
                let weight = ITEM_BYTES + frame.len();
                json_frame(id, frame, wire);
                weight
            }
            Some(Item::Part(text, last)) => {
                let part = json::Message::Part { text: String::from_utf8_lossy(&text), last };
                whole(Codec::Json, json::encode_message(id, &part).into_bytes(), wire);
                ITEM_BYTES + text.len()
            }
            None => 0,
        },
    }
}

/// As many pieces as fit in one message.
fn pieces(id: u32, outbox: &mut VecDeque<Item>, wire: &mut Wire) -> usize {
    let mut len = 0;
    let mut count = 0;
    for item in outbox.iter() {
        if len + item.len() > WS_CHUNK_BYTES_MAX && count > 0 {
            break;
        }
        len += item.len();
        count += 1;
    }
    // Everything but the payload itself.
    let front = mux::encode_message(id, &mux::Message::Data(&[]));
    let mut head = header(Codec::Binary, front.len() + len);
    head.extend_from_slice(&front);
    wire.push(head.into());
    for item in outbox.drain(..count) {
        let (Item::Whole(bytes) | Item::Part(bytes, _)) = item;
        wire.push(bytes);
    }
    len + count * ITEM_BYTES
}

/// What [`json::encode_message`] would make, around the frame as it is.
fn json_frame(id: u32, frame: Bytes, wire: &mut Wire) {
    let around = json::encode_message(id, &json::Message::Frame("".into()));
    let front = around.strip_suffix('}').unwrap_or(&around);
    let mut head = header(Codec::Json, front.len() + frame.len() + 1);
    head.extend_from_slice(front.as_bytes());
    wire.push(head.into());
    wire.push(frame);
    wire.push(Bytes::from_static(b"}"));
}

pub(super) fn fin(codec: Codec, id: u32, wire: &mut Wire) {
    let message = match codec {
        Codec::Binary => mux::encode_message(id, &mux::Message::Fin),
        Codec::Json => json::encode_message(id, &json::Message::Fin).into_bytes(),
    };
    whole(codec, message, wire);
}

pub(super) fn reset(codec: Codec, id: u32, code: CloseCode, wire: &mut Wire) {
    let message = match codec {
        Codec::Binary => mux::encode_message(id, &mux::Message::Reset(code)),
        Codec::Json => json::encode_message(id, &json::Message::Reset(code)).into_bytes(),
    };
    whole(codec, message, wire);
}

fn whole(codec: Codec, message: Vec<u8>, wire: &mut Wire) {
    wire.push(header(codec, message.len()).into());
    wire.push(message.into());
}

/// The header of a WebSocket message, with room for the front of what follows.
fn header(codec: Codec, len: usize) -> Vec<u8> {
    let data = if codec == Codec::Binary { Data::Binary } else { Data::Text };
    let header = FrameHeader { opcode: OpCode::Data(data), ..FrameHeader::default() };
    let mut out = Vec::with_capacity(48);
    #[expect(clippy::expect_used, reason = "writing to memory")]
    header.format(len as u64, &mut out).expect("a Vec takes everything");
    out
}
