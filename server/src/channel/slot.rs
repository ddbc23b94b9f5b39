//! The place of one attachment in its hub: who it is, what waits for it, and its waker.
//!
//! A slot holds no entries. What it holds is bounded: the answers to sends that were let in one by one, one page of
//! history, and the end.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use suda_schema::channel::{Ack, ChannelDown, Refused};
use suda_schema::codec::{Codec, binary};
use suda_schema::{ClientMsgId, CloseCode, Seq, UserId, WireError};

/// What a send came to.
pub type SendResult = Result<Ack, WireError>;

/// Why an attachment ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The code that the client is told.
    pub code: CloseCode,
    /// The same for a developer to read.
    pub message: Cow<'static, str>,
    /// When to come back, if there is a best time.
    pub retry_after_ms: Option<u64>,
}

impl Ended {
    /// An end without a time to come back at.
    pub fn new(code: CloseCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }
}

pub(super) struct Slot {
    pub(super) user: UserId,
    /// The task that writes to the client.
    waker: AtomicWaker,
    /// Whether that task sleeps because there was nothing new; one that waits for room in its stream is not woken for
    /// entries.
    armed: AtomicBool,
    /// Whether `state` holds something for that task.
    pending: AtomicBool,
    state: Mutex<State>,
    /// Where it stands in the hub's list.
    pub(super) at: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// The answers to sends, in the order sent; `None` is not known yet.
    answers: VecDeque<Option<Answer>>,
    /// The ticket of the first of them.
    first_ticket: u64,
    page: Option<Bytes>,
    ended: Option<Ended>,
    /// The head when membership was last seen in the store; `None` before the first time.
    member_at: Option<Seq>,
    /// The newest entry that took the membership away.
    removed_at: Option<Seq>,
    /// The task that reads from the client, and whether it waits for room.
    reader: Option<Waker>,
    reader_wants_room: bool,
}

enum Answer {
    Ack(Ack),
    Refused(Box<Refused>),
}

impl Slot {
    pub(super) fn new(user: UserId) -> Self {
        Self {
            user,
            waker: AtomicWaker::new(),
            armed: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            state: Mutex::default(),
            at: AtomicUsize::new(usize::MAX),
        }
    }

    /// Registers the task for everything; whoever looks for news after this misses none.
    pub(super) fn arm(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
        self.armed.store(true, Ordering::SeqCst);
    }

    /// There was something after all.
    pub(super) fn disarm(&self) {
        self.armed.store(false, Ordering::Relaxed);
    }

    /// Registers the task for answers and the end only.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Wakes the task if it sleeps because there was nothing new.
    pub(super) fn wake_for_news(&self) -> bool {
        let armed = self.armed.load(Ordering::SeqCst) && self.armed.swap(false, Ordering::SeqCst);
        if armed {
            self.waker.wake();
        }
        armed
    }

    /// Whether something other than entries and news waits.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    /// Waits until another send may be let in, or the attachment ends.
    pub(super) fn poll_room(&self, cx: &Context<'_>, in_flight_max: usize) -> Poll<()> {
        let mut state = self.state();
        if state.ended.is_some() || (state.answers.len() < in_flight_max && state.page.is_none()) {
            return Poll::Ready(());
        }
        state.set_reader(cx);
        state.reader_wants_room = true;
        Poll::Pending
    }

    /// Registers the task that reads from the client, and gives it the end, once it has come.
    pub(super) fn poll_ended_for_reader(&self, cx: &Context<'_>) -> Poll<Ended> {
        let mut state = self.state();
        if let Some(ended) = &state.ended {
            return Poll::Ready(ended.clone());
        }
        state.set_reader(cx);
        Poll::Pending
    }

    /// Keeps a place for the answer to a send.
    pub(super) fn reserve(&self) -> u64 {
        let mut state = self.state();
        state.answers.push_back(None);
        state.first_ticket + state.answers.len() as u64 - 1
    }

