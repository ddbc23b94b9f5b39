//! What the channel half of chat keeps under its keys.
//!
//! Every row is a version byte and postcard, see [`Row`]; so a row can grow. The one special row is that of an entry: a
//! small header and then the entry in its *wire* encoding, so that history and resume copy bytes from the store into
//! frames and decode nothing.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use suda_schema::codec::binary;
use suda_schema::entry::{Entry, Role, What};
use suda_schema::summary::{ChannelKind, Mute, Preview};
use suda_schema::{ChannelId, ClientMsgId, MediaId, Seq, UserId};

use super::{ChatError, Row};

/// A channel: what it is and how it is called. Who is in it and what was said are rows of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChannelRow {
    pub(super) kind: ChannelKind,
    pub(super) title: String,
    pub(super) picture: Option<MediaId>,
    pub(super) made_at_ms: u64,
    pub(super) made_by: UserId,
    /// The two users of a direct channel, the smaller id first; the same twice for notes to oneself.
    pub(super) pair: Option<(UserId, UserId)>,
    /// Who has this code may join.
    pub(super) invite: Option<String>,
    /// The other one of a direct channel has deleted the account: there is nobody to talk to.
    pub(super) closed: bool,
    /// The channel was deleted; its rows are being swept away.
    pub(super) doomed: bool,
}

impl Row for ChannelRow {
    const NAME: &'static str = "channel";
}

/// The channel that something leads to: an invite code, a pair of users, a request to make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PointerRow {
    pub(super) channel: ChannelId,
}

impl Row for PointerRow {
    const NAME: &'static str = "reference to a channel";
}

/// The end of a channel's log. Whoever appends reads it and writes it, so that two appends can't both commit without
/// knowing of each other; everything else that only appends write may therefore be read without a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeadRow {
    /// The newest entry.
    pub(super) seq: Seq,
    /// How many of the entries are messages.
    pub(super) msgs: u64,
    /// When the newest entry was appended; of an empty log, when the channel was made.
    pub(super) last_at_ms: u64,
    /// The newest message.
    pub(super) preview: Option<Preview>,
}

impl Row for HeadRow {
    const NAME: &'static str = "channel head";
}

/// A member of a channel. Those who may do more than members have it twice: see [`keys::staff`](crate::store::keys::staff).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberRow {
    pub(super) role: Role,
    pub(super) joined_at_ms: u64,
}

impl Row for MemberRow {
    const NAME: &'static str = "member";
}

/// A user who can't come back until unbanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BanRow {
    pub(super) by: UserId,
    pub(super) at_ms: u64,
}

impl Row for BanRow {
    const NAME: &'static str = "ban";
}

/// A channel in a user's own list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JoinedRow {
    pub(super) mute: Mute,
    /// Of which kind the channel is, for ever.
    pub(super) kind: ChannelKind,
}

impl Row for JoinedRow {
    const NAME: &'static str = "joined channel";
    const VERSION: u8 = 2;
    fn decode_older(version: u8, body: &[u8]) -> Option<Self> {
        let mute = (version == 1).then(|| postcard::from_bytes(body).ok()).flatten()?;
        // It was not kept. Of a broadcast channel a session listens to more than it must of others.
        Some(Self { mute, kind: ChannelKind::Broadcast })
    }
}

/// How far a user has got in a channel. Both counts are those of the moment of reading, so that what is unread is a
/// subtraction: see [`MarkRow::unread`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct MarkRow {
    pub(super) read: Seq,
    /// How many messages there are up to `read`.
    pub(super) read_msgs: u64,
    /// How many of them are the user's own.
    pub(super) read_own: u64,
    /// What has reached at least one of the user's devices.
    pub(super) delivered: Seq,
}

impl Row for MarkRow {
    const NAME: &'static str = "mark";
}

impl MarkRow {
    /// How many messages of others are unread, out of `msgs` in the log of which `own` are the user's. Deleted messages
    /// count on: what was unread stays so until it has been scrolled past.
    pub(super) fn unread(&self, msgs: u64, own: u64) -> u64 {
        msgs.saturating_sub(self.read_msgs).saturating_sub(own.saturating_sub(self.read_own))
    }
}

/// What a send made: kept for ever, so that a retry, however late, is told of the same entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RetryRow {
    pub(super) seq: Seq,
    pub(super) at_ms: u64,
}

