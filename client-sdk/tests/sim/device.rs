//! An app on a device: what it does, and what it checks of what it is told.

use std::collections::{BTreeMap, BTreeSet};

use suda_client::core::Core;
use suda_client::core::config::Config;
use suda_client::core::io::{Event, Outcome, Token};
use suda_client::core::rng::Rng;
use suda_client::core::timeline::{Item, Update};
use suda_client::schema::channel::{NewEdit, NewMessage, Op};
use suda_client::schema::entry::{Body, Delete, Entry, React, What};
use suda_client::schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId};

use super::keep::Keep;
use super::server::{Store, token};

pub(crate) struct Device {
    pub(crate) core: Core,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    /// Its clock minus the server's.
    pub(crate) skew_ms: u64,
    keep: Keep,
    pub(crate) opened: BTreeSet<ChannelId>,
    /// What was sent, in order, and what became of it.
    pub(crate) sent: BTreeMap<ChannelId, Vec<(ClientMsgId, Option<Outcome>)>>,
    /// How far each log has been checked.
    checked: BTreeMap<ChannelId, Seq>,
    /// What a screen would show.
    pub(crate) shown: BTreeMap<ChannelId, (Option<u64>, Vec<Item>)>,
    /// Links of the app that runs now are told from those of earlier ones.
    pub(crate) life: u32,
}

fn start(keep: &Keep, rng: &mut Rng, user: UserId, device: DeviceId, now_ms: u64, skew_ms: u64) -> Core {
    let mut config = Config::default();
    config.tail = 8;
    config.entries_cached_max = 400;
    config.logs_cached_max = 1;
    let there = Token { access: token(user, device, now_ms + 60_000), expires_at_ms: now_ms + 60_000 };
    let mut core = Core::new(config, Box::new(keep.clone()), Token::default(), rng.next_u64(), now_ms + skew_ms);
    core.log_in(now_ms + skew_ms, user, device, there);
    core
}

impl Device {
    pub(crate) fn new(rng: &mut Rng, user: UserId, device: DeviceId, now_ms: u64) -> Self {
        let (keep, skew_ms) = (Keep::default(), rng.below(7_200_000));
        Self {
            core: start(&keep, rng, user, device, now_ms, skew_ms),
            user,
            device,
            skew_ms,
            keep,
            opened: BTreeSet::new(),
            sent: BTreeMap::new(),
            checked: BTreeMap::new(),
            shown: BTreeMap::new(),
            life: 0,
        }
    }

    /// The app dies, without a word, and starts again.
    pub(crate) fn restart(&mut self, rng: &mut Rng, now_ms: u64) {
        self.core = start(&self.keep, rng, self.user, self.device, now_ms, self.skew_ms);
        self.checked.clear();
        self.shown.clear();
        self.life += 1;
        for channel in self.opened.clone() {
            self.core.open(now_ms + self.skew_ms, channel);
        }
    }

    /// The user does something.
    pub(crate) fn act(&mut self, rng: &mut Rng, store: &Store, now_ms: u64) {
        let now_ms = now_ms + self.skew_ms;
        let count = store.channels.len() as u64;
        let channel = *store.channels.keys().nth(usize::try_from(rng.below(count)).unwrap()).unwrap();
        match rng.below(100) {
            0..60 => {
                let op = self.op(rng, channel);
                if let Ok(id) = self.core.send(now_ms, channel, op) {
                    self.sent.entry(channel).or_default().push((id, None));
                }
            }
            60..72 => {
                if self.opened.insert(channel) {
                    self.core.open(now_ms, channel);
                }
            }
            72..80 => {
                if self.opened.remove(&channel) {
                    self.core.close(now_ms, channel);
                }
            }
            80..90 => {
                if let Some(head) = self.core.log(channel).map(|log| log.cursor()) {
                    self.core.mark_read(now_ms, channel, head);
                }
            }
            90..97 => {
                self.core.page_back(now_ms, channel, 7);
            }
            97 => self.core.network_changed(now_ms),
            98 => self.core.disconnect(now_ms),
            _ => self.core.set_typing(now_ms, channel, true),
        }
    }

    fn op(&mut self, rng: &mut Rng, channel: ChannelId) -> Op {
        let text = |rng: &mut Rng| {
            let long = if rng.below(50) == 0 { 40_000 } else { rng.below(40) };
            Body::Text("x".repeat(usize::try_from(long).unwrap()) + &rng.below(1_000_000).to_string())
        };
        let head = self.core.log(channel).map_or(0, |log| log.cursor().0);
        let target = Seq(head.saturating_sub(rng.below(12)));
        match rng.below(10) {
            6 if head > 0 => Op::Edit(NewEdit { target, body: text(rng), mentions: Vec::new() }),
            7 if head > 0 && rng.below(2) == 0 => Op::Delete(Delete { target }),
            8 | 9 if head > 0 => {
                let emoji = ["a", "b"][usize::try_from(rng.below(2)).unwrap()].to_owned();
                Op::React(React { target, emoji, on: rng.below(3) > 0 })
            }
            _ => Op::Message(NewMessage { body: text(rng), reply_to: None, mentions: vec![], attachments: vec![] }),
        }
    }

