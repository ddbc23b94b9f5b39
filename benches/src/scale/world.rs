//! A sample of the people, second by second.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::People;

/// One person here stands for so many.
pub(crate) const SCALE: f64 = 1_000.0;
/// How long is played, and how much of it comes before anything is counted.
pub(crate) const COUNTED_MS: u64 = 300_000;
const WARM_MS: u64 = 900_000;
/// `session.presence_grace_ms` and `cluster.interest_idle_ms`.
const GRACE_MS: u64 = 30_000;
const IDLE_MS: u64 = 60_000;

/// What happened while it was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) sends: u64,
    /// People who were to get them, and those of them who were online.
    pub(crate) recipients: u64,
    pub(crate) deliveries: u64,
    /// Other nodes that were told of a message, and of a change of presence.
    pub(crate) message_marks: u64,
    pub(crate) presence_marks: u64,
    pub(crate) presence_changes: u64,
    pub(crate) presence_told: u64,
    pub(crate) connects: u64,
    /// Users who were looked up, to find the nodes that are to be told of a message, of a mark, of a change of presence.
    pub(crate) lookups: u64,
    /// Topics registered for a node, and left by it.
    pub(crate) registered: u64,
    pub(crate) left: u64,
    /// At the end: people online, topics registered on all nodes.
    pub(crate) online: u64,
    pub(crate) topics: u64,
    /// If one node dies at the end: its people, and topics that they register elsewhere.
    pub(crate) stranded: u64,
    pub(crate) stranded_topics: u64,
    /// Rows of its interest, to be swept.
    pub(crate) swept_topics: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Come(usize),
    /// A link that began at this time ends.
    Go(usize),
    /// Nobody has come back for the grace since then.
    Gone(usize, u64),
    Send(usize, u64),
    /// Nobody on the node has listened since then.
    Idle(u64, u64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Listened {
    listeners: u32,
    idle_since: u64,
}

struct World<'a> {
    people: &'a People,
    nodes: u64,
    dice: Dice,
    now: u64,
    queue: BinaryHeap<Reverse<(u64, Event)>>,
    groups: Vec<Vec<usize>>,
    /// Of each person: the groups, the partners, and with the friends all who are watched.
    in_groups: Vec<Vec<usize>>,
    partners: Vec<Vec<usize>>,
    watched: Vec<Vec<usize>>,
    /// The node, and since when.
    at: Vec<Option<(u64, u64)>>,
    /// The last node of each, which says when they are gone.
    home: Vec<u64>,
    /// Since when somebody is away; and whether others take them for online.
    away_since: Vec<u64>,
    shown: Vec<bool>,
    /// By person and node: a session registers its user's own topic.
    interest: HashMap<u64, Listened>,
    /// Of each person: the nodes that are registered.
    listening: Vec<Vec<u64>>,
    counts: Counts,
}

/// Plays it.
pub(crate) fn play(people: &People, nodes: u64, seed: u64) -> Counts {
    let mut world = World::new(people, nodes, seed);
    let until = WARM_MS + COUNTED_MS;
    while let Some(Reverse((at, event))) = world.queue.pop() {
        if at >= until {
            break;
        }
        if world.now < WARM_MS && at >= WARM_MS {
            world.counts = Counts::default();
        }
        world.now = at;
        world.happen(event);
    }
    world.end()
}

