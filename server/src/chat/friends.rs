//! Friends, requests and blocks.
//!
//! What is between two users is kept twice, once from each one's view, and always written together: who asks about one
//! side reads one row. Each change is an event in the logs of both as fits; who is blocked is not told so, but sees a
//! friendship end.

use serde::{Deserialize, Serialize};
use suda_schema::UserId;
use suda_schema::event::{UserEvent, UserRef};
use utoipa::ToSchema;

use super::settings::{self, Audience};
use super::{Chat, ChatError, Row, Topic, Tx, accounts, contact, user_log};
use crate::store::keys;

/// The most users in one page of a list.
pub const FRIENDS_PAGE_MAX: usize = 500;

/// What one user is to another, from the first one's view. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Relation {
    /// Since when they are friends.
    pub friend_since_ms: Option<u64>,
    /// When I asked them to be a friend, without an answer yet.
    pub sent_at_ms: Option<u64>,
    /// When they asked me.
    pub received_at_ms: Option<u64>,
    /// When I blocked them.
    pub blocked_at_ms: Option<u64>,
    /// When they blocked me. Not to be shown to me.
    pub blocked_by_at_ms: Option<u64>,
}

impl Row for Relation {
    const NAME: &'static str = "relation";
}

impl Relation {
    /// Whether they are friends.
    #[must_use]
    pub fn is_friend(&self) -> bool {
        self.friend_since_ms.is_some()
    }

    /// Whether either has blocked the other.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked_at_ms.is_some() || self.blocked_by_at_ms.is_some()
    }

    /// Whether the other one is among those to whom I allow something.
    #[must_use]
    pub fn allows(&self, audience: Audience) -> bool {
        match audience {
            _ if self.is_blocked() => false,
            Audience::Everyone => true,
            Audience::Friends => self.is_friend(),
            Audience::Nobody => false,
        }
    }

    fn in_list(&self, list: List) -> Option<u64> {
        match list {
            List::Friends => self.friend_since_ms,
            List::Sent => self.sent_at_ms,
            List::Received => self.received_at_ms,
            List::Blocked => self.blocked_at_ms,
        }
    }
}

/// The lists that a user has of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// Friends.
    Friends,
    /// Those who were asked.
    Sent,
    /// Those who ask.
    Received,
    /// Those who are blocked.
    Blocked,
}

impl List {
    const ALL: [Self; 4] = [Self::Friends, Self::Sent, Self::Received, Self::Blocked];

    /// The number that the key layout has for the list.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Friends => 0,
            Self::Sent => 1,
            Self::Received => 2,
            Self::Blocked => 3,
        }
    }
}

/// How many are in each list of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Counts([u32; 4]);

impl Row for Counts {
    const NAME: &'static str = "relation counts";
}

/// One user in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listed {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub since_ms: u64,
}

/// A page of a list, in the order of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// The users.
    pub users: Vec<Listed>,
    /// After whom the next page begins; `None` after the last.
    pub next: Option<UserId>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Requested {
    /// It waits for an answer.
    Sent,
    /// They are friends: they were already, or the other one had asked too.
    Friends,
}

impl Chat {
    /// Asks somebody to be a friend. Asking twice is asking once; two who ask each other are friends.
    pub async fn request_friend(&self, me: UserId, other: UserId) -> Result<Requested, ChatError> {
        self.run_idempotent(|tx| async move { request(&tx, me, other).await }).await
    }

    /// Accepts somebody's request. Accepting a friend changes nothing.
    pub async fn accept_friend(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let mut pair = Pair::read(&tx, me, other).await?;
            if pair.mine.received_at_ms.is_none() {
                let friends = pair.mine.is_friend();
                return if friends { Ok(()) } else { Err(ChatError::NotFound("friend request")) };
            }
            pair.befriend(&tx);
            pair.write(&tx).await?;
            pair.tell(&tx, UserEvent::FriendAdded, UserEvent::FriendAdded).await
        })
        .await
    }

    /// Refuses somebody's request. There being none changes nothing.
    pub async fn refuse_friend(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
        self.end(me, other, |relation| relation.received_at_ms.is_some()).await
    }

    /// Takes a request back. There being none changes nothing.
    pub async fn cancel_friend_request(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
        self.end(me, other, |relation| relation.sent_at_ms.is_some()).await
    }

    /// Ends a friendship. There being none changes nothing.
    pub async fn remove_friend(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
        self.end(me, other, Relation::is_friend).await
    }

    async fn end(&self, me: UserId, other: UserId, applies: fn(&Relation) -> bool) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let mut pair = Pair::read(&tx, me, other).await?;
            if !applies(&pair.mine) {
                return Ok(());
            }
            pair.part();
            pair.write(&tx).await?;
            pair.tell(&tx, UserEvent::FriendRemoved, UserEvent::FriendRemoved).await
        })
        .await
    }

    /// Blocks somebody: whatever was between the two ends, and nothing may begin. They are not told.
    pub async fn block(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move { block(&tx, me, other).await }).await
    }

    /// Takes a block back. There being none changes nothing.
    pub async fn unblock(&self, me: UserId, other: UserId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let mut pair = Pair::read(&tx, me, other).await?;
            if pair.mine.blocked_at_ms.take().is_none() {
                return Ok(());
            }
            pair.theirs.blocked_by_at_ms = None;
            pair.write(&tx).await?;
            contact::blocking_changed(&tx, me, other).await?;
            pair.tell_me(&tx, &[UserEvent::Unblocked(UserRef { user: other })]).await
        })
        .await
    }

    /// What `other` is to `me`.
    pub async fn relation(&self, me: UserId, other: UserId) -> Result<Relation, ChatError> {
        self.read(|tx| async move { relation(&tx, me, other).await }).await
    }

    /// A page of one of my lists, after this user.
    pub async fn list_users(
        &self,
        me: UserId,
        list: List,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<ListPage, ChatError> {
        self.read(|tx| async move { page(&tx, me, list, after, limit).await }).await
    }
}

