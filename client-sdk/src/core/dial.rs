//! Whom to dial, and when: transports race, the best one with a head start.

use std::collections::BTreeMap;

use super::config::{Config, NODES_MAX};
use super::io::{Candidate, Kind, LinkId};

/// What is known of this network.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// What worked last, and until when that counts.
    good: Option<(Kind, u64)>,
    /// What did not work lately though it connected, or stalled: until when that counts, and to which node it was.
    bad: BTreeMap<Kind, (u64, u16)>,
    /// The node that was left or fell silent, and until when it comes last.
    left: Option<(u16, u64)>,
}

impl Memory {
    /// A link to this node stands. What did not work to another one says nothing any more, and neither does what took its
    /// place: it may have been the node.
    pub(super) fn worked(&mut self, kind: Kind, node: u16, until_ms: u64) {
        self.bad.remove(&kind);
        let known = self.bad.len();
        self.bad.retain(|_, (_, of)| *of == node);
        self.good = (known == self.bad.len()).then_some((kind, until_ms));
    }

    pub(super) fn failed(&mut self, kind: Kind, node: u16, until_ms: u64) {
        self.bad.insert(kind, (until_ms, node));
        self.good = self.good.filter(|(good, _)| *good != kind);
    }

    /// A node that is to come after the others, if there are any.
    pub(super) fn left(&mut self, node: u16, until_ms: u64) {
        self.left = Some((node, until_ms));
    }

