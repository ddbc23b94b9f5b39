//! A model of the server: what the nodes share, and the sessions on their links.

use std::collections::{BTreeMap, BTreeSet};

use suda_client::core::io::{Piece, StreamId};
use suda_client::core::rng::Rng;
use suda_client::frames::FrameReader;
use suda_client::schema::channel::{
    Ack, Attached, ChannelDown, ChannelUp, Entries, HistoryAt, HistoryPage, HistoryQuery, Marks, MemberMarks, Op,
    Refused, Send,
};
use suda_client::schema::codec::{Decoded, binary};
use suda_client::schema::control::{
    Authenticated, Closing, ControlDown, ControlUp, GoAway, Hint, Hints, Pong, SyncPage, TokenExpiring, UserEntries,
    Welcome,
};
use suda_client::schema::entry::{Body, Edit, Edited, Entry, Erased, Message, Reaction, Role, What};
use suda_client::schema::event::{ChannelRef, ReadMoved, UserEntry, UserEvent};
use suda_client::schema::open::{Attach, Open, Start};
use suda_client::schema::summary::{ChannelKind, ChannelSummary, MemberMark, Mute};
use suda_client::schema::{ChannelId, ClientMsgId, CloseCode, DeviceId, ErrorCode, Seq, UserId, WireError};

/// What all nodes share.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) channels: BTreeMap<ChannelId, Log>,
    pub(crate) users: BTreeMap<UserId, Vec<UserEntry>>,
}

/// A channel.
#[derive(Default)]
pub(crate) struct Log {
    /// As they were appended.
    pub(crate) raw: Vec<Entry>,
    /// As they are now.
    pub(crate) now: Vec<Entry>,
    pub(crate) ids: BTreeMap<(UserId, ClientMsgId), Seq>,
    pub(crate) members: BTreeSet<UserId>,
    pub(crate) read: BTreeMap<UserId, Seq>,
}

impl Log {
    pub(crate) fn head(&self) -> Seq {
        Seq(self.raw.len() as u64)
    }

    pub(crate) fn unread(&self, user: UserId) -> u64 {
        let read = self.read.get(&user).copied().unwrap_or_default();
        let theirs = |entry: &&Entry| entry.seq > read && entry.by != user && matches!(entry.what, What::Message(_));
        self.raw.iter().filter(theirs).count() as u64
    }

    fn summary(&self, channel: ChannelId, user: UserId) -> ChannelSummary {
        ChannelSummary {
            channel,
            kind: ChannelKind::Group,
            title: "room".to_owned(),
            picture: None,
            peer: None,
            role: Role::Member,
            members: u32::try_from(self.members.len()).unwrap(),
            head: self.head(),
            last_at_ms: self.raw.last().map_or(0, |entry| entry.at_ms),
            read: self.read.get(&user).copied().unwrap_or_default(),
            unread: self.unread(user),
            mute: Mute::Off,
            preview: None,
        }
    }

    /// Appends, unless it is there already.
    fn append(&mut self, now_ms: u64, by: UserId, send: &Send) -> Result<(Seq, u64), WireError> {
        if let Some(seq) = self.ids.get(&(by, send.client_msg_id)) {
            let entry = &self.raw[usize::try_from(seq.0 - 1).unwrap()];
            return Ok((*seq, entry.at_ms));
        }
        if !self.members.contains(&by) {
            return Err(WireError::new(ErrorCode::FORBIDDEN, "no member"));
        }
        let seq = self.head().next();
        let what = match &send.op {
            Op::Message(new) => What::Message(Message {
                body: new.body.clone(),
                reply_to: new.reply_to,
                thread: None,
                mentions: Vec::new(),
                attachments: Vec::new(),
                edited: None,
                reactions: Vec::new(),
            }),
            Op::Edit(edit) => {
                self.live(edit.target, Some(by))?;
                What::Edit(Edit { target: edit.target, body: edit.body.clone(), mentions: Vec::new() })
            }
            Op::Delete(delete) => {
                self.live(delete.target, Some(by))?;
                What::Delete(*delete)
            }
            Op::React(react) => {
                self.live(react.target, None)?;
                What::React(react.clone())
            }
            _ => return Err(WireError::new(ErrorCode::INVALID, "unknown")),
        };
        let entry = Entry { seq, at_ms: now_ms, by, client_msg_id: Some(send.client_msg_id), what };
        self.ids.insert((by, send.client_msg_id), seq);
        self.raw.push(entry.clone());
        self.now.push(entry.clone());
        self.change(&entry);
        Ok((seq, now_ms))
    }

