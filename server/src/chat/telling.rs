//! What the notifier must know to tell somebody of something: who, whether they may be disturbed, and the words. Only
//! read here; what follows from it is the notifier's.

use futures_util::future::{try_join, try_join3};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use suda_schema::entry::{Body, Entry, Message, What};
use suda_schema::limits::PREVIEW_CHARS_MAX;
use suda_schema::summary::{ChannelKind, Mute};
use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::outbox::{OutboxRow, Told};
use super::presence::{self, Here};
use super::push::{PushKind, PushToken};
use super::row::{HeadRow, JoinedRow, MarkRow, StoredEntry};
use super::settings::{self, QuietHours};
use super::{Chat, ChatError, Tx, accounts, channels, devices, friends, log, push};
use crate::store::keys;

/// How many people, or channels of one, are looked at side by side.
const READS_AT_ONCE: usize = 64;

/// One who may have to be told of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Who.
    pub user: UserId,
    /// What the channel notifies them of; `None` if they are not in it.
    pub mute: Option<Mute>,
    /// Where they can be pushed to.
    pub tokens: Vec<(DeviceId, PushToken)>,
    /// What they have read.
    pub read: Seq,
    /// What has reached a device of theirs.
    pub delivered: Seq,
    /// Their devices that are there.
    pub here: Vec<Here>,
    /// Whether they and who did it have blocked each other.
    pub blocked: bool,
    /// When they are not to be disturbed.
    pub quiet_hours: Option<QuietHours>,
    /// Their time zone.
    pub time_zone: String,
    /// Whether they may be shown the text.
    pub preview: bool,
}

impl Facts {
    /// Of one who is not in the channel, or can't be reached.
    fn nothing(user: UserId, mute: Option<Mute>) -> Self {
        Self {
            user,
            mute,
            tokens: Vec::new(),
            read: Seq::ZERO,
            delivered: Seq::ZERO,
            here: Vec::new(),
            blocked: false,
            quiet_hours: None,
            time_zone: String::new(),
            preview: false,
        }
    }
}

/// What there is to be said, the same for all who are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What kind of channel it is in.
    pub kind: ChannelKind,
    /// The channel's title; empty for direct channels.
    pub title: String,
    /// The name of who did it.
    pub by_name: String,
    /// What was said, or reacted to.
    pub said: Said,
    /// The emoji, if it is a reaction.
    pub reaction: Option<String>,
}

/// What a message says, as far as a notification can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The beginning of its text.
    Text(String),
    /// No text, but a picture.
    Picture,
    /// No text, but a file.
    File,
    /// Only the clients can read it.
    Opaque,
}

/// Some members of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembersPage {
    /// By id.
    pub users: Vec<UserId>,
    /// Whether there are more behind the last.
    pub more: bool,
}