    /// Answers a send.
    pub(super) fn answer(&self, ticket: u64, client_msg_id: ClientMsgId, result: SendResult) {
        let answer = match result {
            Ok(ack) => Answer::Ack(ack),
            Err(error) => Answer::Refused(Box::new(Refused { client_msg_id, error })),
        };
        let mut state = self.state();
        let at = usize::try_from(ticket.wrapping_sub(state.first_ticket)).unwrap_or(usize::MAX);
        if let Some(place) = state.answers.get_mut(at) {
            *place = Some(answer);
            self.notify(state);
        }
    }

    /// Gives a frame, the only one at a time, that goes between the others.
    pub(super) fn put_page(&self, frame: Bytes) {
        let mut state = self.state();
        state.page = Some(frame);
        self.notify(state);
    }

    /// Ends the attachment. Only the first end counts.
    pub(super) fn end(&self, ended: Ended) {
        let mut state = self.state();
        state.ended.get_or_insert(ended);
        let reader = state.reader.take();
        self.notify(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// The entry `at` took the membership away.
    pub(super) fn removed(&self, at: Seq) {
        let mut state = self.state();
        state.removed_at = state.removed_at.max(Some(at));
        let ends = state.ends_as_removed();
        drop(state);
        if ends {
            self.end(Ended::new(CloseCode::REMOVED, "no longer a member of this channel"));
        }
    }

    /// The store says that the user is a member, in a state in which the head was `head`.
    pub(super) fn member(&self, head: Seq) {
        let mut state = self.state();
        state.member_at = state.member_at.max(Some(head));
        let ends = state.ends_as_removed();
        drop(state);
        if ends {
            self.end(Ended::new(CloseCode::REMOVED, "no longer a member of this channel"));
        }
    }

    /// The end, if it has come.
    pub(super) fn ended(&self) -> Option<Ended> {
        if !self.is_pending() {
            return None;
        }
        self.state().ended.clone()
    }

    /// Waits until the answer that is next in order is known; `false`: none is outstanding.
    pub(super) fn poll_answer(&self, cx: &Context<'_>) -> Poll<bool> {
        self.register(cx);
        match self.state().answers.front() {
            None => Poll::Ready(false),
            Some(Some(_)) => Poll::Ready(true),
            Some(None) => Poll::Pending,
        }
    }

    /// The answers that are ready, and the page, as bytes to be written: in postcard all in one, in JSON one frame.
    pub(super) fn take(&self, codec: Codec) -> Option<Bytes> {
        if !self.is_pending() {
            return None;
        }
        let mut state = self.state();
        let frame = state.take_page().or_else(|| state.take_answers(codec));
        let more = state.page.is_some() || matches!(state.answers.front(), Some(Some(_))) || state.ended.is_some();
        self.pending.store(more, Ordering::SeqCst);
        let wakes = frame.is_some() && std::mem::take(&mut state.reader_wants_room);
        let reader = if wakes { state.reader.take() } else { None };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        frame
    }

    fn notify(&self, state: MutexGuard<'_, State>) {
        self.pending.store(true, Ordering::SeqCst);
        drop(state);
        self.waker.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ends_as_removed(&self) -> bool {
        self.member_at.is_some() && self.removed_at > self.member_at
    }

    fn set_reader(&mut self, cx: &Context<'_>) {
        if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
    }

    fn take_page(&mut self) -> Option<Bytes> {
        self.page.take()
    }

    fn take_answers(&mut self, codec: Codec) -> Option<Bytes> {
        let mut out = Vec::new();
        while let Some(Some(_)) = self.answers.front() {
            let answer = self.answers.pop_front().flatten();
            self.first_ticket += 1;
            let frame = match answer {
                Some(Answer::Ack(ack)) => ChannelDown::Ack(ack),
                Some(Answer::Refused(refused)) => ChannelDown::Refused(*refused),
                None => break,
            };
            match codec {
                Codec::Binary => binary::encode(&frame, &mut out),
                Codec::Json => return Some(codec.encode(&frame)),
            }
        }
        // A queue that was long once does not stay so.
        if self.answers.is_empty() {
            self.answers.shrink_to(4);
        }
        (!out.is_empty()).then(|| out.into())
    }
}