/// What `other` is to `me`, read within a transaction: the row conflicts with whoever changes it.
pub(super) async fn relation(tx: &Tx, me: UserId, other: UserId) -> Result<Relation, ChatError> {
    Ok(tx.row(&keys::relation(me, other)).await?.unwrap_or_default())
}

/// A page of a list within a transaction.
pub(super) async fn page(
    tx: &Tx,
    me: UserId,
    list: List,
    after: Option<UserId>,
    limit: usize,
) -> Result<ListPage, ChatError> {
    let rows = keys::listed_after(me, list.number(), after);
    let page = tx.range(rows.limit(limit.clamp(1, FRIENDS_PAGE_MAX))).await?;
    let listed = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
        let user = keys::listed_other(key)?;
        let since_ms = u64::from_le_bytes(value.as_ref().try_into().ok()?);
        Some(Listed { user, since_ms })
    };
    let users: Option<Vec<Listed>> = page.rows.iter().map(listed).collect();
    let users = users.ok_or(ChatError::BadRow("relation list"))?;
    let next = if page.more { users.last().map(|last| last.user) } else { None };
    Ok(ListPage { users, next })
}

async fn request(tx: &Tx, me: UserId, other: UserId) -> Result<Requested, ChatError> {
    let mut pair = Pair::read(tx, me, other).await?;
    accounts::live(tx, me).await?;
    accounts::live(tx, other).await?;
    if pair.mine.is_blocked() {
        return Err(ChatError::Blocked);
    }
    if pair.mine.is_friend() {
        return Ok(Requested::Friends);
    }
    if pair.mine.sent_at_ms.is_some() {
        return Ok(Requested::Sent);
    }
    if pair.mine.received_at_ms.is_some() {
        pair.befriend(tx);
        pair.write(tx).await?;
        pair.tell(tx, UserEvent::FriendAdded, UserEvent::FriendAdded).await?;
        return Ok(Requested::Friends);
    }
    if settings::get(tx, other).await?.friend_requests_from != Audience::Everyone {
        return Err(ChatError::Forbidden("this user does not take friend requests"));
    }
    pair.mine.sent_at_ms = Some(tx.now_ms());
    pair.theirs.received_at_ms = Some(tx.now_ms());
    pair.write(tx).await?;
    pair.tell(tx, UserEvent::FriendRequestSent, UserEvent::FriendRequest).await?;
    Ok(Requested::Sent)
}

async fn block(tx: &Tx, me: UserId, other: UserId) -> Result<(), ChatError> {
    let mut pair = Pair::read(tx, me, other).await?;
    accounts::live(tx, me).await?;
    accounts::known(tx, other).await?;
    if pair.mine.blocked_at_ms.is_some() {
        return Ok(());
    }
    let ended = pair.part();
    pair.mine.blocked_at_ms = Some(tx.now_ms());
    pair.theirs.blocked_by_at_ms = Some(tx.now_ms());
    pair.write(tx).await?;
    contact::blocking_changed(tx, me, other).await?;
    if ended {
        pair.tell(tx, UserEvent::FriendRemoved, UserEvent::FriendRemoved).await?;
    }
    pair.tell_me(tx, &[UserEvent::Blocked(UserRef { user: other })]).await
}

