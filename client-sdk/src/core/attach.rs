//! Live views of channels: which, on which stream, from where; and what comes on them.

use std::cmp::Reverse;

use suda_schema::channel::{Attached, ChannelDown, ChannelUp, Entries, Marks, MemberMarks};
use suda_schema::codec::Decoded;
use suda_schema::control::{ChannelMark, Closing, ControlUp};
use suda_schema::error::Retry;
use suda_schema::open::{Attach, Open, Start};
use suda_schema::{ChannelId, CloseCode, Seq};

use super::Core;
use super::channel::{Att, Channel};
use super::config::{EARLY_ATTACHMENTS_MAX, MARKS_MAX};
use super::io::{Event, LinkId, StreamId};
use super::link::Phase;

/// How many streams a link may have that are about to end, beside those of its attachments.
const STREAMS_SPARE: usize = 2;
/// The bound of the first wait after an attachment was refused; each further one doubles it.
const RETRY_FIRST_MS: u64 = 250;
/// The bound of every such wait.
const RETRY_CAP_MS: u64 = 30_000;
/// How long what was delivered may wait to be said.
const DELIVERED_WITHIN_MS: u64 = 1_000;

/// Who is attached first: by what for (something to send, being looked at, nothing); those that have something to come; those
/// that stand, so that they get it before others take their turn; those that were looked at last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u8, bool, bool, Reverse<u64>);

impl Core {
    pub(super) fn channels_due(&mut self, now_ms: u64) {
        if self.choose || self.attach_at(now_ms).is_some_and(|at_ms| at_ms <= now_ms) {
            self.choose = false;
            self.choose_attached(now_ms);
        }
        for channel in self.busy.iter().copied().collect::<Vec<_>>() {
            self.pump(now_ms, channel);
        }
        self.ask_presence();
    }

    pub(super) fn channels_next(&self, now_ms: u64) -> Option<u64> {
        let of = |state: &Channel| {
            let live = matches!(state.att, Att::Live { .. }) && !state.leaving && self.connection.current.is_some();
            state.typing.values().copied().chain(state.delivered_due_ms.filter(|_| live)).min()
        };
        let channels = self.busy.iter().filter_map(|id| of(self.channels.get(id)?)).min();
        [channels, self.attach_at(now_ms), self.outbox.next_at(now_ms)].into_iter().flatten().min()
    }

    /// When something is to be attached that had to wait.
    fn attach_at(&self, now_ms: u64) -> Option<u64> {
        self.connection.carrier()?;
        let waits = |id: &ChannelId| {
            let state = self.channels.get(id)?;
            let wanted = state.att == Att::Idle && self.is_wanted(*id, state) && state.retry_at_ms > 0;
            wanted.then_some(state.retry_at_ms.max(now_ms))
        };
        self.busy.iter().filter_map(waits).min()
    }

    fn is_wanted(&self, id: ChannelId, state: &Channel) -> bool {
        // Whether a send is refused, the node says, whatever is thought here.
        self.outbox.is_waiting(id) || !state.gone && (state.opened > 0 || !state.history.is_empty())
    }

    fn attachments_max(&self) -> usize {
        let allowed = match self.connection.current {
            Some(_) => self.session.attachments_max.unwrap_or(EARLY_ATTACHMENTS_MAX),
            None => EARLY_ATTACHMENTS_MAX,
        };
        allowed.min(self.config.attachments_max).max(1)
    }

    /// Attaches those that are wanted most, and leaves those that are wanted least.
    fn choose_attached(&mut self, now_ms: u64) {
        if self.connection.carrier().is_none() {
            return;
        }
        let most = self.attachments_max();
        let mut ranked: Vec<(Rank, ChannelId)> = Vec::new();
        for id in &self.busy {
            let Some(state) = self.channels.get(id) else { continue };
            let class = match self.is_wanted(*id, state) {
                true if self.outbox.is_waiting(*id) || !state.history.is_empty() => 0,
                true => 1,
                false if state.att != Att::Idle => 2,
                false => continue,
            };
            let is_idle = state.att == Att::Idle;
            ranked.push((Rank(class, !state.is_behind(), is_idle, Reverse(state.looked_ms)), *id));
        }
        // Whoever has waited long enough waits for nothing but a place.
        for (_, id) in &ranked {
            if let Some(state) = self.channels.get_mut(id).filter(|state| state.retry_at_ms <= now_ms) {
                state.retry_at_ms = 0;
            }
        }
        ranked.sort_unstable();
        let (kept, left) = ranked.split_at(most.min(ranked.len()));
        for (_, id) in left {
            self.detach(*id);
        }
        let stands = |id: &ChannelId| self.channels.get(id).is_some_and(|state| state.att != Att::Idle);
        let mut standing = self.busy.iter().filter(|id| stands(id)).count();
        for (Rank(class, ..), id) in kept {
            let due = |state: &Channel| state.att == Att::Idle && state.retry_at_ms == 0;
            // One that is being left takes its place until it is over.
            if *class < 2 && standing < most && self.channels.get(id).is_some_and(due) {
                self.attach(*id, most);
                standing += 1;
            }
        }
    }

