//! The frames that go over the wire: suda's own, also to and from the bare servers, so that both move the same bytes and clients
//! do the same work.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use suda_schema::channel::{Ack, ChannelDown, Entries};
use suda_schema::codec::Codec;
use suda_schema::entry::{Body, Entry, Message, What};
use suda_schema::{Seq, samples};
use suda_tests::people::text_of;

/// How long each text is.
pub(crate) const TEXT_BYTES: usize = 128;
const TAG_DIGITS: usize = 6;
const TIME_DIGITS: usize = 20;

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A text that says who sent it, and when.
pub(crate) fn text(tag: usize) -> String {
    text_of_len(tag, TEXT_BYTES)
}

/// The same with another length.
pub(crate) fn text_of_len(tag: usize, len: usize) -> String {
    let sent_ns = ORIGIN.elapsed().as_nanos();
    let mut text = format!("{tag:0TAG_DIGITS$}{sent_ns:0TIME_DIGITS$}");
    // The width of a format ends at 65,535.
    text.extend(std::iter::repeat_n('x', len.saturating_sub(text.len())));
    text
}

/// Who sent this, and how long ago; `None` for what is no text of [`text`]'s.
pub(crate) fn read(entry: &Entry) -> Option<(usize, Duration)> {
    let text = text_of(entry).filter(|text| text.len() >= TEXT_BYTES)?;
    let (tag, rest) = text.split_at_checked(TAG_DIGITS)?;
    let sent = Duration::from_nanos(rest.get(..TIME_DIGITS)?.parse().ok()?);
    Some((tag.parse().ok()?, ORIGIN.elapsed().saturating_sub(sent)))
}

/// An answer to a send.
pub(crate) fn ack() -> Bytes {
    Codec::Binary.encode(&ChannelDown::Ack(Ack {
        client_msg_id: samples::CLIENT_MSG_ID,
        seq: Seq(1_042),
        at_ms: samples::AT_MS,
    }))
}

/// A delivery of one message.
pub(crate) fn entries(text: &str) -> Bytes {
    let message = Message {
        body: Body::Text(format!("{text:x<TEXT_BYTES$}")),
        reply_to: None,
        thread: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        edited: None,
        reactions: Vec::new(),
    };
    let entry = Entry {
        seq: Seq(1_042),
        at_ms: samples::AT_MS,
        by: samples::ALICE,
        client_msg_id: Some(samples::CLIENT_MSG_ID),
        what: What::Message(message),
    };
    Codec::Binary.encode(&ChannelDown::Entries(Entries { entries: vec![entry] }))
}
