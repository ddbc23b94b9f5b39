//! Judges, while a run goes on and at its end, what every device was shown of every channel: nothing acknowledged is lost,
//! nothing is doubled, there is one order, and it is the order in which each sender sent.
//!
//! What is kept is a few words for each message and one number for each view, so that thousands can watch a channel.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

/// So many faults are described; the others are counted.
const DESCRIBED_MAX: usize = 20;

/// A channel, by its place in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Room(pub(crate) usize);

/// Which message: the sender's number, and that of the message among the sender's, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) sender: u32,
    pub(crate) number: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of device {}", self.number, self.sender)
    }
}

/// What one device sees of one channel.
#[derive(Debug)]
pub(crate) struct View {
    room: Room,
    index: usize,
}

/// What is wrong, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Acknowledged, and missing in the log or in a view.
    pub(crate) lost: u64,
    /// There twice.
    pub(crate) doubled: u64,
    /// In another order than they were sent in, or than somebody else saw.
    pub(crate) disordered: u64,
    /// Neither acknowledged nor refused in time.
    pub(crate) unanswered: u64,
    /// Refused for good.
    pub(crate) refused: u64,
    /// The first of them.
    pub(crate) described: Vec<String>,
}

impl Faults {
    pub(crate) fn count(&self) -> u64 {
        self.lost + self.doubled + self.disordered + self.unanswered + self.refused
    }

    fn add(&mut self, what: impl FnOnce(&mut Self) -> &mut u64, description: impl FnOnce() -> String) {
        *what(self) += 1;
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(description());
        }
    }
}

/// All channels of a run.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    rooms: Vec<Mutex<State>>,
    faults: Mutex<Faults>,
}

#[derive(Debug)]
struct State {
    /// The seq of the first entry that is looked at.
    first: u64,
    /// What is at each seq from there on, as the first who saw it saw it. `None` inside: not a message of this run.
    log: Vec<Option<Option<Stamp>>>,
    /// The next seq that each view must show.
    views: Vec<u64>,
    /// How many views a message is waited for in before it is no longer on its way.
    prompt: u32,
    /// How much each sender has sent.
    sent: HashMap<u32, u64>,
    acks: Vec<(Stamp, u64)>,
    refused: HashSet<Stamp>,
    acked_max: u64,
    flying: HashMap<Stamp, Flying>,
}

/// A message of which so many have to hear yet, its sender among them.
#[derive(Debug)]
struct Flying {
    left: u32,
    _permit: OwnedSemaphorePermit,
}

impl Checker {
    /// A channel, from the entry after this seq on.
    pub(crate) fn add_room(&mut self, after: u64) -> Room {
        self.rooms.push(Mutex::new(State {
            first: after + 1,
            log: Vec::new(),
            views: Vec::new(),
            prompt: 0,
            sent: HashMap::new(),
            acks: Vec::new(),
            refused: HashSet::new(),
            acked_max: after,
            flying: HashMap::new(),
        }));
        Room(self.rooms.len() - 1)
    }

    /// Somebody who looks at a channel. Messages in flight are waited for where somebody is prompt.
    pub(crate) fn add_view(&mut self, room: Room, is_prompt: bool) -> View {
        let mut state = self.lock(room);
        let first = state.first;
        state.views.push(first);
        state.prompt += u32::from(is_prompt);
        View { room, index: state.views.len() - 1 }
    }

