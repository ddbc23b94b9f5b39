//! What a channel's log is made of.
//!
//! An [`Entry`] is stored as it is sent. What it says can grow: [`What`] and [`Body`] are embedded append-only enums,
//! length-prefixed in the binary form, so that an old client keeps its place in a log that holds kinds it does not
//! know. [`MemberChange`] and [`Role`] are closed: what more there is to say about members becomes a new kind of
//! [`What`].

use serde::{Deserialize, Serialize};

use crate::append_only::append_only;
use crate::codec::embedded;
use crate::{ClientMsgId, MediaId, Seq, UserId};

/// One thing that happened in a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its place in the log.
    pub seq: Seq,
    /// When the server appended it, in milliseconds since the Unix epoch; never less than the entry's before.
    pub at_ms: u64,
    /// Who did it.
    pub by: UserId,
    /// The id that the sender gave it; absent on what the server made itself.
    pub client_msg_id: Option<ClientMsgId>,
    /// What happened.
    #[serde(with = "embedded")]
    pub what: What,
}

append_only! {
    /// What happened.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    pub embedded enum What {
        /// Somebody said something.
        0 "message" Message(Message),
        /// A message's text was replaced.
        1 "edit" Edit(Edit),
        /// A message was deleted; its text is gone everywhere.
        2 "delete" Delete(Delete),
        /// A reaction was added or taken back.
        3 "react" React(React),
        /// A member came, went or changed.
        4 "member" Member(Member),
        /// The channel's title changed.
        5 "title" Title(Title),
        /// The channel's picture changed.
        6 "picture" Picture(Picture),
    }
}

append_only! {
    /// What a message says.
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    pub embedded enum Body {
        /// Text for people, as it is to be shown; never markup.
        0 "text" Text(String),
        /// Bytes that only the clients understand, such as an end-to-end encrypted text.
        1 "opaque" Opaque(Opaque),
        /// Nothing: the message was deleted.
        2 "erased" Erased(Erased),
    }
}

/// Bytes that only the clients understand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Opaque {
    /// What made them, such as `mls/1`.
    pub scheme: String,
    /// The bytes (base64 in JSON).
    #[serde(with = "crate::codec::base64")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Byte))]
    pub bytes: Vec<u8>,
}

/// When and by whom a message was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Erased {
    /// The delete entry's seq.
    pub seq: Seq,
    /// Who deleted it.
    pub by: UserId,
}

/// Somebody said something. When history is read, a message shows its current state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// What it says, now.
    #[serde(with = "embedded")]
    pub body: Body,
    /// The message it answers.
    pub reply_to: Option<Seq>,
    /// The first message of the thread it is in, found by the server.
    pub thread: Option<Seq>,
    /// Who is mentioned.
    pub mentions: Vec<UserId>,
    /// Pictures and files.
    pub attachments: Vec<Attachment>,
    /// The last edit, if any.
    pub edited: Option<Edited>,
    /// The reactions it has now.
    pub reactions: Vec<Reaction>,
}

/// The last edit of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edited {
    /// The edit entry's seq. An edit entry with a smaller seq is already contained.
    pub seq: Seq,
    /// When.
    pub at_ms: u64,
    /// How many edits there have been.
    pub count: u32,
}

/// One emoji's reactions to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reaction {
    /// Which one.
    pub emoji: String,
    /// How many users.
    pub count: u32,
    /// The first of them.
    pub users: Vec<UserId>,
}

/// A picture or file of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attachment {
    /// Where it is stored.
    pub media: MediaId,
    /// Its file name.
    pub name: String,
    /// Its media type, such as `image/png`.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
    /// Width and height in pixels, where it has them.
    pub size_px: Option<(u32, u32)>,
    /// A tiny preview, such as a blurhash.
    pub preview: Option<String>,
}

/// A message's text was replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edit {
    /// Which message.
    pub target: Seq,
    /// What it says now; `erased` once the message has been deleted.
    #[serde(with = "embedded")]
    pub body: Body,
    /// Who is mentioned now.
    pub mentions: Vec<UserId>,
}

/// A message was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delete {
    /// Which message.
    pub target: Seq,
}

/// A reaction was added or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct React {
    /// Which message.
    pub target: Seq,
    /// Which reaction.
    pub emoji: String,
    /// Added (true) or taken back.
    pub on: bool,
}

/// A member came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
// The HTTP API has a `Member` of its own.
#[cfg_attr(feature = "openapi", schema(as = MemberChanged))]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// What changed.
    pub change: MemberChange,
}

/// What changed about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MemberChange {
    /// Came in, by invitation or by link, with this role.
    Joined(Role),
    /// Left.
    Left,
    /// Was removed by an admin; may be invited again.
    Kicked,
    /// Was removed and can't come back until unbanned.
    Banned,
    /// May be invited again.
    Unbanned,
    /// Has another role now.
    Role(Role),
}

/// What a member may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Role {
    /// Reads; in groups and direct channels also posts.
    Member,
    /// Posts, also in broadcast channels.
    Poster,
    /// Invites, kicks, bans, deletes others' messages, changes the title.
    Admin,
    /// Everything, and makes admins. A channel has one owner.
    Owner,
}

/// The channel's title changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Title {
    /// The new one.
    pub title: String,
}

/// The channel's picture changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Picture {
    /// The new one, or none.
    pub media: Option<MediaId>,
}
