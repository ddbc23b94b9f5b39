//! Whom to dial, and when: transports race, the best one with a head start.

use std::collections::BTreeMap;

use super::config::Config;
use super::io::{Candidate, Kind, LinkId};

/// What is known of this network.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// What worked last, and until when that counts.
    good: Option<(Kind, u64)>,
    /// What did not work lately though it connected, or stalled.
    bad: BTreeMap<Kind, u64>,
}

impl Memory {
    pub(super) fn worked(&mut self, kind: Kind, until_ms: u64) {
        self.good = Some((kind, until_ms));
        self.bad.remove(&kind);
    }

    pub(super) fn failed(&mut self, kind: Kind, until_ms: u64) {
        self.bad.insert(kind, until_ms);
        self.good = self.good.filter(|(good, _)| *good != kind);
    }

    /// The network is another one.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn rank(&self, kind: Kind, now_ms: u64) -> i8 {
        let good = self.good.is_some_and(|(good, until_ms)| good == kind && now_ms < until_ms);
        let bad = self.bad.get(&kind).is_some_and(|until_ms| now_ms < *until_ms);
        i8::from(bad) - i8::from(good)
    }
}

/// One attempt to connect.
#[derive(Debug)]
pub(super) struct Race {
    runners: Vec<Runner>,
}

#[derive(Debug)]
struct Runner {
    candidate: Candidate,
    start_ms: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Running(LinkId, u64),
    Out,
}

impl Race {
    /// Candidates of the transports that may be used, best first, in groups by transport: within one, each has half a
    /// head start over the next.
    pub(super) fn new(config: &Config, candidates: &[Candidate], memory: &Memory, now_ms: u64, hurry: bool) -> Self {
        let mut order: Vec<(i8, usize, &Candidate)> = Vec::new();
        for candidate in candidates {
            if let Some(place) = config.transports.iter().position(|kind| *kind == candidate.kind) {
                order.push((memory.rank(candidate.kind, now_ms), place, candidate));
            }
        }
        order.sort_by_key(|(rank, place, _)| (*rank, *place));
        // The second transport over UDP would fare as the first does: it comes last, in case that is not so.
        let mut first_udp = None;
        let mut late = Vec::new();
        let mut chosen: Vec<&Candidate> = Vec::new();
        for (_, _, candidate) in order {
            if candidate.kind.is_udp() && *first_udp.get_or_insert(candidate.kind) != candidate.kind {
                late.push(candidate);
            } else {
                chosen.push(candidate);
            }
        }
        chosen.extend(late);
        // In a hurry the best of each kind of network start together: the one that was best may be what has failed.
        let step_ms = config.head_start_ms;
        let mut start_ms = now_ms;
        let mut runners: Vec<Runner> = Vec::new();
        for candidate in chosen {
            if let Some(last) = runners.last() {
                let same = last.candidate.kind == candidate.kind;
                let together = hurry && runners.len() == 1 && !same;
                start_ms = start_ms.saturating_add(if together { 0 } else { step_ms });
            }
            runners.push(Runner { candidate: candidate.clone(), start_ms, state: State::Waiting });
        }
        Self { runners }
    }

    /// The next one to dial, if it is time for it. One that has failed leaves its head start to the next.
    pub(super) fn next(&mut self, now_ms: u64, within_ms: u64, link: LinkId) -> Option<Candidate> {
        let idle = !self.runners.iter().any(|runner| matches!(runner.state, State::Running(..)));
        let runner = self.runners.iter_mut().find(|runner| runner.state == State::Waiting)?;
        if !idle && runner.start_ms > now_ms {
            return None;
        }
        runner.state = State::Running(link, now_ms.saturating_add(within_ms));
        Some(runner.candidate.clone())
    }

    /// This one is out.
    pub(super) fn failed(&mut self, link: LinkId) {
        for runner in &mut self.runners {
            if matches!(runner.state, State::Running(running, _) if running == link) {
                runner.state = State::Out;
            }
        }
    }

    /// Those that take too long.
    pub(super) fn late(&self, now_ms: u64) -> Option<LinkId> {
        self.runners.iter().find_map(|runner| match runner.state {
            State::Running(link, until_ms) if until_ms <= now_ms => Some(link),
            _ => None,
        })
    }

    /// Everybody is out.
    pub(super) fn is_lost(&self) -> bool {
        self.runners.iter().all(|runner| runner.state == State::Out)
    }

    /// Those that run.
    pub(super) fn running(&self) -> impl Iterator<Item = LinkId> {
        self.runners.iter().filter_map(|runner| match runner.state {
            State::Running(link, _) => Some(link),
            _ => None,
        })
    }

    /// When to look again.
    pub(super) fn next_at(&self) -> Option<u64> {
        let waiting = self.runners.iter().find(|runner| runner.state == State::Waiting).map(|runner| runner.start_ms);
        let late = self.runners.iter().filter_map(|runner| match runner.state {
            State::Running(_, until_ms) => Some(until_ms),
            _ => None,
        });
        late.chain(waiting).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Vec<Candidate> {
        [Kind::WebTransport, Kind::Quic, Kind::WebSocket]
            .map(|kind| Candidate { kind, url: kind.to_string(), certificate_hashes: Vec::new() })
            .to_vec()
    }

    fn order(memory: &Memory, hurry: bool) -> Vec<(Kind, u64)> {
        let race = Race::new(&Config::default(), &candidates(), memory, 100, hurry);
        race.runners.iter().map(|runner| (runner.candidate.kind, runner.start_ms - 100)).collect()
    }

    #[test]
    fn quic_has_a_head_start_and_the_other_udp_comes_last() {
        let memory = Memory::default();
        assert_eq!(order(&memory, false), [(Kind::Quic, 0), (Kind::WebSocket, 500), (Kind::WebTransport, 1_000)]);
        assert_eq!(order(&memory, true), [(Kind::Quic, 0), (Kind::WebSocket, 0), (Kind::WebTransport, 500)]);
    }

    #[test]
    fn what_worked_is_first_until_the_network_changes() {
        let mut memory = Memory::default();
        memory.worked(Kind::WebSocket, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::WebSocket);
        memory.forget();
        assert_eq!(order(&memory, false)[0].0, Kind::Quic);
        memory.failed(Kind::Quic, 1_000);
        memory.failed(Kind::WebTransport, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::WebSocket);
        memory.failed(Kind::Quic, 50);
        memory.failed(Kind::WebTransport, 50);
        assert_eq!(order(&memory, false)[0].0, Kind::Quic, "what is long ago does not count");
    }

    #[test]
    fn who_fails_leaves_the_head_start_to_the_next() {
        let mut race = Race::new(&Config::default(), &candidates(), &Memory::default(), 0, false);
        assert_eq!(race.next(0, 100, LinkId(1)).map(|candidate| candidate.kind), Some(Kind::Quic));
        assert_eq!(race.next(10, 100, LinkId(2)), None);
        race.failed(LinkId(1));
        assert_eq!(race.next(10, 100, LinkId(2)).map(|candidate| candidate.kind), Some(Kind::WebSocket));
        assert_eq!((race.late(109), race.late(110)), (None, Some(LinkId(2))));
        race.failed(LinkId(2));
        assert!(!race.is_lost());
        assert!(race.next(10, 100, LinkId(3)).is_some());
        race.failed(LinkId(3));
        assert!(race.is_lost());
    }
}