    fn lock(&self, room: Room) -> MutexGuard<'_, State> {
        let state = self.rooms.get(room.0).expect("a room of this checker");
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, what: impl FnOnce(&mut Faults) -> &mut u64, description: impl FnOnce() -> String) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).add(what, description);
    }

    /// Somebody sends the next message. `permit` is given back when it was acknowledged and all who are prompt have it.
    pub(crate) fn sends(&self, room: Room, sender: u32, permit: Option<OwnedSemaphorePermit>) -> Stamp {
        let mut state = self.lock(room);
        let number = state.sent.entry(sender).or_default();
        *number += 1;
        let stamp = Stamp { sender, number: *number };
        if let Some(permit) = permit {
            let left = state.prompt + 1;
            state.flying.insert(stamp, Flying { left, _permit: permit });
        }
        stamp
    }

    pub(crate) fn acked(&self, room: Room, stamp: Stamp, seq: u64) {
        let mut state = self.lock(room);
        state.acks.push((stamp, seq));
        state.acked_max = state.acked_max.max(seq);
        state.landed(stamp);
    }

    pub(crate) fn refused(&self, room: Room, stamp: Stamp, why: &str) {
        let mut state = self.lock(room);
        state.refused.insert(stamp);
        state.flying.remove(&stamp);
        drop(state);
        self.fault(|faults| &mut faults.refused, || format!("{stamp} was refused: {why}"));
    }

    /// A view shows its next entry.
    pub(crate) fn saw(&self, view: &View, is_prompt: bool, seq: u64, what: Option<Stamp>) {
        let mut guard = self.lock(view.room);
        let state = &mut *guard;
        let Some(wanted) = state.views.get_mut(view.index) else { return };
        let expected = *wanted;
        *wanted = expected.max(seq.saturating_add(1));
        let index = seq.checked_sub(state.first).and_then(|index| usize::try_from(index).ok());
        let mut differs = None;
        if let Some(index) = index {
            if state.log.len() <= index {
                state.log.resize(index + 1, None);
            }
            match state.log.get_mut(index) {
                Some(Some(other)) => differs = (*other != what).then_some(*other),
                Some(there) => *there = Some(what),
                None => {}
            }
        }
        if is_prompt
            && seq >= expected
            && let Some(stamp) = what
        {
            state.landed(stamp);
        }
        drop(guard);
        let View { room: Room(room), index } = *view;
        if seq > expected {
            self.fault(
                |f| &mut f.lost,
                || format!("view {index} of channel {room}: {seq} came where {expected} should"),
            );
        } else if seq < expected {
            self.fault(
                |f| &mut f.doubled,
                || format!("view {index} of channel {room}: {seq} came again, where {expected} should"),
            );
        }
        if let Some(other) = differs {
            self.fault(
                |f| &mut f.disordered,
                || format!("view {index} of channel {room}: {what:?} at {seq}, where others saw {other:?}"),
            );
        }
    }

    /// Whether every send was answered, and everybody has everything that was acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        (0..self.rooms.len()).all(|room| {
            let state = self.lock(Room(room));
            let sent: u64 = state.sent.values().sum();
            let answered = state.acks.len() + state.refused.len();
            answered as u64 == sent && state.views.iter().all(|next| *next > state.acked_max)
        })
    }

    /// How many faults there are so far.
    pub(crate) fn faults_so_far(&self) -> u64 {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).count()
    }

    /// The judgement on everything, when nothing more comes.
    pub(crate) fn finish(&self) -> Faults {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for room in 0..self.rooms.len() {
            self.lock(Room(room)).judge(room, &mut faults);
        }
        faults
    }
}

impl State {
    fn landed(&mut self, stamp: Stamp) {
        if let Some(flying) = self.flying.get_mut(&stamp) {
            flying.left = flying.left.saturating_sub(1);
            if flying.left == 0 {
                self.flying.remove(&stamp);
            }
        }
    }

