//! Who is in a channel, and what they may do in it.
//!
//! | | direct | group | broadcast |
//! |---|---|---|---|
//! | post, edit, react | both | every member | posters, admins, the owner |
//! | delete a message | its author | its author, admins, the owner | its author, admins, the owner |
//! | add, kick, ban, invite, title, picture | nobody | admins, the owner | admins, the owner |
//! | change a role | nobody | admins and the owner, of and to roles below their own | the same |
//! | transfer, delete the channel | nobody | the owner | the owner |
//! | leave | nobody | everybody | everybody |
//!
//! A change of who may do what writes the member's row, which every append reads; tells the user's own log; counts it in
//! the channel's pulse, by which live views find out; and says so in the log. In a broadcast channel coming and going is
//! not said in the log: there may be tens of thousands.

use futures_util::future::{try_join, try_join_all};
use suda_schema::entry::{MemberChange, Role};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, UserId};

use super::draft::Draft;
use super::roster::{change_role, heir, let_in, open_log, put_out, say};
use super::row::{BanRow, ChannelRow, MemberRow};
use super::{Chat, ChatError, Row, Tx, channels, contact};
use crate::store::{Range, keys};

/// The most users that one call adds.
pub const ADDED_AT_ONCE_MAX: usize = 100;
/// The most members, or bans, in one page.
pub const MEMBERS_PAGE_MAX: usize = 1_000;

/// What a member may do, as a live view needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberState {
    /// Of the channel.
    pub kind: ChannelKind,
    /// Of the member.
    pub role: Role,
    /// Whether they may send messages (and typing) now: their role allows it, and in a direct channel nobody blocks and
    /// both accounts live.
    pub can_post: bool,
}

/// A member, as members see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberInfo {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at_ms: u64,
}

/// A banned user, as admins see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BanInfo {
    /// Who.
    pub user: UserId,
    /// Who banned them.
    pub by: UserId,
    /// Since when.
    pub at_ms: u64,
}

/// One page of a list that is ordered by user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersPage<T> {
    /// The page.
    pub items: Vec<T>,
    /// The user after whom the next page begins, if there is one.
    pub next: Option<UserId>,
}

impl Chat {
    /// What a user may do in a channel; `None` if they are not a member, or it is gone.
    pub async fn member_state(&self, channel: ChannelId, user: UserId) -> Result<Option<MemberState>, ChatError> {
        self.read(|tx| async move { state(&tx, channel, user).await }).await
    }

    /// The same for many users at once, in their order: what a hub asks when the channel's pulse says that it may have
    /// changed.
    pub async fn member_states(
        &self,
        channel: ChannelId,
        users: &[UserId],
    ) -> Result<Vec<Option<MemberState>>, ChatError> {
        self.read(|tx| async move { try_join_all(users.iter().map(|&user| state(&tx, channel, user))).await }).await
    }

