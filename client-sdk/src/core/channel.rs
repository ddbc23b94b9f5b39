//! One channel, from outside: its row in the list, and what is known beside its log.

use std::collections::{BTreeMap, VecDeque};

use suda_schema::channel::HistoryQuery;
use suda_schema::control::Hint;
use suda_schema::entry::{Body, Entry, Member, MemberChange, What};
use suda_schema::event::ReadMoved;
use suda_schema::limits::PREVIEW_CHARS_MAX;
use suda_schema::summary::{ChannelSummary, MemberMark, Preview};
use suda_schema::{ChannelId, ClientMsgId, CloseCode, ErrorCode, Seq, UserId, WireError};

use super::Core;
use super::config::{CHANNELS_MAX, REMOVED_MAX};
use super::io::{Event, Failure, LinkId, Outcome, RequestId, StreamId};
use super::log::ChannelLog;

/// What is known of one channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) summary: Option<ChannelSummary>,
    pub(super) log: Option<ChannelLog>,
    /// Whether storage has been asked.
    pub(super) loaded: bool,
    /// The version of the log that was there last.
    pub(super) last_version: u64,
    /// How many entries more than usual are held, because somebody has gone back to them.
    pub(super) room: usize,
    /// What is no longer shown under its own id, and since which version.
    removed: VecDeque<(u64, ClientMsgId)>,
    /// Versions up to here can't be told from each other any more.
    told_from: u64,
    /// How many look at it.
    pub(super) opened: u32,
    pub(super) looked_ms: u64,
    pub(super) att: Att,
    /// Its end was said; what the node still says before its own end counts.
    pub(super) leaving: bool,
    /// No attachment before this time.
    pub(super) retry_at_ms: u64,
    pub(super) failures: u32,
    pub(super) gone: bool,
    pub(super) marks: BTreeMap<UserId, MemberMark>,
    /// Who types, and until when.
    pub(super) typing: BTreeMap<UserId, u64>,
    /// When the others were last told that this user types.
    pub(super) typed_ms: Option<u64>,
    /// A read mark that the node has not confirmed.
    pub(super) read_wanted: Option<Seq>,
    pub(super) read_sent: bool,
    /// What is unread was taken from elsewhere, and may count more or less than what has come.
    pub(super) unread_unsure: bool,
    /// When to say what was delivered.
    pub(super) delivered_due_ms: Option<u64>,
    pub(super) history: VecDeque<Ask>,
}

/// The live view of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Att {
    #[default]
    Idle,
    /// Asked for.
    Opening(LinkId, StreamId),
    /// It stands.
    Live {
        link: LinkId,
        stream: StreamId,
        /// The last seq that came on this stream.
        at: Seq,
        /// The log's head when it began.
        head: Seq,
    },
}

impl Att {
    pub(super) fn stream(self) -> Option<(LinkId, StreamId)> {
        match self {
            Self::Idle => None,
            Self::Opening(link, stream) | Self::Live { link, stream, .. } => Some((link, stream)),
        }
    }
}

/// A question about the past.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) query: HistoryQuery,
    /// The page goes in front of the log.
    pub(super) prepend: bool,
    pub(super) sent: bool,
}

impl Channel {
    pub(super) fn can_tell_since(&self, version: u64) -> bool {
        version >= self.told_from && self.log.as_ref().is_some_and(|log| version <= log.version())
    }

    pub(super) fn removed_since(&self, version: Option<u64>) -> Vec<ClientMsgId> {
        let since = version.unwrap_or(u64::MAX);
        self.removed.iter().filter(|(at, _)| *at > since).map(|(_, id)| *id).collect()
    }

    /// Something that was shown under its own id is not any more.
    pub(super) fn hide(&mut self, id: ClientMsgId) {
        let Some(log) = &mut self.log else { return };
        log.touch(None);
        self.removed.push_back((log.version(), id));
        if self.removed.len() > REMOVED_MAX
            && let Some((version, _)) = self.removed.pop_front()
        {
            self.told_from = self.told_from.max(version);
        }
    }

