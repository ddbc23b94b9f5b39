//! The list of a user's channels, by recent activity; hints for one channel; and the pulse by which live views find out
//! what kind of change has woken them.

use std::cmp::Reverse;

use futures_util::future::{try_join, try_join_all, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use suda_schema::control::{Hint, SyncCursor, SyncPage};
use suda_schema::limits::SYNC_PAGE_MAX;
use suda_schema::{ChannelId, Seq, UserId};

use super::row::{HeadRow, JoinedRow};
use super::summary::{self, View};
use super::tx::decode_row;
use super::{Chat, ChatError, Topic, Tx, audience, channels, log, members, roster};
use crate::store::{Range, keys};

/// How many heads are read side by side.
const READS_AT_ONCE: usize = 256;

/// A page of the channel list, and what it is a page of.
#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    /// The page; its request number is the caller's to set.
    pub page: SyncPage,
    /// All channels of the user, for the caller to listen to.
    pub channels: Vec<ChannelId>,
}

/// What can have changed about a channel, as numbers to compare with those seen before. A live view that is woken reads
/// this first, and then only what has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// The head of the log.
    pub head: Seq,
    /// Grows when somebody was removed, or may do more or less than before: then members' states must be asked for
    /// again.
    pub rights: u64,
    /// Grows when members' marks have moved.
    pub marks: u64,
}

impl Chat {
    /// A page of the user's channels by activity, the newest first, after this place.
    pub async fn sync(&self, user: UserId, after: Option<SyncCursor>, limit: u16) -> Result<Synced, ChatError> {
        self.read(|tx| async move {
            let all = joined(&tx, user).await?;
            let heads = stream::iter(all.clone()).map(|channel| last_at_ms(&tx, channel)).buffered(READS_AT_ONCE);
            let heads: Vec<Option<SyncCursor>> = heads.try_collect().await?;
            let mut places: Vec<_> = heads.into_iter().flatten().map(order).collect();
            places.sort_unstable();
            let first = after.map_or(0, |after| places.partition_point(|place| *place <= order(after)));
            let rest = places.get(first..).unwrap_or_default();
            let limit = usize::from(limit.clamp(1, SYNC_PAGE_MAX));
            let taken = rest.iter().take(limit).map(|&(_, Reverse(channel))| summary::find(&tx, user, channel));
            let channels = try_join_all(taken).await?.into_iter().flatten().collect();
            let last = rest.get(limit - 1).filter(|_| rest.len() > limit);
            let next = last.map(|&(Reverse(last_at_ms), Reverse(channel))| SyncCursor { last_at_ms, channel });
            Ok(Synced { page: SyncPage { request: 0, channels, next }, channels: all })
        })
        .await
    }

    /// All channels of a user.
    pub async fn joined_channels(&self, user: UserId) -> Result<Vec<ChannelId>, ChatError> {
        self.read(|tx| async move { joined(&tx, user).await }).await
    }

    /// What a session of a user has to listen to on other nodes beside the user's own topic: see [`super::audience`].
    pub async fn topics_apart(&self, user: UserId) -> Result<Vec<Topic>, ChatError> {
        self.read(|tx| async move {
            let mut topics = Vec::new();
            for (key, value) in tx.all_rows(keys::all_joined(user).snapshot()).await? {
                if !audience::is_of_members(decode_row::<JoinedRow>(&value)?.kind) {
                    topics.push(Topic::Channel(keys::joined_channel(&key).ok_or(ChatError::BadRow("joined channel"))?));
                }
            }
            Ok(topics)
        })
        .await
    }

    /// The same of one channel, if the user is a member.
    pub async fn is_heard_apart(&self, user: UserId, channel: ChannelId) -> Result<bool, ChatError> {
        self.read(|tx| async move {
            let row = tx.row::<JoinedRow>(&keys::joined(user, channel)).await?;
            Ok(row.is_some_and(|row| !audience::is_of_members(row.kind)))
        })
        .await
    }

    /// What happened in a channel, for a member without a live view of it; `None` for others.
    pub async fn hint(&self, user: UserId, channel: ChannelId) -> Result<Option<Hint>, ChatError> {
        self.read(|tx| async move {
            let (row, member) = try_join(channels::find(&tx, channel), members::role_of(&tx, channel, user)).await?;
            if row.is_none() || member.is_none() {
                return Ok(None);
            }
            let view = View::read(&tx, user, channel).await?;
            let unread = view.unread();
            let HeadRow { seq: head, last_at_ms, preview, .. } = view.head;
            Ok(Some(Hint { channel, head, last_at_ms, unread, preview }))
        })
        .await
    }

    /// What can have changed about a channel; `None` if it is gone. For live views: asks nobody whether they may.
    pub async fn pulse(&self, channel: ChannelId) -> Result<Option<Pulse>, ChatError> {
        self.read(|tx| async move {
            let Some(_) = channels::find(&tx, channel).await? else { return Ok(None) };
            let (head, rights, marks) = try_join3(
                log::head(&tx, channel),
                roster::count(&tx, keys::rights_changes(channel)),
                roster::count(&tx, keys::marks_changes(channel)),
            )
            .await?;
            Ok(Some(Pulse { head: head.seq, rights, marks }))
        })
        .await
    }
}

/// How places sort: by time and then by id, the newest first.
type Order = (Reverse<u64>, Reverse<ChannelId>);

fn order(place: SyncCursor) -> Order {
    (Reverse(place.last_at_ms), Reverse(place.channel))
}

/// A channel's place in the list; `None` if it is gone.
async fn last_at_ms(tx: &Tx, channel: ChannelId) -> Result<Option<SyncCursor>, ChatError> {
    let head = tx.row_snapshot::<HeadRow>(&keys::head(channel)).await?;
    Ok(head.map(|head| SyncCursor { last_at_ms: head.last_at_ms, channel }))
}

/// All channels of a user, by id.
pub(super) async fn joined(tx: &Tx, user: UserId) -> Result<Vec<ChannelId>, ChatError> {
    let mut next: Option<Range> = Some(keys::all_joined(user).snapshot());
    let mut all = Vec::new();
    while let Some(range) = next {
        let page = tx.range(range).await?;
        for (key, _) in &page.rows {
            all.push(keys::last_number(key).map(ChannelId).ok_or(ChatError::BadRow("joined channel"))?);
        }
        next = page.next();
    }
    Ok(all)
}
