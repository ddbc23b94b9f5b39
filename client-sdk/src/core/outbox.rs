//! Sends that are not acknowledged yet, in the order they were made.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use suda_schema::channel::{Op, Send};
use suda_schema::codec::binary;
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_schema::{ChannelId, ClientMsgId, Seq};

use super::config::Config;

/// A send that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The outbox is full: wait until something of it has gone out.
    #[error("the outbox is full")]
    OutboxFull,
    /// It is longer than any frame may be.
    #[error("{bytes} bytes, where at most {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// How long it would be.
        bytes: usize,
    },
}

/// A send that waits for its acknowledgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Where.
    pub channel: ChannelId,
    /// Made by the user at, by this device's clock.
    pub at_ms: u64,
    /// What, under which id.
    pub send: Send,
}

impl Pending {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ClientMsgId {
        self.send.client_msg_id
    }
}

/// What becomes of a send that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Not sent on this link.
    Waiting,
    /// Sent on this link.
    Sent,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) pending: Pending,
    pub(super) bytes: usize,
    pub(super) way: Way,
    /// Whether the node may have it: it went out once, on whichever link, or before the app began.
    pub(super) tried: bool,
}

/// All sends that wait, by channel.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queues: BTreeMap<ChannelId, Queue>,
    count: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) items: VecDeque<Item>,
    /// Acknowledged, and its entry has not come yet: shown until it does.
    pub(super) acked: VecDeque<(Pending, Seq)>,
    /// Nothing is sent before this time.
    pub(super) not_before_ms: u64,
    pub(super) refusals: u32,
}

impl Outbox {
    pub(super) fn check(&self, config: &Config, pending: &Pending) -> Result<usize, SendError> {
        let mut frame = Vec::new();
        binary::encode(&suda_schema::channel::ChannelUp::Send(pending.send.clone()), &mut frame);
        let bytes = frame.len();
        if bytes > FRAME_BYTES_MAX {
            return Err(SendError::TooLarge { bytes });
        }
        if self.count >= config.outbox_max || self.bytes.saturating_add(bytes) > config.outbox_bytes_max {
            return Err(SendError::OutboxFull);
        }
        Ok(bytes)
    }

    pub(super) fn holds(&self, channel: ChannelId, id: ClientMsgId) -> bool {
        self.item(channel, id).is_some()
    }

    pub(super) fn was_never_sent(&self, channel: ChannelId, id: ClientMsgId) -> bool {
        self.item(channel, id).is_some_and(|item| !item.tried)
    }

    fn item(&self, channel: ChannelId, id: ClientMsgId) -> Option<&Item> {
        self.queues.get(&channel)?.items.iter().find(|item| item.pending.id() == id)
    }

    /// What was kept from another life of the app may have gone out in it.
    pub(super) fn restore(&mut self, pending: Pending, bytes: usize) {
        let channel = pending.channel;
        self.push(pending, bytes);
        if let Some(item) = self.queues.get_mut(&channel).and_then(|queue| queue.items.back_mut()) {
            item.tried = true;
        }
    }

    pub(super) fn push(&mut self, pending: Pending, bytes: usize) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let queue = self.queues.entry(pending.channel).or_default();
        queue.items.push_back(Item { pending, bytes, way: Way::Waiting, tried: false });
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn queue(&self, channel: ChannelId) -> Option<&Queue> {
        self.queues.get(&channel)
    }

    pub(super) fn is_waiting(&self, channel: ChannelId) -> bool {
        self.queues.get(&channel).is_some_and(|queue| !queue.items.is_empty())
    }

    /// Whether something was sent and is not answered.
    pub(super) fn is_on_its_way(&self) -> bool {
        self.queues.values().any(|queue| queue.items.front().is_some_and(|item| item.way == Way::Sent))
    }