    fn attach(&mut self, id: ChannelId, most: usize) {
        self.load(id);
        let Some(state) = self.channels.get_mut(&id) else { return };
        let Some((link_id, link)) = self.connection.carrier_mut() else { return };
        if state.att != Att::Idle {
            return;
        }
        if link.open_streams() >= most + STREAMS_SPARE {
            // One that is about to end makes room.
            self.choose = true;
            return;
        }
        let from = state.log.as_ref().map_or(Start::Tail(self.config.tail), |log| Start::After(log.cursor()));
        let stream = link.open(id);
        link.write(stream, &Open::Attach(Attach { channel: id, from }));
        state.att = Att::Opening(link_id, stream);
        state.retry_at_ms = 0;
        state.read_sent = false;
    }

    /// Leaves a channel. What the node says until it has heard of it still counts: it will not say it again.
    fn detach(&mut self, id: ChannelId) {
        let Some(state) = self.channels.get_mut(&id) else { return };
        if let Some((link, stream)) = state.att.stream()
            && let Some(link) = self.connection.links.get_mut(&link)
        {
            state.leaving = true;
            link.leave(stream);
        }
    }

    /// What was on its way on an attachment is on its way no more.
    fn loosen(&mut self, id: ChannelId) {
        if let Some(state) = self.channels.get_mut(&id) {
            state.att = Att::Idle;
            state.leaving = false;
            state.history.iter_mut().for_each(|ask| ask.sent = false);
            state.read_sent = false;
        }
        self.outbox.unsent(id);
        self.choose = true;
    }

    /// The link is gone with all that was on it.
    pub(super) fn detach_all(&mut self) {
        for id in self.busy.iter().copied().collect::<Vec<_>>() {
            if let Some(state) = self.channels.get_mut(&id) {
                state.retry_at_ms = 0;
            }
            self.loosen(id);
        }
    }

    /// An attachment ended, and not by our will: when to come back.
    fn attachment_lost(&mut self, now_ms: u64, id: ChannelId, retry_after_ms: u64) {
        let was_leaving = self.channels.get(&id).is_some_and(|state| state.leaving);
        self.loosen(id);
        let Some(state) = self.channels.get_mut(&id) else { return };
        if was_leaving {
            return;
        }
        let bound_ms = RETRY_FIRST_MS.saturating_mul(1 << state.failures.min(10)).min(RETRY_CAP_MS);
        state.failures = state.failures.saturating_add(1);
        let wait_ms = retry_after_ms.saturating_add(self.rng.below(bound_ms));
        state.retry_at_ms = now_ms.saturating_add(wait_ms).max(1);
    }

    /// The node has ended a stream.
    pub(super) fn stream_ended(&mut self, now_ms: u64, link: LinkId, stream: StreamId) {
        let owner = self.connection.links.get_mut(&link).and_then(|link| link.ended_there(stream));
        let Some(id) = owner else {
            self.choose = true;
            return;
        };
        if self.channels.get(&id).is_some_and(|state| state.att.stream() == Some((link, stream))) {
            self.attachment_lost(now_ms, id, 0);
        }
    }

    pub(super) fn channel_bytes(&mut self, now_ms: u64, link: LinkId, stream: StreamId, id: ChannelId) {
        loop {
            let is_its = self.channels.get(&id).is_some_and(|state| state.att.stream() == Some((link, stream)));
            let Some(state) = self.connection.links.get_mut(&link).filter(|_| is_its) else { return };
            let Some((_, reader)) = state.reader(stream) else { return };
            match reader.take::<ChannelDown>() {
                Ok(Some(Decoded::Frame(frame))) => self.channel_frame(now_ms, id, frame),
                Ok(Some(Decoded::Unknown)) => {}
                Ok(None) => return,
                Err(_) => return self.nonsense(now_ms, id),
            }
        }
    }

