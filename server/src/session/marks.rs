//! Marks on their way to the store: many in a short time become one, and a task exists only while there are some.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suda_schema::channel::Marks;
use suda_schema::{ChannelId, ErrorCode, WireError};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::session::Session;

/// How often writing marks is tried while the store can't be used. After that they are given up: a client says them
/// again when it has more to say.
const TRIES_MAX: u32 = 5;
/// How long the first pause between two tries is; each further one is twice as long.
const PAUSE_MS_MIN: u64 = 200;

/// The marks of one session that are not in the store yet.
#[derive(Default)]
pub(super) struct MarkBuffer {
    state: Mutex<State>,
    /// The task that writes should look at the times again.
    sooner: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<ChannelId, Waiting>,
    running: bool,
}

struct Waiting {
    marks: Marks,
    due: Instant,
    /// It came by the control stream, where a failure can be told.
    by_control: bool,
}

impl MarkBuffer {
    /// Takes marks, to be written soon.
    pub(super) fn note(&self, session: &Arc<Session>, channel: ChannelId, marks: Marks, by_control: bool) {
        if marks == Marks::default() {
            return;
        }
        let config = &session.node.config;
        let wait_ms = if marks.read.is_some() { config.mark_read_ms } else { config.mark_delivered_ms };
        let mut state = self.state();
        let full = state.waiting.len() >= config.marks_pending_max.max(1) && !state.waiting.contains_key(&channel);
        let due = Instant::now() + Duration::from_millis(wait_ms);
        match state.waiting.entry(channel) {
            Entry::Occupied(mut there) => there.get_mut().add(marks, due, by_control),
            Entry::Vacant(place) => drop(place.insert(Waiting { marks, due, by_control })),
        }
        if full {
            state.waiting.values_mut().for_each(|waiting| waiting.due = Instant::now());
        }
        if !std::mem::replace(&mut state.running, true) {
            tokio::spawn(write_when_due(Arc::clone(session)));
        } else {
            self.sooner.notify_one();
        }
    }

    /// Writes what waits, at the end of the session.
    pub(super) async fn flush(&self, session: &Arc<Session>) {
        let all = std::mem::take(&mut self.state().waiting);
        write(session, all).await;
    }

    /// What is due, or when the next will be; nothing and `None` when nothing waits, and then the task ends.
    fn take_due(&self) -> (HashMap<ChannelId, Waiting>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        let due: HashMap<_, _> = state.waiting.extract_if(|_, waiting| waiting.due <= now).collect();
        let next = state.waiting.values().map(|waiting| waiting.due).min();
        state.running = !due.is_empty() || next.is_some();
        if state.waiting.is_empty() {
            state.waiting.shrink_to(4);
        }
        (due, next)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, marks: Marks, due: Instant, by_control: bool) {
        self.marks.delivered = self.marks.delivered.max(marks.delivered);
        self.marks.read = self.marks.read.max(marks.read);
        self.due = self.due.min(due);
        self.by_control |= by_control;
    }
}

async fn write_when_due(session: Arc<Session>) {
    loop {
        match session.marks.take_due() {
            (due, _) if !due.is_empty() => write(&session, due).await,
            (_, Some(next)) => {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = session.marks.sooner.notified() => {}
                }
            }
            _ => return,
        }
    }
}

async fn write(session: &Arc<Session>, due: HashMap<ChannelId, Waiting>) {
    if due.is_empty() {
        return;
    }
    let metrics = &session.node.metrics;
    let marks: Vec<(ChannelId, Marks)> = due.iter().map(|(channel, waiting)| (*channel, waiting.marks)).collect();
    let mut pause_ms = PAUSE_MS_MIN;
    for _ in 0..TRIES_MAX {
        match session.node.chat.mark(session.user, Some(session.device), &marks).await {
            Ok(results) => {
                for ((channel, _), result) in marks.iter().zip(results) {
                    match result {
                        Ok(_) => drop(metrics.marks.inc()),
                        Err(error) if due.get(channel).is_some_and(|waiting| waiting.by_control) => {
                            session.fail_if_room(&error.to_wire());
                        }
                        Err(_) => {}
                    }
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "could not write marks"),
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms *= 2;
    }
    metrics.marks_lost.inc_by(marks.len() as u64);
    if due.values().any(|waiting| waiting.by_control) {
        session.fail_if_room(&WireError::new(ErrorCode::UNAVAILABLE, "marks could not be stored"));
    }
}