    fn live(&mut self, target: Seq, by: Option<UserId>) -> Result<&mut Message, WireError> {
        let index = usize::try_from(target.0).unwrap().wrapping_sub(1);
        match self.now.get_mut(index) {
            Some(Entry { what: What::Message(message), by: author, .. }) => match message.body {
                Body::Erased(_) => Err(WireError::new(ErrorCode::ERASED, "deleted")),
                _ if by.is_none_or(|by| by == *author) => Ok(message),
                _ => Err(WireError::new(ErrorCode::FORBIDDEN, "not yours")),
            },
            _ => Err(WireError::new(ErrorCode::NOT_FOUND, "no message")),
        }
    }

    /// A change of a message, written independently of the client's own.
    fn change(&mut self, entry: &Entry) {
        let (seq, at_ms, by) = (entry.seq, entry.at_ms, entry.by);
        match &entry.what {
            What::Edit(edit) => {
                let Ok(message) = self.live(edit.target, None) else { return };
                message.body = edit.body.clone();
                let count = message.edited.as_ref().map_or(0, |edited| edited.count) + 1;
                message.edited = Some(Edited { seq, at_ms, count });
            }
            What::Delete(delete) => {
                let Ok(message) = self.live(delete.target, None) else { return };
                message.body = Body::Erased(Erased { seq, by });
                message.reactions.clear();
                let target = delete.target;
                for other in &mut self.now {
                    if let What::Edit(edit) = &mut other.what
                        && edit.target == target
                    {
                        edit.body = Body::Erased(Erased { seq, by });
                    }
                }
            }
            What::React(react) => {
                let Ok(message) = self.live(react.target, None) else { return };
                let mut there = message.reactions.iter().position(|reaction| reaction.emoji == react.emoji);
                if react.on && there.is_none() {
                    message.reactions.push(Reaction { emoji: react.emoji.clone(), count: 0, users: Vec::new() });
                    there = Some(message.reactions.len() - 1);
                }
                let Some(index) = there else { return };
                let reaction = &mut message.reactions[index];
                reaction.users.retain(|user| *user != by);
                if react.on {
                    reaction.users.push(by);
                }
                reaction.count = u32::try_from(reaction.users.len()).unwrap();
                if reaction.count == 0 {
                    message.reactions.remove(index);
                }
            }
            _ => {}
        }
    }
}

impl Store {
    pub(crate) fn event(&mut self, now_ms: u64, user: UserId, event: UserEvent) {
        let log = self.users.entry(user).or_default();
        log.push(UserEntry { seq: Seq(log.len() as u64 + 1), at_ms: now_ms, event });
    }

    pub(crate) fn kick(&mut self, now_ms: u64, channel: ChannelId, user: UserId) {
        if self.channels.get_mut(&channel).is_some_and(|log| log.members.remove(&user)) {
            self.event(now_ms, user, UserEvent::ChannelLeft(ChannelRef { channel }));
        }
    }

    pub(crate) fn add(&mut self, now_ms: u64, channel: ChannelId, user: UserId) {
        if self.channels.entry(channel).or_default().members.insert(user) {
            self.event(now_ms, user, UserEvent::ChannelJoined(ChannelRef { channel }));
        }
    }
}

/// How badly the server behaves.
#[derive(Clone, Copy)]
pub(crate) struct Mood {
    /// One send in so many is refused for a while; 0: none.
    pub(crate) refuse: u64,
    /// One attachment in so many is ended, at each turn.
    pub(crate) drop_attachment: u64,
}

/// A session on a link of one node.
pub(crate) struct Session {
    node: u16,
    in_order: bool,
    /// What came before hello.
    early: Vec<(u32, Piece)>,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) ready: bool,
    expires_ms: u64,
    warned: bool,
    user_at: Seq,
    readers: BTreeMap<u32, FrameReader>,
    opened: BTreeSet<u32>,
    attached: BTreeMap<u32, (ChannelId, Seq)>,
    hinted: BTreeMap<ChannelId, Seq>,
    pub(crate) closed: Option<CloseCode>,
    pub(crate) out: Vec<(StreamId, Piece)>,
}

pub(crate) fn token(user: UserId, device: DeviceId, expires_ms: u64) -> String {
    format!("{}:{}:{expires_ms}", user.0, device.0)
}

