//! All there is to the app but sockets and the screen: what happens goes in, what is to be done comes out.

mod actions;
pub(crate) mod command;
pub(crate) mod compose;
pub(crate) mod conversation;
pub(crate) mod form;
mod keys;
pub(crate) mod popup;
pub(crate) mod say;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use suda_client::core::io::Stopped;
use suda_client::schema::entry::What;
use suda_client::schema::summary::{ChannelKind, ChannelSummary, Mute};
use suda_client::{ChannelId, Seq, Status, UserId};

use crate::areas::Areas;
use crate::{page, text};
use conversation::{Conversation, Draft};
use form::Form;
use popup::{Popup, Tie};
use say::{Cmd, Input, News, People};

/// How long a notice stays.
const NOTICE_MS: u64 = 8_000;
/// Without a key for so long, nobody is at the terminal.
const IDLE_MS: u64 = 300_000;
/// How many users are asked about at once.
const LOOK_UP_MAX: usize = 100;
/// How many drafts are kept, of conversations that are not open.
const DRAFTS_MAX: usize = 200;

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    List,
    Compose,
    Messages,
}

/// The connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) status: Status,
    pub(crate) retry_at_ms: Option<u64>,
    /// Sends in the outbox.
    pub(crate) waiting: usize,
}

/// A line about something that has happened.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_bad: bool,
    until_ms: u64,
}

/// The state of the app.
#[derive(Debug)]
pub(crate) struct Model {
    /// The server's address, to be shown.
    pub(crate) url: String,
    pub(crate) zone: TimeZone,
    pub(crate) now_ms: u64,
    pub(crate) size: (u16, u16),
    /// Who is logged in; without anybody there is the form.
    pub(crate) me: Option<UserId>,
    pub(crate) form: Form,
    pub(crate) link: Link,
    pub(crate) rows: Vec<ChannelSummary>,
    pub(crate) people: People,
    /// The row that the list's cursor is on.
    pub(crate) row: Option<ChannelId>,
    pub(crate) open: Option<Conversation>,
    drafts: BTreeMap<ChannelId, Draft>,
    pub(crate) focus: Focus,
    pub(crate) popup: Option<Popup>,
    pub(crate) notice: Option<Notice>,
    /// Those who ask to be friends.
    pub(crate) requests: usize,
    /// Whether the list has been told.
    has_rows: bool,
    /// Whether the terminal is in front, as far as it says.
    in_front: bool,
    is_active: bool,
    last_key_ms: u64,
    cmds: Vec<Cmd>,
    /// Whether what is shown may be other than before.
    pub(crate) dirty: bool,
}

impl Model {
    pub(crate) fn new(url: String, zone: TimeZone, now_ms: u64, size: (u16, u16)) -> Self {
        Self {
            url,
            zone,
            now_ms,
            size,
            me: None,
            form: Form::default(),
            link: Link { status: Status::Stopped(Stopped::ByApp), retry_at_ms: None, waiting: 0 },
            rows: Vec::new(),
            people: People::default(),
            row: None,
            open: None,
            drafts: BTreeMap::new(),
            focus: Focus::List,
            popup: None,
            notice: None,
            requests: 0,
            has_rows: false,
            in_front: true,
            is_active: true,
            last_key_ms: now_ms,
            cmds: Vec::new(),
            dirty: true,
        }
    }

    /// Something has happened: what is to be done about it.
    pub(crate) fn input(&mut self, input: Input) -> Vec<Cmd> {
        match input {
            Input::Tick(now_ms) => self.tick(now_ms),
            input => {
                self.dirty = true;
                match input {
                    Input::Key(key) => {
                        self.touched();
                        self.key(key);
                    }
                    Input::Paste(text) => {
                        self.touched();
                        self.paste(&text);
                    }
                    Input::Resize(columns, rows) => self.size = (columns, rows),
                    Input::Focus(in_front) => {
                        self.in_front = in_front;
                        self.set_active(in_front);
                    }
                    Input::News(news) => self.news(news),
                    Input::Tick(_) => {}
                }
            }
        }
        self.settle();
        std::mem::take(&mut self.cmds)
    }

