//! Everything there is of an account, as JSON values for its owner to take along.
//!
//! An export is read page by page, each from one state of the store, so that neither side has to hold it whole: in the
//! order account, devices, lists of others, channels, own messages. What changes meanwhile may or may not be in it.

use std::collections::VecDeque;

use serde_json::{Value, json};
use suda_schema::entry::Entry;
use suda_schema::summary::ChannelSummary;
use suda_schema::{ChannelId, Seq, UserId};

use super::friends::{FRIENDS_PAGE_MAX, List};
use super::log::PageLimit;
use super::{Chat, ChatError, accounts};

/// How much of a channel's messages one page reads.
const MESSAGES: PageLimit = PageLimit { rows: 200, bytes: 1 << 20 };

/// How many channels one page describes.
const CHANNELS_AT_ONCE: usize = 100;

/// An export under way.
pub struct Export {
    chat: Chat,
    user: UserId,
    next: Step,
}

/// What is to be read next.
enum Step {
    Account,
    Devices,
    List { list: List, after: Option<UserId>, then: &'static [List] },
    Channels { left: Option<Vec<ChannelId>> },
    Messages { channels: VecDeque<ChannelId>, channel: ChannelId, after: Seq },
    MoreChannels { after: ChannelId },
    Done,
}

const LISTS: &[List] = &[List::Friends, List::Sent, List::Received, List::Blocked];

impl Chat {
    /// Begins an export of one's own account.
    #[must_use]
    pub fn export(&self, user: UserId) -> Export {
        Export { chat: self.clone(), user, next: Step::Account }
    }
}

impl Export {
    /// The next values, each an object with a `kind`; none after the last. There may be none for the moment and more
    /// to come: that is an empty page.
    pub async fn page(&mut self) -> Result<Option<Vec<Value>>, ChatError> {
        let (values, next) = match std::mem::replace(&mut self.next, Step::Done) {
            Step::Account => (self.account().await?, Step::Devices),
            Step::Devices => (self.devices().await?, first_list(LISTS)),
            Step::List { list, after, then } => self.list(list, after, then).await?,
            Step::Channels { left } => self.channels(left).await?,
            Step::MoreChannels { after } => (Vec::new(), self.more_channels(after).await?),
            Step::Messages { channels, channel, after } => self.messages(channels, channel, after).await?,
            Step::Done => return Ok(None),
        };
        self.next = next;
        Ok(Some(values))
    }

    async fn account(&self) -> Result<Vec<Value>, ChatError> {
        let user = self.user;
        let account = self.chat.read(|tx| async move { accounts::live(&tx, user).await }).await?;
        let settings = self.chat.settings(user).await?;
        Ok(vec![json!({
            "kind": "account",
            "user": user,
            "handle": account.handle,
            "made_at_ms": account.made_at_ms,
            "external": account.external,
            "profile": account.profile,
            "settings": settings,
        })])
    }

    async fn devices(&self) -> Result<Vec<Value>, ChatError> {
        let devices = self.chat.devices(self.user).await?;
        Ok(devices.into_iter().map(|device| of_kind("device", &device)).collect())
    }

    async fn list(
        &self,
        list: List,
        after: Option<UserId>,
        then: &'static [List],
    ) -> Result<(Vec<Value>, Step), ChatError> {
        let page = self.chat.list_users(self.user, list, after, FRIENDS_PAGE_MAX).await?;
        let value = |listed| {
            let mut value = of_kind("relation", &listed);
            value["list"] = json!(list);
            value
        };
        let next = if page.next.is_some() { Step::List { list, after: page.next, then } } else { first_list(then) };
        Ok((page.users.into_iter().map(value).collect(), next))
    }

    async fn channels(&self, left: Option<Vec<ChannelId>>) -> Result<(Vec<Value>, Step), ChatError> {
        let mut left = match left {
            Some(left) => left,
            None => self.chat.joined_channels(self.user).await?,
        };
        let mut values = Vec::new();
        for channel in left.split_off(left.len().saturating_sub(CHANNELS_AT_ONCE)) {
            match self.chat.channel(self.user, channel).await {
                // The newest message is mostly somebody else's, and not the owner's to take along.
                Ok(summary) => values.push(of_kind("channel", &ChannelSummary { preview: None, ..summary })),
                // Left meanwhile.
                Err(ChatError::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let next = if left.is_empty() {
            Step::MoreChannels { after: ChannelId(0) }
        } else {
            Step::Channels { left: Some(left) }
        };
        Ok((values, next))
    }

    async fn more_channels(&self, after: ChannelId) -> Result<Step, ChatError> {
        let channels = self.chat.channels_written_by(self.user, after).await?;
        Ok(next_channel(channels.into()).unwrap_or(Step::Done))
    }

    async fn messages(
        &self,
        channels: VecDeque<ChannelId>,
        channel: ChannelId,
        after: Seq,
    ) -> Result<(Vec<Value>, Step), ChatError> {
        let page = self.chat.messages_of(self.user, channel, after, MESSAGES).await?;
        let mut values = Vec::with_capacity(page.entries.len());
        for stored in &page.entries {
            let entry: Entry = stored.decode()?;
            values.push(json!({ "kind": "message", "channel": channel, "entry": entry }));
        }
        let next = match page.next {
            Some(after) => Step::Messages { channels, channel, after },
            None => next_channel(channels).unwrap_or(Step::MoreChannels { after: channel }),
        };
        Ok((values, next))
    }
}

fn first_list(lists: &'static [List]) -> Step {
    lists.split_first().map_or(Step::Channels { left: None }, |(&list, then)| Step::List { list, after: None, then })
}

fn next_channel(mut channels: VecDeque<ChannelId>) -> Option<Step> {
    channels.pop_front().map(|channel| Step::Messages { channels, channel, after: Seq::ZERO })
}

/// A value's JSON, with what kind of value it is.
fn of_kind(kind: &str, value: &impl serde::Serialize) -> Value {
    let mut value = json!(value);
    value["kind"] = json!(kind);
    value
}
