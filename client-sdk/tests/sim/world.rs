//! The world: devices, nodes, and a network between them that is out to do harm.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use suda_client::core::io::{Candidate, Effect, Failure, Kind, LinkId, Outcome, Piece, StreamId, Token};
use suda_client::core::rng::Rng;
use suda_client::schema::{ChannelId, CloseCode, DeviceId, UserId};

use super::device::Device;
use super::server::{Mood, Session, Store, token};

const DEVICES: usize = 4;
const NODES: u64 = 2;
const CHANNELS: u64 = 4;
/// How long the world is bad.
const BAD_MS: u64 = 240_000;
/// How long it may take until all is well again.
const GOOD_MS: u64 = 900_000;
const TURN_MS: u64 = 40;

/// What went on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) acked: u64,
    pub(crate) refused: u64,
    pub(crate) links: u64,
    pub(crate) restarts: u64,
    pub(crate) moved: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.refused += other.refused;
        self.links += other.links;
        self.restarts += other.restarts;
        self.moved += other.moved;
    }
}

enum Happening {
    /// A device's timers.
    Tick(usize),
    /// Somebody does something.
    Act(usize),
    Discovered(usize, u32),
    Token(usize, u32),
    /// A dial is answered, or (false) refused.
    Dialed(u64, bool),
    Up(u64, StreamId, Piece),
    Down(u64, StreamId, Piece),
    /// The client, or the node, hears that the connection is over.
    OverForClient(u64, Option<CloseCode>),
    OverForNode(u64),
    /// Nodes say what is new.
    Turn,
    /// Something breaks.
    Harm,
    NodeBack(u64),
}

/// A connection. Its streams keep their order; among each other they do not, unless it is a WebSocket.
struct Conn {
    device: usize,
    life: u32,
    link: LinkId,
    kind: Kind,
    node: u64,
    session: Option<Session>,
    /// Nothing arrives any more, in either direction.
    dead: bool,
    /// What is sent before this time arrives after it.
    stalled_until_ms: u64,
    /// When the last piece of each stream arrives, up and down.
    last_ms: BTreeMap<(bool, StreamId), u64>,
}

