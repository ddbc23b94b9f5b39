//! The core of a client: everything but sockets and clocks.
//!
//! Bytes and the time go in; effects, bytes to write, events and the time to look again come out. It runs the same over
//! tokio, in a browser, and in a simulation that plays years of bad network in a minute. A driver
//!
//! 1. calls the method that says what has happened ([`Core::received`], [`Core::dialed`], [`Core::tick`] …),
//! 2. carries out [`Core::poll_effect`] until there is none,
//! 3. writes what [`Core::poll_transmit`] gives for each link, as long as its streams have room,
//! 4. hands out [`Core::poll_event`], and
//! 5. waits for something to happen, or for [`Core::timeout`].
//!
//! | module | idea |
//! |---|---|
//! | [`io`] | what goes in and out |
//! | [`config`] | settings and limits |
//! | `dial`, `connect`, `connection` | transports race; when to try again; a stalled link is replaced |
//! | `link`, [`mux`] | the streams of one link, and how they share a WebSocket |
//! | `session` | the control stream |
//! | `attach` | live views of channels |
//! | [`outbox`], `sending` | sends, until they are acknowledged |
//! | [`log`], [`timeline`] | what is known of a channel, and what it shows |
//! | `channel`, `ask` | the list of channels; marks, typing, history, presence |
//! | [`storage`] | what outlives the app |
//!
//! Times are milliseconds since the Unix epoch, as far as this device knows; they should not jump.

mod ask;
mod attach;
mod channel;
pub mod config;
mod connect;
mod connection;
mod dial;
mod events;
pub mod io;
mod link;
pub mod log;
pub mod mux;
pub mod outbox;
pub mod rng;
mod sending;
mod session;
pub mod storage;
pub mod timeline;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use suda_schema::control::{Presence, PresenceQuery};
use suda_schema::entry::Entry;
use suda_schema::open::Activity;
use suda_schema::summary::{ChannelSummary, MemberMark};
use suda_schema::{ChannelId, ClientMsgId, DeviceId, Seq, UserId};

use self::channel::{Att, Channel};
use self::config::Config;
use self::connection::Connection;
use self::events::Events;
use self::io::{Effect, Event, LinkId, RequestId, Status, StreamId, Token, Transmit};
use self::outbox::Outbox;
use self::rng::Rng;
use self::session::Session;
use self::storage::{State, Storage, StorageError};
use self::timeline::Update;

/// How long changes of the small state may wait before they are kept.
const STATE_WITHIN_MS: u64 = 2_000;

