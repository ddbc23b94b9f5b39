//! Every limit the wire has, by name. What a node's operator may lower or raise is in its configuration; what is
//! here can't be changed without a new protocol version, and a client may rely on it.

/// The most characters (Unicode scalar values) in one message's text.
pub const TEXT_CHARS_MAX: usize = 100_000;
/// The most bytes in one message's text, as UTF-8.
pub const TEXT_BYTES_MAX: usize = 400_000;
/// The most bytes in an opaque body.
pub const OPAQUE_BYTES_MAX: usize = 400_000;
/// The most bytes in the name of an opaque body's scheme.
pub const OPAQUE_SCHEME_BYTES_MAX: usize = 64;
/// The most mentions in one message.
pub const MENTIONS_MAX: usize = 100;
/// The most attachments on one message.
pub const ATTACHMENTS_MAX: usize = 20;
/// The most bytes of any one attachment's name, media type or preview hash.
pub const ATTACHMENT_FIELD_BYTES_MAX: usize = 256;
/// The most bytes in one reaction.
pub const REACTION_BYTES_MAX: usize = 64;
/// The most different reactions one message shows.
pub const REACTIONS_PER_MESSAGE_MAX: usize = 32;
/// The most users listed under one reaction. The count goes on.
pub const REACTION_USERS_MAX: usize = 100;
/// The most edits of one message.
pub const EDITS_PER_MESSAGE_MAX: usize = 200;
/// The most characters of a message in a preview.
pub const PREVIEW_CHARS_MAX: usize = 160;
/// The most bytes in a channel's title.
pub const TITLE_BYTES_MAX: usize = 400;

/// The most bytes in a frame's body, after its length. Longer ones are refused before anything is allocated.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The same for the first frame of a stream, which comes before anything is known of the sender.
pub const OPEN_BYTES_MAX: usize = 16 << 10;
/// The same for a frame on the control stream.
pub const CONTROL_BYTES_MAX: usize = 64 << 10;
/// The most bytes in a datagram.
pub const DATAGRAM_BYTES_MAX: usize = 1_000;
/// A node puts at most about this many bytes of entries in one frame. One larger entry still goes, alone.
pub const ENTRIES_BYTES_TARGET: usize = 64 << 10;
/// The most entries in one frame.
pub const ENTRIES_PER_FRAME_MAX: usize = 1_024;
/// The most bytes of one WebSocket message of the binary subprotocol: longer frames go in pieces.
pub const WS_CHUNK_BYTES_MAX: usize = 16 << 10;
/// The most bytes of one WebSocket message of the JSON subprotocol, from a client: longer frames go in parts. Parts of
/// 10,000 characters always fit, however they are escaped. A node's own have at most [`WS_CHUNK_BYTES_MAX`] bytes of the
/// frame's text each.
pub const WS_JSON_BYTES_MAX: usize = 128 << 10;

/// The most channels in one page of a sync.
pub const SYNC_PAGE_MAX: u16 = 200;
/// The most entries in one page of history.
pub const HISTORY_PAGE_MAX: u16 = 500;
/// The most users in one presence question.
pub const PRESENCE_USERS_MAX: usize = 200;
/// The most bytes in an access token.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// The most bytes in the client's own name and version.
pub const CLIENT_NAME_BYTES_MAX: usize = 128;
