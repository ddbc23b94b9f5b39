//! What the two ends of a pair share: byte pipes that wait when they are full, and the end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use suda_schema::CloseCode;
use tokio::sync::watch;

use super::super::{LinkEnd, ReadError, WriteError};

#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) by_node: bool,
    pub(super) code: CloseCode,
    pub(super) message: String,
}

impl End {
    pub(super) fn of_node(&self) -> LinkEnd {
        self.seen(self.by_node)
    }

    pub(super) fn of_client(&self) -> LinkEnd {
        self.seen(!self.by_node)
    }

    fn seen(&self, own: bool) -> LinkEnd {
        if own { LinkEnd::Local(self.code) } else { LinkEnd::Peer { code: self.code, message: self.message.clone() } }
    }
}

pub(super) struct Shared {
    pub(super) end: watch::Sender<Option<End>>,
    pipes: Mutex<Vec<Weak<Mutex<Pipe>>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { end: watch::channel(None).0, pipes: Mutex::default() }
    }
}

impl Shared {
    pub(super) fn close(&self, end: End) {
        let first = self.end.send_if_modified(|slot| {
            let first = slot.is_none();
            slot.get_or_insert(end);
            first
        });
        if first {
            for pipe in lock(&self.pipes).drain(..).filter_map(|pipe| pipe.upgrade()) {
                lock(&pipe).wake();
            }
        }
    }

    pub(super) async fn ended(&self, seen: impl Fn(&End) -> LinkEnd) -> LinkEnd {
        let mut end = self.end.subscribe();
        match end.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(end)) => seen(end),
            // The sender lives in `self`, so this is never seen.
            _ => LinkEnd::Lost("the pair is gone".to_owned()),
        }
    }
    /// The end, as the node or the client sees it, if it has come.
    fn end_now(&self, node: bool) -> Option<LinkEnd> {
        self.end.borrow().as_ref().map(|end| end.seen(end.by_node == node))
    }
}

/// One direction of a stream.
#[derive(Default)]
struct Pipe {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    window_bytes: usize,
    finished: bool,
    reset: Option<CloseCode>,
    stopped: Option<CloseCode>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

pub(in super::super) struct PipeReader {
    pipe: Arc<Mutex<Pipe>>,
    shared: Arc<Shared>,
    /// Whether the node holds this end.
    node: bool,
}

pub(in super::super) struct PipeWriter {
    pipe: Arc<Mutex<Pipe>>,
    shared: Arc<Shared>,
    node: bool,
}

pub(super) fn pipe(shared: &Arc<Shared>, window_bytes: usize, node_writes: bool) -> (PipeWriter, PipeReader) {
    let pipe = Arc::new(Mutex::new(Pipe { window_bytes, ..Pipe::default() }));
    let mut pipes = lock(&shared.pipes);
    pipes.retain(|pipe| pipe.strong_count() > 0);
    pipes.push(Arc::downgrade(&pipe));
    let writer = PipeWriter { pipe: pipe.clone(), shared: shared.clone(), node: node_writes };
    (writer, PipeReader { pipe, shared: shared.clone(), node: !node_writes })
}

impl PipeReader {
    pub(in super::super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReadError>> {
        let mut pipe = lock(&self.pipe);
        if let Some(code) = pipe.reset {
            return Poll::Ready(Err(ReadError::Reset(code)));
        }
        if let Some(end) = self.shared.end_now(self.node) {
            return Poll::Ready(Err(end.into()));
        }
        if let Some(chunk) = pipe.chunks.pop_front() {
            pipe.bytes -= chunk.len();
            if let Some(writer) = pipe.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Ok(Some(chunk)));
        }
        if pipe.finished {
            return Poll::Ready(Ok(None));
        }
        pipe.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(in super::super) fn stop(self, code: CloseCode) {
        let mut pipe = lock(&self.pipe);
        pipe.stopped = Some(code);
        pipe.wake();
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut pipe = lock(&self.pipe);
        pipe.stopped.get_or_insert(CloseCode::NORMAL);
        pipe.chunks.clear();
        pipe.bytes = 0;
        pipe.wake();
    }
}

impl PipeWriter {
    pub(in super::super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        frames: &mut [Bytes],
    ) -> Poll<Result<(), WriteError>> {
        let mut pipe = lock(&self.pipe);
        for frame in frames.iter_mut().filter(|frame| !frame.is_empty()) {
            if pipe.finished || pipe.reset.is_some() {
                return Poll::Ready(Err(WriteError::Finished));
            }
            if let Some(end) = self.shared.end_now(self.node) {
                return Poll::Ready(Err(end.into()));
            }
            if let Some(code) = pipe.stopped {
                return Poll::Ready(Err(WriteError::Stopped(code)));
            }
            if pipe.bytes >= pipe.window_bytes {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            pipe.bytes += frame.len();
            pipe.chunks.push_back(std::mem::take(frame));
            if let Some(reader) = pipe.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(in super::super) fn finish(&mut self) {
        let mut pipe = lock(&self.pipe);
        pipe.finished = true;
        pipe.wake();
    }

    pub(in super::super) fn reset(&mut self, code: CloseCode) {
        let mut pipe = lock(&self.pipe);
        if !pipe.finished {
            pipe.reset.get_or_insert(code);
            pipe.wake();
        }
    }

    pub(in super::super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipe = lock(&self.pipe);
        if pipe.chunks.is_empty() || pipe.stopped.is_some() || self.shared.end_now(self.node).is_some() {
            return Poll::Ready(());
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.finish();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