impl Session {
    pub(crate) fn new(node: u16, in_order: bool) -> Self {
        Self {
            node,
            in_order,
            early: Vec::new(),
            user: UserId(0),
            device: DeviceId(0),
            ready: false,
            expires_ms: u64::MAX,
            warned: false,
            user_at: Seq::ZERO,
            readers: BTreeMap::new(),
            opened: BTreeSet::new(),
            attached: BTreeMap::new(),
            hinted: BTreeMap::new(),
            closed: None,
            out: Vec::new(),
        }
    }

    fn say<F: serde::Serialize>(&mut self, stream: u32, frame: &F) {
        let mut bytes = Vec::new();
        binary::encode(frame, &mut bytes);
        self.out.push((StreamId(stream), Piece::Data(bytes.into())));
    }

    pub(crate) fn close(&mut self, code: CloseCode) {
        if self.closed.is_none() {
            let closing = Closing { code, message: "the model's".to_owned(), retry_after_ms: None };
            self.say(0, &ControlDown::Closing(closing));
            self.closed = Some(code);
        }
    }

    pub(crate) fn go_away(&mut self, delay_ms: u32) {
        self.say(0, &ControlDown::GoAway(GoAway { delay_ms }));
    }

    pub(crate) fn hear(
        &mut self,
        store: &mut Store,
        rng: &mut Rng,
        mood: Mood,
        now_ms: u64,
        stream: u32,
        piece: &Piece,
    ) {
        if self.closed.is_some() {
            return;
        }
        if !self.ready && stream != 0 {
            // On QUIC it waits until the session stands; on a WebSocket it must not come.
            assert!(!self.in_order, "something came before hello");
            return self.early.push((stream, piece.clone()));
        }
        match piece {
            Piece::Data(bytes) => {
                self.readers.entry(stream).or_default().push(bytes);
                loop {
                    let reader = self.readers.get_mut(&stream).unwrap();
                    if self.opened.contains(&stream) {
                        if stream == 0 {
                            match reader.take::<ControlUp>().expect("well-formed frames") {
                                Some(Decoded::Frame(frame)) => self.control(store, now_ms, frame),
                                _ => return,
                            }
                        } else {
                            match reader.take::<ChannelUp>().expect("well-formed frames") {
                                Some(Decoded::Frame(frame)) => self.channel(store, rng, mood, now_ms, stream, frame),
                                _ => return,
                            }
                        }
                    } else {
                        match reader.take::<Open>().expect("well-formed frames") {
                            Some(Decoded::Frame(Open::Control(hello))) => {
                                assert_eq!(stream, 0);
                                self.opened.insert(0);
                                self.hello(store, now_ms, &hello);
                            }
                            Some(Decoded::Frame(Open::Attach(attach))) => {
                                self.opened.insert(stream);
                                self.attach(store, stream, &attach);
                            }
                            _ => return,
                        }
                    }
                    if self.closed.is_some() {
                        return;
                    }
                }
            }
            Piece::Fin | Piece::Reset(_) if stream == 0 => self.closed = Some(CloseCode::NORMAL),
            Piece::Fin | Piece::Reset(_) => {
                if self.attached.remove(&stream).is_some() {
                    self.say(stream, &closed(CloseCode::DETACHED));
                    self.out.push((StreamId(stream), Piece::Fin));
                }
                self.readers.remove(&stream);
            }
        }
    }

    /// What came before hello, once.
    pub(crate) fn early(&mut self) -> Vec<(u32, Piece)> {
        std::mem::take(&mut self.early)
    }

    fn hello(&mut self, store: &Store, now_ms: u64, hello: &suda_client::schema::open::Hello) {
        let parts: Vec<u64> = hello.token.split(':').map(|part| part.parse().unwrap()).collect();
        if parts[2] <= now_ms {
            return self.close(CloseCode::TOKEN_EXPIRED);
        }
        (self.user, self.device, self.expires_ms) = (UserId(parts[0]), DeviceId(parts[1]), parts[2]);
        self.ready = true;
        let log = store.users.get(&self.user).map_or(0, |log| log.len() as u64);
        let cursor = hello.user_cursor.filter(|cursor| cursor.0 <= log).unwrap_or(Seq(log));
        self.user_at = cursor;
        self.say(
            0,
            &ControlDown::Welcome(Welcome {
                user: self.user,
                device: self.device,
                node: self.node,
                server_time_ms: now_ms,
                token_expires_at_ms: self.expires_ms,
                user_cursor: cursor,
                user_head: Seq(log),
                heartbeat_ms: 5_000,
                dead_after_ms: 30_000,
                attachments_max: 3,
            }),
        );
        let mine = store.channels.iter().filter(|(_, log)| log.members.contains(&self.user));
        let channels: Vec<_> = mine.map(|(id, log)| log.summary(*id, self.user)).collect();
        self.hinted = channels.iter().map(|summary| (summary.channel, summary.head)).collect();
        self.say(0, &ControlDown::SyncPage(SyncPage { request: 0, channels, next: None }));
    }

