//! Making, renaming and deleting channels.
//!
//! Deleting takes effect at once, for the channel's row says so and everything reads it; what lies under the channel is
//! swept away in pages afterwards, because a channel may have any number of members and entries. A sweep that was cut
//! short is taken up again by [`Chat::sweep_channels`].

use futures_util::future::try_join_all;
use suda_schema::entry::{Picture, Role, Title, What};
use suda_schema::event::{ChannelRef, UserEvent};
use suda_schema::summary::{ChannelKind, ChannelSummary};
use suda_schema::{ChannelId, ClientMsgId, MediaId, Seq, UserId};

use super::draft::Draft;
use super::members::{ADDED_AT_ONCE_MAX, require_admin};
use super::roster::{clear_member, let_in, rights_changed};
use super::row::{ChannelRow, HeadRow, PointerRow};
use super::{Chat, ChatError, Tx, contact, presence, summary, user_log, validate};
use crate::store::keys;

/// How many members one transaction of a sweep sends away.
const SWEPT_AT_ONCE: usize = 200;
/// How many deleted channels one call of [`Chat::sweep_channels`] finishes at most.
const SWEEPS_AT_ONCE: usize = 100;

/// A group or broadcast channel to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChannel {
    /// Group or broadcast; a direct channel is opened instead.
    pub kind: ChannelKind,
    /// Its title.
    pub title: String,
    /// Its picture.
    pub picture: Option<MediaId>,
    /// Who is in it from the start, beside its owner.
    pub members: Vec<UserId>,
    /// An id that the client gives the request: the same one again makes no second channel.
    pub request: Option<ClientMsgId>,
}

impl Chat {
    /// Makes a group or broadcast channel, owned by its maker.
    pub async fn create_channel(&self, by: UserId, new: &NewChannel) -> Result<ChannelSummary, ChatError> {
        if new.kind == ChannelKind::Direct {
            return Err(ChatError::invalid("kind", "a direct channel is opened with its user, not created"));
        }
        validate::title(&new.title)?;
        if new.members.len() > ADDED_AT_ONCE_MAX {
            return Err(ChatError::TooLarge { field: "members", max: ADDED_AT_ONCE_MAX, unit: "items" });
        }
        // One id for all attempts, by which a further attempt sees that an earlier one counted.
        let id = self.ids().channel();
        self.run_idempotent(|tx| async move { create(&tx, id, by, new).await }).await
    }

    /// The direct channel with a user, made if there is none yet; with oneself it is for notes.
    pub async fn open_direct(&self, by: UserId, peer: UserId) -> Result<ChannelSummary, ChatError> {
        let id = self.ids().channel();
        self.run_idempotent(|tx| async move {
            let id = match direct_of(&tx, by, peer).await? {
                Some(there) => there,
                None => {
                    open_direct(&tx, id, by, peer).await?;
                    id
                }
            };
            summary::require(&tx, by, id).await
        })
        .await
    }

    /// A channel as a member sees it.
    pub async fn channel(&self, user: UserId, channel: ChannelId) -> Result<ChannelSummary, ChatError> {
        self.read(|tx| async move { summary::require(&tx, user, channel).await }).await
    }

    /// Gives the channel another title. An admin's right.
    pub async fn set_title(&self, by: UserId, channel: ChannelId, title: &str) -> Result<(), ChatError> {
        validate::title(title)?;
        self.change(by, channel, |row| {
            let change = What::Title(Title { title: title.to_owned() });
            (row.title != title).then(|| (ChannelRow { title: title.to_owned(), ..row }, change))
        })
        .await
    }

    /// Gives the channel another picture, or none. An admin's right.
    pub async fn set_picture(&self, by: UserId, channel: ChannelId, picture: Option<MediaId>) -> Result<(), ChatError> {
        self.change(by, channel, |row| {
            let change = What::Picture(Picture { media: picture });
            (row.picture != picture).then_some((ChannelRow { picture, ..row }, change))
        })
        .await
    }

