//! Those who are told later, as far as they are in memory: by lane, each with the time of its first.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::commit::Effect;
use super::intake::HeldPage;
use super::rows::{CHECK, HeldKey, HeldRow, Lane};

/// How many of one shard are in memory. More stay in the store until there is room.
pub(super) const HELD_MAX: usize = 50_000;

/// Of each lane the first ones are here: those that come after one that is only in the store are only there too.
pub(super) struct Held {
    rows: BTreeMap<HeldKey, HeldRow>,
    max: usize,
    /// When each lane's first is due; lanes that are being tried are not here.
    due_of: HashMap<Lane, u64>,
    due: [BTreeSet<(u64, Lane)>; 4],
    /// There are more in the store.
    pub(super) more: bool,
    /// Whether what was in the store in the beginning has been read.
    pub(super) is_known: bool,
    load: Option<Load>,
}

/// What happens while the store is read, of which the reading may see nothing.
#[derive(Default)]
struct Load {
    freed: HashSet<HeldKey>,
    held: BTreeMap<HeldKey, HeldRow>,
    /// There was more than could be kept in mind.
    missed: bool,
}

impl Held {
    /// Nothing has been read yet.
    pub(super) fn unread() -> Self {
        Self::with_room(HELD_MAX)
    }

    fn with_room(max: usize) -> Self {
        let (rows, due_of, due) = (BTreeMap::new(), HashMap::new(), Default::default());
        Self { rows, max, due_of, due, more: true, is_known: false, load: None }
    }

    /// Whether it is time to read what is in the store.
    pub(super) fn wants_more(&self) -> bool {
        self.more && self.load.is_none() && self.rows.len() <= self.max / 2
    }