    /// The log begins anew: nothing that was shown counts.
    pub(super) fn begin_log(&mut self, after: Seq) {
        let version = self.log.take().map_or(self.last_version, |log| log.version()) + 1;
        let mut log = ChannelLog::new(after);
        log.set_version(version);
        (self.told_from, self.last_version, self.room) = (version, version, 0);
        self.log = Some(log);
    }

    /// The log leaves the memory; storage may have it.
    pub(super) fn unload(&mut self) {
        if let Some(log) = self.log.take() {
            self.last_version = log.version() + 1;
            self.told_from = self.last_version;
        }
        (self.loaded, self.room) = (false, 0);
    }

    /// Whether nothing is going on here.
    pub(super) fn rests(&self) -> bool {
        self.opened == 0
            && self.att == Att::Idle
            && self.typing.is_empty()
            && self.read_wanted.is_none()
            && self.history.is_empty()
    }

    /// A new entry, for the row in the list.
    pub(super) fn take_note(&mut self, entry: &Entry, me: UserId) {
        self.typing.remove(&entry.by);
        let Some(summary) = &mut self.summary else { return };
        let is_new = entry.seq > summary.head;
        if is_new {
            summary.head = entry.seq;
            summary.last_at_ms = summary.last_at_ms.max(entry.at_ms);
        }
        match &entry.what {
            What::Message(message) if is_new => {
                if entry.by != me && entry.seq > summary.read {
                    summary.unread = summary.unread.saturating_add(1);
                }
                let text = if let Body::Text(text) = &message.body { text.as_str() } else { "" };
                let text = text.chars().take(PREVIEW_CHARS_MAX).collect();
                summary.preview = Some(Preview { seq: entry.seq, by: entry.by, at_ms: entry.at_ms, text });
            }
            What::Delete(delete) => {
                if let Some(preview) = summary.preview.as_mut().filter(|preview| preview.seq == delete.target) {
                    preview.text.clear();
                }
            }
            What::Title(title) if is_new => summary.title.clone_from(&title.title),
            What::Picture(picture) if is_new => summary.picture = picture.media,
            What::Member(member) if is_new => member_changed(summary, member, me),
            _ => {}
        }
    }

    /// Counts what is unread, if that can be done here: whether. If not, it is done when the log has come so far.
    pub(super) fn count_unread(&mut self, me: UserId) -> bool {
        let counted = self.try_count_unread(me);
        self.unread_unsure = !counted;
        counted
    }

    fn try_count_unread(&mut self, me: UserId) -> bool {
        let Some(summary) = &mut self.summary else { return true };
        if summary.read >= summary.head {
            summary.unread = 0;
            return true;
        }
        let Some(log) = self.log.as_ref().filter(|log| log.cursor() >= summary.head) else { return false };
        let Some(unread) = log.unread(summary.read, me) else { return false };
        summary.unread = unread;
        true
    }

    /// Whether there is something to come.
    pub(super) fn is_behind(&self) -> bool {
        let head = self.summary.as_ref().map(|summary| summary.head);
        self.log.is_none() || head > self.log.as_ref().map(ChannelLog::cursor)
    }

    /// The user has read so far. Whether it is known how many messages are unread now.
    fn read_to(&mut self, seq: Seq, unread: Option<u64>, me: UserId) -> bool {
        if let Some(summary) = &mut self.summary
            && seq >= summary.read
        {
            summary.read = seq;
            if let Some(unread) = unread {
                summary.unread = unread;
            }
        }
        self.count_unread(me)
    }
}

fn member_changed(summary: &mut ChannelSummary, member: &Member, me: UserId) {
    match member.change {
        MemberChange::Joined(_) => summary.members = summary.members.saturating_add(1),
        MemberChange::Left | MemberChange::Kicked | MemberChange::Banned => {
            summary.members = summary.members.saturating_sub(1);
        }
        MemberChange::Role(role) if member.user == me => summary.role = role,
        _ => {}
    }
}

