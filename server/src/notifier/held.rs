//! Those who are told later, as far as they are in memory: by lane, each with the time of its first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::rows::{CHECK, HeldKey, HeldRow, Lane};

/// How many of one shard are in memory. More stay in the store until there is room.
pub(super) const HELD_MAX: usize = 50_000;

#[derive(Default)]
pub(super) struct Held {
    rows: BTreeMap<HeldKey, HeldRow>,
    /// When each lane's first is due; lanes that are being tried are not here.
    due_of: HashMap<Lane, u64>,
    due: [BTreeSet<(u64, Lane)>; 4],
    /// There are more in the store.
    pub(super) more: bool,
}

impl Held {
    /// Nothing has been read yet.
    pub(super) fn unread() -> Self {
        Self { more: true, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= HELD_MAX
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
        if self.is_full() && !self.rows.contains_key(&key) {
            self.more = true;
            return;
        }
        let due_ms = row.due_ms;
        self.rows.insert(key, row);
        if self.first(key.lane).is_some_and(|(first, _)| first == key) {
            self.schedule(key.lane, due_ms);
        }
    }

    /// It is done. The next of its lane is due at once.
    pub(super) fn remove(&mut self, key: HeldKey, now_ms: u64) {
        self.rows.remove(&key);
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