    /// The store is going to be read; this is not in it yet.
    pub(super) fn begin_load<'a>(&mut self, unwritten: impl IntoIterator<Item = &'a Effect>) {
        let mut load = Load::default();
        for effect in unwritten {
            match effect {
                Effect::Hold(key, row) if !self.rows.contains_key(key) => load.hold(*key, row.clone(), self.max),
                Effect::Free(key) => load.free(*key),
                _ => {}
            }
        }
        self.load = Some(load);
    }

    /// The store has been read, up to there.
    pub(super) fn loaded(&mut self, page: HeldPage) {
        let Load { freed, held, missed } = self.load.take().unwrap_or_default();
        let found = page.rows.into_iter().filter(|(key, _)| !freed.contains(key));
        // What was held meanwhile comes after what is in the store, so only if that is here.
        let held = page.is_all.then_some(held).into_iter().flatten();
        let mut is_all = page.is_all;
        for (key, row) in found.chain(held) {
            if self.rows.contains_key(&key) {
                continue;
            }
            if self.is_full() {
                is_all = false;
                break;
            }
            self.put(key, row);
        }
        self.more = !is_all || missed;
        self.is_known = true;
    }

    /// The store could not be read.
    pub(super) fn load_failed(&mut self) {
        self.load = None;
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= self.max
    }

    /// Where something of a channel is held for a user, so that what comes after must be too.
    pub(super) fn lanes_of(&self, channel: ChannelId, user: UserId) -> Vec<Lane> {
        let lane = |what_for, device| Lane { channel, user, what_for, device: DeviceId(device) };
        let mut lanes = Vec::new();
        let mut from = HeldKey { lane: lane(CHECK + 1, 0), seq: Seq(0) };
        let to = HeldKey { lane: lane(u64::MAX, u64::MAX), seq: Seq(u64::MAX) };
        while let Some((key, _)) = self.rows.range(from..=to).next() {
            lanes.push(key.lane);
            let next = Lane { device: DeviceId(key.lane.device.0.saturating_add(1)), ..key.lane };
            from = HeldKey { lane: next, seq: Seq(0) };
        }
        lanes
    }

    pub(super) fn first(&self, lane: Lane) -> Option<(HeldKey, &HeldRow)> {
        let (from, to) = (HeldKey { lane, seq: Seq(0) }, HeldKey { lane, seq: Seq(u64::MAX) });
        self.rows.range(from..=to).next().map(|(key, row)| (*key, row))
    }

    /// The oldest time at which something happened that is not told yet.
    pub(super) fn oldest_at_ms(&self) -> Option<u64> {
        // Those that are due first are about the oldest; all would be too many to look at.
        let firsts = self.due.iter().filter_map(|due| due.first()).filter_map(|(_, lane)| self.first(*lane));
        firsts.map(|(_, row)| row.row.at_ms).min()
    }

    pub(super) fn insert(&mut self, key: HeldKey, row: HeldRow) {
        if self.rows.contains_key(&key) {
            return self.put(key, row);
        }
        if let Some(load) = &mut self.load {
            return load.hold(key, row, self.max);
        }
        self.more |= self.is_full();
        if !self.more {
            self.put(key, row);
        }
    }

    fn put(&mut self, key: HeldKey, row: HeldRow) {
        let due_ms = row.due_ms;
        self.rows.insert(key, row);
        if self.first(key.lane).is_some_and(|(first, _)| first == key) {
            self.schedule(key.lane, due_ms);
        }
    }

    /// It is done. The next of its lane is due at once.
    pub(super) fn remove(&mut self, key: HeldKey, now_ms: u64) {
        self.rows.remove(&key);
        if let Some(load) = &mut self.load {
            load.free(key);
        }
        self.unschedule(key.lane);
        if let Some(due_ms) = self.first(key.lane).map(|(_, row)| row.due_ms.min(now_ms)) {
            self.schedule(key.lane, due_ms);
        }
    }

    pub(super) fn schedule(&mut self, lane: Lane, due_ms: u64) {
        self.unschedule(lane);
        self.due_of.insert(lane, due_ms);
        if let Some(due) = self.due_mut(lane) {
            due.insert((due_ms, lane));
        }
    }

    fn unschedule(&mut self, lane: Lane) {
        if let Some(due_ms) = self.due_of.remove(&lane)
            && let Some(due) = self.due_mut(lane)
        {
            due.remove(&(due_ms, lane));
        }
    }

    /// Takes the first that is due. Its lane rests until it is scheduled again or the first is removed.
    pub(super) fn pop_due(&mut self, what_for: u64, now_ms: u64) -> Option<(HeldKey, HeldRow)> {
        let due = self.due.get(usize::try_from(what_for).ok()?)?;
        let (due_ms, lane) = *due.first()?;
        if due_ms > now_ms {
            return None;
        }
        self.unschedule(lane);
        self.first(lane).map(|(key, row)| (key, row.clone()))
    }

    pub(super) fn next_due_ms(&self, what_for: u64) -> Option<u64> {
        self.due.get(usize::try_from(what_for).ok()?)?.first().map(|(due_ms, _)| *due_ms)
    }

    /// Those about whom somebody is to ask again in this channel are asked about now, because something comes after.
    pub(super) fn hurry_checks(&mut self, channel: ChannelId, user: UserId) -> Vec<(HeldKey, HeldRow)> {
        let lane = Lane { channel, user, what_for: CHECK, device: DeviceId(0) };
        let (from, to) = (HeldKey { lane, seq: Seq(0) }, HeldKey { lane, seq: Seq(u64::MAX) });
        // One that is being tried already is ahead of what comes.
        if !self.due_of.contains_key(&lane) {
            return Vec::new();
        }
        self.unschedule(lane);
        self.rows.range(from..=to).map(|(key, row)| (*key, row.clone())).collect()
    }

    fn due_mut(&mut self, lane: Lane) -> Option<&mut BTreeSet<(u64, Lane)>> {
        self.due.get_mut(usize::try_from(lane.what_for).ok()?)
    }
}

impl Load {
    fn hold(&mut self, key: HeldKey, row: HeldRow, max: usize) {
        self.missed |= self.held.len() >= max;
        self.freed.remove(&key);
        if !self.missed {
            self.held.insert(key, row);
        }
    }

