//! What a user has said and where they are, all over: for taking it along, and for erasing it with the account.
//!
//! Erasing goes through the log like any deletion, so that whoever has read the messages hears that they are gone. It
//! works in pages, each a transaction; a cut-short erasure is begun again and passes over what is erased already.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use suda_schema::entry::Body;
use suda_schema::{ChannelId, Seq, UserId};

use super::append::BATCH_BYTES_MAX;
use super::draft::Draft;
use super::log::PageLimit;
use super::row::{ChannelRow, StoredEntry};
use super::targets::Targets;
use super::{Chat, ChatError, Tx, channels, edit, log, members, roster};
use crate::store::keys;

/// The most messages that one transaction erases.
const ERASED_AT_ONCE: usize = 100;
/// How many messages are read side by side.
const READS_AT_ONCE: usize = 8;
/// The most channels in one page.
const CHANNELS_PAGE_MAX: usize = 1_000;

/// Some of a user's own messages in one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnPage {
    /// In order, each in its current state.
    pub entries: Vec<StoredEntry>,
    /// After which seq the next page begins, if there is one.
    pub next: Option<Seq>,
}

impl Chat {
    /// The channels to which a user has sent messages, member still or not, after one of them; by id. An empty page
    /// ends the list.
    pub async fn channels_written_by(&self, user: UserId, after: ChannelId) -> Result<Vec<ChannelId>, ChatError> {
        self.read(|tx| async move {
            let page = tx.range(keys::wrote_after(user, after).limit(CHANNELS_PAGE_MAX)).await?;
            let channels = page.rows.iter().map(|(key, _)| keys::last_number(key).map(ChannelId));
            channels.collect::<Option<_>>().ok_or(ChatError::BadRow("channel written to"))
        })
        .await
    }

    /// A user's own messages in a channel after a seq, also where they are no longer a member.
    pub async fn messages_of(
        &self,
        user: UserId,
        channel: ChannelId,
        after: Seq,
        limit: PageLimit,
    ) -> Result<OwnPage, ChatError> {
        self.read(|tx| async move {
            if channels::find(&tx, channel).await?.is_none() {
                return Ok(OwnPage::default());
            }
            let page = tx.range(keys::own_after(channel, user, after).limit(limit.rows)).await?;
            let seqs: Option<Vec<Seq>> = page.rows.iter().map(|(key, _)| keys::last_number(key).map(Seq)).collect();
            let seqs = seqs.ok_or(ChatError::BadRow("own message"))?;
            let wanted = seqs.len();
            let entries = log::entries_at(&tx, channel, seqs, limit.bytes).await?;
            let more = page.more || entries.len() < wanted;
            let next = entries.last().filter(|_| more).map(|last| last.seq);
            Ok(OwnPage { entries, next })
        })
        .await
    }

    /// Erases a page of a user's messages in a channel, also where they are no longer a member. The seq after which to
    /// go on, if there are more.
    pub async fn erase_messages_of(
        &self,
        user: UserId,
        channel: ChannelId,
        after: Seq,
    ) -> Result<Option<Seq>, ChatError> {
        self.run_idempotent(|tx| async move { erase_page(&tx, user, channel, after).await }).await
    }

    /// Takes a user out of all channels and erases all they have said: what remains of a deleted account is its id.
    pub async fn erase_user_from_channels(&self, user: UserId) -> Result<(), ChatError> {
        for channel in self.joined_channels(user).await? {
            let emptied = self.run_idempotent(|tx| async move { go(&tx, user, channel).await }).await?;
            if emptied {
                self.sweep(channel).await?;
            }
        }
        loop {
            // A channel in which all is erased is no longer among them.
            let written = self.channels_written_by(user, ChannelId(0)).await?;
            if written.is_empty() {
                return Ok(());
            }
            for channel in written {
                let mut after = Some(Seq::ZERO);
                while let Some(seq) = after {
                    after = self.erase_messages_of(user, channel, seq).await?;
                }
            }
        }
    }
}

async fn erase_page(tx: &Tx, user: UserId, channel: ChannelId, after: Seq) -> Result<Option<Seq>, ChatError> {
    if channels::find(tx, channel).await?.is_none() {
        tx.clear(keys::wrote(user, channel));
        return Ok(None);
    }
    let page = tx.range(keys::own_after(channel, user, after).snapshot().limit(ERASED_AT_ONCE)).await?;
    let seqs: Option<Vec<Seq>> = page.rows.iter().map(|(key, _)| keys::last_number(key).map(Seq)).collect();
    let mut draft = Draft::open(tx, channel).await?;
    let (mut targets, mut bytes, mut done) = (Targets::default(), 0, after);
    let seqs = stream::iter(seqs.ok_or(ChatError::BadRow("own message"))?);
    let mut reads = seqs.map(|seq| Targets::read_whole(tx, channel, seq)).buffered(READS_AT_ONCE);
    while let Some((seq, read)) = reads.try_next().await? {
        bytes += read.size();
        if bytes > BATCH_BYTES_MAX && done > after {
            return draft.write(tx).map(|_| Some(done));
        }
        targets.take_in(&mut draft, seq, read)?;
        let (_, message) = draft.message(seq)?;
        if !matches!(message.body, Body::Erased(_)) {
            edit::delete(tx, channel, &mut draft, &mut targets, (user, None), seq)?;
        }
        done = seq;
    }
    draft.write(tx)?;
    if page.more {
        return Ok(Some(done));
    }
    tx.clear(keys::wrote(user, channel));
    Ok(None)
}

/// Takes a user out of a channel, whatever it is; whether nobody is left in it.
async fn go(tx: &Tx, user: UserId, channel: ChannelId) -> Result<bool, ChatError> {
    let Some(row) = channels::find(tx, channel).await? else { return Ok(false) };
    if members::role_of(tx, channel, user).await?.is_none() {
        return Ok(false);
    }
    let Some((one, other)) = row.pair else { return members::leave(tx, channel, user, true).await };
    let peer = if one == user { other } else { one };
    if peer == user || members::role_of(tx, channel, peer).await?.is_none() {
        channels::doom(tx, channel, row);
        return Ok(true);
    }
    // The other one keeps the conversation, without what was said by who went.
    tx.set_row(keys::channel(channel), &ChannelRow { closed: true, ..row });
    tx.clear(keys::partner(user, peer));
    tx.clear(keys::partner(peer, user));
    roster::put_out(tx, channel, user).await?;
    Ok(false)
}
