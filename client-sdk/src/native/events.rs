//! What happens to a client, for whoever listens. Each listener has a place in one bounded row; who falls behind is told so.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;

use super::driver::Shared;
use super::wakers::{Wakers, number};
use crate::core::io::Event;

/// How many events a listener may be behind.
const BEHIND_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct EventLog {
    row: Mutex<Row>,
    wakers: Wakers<()>,
}

#[derive(Debug, Default)]
struct Row {
    events: VecDeque<Event>,
    /// The number of the first.
    first: u64,
    over: bool,
    /// Without listeners nothing is held.
    listeners: usize,
}

impl EventLog {
    pub(super) fn push(&self, event: Event) {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        if row.listeners == 0 {
            return;
        }
        row.events.push_back(event);
        if row.events.len() > BEHIND_MAX {
            row.events.pop_front();
            row.first += 1;
        }
        drop(row);
        self.wakers.wake(&());
    }

    pub(super) fn end(&self) {
        self.row.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.wakers.wake(&());
    }
}

/// Events from the time at which this was made on, as a stream. It ends with the client.
///
/// Who does not read loses no message: an event only says where to look. Who has missed some hears
/// [`Event::Missed`], and looks everywhere.
pub struct Events {
    shared: Arc<Shared>,
    number: u64,
    next: u64,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let next = {
            let mut row = shared.events.row.lock().unwrap_or_else(PoisonError::into_inner);
            row.listeners += 1;
            row.first + row.events.len() as u64
        };
        Self { shared, number: number(), next }
    }

    /// The next event; `None` when the client is over.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = &mut *self;
        let log = &this.shared.events;
        log.wakers.wait((), this.number, cx.waker());
        let row = log.row.lock().unwrap_or_else(PoisonError::into_inner);
        if this.next < row.first {
            this.next = row.first;
            return Poll::Ready(Some(Event::Missed));
        }
        let index = usize::try_from(this.next - row.first).unwrap_or(usize::MAX);
        match row.events.get(index) {
            Some(event) => {
                this.next += 1;
                Poll::Ready(Some(event.clone()))
            }
            None if row.over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let log = &self.shared.events;
        log.wakers.leave(&(), self.number);
        let mut row = log.row.lock().unwrap_or_else(PoisonError::into_inner);
        row.listeners = row.listeners.saturating_sub(1);
        if row.listeners == 0 {
            row.first += row.events.len() as u64;
            row.events = VecDeque::new();
        }
    }
}
