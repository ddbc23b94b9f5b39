//! Entries in a row, encoded once for all who read them.

use std::sync::OnceLock;

use bytes::Bytes;
use suda_schema::channel::{ChannelDown, Entries};
use suda_schema::codec::{Codec, binary};
use suda_schema::entry::Entry;
use suda_schema::limits::{ENTRIES_BYTES_TARGET, ENTRIES_PER_FRAME_MAX};
use suda_schema::{ClientMsgId, Seq, UserId};

use crate::chat::row::StoredEntry;

/// The number of [`ChannelDown::Entries`] on the wire.
const ENTRIES_KIND: u32 = 1;

/// The numbers of some kinds of entries on the wire.
const EDIT_KIND: u32 = 1;
pub(super) const DELETE_KIND: u32 = 2;
pub(super) const MEMBER_KIND: u32 = 4;

/// What a batch costs beside its frame, as the tail counts it.
pub(super) const BATCH_OVERHEAD_BYTES: usize = 160;

/// Entries in a row, and the frame that delivers them.
pub(super) struct Batch {
    first: Seq,
    /// The `entries` frame, in postcard.
    frame: Bytes,
    rows: Box<[Row]>,
    /// The same frame in JSON, made when the first reader of JSON asks for it.
    json: OnceLock<Option<Bytes>>,
}

#[derive(Clone, Copy)]
struct Row {
    /// Where the entry begins in the frame.
    start: u32,
    /// If it is an edit, the message that it changed; 0 if not.
    edited: Seq,
}

impl Batch {
    /// Cuts entries that follow each other into batches of one frame each.
    pub(super) fn cut(entries: &[StoredEntry]) -> Vec<Self> {
        let mut batches = Vec::with_capacity(1);
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |entry: &&StoredEntry| {
                bytes += entry.bytes.len();
                bytes <= ENTRIES_BYTES_TARGET
            };
            // An entry that is larger than a frame should be goes alone.
            let count = rest.iter().take(ENTRIES_PER_FRAME_MAX).take_while(fits).count().max(1);
            let (now, later) = rest.split_at(count);
            batches.push(Self::new(now));
            rest = later;
        }
        batches
    }

    fn new(entries: &[StoredEntry]) -> Self {
        let first = entries.first().map_or(Seq::ZERO, |entry| entry.seq);
        let frame = encode(entries.iter().map(|entry| &entry.bytes[..]));
        let mut start = frame.len() - entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        let rows = entries.iter().map(|entry| {
            let edited = entry.target.filter(|_| kind_of(&entry.bytes) == Some(EDIT_KIND)).unwrap_or_default();
            let row = Row { start: u32::try_from(start).unwrap_or(u32::MAX), edited };
            start += entry.bytes.len();
            row
        });
        let rows = rows.collect();
        Self { first, frame, rows, json: OnceLock::new() }
    }

    /// How many entries.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The first entry's seq.
    pub(super) fn first(&self) -> Seq {
        self.first
    }

    /// The last entry's seq.
    pub(super) fn last(&self) -> Seq {
        Seq(self.first.0 + self.rows.len() as u64 - 1)
    }

    /// What the tail counts it as.
    pub(super) fn bytes(&self) -> usize {
        self.frame.len() + BATCH_OVERHEAD_BYTES
    }

    /// The frame that delivers the entries after `cursor`, which is in front of this batch or within it; `None` if an
    /// entry can't be read, which JSON needs. The whole batch is shared, a part of it is a copy.
    pub(super) fn frame_after(&self, cursor: Seq, codec: Codec) -> Option<Bytes> {
        let skip = usize::try_from(cursor.next().0.saturating_sub(self.first.0)).unwrap_or(usize::MAX);
        match (codec, skip) {
            (Codec::Binary, 0) => Some(self.frame.clone()),
            (Codec::Binary, skip) => Some(encode(self.entries().skip(skip))),
            (Codec::Json, 0) => self.json.get_or_init(|| encode_json(self.entries())).clone(),
            (Codec::Json, skip) => encode_json(self.entries().skip(skip)),
        }
    }

    /// The entries of the batch that are edits of this message.
    pub(super) fn edits_of(&self, target: Seq) -> impl Iterator<Item = Seq> {
        let first = self.first.0;
        (first..).zip(&self.rows).filter(move |(_, row)| row.edited == target).map(|(seq, _)| Seq(seq))
    }

    /// The same batch with another row in place of the one with that seq.
    pub(super) fn with(&self, changed: &StoredEntry) -> Self {
        let entries: Vec<StoredEntry> = (self.first.0..)
            .zip(self.entries().zip(&self.rows))
            .map(|(seq, (bytes, row))| {
                if seq == changed.seq.0 {
                    return changed.clone();
                }
                let target = (row.edited != Seq::ZERO).then_some(row.edited);
                StoredEntry { seq: Seq(seq), at_ms: 0, bytes: self.frame.slice_ref(bytes), target }
            })
            .collect();
        Self::new(&entries)
    }

    fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.rows.len()).map(|at| {
            let start = self.start(at);
            self.frame.get(start..self.start(at + 1)).unwrap_or_default()
        })
    }

    fn start(&self, at: usize) -> usize {
        self.rows.get(at).map_or(self.frame.len(), |row| row.start as usize)
    }
}

