//! What the operator sees of channels, and may do to them: never what is said there.

use serde::{Deserialize, Serialize};
use suda_schema::summary::ChannelKind;
use suda_schema::{ChannelId, Seq, UserId};

use super::row::ChannelRow;
use super::{Chat, ChatError, Tx, channels, log, roster, tx};
use crate::store::{Range, after_key, keys};

/// The most channels in one page.
pub const CHANNELS_PAGE_MAX: usize = 200;

/// A channel as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelInfo {
    /// Which.
    pub channel: ChannelId,
    /// What kind.
    pub kind: ChannelKind,
    /// Its title; empty for direct channels.
    pub title: String,
    /// Who made it.
    pub made_by: UserId,
    /// When.
    pub made_at_ms: u64,
    /// How many members it has.
    pub members: u64,
    /// The newest entry.
    pub head: Seq,
    /// How many messages have been sent.
    pub messages: u64,
    /// When the newest entry was appended.
    pub last_at_ms: u64,
}

/// A page of channels, in the order of ids, which is that of their making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelsPage {
    /// The channels.
    pub channels: Vec<ChannelInfo>,
    /// After which the next page begins; `None` after the last.
    pub next: Option<ChannelId>,
}

impl Chat {
    /// A page of all channels, after this one.
    pub async fn all_channels(&self, after: Option<ChannelId>, limit: usize) -> Result<ChannelsPage, ChatError> {
        self.read(|tx| async move {
            let all = keys::channels();
            let begin = after.map_or_else(|| all.begin().to_vec(), |after| after_key(&keys::channel(after)));
            let page = tx.range(Range::new(begin, all.end()).limit(limit.clamp(1, CHANNELS_PAGE_MAX))).await?;
            let mut channels = Vec::with_capacity(page.rows.len());
            let mut last = None;
            for (key, value) in &page.rows {
                let channel = keys::last_number(key).map(ChannelId).ok_or(ChatError::BadRow("channel"))?;
                let row: ChannelRow = tx::decode_row(value)?;
                last = Some(channel);
                if !row.doomed {
                    channels.push(info(&tx, channel, row).await?);
                }
            }
            Ok(ChannelsPage { channels, next: last.filter(|_| page.more) })
        })
        .await
    }

    /// One channel.
    pub async fn channel_info(&self, channel: ChannelId) -> Result<ChannelInfo, ChatError> {
        self.read(|tx| async move { info(&tx, channel, channels::live(&tx, channel).await?).await }).await
    }

    /// Deletes a channel with everything in it, whoever owns it.
    pub async fn remove_channel(&self, channel: ChannelId) -> Result<(), ChatError> {
        self.run(|tx| async move {
            let row = channels::live(&tx, channel).await?;
            channels::doom(&tx, channel, row);
            Ok(())
        })
        .await?;
        self.sweep_channels().await.map(drop)
    }
}

async fn info(tx: &Tx, channel: ChannelId, row: ChannelRow) -> Result<ChannelInfo, ChatError> {
    let head = log::head(tx, channel).await?;
    Ok(ChannelInfo {
        channel,
        kind: row.kind,
        title: row.title,
        made_by: row.made_by,
        made_at_ms: row.made_at_ms,
        members: roster::member_count(tx, channel).await?,
        head: head.seq,
        messages: head.msgs,
        last_at_ms: head.last_at_ms,
    })
}
