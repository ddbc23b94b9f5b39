//! How membership changes within a transaction: the rows that belong together, written in one place.
//!
//! A member is: a member row; for roles above member a second copy among the staff, so that a channel of tens of
//! thousands finds its admins; an entry in the user's own list of channels; one in each of the two counts; a mark that
//! begins where they came in.

use futures_util::future::{try_join, try_join_all, try_join3};
use suda_schema::entry::{Member, MemberChange, Role, What};
use suda_schema::event::{ChannelRef, UserEvent};
use suda_schema::summary::{ChannelKind, Mute};
use suda_schema::{ChannelId, Seq, UserId};

use super::draft::Draft;
use super::row::{BanRow, ChannelRow, JoinedRow, MarkRow, MemberRow};
use super::{ChatError, Topic, Tx, log, members, user_log};
use crate::store::{Range, keys};

/// The log, for a change of membership. A broadcast channel's is only looked at: such a change says nothing in it, and
/// must not get in the way of those who post.
pub(super) async fn open_log(tx: &Tx, channel: ChannelId, kind: ChannelKind) -> Result<Draft, ChatError> {
    match kind {
        ChannelKind::Group => Draft::open(tx, channel).await,
        ChannelKind::Direct | ChannelKind::Broadcast => Ok(Draft::over(tx, channel, log::head(tx, channel).await?)),
    }
}

/// Lets users in with these roles. Those who are members already are passed over; one who is banned, or a limit, fails
/// it all.
pub(super) async fn let_in(
    tx: &Tx,
    channel: ChannelId,
    row: &ChannelRow,
    draft: &mut Draft,
    by: UserId,
    users: &[(UserId, Role)],
) -> Result<(), ChatError> {
    let mut joining: Vec<Joining> = Vec::new();
    let found = try_join_all(users.iter().map(|&(user, role)| Joining::read(tx, channel, user, role))).await?;
    for new in found.into_iter().flatten() {
        if !joining.iter().any(|other| other.user == new.user) {
            joining.push(new);
        }
    }
    if joining.is_empty() {
        return Ok(());
    }
    require_room(tx, channel, row.kind, joining.len()).await?;
    for Joining { user, role, .. } in &joining {
        if row.kind == ChannelKind::Group || *role == Role::Owner {
            draft.push(by, None, What::Member(Member { user: *user, change: MemberChange::Joined(*role) }));
        }
        put_member(tx, channel, *user, MemberRow { role: *role, joined_at_ms: tx.now_ms() });
        tx.set_row(keys::joined(*user, channel), &JoinedRow { mute: mute_at_first(row.kind), kind: row.kind });
        tx.add(keys::joins(*user), 1);
    }
    // Their marks begin behind all of it: nobody has anything to catch up with.
    let (read, read_msgs) = (draft.head().seq, draft.head().msgs);
    for Joining { user, own, .. } in &joining {
        let mark = MarkRow { read, read_msgs, read_own: *own, delivered: read };
        tx.set_row(keys::mark(channel, *user), &mark);
    }
    tx.add(keys::member_count(channel), i64::try_from(joining.len()).unwrap_or(i64::MAX));
    // Nobody has lost a right by it. In a group the log's new entries wake those who look; in a broadcast channel, where
    // thousands may come in a minute, nobody is to be woken.
    let event = [UserEvent::ChannelJoined(ChannelRef { channel })];
    try_join_all(joining.iter().map(|joining| user_log::append(tx, joining.user, &event))).await?;
    Ok(())
}

/// A broadcast channel says much to many: it notifies of mentions, until one asks for more by `mute: off`.
fn mute_at_first(kind: ChannelKind) -> Mute {
    match kind {
        ChannelKind::Direct | ChannelKind::Group => Mute::Off,
        ChannelKind::Broadcast => Mute::MentionsOnly,
    }
}

/// Somebody who comes in.
struct Joining {
    user: UserId,
    role: Role,
    /// How many messages they had sent when they were a member before.
    own: u64,
}

impl Joining {
    /// `None` for one who is a member already.
    async fn read(tx: &Tx, channel: ChannelId, user: UserId, role: Role) -> Result<Option<Self>, ChatError> {
        let max = tx.chat().limits().channels_per_user_max;
        let (member, (ban, channels), own) = try_join3(
            members::role_of(tx, channel, user),
            try_join(async { tx.row::<BanRow>(&keys::banned(channel, user)).await }, count(tx, keys::joins(user))),
            log::own_count(tx, channel, user, Seq(u64::MAX)),
        )
        .await?;
        if member.is_some() {
            return Ok(None);
        }
        if ban.is_some() {
            return Err(ChatError::Forbidden("banned from this channel"));
        }
        if channels >= u64::from(max) {
            return Err(ChatError::LimitReached { what: "channels of one user", max: max.into() });
        }
        Ok(Some(Self { user, role, own }))
    }
}