/// An `entries` frame from entries that are encoded already.
fn encode<'a>(entries: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Bytes {
    /// The frame's length, kind and count take at most so much.
    const FRONT_BYTES_MAX: usize = 11;
    let mut out = Vec::with_capacity(FRONT_BYTES_MAX + entries.clone().map(<[u8]>::len).sum::<usize>());
    binary::encode_list(ENTRIES_KIND, entries, &mut out);
    out.into()
}

fn encode_json<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Option<Bytes> {
    let decode = |bytes| match binary::take_value::<Entry>(bytes) {
        Ok((entry, [])) => Some(entry),
        _ => None,
    };
    let entries: Option<Vec<Entry>> = entries.map(decode).collect();
    if entries.is_none() {
        tracing::error!("a stored entry can't be read");
    }
    Some(Codec::Json.encode(&ChannelDown::Entries(Entries { entries: entries? })))
}

/// The number of an entry's kind, from its wire bytes, with as little reading as that takes.
pub(super) fn kind_of(entry: &[u8]) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Front {
        _seq: Seq,
        _at_ms: u64,
        _by: UserId,
        _client_msg_id: Option<ClientMsgId>,
        /// The length of what follows, and its kind.
        _len: u64,
        kind: u32,
    }
    binary::take_value::<Front>(entry).ok().map(|(front, _)| front.kind)
}

#[cfg(test)]
pub(super) mod tests {
    use suda_schema::AppendOnly as _;
    use suda_schema::entry::{Body, Delete, Edit, Member, MemberChange, Title, What};

    use super::*;

    pub(crate) fn entry(seq: u64, text: &str) -> StoredEntry {
        stored(seq, What::Title(Title { title: text.to_owned() }), None)
    }

    pub(crate) fn deletion(seq: u64, target: u64) -> StoredEntry {
        stored(seq, What::Delete(Delete { target: Seq(target) }), Some(Seq(target)))
    }

    pub(crate) fn edit(seq: u64, target: u64, text: &str) -> StoredEntry {
        let edit = Edit { target: Seq(target), body: Body::Text(text.to_owned()), mentions: Vec::new() };
        stored(seq, What::Edit(edit), Some(Seq(target)))
    }

    pub(crate) fn leave(seq: u64, user: UserId) -> StoredEntry {
        stored(seq, What::Member(Member { user, change: MemberChange::Kicked }), None)
    }

    fn stored(seq: u64, what: What, target: Option<Seq>) -> StoredEntry {
        let entry = Entry { seq: Seq(seq), at_ms: 7, by: UserId(1), client_msg_id: None, what };
        let mut bytes = Vec::new();
        binary::put_value(&entry, &mut bytes);
        StoredEntry { seq: Seq(seq), at_ms: 7, bytes: bytes.into(), target }
    }

