//! What hubs need of chat, in one place.

use suda_schema::summary::MemberMark;
use suda_schema::{ChannelId, Seq};

use crate::chat::append::{AppendOutcome, Publish};
use crate::chat::hot::{Beside, Handing, Lead};
use crate::chat::log::{LogPage, PageLimit};
use crate::chat::sync::Pulse;
use crate::chat::{Chat, ChatError};
use crate::store::Watch;

pub(super) struct Log {
    chat: Chat,
}

impl Log {
    pub(super) fn new(chat: Chat) -> Self {
        Self { chat }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.chat.clock().now_ms()
    }

    pub(super) async fn append(
        &self,
        channel: ChannelId,
        sends: &[Publish],
        beside: Beside,
    ) -> Result<AppendOutcome, ChatError> {
        self.chat.append_beside(channel, sends, beside).await
    }

    /// This node's number among others; none if it is the only one.
    pub(super) fn number(&self) -> Option<u16> {
        self.chat.peers().number()
    }

    /// Has one node append for all: this one, unless there is another one than `instead_of`.
    pub(super) async fn lead(&self, channel: ChannelId, instead_of: Option<Lead>) -> Result<Lead, ChatError> {
        self.chat.lead(channel, instead_of).await
    }

    pub(super) async fn stop_leading(&self, channel: ChannelId, lead: Lead) -> Result<(), ChatError> {
        self.chat.stop_leading(channel, lead).await
    }

    /// Hands sends to the node that appends for all.
    pub(super) async fn hand_over(
        &self,
        channel: ChannelId,
        lead: Lead,
        sends: &[Publish],
    ) -> Result<Handing, ChatError> {
        self.chat.hand_over(channel, lead, sends).await
    }

    /// Resolves when other nodes have handed something over.
    pub(super) async fn handed_bell(&self, channel: ChannelId) -> Result<Watch, ChatError> {
        self.chat.handed_bell(channel).await
    }

    /// The entries after a cursor: at least one, if there is one.
    pub(super) async fn after(
        &self,
        channel: ChannelId,
        cursor: Seq,
        rows: usize,
        bytes: usize,
    ) -> Result<LogPage, ChatError> {
        self.chat.read_log(channel, cursor, PageLimit { rows, bytes }).await
    }

    /// What can have changed; `None` if the channel is gone.
    pub(super) async fn pulse(&self, channel: ChannelId) -> Result<Option<Pulse>, ChatError> {
        self.chat.pulse(channel).await
    }

    /// All members' positions; none where there are too many to show them.
    pub(super) async fn marks(&self, channel: ChannelId) -> Result<Vec<MemberMark>, ChatError> {
        self.chat.member_marks(channel).await
    }
}