    fn free(&mut self, key: HeldKey) {
        self.held.remove(&key);
        self.freed.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::outbox::OutboxRow;

    fn at(user: u64, seq: u64) -> (HeldKey, HeldRow) {
        let lane = Lane { channel: ChannelId(1), user: UserId(user), what_for: 1, device: DeviceId(user) };
        let row = OutboxRow::message(lane.channel, (Seq(seq), 0), UserId(9));
        (HeldKey { lane, seq: Seq(seq) }, HeldRow { row, due_ms: seq, failures: 0, why: String::new() })
    }

    fn page(rows: &[(HeldKey, HeldRow)], is_all: bool) -> HeldPage {
        HeldPage { rows: rows.to_vec(), bad: Vec::new(), is_all }
    }

    /// All that are due, in their order; each is done.
    fn drain(held: &mut Held) -> Vec<(u64, u64)> {
        let mut done = Vec::new();
        while let Some((key, _)) = held.pop_due(1, u64::MAX) {
            done.push((key.lane.user.0, key.seq.0));
            held.remove(key, 0);
        }
        done
    }

    fn known(max: usize, rows: &[(HeldKey, HeldRow)]) -> Held {
        let mut held = Held::with_room(max);
        held.begin_load([]);
        held.loaded(page(rows, true));
        assert!(held.is_known);
        held
    }

    #[test]
    fn what_happens_while_the_store_is_read_counts() {
        let [done, again, before, meanwhile] = [at(1, 1), at(2, 1), at(3, 1), at(4, 1)];
        let mut held = known(4, &[done.clone(), again.clone()]);
        held.more = true;
        assert!(held.wants_more());
        let unwritten = [Effect::Hold(before.0, before.1)];
        held.begin_load(&unwritten);
        assert!(!held.wants_more());
        held.pop_due(1, u64::MAX).unwrap();
        held.remove(done.0, 0);
        held.insert(again.0, HeldRow { failures: 1, ..again.1.clone() });
        held.insert(meanwhile.0, meanwhile.1);
        // As it was when the reading began.
        held.loaded(page(&[done, again.clone()], true));
        assert!(!held.more);
        assert_eq!(held.first(again.0.lane).unwrap().1.failures, 1);
        assert_eq!(drain(&mut held), [(2, 1), (3, 1), (4, 1)]);
    }

    #[test]
    fn a_lane_stays_in_order_where_there_is_no_room_for_it() {
        let rows: Vec<_> = (1..=6).map(|seq| at(1, seq)).collect();
        let mut held = known(4, &rows[..4]);
        assert!(!held.more);
        for (key, row) in &rows[4..5] {
            held.insert(*key, row.clone());
        }
        assert!(held.more);
        for seq in 1..=3 {
            let (key, _) = held.pop_due(1, u64::MAX).unwrap();
            assert_eq!(key.seq, Seq(seq));
            held.remove(key, 0);
        }
        // There is room again, and the fifth is not here yet.
        held.insert(rows[5].0, rows[5].1.clone());
        assert_eq!(held.len(), 1);
        held.begin_load([]);
        held.loaded(page(&rows[3..], true));
        assert_eq!(drain(&mut held), [(1, 4), (1, 5), (1, 6)]);
        assert!(!held.more);
    }

    #[test]
    fn what_finds_no_room_is_read_another_time() {
        let rows: Vec<_> = (1..=3).map(|user| at(user, 1)).collect();
        let mut held = Held::with_room(2);
        held.begin_load([]);
        held.insert(rows[2].0, rows[2].1.clone());
        held.loaded(page(&rows[..2], true));
        assert!(held.more && !held.wants_more());
        assert_eq!(drain(&mut held), [(1, 1), (2, 1)]);
        assert!(held.wants_more());
        held.begin_load([]);
        held.load_failed();
        assert!(held.wants_more());
        held.begin_load([]);
        held.loaded(page(&rows[2..], true));
        assert_eq!(drain(&mut held), [(3, 1)]);
        assert!(!held.more);
    }
}
