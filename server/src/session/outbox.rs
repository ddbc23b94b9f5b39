//! Frames that wait to be written on the control stream, and the end of the session: what the link's task is woken for.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

use crate::channel::Ended;

/// Filled from anywhere, emptied by the link's task.
pub(super) struct Outbox {
    bytes_max: usize,
    state: Mutex<State>,
    /// The link's task.
    task: AtomicWaker,
    ended: AtomicBool,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Bytes>,
    /// Bytes of frames that have not been written yet, the one that is being written included.
    bytes: usize,
    ending: Option<Ended>,
    /// Those who wait for room. There are few: the one who feeds, and the link's own requests.
    waiting: Vec<Waker>,
}

impl Outbox {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), task: AtomicWaker::new(), ended: AtomicBool::new(false) }
    }

    /// Adds a frame, whatever waits already: for answers, whose number is bounded where the requests are let in.
    pub(super) fn push(&self, frame: Bytes) {
        let mut state = self.state();
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        self.task.wake();
    }

    /// Adds a frame if little enough waits; for what may be lost.
    pub(super) fn push_if_room(&self, frame: Bytes) -> bool {
        let room = self.has_room();
        if room {
            self.push(frame);
        }
        room
    }

    /// Adds a frame once little enough waits; false if the session has ended.
    pub(super) async fn push_when_room(&self, frame: Bytes) -> bool {
        poll_fn(|cx| self.poll_room(cx)).await;
        self.push(frame);
        !self.has_ended()
    }

    /// Whether little enough waits.
    pub(super) fn has_room(&self) -> bool {
        self.state().bytes < self.bytes_max
    }

    /// Waits until little enough waits, or the session has ended.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.bytes < self.bytes_max || state.ending.is_some() {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Registers the link's task, and gives it the next frame, if there is one.
    pub(super) fn poll_frame(&self, cx: &Context<'_>) -> Poll<Bytes> {
        self.task.register(cx.waker());
        self.state().frames.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    /// So many bytes have been written.
    pub(super) fn written(&self, bytes: usize) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.frames.is_empty() {
            state.frames.shrink_to(4);
        }
        let waiting = if state.bytes < self.bytes_max { std::mem::take(&mut state.waiting) } else { Vec::new() };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ends the session; only the first end counts, and whether this was it is returned.
    pub(super) fn end(&self, ending: Ended) -> bool {
        let mut state = self.state();
        let first = state.ending.is_none();
        state.ending.get_or_insert(ending);
        self.ended.store(true, Ordering::SeqCst);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        self.task.wake();
        first
    }

    /// Whether the session has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Registers the link's task, and gives it the end, once it has come.
    pub(super) fn poll_ending(&self, cx: &Context<'_>) -> Poll<Ended> {
        self.task.register(cx.waker());
        if !self.has_ended() {
            return Poll::Pending;
        }
        self.state().ending.clone().map_or(Poll::Pending, Poll::Ready)
    }

    /// Wakes the link's task to look at its times again.
    pub(super) fn wake(&self) {
        self.task.wake();
    }

    /// Drops what waits: the session has ended.
    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.frames.clear();
        state.bytes = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use suda_schema::CloseCode;

    use super::*;

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn feeding_waits_for_room_and_answers_do_not() {
        let outbox = Outbox::new(10);
        assert!(outbox.push_if_room(Bytes::from_static(b"0123456789")));
        assert!(!outbox.push_if_room(Bytes::from_static(b"x")));
        assert!(outbox.poll_room(&cx()).is_pending());
        outbox.push(Bytes::from_static(b"answer"));
        assert_eq!(outbox.poll_frame(&cx()), Poll::Ready(Bytes::from_static(b"0123456789")));
        assert!(outbox.poll_room(&cx()).is_pending(), "taken is not written");
        outbox.written(10);
        assert!(outbox.poll_room(&cx()).is_ready());
        assert_eq!(outbox.poll_frame(&cx()), Poll::Ready(Bytes::from_static(b"answer")));
        outbox.written(6);
        assert_eq!(outbox.state().bytes, 0);
    }

    #[test]
    fn the_first_end_counts_and_lets_those_go_who_wait() {
        let outbox = Outbox::new(1);
        outbox.push(Bytes::from_static(b"xx"));
        assert!(outbox.poll_ending(&cx()).is_pending());
        assert!(outbox.end(Ended::new(CloseCode::IDLE, "a")));
        assert!(!outbox.end(Ended::new(CloseCode::NORMAL, "b")));
        assert_eq!(outbox.poll_ending(&cx()), Poll::Ready(Ended::new(CloseCode::IDLE, "a")));
        assert!(outbox.poll_room(&cx()).is_ready());
    }
}