    fn control(&mut self, store: &mut Store, now_ms: u64, frame: ControlUp) {
        match frame {
            ControlUp::Ping(ping) => {
                self.say(0, &ControlDown::Pong(Pong { nonce: ping.nonce, server_time_ms: now_ms }));
            }
            ControlUp::Authenticate(with) => {
                let expires: u64 = with.token.rsplit(':').next().unwrap().parse().unwrap();
                (self.expires_ms, self.warned) = (expires, false);
                self.say(0, &ControlDown::Authenticated(Authenticated { expires_at_ms: expires }));
            }
            ControlUp::Sync(sync) => {
                let mine = store.channels.iter().filter(|(_, log)| log.members.contains(&self.user));
                let channels: Vec<_> = mine.map(|(id, log)| log.summary(*id, self.user)).collect();
                self.say(0, &ControlDown::SyncPage(SyncPage { request: sync.request, channels, next: None }));
            }
            ControlUp::Mark(mark) => self.mark(store, now_ms, mark.channel, mark.marks),
            _ => {}
        }
    }

    fn mark(&mut self, store: &mut Store, now_ms: u64, channel: ChannelId, marks: Marks) {
        let Some(log) = store.channels.get_mut(&channel).filter(|log| log.members.contains(&self.user)) else { return };
        let read = marks.read.unwrap_or_default().min(log.head());
        if read > log.read.get(&self.user).copied().unwrap_or_default() {
            log.read.insert(self.user, read);
            let unread = log.unread(self.user);
            store.event(now_ms, self.user, UserEvent::Read(ReadMoved { channel, read, unread }));
        }
    }

    fn attach(&mut self, store: &Store, stream: u32, attach: &Attach) {
        let Attach { channel, from } = *attach;
        let log = store.channels.get(&channel).filter(|log| log.members.contains(&self.user));
        let refused = match (log, from) {
            (None, _) => Some(CloseCode::REMOVED),
            (Some(log), Start::After(after)) if after > log.head() => Some(CloseCode::CURSOR_AHEAD),
            _ if self.attached.len() >= 3 => Some(CloseCode::TOO_MANY_ATTACHMENTS),
            _ => None,
        };
        let (Some(log), None) = (log, refused) else {
            self.say(stream, &closed(refused.unwrap_or(CloseCode::INTERNAL)));
            return self.out.push((StreamId(stream), Piece::Fin));
        };
        let after = match from {
            Start::After(after) => after,
            Start::Tail(count) => Seq(log.head().0.saturating_sub(count.into())),
        };
        let old = self.attached.iter().find(|(_, (other, _))| *other == channel).map(|(stream, _)| *stream);
        if let Some(old) = old {
            self.end_attachment(old, CloseCode::DETACHED);
        }
        self.attached.insert(stream, (channel, after));
        self.say(stream, &ChannelDown::Attached(Attached { channel: log.summary(channel, self.user), after }));
        let members = log.read.iter().map(|(user, read)| MemberMark { user: *user, delivered: *read, read: *read });
        self.say(stream, &ChannelDown::Marks(MemberMarks { members: members.collect() }));
    }

    fn end_attachment(&mut self, stream: u32, code: CloseCode) {
        self.attached.remove(&stream);
        self.say(stream, &closed(code));
        self.out.push((StreamId(stream), Piece::Fin));
    }

