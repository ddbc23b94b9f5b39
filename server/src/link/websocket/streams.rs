//! The streams that share one WebSocket: what came for each, what waits to go, and whose turn it is. No I/O.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::codec::{Codec, DecodeError};
use suda_schema::limits::{FRAME_BYTES_MAX, WS_CHUNK_BYTES_MAX};

use super::super::metrics::Rejected;
use super::super::stream::Chunk;
use super::super::{LinkEnd, ReadError, WriteError};
use super::encode::{self, Item, Wire};

/// What a stream may queue even when the others have filled the link's share, so that a short frame gets its turn.
const ALWAYS_BYTES: usize = 4 << 10;
/// What queueing costs beside the bytes themselves; counted, so that a flood of tiny messages is bounded too.
const ITEM_BYTES: usize = 64;
/// What may still come on a stream that nobody here reads any more. A client can't know at once.
pub(super) const STRAY_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) streams_max: usize,
    pub(super) stream_out_bytes: usize,
    pub(super) out_bytes: usize,
    pub(super) in_bytes: usize,
}

/// The peer broke the protocol: what to count, and what to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) counted: Rejected,
    pub(super) text: String,
}

impl Violation {
    pub(super) fn new(counted: Rejected, text: impl Into<String>) -> Self {
        Self { counted, text: text.into() }
    }
}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        let counted =
            if matches!(error, DecodeError::TooLarge { .. }) { Rejected::TooLarge } else { Rejected::Malformed };
        Self::new(counted, error.to_string())
    }
}

/// Something that came for a stream.
pub(super) enum Arrived {
    Chunk(Chunk),
    Fin,
    Reset(CloseCode),
}

pub(super) struct Streams {
    codec: Codec,
    limits: Limits,
    table: HashMap<u32, Stream>,
    /// Numbers below were opened before.
    next: u64,
    /// Streams with something to send; the first is next.
    turn: VecDeque<u32>,
    out_bytes: usize,
    in_bytes: usize,
    /// Streams that wait to be accepted, and who waits for them.
    opened: VecDeque<u32>,
    acceptor: Option<Waker>,
    /// Streams whose writers wait for others to make room.
    starved: VecDeque<u32>,
    end: Option<LinkEnd>,
}

#[derive(Default)]
struct Stream {
    inbox: VecDeque<Chunk>,
    in_end: Option<InEnd>,
    reader: Option<Waker>,
    reader_gone: bool,
    stray_bytes: usize,