    /// Changes the channel's row, and says so in the log; what is so already changes nothing.
    async fn change<F>(&self, by: UserId, channel: ChannelId, change: F) -> Result<(), ChatError>
    where
        F: Fn(ChannelRow) -> Option<(ChannelRow, What)> + Send + Sync,
    {
        let change = &change;
        self.run_idempotent(|tx| async move {
            let (row, _) = require_admin(&tx, channel, by).await?;
            let Some((row, what)) = change(row) else { return Ok(()) };
            let mut draft = Draft::open(&tx, channel).await?;
            draft.push(by, None, what);
            tx.set_row(keys::channel(channel), &row);
            draft.write(&tx).map(drop)
        })
        .await
    }

    /// Deletes a channel with everything in it. The owner's right. It is gone for everybody when this returns.
    pub async fn delete_channel(&self, by: UserId, channel: ChannelId) -> Result<(), ChatError> {
        self.run(|tx| async move {
            let (row, member) = require_admin(&tx, channel, by).await?;
            if member.role != Role::Owner {
                return Err(ChatError::Forbidden("only the owner deletes a channel"));
            }
            doom(&tx, channel, row);
            Ok(())
        })
        .await?;
        self.sweep_or_later(channel).await;
        Ok(())
    }

    /// Finishes sweeping away channels that were deleted: for a node's start, and now and then.
    pub async fn sweep_channels(&self) -> Result<usize, ChatError> {
        let doomed =
            self.read(|tx| async move { Ok(tx.range(keys::all_doomed().limit(SWEEPS_AT_ONCE)).await?) }).await?;
        for (key, _) in &doomed.rows {
            let channel = keys::last_number(key).map(ChannelId).ok_or(ChatError::BadRow("deleted channel"))?;
            self.sweep(channel).await?;
        }
        Ok(doomed.rows.len())
    }

    /// Sweeps away a channel that is deleted by now; what fails is taken up again later.
    pub(super) async fn sweep_or_later(&self, channel: ChannelId) {
        if let Err(error) = self.sweep(channel).await {
            tracing::warn!(%channel, %error, "a deleted channel could not be swept away yet");
        }
    }

    pub(super) async fn sweep(&self, channel: ChannelId) -> Result<(), ChatError> {
        while self.run_idempotent(|tx| async move { sweep_members(&tx, channel).await }).await? {}
        self.run_idempotent(|tx| async move {
            for range in keys::all_of_channel(channel) {
                tx.clear_range(range.begin(), range.end());
            }
            tx.clear(keys::head(channel));
            tx.clear(keys::channel(channel));
            tx.clear(keys::doomed(channel));
            Ok(())
        })
        .await
    }
}

/// A channel that is there and not deleted.
pub(super) async fn find(tx: &Tx, channel: ChannelId) -> Result<Option<ChannelRow>, ChatError> {
    Ok(tx.row::<ChannelRow>(&keys::channel(channel)).await?.filter(|row| !row.doomed))
}

/// The same, or the answer that there is none.
pub(super) async fn live(tx: &Tx, channel: ChannelId) -> Result<ChannelRow, ChatError> {
    find(tx, channel).await?.ok_or(ChatError::NotFound("channel"))
}

/// The direct channel of two users, if they have one.
pub(super) async fn direct_of(tx: &Tx, one: UserId, other: UserId) -> Result<Option<ChannelId>, ChatError> {
    Ok(tx.row::<PointerRow>(&keys::direct(one, other)).await?.map(|row| row.channel))
}