    /// The network is another one.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    fn rank(&self, kind: Kind, now_ms: u64) -> i8 {
        let good = self.good.is_some_and(|(good, until_ms)| good == kind && now_ms < until_ms);
        let bad = self.bad.get(&kind).is_some_and(|(until_ms, _)| now_ms < *until_ms);
        i8::from(bad) - i8::from(good)
    }

    fn is_left(&self, node: u16, now_ms: u64) -> bool {
        self.left.is_some_and(|(left, until_ms)| left == node && now_ms < until_ms)
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
    /// Candidates of the transports that may be used, to the first few nodes. Each step down, to the next best transport
    /// or to the next node, costs one head start: a node that is dead costs as much as a transport that is blocked, and
    /// neither the connection.
    pub(super) fn new(config: &Config, candidates: &[Candidate], memory: &Memory, now_ms: u64, hurry: bool) -> Self {
        let kinds = kinds(config, candidates, memory, now_ms);
        let nodes = nodes(candidates, memory, now_ms);
        let mut order: Vec<(usize, usize, usize, &Candidate)> = Vec::new();
        for candidate in candidates {
            let kind = kinds.iter().position(|kind| *kind == candidate.kind);
            let node = nodes.iter().position(|node| *node == candidate.node);
            if let Some((kind, node)) = kind.zip(node) {
                // Of several ways to one node by one transport, each waits for the one before.
                let before = order.iter().filter(|(_, of_kind, of_node, _)| (*of_kind, *of_node) == (kind, node));
                // In a hurry the best of each kind of network start together: the one that was best may be what has failed.
                let down = if hurry { kind.saturating_sub(1) } else { kind };
                order.push((down + node + before.count(), kind, node, candidate));
            }
        }
        order.sort_by_key(|(step, kind, node, _)| (*step, *kind, *node));
        let runner = |(step, _, _, candidate): (usize, usize, usize, &Candidate)| {
            let later_ms = config.head_start_ms.saturating_mul(u64::try_from(step).unwrap_or(u64::MAX));
            let start_ms = now_ms.saturating_add(later_ms);
            Runner { candidate: candidate.clone(), start_ms, state: State::Waiting }
        };
        Self { runners: order.into_iter().map(runner).collect() }
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

/// The transports that may be used and that somebody offers, best first.
fn kinds(config: &Config, candidates: &[Candidate], memory: &Memory, now_ms: u64) -> Vec<Kind> {
    let offered = |kind: &&Kind| candidates.iter().any(|candidate| candidate.kind == **kind);
    let mut kinds: Vec<Kind> = config.transports.iter().filter(offered).copied().collect();
    kinds.sort_by_key(|kind| memory.rank(*kind, now_ms));
    // The second transport over UDP would fare as the first does: it comes last, in case that is not so.
    let first_udp = kinds.iter().copied().find(|kind| kind.is_udp());
    kinds.sort_by_key(|kind| kind.is_udp() && Some(*kind) != first_udp);
    kinds
}

/// The nodes to try, in order.
fn nodes(candidates: &[Candidate], memory: &Memory, now_ms: u64) -> Vec<u16> {
    let mut nodes: Vec<u16> = Vec::new();
    for candidate in candidates {
        if !nodes.contains(&candidate.node) {
            nodes.push(candidate.node);
        }
    }
    nodes.sort_by_key(|node| memory.is_left(*node, now_ms));
    nodes.truncate(NODES_MAX);
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates() -> Vec<Candidate> {
        [Kind::WebTransport, Kind::Quic, Kind::WebSocket]
            .map(|kind| Candidate { node: 1, kind, url: kind.to_string(), certificate_hashes: Vec::new() })
            .to_vec()
    }

    /// The same of several nodes, in this order.
    fn of_nodes(nodes: &[u16]) -> Vec<Candidate> {
        let of_node = |node: u16| candidates().into_iter().map(move |candidate| Candidate { node, ..candidate });
        nodes.iter().copied().flat_map(of_node).collect()
    }

    fn starts(race: &Race) -> Vec<(u16, Kind, u64)> {
        race.runners.iter().map(|runner| (runner.candidate.node, runner.candidate.kind, runner.start_ms)).collect()
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
        memory.worked(Kind::WebSocket, 1, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::WebSocket);
        memory.forget();
        assert_eq!(order(&memory, false)[0].0, Kind::Quic);
        memory.failed(Kind::Quic, 1, 1_000);
        memory.failed(Kind::WebTransport, 1, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::WebSocket);
        memory.failed(Kind::Quic, 1, 50);
        memory.failed(Kind::WebTransport, 1, 50);
        assert_eq!(order(&memory, false)[0].0, Kind::Quic, "what is long ago does not count");
    }

    #[test]
    fn what_failed_to_a_node_that_is_gone_does_not_count() {
        let mut memory = Memory::default();
        memory.failed(Kind::Quic, 7, 1_000);
        memory.worked(Kind::WebSocket, 7, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::WebSocket, "the node is there: it is the network");
        memory.worked(Kind::WebSocket, 3, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::Quic, "it may have been the node");
        memory.worked(Kind::WebSocket, 3, 1_000);
        assert_eq!(order(&memory, false)[0].0, Kind::WebSocket);
    }

    #[test]
    fn a_dead_node_costs_one_head_start_and_so_does_a_blocked_transport() {
        let race = Race::new(&Config::default(), &of_nodes(&[7, 3]), &Memory::default(), 0, false);
        let wanted = [
            (7, Kind::Quic, 0),
            (3, Kind::Quic, 500),
            (7, Kind::WebSocket, 500),
            (3, Kind::WebSocket, 1_000),
            (7, Kind::WebTransport, 1_000),
            (3, Kind::WebTransport, 1_500),
        ];
        assert_eq!(starts(&race), wanted);
    }

    #[test]
    fn a_node_that_was_left_comes_last_for_a_while() {
        let mut memory = Memory::default();
        memory.left(7, 1_000);
        let first = |memory: &Memory, now_ms| {
            starts(&Race::new(&Config::default(), &of_nodes(&[7, 3]), memory, now_ms, true))[..3].to_vec()
        };
        let wanted = [(3, Kind::Quic, 999), (3, Kind::WebSocket, 999), (7, Kind::Quic, 1_499)];
        assert_eq!(first(&memory, 999), wanted);
        assert_eq!(first(&memory, 1_000)[0].0, 7);
        // Alone it is still there, and only so many are tried.
        assert_eq!(starts(&Race::new(&Config::default(), &of_nodes(&[7]), &memory, 0, false)).len(), 3);
        let race = Race::new(&Config::default(), &of_nodes(&[7, 6, 5, 4, 3]), &memory, 0, false);
        let mut tried: Vec<u16> = starts(&race).iter().map(|(node, ..)| *node).collect();
        tried.sort_unstable();
        tried.dedup();
        assert_eq!(tried, [4, 5, 6]);
    }

    #[test]
    fn two_ways_to_a_node_by_one_transport_start_one_after_the_other() {
        let socket = |url: &str| Candidate {
            node: 1,
            kind: Kind::WebSocket,
            url: url.to_owned(),
            certificate_hashes: Vec::new(),
        };
        let both = [socket("wss://a"), socket("ws://a")];
        let race = Race::new(&Config::default(), &both, &Memory::default(), 0, true);
        assert_eq!(race.runners.iter().map(|runner| runner.start_ms).collect::<Vec<_>>(), [0, 500]);
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