/// Whether so many more may come in. In a group the log's head, which each of them writes, makes this exact; a broadcast
/// channel may end a few above its limit if they come at the same moment.
async fn require_room(tx: &Tx, channel: ChannelId, kind: ChannelKind, more: usize) -> Result<(), ChatError> {
    let limits = tx.chat().limits();
    let max = match kind {
        ChannelKind::Direct => 2,
        ChannelKind::Group => limits.group_members_max.into(),
        ChannelKind::Broadcast => limits.broadcast_members_max.into(),
    };
    if member_count(tx, channel).await?.saturating_add(more as u64) > max {
        return Err(ChatError::LimitReached { what: "members", max });
    }
    Ok(())
}

/// Takes a member out. That it is said is the caller's: see [`say`].
pub(super) async fn put_out(tx: &Tx, channel: ChannelId, user: UserId) -> Result<(), ChatError> {
    clear_member(tx, channel, user);
    tx.add(keys::member_count(channel), -1);
    rights_changed(tx, channel);
    user_log::append(tx, user, &[UserEvent::ChannelLeft(ChannelRef { channel })]).await?;
    Ok(())
}

/// Everything that made a user a member, except for the channel's own count.
pub(super) fn clear_member(tx: &Tx, channel: ChannelId, user: UserId) {
    tx.clear(keys::member(channel, user));
    tx.clear(keys::staff(channel, user));
    tx.clear(keys::mark(channel, user));
    tx.clear(keys::pushed(channel, user));
    tx.clear(keys::joined(user, channel));
    tx.add(keys::joins(user), -1);
}

/// Gives a member another role.
pub(super) fn change_role(
    tx: &Tx,
    channel: ChannelId,
    draft: &mut Draft,
    by: UserId,
    (user, member): (UserId, MemberRow),
) {
    put_member(tx, channel, user, member);
    draft.push(by, None, What::Member(Member { user, change: MemberChange::Role(member.role) }));
    rights_changed(tx, channel);
}

/// Says in the log that somebody came, went or is kept out; in a broadcast channel it is not said.
pub(super) fn say(draft: &mut Draft, kind: ChannelKind, by: UserId, user: UserId, change: MemberChange) {
    if kind == ChannelKind::Group {
        draft.push(by, None, What::Member(Member { user, change }));
    }
}

/// Tells live views to ask again who may do what: somebody may do less than before, or more.
pub(super) fn rights_changed(tx: &Tx, channel: ChannelId) {
    tx.add(keys::rights_changes(channel), 1);
    tx.wake(Topic::Channel(channel));
}

fn put_member(tx: &Tx, channel: ChannelId, user: UserId, member: MemberRow) {
    tx.set_row(keys::member(channel, user), &member);
    if member.role > Role::Member {
        tx.set_row(keys::staff(channel, user), &member);
    } else {
        tx.clear(keys::staff(channel, user));
    }
}

/// How many members a channel has.
pub(super) async fn member_count(tx: &Tx, channel: ChannelId) -> Result<u64, ChatError> {
    count(tx, keys::member_count(channel)).await
}

/// A number that is kept by atomic additions.
pub(super) async fn count(tx: &Tx, key: Vec<u8>) -> Result<u64, ChatError> {
    let Some(value) = tx.get_snapshot(&key).await? else { return Ok(0) };
    let bytes = <[u8; 8]>::try_from(&value[..]).map_err(|_| ChatError::BadRow("count"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Who becomes the owner when the owner goes: of the highest role below, the one who has been in for the longest. In a
/// broadcast channel only those who may post come into question.
pub(super) async fn heir(
    tx: &Tx,
    channel: ChannelId,
    kind: ChannelKind,
    owner: UserId,
) -> Result<Option<(UserId, MemberRow)>, ChatError> {
    let range = if kind == ChannelKind::Broadcast { keys::all_staff(channel) } else { keys::members(channel) };
    let mut next: Option<Range> = Some(range);
    let mut best: Option<(UserId, MemberRow)> = None;
    while let Some(range) = next {
        let page = tx.range(range).await?;
        for (key, value) in &page.rows {
            let user = keys::last_number(key).map(UserId).ok_or(ChatError::BadRow("member"))?;
            let member: MemberRow = super::tx::decode_row(value)?;
            let rank =
                |(user, member): (UserId, MemberRow)| (std::cmp::Reverse(member.role), member.joined_at_ms, user);
            if user != owner && best.is_none_or(|best| rank((user, member)) < rank(best)) {
                best = Some((user, member));
            }
        }
        next = page.next();
    }
    Ok(best)
}
