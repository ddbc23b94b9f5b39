//! What a session listens to beside its attachments: its user's other channels, and the presence of friends and partners;
//! and whom it does not listen to at all.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use suda_schema::{ChannelId, Seq, UserId};
use tokio::sync::SetOnce;

use super::session::Session;
use crate::chat::presence::WatchList;

/// Kept with the node's [`Interest`](super::interest::Interest) in step, under one lock.
#[derive(Default)]
pub(super) struct Listening {
    state: Mutex<State>,
    /// Whom the user has blocked, sorted; `None` until that is known.
    blocked: Mutex<Option<Arc<[UserId]>>>,
    /// Whether it is known whose presence to watch, and that is being listened to.
    circle: SetOnce<()>,
}

#[derive(Default)]
struct State {
    /// The user's channels.
    channels: HashMap<ChannelId, Heard>,
    watched: HashSet<UserId>,
    /// Those among them who may not be seen, and of whom nothing is shown any more.
    hidden: HashSet<UserId>,
    /// The session is over: it listens to nothing any more.
    closed: bool,
}

#[derive(Clone, Copy, Default)]
struct Heard {
    /// The newest entry that the client has been told of.
    head: Seq,
    /// There is an attachment, which tells it.
    attached: bool,
}

impl Listening {
    /// The user is a member of this channel; whether that is news.
    pub(super) fn joined(&self, session: &Arc<Session>, channel: ChannelId) -> bool {
        let mut state = self.state();
        if state.closed || state.channels.contains_key(&channel) {
            return false;
        }
        let attached = session.attachment(channel).is_some();
        state.channels.insert(channel, Heard { head: Seq::ZERO, attached });
        if !attached {
            session.node.channels.add(channel, session);
        }
        true
    }

    /// The user is no longer a member.
    pub(super) fn left(&self, session: &Session, channel: ChannelId) {
        let mut state = self.state();
        if let Some(heard) = state.channels.remove(&channel)
            && !heard.attached
        {
            session.node.channels.remove(channel, session);
        }
    }

    /// An attachment hears what happens in this channel from now on.
    pub(super) fn attached(&self, session: &Session, channel: ChannelId) {
        let mut state = self.state();
        if let Some(heard) = state.channels.get_mut(&channel)
            && !std::mem::replace(&mut heard.attached, true)
        {
            session.node.channels.remove(channel, session);
        }
    }

    /// The attachment, which was at `cursor`, is over.
    pub(super) fn detached(&self, session: &Arc<Session>, channel: ChannelId, cursor: Seq) {
        let mut state = self.state();
        if state.closed || session.attachment(channel).is_some() {
            return;
        }
        if let Some(heard) = state.channels.get_mut(&channel)
            && std::mem::replace(&mut heard.attached, false)
        {
            heard.head = heard.head.max(cursor);
            session.node.channels.add(channel, session);
            drop(state);
            // Something may have happened between the last look and now.
            session.feed.hint(session, channel);
        }
    }

    /// How far the client has been told of a channel, if it is to be told by hints.
    pub(super) fn hinted_to(&self, channel: ChannelId) -> Option<Seq> {
        self.state().channels.get(&channel).filter(|heard| !heard.attached).map(|heard| heard.head)
    }

    /// The client is told of a channel up to here.
    pub(super) fn hinted(&self, channel: ChannelId, head: Seq) {
        if let Some(heard) = self.state().channels.get_mut(&channel) {
            heard.head = heard.head.max(head);
        }
    }

    /// From now on these users' presence is watched, and no others'.
    pub(super) fn watch(&self, session: &Arc<Session>, list: WatchList) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let wanted: HashSet<UserId> = list.watched.into_iter().take(session.node.config.watched_max).collect();
        for &user in wanted.difference(&state.watched) {
            session.node.watchers.add(user, session);
        }
        for &user in state.watched.difference(&wanted) {
            session.node.watchers.remove(user, session);
        }
        // Of those who were watched before, it is their presence that says whether they may be seen now.
        let State { watched, hidden, .. } = &mut *state;
        hidden.retain(|user| wanted.contains(user));
        hidden.extend(list.hidden.iter().filter(|user| wanted.contains(*user) && !watched.contains(*user)));
        *watched = wanted;
    }

    /// Some whose presence has changed may not be seen, and others may: those of whom something may still be shown.
    pub(super) fn hide(&self, unseen: impl Iterator<Item = UserId>, seen: impl Iterator<Item = UserId>) -> Vec<UserId> {
        let State { watched, hidden, .. } = &mut *self.state();
        seen.for_each(|user| _ = hidden.remove(&user));
        unseen.filter(|user| !watched.contains(user) || hidden.insert(*user)).collect()
    }

    /// Those whose presence is watched are listened to, on other nodes as well.
    pub(super) fn circle_is_known(&self) {
        // It stays known when it is read again.
        let _ = self.circle.set(());
    }

    /// Waits until they are: who asks then, and listens, misses nothing.
    pub(super) async fn circle_known(&self) {
        self.circle.wait().await;
    }

    /// Whom the user has blocked.
    pub(super) fn block(&self, mut users: Vec<UserId>) {
        users.sort_unstable();
        *lock(&self.blocked) = Some(users.into());
    }

    /// Whom the user has blocked; `None` as long as that is not known.
    pub(super) fn blocked(&self) -> Option<Arc<[UserId]>> {
        lock(&self.blocked).clone()
    }

    /// Whether the client is to be shown that this user types.
    pub(super) fn wants_typing_of(&self, user: UserId) -> bool {
        lock(&self.blocked).as_ref().is_some_and(|blocked| blocked.binary_search(&user).is_err())
    }

    /// Listens to nothing any more.
    pub(super) fn close(&self, session: &Session) {
        let mut state = self.state();
        state.closed = true;
        for (channel, heard) in state.channels.drain() {
            if !heard.attached {
                session.node.channels.remove(channel, session);
            }
        }
        for user in state.watched.drain() {
            session.node.watchers.remove(user, session);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