pub(crate) struct World {
    rng: Rng,
    now_ms: u64,
    began_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
    devices: Vec<Device>,
    ticks: Vec<u64>,
    conns: BTreeMap<u64, Conn>,
    next_conn: u64,
    nodes_down: BTreeMap<u64, bool>,
    udp_blocked: bool,
    store: Store,
    pub(crate) steps: u64,
    /// Links on which a session began.
    links: u64,
    /// Links that were asked to move.
    moved: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let now_ms = 1_800_000_000_000;
        let mut store = Store::default();
        let users: Vec<UserId> = (1..=3).map(UserId).collect();
        for channel in (1..=CHANNELS).map(ChannelId) {
            users.iter().for_each(|user| store.add(now_ms, channel, *user));
        }
        // The last user has two devices.
        let device = |number: usize, rng: &mut Rng| {
            Device::new(rng, users[number.min(2)], DeviceId(number as u64 + 100), now_ms)
        };
        let devices: Vec<Device> = (0..DEVICES).map(|number| device(number, &mut rng)).collect();
        let mut world = Self {
            rng,
            now_ms,
            began_ms: now_ms,
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
            ticks: vec![u64::MAX; devices.len()],
            devices,
            conns: BTreeMap::new(),
            next_conn: 0,
            nodes_down: BTreeMap::new(),
            udp_blocked: false,
            store,
            steps: 0,
            links: 0,
            moved: 0,
        };
        for number in 0..DEVICES {
            world.serve(number);
            world.after(10, Happening::Act(number));
        }
        world.after(TURN_MS, Happening::Turn);
        world.after(3_000, Happening::Harm);
        world
    }

    /// Plays until everything that was sent has arrived.
    pub(crate) fn run(&mut self) {
        while self.now_ms < self.began_ms + BAD_MS {
            self.step();
        }
        // All is well from now on: everybody gets everything.
        self.udp_blocked = false;
        self.nodes_down.clear();
        let now_ms = self.now_ms;
        for channel in (1..=CHANNELS).map(ChannelId) {
            (1..=3).for_each(|user| self.store.add(now_ms, channel, UserId(user)));
        }
        for number in 0..DEVICES {
            let device = &mut self.devices[number];
            device.core.connect(now_ms + device.skew_ms);
            self.serve(number);
        }
        let limit_ms = self.now_ms + GOOD_MS;
        while self.now_ms < limit_ms && !self.is_quiet() {
            for _ in 0..200 {
                self.step();
            }
        }
        let settled_ms = self.now_ms + 20_000;
        while self.now_ms < settled_ms {
            self.step();
        }
        for device in &mut self.devices {
            device.check_end(&self.store);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let outcomes = self.devices.iter().flat_map(|device| device.sent.values().flatten());
        let acked =
            outcomes.clone().filter(|(_, outcome)| matches!(outcome, Some(Outcome::Acknowledged { .. }))).count();
        let refused = outcomes.filter(|(_, outcome)| matches!(outcome, Some(Outcome::Refused(_)))).count();
        let restarts = self.devices.iter().map(|device| u64::from(device.life)).sum();
        Counts { acked: acked as u64, refused: refused as u64, links: self.links, restarts, moved: self.moved }
    }

    fn is_bad(&self) -> bool {
        self.now_ms < self.began_ms + BAD_MS
    }

    fn is_quiet(&self) -> bool {
        self.devices.iter().all(|device| {
            let up = |channel: &ChannelId| {
                device.core.log(*channel).is_some_and(|log| log.cursor() == self.store.channels[channel].head())
            };
            device.core.outbox_len() == 0 && device.opened.iter().all(up)
        })
    }

    fn mood(&self) -> Mood {
        if self.is_bad() { Mood { refuse: 8, drop_attachment: 400 } } else { Mood { refuse: 0, drop_attachment: 0 } }
    }

    fn after(&mut self, in_ms: u64, happening: Happening) {
        self.at(self.now_ms + in_ms, happening);
    }

    fn at(&mut self, at_ms: u64, happening: Happening) {
        self.next += 1;
        self.queue.push(Reverse((at_ms, self.next)));
        self.happenings.insert(self.next, happening);
    }

    fn step(&mut self) {
        let Some(Reverse((at_ms, number))) = self.queue.pop() else { panic!("nothing happens any more") };
        let Some(happening) = self.happenings.remove(&number) else { return };
        self.now_ms = at_ms;
        self.steps += 1;
        match happening {
            Happening::Tick(number) => {
                if self.ticks[number] == at_ms {
                    self.ticks[number] = u64::MAX;
                    let now_ms = self.now_ms + self.devices[number].skew_ms;
                    self.devices[number].core.tick(now_ms);
                    self.serve(number);
                }
            }
            Happening::Act(number) => self.act(number),
            Happening::Discovered(number, life) => self.discovered(number, life),
            Happening::Token(number, life) => self.token(number, life),
            Happening::Dialed(id, good) => self.dialed(id, good),
            Happening::Up(id, stream, piece) => self.up(id, stream, &piece),
            Happening::Down(id, stream, piece) => self.down(id, stream, &piece),
            Happening::OverForClient(id, code) => {
                if let Some(conn) = self.conns.get(&id) {
                    let (number, life, link) = (conn.device, conn.life, conn.link);
                    self.conns.remove(&id);
                    if self.devices[number].life == life {
                        let now_ms = self.now_ms + self.devices[number].skew_ms;
                        self.devices[number].core.link_ended(now_ms, link, code);
                        self.serve(number);
                    }
                }
            }
            Happening::OverForNode(id) => {
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.session = None;
                }
            }
            Happening::Turn => {
                for id in self.conns.keys().copied().collect::<Vec<_>>() {
                    self.turn(id);
                }
                self.after(TURN_MS, Happening::Turn);
            }
            Happening::Harm => self.harm(),
            Happening::NodeBack(node) => drop(self.nodes_down.insert(node, false)),
        }
    }

    fn act(&mut self, number: usize) {
        if !self.is_bad() {
            return;
        }
        let now_ms = self.now_ms;
        let device = &mut self.devices[number];
        device.act(&mut self.rng, &self.store, now_ms);
        if self.rng.below(4) == 0 {
            device.core.connect(now_ms + device.skew_ms);
        }
        self.serve(number);
        // Bursts, and pauses.
        let pause_ms = if self.rng.below(3) == 0 { self.rng.below(3_000) } else { self.rng.below(60) };
        self.after(1 + pause_ms, Happening::Act(number));
    }

    fn harm(&mut self) {
        if !self.is_bad() {
            return;
        }
        let now_ms = self.now_ms;
        let ids: Vec<u64> = self.conns.keys().copied().collect();
        let some = (!ids.is_empty()).then(|| ids[usize::try_from(self.rng.below(ids.len() as u64)).unwrap()]);
        match self.rng.below(10) {
            0 | 1 => {
                if let Some(id) = some {
                    self.cut(id);
                }
            }
            2 | 3 => {
                let until_ms = now_ms + 200 + self.rng.below(12_000);
                if let Some(conn) = some.and_then(|id| self.conns.get_mut(&id)) {
                    conn.stalled_until_ms = until_ms;
                }
            }
            4 => self.udp_blocked = !self.udp_blocked,
            5 => {
                // A node dies, with all that was on its way.
                let node = 1 + self.rng.below(NODES);
                self.nodes_down.insert(node, true);
                for id in ids {
                    if self.conns.get(&id).is_some_and(|conn| conn.node == node) {
                        self.cut(id);
                    }
                }
                let back_ms = 500 + self.rng.below(20_000);
                self.after(back_ms, Happening::NodeBack(node));
            }
            6 => {
                // A node drains.
                let node = 1 + self.rng.below(NODES);
                for id in ids {
                    let delay = u32::try_from(self.rng.below(3_000)).unwrap();
                    let conn = self.conns.get_mut(&id).filter(|conn| conn.node == node);
                    if let Some(session) = conn.and_then(|conn| conn.session.as_mut()).filter(|session| session.ready) {
                        session.go_away(delay);
                        self.moved += 1;
                        self.flush(id);
                    }
                }
            }
            7 => {
                let number = usize::try_from(self.rng.below(DEVICES as u64)).unwrap();
                self.devices[number].restart(&mut self.rng, now_ms);
                self.serve(number);
            }
            8 => {
                let (channel, user) = (ChannelId(1 + self.rng.below(CHANNELS)), UserId(1 + self.rng.below(3)));
                self.store.kick(now_ms, channel, user);
            }
            _ => {
                let (channel, user) = (ChannelId(1 + self.rng.below(CHANNELS)), UserId(1 + self.rng.below(3)));
                self.store.add(now_ms, channel, user);
            }
        }
        let pause_ms = 500 + self.rng.below(5_000);
        self.after(pause_ms, Happening::Harm);
    }

    /// A connection breaks: what is on its way is lost, in the middle of a frame or not. Who hears of it, hears of it
    /// late.
    fn cut(&mut self, id: u64) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.dead = true;
        let soon_ms = self.rng.below(2_000);
        if self.rng.below(2) == 0 {
            self.after(soon_ms, Happening::OverForClient(id, None));
        }
        let late_ms = self.rng.below(20_000);
        self.after(late_ms, Happening::OverForNode(id));
    }

    fn discovered(&mut self, number: usize, life: u32) {
        let device = &mut self.devices[number];
        if device.life != life {
            return;
        }
        let found = if self.rng.below(8) == 0 && self.now_ms < self.began_ms + BAD_MS {
            Err(Failure::later("no answer"))
        } else {
            // All nodes, in any order, whether they are there or not.
            let first = self.rng.below(NODES);
            let nodes = (0..NODES).map(|place| 1 + (first + place) % NODES);
            let links_of = |node: u64| {
                [Kind::WebTransport, Kind::Quic, Kind::WebSocket].map(|kind| Candidate {
                    node: u16::try_from(node).unwrap(),
                    kind,
                    url: node.to_string(),
                    certificate_hashes: Vec::new(),
                })
            };
            let candidates = nodes.flat_map(links_of).collect();
            Ok(candidates)
        };
        device.core.discovered(self.now_ms + device.skew_ms, found);
        self.serve(number);
    }

    fn token(&mut self, number: usize, life: u32) {
        let device = &mut self.devices[number];
        if device.life != life {
            return;
        }
        let good = self.rng.below(6) > 0 || self.now_ms >= self.began_ms + BAD_MS;
        let expires_at_ms = self.now_ms + 45_000 + self.rng.below(60_000);
        let access = token(device.user, device.device, expires_at_ms);
        let fresh = if good { Ok(Token { access, expires_at_ms }) } else { Err(Failure::later("no answer")) };
        device.core.token(self.now_ms + device.skew_ms, fresh);
        self.serve(number);
    }

    fn dialed(&mut self, id: u64, good: bool) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (number, life, link) = (conn.device, conn.life, conn.link);
        if good {
            conn.session = Some(Session::new(u16::try_from(conn.node).unwrap(), conn.kind == Kind::WebSocket));
        }
        if self.devices[number].life == life {
            let now_ms = self.now_ms + self.devices[number].skew_ms;
            if good {
                self.devices[number].core.dialed(now_ms, link);
            } else {
                self.conns.remove(&id);
                self.devices[number].core.link_ended(now_ms, link, None);
            }
            self.serve(number);
        }
    }

    fn up(&mut self, id: u64, stream: StreamId, piece: &Piece) {
        let (mood, now_ms) = (self.mood(), self.now_ms);
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.dead) else { return };
        let Some(session) = &mut conn.session else { return };
        let was_ready = session.ready;
        session.hear(&mut self.store, &mut self.rng, mood, now_ms, stream.0, piece);
        let (is_new, device) = (session.ready && !was_ready, session.device);
        if is_new {
            for (stream, piece) in session.early() {
                session.hear(&mut self.store, &mut self.rng, mood, now_ms, stream, &piece);
            }
        }
        if is_new {
            self.links += 1;
            // A newer link of the same device takes over.
            let same = |other: &Conn| other.session.as_ref().is_some_and(|other| other.ready && other.device == device);
            let older: Vec<u64> = self
                .conns
                .iter()
                .filter(|(other, conn)| **other != id && same(conn))
                .map(|(other, _)| *other)
                .collect();
            for older in older {
                if let Some(session) = self.conns.get_mut(&older).and_then(|conn| conn.session.as_mut()) {
                    session.close(CloseCode::REPLACED);
                }
                self.flush(older);
            }
        }
        self.flush(id);
    }

    fn turn(&mut self, id: u64) {
        let (mood, now_ms) = (self.mood(), self.now_ms);
        if let Some(session) = self.conns.get_mut(&id).and_then(|conn| conn.session.as_mut()) {
            session.turn(&self.store, &mut self.rng, mood, now_ms);
            self.flush(id);
        }
    }

    fn down(&mut self, id: u64, stream: StreamId, piece: &Piece) {
        let Some(conn) = self.conns.get(&id).filter(|conn| !conn.dead) else { return };
        let (number, life, link) = (conn.device, conn.life, conn.link);
        if self.devices[number].life == life {
            let now_ms = self.now_ms + self.devices[number].skew_ms;
            self.devices[number].core.received(now_ms, link, stream, piece);
            self.serve(number);
        }
    }

    /// Sends what a session has said.
    fn flush(&mut self, id: u64) {
        let Some(session) = self.conns.get_mut(&id).and_then(|conn| conn.session.as_mut()) else { return };
        let (out, closed) = (std::mem::take(&mut session.out), session.closed);
        for (stream, piece) in out {
            self.send(id, false, stream, piece);
        }
        if let Some(code) = closed {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.session = None;
            }
            let in_ms = 5 + self.rng.below(200);
            self.after(in_ms, Happening::OverForClient(id, Some(code)));
        }
    }

    /// Has a piece travel, cut anywhere, each part with a delay of its own.
    fn send(&mut self, id: u64, up: bool, stream: StreamId, piece: Piece) {
        let mut parts = Vec::new();
        match piece {
            Piece::Data(mut bytes) => {
                while !bytes.is_empty() {
                    let most = if self.rng.below(3) == 0 { 1 + self.rng.below(30) } else { 20_000 };
                    parts.push(Piece::Data(bytes.split_to(usize::try_from(most).unwrap().min(bytes.len()))));
                    if parts.len() > 4 {
                        parts.push(Piece::Data(std::mem::take(&mut bytes)));
                    }
                }
            }
            piece => parts.push(piece),
        }
        for part in parts {
            let bad = self.is_bad();
            let blocked = self.udp_blocked;
            let mut delay_ms = 3 + self.rng.below(60);
            if bad && self.rng.below(12) == 0 {
                // Lost, and sent again.
                delay_ms += 100 + self.rng.below(1_500);
            }
            let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.dead) else { return };
            if blocked && conn.kind.is_udp() {
                // It would arrive if UDP came back before the connection is given up.
                conn.stalled_until_ms = conn.stalled_until_ms.max(self.now_ms + 5_000);
            }
            let key = if conn.kind == Kind::WebSocket { (up, StreamId(0)) } else { (up, stream) };
            let last_ms = conn.last_ms.entry(key).or_insert(0);
            let at_ms = (self.now_ms.max(conn.stalled_until_ms) + delay_ms).max(*last_ms);
            *last_ms = at_ms;
            let happening = if up { Happening::Up(id, stream, part) } else { Happening::Down(id, stream, part) };
            self.at(at_ms, happening);
        }
    }

    /// Does for a device what a driver does.
    fn serve(&mut self, number: usize) {
        let now_ms = self.now_ms + self.devices[number].skew_ms;
        loop {
            let mut any = false;
            self.devices[number].core.tick(now_ms);
            while let Some(effect) = self.devices[number].core.poll_effect() {
                any = true;
                self.carry_out(number, effect);
            }
            let life = self.devices[number].life;
            let mine: Vec<(u64, LinkId)> = self
                .conns
                .iter()
                .filter(|(_, conn)| conn.device == number && conn.life == life)
                .map(|(id, conn)| (*id, conn.link))
                .collect();
            for (id, link) in mine {
                while let Some(transmit) = self.devices[number].core.poll_transmit(link, &mut |_| true) {
                    any = true;
                    self.send(id, true, transmit.stream, transmit.what);
                }
            }
            while let Some(event) = self.devices[number].core.poll_event() {
                any = true;
                self.devices[number].hear(&self.store, event);
            }
            if !any {
                break;
            }
        }
        let device = &self.devices[number];
        if let Some(next_ms) = device.core.timeout(self.now_ms + device.skew_ms) {
            assert!(next_ms > now_ms, "what is due is done, or a driver would spin: {:?}", device.core);
            let at_ms = next_ms.saturating_sub(device.skew_ms).max(self.now_ms + 1);
            if at_ms < self.ticks[number] || self.ticks[number] <= self.now_ms {
                self.ticks[number] = at_ms;
                self.at(at_ms, Happening::Tick(number));
            }
        }
    }

    fn carry_out(&mut self, number: usize, effect: Effect) {
        let life = self.devices[number].life;
        let delay_ms = 5 + self.rng.below(400);
        match effect {
            Effect::Discover => self.after(delay_ms, Happening::Discovered(number, life)),
            Effect::RefreshToken => self.after(delay_ms, Happening::Token(number, life)),
            Effect::Dial { link, candidate } => {
                let node: u64 = candidate.url.parse().unwrap();
                let id = self.next_conn;
                self.next_conn += 1;
                self.conns.insert(
                    id,
                    Conn {
                        device: number,
                        life,
                        link,
                        kind: candidate.kind,
                        node,
                        session: None,
                        dead: false,
                        stalled_until_ms: 0,
                        last_ms: BTreeMap::new(),
                    },
                );
                let blocked = self.udp_blocked && candidate.kind.is_udp();
                if self.nodes_down.get(&node).copied().unwrap_or(false) {
                    self.after(delay_ms, Happening::Dialed(id, false));
                } else if !blocked {
                    self.after(delay_ms, Happening::Dialed(id, true));
                }
            }
            Effect::Close { link, .. } => {
                let found = self
                    .conns
                    .iter_mut()
                    .find(|(_, conn)| conn.device == number && conn.life == life && conn.link == link);
                if let Some((id, conn)) = found {
                    conn.life = u32::MAX;
                    let id = *id;
                    self.after(delay_ms, Happening::OverForNode(id));
                    self.after(delay_ms + 30_000, Happening::OverForClient(id, None));
                }
            }
            _ => {}
        }
    }
}
