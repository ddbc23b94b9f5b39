//! The control stream: hello and welcome, the heartbeat, the user's own log, the list of channels.

use suda_schema::channel::DatagramDown;
use suda_schema::codec::{Decoded, binary};
use suda_schema::control::{
    Closing, ControlDown, ControlUp, Hints, Ping, SetActivity, Sync, SyncCursor, SyncPage, UserEntries, Welcome,
};
use suda_schema::error::Retry;
use suda_schema::event::UserEvent;
use suda_schema::limits::SYNC_PAGE_MAX;
use suda_schema::open::Activity;
use suda_schema::{ChannelId, CloseCode, WireError};

use super::Core;
use super::io::{Event, LinkId, Piece, StreamId};
use super::link::Phase;

/// How far back from the time at which the list was last known to be right it is looked through again: the clocks of
/// nodes differ.
const LIST_MARGIN_MS: u64 = 60_000;
/// How long to wait with a page of the list after it failed.
const LIST_RETRY_MS: u64 = 2_000;
/// How many channels are asked for when something about the newest is to be learned.
const LIST_TOP: u16 = 20;

/// What is known of the session that stands, or stood last.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) node: u16,
    pub(super) heartbeat_ms: u64,
    dead_after_ms: u64,
    pub(super) attachments_max: Option<usize>,
    /// The node's clock minus this device's.
    clock_ms: Option<i64>,
    list: List,
}

/// Getting the list of channels.
#[derive(Debug, Default)]
struct List {
    /// The request that is under way, and where its page begins.
    asked: Option<(u32, Option<SyncCursor>)>,
    /// The next page to ask for: from where.
    wanted: Option<Option<SyncCursor>>,
    /// Not before.
    at_ms: u64,
    /// The newest channels are wanted once more.
    top: bool,
}

impl Session {
    pub(super) fn server_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add_signed(self.clock_ms.unwrap_or(0))
    }

    pub(super) fn knows_clock(&self) -> bool {
        self.clock_ms.is_some()
    }

    fn hear_clock(&mut self, now_ms: u64, server_ms: u64) {
        self.clock_ms = i64::try_from(i128::from(server_ms) - i128::from(now_ms)).ok();
    }
}

impl Core {
    /// Something was said on a stream of a link.
    pub fn received(&mut self, now_ms: u64, link: LinkId, stream: StreamId, piece: &Piece) {
        let Some(state) = self.connection.links.get_mut(&link) else { return };
        if state.phase == Phase::Dialing {
            return;
        }
        state.heard(now_ms);
        let is_current = self.connection.current == Some(link);
        if is_current {
            self.stalled(now_ms, false);
        }
        match piece {
            Piece::Data(bytes) => self.bytes(now_ms, link, stream, bytes),
            Piece::Fin | Piece::Reset(_) if stream == StreamId::CONTROL => {
                let code = if let Piece::Reset(code) = piece { Some(*code) } else { None };
                self.effects.push_back(super::io::Effect::Close { link, code: CloseCode::NORMAL });
                self.lost(now_ms, link, code, None);
            }
            Piece::Fin | Piece::Reset(_) => self.stream_ended(now_ms, link, stream),
        }
        self.tick(now_ms);
    }

    /// A datagram came; one that can't be read is taken for lost.
    pub fn datagram(&mut self, now_ms: u64, link: LinkId, body: &[u8]) {
        let Some(state) = self.connection.links.get_mut(&link).filter(|link| link.phase == Phase::Live) else { return };
        state.heard(now_ms);
        if self.connection.current == Some(link) {
            self.stalled(now_ms, false);
        }
        if let Ok(Decoded::Frame(DatagramDown::Typing(typing))) = binary::decode_body(body) {
            self.typing_came(now_ms, typing);
        }
        self.tick(now_ms);
    }

    fn bytes(&mut self, now_ms: u64, link: LinkId, stream: StreamId, bytes: &[u8]) {
        let push = |core: &mut Self| {
            let (owner, reader) = core.connection.links.get_mut(&link)?.reader(stream)?;
            reader.push(bytes);
            Some(owner)
        };
        match push(self) {
            None => {}
            Some(Some(channel)) => self.channel_bytes(now_ms, link, stream, channel),
            Some(None) => self.control_bytes(now_ms, link),
        }
    }

    fn control_bytes(&mut self, now_ms: u64, link: LinkId) {
        loop {
            // A frame may have ended the link.
            let Some(state) = self.connection.links.get_mut(&link) else { return };
            let Some((_, reader)) = state.reader(StreamId::CONTROL) else { return };
            match reader.take::<ControlDown>() {
                Ok(Some(Decoded::Frame(frame))) => self.control(now_ms, link, frame),
                Ok(Some(Decoded::Unknown)) => {}
                Ok(None) => return,
                Err(_) => return self.give_up(now_ms, link, CloseCode::PROTOCOL_ERROR),
            }
        }
    }