    /// What came on an attachment can't be: it begins anew from what is known.
    fn nonsense(&mut self, now_ms: u64, id: ChannelId) {
        let att = self.channels.get(&id).map_or(Att::Idle, |state| state.att);
        if let Some((link, stream)) = att.stream()
            && let Some(link) = self.connection.links.get_mut(&link)
        {
            link.reset(stream, CloseCode::PROTOCOL_ERROR);
        }
        self.attachment_lost(now_ms, id, 0);
    }

    fn channel_frame(&mut self, now_ms: u64, id: ChannelId, frame: ChannelDown) {
        match frame {
            ChannelDown::Attached(attached) => self.attached(now_ms, id, attached),
            ChannelDown::Entries(entries) => self.entries_came(now_ms, id, entries),
            ChannelDown::Ack(ack) => self.acked(now_ms, id, ack),
            ChannelDown::Refused(refused) => self.refused(now_ms, id, refused),
            ChannelDown::Marks(MemberMarks { members }) => {
                if let Some(state) = self.channels.get_mut(&id) {
                    for mark in members {
                        if state.marks.len() < MARKS_MAX || state.marks.contains_key(&mark.user) {
                            state.marks.insert(mark.user, mark);
                        }
                    }
                    self.events.push(Event::Channel(id));
                }
            }
            ChannelDown::Typing(typing) => self.typing_came(now_ms, typing),
            ChannelDown::History(page) => self.history_came(now_ms, id, page),
            ChannelDown::HistoryFailed(failed) => self.history_failed(id, failed),
            ChannelDown::Closed(closing) => self.closed(now_ms, id, &closing),
        }
    }

    fn attached(&mut self, now_ms: u64, id: ChannelId, attached: Attached) {
        let Attached { channel: summary, after } = attached;
        let head = summary.head;
        let Some(state) = self.channels.get_mut(&id) else { return };
        let Att::Opening(link, stream) = state.att else { return self.nonsense(now_ms, id) };
        state.att = Att::Live { link, stream, at: after, head };
        state.failures = 0;
        state.marks.clear();
        let cursor = state.log.as_ref().map(super::log::ChannelLog::cursor);
        // The first time, or what was held is of no use: what comes begins a new stretch.
        if cursor.is_none_or(|cursor| cursor < after) {
            state.begin_log(after);
            let forgotten = self.storage.forget(id);
            self.kept(forgotten);
        }
        self.summary(summary);
        self.choose |= self.busy.len() > self.attachments_max();
        self.events.push(Event::Channel(id));
        self.events.push(Event::ChannelList);
        self.state_changed(now_ms);
    }

    fn entries_came(&mut self, now_ms: u64, id: ChannelId, entries: Entries) {
        let me = self.me;
        let Some(state) = self.channels.get_mut(&id) else { return };
        let Att::Live { at, head, .. } = &mut state.att else { return self.nonsense(now_ms, id) };
        let (mut fresh, mut gap) = (Vec::new(), false);
        for entry in entries.entries {
            if entry.seq != at.next() {
                gap = true;
                break;
            }
            *at = entry.seq;
            let Some(log) = &mut state.log else { break };
            // What another link has brought already.
            if entry.seq < log.next() {
                continue;
            }
            if log.append(entry.clone(), *head).is_err() {
                gap = true;
                break;
            }
            fresh.push(entry);
        }
        let most = self.config.entries_cached_max.saturating_add(state.room);
        let mut cursor = Seq::ZERO;
        if let Some(log) = &mut state.log {
            log.trim(most);
            cursor = log.cursor();
        }
        for entry in &fresh {
            state.take_note(entry, me);
        }
        if state.unread_unsure {
            state.count_unread(me);
        }
        if fresh.iter().any(|entry| entry.by != me) && self.config.delivered_marks {
            state.delivered_due_ms.get_or_insert(now_ms.saturating_add(DELIVERED_WITHIN_MS));
        }
        if !fresh.is_empty() {
            let put = self.storage.put_entries(id, &fresh);
            self.kept(put);
            for entry in fresh.iter().filter(|entry| entry.by == me) {
                self.own_entry_came(now_ms, id, entry);
            }
            self.shown_until(id, cursor);
            // Others that are looked at may be waiting for their turn.
            self.choose |= self.busy.len() > self.attachments_max();
            self.events.push(Event::Channel(id));
            self.events.push(Event::ChannelList);
            self.state_changed(now_ms);
        }
        if gap {
            self.nonsense(now_ms, id);
        }
    }