    fn judge(&self, room: usize, faults: &mut Faults) {
        let mut places: HashMap<Stamp, u64> = HashMap::new();
        let mut last: HashMap<u32, u64> = HashMap::new();
        for (seq, what) in (self.first..).zip(&self.log) {
            let Some(Some(stamp)) = what else { continue };
            let last = last.entry(stamp.sender).or_default();
            if let Some(before) = places.get(stamp) {
                let say = || format!("channel {room}: {stamp} is at {before} and at {seq}");
                faults.add(|f| &mut f.doubled, say);
                continue;
            }
            if stamp.number < *last {
                faults.add(
                    |f| &mut f.disordered,
                    || format!("channel {room}: {stamp} at {seq} came after message {last}"),
                );
            }
            *last = stamp.number.max(*last);
            places.insert(*stamp, seq);
        }
        for (stamp, acked) in &self.acks {
            if let Some(found) = places.get(stamp).filter(|found| *found != acked) {
                let say = || format!("channel {room}: {stamp} was acknowledged at {acked}, and is at {found}");
                faults.add(|f| &mut f.disordered, say);
            } else if !places.contains_key(stamp) && !self.views.is_empty() {
                let say = || format!("channel {room}: {stamp} was acknowledged at {acked}, and nobody has seen it");
                faults.add(|f| &mut f.lost, say);
            }
        }
        for (index, next) in self.views.iter().enumerate().filter(|(_, next)| **next <= self.acked_max) {
            let say =
                || format!("view {index} of channel {room}: ends before {next}, {} were acknowledged", self.acked_max);
            faults.add(|f| &mut f.lost, say);
        }
        let answered: HashSet<Stamp> = self.acks.iter().map(|(stamp, _)| *stamp).chain(self.refused.clone()).collect();
        for (sender, sent) in &self.sent {
            for number in 1..=*sent {
                let stamp = Stamp { sender: *sender, number };
                if !answered.contains(&stamp) {
                    faults.add(|f| &mut f.unanswered, || format!("channel {room}: {stamp} was never answered"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    const ROOM: Room = Room(0);

    fn stamp(number: u64) -> Stamp {
        Stamp { sender: 7, number }
    }

    /// Two views of one channel in which one device has sent four messages, all acknowledged from 11 on.
    fn sent() -> (Checker, View, View) {
        let mut checker = Checker::default();
        let room = checker.add_room(10);
        let (one, other) = (checker.add_view(room, true), checker.add_view(room, true));
        for number in 1..=4 {
            assert_eq!(checker.sends(ROOM, 7, None), stamp(number));
            checker.acked(ROOM, stamp(number), 10 + number);
        }
        (checker, one, other)
    }

    /// What the checker says when the one has seen everything as it was, and the other saw this.
    fn seen(by_other: &[(u64, u64)]) -> Faults {
        let (checker, one, other) = sent();
        for number in 1..=4 {
            checker.saw(&one, true, 10 + number, Some(stamp(number)));
        }
        for (seq, number) in by_other {
            checker.saw(&other, true, *seq, Some(stamp(*number)));
        }
        checker.finish()
    }

    fn counts(faults: &Faults) -> (u64, u64, u64) {
        (faults.lost, faults.doubled, faults.disordered)
    }

    #[test]
    fn what_is_right_is_right() {
        let faults = seen(&[(11, 1), (12, 2), (13, 3), (14, 4)]);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn an_injected_loss_is_found() {
        // In the middle, at the end, and everywhere.
        assert_eq!(counts(&seen(&[(11, 1), (13, 3), (14, 4)])), (1, 0, 0));
        assert_eq!(counts(&seen(&[(11, 1), (12, 2), (13, 3)])), (1, 0, 0));
        let (checker, one, other) = sent();
        for view in [&one, &other] {
            for (seq, number) in [(11, 1), (12, 2), (13, 4)] {
                checker.saw(view, true, seq, Some(stamp(number)));
            }
        }
        let faults = checker.finish();
        assert!(faults.lost >= 1 && faults.described.iter().any(|text| text.contains("nobody has seen")), "{faults:?}");
    }

    #[test]
    fn an_injected_double_is_found() {
        assert_eq!(counts(&seen(&[(11, 1), (12, 2), (12, 2), (13, 3), (14, 4)])), (0, 1, 0));
        // One message at two places of the log.
        let (checker, one, other) = sent();
        for view in [&one, &other] {
            for (seq, number) in [(11, 1), (12, 2), (13, 3), (14, 4), (15, 2)] {
                checker.saw(view, true, seq, Some(stamp(number)));
            }
        }
        assert_eq!(counts(&checker.finish()), (0, 1, 0));
    }

    #[test]
    fn an_injected_disorder_is_found() {
        // One view differs from the other.
        assert_eq!(counts(&seen(&[(11, 2), (12, 1), (13, 3), (14, 4)])), (0, 0, 2));
        // All see the same, which is not what was sent.
        let mut checker = Checker::default();
        let room = checker.add_room(0);
        let view = checker.add_view(room, true);
        for (number, seq) in [(1, 2), (2, 1)] {
            let stamp = checker.sends(room, 7, None);
            assert_eq!(stamp.number, number);
            checker.acked(room, stamp, seq);
        }
        checker.saw(&view, true, 1, Some(stamp(2)));
        checker.saw(&view, true, 2, Some(stamp(1)));
        assert_eq!(counts(&checker.finish()), (0, 0, 1));
        // An acknowledgement that names another place.
        let (checker, one, other) = sent();
        checker.acked(ROOM, stamp(2), 13);
        for view in [&one, &other] {
            for number in 1..=4 {
                checker.saw(view, true, 10 + number, Some(stamp(number)));
            }
        }
        assert_eq!(counts(&checker.finish()), (0, 0, 1));
    }

    #[test]
    fn silence_and_refusals_are_found() {
        let mut checker = Checker::default();
        let room = checker.add_room(0);
        checker.sends(room, 1, None);
        let refused = checker.sends(room, 1, None);
        checker.refused(room, refused, "too long");
        assert!(!checker.is_settled());
        let faults = checker.finish();
        assert_eq!((faults.unanswered, faults.refused, faults.count()), (1, 1, 2));
    }

    #[test]
    fn a_message_flies_until_it_is_acknowledged_and_the_prompt_have_it() {
        let mut checker = Checker::default();
        let room = checker.add_room(0);
        let (prompt, slow) = (checker.add_view(room, true), checker.add_view(room, false));
        let places = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&places).try_acquire_owned().unwrap();
        let stamp = checker.sends(room, 1, Some(permit));
        checker.acked(room, stamp, 1);
        checker.saw(&slow, false, 1, Some(stamp));
        assert_eq!(places.available_permits(), 0);
        assert!(!checker.is_settled());
        checker.saw(&prompt, true, 1, Some(stamp));
        assert_eq!(places.available_permits(), 1);
        assert!(checker.is_settled());
    }
}