    fn tick(&mut self, now_ms: u64) {
        let minute = |ms: u64| ms / 60_000;
        self.dirty |= minute(now_ms) != minute(self.now_ms) || !self.link.status.is_online();
        self.now_ms = now_ms;
        if self.notice.as_ref().is_some_and(|notice| notice.until_ms <= now_ms) {
            self.notice = None;
            self.dirty = true;
        }
        if now_ms.saturating_sub(self.last_key_ms) > IDLE_MS {
            self.set_active(false);
        }
    }

    fn touched(&mut self) {
        self.last_key_ms = self.now_ms;
        self.in_front = true;
        self.set_active(true);
    }

    fn set_active(&mut self, active: bool) {
        if std::mem::replace(&mut self.is_active, active) != active && self.me.is_some() {
            self.cmds.push(Cmd::Active(active));
        }
    }

    pub(crate) fn say(&mut self, text: impl AsRef<str>, is_bad: bool) {
        let text = text::clean_line(text.as_ref());
        self.notice = Some(Notice { text, is_bad, until_ms: self.now_ms.saturating_add(NOTICE_MS) });
    }

    fn news(&mut self, news: News) {
        match news {
            News::Link { status, retry_at_ms, waiting } => {
                self.link = Link { status, retry_at_ms, waiting };
                if status == Status::Stopped(Stopped::LoggedOut) && self.me.is_some() {
                    self.logged_out("You were logged out: sign in again.");
                }
            }
            News::LoggedIn { user } => self.logged_in(user),
            News::LoggedOut => self.logged_out(""),
            News::Denied(error) => {
                (self.form.busy, self.form.error) = (false, Some(text::clean_line(&error)));
            }
            News::Rows(rows) => self.rows_changed(rows),
            News::People(users) => {
                self.people.known.extend(users.into_iter().map(|user| (user.user, user)));
            }
            News::Presence(users) => {
                self.people.presence.extend(users.into_iter().map(|presence| (presence.user, presence)));
            }
            News::Show(channel) => self.show(channel),
            News::Gone(channel) => self.gone(channel),
            News::NotSent { channel, text, error } => self.not_sent(channel, text, &error),
            News::Members(..) | News::Friends { .. } => self.listed(news),
            News::FriendRequest(user) => {
                self.requests += 1;
                let unknown = self.people.unknown(std::iter::once(user));
                self.look_up(&unknown);
                self.say("Somebody asks to be your friend: /friends shows who.", false);
                self.cmds.push(Cmd::Bell);
            }
            News::Said(text) => self.say(text, false),
            News::Failed(text) => self.say(text, true),
            News::Timeline(..) | News::Beside { .. } | News::Older(..) => self.talked(news),
        }
    }

    /// News of a conversation; they count if it is the one that is open.
    fn talked(&mut self, news: News) {
        let id = match &news {
            News::Timeline(id, _) | News::Older(id, _) | News::Beside { channel: id, .. } => *id,
            _ => return,
        };
        let Some(open) = self.open.as_mut().filter(|open| open.id == id) else { return };
        match news {
            News::Timeline(_, update) => open.apply(&update),
            News::Beside { typing, marks, .. } => (open.typing, open.marks) = (typing, marks),
            News::Older(_, more) => {
                open.loading = false;
                match more {
                    Ok(more) => open.complete = !more,
                    Err(error) => {
                        // Scrolling asks again.
                        open.complete = true;
                        self.say(error, true);
                    }
                }
            }
            _ => {}
        }
    }