    fn closed(&mut self, now_ms: u64, id: ChannelId, closing: &Closing) {
        let Some(state) = self.channels.get_mut(&id) else { return };
        if let Some((link, stream)) = state.att.stream()
            && let Some(link) = self.connection.links.get_mut(&link)
        {
            link.finish(stream);
        }
        let retry_after_ms = closing.retry_after_ms.unwrap_or(0);
        match closing.code {
            CloseCode::REMOVED | CloseCode::CHANNEL_GONE => {
                self.gone(now_ms, id, closing.code);
                // It may be about an earlier membership than the one there is now: the list knows.
                self.want_list();
            }
            CloseCode::CURSOR_AHEAD => {
                // Not the log that was known here.
                state.unload();
                state.loaded = true;
                let forgotten = self.storage.forget(id);
                self.kept(forgotten);
                self.attachment_lost(now_ms, id, 0);
            }
            CloseCode::TOO_MANY_ATTACHMENTS => {
                let stands = |other: &&ChannelId| {
                    **other != id && self.channels.get(other).is_some_and(|other| other.att != Att::Idle)
                };
                let fewer = self.busy.iter().filter(stands).count().max(1);
                self.session.attachments_max = Some(self.attachments_max().min(fewer));
                self.attachment_lost(now_ms, id, retry_after_ms);
            }
            code if code.retry() == Retry::Never => self.attachment_lost(now_ms, id, RETRY_CAP_MS),
            _ => self.attachment_lost(now_ms, id, retry_after_ms),
        }
    }

    /// Does what is due in one channel.
    fn pump(&mut self, now_ms: u64, id: ChannelId) {
        let Some(state) = self.channels.get_mut(&id) else {
            self.busy.remove(&id);
            return;
        };
        let before = state.typing.len();
        state.typing.retain(|_, until_ms| *until_ms > now_ms);
        if state.typing.len() != before {
            self.events.push(Event::Channel(id));
        }
        match state.att {
            Att::Live { .. } if !state.leaving => self.pump_live(now_ms, id),
            Att::Opening(..) if !state.leaving => self.pump_sends(now_ms, id),
            _ => self.pump_read_mark(id),
        }
        let rests = self.channels.get(&id).is_none_or(Channel::rests);
        if rests && !self.outbox.is_waiting(id) {
            self.busy.remove(&id);
        }
    }

    fn pump_live(&mut self, now_ms: u64, id: ChannelId) {
        let Some(state) = self.channels.get_mut(&id) else { return };
        let Some((link, stream)) = state.att.stream() else { return };
        let Some(link) = self.connection.links.get_mut(&link).filter(|link| link.phase == Phase::Live) else { return };
        let mut marks = Marks::default();
        if state.delivered_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            state.delivered_due_ms = None;
            marks.delivered = state.log.as_ref().map(super::log::ChannelLog::cursor);
        }
        if !std::mem::replace(&mut state.read_sent, true) {
            marks.read = state.read_wanted;
        }
        if marks != Marks::default() {
            link.write(stream, &ChannelUp::Mark(marks));
        }
        for ask in state.history.iter_mut().filter(|ask| !ask.sent) {
            ask.sent = true;
            link.write(stream, &ChannelUp::History(ask.query.clone()));
        }
        self.pump_sends(now_ms, id);
    }

    /// Without an attachment, what was read is said on the control stream.
    fn pump_read_mark(&mut self, id: ChannelId) {
        let Some(state) = self.channels.get_mut(&id) else { return };
        let Some(link) = self.connection.current_mut() else { return };
        if let Some(read) = state.read_wanted.filter(|_| !state.read_sent) {
            state.read_sent = true;
            let marks = Marks { read: Some(read), delivered: None };
            link.write(StreamId::CONTROL, &ControlUp::Mark(ChannelMark { channel: id, marks }));
        }
    }
}