impl Chat {
    /// Members of a channel after one of them.
    pub async fn push_members(
        &self,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<MembersPage, ChatError> {
        self.read(|tx| async move {
            let range = after.map_or_else(|| keys::members(channel), |after| keys::members_after(channel, after));
            let page = tx.range(range.limit(limit)).await?;
            let users = page.rows.iter().map(|(key, _)| keys::last_number(key).map(UserId));
            let users: Option<Vec<UserId>> = users.collect();
            Ok(MembersPage { users: users.ok_or(ChatError::BadRow("member"))?, more: page.next().is_some() })
        })
        .await
    }

    /// What is to be known of these users before they are told.
    pub async fn push_facts(&self, row: &OutboxRow, users: &[UserId]) -> Result<Vec<Facts>, ChatError> {
        self.read(|tx| async move {
            let facts = stream::iter(users.to_vec()).map(|user| facts(&tx, row, user)).buffered(READS_AT_ONCE);
            facts.try_collect().await
        })
        .await
    }

    /// The same of one user, with the number for their badge: as of this moment.
    pub async fn push_facts_and_badge(&self, row: &OutboxRow, user: UserId) -> Result<(Facts, u64), ChatError> {
        self.read(|tx| async move { try_join(facts(&tx, row, user), badge(&tx, user)).await }).await
    }

    /// What there is to be said; `None` if it is gone.
    pub async fn push_words(&self, row: &OutboxRow) -> Result<Option<Words>, ChatError> {
        self.read(|tx| async move { words(&tx, row).await }).await
    }

    /// What a user has unread, over all channels that notify of everything.
    pub async fn push_badge(&self, user: UserId) -> Result<u64, ChatError> {
        self.read(|tx| async move { badge(&tx, user).await }).await
    }
}

/// Notes that a service no longer knows an address, unless it was registered again after `until_ms`.
pub async fn address_is_gone(
    tx: &Tx,
    (user, device): (UserId, DeviceId),
    kind: PushKind,
    token: &str,
    until_ms: u64,
) -> Result<bool, ChatError> {
    let Some(row) = devices::get(tx, user, device).await? else { return Ok(false) };
    let known = row.push.iter().find(|push| (push.kind, push.token.as_str()) == (kind, token));
    if known.is_none_or(|push| push.registered_at_ms > until_ms) {
        return Ok(false);
    }
    push::unregister_push(tx, (user, device), kind, token).await?;
    Ok(true)
}

/// What a user has read of a channel, read with a conflict.
pub async fn read_up_to(tx: &Tx, channel: ChannelId, user: UserId) -> Result<Seq, ChatError> {
    Ok(tx.row::<MarkRow>(&keys::mark(channel, user)).await?.unwrap_or_default().read)
}

/// Whether a channel notifies of this, as far as muting goes.
#[must_use]
pub fn lets_through(mute: Mute, is_for_them: bool, now_ms: u64) -> bool {
    match mute {
        Mute::Off => true,
        Mute::MentionsOnly => is_for_them,
        Mute::Until(until_ms) => until_ms <= now_ms,
    }
}

async fn facts(tx: &Tx, row: &OutboxRow, user: UserId) -> Result<Facts, ChatError> {
    let mute = tx.row_snapshot::<JoinedRow>(&keys::joined(user, row.channel)).await?.map(|row| row.mute);
    // Most members of a large channel have not asked for it: nothing more is read for them.
    let silent = |mute| row.what == Told::Message && !lets_through(mute, row.is_for(user), tx.now_ms());
    if mute.is_none_or(silent) {
        return Ok(Facts::nothing(user, mute));
    }
    let tokens: Vec<(DeviceId, PushToken)> = devices::all(tx, user).await?.into_iter().flat_map(tokens_of).collect();
    if tokens.is_empty() {
        return Ok(Facts::nothing(user, mute));
    }
    let mark = async { Ok(tx.row_snapshot::<MarkRow>(&keys::mark(row.channel, user)).await?.unwrap_or_default()) };
    let blocked = async { Ok(user != row.by && friends::relation(tx, user, row.by).await?.is_blocked()) };
    let (mark, here, blocked) = try_join3(mark, presence::here(tx, user), blocked).await?;
    let (settings, account) = try_join(settings::get(tx, user), accounts::get(tx, user)).await?;
    let Some(account) = account.filter(accounts::Account::is_live) else { return Ok(Facts::nothing(user, None)) };
    Ok(Facts {
        user,
        mute,
        tokens,
        read: mark.read,
        delivered: mark.delivered,
        here,
        blocked,
        quiet_hours: settings.quiet_hours,
        time_zone: account.profile.time_zone,
        preview: settings.push_preview,
    })
}

fn tokens_of((device, row): (DeviceId, devices::Device)) -> impl Iterator<Item = (DeviceId, PushToken)> {
    row.push.into_iter().map(move |push| (device, push))
}

async fn words(tx: &Tx, row: &OutboxRow) -> Result<Option<Words>, ChatError> {
    let (target, reaction) = match &row.what {
        Told::Reaction { target, emoji, .. } => (*target, Some(emoji.clone())),
        _ => (row.seq, None),
    };
    let (channel, entry, account) =
        try_join3(channels::find(tx, row.channel), log::row(tx, row.channel, target), accounts::get(tx, row.by))
            .await?;
    let (Some(channel), Some(entry)) = (channel, entry) else { return Ok(None) };
    let Entry { what: What::Message(message), .. } = StoredEntry::from_row(&entry)?.decode()? else { return Ok(None) };
    let Some(said) = said(&message) else { return Ok(None) };
    let by_name = account.map(|account| account.profile.display_name).unwrap_or_default();
    Ok(Some(Words { kind: channel.kind, title: channel.title, by_name, said, reaction }))
}

fn said(message: &Message) -> Option<Said> {
    let file = |media_type: &str| if media_type.starts_with("image/") { Said::Picture } else { Said::File };
    match &message.body {
        Body::Text(text) if !text.trim().is_empty() => {
            Some(Said::Text(text.trim().chars().take(PREVIEW_CHARS_MAX).collect()))
        }
        Body::Text(_) => message.attachments.first().map(|attachment| file(&attachment.media_type)),
        Body::Erased(_) => None,
        _ => Some(Said::Opaque),
    }
}

async fn badge(tx: &Tx, user: UserId) -> Result<u64, ChatError> {
    let mut channels = Vec::new();
    for (key, value) in tx.all_rows(keys::all_joined(user).snapshot()).await? {
        if lets_through(super::tx::decode_row::<JoinedRow>(&value)?.mute, false, tx.now_ms()) {
            channels.push(keys::joined_channel(&key).ok_or(ChatError::BadRow("joined channel"))?);
        }
    }
    let unread = stream::iter(channels).map(|channel| unread(tx, user, channel)).buffer_unordered(READS_AT_ONCE);
    unread.try_fold(0u64, async |sum, unread| Ok(sum.saturating_add(unread))).await
}

async fn unread(tx: &Tx, user: UserId, channel: ChannelId) -> Result<u64, ChatError> {
    let head = async { tx.row_snapshot::<HeadRow>(&keys::head(channel)).await };
    let mark = async { tx.row_snapshot::<MarkRow>(&keys::mark(channel, user)).await };
    let (head, mark) = try_join(head, mark).await?;
    let (Some(head), mark) = (head, mark.unwrap_or_default()) else { return Ok(0) };
    // Where nothing was said since, nobody has to count who said it.
    if mark.unread(head.msgs, mark.read_own) == 0 {
        return Ok(0);
    }
    Ok(mark.unread(head.msgs, log::own_count(tx, channel, user, Seq(u64::MAX)).await?))
}
