//! A channel as one member sees it from outside.

use futures_util::future::{try_join, try_join4};
use suda_schema::summary::{ChannelKind, ChannelSummary, Mute};
use suda_schema::{ChannelId, Seq, UserId};

use super::row::{ChannelRow, HeadRow, JoinedRow, MarkRow, MemberRow};
use super::{ChatError, Tx, channels, log, members, roster};
use crate::store::keys;

/// What a member's view of a channel's log is made of.
pub(super) struct View {
    pub(super) head: HeadRow,
    pub(super) mark: MarkRow,
    /// How many messages they have sent.
    pub(super) own: u64,
}

impl View {
    /// Reads it: three rows, whatever the length of the log.
    pub(super) async fn read(tx: &Tx, user: UserId, channel: ChannelId) -> Result<Self, ChatError> {
        let mark = async { Ok(tx.row::<MarkRow>(&keys::mark(channel, user)).await?.unwrap_or_default()) };
        let own = log::own_count(tx, channel, user, Seq(u64::MAX));
        let (head, (mark, own)) = try_join(log::head(tx, channel), try_join(mark, own)).await?;
        Ok(Self { head, mark, own })
    }

    /// How many messages of others are unread.
    pub(super) fn unread(&self) -> u64 {
        self.mark.unread(self.head.msgs, self.own)
    }
}

/// The summary of a channel for a member; `None` for others.
pub(super) async fn find(tx: &Tx, user: UserId, channel: ChannelId) -> Result<Option<ChannelSummary>, ChatError> {
    let joined = async { tx.row::<JoinedRow>(&keys::joined(user, channel)).await };
    let (row, member, joined, count) = try_join4(
        channels::find(tx, channel),
        members::role_of(tx, channel, user),
        joined,
        roster::member_count(tx, channel),
    )
    .await?;
    let (Some(row), Some(member)) = (row, member) else { return Ok(None) };
    let view = View::read(tx, user, channel).await?;
    Ok(Some(summary(user, channel, row, member, joined.map_or(Mute::Off, |joined| joined.mute), count, view)))
}

/// The same, or the answer that there is no such channel.
pub(super) async fn require(tx: &Tx, user: UserId, channel: ChannelId) -> Result<ChannelSummary, ChatError> {
    find(tx, user, channel).await?.ok_or(ChatError::NotFound("channel"))
}

fn summary(
    user: UserId,
    channel: ChannelId,
    row: ChannelRow,
    member: MemberRow,
    mute: Mute,
    members: u64,
    view: View,
) -> ChannelSummary {
    let unread = view.unread();
    let peer = row.pair.filter(|_| row.kind == ChannelKind::Direct);
    ChannelSummary {
        channel,
        kind: row.kind,
        title: row.title,
        picture: row.picture,
        peer: peer.map(|(one, other)| if one == user { other } else { one }),
        role: member.role,
        members: u32::try_from(members).unwrap_or(u32::MAX),
        head: view.head.seq,
        last_at_ms: view.head.last_at_ms,
        read: view.mark.read,
        unread,
        mute,
        preview: view.head.preview,
    }
}