impl Row for RetryRow {
    const NAME: &'static str = "retry";
}

/// How many messages of their own a user had sent to a channel with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnRow {
    pub(super) count: u64,
}

impl Row for OwnRow {
    const NAME: &'static str = "own message";
}

/// An edit of a message, as much of it as it takes to write its erased entry without reading the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EditRow {
    pub(super) at_ms: u64,
    pub(super) msgs: u64,
    pub(super) client_msg_id: Option<ClientMsgId>,
}

impl Row for EditRow {
    const NAME: &'static str = "edit";
}

/// What stands before the wire bytes of an entry in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EntryHeader {
    /// How many of the entries up to this one are messages.
    pub(super) msgs: u64,
    pub(super) about: About,
}

impl Row for EntryHeader {
    const NAME: &'static str = "entry";
}

/// What an entry is about, known without decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum About {
    /// It is a message, in this thread if it is a reply.
    Message { thread: Option<Seq> },
    /// It changed the row of this message.
    Change { target: Seq },
    /// It is about the channel.
    Channel,
}

impl About {
    pub(super) fn of(what: &What) -> Self {
        match what {
            What::Message(message) => Self::Message { thread: message.thread },
            What::Edit(edit) => Self::Change { target: edit.target },
            What::Delete(delete) => Self::Change { target: delete.target },
            What::React(react) => Self::Change { target: react.target },
            _ => Self::Channel,
        }
    }
}

/// The front of an entry's wire bytes, which is there even if the rest of a long row was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct EntryFront {
    pub(super) seq: Seq,
    pub(super) at_ms: u64,
    pub(super) by: UserId,
}

/// An entry as it is stored: its wire bytes, and what one must know of it without decoding them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its place in the log.
    pub seq: Seq,
    /// When it was appended.
    pub at_ms: u64,
    /// The binary wire encoding of the [`Entry`].
    pub bytes: Bytes,
    /// The message whose row it changed, if it is an edit, a deletion or a reaction.
    pub target: Option<Seq>,
}

impl StoredEntry {
    /// The entry itself.
    pub fn decode(&self) -> Result<Entry, ChatError> {
        match binary::take_value(&self.bytes) {
            Ok((entry, [])) => Ok(entry),
            _ => Err(ChatError::BadRow(EntryHeader::NAME)),
        }
    }

    /// From a whole row.
    pub(super) fn from_row(row: &Bytes) -> Result<Self, ChatError> {
        let (header, front, bytes) = split_entry(row)?;
        let target = if let About::Change { target } = header.about { Some(target) } else { None };
        Ok(Self { seq: front.seq, at_ms: front.at_ms, bytes, target })
    }
}

/// The row of an entry.
pub(super) fn encode_entry(msgs: u64, entry: &Entry) -> Vec<u8> {
    let header = EntryHeader { msgs, about: About::of(&entry.what) };
    let mut row = super::tx::encode_row(&header);
    binary::put_value(entry, &mut row);
    row
}

/// The header of an entry's row, the front of its wire bytes, and these. Works on the first piece of a long row too.
pub(super) fn split_entry(row: &Bytes) -> Result<(EntryHeader, EntryFront, Bytes), ChatError> {
    let bad = || ChatError::BadRow(EntryHeader::NAME);
    let body = match row.split_first() {
        Some((&EntryHeader::VERSION, body)) => body,
        _ => return Err(bad()),
    };
    let (header, wire) = postcard::take_from_bytes::<EntryHeader>(body).map_err(|_| bad())?;
    let (front, _) = postcard::take_from_bytes::<EntryFront>(wire).map_err(|_| bad())?;
    Ok((header, front, row.slice_ref(wire)))
}

#[cfg(test)]
mod tests {
    use suda_schema::entry::{Body, Message, React};

    use super::*;
    use crate::chat::tx::{decode_row, encode_row};

    fn message(text: &str) -> Entry {
        Entry {
            seq: Seq(300),
            at_ms: 1_767_225_600_001,
            by: UserId(u64::MAX),
            client_msg_id: Some(ClientMsgId([7; 16])),
            what: What::Message(Message {
                body: Body::Text(text.to_owned()),
                reply_to: Some(Seq(9)),
                thread: Some(Seq(4)),
                mentions: vec![UserId(1)],
                attachments: Vec::new(),
                edited: None,
                reactions: Vec::new(),
            }),
        }
    }