impl Core {
    /// A row of the list as the node has it. What the user has read here counts, even if the node does not know yet.
    pub(super) fn summary(&mut self, summary: ChannelSummary) {
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&summary.channel) {
            return;
        }
        let me = self.me;
        let state = self.channels.entry(summary.channel).or_default();
        // An attachment may have gone further while the page was on its way.
        let is_older = state.summary.as_ref().is_some_and(|known| known.head > summary.head);
        state.gone = false;
        if is_older {
            return;
        }
        let read = state.read_wanted.unwrap_or_default();
        let was_read = state.summary.as_ref().map_or(read, |known| read.max(known.read));
        state.summary = Some(summary);
        state.read_to(was_read, None, me);
    }

    pub(super) fn hints(&mut self, now_ms: u64, hints: Vec<Hint>) {
        for hint in hints {
            let Some(state) = self.channels.get_mut(&hint.channel) else {
                self.want_list();
                continue;
            };
            state.gone = false;
            let Some(summary) = &mut state.summary else {
                self.want_list();
                continue;
            };
            if hint.head >= summary.head {
                summary.head = hint.head;
                summary.last_at_ms = hint.last_at_ms;
                summary.unread = hint.unread;
                summary.preview = hint.preview.or(summary.preview.take());
            }
            self.catch_up(hint.channel);
        }
        self.events.push(Event::ChannelList);
        self.state_changed(now_ms);
    }

    /// More may be looked at than can be attached: one that has news takes the place of one that has had all.
    pub(super) fn catch_up(&mut self, channel: ChannelId) {
        if self.channels.get(&channel).is_some_and(|state| state.opened > 0 && state.att == Att::Idle) {
            self.busy.insert(channel);
            self.choose = true;
        }
    }

    pub(super) fn read_moved(&mut self, now_ms: u64, moved: ReadMoved) {
        let me = self.me;
        let Some(state) = self.channels.get_mut(&moved.channel) else { return };
        if state.read_wanted.is_some_and(|wanted| wanted <= moved.read) {
            state.read_wanted = None;
        }
        if !state.read_to(moved.read, Some(moved.unread), me) {
            // What came in between may be counted or not.
            self.want_list();
        }
        self.events.push(Event::ChannelList);
        self.events.push(Event::Channel(moved.channel));
        self.state_changed(now_ms);
    }

    /// The user has read so far.
    pub fn mark_read(&mut self, now_ms: u64, channel: ChannelId, seq: Seq) {
        let me = self.me;
        let state = self.channels.entry(channel).or_default();
        let read = state.summary.as_ref().map_or(Seq::ZERO, |summary| summary.read);
        if seq <= read.max(state.read_wanted.unwrap_or_default()) {
            return;
        }
        state.read_wanted = Some(seq);
        state.read_sent = false;
        state.read_to(seq, None, me);
        self.busy.insert(channel);
        self.events.push(Event::ChannelList);
        self.state_changed(now_ms);
        self.tick(now_ms);
    }

    /// The user is not in this channel any more: what waits for it is given up.
    pub(super) fn gone(&mut self, now_ms: u64, channel: ChannelId, code: CloseCode) {
        let state = self.channels.entry(channel).or_default();
        let was_there = !std::mem::replace(&mut state.gone, true);
        let att = std::mem::take(&mut state.att);
        state.leaving = false;
        state.summary = None;
        state.unload();
        state.read_wanted = None;
        state.marks.clear();
        state.typing.clear();
        let asks = std::mem::take(&mut state.history);
        if let Some((link, stream)) = att.stream()
            && let Some(link) = self.connection.links.get_mut(&link)
        {
            link.finish(stream);
        }
        let forgotten = self.storage.forget(channel);
        self.kept(forgotten);
        let (error, text) = match code {
            CloseCode::CHANNEL_GONE => (ErrorCode::NOT_FOUND, "the channel is gone"),
            _ => (ErrorCode::FORBIDDEN, "not a member of this channel"),
        };
        for ask in asks {
            let failure = Failure::refused(WireError::new(error, text));
            self.events.push(Event::History { request: RequestId(ask.query.request), page: Err(failure) });
        }
        for pending in self.outbox.give_up(channel) {
            let removed = self.storage.outbox_remove(channel, pending.id());
            self.kept(removed);
            let outcome = Outcome::Refused(WireError::new(error, text));
            self.events.push(Event::Sent { channel, id: pending.id(), outcome });
        }
        if was_there {
            self.events.push(Event::ChannelGone(channel));
            self.events.push(Event::ChannelList);
        }
        self.choose = true;
        self.state_changed(now_ms);
    }
}
