//! The frames of an attachment's stream, and datagrams.

use serde::{Deserialize, Serialize};

use crate::append_only::append_only;
use crate::codec::{bounded, embedded};
use crate::control::{Closing, Typing};
use crate::entry::{Attachment, Body, Delete, Entry, React};
use crate::limits::{ATTACHMENTS_MAX, MENTIONS_MAX};
use crate::summary::{ChannelSummary, MemberMark};
use crate::{ChannelId, ClientMsgId, Seq, UserId, WireError};

append_only! {
    /// Client to node, on an attachment's stream, after `attach`.
    pub enum ChannelUp {
        /// Append to the log. Answered by `ack` or `refused`, in the order sent.
        0 "send" Send(Send),
        /// Read and delivered positions.
        1 "mark" Mark(Marks),
        /// The user types, or stopped.
        2 "typing" Typing(SetTyping),
        /// A page of history. Answered by `history` or `history_failed`.
        3 "history" History(HistoryQuery),
    }
}

append_only! {
    /// Node to client, on an attachment's stream.
    pub enum ChannelDown {
        /// The attachment stands; entries follow.
        0 "attached" Attached(Attached),
        /// Entries, in order, with no gap: first what the cursor missed, then what comes.
        1 "entries" Entries(Entries),
        /// A send is durable.
        2 "ack" Ack(Ack),
        /// A send was not taken.
        3 "refused" Refused(Refused),
        /// Members' read and delivered positions: all when attached, then changes.
        4 "marks" Marks(MemberMarks),
        /// Somebody types here.
        5 "typing" Typing(Typing),
        /// A page of history.
        6 "history" History(HistoryPage),
        /// A page of history could not be had.
        7 "history_failed" HistoryFailed(HistoryFailed),
        /// The attachment ends now; the link goes on.
        8 "closed" Closed(Closing),
    }
}

impl ChannelDown {
    /// The number of `entries`, for frames made of entries that are encoded already.
    pub const ENTRIES: u32 = 1;
    /// The number of `history`, likewise.
    pub const HISTORY: u32 = 6;
}

append_only! {
    /// Client to node, in a datagram. What fits in one may be sent so; everything works without.
    pub enum DatagramUp {
        /// The user types, or stopped, in a channel that has an attachment.
        0 "typing" Typing(TypingIn),
    }
}

append_only! {
    /// Node to client, in a datagram.
    pub enum DatagramDown {
        /// Somebody types.
        0 "typing" Typing(Typing),
    }
}

/// Append to the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Send {
    /// Made by the client, the same on every retry.
    pub client_msg_id: ClientMsgId,
    /// What to append. Embedded, so that an older node can refuse a newer kind by its id and keep the stream.
    #[serde(with = "embedded")]
    pub op: Op,
}

append_only! {
    /// What to append.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    pub embedded enum Op {
        /// A message.
        0 "message" Message(NewMessage),
        /// New text for one's own message.
        1 "edit" Edit(NewEdit),
        /// Delete one's own message, or as an admin anybody's.
        2 "delete" Delete(Delete),
        /// Add or take back a reaction.
        3 "react" React(React),
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewMessage {
    /// What it says.
    #[serde(with = "embedded")]
    pub body: Body,
    /// The message it answers.
    #[serde(default)]
    pub reply_to: Option<Seq>,
    /// Who is mentioned.
    #[serde(default, deserialize_with = "bounded::list::<_, _, MENTIONS_MAX>")]
    pub mentions: Vec<UserId>,
    /// Pictures and files.
    #[serde(default, deserialize_with = "bounded::list::<_, _, ATTACHMENTS_MAX>")]
    pub attachments: Vec<Attachment>,
}

/// New text for a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewEdit {
    /// Which message.
    pub target: Seq,
    /// What it says now.
    #[serde(with = "embedded")]
    pub body: Body,
    /// Who is mentioned now.
    #[serde(default, deserialize_with = "bounded::list::<_, _, MENTIONS_MAX>")]
    pub mentions: Vec<UserId>,
}

/// Read and delivered positions. They only move forward; a smaller one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Marks {
    /// Everything up to here has reached this device.
    #[serde(default)]
    pub delivered: Option<Seq>,
    /// Everything up to here the user has read.
    #[serde(default)]
    pub read: Option<Seq>,
}

/// The user types, or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTyping {
    /// Typing (true; to be repeated every few seconds) or stopped.
    pub on: bool,
}

/// The same in a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypingIn {
    /// Where.
    pub channel: ChannelId,
    /// Typing or stopped.
    pub on: bool,
}

/// Ask for a page of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Chosen by the client; comes back in the answer.
    pub request: u32,
    /// Where the page lies.
    pub at: HistoryAt,
    /// How many entries at most.
    pub limit: u16,
    /// Only the messages of this thread.
    #[serde(default)]
    pub thread: Option<Seq>,
}

/// Where a page of history lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryAt {
    /// The newest entries with a smaller seq.
    Before(Seq),
    /// The oldest entries with a larger seq.
    After(Seq),
    /// This entry in the middle of its neighbours.
    Around(Seq),
    /// The first unread entry in the middle of its neighbours.
    Unread,
    /// The first entry at or after this time (milliseconds since the Unix epoch) in the middle of its neighbours.
    Time(u64),
    /// The newest entries.
    Newest,
}

/// The attachment stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attached {
    /// The channel.
    pub channel: ChannelSummary,
    /// Entries after this seq follow.
    pub after: Seq,
}

/// Entries of the channel's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entries {
    /// In order, with no gap.
    pub entries: Vec<Entry>,
}

/// A send is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ack {
    /// The send's.
    pub client_msg_id: ClientMsgId,
    /// The entry it made, now or at an earlier try.
    pub seq: Seq,
    /// When that was.
    pub at_ms: u64,
}

/// A send was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The send's.
    pub client_msg_id: ClientMsgId,
    /// Why, and whether trying again can help.
    pub error: WireError,
}

/// Members' positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberMarks {
    /// One each.
    pub members: Vec<MemberMark>,
}

/// A page of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryPage {
    /// The request it answers.
    pub request: u32,
    /// In order of seq, each in its current state.
    pub entries: Vec<Entry>,
    /// Whether there are entries before the first of these.
    pub more_before: bool,
    /// Whether there are entries after the last of these.
    pub more_after: bool,
}

/// A page of history could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryFailed {
    /// Which.
    pub request: u32,
    /// Why.
    pub error: WireError,
}
