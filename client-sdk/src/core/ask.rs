//! Questions and small news: history, presence, typing.

use std::collections::VecDeque;

use suda_schema::channel::{
    ChannelUp, DatagramUp, HistoryAt, HistoryFailed, HistoryPage, HistoryQuery, SetTyping, TypingIn,
};
use suda_schema::codec::binary;
use suda_schema::control::{ControlUp, PresenceList, PresenceQuery, Typing};
use suda_schema::error::Retry;
use suda_schema::limits::{HISTORY_PAGE_MAX, PRESENCE_USERS_MAX};
use suda_schema::{ChannelId, Seq, UserId, WireError};

use super::Core;
use super::channel::{Ask, Att};
use super::config::{HISTORY_WAITING_MAX, PRESENCE_MAX, PRESENCE_WAITING_MAX, TYPING_MAX};
use super::io::{Effect, Event, Failure, RequestId, StreamId};

/// How often the others are told that one types.
const TYPING_EVERY_MS: u64 = 3_000;
/// The most entries of one channel that are held while somebody goes back in it.
const ROOM_MAX: usize = 20_000;

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        Self::refused(error)
    }
}

impl Core {
    /// Asks for a page of a channel's history; [`Event::History`] answers, after a reconnect if need be. `None` if too
    /// many questions wait.
    pub fn history(
        &mut self,
        now_ms: u64,
        channel: ChannelId,
        at: HistoryAt,
        limit: u16,
        thread: Option<Seq>,
    ) -> Option<RequestId> {
        self.ask_history(now_ms, channel, at, limit, thread, false)
    }

    /// Goes back in a channel: the page before what is held is put in front of it. [`Event::History`] says when. `None`
    /// at the channel's beginning, or if nothing of it is known yet, or too many questions wait.
    pub fn page_back(&mut self, now_ms: u64, channel: ChannelId, limit: u16) -> Option<RequestId> {
        let state = self.channels.get_mut(&channel)?;
        if let Some(ask) = state.history.iter().find(|ask| ask.prepend) {
            return Some(RequestId(ask.query.request));
        }
        let first = state.log.as_ref()?.first();
        if first <= Seq(1) {
            return None;
        }
        state.room = state.room.saturating_add(limit.into()).min(ROOM_MAX);
        self.ask_history(now_ms, channel, HistoryAt::Before(first), limit, None, true)
    }

    fn ask_history(
        &mut self,
        now_ms: u64,
        channel: ChannelId,
        at: HistoryAt,
        limit: u16,
        thread: Option<Seq>,
        prepend: bool,
    ) -> Option<RequestId> {
        let request = self.request();
        let state = self.channels.entry(channel).or_default();
        if state.history.len() >= HISTORY_WAITING_MAX || state.gone {
            return None;
        }
        let query = HistoryQuery { request: request.0, at, limit: limit.clamp(1, HISTORY_PAGE_MAX), thread };
        state.history.push_back(Ask { query, prepend, sent: false });
        state.looked_ms = now_ms;
        self.busy.insert(channel);
        self.choose = true;
        self.tick(now_ms);
        Some(request)
    }

    pub(super) fn history_came(&mut self, now_ms: u64, id: ChannelId, page: HistoryPage) {
        let Some(state) = self.channels.get_mut(&id) else { return };
        let Some(ask) = take(&mut state.history, page.request) else { return };
        let head = if let Att::Live { at, head, .. } = state.att { at.max(head) } else { Seq::ZERO };
        if ask.prepend
            && let Some(log) = &mut state.log
            && log.prepend(page.entries.clone(), head).is_ok()
        {
            let put = self.storage.put_entries(id, &page.entries);
            self.kept(put);
            let me = self.me;
            if let Some(state) = self.channels.get_mut(&id) {
                state.count_unread(me);
            }
            self.events.push(Event::Channel(id));
        }
        self.choose = true;
        self.events.push(Event::History { request: RequestId(page.request), page: Ok(page) });
        self.state_changed(now_ms);
    }

    pub(super) fn history_failed(&mut self, id: ChannelId, failed: HistoryFailed) {
        let Some(state) = self.channels.get_mut(&id) else { return };
        if take(&mut state.history, failed.request).is_some() {
            self.choose = true;
            let request = RequestId(failed.request);
            self.events.push(Event::History { request, page: Err(failed.error.into()) });
        }
    }

