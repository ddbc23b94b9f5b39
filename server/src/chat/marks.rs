//! How far everybody has got: read per user, delivered per device and, as the furthest of these, per user.
//!
//! Marks only move forward, and no further than the log's head. A read mark takes the two counts along that make
//! "unread" a subtraction, and is told to the user's other devices by their own log. Other members see marks in small
//! channels: above [`ChatLimits::marks_members_max`](super::ChatLimits) they are kept, but nobody is told.

use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join_all, try_join3};
use suda_schema::channel::Marks;
use suda_schema::event::{Muted, ReadMoved, UserEvent};
use suda_schema::summary::{MemberMark, Mute};
use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::outbox::{self, OutboxRow, Told};
use super::row::{JoinedRow, MarkRow};
use super::summary::View;
use super::tx::decode_row;
use super::{Chat, ChatError, Topic, Tx, log, members, roster, user_log};
use crate::store::keys;

/// The most channels marked in one transaction; a longer list takes several.
pub const MARKED_AT_ONCE_MAX: usize = 64;

/// Where a user stands in a channel after a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marked {
    /// How far the user has read.
    pub read: Seq,
    /// What has reached at least one of the user's devices.
    pub delivered: Seq,
    /// How many messages of others are unread.
    pub unread: u64,
}

impl Chat {
    /// Moves a user's marks, as seen from one of their devices (none for the HTTP API), in any number of channels. A
    /// channel in which the user is not a member is an error of its own and none of the others.
    pub async fn mark(
        &self,
        user: UserId,
        device: Option<DeviceId>,
        marks: &[(ChannelId, Marks)],
    ) -> Result<Vec<Result<Marked, ChatError>>, ChatError> {
        let mut results = Vec::with_capacity(marks.len());
        for chunk in marks.chunks(MARKED_AT_ONCE_MAX) {
            let marked = self.run_idempotent(|tx| async move { mark(&tx, user, device, chunk).await }).await?;
            let of = |(channel, _): &(ChannelId, _)| marked.get(channel).copied().ok_or(ChatError::NotFound("channel"));
            results.extend(chunk.iter().map(of));
        }
        Ok(results)
    }

    /// All members' marks; none where there are more members than are told of each other's. Asks nobody whether they
    /// may; whoever passes marks on does.
    pub async fn member_marks(&self, channel: ChannelId) -> Result<Vec<MemberMark>, ChatError> {
        self.read(|tx| async move {
            let max = tx.chat().limits().marks_members_max;
            if roster::member_count(&tx, channel).await? > max.into() {
                return Ok(Vec::new());
            }
            let page = tx.range(keys::marks(channel).limit(max as usize)).await?;
            let marks = page.rows.iter().map(|(key, value)| {
                let user = keys::last_number(key).map(UserId).ok_or(ChatError::BadRow("mark"))?;
                let MarkRow { delivered, read, .. } = decode_row(value)?;
                Ok(MemberMark { user, delivered, read })
            });
            marks.collect()
        })
        .await
    }

    /// Sets what a channel notifies the user of.
    pub async fn set_mute(&self, user: UserId, channel: ChannelId, mute: Mute) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            members::require(&tx, channel, user).await?;
            let key = keys::joined(user, channel);
            let row = tx.row::<JoinedRow>(&key).await?.ok_or(ChatError::NotFound("channel"))?;
            if row.mute == mute {
                return Ok(());
            }
            tx.set_row(key, &JoinedRow { mute, ..row });
            user_log::append(&tx, user, &[UserEvent::Muted(Muted { channel, mute })]).await.map(drop)
        })
        .await
    }
}

async fn mark(
    tx: &Tx,
    user: UserId,
    device: Option<DeviceId>,
    marks: &[(ChannelId, Marks)],
) -> Result<BTreeMap<ChannelId, Marked>, ChatError> {
    let mut wanted: BTreeMap<ChannelId, Marks> = BTreeMap::new();
    for (channel, Marks { delivered, read }) in marks {
        let wanted = wanted.entry(*channel).or_default();
        *wanted = Marks { delivered: wanted.delivered.max(*delivered), read: wanted.read.max(*read) };
    }
    let moves = wanted.iter().map(|(&channel, &marks)| Move::read(tx, user, device, channel, marks));
    let moves: Vec<Move> = try_join_all(moves).await?.into_iter().flatten().collect();
    let mut events = Vec::new();
    for (number, of) in (0..).zip(&moves) {
        of.write(tx, user, device);
        if of.view.mark.read < of.pushed.min(of.after.read) {
            let what = Told::Read;
            let row = OutboxRow::message(of.channel, (of.after.read, tx.now_ms()), user);
            outbox::put(tx, number, &OutboxRow { what, ..row });
        }
        if of.after.read > of.view.mark.read {
            let (channel, read) = (of.channel, of.after.read);
            events.push(UserEvent::Read(ReadMoved { channel, read, unread: of.marked().unread }));
        }
    }
    user_log::append(tx, user, &events).await?;
    Ok(moves.iter().map(|of| (of.channel, of.marked())).collect())
}

