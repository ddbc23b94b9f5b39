//! What a session tells its client without being asked: its user's log, presence of others, hints. Others only mark what
//! there is; a task reads it and writes it to the outbox, and exists only while there is something marked. What is marked
//! is bounded by what the session listens to, however often it is marked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use suda_schema::control::{ControlDown, Hint, Hints, Presence, PresenceList, Status, UserEntries};
use suda_schema::event::{ChannelRef, UserEntry, UserEvent};
use suda_schema::limits::{CONTROL_BYTES_MAX, PRESENCE_USERS_MAX};
use suda_schema::{ChannelId, CloseCode, Seq, UserId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::session::Session;
use crate::channel::Ended;
use crate::chat::friends::List;
use crate::chat::{ChatError, Topic};

/// How many entries of the user's log are read at a time.
const USER_LOG_PAGE: usize = 200;
/// How many channels one round of hints is about at most; others wait for the next.
const HINTS_AT_ONCE: usize = 200;
/// How many of them are read side by side.
const HINT_READS_AT_ONCE: usize = 8;
/// How many blocked users are read at a time.
const BLOCKED_PAGE: usize = 500;
/// When to try again what the store could not do.
const AGAIN_MS: u64 = 500;

/// What is marked to be told.
#[derive(Default)]
pub(super) struct Feed {
    state: Mutex<State>,
    /// The task should look again before its time.
    sooner: Notify,
}

#[derive(Default)]
struct State {
    running: bool,
    /// The user's log is to be read, from here.
    user: bool,
    cursor: Seq,
    /// Friends, partners and blocked users are to be read.
    circle: bool,
    presence: HashSet<UserId>,
    hints: HashSet<ChannelId>,
    /// When hints may be sent again.
    hints_at: Option<Instant>,
}

/// The next thing to do.
enum Next {
    User(Seq),
    Circle,
    Presence(Vec<UserId>),
    Hints(Vec<ChannelId>),
    Wait(Instant),
}

impl Feed {
    /// Begins at this place in the user's log.
    pub(super) fn begin(&self, session: &Arc<Session>, cursor: Seq) {
        self.mark(session, |state| {
            state.cursor = cursor;
            (state.user, state.circle) = (true, true);
        });
    }

    /// The user's topic was rung.
    pub(super) fn user(&self, session: &Arc<Session>) {
        self.mark(session, |state| state.user = true);
    }

    /// The presence of somebody who is watched has changed.
    pub(super) fn presence(&self, session: &Arc<Session>, user: UserId) {
        self.mark(session, |state| _ = state.presence.insert(user));
    }

    /// Something happened in a channel that is not attached.
    pub(super) fn hint(&self, session: &Arc<Session>, channel: ChannelId) {
        self.mark(session, |state| _ = state.hints.insert(channel));
    }

    fn mark(&self, session: &Arc<Session>, mark: impl FnOnce(&mut State)) {
        let mut state = self.state();
        mark(&mut state);
        if std::mem::replace(&mut state.running, true) {
            self.sooner.notify_one();
        } else {
            tokio::spawn(run(Arc::clone(session)));
        }
    }

    fn next(&self, session: &Session) -> Option<Next> {
        let mut state = self.state();
        if session.outbox.has_ended() {
            state.running = false;
            return None;
        }
        let next = state.next();
        state.running = next.is_some();
        if next.is_none() {
            state.presence.shrink_to(4);
            state.hints.shrink_to(4);
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Next> {
        if std::mem::take(&mut self.user) {
            return Some(Next::User(self.cursor));
        }
        if std::mem::take(&mut self.circle) {
            return Some(Next::Circle);
        }
        if !self.presence.is_empty() {
            return Some(Next::Presence(take_some(&mut self.presence, PRESENCE_USERS_MAX)));
        }
        if self.hints.is_empty() {
            return None;
        }
        match self.hints_at.filter(|at| *at > Instant::now()) {
            Some(at) => Some(Next::Wait(at)),
            None => Some(Next::Hints(take_some(&mut self.hints, HINTS_AT_ONCE))),
        }
    }
}

fn take_some<T: Copy + Eq + std::hash::Hash>(from: &mut HashSet<T>, most: usize) -> Vec<T> {
    let taken: Vec<T> = from.iter().copied().take(most).collect();
    for item in &taken {
        from.remove(item);
    }
    taken
}

async fn run(session: Arc<Session>) {
    while let Some(next) = session.feed.next(&session) {
        let done = match &next {
            Next::User(cursor) => feed_user(&session, *cursor).await,
            Next::Circle => read_circle(&session).await,
            Next::Presence(users) => feed_presence(&session, users).await,
            Next::Hints(channels) => feed_hints(&session, channels).await,
            Next::Wait(until) => {
                tokio::select! {
                    () = tokio::time::sleep_until(*until) => {}
                    () = session.feed.sooner.notified() => {}
                }
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::warn!(user = %session.user, %error, "could not read what a session is to be told");
            next.again(&session);
            tokio::time::sleep(Duration::from_millis(AGAIN_MS)).await;
        }
    }
}

impl Next {
    /// Marks it anew: it could not be done.
    fn again(self, session: &Session) {
        let mut state = session.feed.state();
        match self {
            Self::User(_) => state.user = true,
            Self::Circle => state.circle = true,
            Self::Presence(users) => state.presence.extend(users),
            Self::Hints(channels) => state.hints.extend(channels),
            Self::Wait(_) => {}
        }
    }
}

/// Finds out whether the session may go on, and tells what is new in the user's log.
async fn feed_user(session: &Arc<Session>, mut cursor: Seq) -> Result<(), ChatError> {
    let standing = session.node.chat.session_check(&session.caller()).await?;
    if let Some(code) = standing.close_code() {
        session.end(&Ended::new(code, "this device or its token is no longer valid"));
        return Ok(());
    }
    loop {
        let page = session.node.chat.user_log_after(session.user, cursor, USER_LOG_PAGE).await?;
        let Some(last) = page.entries.last() else { return Ok(()) };
        cursor = last.seq;
        heed(session, &page.entries).await?;
        session.node.metrics.user_entries.inc_by(page.entries.len() as u64);
        let frame = session.encode(&ControlDown::UserEntries(UserEntries { entries: page.entries }));
        if !session.outbox.push_when_room(frame).await {
            return Ok(());
        }
        session.feed.state().cursor = cursor;
        if cursor >= page.head {
            return Ok(());
        }
    }
}

/// Does what events of the user's log mean for this session.
async fn heed(session: &Arc<Session>, entries: &[UserEntry]) -> Result<(), ChatError> {
    for entry in entries {
        match entry.event {
            UserEvent::ChannelJoined(ChannelRef { channel }) => {
                let is_news = session.listening.joined(session, channel);
                if session.node.chat.is_heard_apart(session.user, channel).await? {
                    session.node.chat.peers().listen(&[Topic::Channel(channel)]).await?;
                }
                let mut state = session.feed.state();
                state.circle = true;
                if is_news {
                    // What happened before it was listened to on other nodes.
                    state.hints.insert(channel);
                }
            }
            UserEvent::ChannelLeft(ChannelRef { channel }) => left(session, channel).await?,
            UserEvent::FriendAdded(_)
            | UserEvent::FriendRemoved(_)
            | UserEvent::Blocked(_)
            | UserEvent::Unblocked(_) => session.feed.state().circle = true,
            _ => {}
        }
    }
    Ok(())
}

/// The user was a member of a channel no longer, and may be one again.
async fn left(session: &Arc<Session>, channel: ChannelId) -> Result<(), ChatError> {
    session.note_left();
    let Some(ended) = session.node.membership_end(session.user, channel).await? else { return Ok(()) };
    session.listening.left(session, channel);
    if let Some((attachment, _)) = session.attachment(channel) {
        attachment.end(ended);
    }
    Ok(())
}

/// Reads whose presence to watch, and whom the user has blocked.
async fn read_circle(session: &Arc<Session>) -> Result<(), ChatError> {
    let chat = &session.node.chat;
    let mut blocked: Vec<UserId> = Vec::new();
    let mut after = None;
    loop {
        let page = chat.list_users(session.user, List::Blocked, after, BLOCKED_PAGE).await?;
        blocked.extend(page.users.iter().map(|listed| listed.user));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    session.listening.block(blocked);
    session.listening.watch(session, chat.presence_watch_list(session.user).await?);
    session.listening.circle_is_known();
    Ok(())
}

async fn feed_presence(session: &Session, asked: &[UserId]) -> Result<(), ChatError> {
    let mut users = session.node.chat.presence_of(session.user, asked).await?;
    let hidden = asked.iter().filter(|asked| !users.iter().any(|shown| shown.user == **asked));
    // They may be seen no longer: a block is not told, but what was shown of them must not stay as it was. Once: that
    // they come and go while they are hidden is not to be seen either.
    let hidden = session.listening.hide(hidden.copied(), users.iter().map(|shown| shown.user));
    users.extend(hidden.into_iter().map(|user| Presence { user, status: Status::Offline, last_active_at_ms: 0 }));
    if !users.is_empty() {
        session.node.metrics.presences.inc_by(users.len() as u64);
        let frame = session.encode(&ControlDown::Presence(PresenceList { request: 0, users }));
        session.outbox.push_when_room(frame).await;
    }
    Ok(())
}

async fn feed_hints(session: &Session, channels: &[ChannelId]) -> Result<(), ChatError> {
    let interval = Duration::from_millis(session.node.config.hint_interval_ms);
    session.feed.state().hints_at = Some(Instant::now() + interval);
    let chat = &session.node.chat;
    let reads = channels.iter().copied().map(|channel| async move {
        let Some(told) = session.listening.hinted_to(channel) else { return Ok(None) };
        Ok::<_, ChatError>(chat.hint(session.user, channel).await?.filter(|hint| hint.head > told))
    });
    let mut reads = stream::iter(reads).buffered(HINT_READS_AT_ONCE);
    let mut hints: Vec<Hint> = Vec::new();
    while let Some(read) = reads.next().await {
        hints.extend(read?);
    }
    send_hints(session, hints).await;
    Ok(())
}

/// Sends hints, in as many frames as it takes.
async fn send_hints(session: &Session, hints: Vec<Hint>) {
    let mut rest = hints;
    while !rest.is_empty() {
        let mut count = rest.len();
        let frame = loop {
            let channels = rest.get(..count).unwrap_or_default().to_vec();
            let frame = session.encode(&ControlDown::Hints(Hints { channels }));
            if frame.len() <= CONTROL_BYTES_MAX || count == 1 {
                break frame;
            }
            count = count.div_ceil(2);
        };
        if !session.outbox.push_when_room(frame).await {
            return;
        }
        session.node.metrics.hints.inc_by(count as u64);
        for hint in rest.drain(..count) {
            session.listening.hinted(hint.channel, hint.head);
        }
    }
}

impl super::node::Node {
    /// Why the user's attachment of this channel is to end; `None` if they are a member.
    pub(super) async fn membership_end(&self, user: UserId, channel: ChannelId) -> Result<Option<Ended>, ChatError> {
        if self.chat.hint(user, channel).await?.is_some() {
            return Ok(None);
        }
        let is_there = self.chat.pulse(channel).await?.is_some();
        Ok(Some(if is_there {
            Ended::new(CloseCode::REMOVED, "no longer a member of this channel")
        } else {
            Ended::new(CloseCode::CHANNEL_GONE, "the channel was deleted")
        }))
    }
}
