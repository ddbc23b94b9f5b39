//! One link: its streams, what waits to be written on them, and what has come in pieces.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use suda_schema::codec::binary;
use suda_schema::limits::{CONTROL_BYTES_MAX, FRAME_BYTES_MAX};
use suda_schema::{ChannelId, CloseCode};

use super::config::CHUNK_BYTES_MAX;
use super::io::{Kind, Piece, StreamId, Transmit};
use crate::frames::FrameReader;

/// How far a link has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The transport is being connected.
    Dialing,
    /// `hello` was said, and not answered yet.
    Greeting {
        /// By when it must be.
        until_ms: u64,
    },
    /// The session stands.
    Live,
}

/// One link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: u16,
    pub(super) kind: Kind,
    pub(super) phase: Phase,
    /// When something was last heard.
    pub(super) heard_ms: u64,
    /// When it was last asked for a sign of life.
    pub(super) pinged_ms: u64,
    /// Since when an answer is waited for.
    pub(super) waiting_since_ms: Option<u64>,
    nonce: u64,
    next_stream: u32,
    /// The stream that wrote last.
    turn: u32,
    streams: BTreeMap<u32, Stream>,
}

/// What waits to be written is bounded by what is asked for: the sends and questions on their way.
#[derive(Debug)]
struct Stream {
    owner: Option<ChannelId>,
    reader: Option<FrameReader>,
    out: Vec<u8>,
    written: usize,
    /// What to say when all is written.
    end: Option<Piece>,
    ended_here: bool,
    ended_there: bool,
}

impl Stream {
    fn new(owner: Option<ChannelId>, limit: usize) -> Self {
        Self {
            owner,
            reader: Some(FrameReader::with_limit(limit)),
            out: Vec::new(),
            written: 0,
            end: None,
            ended_here: false,
            ended_there: false,
        }
    }

    fn has_work(&self) -> bool {
        self.written < self.out.len() || self.end.is_some()
    }

    fn next_piece(&mut self) -> Option<Piece> {
        let rest = self.out.get(self.written..).unwrap_or_default();
        if rest.is_empty() {
            let end = self.end.take()?;
            self.ended_here = true;
            return Some(end);
        }
        let chunk = Bytes::copy_from_slice(rest.get(..CHUNK_BYTES_MAX).unwrap_or(rest));
        self.written += chunk.len();
        if self.written >= self.out.len() {
            // An idle stream holds no buffer.
            (self.out, self.written) = (Vec::new(), 0);
        }
        Some(Piece::Data(chunk))
    }
}

impl Link {
    pub(super) fn new(node: u16, kind: Kind, now_ms: u64) -> Self {
        let control = Stream::new(None, CONTROL_BYTES_MAX);
        Self {
            node,
            kind,
            phase: Phase::Dialing,
            heard_ms: now_ms,
            pinged_ms: now_ms,
            waiting_since_ms: None,
            nonce: 0,
            next_stream: 1,
            // The control stream is the first to say something: on a WebSocket the node insists.
            turn: u32::MAX,
            streams: BTreeMap::from([(0, control)]),
        }
    }

    /// Something came: the link is alive.
    pub(super) fn heard(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.waiting_since_ms = None;
    }

    /// A sign of life is asked for; what to send.
    pub(super) fn ping(&mut self, now_ms: u64) -> u64 {
        self.pinged_ms = now_ms;
        self.waiting_since_ms.get_or_insert(now_ms);
        self.nonce += 1;
        self.nonce
    }

    /// A new stream for a channel.
    pub(super) fn open(&mut self, owner: ChannelId) -> StreamId {
        let id = self.next_stream;
        self.next_stream = self.next_stream.saturating_add(1);
        self.streams.insert(id, Stream::new(Some(owner), FRAME_BYTES_MAX));
        StreamId(id)
    }

    /// Streams whose end has not been said by both sides, beside the control stream.
    pub(super) fn open_streams(&self) -> usize {
        self.streams.len().saturating_sub(1)
    }

    /// Writes a frame.
    pub(super) fn write<F: Serialize>(&mut self, stream: StreamId, frame: &F) {
        if let Some(stream) = self.streams.get_mut(&stream.0)
            && stream.end.is_none()
            && !stream.ended_here
        {
            binary::encode(frame, &mut stream.out);
        }
    }