/// A client without I/O.
pub struct Core {
    config: Config,
    rng: Rng,
    storage: Box<dyn Storage>,
    events: Events,
    effects: VecDeque<Effect>,
    connection: Connection,
    session: Session,
    activity: Activity,
    me: UserId,
    device: DeviceId,
    /// How far the user's own log has been read; `None` if it never was.
    user_cursor: Option<Seq>,
    channels: BTreeMap<ChannelId, Channel>,
    /// Those with something to do: all others rest.
    busy: BTreeSet<ChannelId>,
    /// The choice of what is attached is to be made again.
    choose: bool,
    /// Whether the list of channels is complete.
    complete: bool,
    /// When it was last known to be up to date, by the server's clock.
    live_ms: u64,
    outbox: Outbox,
    presence: BTreeMap<UserId, Presence>,
    /// Questions about presence, and whether they were sent.
    presence_asks: VecDeque<(PresenceQuery, bool)>,
    next_request: u32,
    state_due_ms: Option<u64>,
    login: Option<Vec<u8>>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("user", &self.me).field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Core {
    /// A client that does not connect before it is told to. The seed must come from the system's randomness, and must
    /// be another one each time.
    #[must_use]
    pub fn new(config: Config, storage: Box<dyn Storage>, token: Token, seed: u64, now_ms: u64) -> Self {
        let mut rng = Rng::new(seed);
        let connection = Connection::new(&config, token, rng.next_u64());
        let mut core = Self {
            config,
            rng,
            storage,
            events: Events::default(),
            effects: VecDeque::new(),
            connection,
            session: Session::default(),
            activity: Activity::Active,
            me: UserId::default(),
            device: DeviceId::default(),
            user_cursor: None,
            channels: BTreeMap::new(),
            busy: BTreeSet::new(),
            choose: true,
            complete: false,
            live_ms: 0,
            outbox: Outbox::default(),
            presence: BTreeMap::new(),
            presence_asks: VecDeque::new(),
            next_request: 1,
            state_due_ms: None,
            login: None,
        };
        core.restore(now_ms);
        core
    }

    fn restore(&mut self, now_ms: u64) {
        let saved = match self.storage.load() {
            Ok(saved) => saved,
            Err(error) => return self.events.push(Event::StorageFailed(error.0)),
        };
        self.login = saved.login;
        if let Some(state) = saved.state {
            (self.me, self.device) = (state.user, state.device);
            self.user_cursor = Some(state.user_cursor);
            (self.complete, self.live_ms) = (state.complete, state.live_ms);
            for summary in state.channels {
                let channel = summary.channel;
                self.channels.entry(channel).or_default().summary = Some(summary);
            }
            for (channel, read) in state.reads {
                self.channels.entry(channel).or_default().read_wanted = Some(read);
                self.busy.insert(channel);
            }
            self.events.push(Event::ChannelList);
        }
        for pending in saved.outbox {
            let channel = pending.channel;
            // What was taken once is not refused for want of room now.
            let bytes = self.outbox.check(&Config::default(), &pending).unwrap_or(0);
            self.outbox.restore(pending, bytes);
            self.channels.entry(channel).or_default().looked_ms = now_ms;
            self.busy.insert(channel);
        }
    }

    /// Lets time pass. Everything that is due is done.
    pub fn tick(&mut self, now_ms: u64) {
        self.connect_due(now_ms);
        self.session_due(now_ms);
        self.channels_due(now_ms);
        if self.state_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.save();
        }
    }

    /// When something is due next, if nothing happens before.
    #[must_use]
    pub fn timeout(&self, now_ms: u64) -> Option<u64> {
        let times = [self.connect_next(), self.session_next(), self.channels_next(now_ms), self.state_due_ms];
        times.into_iter().flatten().min()
    }

    /// The next thing for the driver to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// The next event for the app.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// The next bytes to write on a link, on a stream that has room. Streams take turns.
    pub fn poll_transmit(&mut self, link: LinkId, has_room: &mut dyn FnMut(StreamId) -> bool) -> Option<Transmit> {
        self.connection.links.get_mut(&link)?.transmit(has_room)
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn status(&self) -> Status {
        self.connection.status(&self.session)
    }

    /// Who this is; the default before the first session.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.me
    }