    /// What to send now: the first of those that wait, as long as fewer than `window` are on their way.
    pub(super) fn next(&mut self, channel: ChannelId, window: usize, now_ms: u64) -> Option<Send> {
        let queue = self.queues.get_mut(&channel)?;
        if queue.not_before_ms > now_ms {
            return None;
        }
        let item = queue.items.iter_mut().take(window.max(1)).find(|item| item.way == Way::Waiting)?;
        (item.way, item.tried) = (Way::Sent, true);
        Some(item.pending.send.clone())
    }

    /// The link or the attachment is gone: whatever was on its way is to be sent again, in the same order.
    pub(super) fn unsent(&mut self, channel: ChannelId) {
        if let Some(queue) = self.queues.get_mut(&channel) {
            queue.items.iter_mut().for_each(|item| item.way = Way::Waiting);
        }
    }

    /// Takes a send out, answered or given up.
    pub(super) fn take(&mut self, channel: ChannelId, id: ClientMsgId) -> Option<Pending> {
        let queue = self.queues.get_mut(&channel)?;
        let index = queue.items.iter().position(|item| item.pending.id() == id)?;
        let item = queue.items.remove(index)?;
        self.count -= 1;
        self.bytes = self.bytes.saturating_sub(item.bytes);
        queue.refusals = 0;
        self.tidy(channel);
        Some(item.pending)
    }

    /// Acknowledged at `seq`, whose entry has not come yet.
    pub(super) fn show_until(&mut self, pending: Pending, seq: Seq) {
        let queue = self.queues.entry(pending.channel).or_default();
        queue.acked.push_back((pending, seq));
    }

    /// Entries up to here have come: what is no longer shown.
    pub(super) fn came(&mut self, channel: ChannelId, cursor: Seq) -> Vec<Pending> {
        let Some(queue) = self.queues.get_mut(&channel) else { return Vec::new() };
        let mut gone = Vec::new();
        queue.acked.retain(|(pending, seq)| {
            let came = *seq <= cursor;
            if came {
                gone.push(pending.clone());
            }
            !came
        });
        self.tidy(channel);
        gone
    }

    /// Refused for now: nothing of the channel is sent before this time, and then this first.
    pub(super) fn put_off(&mut self, channel: ChannelId, until_ms: u64) {
        if let Some(queue) = self.queues.get_mut(&channel) {
            queue.not_before_ms = queue.not_before_ms.max(until_ms);
            queue.refusals = queue.refusals.saturating_add(1);
        }
    }

    /// This one is to be sent again.
    pub(super) fn again(&mut self, channel: ChannelId, id: ClientMsgId) {
        if let Some(queue) = self.queues.get_mut(&channel)
            && let Some(item) = queue.items.iter_mut().find(|item| item.pending.id() == id)
        {
            item.way = Way::Waiting;
        }
    }

    /// When something is to be sent that was put off.
    pub(super) fn next_at(&self, now_ms: u64) -> Option<u64> {
        let waits = |queue: &&Queue| !queue.items.is_empty() && queue.not_before_ms > now_ms;
        self.queues.values().filter(waits).map(|queue| queue.not_before_ms).min()
    }

    /// Everything that waits for a channel that the user is no longer in.
    pub(super) fn give_up(&mut self, channel: ChannelId) -> Vec<Pending> {
        let Some(queue) = self.queues.remove(&channel) else { return Vec::new() };
        self.count -= queue.items.len();
        self.bytes = self.bytes.saturating_sub(queue.items.iter().map(|item| item.bytes).sum());
        queue.items.into_iter().map(|item| item.pending).collect()
    }

    fn tidy(&mut self, channel: ChannelId) {
        if self.queues.get(&channel).is_some_and(|queue| queue.items.is_empty() && queue.acked.is_empty()) {
            self.queues.remove(&channel);
        }
    }
}

/// The message an op changes, where it changes one.
pub(super) fn target(op: &Op) -> Option<Seq> {
    match op {
        Op::Edit(edit) => Some(edit.target),
        Op::Delete(delete) => Some(delete.target),
        Op::React(react) => Some(react.target),
        _ => None,
    }
}
