//! Members' read and delivered positions, in channels that are small enough to show them: read again when something
//! moved, not more often than the interval, and only what changed is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suda_schema::summary::MemberMark;
use suda_schema::{Seq, UserId};

use super::hub::Hub;
use super::news::News;

#[derive(Default)]
pub(super) struct Positions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the attachments have been told, or are about to be; `None` until somebody has asked.
    known: Option<HashMap<UserId, MemberMark>>,
    /// How often they had moved when that was last looked at.
    pulse: Option<u64>,
    /// They may have moved since they were read.
    moved: bool,
    /// There is a task that reads them.
    running: bool,
}

impl Positions {
    /// Takes what somebody has read who begins to listen, and tells the others what is new to them in it.
    pub(super) fn learn(&self, hub: &Hub, marks: &[MemberMark]) {
        let changed = self.state().merge(marks);
        if !changed.is_empty() {
            hub.tell(News::marks(changed));
        }
    }

    /// All of them, where they are shown.
    pub(super) fn all(&self) -> Option<Vec<MemberMark>> {
        self.state().known.as_ref().map(|known| known.values().copied().collect())
    }

    /// A member has gone.
    pub(super) fn forget(&self, user: UserId) {
        if let Some(known) = &mut self.state().known {
            known.remove(&user);
        }
    }

    /// The store says that they have moved so often: reads them, if that is news.
    pub(super) fn pulse(&self, hub: &Arc<Hub>, pulse: u64) {
        let mut state = self.state();
        if state.known.is_none() || state.pulse.replace(pulse) == Some(pulse) {
            return;
        }
        state.moved = true;
        if !std::mem::replace(&mut state.running, true) {
            hub.shared.runtime.spawn(run(Arc::clone(hub)));
        }
    }

    /// Whether to read them, and to be called again.
    fn go_on(&self, hub: &Hub) -> bool {
        let mut state = self.state();
        if !hub.has_listeners() {
            state.known = None;
        }
        state.running = state.known.is_some() && std::mem::take(&mut state.moved);
        state.running
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes newer positions, and returns those that were not known so. The first ones are nobody's news.
    fn merge(&mut self, marks: &[MemberMark]) -> Vec<MemberMark> {
        let Some(known) = &mut self.known else {
            self.known = Some(marks.iter().map(|mark| (mark.user, *mark)).collect());
            return Vec::new();
        };
        let mut changed = Vec::new();
        for mark in marks {
            let old =
                known.entry(mark.user).or_insert(MemberMark { user: mark.user, delivered: Seq::ZERO, read: Seq::ZERO });
            let new = MemberMark {
                user: mark.user,
                delivered: old.delivered.max(mark.delivered),
                read: old.read.max(mark.read),
            };
            if new != *old {
                *old = new;
                changed.push(new);
            }
        }
        changed
    }
}

/// Reads them as long as they move: the first time at once, then once an interval.
async fn run(hub: Arc<Hub>) {
    while hub.positions.go_on(&hub) {
        match hub.shared.log.marks(hub.channel).await {
            Ok(marks) => hub.positions.learn(&hub, &marks),
            Err(error) => {
                tracing::warn!(channel = %hub.channel, %error, "could not read members' positions");
                hub.positions.state().moved = true;
            }
        }
        tokio::time::sleep(Duration::from_millis(hub.shared.config.marks_interval_ms)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(user: u64, delivered: u64, read: u64) -> MemberMark {
        MemberMark { user: UserId(user), delivered: Seq(delivered), read: Seq(read) }
    }

    #[test]
    fn only_what_moved_forward_is_news() {
        let mut state = State::default();
        assert_eq!(state.merge(&[mark(1, 5, 3), mark(2, 0, 0)]), []);
        assert_eq!(state.merge(&[mark(1, 5, 3), mark(2, 0, 0)]), []);
        assert_eq!(state.merge(&[mark(1, 4, 4), mark(2, 0, 0), mark(3, 1, 0)]), [mark(1, 5, 4), mark(3, 1, 0)]);
        assert_eq!(state.merge(&[mark(1, 5, 3)]), [], "an older read that comes late");
    }
}