    outbox: VecDeque<Item>,
    out_bytes: usize,
    /// In JSON: some pieces of a long frame were taken, and more must follow.
    midway: bool,
    out_end: OutEnd,
    in_turn: bool,
    writer: Option<Waker>,
    writer_gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InEnd {
    Fin,
    Reset(CloseCode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum OutEnd {
    #[default]
    Open,
    /// Finished; to be said after what waits.
    Fin,
    /// Given up; to be said next.
    Reset(CloseCode),
    Said,
}

impl Streams {
    pub(super) fn new(codec: Codec, limits: Limits) -> Self {
        Self {
            codec,
            limits,
            table: HashMap::new(),
            next: 0,
            turn: VecDeque::new(),
            out_bytes: 0,
            in_bytes: 0,
            opened: VecDeque::new(),
            acceptor: None,
            starved: VecDeque::new(),
            end: None,
        }
    }

    /// Whether so much waits to be read here that nothing more should be taken from the network.
    pub(super) fn is_full(&self) -> bool {
        self.in_bytes >= self.limits.in_bytes
    }

    /// Something came from the client.
    pub(super) fn arrived(&mut self, id: u32, what: Arrived) -> Result<(), Violation> {
        if u64::from(id) >= self.next {
            if self.table.len() >= self.limits.streams_max {
                let text = format!(
                    "more than {} streams at once; finish those that the node has finished",
                    self.limits.streams_max
                );
                return Err(Violation::new(Rejected::Streams, text));
            }
            self.next = u64::from(id) + 1;
            self.table.insert(id, Stream::default());
            self.opened.push_back(id);
            wake(&mut self.acceptor);
        }
        let Some(stream) = self.table.get_mut(&id).filter(|stream| stream.in_end.is_none()) else {
            return match what {
                Arrived::Chunk(_) => {
                    let text = format!("stream {id} is finished; numbers of new streams only go up");
                    Err(Violation::new(Rejected::Malformed, text))
                }
                // Giving up what was finished changes nothing.
                Arrived::Fin | Arrived::Reset(_) => Ok(()),
            };
        };
        match what {
            Arrived::Chunk(chunk) if stream.reader_gone => {
                stream.stray_bytes += weight(&chunk);
                if stream.stray_bytes > STRAY_BYTES_MAX {
                    let text = format!("stream {id} was closed here, and the client goes on sending on it");
                    return Err(Violation::new(Rejected::Stray, text));
                }
            }
            Arrived::Chunk(chunk) => {
                self.in_bytes += weight(&chunk);
                stream.inbox.push_back(chunk);
            }
            Arrived::Fin => stream.in_end = Some(InEnd::Fin),
            Arrived::Reset(code) => {
                // What came before is lost, as on QUIC.
                self.in_bytes -= stream.inbox.drain(..).map(|chunk| weight(&chunk)).sum::<usize>();
                stream.in_end = Some(InEnd::Reset(code));
            }
        }
        wake(&mut stream.reader);
        self.forget_if_over(id);
        Ok(())
    }

    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<u32, LinkEnd>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        match self.opened.pop_front() {
            Some(id) => Poll::Ready(Ok(id)),
            None => {
                remember(&mut self.acceptor, cx);
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_read(&mut self, id: u32, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone().into()));
        }
        let Some(stream) = self.table.get_mut(&id) else { return Poll::Ready(Ok(None)) };
        if let Some(chunk) = stream.inbox.pop_front() {
            self.in_bytes -= weight(&chunk);
            return Poll::Ready(Ok(Some(chunk)));
        }
        match stream.in_end {
            Some(InEnd::Fin) => Poll::Ready(Ok(None)),
            Some(InEnd::Reset(code)) => Poll::Ready(Err(ReadError::Reset(code))),
            None => {
                remember(&mut stream.reader, cx);
                Poll::Pending
            }
        }
    }

    pub(super) fn reader_gone(&mut self, id: u32) {
        if let Some(stream) = self.table.get_mut(&id) {
            self.in_bytes -= stream.inbox.drain(..).map(|chunk| weight(&chunk)).sum::<usize>();
            // Its memory too: the entry may outlive the reader.
            stream.inbox = VecDeque::new();
            stream.reader_gone = true;
            self.forget_if_over(id);
        }
    }

    /// Takes what there is room for. What was taken is cut off.
    pub(super) fn poll_write(
        &mut self,
        id: u32,
        cx: &mut Context<'_>,
        frames: &mut [Bytes],
    ) -> Poll<Result<(), WriteError>> {
        if frames.iter().all(Bytes::is_empty) {
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone().into()));
        }
        let Some(stream) = self.table.get_mut(&id).filter(|stream| stream.out_end == OutEnd::Open) else {
            return Poll::Ready(Err(WriteError::Finished));
        };
        for frame in frames {
            while !frame.is_empty() {
                let left = self.limits.out_bytes.saturating_sub(self.out_bytes);
                let left = left.max(ALWAYS_BYTES.saturating_sub(stream.out_bytes));
                let room = left.min(self.limits.stream_out_bytes.saturating_sub(stream.out_bytes));
                let Some(item) = encode::take(self.codec, frame, room, stream.outbox.is_empty(), &mut stream.midway)
                else {
                    remember(&mut stream.writer, cx);
                    if stream.out_bytes < self.limits.stream_out_bytes {
                        self.starved.push_back(id);
                    }
                    return Poll::Pending;
                };
                stream.out_bytes += item.weight();
                self.out_bytes += item.weight();
                stream.outbox.push_back(item);
                if !std::mem::replace(&mut stream.in_turn, true) {
                    self.turn.push_back(id);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn finish(&mut self, id: u32) {
        if self.table.get(&id).is_some_and(|stream| stream.midway) {
            // Half a frame can't be finished.
            self.reset(id, CloseCode::INTERNAL);
        } else {
            self.end_out(id, OutEnd::Fin);
        }
    }

    pub(super) fn reset(&mut self, id: u32, code: CloseCode) {
        if let Some(stream) = self.table.get_mut(&id).filter(|stream| stream.out_end != OutEnd::Said) {
            self.out_bytes -= stream.out_bytes;
            stream.out_bytes = 0;
            stream.outbox = VecDeque::new();
            stream.midway = false;
            // It takes the place of a finish that was not said yet, but not of another reset.
            if stream.out_end == OutEnd::Fin {
                stream.out_end = OutEnd::Open;
            }
        }
        self.end_out(id, OutEnd::Reset(code));
    }

    fn end_out(&mut self, id: u32, end: OutEnd) {
        if let Some(stream) = self.table.get_mut(&id).filter(|stream| stream.out_end == OutEnd::Open) {
            stream.out_end = end;
            if !std::mem::replace(&mut stream.in_turn, true) {
                self.turn.push_back(id);
            }
        }
    }

    pub(super) fn writer_gone(&mut self, id: u32) {
        self.finish(id);
        if let Some(stream) = self.table.get_mut(&id) {
            stream.writer_gone = true;
            self.forget_if_over(id);
        }
    }

    /// Whether all that the stream was given has been taken by [`Streams::next_message`].
    pub(super) fn is_drained(&self, id: u32) -> bool {
        self.end.is_some() || self.table.get(&id).is_none_or(|stream| !stream.in_turn)
    }

    /// Whether anything waits to be sent.
    pub(super) fn has_messages(&self) -> bool {
        !self.turn.is_empty()
    }

    /// Appends the next WebSocket message to `wire`: of the stream whose turn it is. False if there is none.
    pub(super) fn next_message(&mut self, wire: &mut Wire) -> bool {
        let Some(id) = self.turn.pop_front() else { return false };
        let Some(stream) = self.table.get_mut(&id) else { return true };
        match (stream.out_end, stream.outbox.front()) {
            (OutEnd::Reset(code), _) => {
                encode::reset(self.codec, id, code, wire);
                stream.out_end = OutEnd::Said;
            }
            (_, Some(_)) => {
                let taken = encode::message(self.codec, id, &mut stream.outbox, wire);
                stream.out_bytes -= taken;
                self.out_bytes -= taken;
            }
            (OutEnd::Fin, None) => {
                encode::fin(self.codec, id, wire);
                stream.out_end = OutEnd::Said;
            }
            (OutEnd::Open | OutEnd::Said, None) => {}
        }
        if !stream.outbox.is_empty() || !matches!(stream.out_end, OutEnd::Open | OutEnd::Said) {
            self.turn.push_back(id);
        } else {
            stream.in_turn = false;
        }
        // Not at each little bit of room: half a share, so that a writer is not woken for a few bytes.
        if stream.out_bytes <= self.limits.stream_out_bytes / 2 {
            wake(&mut stream.writer);
        }
        if self.out_bytes < self.limits.out_bytes {
            for id in self.starved.drain(..) {
                if let Some(stream) = self.table.get_mut(&id) {
                    wake(&mut stream.writer);
                }
            }
        }
        self.forget_if_over(id);
        true
    }

    /// The link ended: nothing more comes or goes.
    pub(super) fn end(&mut self, end: LinkEnd) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(end);
        (self.in_bytes, self.out_bytes) = (0, 0);
        self.turn = VecDeque::new();
        self.opened = VecDeque::new();
        wake(&mut self.acceptor);
        for (_, mut stream) in self.table.drain() {
            wake(&mut stream.reader);
            wake(&mut stream.writer);
        }
    }

    pub(super) fn ended(&self) -> Option<&LinkEnd> {
        self.end.as_ref()
    }

    /// A stream is forgotten when both sides have ended it and nobody here holds it any more.
    fn forget_if_over(&mut self, id: u32) {
        let over = self.table.get(&id).is_some_and(|stream| {
            stream.reader_gone && stream.writer_gone && stream.in_end.is_some() && stream.out_end == OutEnd::Said
        });
        if over {
            self.table.remove(&id);
        }
    }
}

fn weight(chunk: &Chunk) -> usize {
    ITEM_BYTES
        + match chunk {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::Text { text, .. } => text.len(),
        }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

// The limits of one message bound what `encode::take` makes an item of.
const _: () = assert!(WS_CHUNK_BYTES_MAX > ALWAYS_BYTES);