async fn create(tx: &Tx, id: ChannelId, by: UserId, new: &NewChannel) -> Result<ChannelSummary, ChatError> {
    if let Some(request) = new.request {
        if let Some(made) = tx.row::<PointerRow>(&keys::made(by, request)).await? {
            return summary::require(tx, by, made.channel).await;
        }
        tx.set_row(keys::made(by, request), &PointerRow { channel: id });
    }
    if let Some(there) = tx.row::<ChannelRow>(&keys::channel(id)).await? {
        // An earlier attempt counted; or else two nodes have made the same id.
        return if there.made_by == by { summary::require(tx, by, id).await } else { Err(ID_TAKEN) };
    }
    try_join_all(new.members.iter().filter(|&&user| user != by).map(|&user| contact::may_add(tx, by, user))).await?;
    let row = ChannelRow { title: new.title.clone(), picture: new.picture, ..ChannelRow::new(tx, new.kind, by) };
    tx.set_row(keys::channel(id), &row);
    let mut draft = Draft::over(tx, id, HeadRow::new(tx));
    let owner = [(by, Role::Owner)];
    let users: Vec<_> = owner.into_iter().chain(new.members.iter().map(|&user| (user, Role::Member))).collect();
    draft.push(by, None, What::Title(Title { title: new.title.clone() }));
    if let Some(media) = new.picture {
        draft.push(by, None, What::Picture(Picture { media: Some(media) }));
    }
    let_in(tx, id, &row, &mut draft, by, &users).await?;
    draft.write(tx)?;
    summary::require(tx, by, id).await
}

const ID_TAKEN: ChatError = ChatError::Internal("a channel id was given twice");

async fn open_direct(tx: &Tx, id: ChannelId, by: UserId, peer: UserId) -> Result<(), ChatError> {
    if tx.get(&keys::channel(id)).await?.is_some() {
        return Err(ID_TAKEN);
    }
    if by == peer {
        contact::require_user(tx, by).await?;
    } else {
        contact::may_open_direct(tx, by, peer).await?;
    }
    let pair = (by.min(peer), by.max(peer));
    let row = ChannelRow { pair: Some(pair), ..ChannelRow::new(tx, ChannelKind::Direct, by) };
    tx.set_row(keys::channel(id), &row);
    tx.set_row(keys::direct(by, peer), &PointerRow { channel: id });
    presence::became_partners(tx, by, peer);
    let head = HeadRow::new(tx);
    tx.set_row(keys::head(id), &head);
    let users = [(by, Role::Member), (peer, Role::Member)];
    let_in(tx, id, &row, &mut Draft::over(tx, id, head), by, &users).await
}

impl ChannelRow {
    fn new(tx: &Tx, kind: ChannelKind, by: UserId) -> Self {
        Self {
            kind,
            title: String::new(),
            picture: None,
            made_at_ms: tx.now_ms(),
            made_by: by,
            pair: None,
            invite: None,
            closed: false,
            doomed: false,
        }
    }
}

impl HeadRow {
    fn new(tx: &Tx) -> Self {
        Self { seq: Seq::ZERO, msgs: 0, last_at_ms: tx.now_ms(), preview: None }
    }
}

/// Marks a channel as deleted: from this transaction on there is no such channel.
pub(super) fn doom(tx: &Tx, channel: ChannelId, row: ChannelRow) {
    if let Some(code) = &row.invite {
        tx.clear(keys::invite(code));
    }
    tx.set_row(keys::channel(channel), &ChannelRow { doomed: true, invite: None, ..row });
    tx.set(keys::doomed(channel), Vec::new());
    rights_changed(tx, channel);
}

/// Sends some members of a deleted channel away; whether there were any.
async fn sweep_members(tx: &Tx, channel: ChannelId) -> Result<bool, ChatError> {
    let page = tx.range(keys::members(channel).limit(SWEPT_AT_ONCE)).await?;
    let event = [UserEvent::ChannelLeft(ChannelRef { channel })];
    let gone = page.rows.iter().map(async |(key, _)| {
        let user = keys::last_number(key).map(UserId).ok_or(ChatError::BadRow("member"))?;
        clear_member(tx, channel, user);
        user_log::append(tx, user, &event).await
    });
    try_join_all(gone).await?;
    Ok(!page.rows.is_empty())
}