    fn channel(&mut self, store: &mut Store, rng: &mut Rng, mood: Mood, now_ms: u64, stream: u32, frame: ChannelUp) {
        let Some((channel, _)) = self.attached.get(&stream).copied() else { return };
        match frame {
            ChannelUp::Send(send) => {
                let id = send.client_msg_id;
                let log = store.channels.get_mut(&channel).unwrap();
                let done = if mood.refuse > 0 && rng.below(mood.refuse) == 0 {
                    let code =
                        [ErrorCode::RATE_LIMITED, ErrorCode::UNAVAILABLE][usize::try_from(rng.below(2)).unwrap()];
                    Err(WireError::new(code, "later").retry_after(rng.below(2_000)))
                } else {
                    log.append(now_ms, self.user, &send)
                };
                // It is done, and the answer is lost.
                if mood.refuse > 0 && rng.below(20 * mood.refuse) == 0 {
                    return self.say(stream, &refused(id, WireError::new(ErrorCode::OUTCOME_UNKNOWN, "who knows")));
                }
                match done {
                    Ok((seq, at_ms)) => {
                        self.say(stream, &ChannelDown::Ack(Ack { client_msg_id: id, seq, at_ms }));
                    }
                    Err(error) => self.say(stream, &refused(id, error)),
                }
            }
            ChannelUp::Mark(marks) => self.mark(store, now_ms, channel, marks),
            ChannelUp::History(query) => {
                let page = history(&store.channels[&channel], &query);
                self.say(stream, &ChannelDown::History(page));
            }
            ChannelUp::Typing(_) => {}
        }
    }

    /// Says what is new.
    pub(crate) fn turn(&mut self, store: &Store, rng: &mut Rng, mood: Mood, now_ms: u64) {
        if !self.ready || self.closed.is_some() {
            return;
        }
        if self.expires_ms <= now_ms {
            return self.close(CloseCode::TOKEN_EXPIRED);
        }
        let left_ms = self.expires_ms - now_ms;
        if left_ms < 20_000 && !std::mem::replace(&mut self.warned, true) {
            self.say(0, &ControlDown::TokenExpiring(TokenExpiring { in_ms: left_ms }));
        }
        let log = store.users.get(&self.user).map(Vec::as_slice).unwrap_or_default();
        let news = &log[usize::try_from(self.user_at.0).unwrap()..];
        if !news.is_empty() {
            self.user_at = Seq(log.len() as u64);
            self.say(0, &ControlDown::UserEntries(UserEntries { entries: news.to_vec() }));
        }
        for (stream, (channel, at)) in self.attached.clone() {
            let log = &store.channels[&channel];
            if !log.members.contains(&self.user) {
                self.end_attachment(stream, CloseCode::REMOVED);
                continue;
            }
            if mood.drop_attachment > 0 && rng.below(mood.drop_attachment) == 0 {
                self.attached.remove(&stream);
                self.out.push((StreamId(stream), Piece::Reset(CloseCode::TOO_SLOW)));
                continue;
            }
            // From the hot tail as they were, or from the store as they are.
            let source = if rng.below(2) == 0 { &log.raw } else { &log.now };
            let news: Vec<Entry> = source[usize::try_from(at.0).unwrap()..].to_vec();
            let size = usize::try_from(1 + rng.below(10)).unwrap();
            for entries in news.chunks(size) {
                self.say(stream, &ChannelDown::Entries(Entries { entries: entries.to_vec() }));
            }
            self.attached.insert(stream, (channel, log.head()));
            self.hinted.insert(channel, log.head());
        }
        let mut hints = Vec::new();
        for (channel, log) in store.channels.iter().filter(|(_, log)| log.members.contains(&self.user)) {
            if self.hinted.get(channel).copied().unwrap_or_default() < log.head() {
                self.hinted.insert(*channel, log.head());
                let summary = log.summary(*channel, self.user);
                let (head, last_at_ms, unread) = (summary.head, summary.last_at_ms, summary.unread);
                hints.push(Hint { channel: *channel, head, last_at_ms, unread, preview: None });
            }
        }
        if !hints.is_empty() {
            self.say(0, &ControlDown::Hints(Hints { channels: hints }));
        }
    }
}

fn closed(code: CloseCode) -> ChannelDown {
    ChannelDown::Closed(Closing { code, message: String::new(), retry_after_ms: None })
}

fn refused(client_msg_id: ClientMsgId, error: WireError) -> ChannelDown {
    ChannelDown::Refused(Refused { client_msg_id, error })
}

fn history(log: &Log, query: &HistoryQuery) -> HistoryPage {
    let limit = u64::from(query.limit);
    let (from, to) = match query.at {
        HistoryAt::Before(seq) => (seq.0.saturating_sub(limit).max(1), seq.0),
        _ => (log.head().0.saturating_sub(limit) + 1, log.head().0 + 1),
    };
    let index = |seq: u64| usize::try_from(seq - 1).unwrap();
    let entries = log.now[index(from)..index(to.max(from))].to_vec();
    HistoryPage { request: query.request, entries, more_before: from > 1, more_after: to <= log.head().0 }
}