impl<'a> World<'a> {
    fn new(people: &'a People, nodes: u64, seed: u64) -> Self {
        let count = (people.daily / SCALE) as usize;
        let mut dice = Dice(seed);
        let mut groups = Vec::new();
        let mut in_groups = vec![Vec::new(); count];
        // Sizes from two on, so that the mean is as assumed; few are large.
        while groups.iter().map(Vec::len).sum::<usize>() < count * people.groups {
            let extra = dice.lasting((people.group_members - 2) as f64).min(98.0);
            let members: Vec<usize> = (0..2 + extra.round() as usize).map(|_| dice.one_of(count)).collect();
            members.iter().for_each(|person| in_groups[*person].push(groups.len()));
            groups.push(members);
        }
        let mut partners = vec![Vec::new(); count];
        for _ in 0..count * people.partners / 2 {
            let (one, other) = (dice.one_of(count), dice.one_of(count));
            partners[one].push(other);
            partners[other].push(one);
        }
        let mut watched = partners.clone();
        for _ in 0..count * people.friends / 2 {
            let (one, other) = (dice.one_of(count), dice.one_of(count));
            watched[one].push(other);
            watched[other].push(one);
        }
        let mut world = Self {
            people,
            nodes,
            dice,
            now: 0,
            queue: BinaryHeap::new(),
            groups,
            in_groups,
            partners,
            watched,
            at: vec![None; count],
            home: vec![0; count],
            away_since: vec![0; count],
            shown: vec![false; count],
            interest: HashMap::new(),
            listening: vec![Vec::new(); count],
            counts: Counts::default(),
        };
        for person in 0..count {
            if world.dice.below(1_000) < (people.online_share * 1_000.0) as u64 {
                world.come(person);
            } else {
                let wait = world.away_ms();
                world.later(wait, Event::Come(person));
            }
        }
        world
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Come(person) => self.come(person),
            Event::Go(person) => self.go(person),
            Event::Gone(person, since) => {
                if self.at[person].is_none() && self.away_since[person] == since && self.shown[person] {
                    self.shown[person] = false;
                    self.tell_presence(person);
                }
            }
            Event::Send(person, since) => {
                if self.at[person].is_some_and(|(_, began)| began == since) {
                    self.send(person);
                    let wait = self.rest_ms();
                    self.later(wait, Event::Send(person, since));
                }
            }
            Event::Idle(key, since) => {
                if self.interest.get(&key).is_some_and(|one| one.listeners == 0 && one.idle_since == since) {
                    self.interest.remove(&key);
                    let (person, node) = (key / self.nodes, key % self.nodes);
                    self.listening[person as usize].retain(|other| *other != node);
                    self.counts.left += 1;
                }
            }
        }
    }

    fn come(&mut self, person: usize) {
        let node = self.dice.below(self.nodes);
        self.at[person] = Some((node, self.now));
        self.home[person] = node;
        self.counts.connects += 1;
        let one = self.interest.entry(self.topic(person, node)).or_insert_with(|| {
            self.listening[person].push(node);
            self.counts.registered += 1;
            Listened::default()
        });
        one.listeners += 1;
        if !self.shown[person] {
            self.shown[person] = true;
            self.tell_presence(person);
        }
        let stay = self.dice.lasting(self.people.session * 1_000.0) as u64;
        self.later(stay, Event::Go(person));
        let wait = self.rest_ms();
        self.later(wait, Event::Send(person, self.now));
    }

    fn go(&mut self, person: usize) {
        let Some((node, _)) = self.at[person].take() else { return };
        self.away_since[person] = self.now;
        let key = self.topic(person, node);
        if let Some(one) = self.interest.get_mut(&key) {
            one.listeners = one.listeners.saturating_sub(1);
            if one.listeners == 0 {
                one.idle_since = self.now;
                self.later(IDLE_MS, Event::Idle(key, self.now));
            }
        }
        self.later(GRACE_MS, Event::Gone(person, self.now));
        let lost = self.dice.below(10) < self.people.lost_of_ten;
        let wait = if lost { self.dice.below(GRACE_MS / 3) } else { self.away_ms() };
        self.later(wait, Event::Come(person));
    }

    fn send(&mut self, person: usize) {
        let direct = self.dice.below(10) < self.people.direct_of_ten;
        let members = if direct && !self.partners[person].is_empty() {
            let partners = &self.partners[person];
            let online: Vec<usize> = partners.iter().copied().filter(|other| self.at[*other].is_some()).collect();
            let rather = !online.is_empty() && self.dice.below(10) < self.people.to_online_of_ten;
            let other = if rather {
                online[self.dice.one_of(online.len())]
            } else {
                partners[self.dice.one_of(partners.len())]
            };
            vec![other, person]
        } else if let Some(group) = self.dice.of(&self.in_groups[person]) {
            self.groups[group].clone()
        } else {
            return;
        };
        let others = || members.iter().filter(|member| **member != person);
        let deliveries = others().filter(|member| self.at[**member].is_some()).count() as u64;
        self.counts.sends += 1;
        self.counts.recipients += others().count() as u64;
        self.counts.deliveries += deliveries;
        self.counts.message_marks += self.nodes_of(&members, person);
        // Whoever reads it says so twice, and the same people hear of it.
        self.counts.lookups += (1 + 2 * deliveries) * members.len() as u64;
    }

    fn tell_presence(&mut self, person: usize) {
        self.counts.presence_changes += 1;
        self.counts.presence_told +=
            self.watched[person].iter().filter(|other| self.at[**other].is_some()).count() as u64;
        self.counts.presence_marks += self.nodes_of(&self.watched[person], person);
        self.counts.lookups += self.watched[person].len() as u64;
    }

    /// The nodes where these people are, beside the one where somebody is who writes.
    fn nodes_of(&self, people: &[usize], writer: usize) -> u64 {
        let own = self.home[writer];
        let nodes = people.iter().flat_map(|person| &self.listening[*person]).filter(|node| **node != own);
        nodes.collect::<HashSet<_>>().len() as u64
    }

    /// What somebody's session registers for its node.
    fn topic(&self, person: usize, node: u64) -> u64 {
        person as u64 * self.nodes + node
    }

    fn later(&mut self, wait: u64, event: Event) {
        self.queue.push(Reverse((self.now + wait, event)));
    }

    /// So that the share that is online stays as it is. A lost link is back so soon that it hardly counts.
    fn away_ms(&mut self) -> u64 {
        let stays = self.people.session * 1_000.0 * 10.0 / (10 - self.people.lost_of_ten) as f64;
        self.dice.lasting(stays * (1.0 / self.people.online_share - 1.0)) as u64
    }

    /// So that all together send as much as they should in the busiest hour.
    fn rest_ms(&mut self) -> u64 {
        let each = self.people.messages_a_second() * self.people.peak / self.people.online();
        self.dice.lasting(1_000.0 / each) as u64
    }

    /// Takes stock, and has a node die.
    fn end(mut self) -> Counts {
        self.counts.online = self.at.iter().flatten().count() as u64;
        self.counts.topics = self.interest.len() as u64;
        self.counts.swept_topics = self.interest.keys().filter(|key| *key % self.nodes == 0).count() as u64;
        let stranded: Vec<usize> =
            (0..self.at.len()).filter(|person| self.at[*person].is_some_and(|(node, _)| node == 0)).collect();
        self.counts.stranded = stranded.len() as u64;
        for person in stranded {
            let node = if self.nodes > 1 { 1 + self.dice.below(self.nodes - 1) } else { 0 };
            if self.interest.insert(self.topic(person, node), Listened::default()).is_none() {
                self.counts.stranded_topics += 1;
            }
        }
        self.counts
    }
}

/// Chance from a seed (splitmix64), the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_of(&mut self, count: usize) -> usize {
        self.below(count as u64) as usize
    }

    fn of(&mut self, some: &[usize]) -> Option<usize> {
        let at = self.one_of(some.len());
        some.get(at).copied()
    }

    /// A time of a process without memory, with this mean.
    fn lasting(&mut self, mean: f64) -> f64 {
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        -mean * (1.0 - share).ln()
    }
}