    /// Which device this is.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// How many sends wait to be acknowledged.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        self.outbox.len()
    }

    /// The channels that the user is in, as far as they are known, by activity.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelSummary> {
        let live = self.channels.values().filter(|channel| !channel.gone);
        let mut list: Vec<ChannelSummary> = live.filter_map(|channel| channel.summary.clone()).collect();
        list.sort_by_key(|summary| (std::cmp::Reverse(summary.last_at_ms), summary.channel));
        list
    }

    /// Whether that is all of them.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// One of them.
    #[must_use]
    pub fn channel(&self, channel: ChannelId) -> Option<&ChannelSummary> {
        self.channels.get(&channel)?.summary.as_ref()
    }

    /// Whether the app was told that the user is not in this channel.
    #[must_use]
    pub fn is_gone(&self, channel: ChannelId) -> bool {
        self.channels.get(&channel).is_some_and(|channel| channel.gone)
    }

    /// What a channel shows: everything, or what changed after a version that was returned before; `None` if the
    /// channel is not open or nothing of it is known.
    pub fn timeline(&self, channel: ChannelId, since: Option<u64>) -> Option<(u64, Update)> {
        let state = self.channels.get(&channel)?;
        let log = state.log.as_ref()?;
        let since = since.filter(|since| state.can_tell_since(*since));
        let mut update = timeline::update(log, self.outbox.queue(channel), self.me, since);
        update.removed = state.removed_since(since);
        Some((log.version(), update))
    }

    /// A number that counts up with everything that [`Self::timeline`] shows.
    #[must_use]
    pub fn version(&self, channel: ChannelId) -> Option<u64> {
        self.channels.get(&channel)?.log.as_ref().map(log::ChannelLog::version)
    }

    /// The entries of a channel after a seq that are held, at most so many; `None` if some of them are not held any
    /// more, or were not yet: [`Self::history`] has them.
    #[must_use]
    pub fn entries(&self, channel: ChannelId, after: Seq, most: usize) -> Option<Vec<Entry>> {
        let log = self.channels.get(&channel)?.log.as_ref()?;
        Some(log.after(after)?.take(most).cloned().collect())
    }

    /// The log of a channel, as far as it is held.
    #[must_use]
    pub fn log(&self, channel: ChannelId) -> Option<&log::ChannelLog> {
        self.channels.get(&channel)?.log.as_ref()
    }

    /// Who types in a channel.
    #[must_use]
    pub fn typing_in(&self, channel: ChannelId) -> Vec<UserId> {
        self.channels.get(&channel).map(|channel| channel.typing.keys().copied().collect()).unwrap_or_default()
    }

    /// How far the members of a channel have got, in channels where one is told.
    #[must_use]
    pub fn marks(&self, channel: ChannelId) -> Vec<MemberMark> {
        self.channels.get(&channel).map(|channel| channel.marks.values().copied().collect()).unwrap_or_default()
    }

    /// What is known of somebody's presence.
    #[must_use]
    pub fn presence_of(&self, user: UserId) -> Option<Presence> {
        self.presence.get(&user).copied()
    }

    /// Looks at a channel: its entries come, live. Each call is to be followed by one of [`Self::close`].
    pub fn open(&mut self, now_ms: u64, channel: ChannelId) {
        self.load(channel);
        let state = self.channels.entry(channel).or_default();
        state.opened = state.opened.saturating_add(1);
        state.looked_ms = now_ms;
        self.busy.insert(channel);
        self.choose = true;
        self.tick(now_ms);
    }

    /// Does not look at a channel any more. It stays attached as long as there is room.
    pub fn close(&mut self, now_ms: u64, channel: ChannelId) {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.opened = state.opened.saturating_sub(1);
            state.looked_ms = now_ms;
            self.choose = true;
        }
        self.shed_logs();
        self.tick(now_ms);
    }

    /// The logs of the channels that were looked at longest ago leave the memory.
    fn shed_logs(&mut self) {
        let idle = |state: &Channel| state.opened == 0 && state.log.is_some() && state.att == Att::Idle;
        let mut held: Vec<(u64, ChannelId)> =
            self.channels.iter().filter(|(_, state)| idle(state)).map(|(id, state)| (state.looked_ms, *id)).collect();
        if held.len() > self.config.logs_cached_max {
            held.sort_unstable();
            for (_, id) in held.iter().take(held.len() - self.config.logs_cached_max) {
                if let Some(state) = self.channels.get_mut(id)
                    && !self.outbox.is_waiting(*id)
                {
                    state.unload();
                }
            }
        }
    }

    /// Brings back what was kept of a channel.
    fn load(&mut self, channel: ChannelId) {
        let state = self.channels.entry(channel).or_default();
        if state.log.is_none() && !std::mem::replace(&mut state.loaded, true) {
            let version = state.last_version;
            let kept = self.storage.entries(channel);
            let entries = self.kept(kept).unwrap_or_default();
            let most = self.config.entries_cached_max;
            let log = log::ChannelLog::restore(entries, version).map(|mut log| {
                log.trim(most);
                log
            });
            if let Some(state) = self.channels.get_mut(&channel) {
                state.log = log;
            }
        }
    }

    fn kept<T>(&mut self, result: Result<T, StorageError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.events.push(Event::StorageFailed(error.0));
                None
            }
        }
    }

    /// The small state changed, and is to be kept soon.
    fn state_changed(&mut self, now_ms: u64) {
        if self.storage.keeps() {
            self.state_due_ms.get_or_insert(now_ms.saturating_add(STATE_WITHIN_MS));
        }
    }

    /// Keeps what is to be kept now. To be called before the app ends.
    pub fn save(&mut self) {
        self.state_due_ms = None;
        let Some(user_cursor) = self.user_cursor.filter(|_| self.storage.keeps()) else { return };
        let live = || self.channels.iter().filter(|(_, channel)| !channel.gone);
        let state = State {
            user: self.me,
            device: self.device,
            user_cursor,
            channels: live().filter_map(|(_, channel)| channel.summary.clone()).collect(),
            complete: self.complete,
            live_ms: self.live_ms,
            reads: live().filter_map(|(id, channel)| Some((*id, channel.read_wanted?))).collect(),
        };
        let kept = self.storage.put_state(&state);
        self.kept(kept);
    }

    /// The login that was kept, as the driver has put it.
    #[must_use]
    pub fn kept_login(&self) -> Option<&[u8]> {
        self.login.as_deref()
    }

    /// Keeps a login for the next time, or none.
    pub fn keep_login(&mut self, login: Option<Vec<u8>>) {
        let put = self.storage.put_login(login.as_deref());
        self.kept(put);
        self.login = login;
    }

    /// Somebody has logged in: connects as them. What is known of somebody else is forgotten.
    pub fn log_in(&mut self, now_ms: u64, user: UserId, device: DeviceId, token: Token) {
        if self.me != user && self.me != UserId::default() {
            self.disconnect(now_ms);
            self.forget_all();
        }
        if self.device != device {
            // Another device's place in the log is not this one's; the list of channels is looked through anew.
            (self.complete, self.live_ms) = (false, 0);
        }
        (self.me, self.device) = (user, device);
        self.token(now_ms, Ok(token));
        self.connect(now_ms);
    }

    /// Nobody is logged in any more: everything is forgotten.
    pub fn log_out(&mut self, now_ms: u64) {
        self.disconnect(now_ms);
        self.forget_all();
        self.keep_login(None);
        self.token(now_ms, Ok(Token::default()));
    }

    fn forget_all(&mut self) {
        let cleared = self.storage.clear();
        self.kept(cleared);
        for (channel, _) in std::mem::take(&mut self.channels) {
            self.events.push(Event::ChannelGone(channel));
        }
        self.busy.clear();
        self.outbox = Outbox::default();
        self.presence.clear();
        self.presence_asks.clear();
        (self.me, self.device) = (UserId::default(), DeviceId::default());
        (self.user_cursor, self.complete, self.live_ms) = (None, false, 0);
        self.state_due_ms = None;
        self.events.push(Event::ChannelList);
    }

    /// What the server has said of a channel by another way, such as when it was made.
    pub fn learn(&mut self, now_ms: u64, summary: ChannelSummary) {
        self.summary(summary);
        self.events.push(Event::ChannelList);
        self.state_changed(now_ms);
        self.tick(now_ms);
    }

    /// An id that nobody has had before.
    pub fn new_id(&mut self) -> ClientMsgId {
        self.rng.message_id()
    }

    /// Whether a link is of any use. One that is not may be dropped.
    #[must_use]
    pub fn has_link(&self, link: LinkId) -> bool {
        self.connection.links.contains_key(&link)
    }

    fn request(&mut self) -> RequestId {
        let id = self.next_request;
        // 0 means "none".
        self.next_request = self.next_request.checked_add(1).unwrap_or(1);
        RequestId(id)
    }
}