    #[test]
    fn an_entry_row_holds_the_wire_bytes_unchanged() {
        let entry = message("hello");
        let row = Bytes::from(encode_entry(17, &entry));
        let (header, front, bytes) = split_entry(&row).unwrap();
        assert_eq!(header, EntryHeader { msgs: 17, about: About::Message { thread: Some(Seq(4)) } });
        assert_eq!((front.seq, front.at_ms, front.by), (entry.seq, entry.at_ms, entry.by));
        let mut wire = Vec::new();
        binary::put_value(&entry, &mut wire);
        assert_eq!(bytes, wire);
        assert_eq!(StoredEntry::from_row(&row).unwrap().decode().unwrap(), entry);
    }

    #[test]
    fn the_first_piece_of_a_long_row_is_enough_for_its_header() {
        let row = Bytes::from(encode_entry(1, &message(&"x".repeat(100_000))));
        let (header, front, _) = split_entry(&row.slice(..64)).unwrap();
        assert_eq!((header.msgs, front.seq), (1, Seq(300)));
    }

    #[test]
    fn a_change_names_its_target() {
        let what = What::React(React { target: Seq(5), emoji: "👍".to_owned(), on: true });
        let row = Bytes::from(encode_entry(3, &Entry { what, ..message("") }));
        assert_eq!(StoredEntry::from_row(&row).unwrap().target, Some(Seq(5)));
    }

    #[test]
    fn a_row_of_another_version_or_cut_short_is_refused() {
        let row = encode_entry(1, &message("hello"));
        for bad in [&[][..], &[2, 1][..], &row[..3]] {
            assert!(matches!(split_entry(&Bytes::copy_from_slice(bad)), Err(ChatError::BadRow("entry"))));
        }
    }

    /// Bytes that are in stores by now. A row that comes out different needs a new version, and must read this one.
    #[test]
    fn rows_are_stored_as_ever() {
        let (seq, at_ms, user, channel) = (Seq(300), 1_000, UserId(5), ChannelId(6));
        let preview = Preview { seq, by: user, at_ms, text: "hi".to_owned() };
        let channel_row = ChannelRow {
            kind: ChannelKind::Broadcast,
            title: "t".to_owned(),
            picture: Some(MediaId(7)),
            made_at_ms: at_ms,
            made_by: user,
            pair: Some((UserId(1), UserId(2))),
            invite: Some("c".to_owned()),
            closed: false,
            doomed: true,
        };
        let edit = EditRow { at_ms, msgs: 2, client_msg_id: Some(ClientMsgId([9; 16])) };
        let header = EntryHeader { msgs: 2, about: About::Change { target: seq } };
        fn hex<R: Row + PartialEq + std::fmt::Debug>(row: &R) -> String {
            let bytes = encode_row(row);
            assert_eq!(decode_row::<R>(&bytes).unwrap(), *row);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        for (stored, row) in [
            ("010201740107e807050101020101630001", hex(&channel_row)),
            ("0106", hex(&PointerRow { channel })),
            (
                "01ac0202e80701ac0205e807026869",
                hex(&HeadRow { seq, msgs: 2, last_at_ms: at_ms, preview: Some(preview) }),
            ),
            ("0102e807", hex(&MemberRow { role: Role::Admin, joined_at_ms: at_ms })),
            ("0105e807", hex(&BanRow { by: user, at_ms })),
            ("0202e80701", hex(&JoinedRow { mute: Mute::Until(at_ms), kind: ChannelKind::Group })),
            ("01ac020201ac02", hex(&MarkRow { read: seq, read_msgs: 2, read_own: 1, delivered: seq })),
            ("01ac02e807", hex(&RetryRow { seq, at_ms })),
            ("01ac02", hex(&OwnRow { count: 300 })),
            ("01e807020109090909090909090909090909090909", hex(&edit)),
            ("010201ac02", hex(&header)),
            ("01020001ac02", hex(&EntryHeader { about: About::Message { thread: Some(seq) }, ..header })),
            ("010202", hex(&EntryHeader { about: About::Channel, ..header })),
        ] {
            assert_eq!(row, stored);
        }
    }
}
