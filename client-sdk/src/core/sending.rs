//! Sends: into the outbox, out on the attachment, and back as an acknowledgement or a refusal.

use suda_schema::channel::{Ack, ChannelUp, Op, Refused, Send};
use suda_schema::entry::Entry;
use suda_schema::error::Retry;
use suda_schema::{ChannelId, ClientMsgId, ErrorCode, Seq};

use super::Core;
use super::io::{Event, Outcome};
use super::outbox::{Pending, SendError, target};

/// The bound of the first wait after a send was refused for the moment; each further one doubles it.
const REFUSED_FIRST_MS: u64 = 200;
/// The bound of every such wait.
const REFUSED_CAP_MS: u64 = 30_000;

impl Core {
    /// Sends: a message, an edit, a deletion, a reaction. It is in the outbox when this returns, and kept there until it
    /// is acknowledged or refused for good; [`Event::Sent`] says which. Sends of one channel arrive in this order.
    pub fn send(&mut self, now_ms: u64, channel: ChannelId, op: Op) -> Result<ClientMsgId, SendError> {
        let id = self.rng.message_id();
        self.send_as(now_ms, channel, id, op)
    }

    /// The same under an id of the app's own: a UUID, such as that of a send that was refused. One that waits already is
    /// not sent twice.
    pub fn send_as(
        &mut self,
        now_ms: u64,
        channel: ChannelId,
        id: ClientMsgId,
        op: Op,
    ) -> Result<ClientMsgId, SendError> {
        if self.outbox.holds(channel, id) {
            return Ok(id);
        }
        let pending = Pending { channel, at_ms: self.session.server_ms(now_ms), send: Send { client_msg_id: id, op } };
        let bytes = self.outbox.check(&self.config, &pending)?;
        let added = self.storage.outbox_add(&pending);
        self.kept(added);
        let state = self.channels.entry(channel).or_default();
        state.looked_ms = now_ms;
        if let Some(log) = &mut state.log {
            log.touch(target(&pending.send.op));
        }
        self.outbox.push(pending, bytes);
        self.busy.insert(channel);
        self.choose = true;
        self.events.push(Event::Channel(channel));
        self.tick(now_ms);
        Ok(id)
    }

    /// Takes back a send that has not gone out. `false` if it has, or is not there: then it is acknowledged or refused.
    pub fn take_back(&mut self, now_ms: u64, channel: ChannelId, id: ClientMsgId) -> bool {
        if !self.outbox.was_never_sent(channel, id) {
            return false;
        }
        let Some(pending) = self.outbox.take(channel, id) else { return false };
        let removed = self.storage.outbox_remove(channel, id);
        self.kept(removed);
        self.hide(channel, id);
        self.shows_anew(channel, target(&pending.send.op));
        self.choose = true;
        self.tick(now_ms);
        true
    }

    /// Whether an answer is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.outbox.is_on_its_way()
            || self.busy.iter().any(|id| {
                self.channels.get(id).is_some_and(|state| {
                    matches!(state.att, super::channel::Att::Opening(..)) || state.history.iter().any(|ask| ask.sent)
                })
            })
    }

    pub(super) fn pump_sends(&mut self, now_ms: u64, id: ChannelId) {
        let Some(state) = self.channels.get(&id).filter(|state| !state.leaving) else { return };
        let Some((link, stream)) = state.att.stream() else { return };
        let Some(link) = self.connection.links.get_mut(&link) else { return };
        let mut any = false;
        while let Some(send) = self.outbox.next(id, self.config.sends_in_flight, now_ms) {
            link.write(stream, &ChannelUp::Send(send));
            any = true;
        }
        if any {
            self.shows_anew(id, None);
        }
    }

    pub(super) fn acked(&mut self, now_ms: u64, channel: ChannelId, ack: Ack) {
        self.settled(channel, ack.client_msg_id, ack.seq, ack.at_ms);
        self.pump_sends(now_ms, channel);
    }

    /// One's own entry says as much as an acknowledgement, which may have been lost.
    pub(super) fn own_entry_came(&mut self, now_ms: u64, channel: ChannelId, entry: &Entry) {
        if let Some(id) = entry.client_msg_id {
            self.settled(channel, id, entry.seq, entry.at_ms);
            self.pump_sends(now_ms, channel);
        }
    }

    fn settled(&mut self, channel: ChannelId, id: ClientMsgId, seq: Seq, at_ms: u64) {
        let Some(pending) = self.outbox.take(channel, id) else { return };
        let removed = self.storage.outbox_remove(channel, id);
        self.kept(removed);
        let target = target(&pending.send.op);
        let cursor =
            self.channels.get(&channel).and_then(|state| state.log.as_ref()).map(super::log::ChannelLog::cursor);
        // With nothing held there is nothing to show it in.
        if cursor.is_some_and(|cursor| cursor < seq) {
            self.outbox.show_until(pending, seq);
        } else {
            self.hide(channel, id);
        }
        self.shows_anew(channel, target);
        self.choose = true;
        self.events.push(Event::Sent { channel, id, outcome: Outcome::Acknowledged { seq, at_ms } });
    }

    /// Entries up to here are in the log.
    pub(super) fn shown_until(&mut self, channel: ChannelId, cursor: Seq) {
        for pending in self.outbox.came(channel, cursor) {
            self.hide(channel, pending.id());
            self.shows_anew(channel, target(&pending.send.op));
        }
    }

    pub(super) fn refused(&mut self, now_ms: u64, channel: ChannelId, refused: Refused) {
        let Refused { client_msg_id: id, error } = refused;
        let code = error.code;
        let token = matches!(code, ErrorCode::UNAUTHENTICATED | ErrorCode::TOKEN_EXPIRED);
        if token {
            self.refresh(now_ms);
        }
        if token || code.retry() == Retry::Later {
            let refusals = self.outbox.queue(channel).map_or(0, |queue| queue.refusals);
            let bound_ms = REFUSED_FIRST_MS.saturating_mul(1 << refusals.min(10)).min(REFUSED_CAP_MS);
            let wait_ms = error.retry_after_ms.unwrap_or(0).saturating_add(1 + self.rng.below(bound_ms));
            self.outbox.put_off(channel, now_ms.saturating_add(wait_ms));
            self.outbox.again(channel, id);
            return self.shows_anew(channel, None);
        }
        let Some(pending) = self.outbox.take(channel, id) else { return };
        let removed = self.storage.outbox_remove(channel, id);
        self.kept(removed);
        self.hide(channel, id);
        self.shows_anew(channel, target(&pending.send.op));
        self.choose = true;
        self.events.push(Event::Sent { channel, id, outcome: Outcome::Refused(error) });
        self.pump_sends(now_ms, channel);
    }

    fn hide(&mut self, channel: ChannelId, id: ClientMsgId) {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.hide(id);
        }
    }

    fn shows_anew(&mut self, channel: ChannelId, target: Option<Seq>) {
        if let Some(log) = self.channels.get_mut(&channel).and_then(|state| state.log.as_mut()) {
            log.touch(target);
        }
        self.events.push(Event::Channel(channel));
    }
}
