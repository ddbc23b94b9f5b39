//! What hubs need of chat, in one place.

use suda_schema::summary::MemberMark;
use suda_schema::{ChannelId, Seq};

use crate::chat::append::{AppendOutcome, Publish};
use crate::chat::log::{LogPage, PageLimit};
use crate::chat::sync::Pulse;
use crate::chat::{Chat, ChatError};

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

    pub(super) async fn append(&self, channel: ChannelId, sends: &[Publish]) -> Result<AppendOutcome, ChatError> {
        self.chat.append(channel, sends).await
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