/// A user's marks in one channel, as they were and as they will be.
struct Move {
    channel: ChannelId,
    view: View,
    after: MarkRow,
    /// What this device has not said before.
    device_news: Option<Seq>,
    /// Whether other members are told.
    told: bool,
    /// The newest message of which the user's devices show a notification.
    pushed: Seq,
}

impl Move {
    /// `None` for one who is not a member.
    async fn read(
        tx: &Tx,
        user: UserId,
        device: Option<DeviceId>,
        channel: ChannelId,
        wanted: Marks,
    ) -> Result<Option<Self>, ChatError> {
        let device_has = async {
            match device {
                Some(device) => roster::count(tx, keys::cursor(user, device, channel)).await.map(Seq),
                None => Ok(Seq::ZERO),
            }
        };
        let member = async { members::require(tx, channel, user).await.map(Some).or_else(none_if_not_found) };
        let view = async { View::read(tx, user, channel).await.map(Some).or_else(none_if_not_found) };
        let (member, view, (members, device_has)) =
            try_join3(member, view, try_join(roster::member_count(tx, channel), device_has)).await?;
        let (Some(_), Some(view)) = (member, view) else { return Ok(None) };
        let read = wanted.read.unwrap_or_default().min(view.head.seq);
        // What is read has been delivered.
        let reached = wanted.delivered.unwrap_or_default().min(view.head.seq).max(read);
        let mut after = MarkRow { delivered: view.mark.delivered.max(reached), ..view.mark };
        if read > view.mark.read {
            let msgs = async {
                let glance = log::glance(tx, channel, read).await?.ok_or(ChatError::BadRow("entry"))?;
                Ok(glance.msgs)
            };
            let (read_msgs, read_own) = try_join(msgs, log::own_count(tx, channel, user, read)).await?;
            after = MarkRow { read, read_msgs, read_own, ..after };
        }
        let pushed = if read > view.mark.read { pushed(tx, channel, user).await? } else { Seq::ZERO };
        let device_news = device.and(Some(reached)).filter(|&reached| reached > device_has);
        let told = members <= tx.chat().limits().marks_members_max.into();
        Ok(Some(Self { channel, view, after, device_news, told, pushed }))
    }

    fn write(&self, tx: &Tx, user: UserId, device: Option<DeviceId>) {
        if let (Some(device), Some(reached)) = (device, self.device_news) {
            tx.max(keys::cursor(user, device, self.channel), reached.0);
        }
        if self.after == self.view.mark {
            return;
        }
        tx.set_row(keys::mark(self.channel, user), &self.after);
        if self.told {
            tx.add(keys::marks_changes(self.channel), 1);
            tx.wake(Topic::Channel(self.channel));
        }
    }

    fn marked(&self) -> Marked {
        let unread = self.after.unread(self.view.head.msgs, self.view.own);
        Marked { read: self.after.read, delivered: self.after.delivered, unread }
    }
}

/// The newest message of a channel that was pushed to a user. Nobody looks where nobody pushes.
async fn pushed(tx: &Tx, channel: ChannelId, user: UserId) -> Result<Seq, ChatError> {
    if !tx.chat().limits().push_outbox {
        return Ok(Seq::ZERO);
    }
    let value = tx.get(&keys::pushed(channel, user)).await?;
    let number = value.and_then(|value| value.as_ref().try_into().ok()).map(u64::from_le_bytes);
    Ok(Seq(number.unwrap_or(0)))
}

fn none_if_not_found<T>(error: ChatError) -> Result<Option<T>, ChatError> {
    if matches!(error, ChatError::NotFound(_)) { Ok(None) } else { Err(error) }
}