    fn control(&mut self, now_ms: u64, link: LinkId, frame: ControlDown) {
        if let ControlDown::Closing(Closing { code, retry_after_ms, .. }) = frame {
            self.effects.push_back(super::io::Effect::Close { link, code: CloseCode::NORMAL });
            return self.lost(now_ms, link, Some(code), retry_after_ms);
        }
        if let ControlDown::Welcome(welcome) = frame {
            return self.welcome(now_ms, link, &welcome);
        }
        // What an older link still says of lists and logs may be older than what this one has said.
        if self.connection.current != Some(link) {
            return;
        }
        match frame {
            ControlDown::Pong(pong) => {
                self.session.hear_clock(now_ms, pong.server_time_ms);
                self.live_ms = pong.server_time_ms;
            }
            ControlDown::Authenticated(done) => self.token_expires(now_ms, done.expires_at_ms),
            ControlDown::SyncPage(page) => self.page(now_ms, page),
            ControlDown::UserEntries(entries) => self.user_entries(now_ms, link, entries),
            ControlDown::Hints(Hints { channels }) => self.hints(now_ms, channels),
            ControlDown::Presence(list) => self.presence_list(list),
            ControlDown::Typing(typing) => self.typing_came(now_ms, typing),
            ControlDown::GoAway(away) => self.move_after(now_ms, away.delay_ms.into()),
            ControlDown::TokenExpiring(_) => self.refresh(now_ms),
            ControlDown::Failed(failed) => self.request_failed(now_ms, failed.request, failed.error),
            ControlDown::Welcome(_) | ControlDown::Closing(_) => {}
        }
    }

    fn welcome(&mut self, now_ms: u64, link: LinkId, welcome: &Welcome) {
        let Some(state) = self.connection.links.get_mut(&link) else { return };
        if !matches!(state.phase, Phase::Greeting { .. }) {
            return;
        }
        state.phase = Phase::Live;
        state.pinged_ms = now_ms;
        self.session = Session {
            node: welcome.node,
            heartbeat_ms: u64::from(welcome.heartbeat_ms).max(100),
            dead_after_ms: u64::from(welcome.dead_after_ms).max(1_000),
            attachments_max: Some(usize::try_from(welcome.attachments_max).unwrap_or(usize::MAX).max(1)),
            ..Session::default()
        };
        self.session.hear_clock(now_ms, welcome.server_time_ms);
        self.stands(now_ms, link);
        self.token_expires(now_ms, welcome.token_expires_at_ms);
        if (self.me, self.device) != (welcome.user, welcome.device) {
            (self.me, self.device) = (welcome.user, welcome.device);
            self.events.push(Event::Welcome { user: self.me, device: self.device });
        }
        if self.user_cursor != Some(welcome.user_cursor) {
            // The log goes on elsewhere: what happened in between is only in the list of channels.
            self.user_cursor = Some(welcome.user_cursor);
            self.complete = false;
            self.live_ms = 0;
        }
        self.choose = true;
        self.session_began();
        self.state_changed(now_ms);
    }

    /// Nothing of the session counts any more.
    pub(super) fn session_over(&mut self) {
        self.session.list = List::default();
    }

    fn user_entries(&mut self, now_ms: u64, link: LinkId, entries: UserEntries) {
        for entry in entries.entries {
            let cursor = self.user_cursor.unwrap_or_default();
            if entry.seq <= cursor {
                continue;
            }
            if entry.seq != cursor.next() {
                // Whoever leaves a gap is not to be believed; the next link is asked from the same place.
                return self.give_up(now_ms, link, CloseCode::PROTOCOL_ERROR);
            }
            self.user_cursor = Some(entry.seq);
            match &entry.event {
                UserEvent::ChannelJoined(joined) => self.joined(joined.channel),
                UserEvent::ChannelLeft(left) => self.gone(now_ms, left.channel, CloseCode::REMOVED),
                UserEvent::Read(read) => self.read_moved(now_ms, *read),
                UserEvent::Muted(muted) => {
                    let state = self.channels.get_mut(&muted.channel);
                    if let Some(summary) = state.and_then(|state| state.summary.as_mut()) {
                        summary.mute = muted.mute;
                        self.events.push(Event::ChannelList);
                    }
                }
                _ => {}
            }
            self.events.push(Event::User(entry));
        }
        self.state_changed(now_ms);
    }

    fn joined(&mut self, channel: ChannelId) {
        let state = self.channels.entry(channel).or_default();
        state.gone = false;
        if state.summary.is_none() {
            self.session.list.top = true;
        }
        if state.opened > 0 {
            state.retry_at_ms = 0;
            self.busy.insert(channel);
        }
        self.choose = true;
    }

    /// The newest channels are to be looked at again.
    pub(super) fn want_list(&mut self) {
        self.session.list.top = true;
    }