    fn listed(&mut self, news: News) {
        match (news, &mut self.popup) {
            (News::Members(of, members), Some(Popup::Members { channel, rows, .. })) if *channel == of => {
                let mut list: Vec<_> = members.iter().map(|member| (member.user, member.role)).collect();
                list.sort_by_key(|(user, role)| (std::cmp::Reverse(*role), *user));
                *rows = Some(list);
            }
            (News::Friends { friends, received, sent }, popup) => {
                self.requests = received.len();
                let ties = [(received, Tie::Received), (friends, Tie::Friend), (sent, Tie::Sent)];
                let list = ties.into_iter().flat_map(|(list, tie)| list.into_iter().map(move |one| (one.user, tie)));
                if let Some(Popup::Friends { rows, .. }) = popup {
                    *rows = Some(list.collect());
                }
            }
            _ => {}
        }
    }

    fn logged_in(&mut self, user: UserId) {
        if self.me != Some(user) {
            self.forget();
        }
        self.me = Some(user);
        self.form = Form::default();
        self.people.ask_again();
        self.cmds.push(Cmd::Friends);
    }

    fn logged_out(&mut self, why: &str) {
        self.forget();
        self.form.error = (!why.is_empty()).then(|| why.to_owned());
        self.cmds.push(Cmd::Close);
    }

    fn forget(&mut self) {
        (self.me, self.open, self.popup, self.row, self.notice) = (None, None, None, None, None);
        (self.form, self.focus, self.requests) = (Form::default(), Focus::List, 0);
        self.rows.clear();
        self.has_rows = false;
        self.people.forget();
        self.drafts.clear();
    }

    fn rows_changed(&mut self, rows: Vec<ChannelSummary>) {
        let counts = |row: &ChannelSummary| row.unread > 0 && row.mute == Mute::Off;
        let had = |id: ChannelId| self.rows.iter().find(|row| row.channel == id).map_or(0, |row| row.unread);
        let looked_at = self.open.as_ref().filter(|_| self.in_front).map(|open| open.id);
        let rings =
            rows.iter().any(|row| counts(row) && row.unread > had(row.channel) && Some(row.channel) != looked_at);
        // What there was when the app began is no news.
        if std::mem::replace(&mut self.has_rows, true) && rings {
            self.cmds.push(Cmd::Bell);
        }
        self.rows = rows;
        if self.row.is_none_or(|row| self.row_index(row).is_none()) {
            self.row = self.open.as_ref().map(|open| open.id).or(self.rows.first().map(|row| row.channel));
        }
    }

    fn not_sent(&mut self, channel: ChannelId, text: Option<String>, error: &str) {
        self.say(format!("Not sent: {error}"), true);
        let open = self.open.as_mut().filter(|open| open.id == channel).map(|open| &mut open.draft);
        let draft = match open {
            Some(draft) => draft,
            None => self.drafts.entry(channel).or_default(),
        };
        if let Some(text) = text
            && draft.field.is_empty()
        {
            draft.field = compose::Field::with(text);
        }
    }

    /// Opens a conversation.
    pub(crate) fn show(&mut self, channel: ChannelId) {
        (self.popup, self.row, self.focus, self.notice) = (None, Some(channel), Focus::Compose, None);
        if self.open.as_ref().is_some_and(|open| open.id == channel) {
            return;
        }
        self.put_draft_away();
        let draft = self.drafts.remove(&channel).unwrap_or_default();
        let row = self.rows.iter().find(|row| row.channel == channel);
        let read = row.filter(|row| row.unread > 0).map(|row| row.read);
        self.open = Some(Conversation::new(channel, read, draft));
        self.cmds.push(Cmd::Open(channel));
    }

    fn put_draft_away(&mut self) {
        let Some(open) = self.open.take() else { return };
        if !open.draft.field.is_empty() && self.drafts.len() < DRAFTS_MAX {
            self.drafts.insert(open.id, open.draft);
        }
    }