    /// A page of the members, by user id.
    pub async fn members(
        &self,
        by: UserId,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<UsersPage<MemberInfo>, ChatError> {
        self.read(|tx| async move {
            require(&tx, channel, by).await?;
            page(&tx, keys::members_after(channel, after.unwrap_or_default()), limit, |user, row: MemberRow| {
                MemberInfo { user, role: row.role, joined_at_ms: row.joined_at_ms }
            })
            .await
        })
        .await
    }

    /// A page of the banned users, by user id; for admins.
    pub async fn bans(
        &self,
        by: UserId,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<UsersPage<BanInfo>, ChatError> {
        self.read(|tx| async move {
            require_admin(&tx, channel, by).await?;
            page(&tx, keys::banned_after(channel, after.unwrap_or_default()), limit, |user, row: BanRow| BanInfo {
                user,
                by: row.by,
                at_ms: row.at_ms,
            })
            .await
        })
        .await
    }

    /// Adds users; those who are members already stay as they are. An admin's right.
    pub async fn add_members(&self, by: UserId, channel: ChannelId, users: &[UserId]) -> Result<(), ChatError> {
        if users.len() > ADDED_AT_ONCE_MAX {
            return Err(ChatError::TooLarge { field: "members", max: ADDED_AT_ONCE_MAX, unit: "items" });
        }
        self.run_idempotent(|tx| async move {
            let (row, _) = require_admin(&tx, channel, by).await?;
            try_join_all(users.iter().filter(|&&user| user != by).map(|&user| contact::may_add(&tx, by, user))).await?;
            let mut draft = open_log(&tx, channel, row.kind).await?;
            let joining: Vec<_> = users.iter().map(|&user| (user, Role::Member)).collect();
            let_in(&tx, channel, &row, &mut draft, by, &joining).await?;
            draft.write(&tx).map(drop)
        })
        .await
    }

    /// Leaves. If the owner does, the longest-standing of the highest role becomes the owner; if nobody is left, the
    /// channel is deleted. The owner of a broadcast channel without other posters must hand it over or delete it.
    pub async fn leave(&self, user: UserId, channel: ChannelId) -> Result<(), ChatError> {
        let emptied = self.run(|tx| async move { leave(&tx, channel, user, false).await }).await?;
        if emptied {
            self.sweep_or_later(channel).await;
        }
        Ok(())
    }

    /// Removes a member of a lower role; they may be added again.
    pub async fn kick(&self, by: UserId, channel: ChannelId, user: UserId) -> Result<(), ChatError> {
        self.run(|tx| async move {
            let (row, actor) = require_admin(&tx, channel, by).await?;
            let member = role_of(&tx, channel, user).await?.ok_or(ChatError::NotFound("member"))?;
            require_above(actor.role, member.role)?;
            let mut draft = open_log(&tx, channel, row.kind).await?;
            say(&mut draft, row.kind, by, user, MemberChange::Kicked);
            put_out(&tx, channel, user).await?;
            draft.write(&tx).map(drop)
        })
        .await
    }

    /// Removes a member of a lower role, or keeps out who is none, until unbanned.
    pub async fn ban(&self, by: UserId, channel: ChannelId, user: UserId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let (row, actor) = require_admin(&tx, channel, by).await?;
            let key = keys::banned(channel, user);
            let (member, banned) = try_join(role_of(&tx, channel, user), tx.row::<BanRow>(&key)).await?;
            if banned.is_some() {
                return Ok(());
            }
            match member {
                Some(member) => require_above(actor.role, member.role)?,
                None if by == user => return Err(ChatError::Forbidden("nobody bans themselves")),
                None => contact::require_user(&tx, user).await?,
            }
            tx.set_row(key, &BanRow { by, at_ms: tx.now_ms() });
            let mut draft = open_log(&tx, channel, row.kind).await?;
            say(&mut draft, row.kind, by, user, MemberChange::Banned);
            if member.is_some() {
                put_out(&tx, channel, user).await?;
            }
            draft.write(&tx).map(drop)
        })
        .await
    }

    /// Lets a banned user be added again, or join.
    pub async fn unban(&self, by: UserId, channel: ChannelId, user: UserId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let (row, _) = require_admin(&tx, channel, by).await?;
            let key = keys::banned(channel, user);
            if tx.get(&key).await?.is_none() {
                return Ok(());
            }
            tx.clear(key);
            let mut draft = open_log(&tx, channel, row.kind).await?;
            say(&mut draft, row.kind, by, user, MemberChange::Unbanned);
            draft.write(&tx).map(drop)
        })
        .await
    }

    /// Gives a member another role, below one's own; the owner's is given by [`Chat::transfer`].
    pub async fn set_role(&self, by: UserId, channel: ChannelId, user: UserId, role: Role) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            let (_, actor) = require_admin(&tx, channel, by).await?;
            let member = role_of(&tx, channel, user).await?.ok_or(ChatError::NotFound("member"))?;
            if member.role == role {
                return Ok(());
            }
            require_above(actor.role, member.role)?;
            require_above(actor.role, role)?;
            let mut draft = Draft::open(&tx, channel).await?;
            change_role(&tx, channel, &mut draft, by, (user, MemberRow { role, ..member }));
            draft.write(&tx).map(drop)
        })
        .await
    }

    /// Makes another member the owner, and oneself an admin.
    pub async fn transfer(&self, by: UserId, channel: ChannelId, to: UserId) -> Result<(), ChatError> {
        self.run(|tx| async move {
            let (_, actor) = require_admin(&tx, channel, by).await?;
            if actor.role != Role::Owner {
                return Err(ChatError::Forbidden("only the owner hands over a channel"));
            }
            if by == to {
                return Ok(());
            }
            let heir = role_of(&tx, channel, to).await?.ok_or(ChatError::NotFound("member"))?;
            let mut draft = Draft::open(&tx, channel).await?;
            change_role(&tx, channel, &mut draft, by, (to, MemberRow { role: Role::Owner, ..heir }));
            change_role(&tx, channel, &mut draft, by, (by, MemberRow { role: Role::Admin, ..actor }));
            draft.write(&tx).map(drop)
        })
        .await
    }
}