    /// The seqs in a frame.
    pub(crate) fn seqs(frame: &Bytes, codec: Codec) -> Vec<u64> {
        let down = match codec {
            Codec::Binary => binary::decode::<ChannelDown>(frame, usize::MAX).unwrap().unwrap().0,
            Codec::Json => suda_schema::codec::json::decode(std::str::from_utf8(frame).unwrap()).unwrap(),
        };
        let suda_schema::codec::Decoded::Frame(ChannelDown::Entries(entries)) = down else { panic!("{down:?}") };
        entries.entries.iter().map(|entry| entry.seq.0).collect()
    }

    #[test]
    fn the_kinds_are_those_of_the_schema() {
        assert_eq!(ChannelDown::Entries(Entries { entries: Vec::new() }).kind(), ENTRIES_KIND);
        assert_eq!(kind_of(&edit(300, 2, "a").bytes), Some(EDIT_KIND));
        assert_eq!(kind_of(&deletion(1, 2).bytes), Some(DELETE_KIND));
        assert_eq!(kind_of(&leave(1, UserId(u64::MAX)).bytes), Some(MEMBER_KIND));
        assert_eq!(kind_of(b""), None);
    }

    #[test]
    fn whole_frames_are_shared_and_parts_are_exact() {
        let entries: Vec<_> = (5..10).map(|seq| entry(seq, "hello")).collect();
        let [batch] = &Batch::cut(&entries)[..] else { panic!("one batch") };
        assert_eq!((batch.first(), batch.last(), batch.len()), (Seq(5), Seq(9), 5));
        for codec in [Codec::Binary, Codec::Json] {
            let whole = batch.frame_after(Seq(4), codec).unwrap();
            assert_eq!(seqs(&whole, codec), [5, 6, 7, 8, 9]);
            assert_eq!(whole.as_ptr(), batch.frame_after(Seq(4), codec).unwrap().as_ptr());
            assert_eq!(seqs(&batch.frame_after(Seq(7), codec).unwrap(), codec), [8, 9]);
        }
    }

    #[test]
    fn frames_are_cut_by_bytes_and_a_large_entry_goes_alone() {
        let big = "x".repeat(ENTRIES_BYTES_TARGET / 2);
        let huge = "x".repeat(ENTRIES_BYTES_TARGET * 2);
        let entries = [entry(1, "a"), entry(2, &huge), entry(3, &big), entry(4, &big), entry(5, "b")];
        let cut: Vec<(u64, u64)> = Batch::cut(&entries).iter().map(|batch| (batch.first().0, batch.last().0)).collect();
        assert_eq!(cut, [(1, 1), (2, 2), (3, 3), (4, 5)]);
        let many: Vec<_> = (1..=2_500).map(|seq| entry(seq, "")).collect();
        assert_eq!(Batch::cut(&many).iter().map(Batch::len).collect::<Vec<_>>(), [1_024, 1_024, 452]);
    }

    #[test]
    fn a_row_is_replaced_and_the_others_stay() {
        let entries = [entry(1, "a"), entry(2, "secret"), edit(3, 2, "b"), edit(4, 1, "c"), deletion(5, 2)];
        let batch = Batch::cut(&entries).remove(0);
        assert_eq!(batch.edits_of(Seq(2)).collect::<Vec<_>>(), [Seq(3)]);
        let batch = batch.with(&entry(2, "much longer than it was before"));
        let frame = batch.frame_after(Seq(0), Codec::Binary).unwrap();
        assert_eq!(seqs(&frame, Codec::Binary), [1, 2, 3, 4, 5]);
        assert!(!frame.windows(6).any(|window| window == b"secret"));
        assert_eq!(batch.edits_of(Seq(1)).collect::<Vec<_>>(), [Seq(4)]);
    }
}