/// Takes everything away that is between two users, for when one of them deletes the account. The one who stays is told
/// what they can know of.
pub async fn forget(tx: &Tx, leaving: UserId, other: UserId) -> Result<(), ChatError> {
    let mut pair = Pair::read(tx, leaving, other).await?;
    let ended = pair.part();
    let was_blocked = pair.theirs.blocked_at_ms.is_some();
    (pair.mine, pair.theirs) = (Relation::default(), Relation::default());
    pair.write(tx).await?;
    let mut events = Vec::new();
    if ended {
        events.push(UserEvent::FriendRemoved(UserRef { user: leaving }));
    }
    if was_blocked {
        events.push(UserEvent::Unblocked(UserRef { user: leaving }));
    }
    user_log::append(tx, other, &events).await.map(drop)
}

/// Some of those who have something to do with this user, blocks in either direction included.
pub async fn anybody(tx: &Tx, user: UserId, limit: usize) -> Result<Vec<UserId>, ChatError> {
    let page = tx.range(keys::relations(user).limit(limit)).await?;
    let users: Option<Vec<UserId>> = page.rows.iter().map(|(key, _)| keys::relation_other(key)).collect();
    users.ok_or(ChatError::BadRow("relation"))
}

/// Both views of what is between two users, to be changed together.
struct Pair {
    me: UserId,
    other: UserId,
    mine: Relation,
    theirs: Relation,
    /// As they were read, for the lists and counts.
    before: (Relation, Relation),
}

impl Pair {
    async fn read(tx: &Tx, me: UserId, other: UserId) -> Result<Self, ChatError> {
        if me == other {
            return Err(ChatError::invalid("user", "is yourself"));
        }
        let (mine, theirs) = (relation(tx, me, other).await?, relation(tx, other, me).await?);
        Ok(Self { me, other, mine, theirs, before: (mine, theirs) })
    }

    /// Makes the two friends.
    fn befriend(&mut self, tx: &Tx) {
        self.part();
        self.mine.friend_since_ms = Some(tx.now_ms());
        self.theirs.friend_since_ms = Some(tx.now_ms());
    }

    /// Ends a friendship and all requests; whether there was one of them.
    fn part(&mut self) -> bool {
        let Relation { friend_since_ms, sent_at_ms, received_at_ms, .. } = self.mine;
        for side in [&mut self.mine, &mut self.theirs] {
            (side.friend_since_ms, side.sent_at_ms, side.received_at_ms) = (None, None, None);
        }
        [friend_since_ms, sent_at_ms, received_at_ms].iter().any(Option::is_some)
    }

    /// Writes both views, the lists they are in, and how many there are.
    async fn write(&self, tx: &Tx) -> Result<(), ChatError> {
        write_side(tx, (self.me, self.other), &self.before.0, &self.mine).await?;
        write_side(tx, (self.other, self.me), &self.before.1, &self.theirs).await
    }

    /// Tells both, and those who watch their presence, that something is different.
    async fn tell(
        &self,
        tx: &Tx,
        mine: fn(UserRef) -> UserEvent,
        theirs: fn(UserRef) -> UserEvent,
    ) -> Result<(), ChatError> {
        self.tell_me(tx, &[mine(UserRef { user: self.other })]).await?;
        user_log::append(tx, self.other, &[theirs(UserRef { user: self.me })]).await.map(drop)
    }

    async fn tell_me(&self, tx: &Tx, events: &[UserEvent]) -> Result<(), ChatError> {
        // Who may see whom has changed with it.
        tx.wake(Topic::Presence(self.me));
        tx.wake(Topic::Presence(self.other));
        user_log::append(tx, self.me, events).await.map(drop)
    }
}

async fn write_side(
    tx: &Tx,
    (owner, other): (UserId, UserId),
    before: &Relation,
    after: &Relation,
) -> Result<(), ChatError> {
    let counts_key = keys::list_counts(owner);
    let mut counts: Counts = tx.row(&counts_key).await?.unwrap_or_default();
    for (list, count) in List::ALL.into_iter().zip(&mut counts.0) {
        let key = keys::listed(owner, list.number(), other);
        match (before.in_list(list), after.in_list(list)) {
            (None, Some(since_ms)) => {
                check_room(tx, list, *count)?;
                *count += 1;
                tx.set(key, since_ms.to_le_bytes().to_vec());
            }
            (Some(_), None) => {
                *count = count.saturating_sub(1);
                tx.clear(key);
            }
            _ => {}
        }
    }
    tx.set_row(counts_key, &counts);
    let key = keys::relation(owner, other);
    if *after == Relation::default() {
        tx.clear(key);
    } else {
        tx.set_row(key, after);
    }
    Ok(())
}

fn check_room(tx: &Tx, list: List, count: u32) -> Result<(), ChatError> {
    let limits = tx.chat().limits();
    let (what, max) = match list {
        List::Friends => ("friends", limits.friends_max),
        List::Sent | List::Received => ("friend requests", limits.friend_requests_max),
        List::Blocked => ("blocked users", limits.blocks_max),
    };
    if count < max { Ok(()) } else { Err(ChatError::LimitReached { what, max: max.into() }) }
}