/// Whether a role may post.
pub(super) fn may_post(kind: ChannelKind, role: Role) -> bool {
    kind != ChannelKind::Broadcast || role >= Role::Poster
}

async fn state(tx: &Tx, channel: ChannelId, user: UserId) -> Result<Option<MemberState>, ChatError> {
    let (row, member) = try_join(channels::find(tx, channel), role_of(tx, channel, user)).await?;
    let (Some(row), Some(MemberRow { role, .. })) = (row, member) else { return Ok(None) };
    let can_post = !row.closed && may_post(row.kind, role) && !contact::pair_is_blocked(tx, row.pair).await?;
    Ok(Some(MemberState { kind: row.kind, role, can_post }))
}

/// The row of a member.
pub(super) async fn role_of(tx: &Tx, channel: ChannelId, user: UserId) -> Result<Option<MemberRow>, ChatError> {
    tx.row(&keys::member(channel, user)).await
}

/// The channel and the member, or the answer that there is no such channel: one who is not a member learns no more.
pub(super) async fn require(tx: &Tx, channel: ChannelId, user: UserId) -> Result<(ChannelRow, MemberRow), ChatError> {
    let (row, member) = try_join(channels::find(tx, channel), role_of(tx, channel, user)).await?;
    row.zip(member).ok_or(ChatError::NotFound("channel"))
}

/// The same for what admins and the owner may do.
pub(super) async fn require_admin(
    tx: &Tx,
    channel: ChannelId,
    user: UserId,
) -> Result<(ChannelRow, MemberRow), ChatError> {
    let (row, member) = require(tx, channel, user).await?;
    if row.kind == ChannelKind::Direct {
        return Err(ChatError::Forbidden("a direct channel has no admins"));
    }
    if member.role < Role::Admin {
        return Err(ChatError::Forbidden("only admins and the owner may do this"));
    }
    Ok((row, member))
}

fn require_above(actor: Role, role: Role) -> Result<(), ChatError> {
    if actor > role { Ok(()) } else { Err(ChatError::Forbidden("only a higher role may do this")) }
}

/// Leaves, whoever it is; whether the channel is deleted with it. `forced` is for an account that goes: then nothing may
/// be in the way.
pub(super) async fn leave(tx: &Tx, channel: ChannelId, user: UserId, forced: bool) -> Result<bool, ChatError> {
    let (row, member) = require(tx, channel, user).await?;
    if row.kind == ChannelKind::Direct {
        return Err(ChatError::Forbidden("a direct channel can't be left; mute it, or block the other"));
    }
    let mut draft = open_log(tx, channel, row.kind).await?;
    if member.role == Role::Owner {
        match heir(tx, channel, row.kind, user).await? {
            Some((heir, member)) => {
                // The head of a broadcast channel's log is only now known to be needed.
                draft = Draft::open(tx, channel).await?;
                say(&mut draft, row.kind, user, user, MemberChange::Left);
                change_role(tx, channel, &mut draft, user, (heir, MemberRow { role: Role::Owner, ..member }));
            }
            None if row.kind == ChannelKind::Group || forced => {
                channels::doom(tx, channel, row);
                return Ok(true);
            }
            None => return Err(ChatError::Forbidden("hand the channel over or delete it; nobody else posts in it")),
        }
    } else {
        say(&mut draft, row.kind, user, user, MemberChange::Left);
    }
    put_out(tx, channel, user).await?;
    draft.write(tx).map(|_| false)
}

async fn page<R: Row, T>(
    tx: &Tx,
    range: Range,
    limit: usize,
    item: impl Fn(UserId, R) -> T,
) -> Result<UsersPage<T>, ChatError> {
    let page = tx.range(range.snapshot().limit(limit.clamp(1, MEMBERS_PAGE_MAX))).await?;
    let rows = page.rows.iter().map(|(key, value)| {
        Ok::<_, ChatError>((
            keys::last_number(key).map(UserId).ok_or(ChatError::BadRow(R::NAME))?,
            super::tx::decode_row(value)?,
        ))
    });
    let rows: Vec<(UserId, R)> = rows.collect::<Result<_, _>>()?;
    let next = rows.last().filter(|_| page.more).map(|(user, _)| *user);
    Ok(UsersPage { items: rows.into_iter().map(|(user, row)| item(user, row)).collect(), next })
}