    fn page(&mut self, now_ms: u64, page: SyncPage) {
        let SyncPage { request, channels, next } = page;
        let asked = self.session.list.asked.take_if(|(asked, _)| *asked == request);
        let walks = request == 0 || asked.is_some();
        let oldest_ms = channels.last().map(|summary| summary.last_at_ms);
        for summary in channels {
            let channel = summary.channel;
            self.summary(summary);
            self.catch_up(channel);
        }
        if walks {
            // What is older than the time at which the list was right is as it was.
            let known = self.complete && oldest_ms.is_some_and(|at| at.saturating_add(LIST_MARGIN_MS) < self.live_ms);
            match next.filter(|_| !known) {
                Some(next) => self.session.list.wanted = Some(Some(next)),
                None => {
                    self.complete = true;
                    self.live_ms = self.session.server_ms(now_ms);
                }
            }
        }
        self.events.push(Event::ChannelList);
        self.state_changed(now_ms);
    }

    /// A page of the list failed; `false` if it was something else.
    pub(super) fn page_failed(&mut self, now_ms: u64, request: u32, error: &WireError) -> bool {
        let Some((_, from)) = self.session.list.asked.take_if(|(asked, _)| *asked == request) else { return false };
        if error.code.retry() == Retry::Later {
            self.session.list.wanted = Some(from);
            self.session.list.at_ms = now_ms.saturating_add(error.retry_after_ms.unwrap_or(0).max(LIST_RETRY_MS));
        }
        true
    }

    /// Says whether somebody is at the device.
    pub fn set_activity(&mut self, now_ms: u64, activity: Activity) {
        if std::mem::replace(&mut self.activity, activity) != activity
            && let Some(link) = self.connection.current_mut()
        {
            link.write(StreamId::CONTROL, &ControlUp::Activity(SetActivity { activity }));
        }
        self.tick(now_ms);
    }

    /// Asks the link in use for a sign of life.
    pub(super) fn ping(&mut self, now_ms: u64) {
        if let Some(link) = self.connection.current_mut() {
            let nonce = link.ping(now_ms);
            link.write(StreamId::CONTROL, &ControlUp::Ping(Ping { nonce }));
        }
    }

    pub(super) fn session_due(&mut self, now_ms: u64) {
        if let Some(id) = self.connection.upcoming
            && let Some(Phase::Greeting { until_ms }) = self.connection.links.get(&id).map(|link| link.phase)
            && until_ms <= now_ms
        {
            self.give_up(now_ms, id, CloseCode::IDLE);
        }
        let Some(id) = self.connection.current else { return };
        if self.dead_at().is_some_and(|at_ms| at_ms <= now_ms) {
            return self.give_up(now_ms, id, CloseCode::IDLE);
        }
        if self.ping_at().is_some_and(|at_ms| at_ms <= now_ms) {
            self.ping(now_ms);
        }
        if self.stalls_at().is_some_and(|at_ms| at_ms <= now_ms) {
            self.stalled(now_ms, true);
            self.connect_due(now_ms);
        }
        self.ask_list(now_ms);
    }

    fn ask_list(&mut self, now_ms: u64) {
        if self.session.list.asked.is_some() || self.session.list.at_ms > now_ms {
            return;
        }
        let (from, limit, request) = match self.session.list.wanted.take() {
            Some(from) => (from, SYNC_PAGE_MAX, self.request().0),
            None if std::mem::take(&mut self.session.list.top) => (None, LIST_TOP, self.request().0),
            None => return,
        };
        // The newest ones alone say nothing of those before them.
        if limit == SYNC_PAGE_MAX {
            self.session.list.asked = Some((request, from));
        }
        if let Some(link) = self.connection.current_mut() {
            link.write(StreamId::CONTROL, &ControlUp::Sync(Sync { request, after: from, limit }));
        }
    }

    pub(super) fn session_next(&self) -> Option<u64> {
        let greeting = self.connection.upcoming.and_then(|id| match self.connection.links.get(&id)?.phase {
            Phase::Greeting { until_ms } => Some(until_ms),
            _ => None,
        });
        let list = &self.session.list;
        let live = self.connection.current.is_some();
        let ask = (live && list.asked.is_none() && (list.top || list.wanted.is_some())).then_some(list.at_ms);
        [greeting, self.dead_at(), self.ping_at(), self.stalls_at(), ask].into_iter().flatten().min()
    }

    fn dead_at(&self) -> Option<u64> {
        let link = self.connection.links.get(&self.connection.current?)?;
        Some(link.heard_ms.saturating_add(self.session.dead_after_ms))
    }

    /// Every heartbeat, and sooner if something was sent and nothing is heard.
    fn ping_at(&self) -> Option<u64> {
        let link = self.connection.links.get(&self.connection.current?)?;
        let beat_ms = link.pinged_ms.saturating_add(self.session.heartbeat_ms);
        let probes = link.waiting_since_ms.is_none() && self.is_waiting();
        let quiet_ms = link.heard_ms.max(link.pinged_ms).saturating_add(self.config.probe_after_ms);
        Some(if probes { beat_ms.min(quiet_ms) } else { beat_ms })
    }

    fn stalls_at(&self) -> Option<u64> {
        let link = self.connection.links.get(&self.connection.current?)?;
        if self.connection.is_replacing_stalled() {
            return None;
        }
        Some(link.waiting_since_ms?.saturating_add(self.config.pong_within_ms))
    }
}