    fn gone(&mut self, channel: ChannelId) {
        if self.open.as_ref().is_some_and(|open| open.id == channel) {
            (self.open, self.focus) = (None, Focus::List);
            self.cmds.push(Cmd::Close);
            self.say("You are not in this conversation any more.", false);
        }
        self.drafts.remove(&channel);
    }

    pub(crate) fn row_index(&self, channel: ChannelId) -> Option<usize> {
        self.rows.iter().position(|row| row.channel == channel)
    }

    /// The row of the open conversation.
    pub(crate) fn open_row(&self) -> Option<&ChannelSummary> {
        let open = self.open.as_ref()?;
        self.rows.iter().find(|row| row.channel == open.id)
    }

    /// What a conversation is called, as it may be shown.
    pub(crate) fn title(&self, row: &ChannelSummary) -> String {
        match (row.kind, row.peer) {
            (ChannelKind::Direct, Some(peer)) if Some(peer) == self.me => "Notes to yourself".to_owned(),
            (ChannelKind::Direct, Some(peer)) => self.people.name(peer),
            _ => match text::clean_line(&row.title) {
                title if title.is_empty() => "Untitled".to_owned(),
                title => title,
            },
        }
    }

    pub(crate) fn is_muted(&self, row: &ChannelSummary) -> bool {
        match row.mute {
            Mute::Off => false,
            Mute::MentionsOnly => true,
            Mute::Until(until_ms) => until_ms > self.now_ms,
        }
    }

    pub(crate) fn unread(&self) -> u64 {
        self.rows.iter().filter(|row| !self.is_muted(row)).map(|row| row.unread).sum()
    }

    fn look_up(&mut self, users: &[UserId]) {
        self.cmds.extend(users.chunks(LOOK_UP_MAX).map(|users| Cmd::LookUp(users.to_vec())));
    }

    /// What follows from how things are now: who is to be asked about, what was read, whether more is to be fetched.
    fn settle(&mut self) {
        let Some(me) = self.me else { return };
        let mut users: Vec<UserId> = vec![me];
        users.extend(self.rows.iter().flat_map(|row| row.peer.into_iter().chain(row.preview.as_ref().map(|p| p.by))));
        if let Some(open) = &self.open {
            users.extend(open.items.iter().flat_map(|item| {
                let member = if let What::Member(member) = &item.what { Some(member.user) } else { None };
                std::iter::once(item.by).chain(member)
            }));
            users.extend(&open.typing);
        }
        match &self.popup {
            Some(Popup::Members { rows: Some(rows), .. }) => users.extend(rows.iter().map(|row| row.0)),
            Some(Popup::Friends { rows: Some(rows), .. }) => users.extend(rows.iter().map(|row| row.0)),
            _ => {}
        }
        let unknown = self.people.unknown(users.into_iter());
        self.look_up(&unknown);
        self.settle_open();
    }

    fn settle_open(&mut self) {
        let read = self.open_row().map(|row| row.read);
        let has_older = self.link.status.is_online() && {
            let areas = Areas::of(self);
            let page = areas.talk.map(|talk| talk.page);
            self.open.as_ref().zip(page).is_some_and(|(open, area)| {
                !open.items.is_empty() && page::visible(self, open, area.width, area.height).is_at_top
            })
        };
        let is_seen = self.in_front && self.is_active;
        let Some(open) = &mut self.open else { return };
        if is_seen
            && open.anchor.is_none()
            && let (Some(newest), Some(read)) = (open.newest(), read)
            && newest > read
        {
            // The node's answer moves the row's; until then the same is not said again.
            self.cmds.push(Cmd::Read { channel: open.id, seq: newest });
            let id = open.id;
            if let Some(row) = self.rows.iter_mut().find(|row| row.channel == id) {
                row.read = newest;
            }
        }
        if has_older
            && !open.loading
            && !open.complete
            && open.items.first().is_some_and(|item| item.seq != Some(Seq(1)))
        {
            open.loading = true;
            self.cmds.push(Cmd::Older(open.id));
        }
    }
}