    /// Asks who of these is there; [`Event::Presence`] answers. `None` if too many questions wait.
    pub fn ask_presence_of(&mut self, now_ms: u64, users: &[UserId]) -> Option<RequestId> {
        if self.presence_asks.len() >= PRESENCE_WAITING_MAX {
            return None;
        }
        let request = self.request();
        let users = users.iter().copied().take(PRESENCE_USERS_MAX).collect();
        self.presence_asks.push_back((PresenceQuery { request: request.0, users }, false));
        self.tick(now_ms);
        Some(request)
    }

    /// A session stands: what was asked of the one before is asked again.
    pub(super) fn session_began(&mut self) {
        self.presence_asks.iter_mut().for_each(|(_, sent)| *sent = false);
        for id in &self.busy {
            if let Some(state) = self.channels.get_mut(id) {
                state.read_sent = false;
            }
        }
    }

    pub(super) fn ask_presence(&mut self) {
        let Some(id) = self.connection.current else { return };
        let Some(link) = self.connection.links.get_mut(&id) else { return };
        for (query, sent) in self.presence_asks.iter_mut().filter(|(_, sent)| !sent) {
            *sent = true;
            link.write(StreamId::CONTROL, &ControlUp::Presence(query.clone()));
        }
    }

    pub(super) fn presence_list(&mut self, list: PresenceList) {
        for presence in &list.users {
            if self.presence.len() >= PRESENCE_MAX && !self.presence.contains_key(&presence.user) {
                self.presence.pop_first();
            }
            self.presence.insert(presence.user, *presence);
        }
        let request = (list.request != 0).then_some(RequestId(list.request));
        self.presence_asks.retain(|(query, _)| query.request != list.request);
        self.events.push(Event::Presence { request, users: Ok(list.users) });
    }

    pub(super) fn request_failed(&mut self, now_ms: u64, request: u32, error: WireError) {
        if request == 0 || self.page_failed(now_ms, request, &error) {
            return;
        }
        let before = self.presence_asks.len();
        self.presence_asks.retain(|(query, _)| query.request != request);
        if self.presence_asks.len() != before {
            self.events.push(Event::Presence { request: Some(RequestId(request)), users: Err(error.into()) });
        } else if error.code.retry() == Retry::Later {
            // Only the newest channels are asked for without taking note of it.
            self.want_list();
        }
    }

    /// Somebody types.
    pub(super) fn typing_came(&mut self, now_ms: u64, typing: Typing) {
        let Typing { channel, user, for_ms } = typing;
        if user == self.me {
            return;
        }
        let Some(state) = self.channels.get_mut(&channel) else { return };
        if for_ms == 0 {
            state.typing.remove(&user);
        } else if state.typing.len() < TYPING_MAX || state.typing.contains_key(&user) {
            state.typing.insert(user, now_ms.saturating_add(for_ms.into()));
        }
        self.busy.insert(channel);
        self.events.push(Event::Channel(channel));
    }

    /// The user types, or stopped. To be said with every key; the others are told now and then.
    pub fn set_typing(&mut self, now_ms: u64, channel: ChannelId, on: bool) {
        let Some(state) = self.channels.get_mut(&channel) else { return };
        let Att::Live { link, stream, .. } = state.att else { return };
        let recently = state.typed_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < TYPING_EVERY_MS);
        if (on && recently) || (!on && state.typed_ms.is_none()) {
            return;
        }
        state.typed_ms = on.then_some(now_ms);
        if let Some(state) = self.connection.links.get_mut(&link) {
            // Nothing waits behind it then. One that is lost costs little: it is said again every few seconds.
            if self.config.datagrams && state.kind.is_udp() {
                let mut body = Vec::new();
                binary::put_value(&DatagramUp::Typing(TypingIn { channel, on }), &mut body);
                self.effects.push_back(Effect::Datagram { link, body: body.into() });
            } else {
                state.write(stream, &ChannelUp::Typing(SetTyping { on }));
            }
        }
        self.tick(now_ms);
    }
}

fn take(asks: &mut VecDeque<Ask>, request: u32) -> Option<Ask> {
    let index = asks.iter().position(|ask| ask.query.request == request)?;
    asks.remove(index)
}