    pub(crate) fn hear(&mut self, store: &Store, event: Event) {
        match event {
            Event::Channel(channel) => {
                self.check_log(store, channel);
                self.refresh_screen(channel);
            }
            Event::ChannelGone(channel) => {
                self.checked.remove(&channel);
                self.shown.remove(&channel);
            }
            Event::Sent { channel, id, outcome } => {
                if let Outcome::Acknowledged { seq, .. } = &outcome {
                    let there = store.channels[&channel].ids.get(&(self.user, id));
                    assert_eq!(there, Some(seq), "acknowledged, and not there");
                }
                let sent = self.sent.get_mut(&channel).into_iter().flatten().find(|(other, _)| *other == id);
                let (_, known) = sent.expect("something that was sent");
                assert_eq!(known.replace(outcome), None, "an outcome is told once");
            }
            Event::StorageFailed(error) => panic!("{error}"),
            _ => {}
        }
    }

    /// What is known of a log is a stretch of it without a gap, and only ever grows at its end.
    fn check_log(&mut self, store: &Store, channel: ChannelId) {
        let Some(log) = self.core.log(channel) else {
            self.checked.remove(&channel);
            return;
        };
        let truth = &store.channels[&channel].raw;
        let from = self.checked.get(&channel).copied().unwrap_or_default().max(Seq(log.first().0 - 1));
        assert!(log.cursor() >= from || log.is_empty(), "a log went back");
        for entry in log.after(from).into_iter().flatten() {
            let true_one = &truth[usize::try_from(entry.seq.0 - 1).unwrap()];
            let key = |entry: &Entry| (entry.seq, entry.by, entry.client_msg_id, entry.at_ms);
            assert_eq!(key(entry), key(true_one));
        }
        self.checked.insert(channel, log.cursor());
    }

    fn refresh_screen(&mut self, channel: ChannelId) {
        let (version, shown) = self.shown.entry(channel).or_default();
        let Some((now, update)) = self.core.timeline(channel, *version) else {
            self.shown.remove(&channel);
            return;
        };
        *version = Some(now);
        update.apply(shown);
    }

    /// Everything has arrived, and is shown as it is.
    pub(crate) fn check_end(&mut self, store: &Store) {
        assert_eq!(self.core.outbox_len(), 0, "the outbox is not empty: {:?}", self.core.status());
        for (channel, sent) in &self.sent {
            let log = &store.channels[channel];
            let mut last = Seq::ZERO;
            for (id, outcome) in sent {
                let seq = log.ids.get(&(self.user, *id)).copied();
                match outcome {
                    Some(Outcome::Acknowledged { seq: acked, .. }) => assert_eq!(seq, Some(*acked)),
                    Some(Outcome::Refused(_)) => {}
                    None => panic!("{id} was never answered"),
                }
                if let Some(seq) = seq {
                    assert!(seq > last, "sends in another order: {seq} after {last}");
                    last = seq;
                }
            }
        }
        for channel in self.opened.clone() {
            let truth = &store.channels[&channel];
            if !truth.members.contains(&self.user) {
                assert!(self.core.is_gone(channel) || self.core.log(channel).is_none());
                continue;
            }
            let log = self.core.log(channel).expect("an open channel is known");
            assert_eq!(log.cursor(), truth.head(), "everything has come");
            for entry in log.entries() {
                let wanted = &truth.now[usize::try_from(entry.seq.0 - 1).unwrap()];
                if let (What::Message(have), What::Message(want)) = (&entry.what, &wanted.what) {
                    let (mut have, mut want) = (have.clone(), want.clone());
                    for message in [&mut have, &mut want] {
                        if matches!(message.body, Body::Erased(_)) {
                            // Whether it was ever edited, nobody needs to know any more.
                            message.edited = None;
                        }
                        message.reactions.sort_by(|a, b| a.emoji.cmp(&b.emoji));
                        message.reactions.iter_mut().for_each(|reaction| reaction.users.sort_unstable());
                    }
                    assert_eq!(have, want, "{} of {channel} on {}", entry.seq, self.device);
                }
            }
            let summary = self.core.channel(channel).expect("a channel of the list");
            let read = truth.read.get(&self.user).copied().unwrap_or_default();
            assert_eq!((summary.head, summary.read), (truth.head(), read), "{channel}");
            assert_eq!(summary.unread, truth.unread(self.user), "{channel}: unread");
            // A screen that was kept up to date shows what a new one does.
            self.refresh_screen(channel);
            let (_, whole): (u64, Update) = self.core.timeline(channel, None).expect("an open channel");
            let first = whole.items.first().and_then(|item| item.seq);
            let shown = &self.shown[&channel].1;
            let shown: Vec<&Item> = shown.iter().filter(|item| item.seq.is_none() || item.seq >= first).collect();
            for (shown, wanted) in shown.iter().zip(&whole.items) {
                assert_eq!(*shown, wanted, "{channel}: the screen");
            }
            assert_eq!(shown.len(), whole.items.len(), "{channel}: the screen");
        }
    }
}