    /// Nothing more is said on this stream; what comes on it still counts.
    pub(super) fn leave(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id.0)
            && !stream.ended_here
        {
            stream.end.get_or_insert(Piece::Fin);
        }
    }

    /// Nothing more is said on this stream, and nothing that comes on it matters.
    pub(super) fn finish(&mut self, id: StreamId) {
        self.end(id, Piece::Fin);
    }

    /// The same, and what is on its way is worth nothing.
    pub(super) fn reset(&mut self, id: StreamId, code: CloseCode) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            (stream.out, stream.written) = (Vec::new(), 0);
        }
        self.end(id, Piece::Reset(code));
    }

    fn end(&mut self, id: StreamId, piece: Piece) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            (stream.owner, stream.reader) = (None, None);
            if !stream.ended_here && stream.end.is_none() {
                stream.end = Some(piece);
            }
        }
    }

    /// Bytes came. Whose, and what to read them with; `None` if nobody cares any more.
    pub(super) fn reader(&mut self, id: StreamId) -> Option<(Option<ChannelId>, &mut FrameReader)> {
        let stream = self.streams.get_mut(&id.0)?;
        let owner = stream.owner;
        stream.reader.as_mut().map(|reader| (owner, reader))
    }

    /// The node has said all that it will on this stream. Whose it was.
    pub(super) fn ended_there(&mut self, id: StreamId) -> Option<ChannelId> {
        let stream = self.streams.get_mut(&id.0)?;
        stream.ended_there = true;
        let owner = stream.owner.take();
        stream.reader = None;
        if !stream.ended_here && stream.end.is_none() {
            stream.end = Some(Piece::Fin);
        }
        self.sweep(id);
        owner
    }

    /// The next thing to write on a stream that has room. Streams take turns.
    pub(super) fn transmit(&mut self, has_room: &mut dyn FnMut(StreamId) -> bool) -> Option<Transmit> {
        if self.phase == Phase::Dialing {
            return None;
        }
        let after = self.streams.range(self.turn.saturating_add(1)..).map(|(id, stream)| (*id, stream));
        let before = self.streams.range(..=self.turn).map(|(id, stream)| (*id, stream));
        let mut in_turn = after.chain(before).filter(|(_, stream)| stream.has_work()).map(|(id, _)| id);
        let id = in_turn.find(|id| has_room(StreamId(*id)))?;
        self.turn = id;
        let what = self.streams.get_mut(&id)?.next_piece()?;
        self.sweep(StreamId(id));
        Some(Transmit { stream: StreamId(id), what })
    }

    fn sweep(&mut self, id: StreamId) {
        if self.streams.get(&id.0).is_some_and(|stream| stream.ended_here && stream.ended_there) {
            self.streams.remove(&id.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_take_turns_and_long_frames_are_cut() {
        let mut link = Link::new(1, Kind::WebSocket, 0);
        link.phase = Phase::Live;
        let (long, short) = (link.open(ChannelId(1)), link.open(ChannelId(2)));
        link.write(long, &"x".repeat(3 * CHUNK_BYTES_MAX));
        link.write(short, &"y");
        link.finish(short);
        let mut order = Vec::new();
        while let Some(transmit) = link.transmit(&mut |_| true) {
            if let Piece::Data(bytes) = &transmit.what {
                assert!(bytes.len() <= CHUNK_BYTES_MAX);
            }
            order.push(transmit.stream.0);
        }
        assert_eq!(order, [1, 2, 1, 2, 1, 1]);
        assert_eq!(link.open_streams(), 2);
        link.ended_there(short);
        assert_eq!(link.open_streams(), 1, "ended by both");
    }

    #[test]
    fn hello_comes_before_everything_else() {
        let mut link = Link::new(1, Kind::WebSocket, 0);
        link.phase = Phase::Live;
        let stream = link.open(ChannelId(1));
        link.write(stream, &1u8);
        link.write(StreamId::CONTROL, &2u8);
        let mut order = std::iter::from_fn(|| link.transmit(&mut |_| true)).map(|transmit| transmit.stream);
        assert_eq!((order.next(), order.next()), (Some(StreamId::CONTROL), Some(stream)));
    }

    #[test]
    fn who_has_no_room_is_passed_over() {
        let mut link = Link::new(1, Kind::Quic, 0);
        let (one, other) = (link.open(ChannelId(1)), link.open(ChannelId(2)));
        link.write(one, &1u8);
        link.write(other, &2u8);
        assert_eq!(link.transmit(&mut |_| true), None, "not connected yet");
        link.phase = Phase::Live;
        assert_eq!(link.transmit(&mut |id| id == other).map(|transmit| transmit.stream), Some(other));
        assert_eq!(link.transmit(&mut |id| id == other), None);
    }
}
