//! What is said: 128 bytes that tell by whom, the how manieth it is, and when it was sent.

use std::ops::Range;
use std::sync::LazyLock;
use std::time::Instant;

pub(crate) const TEXT_BYTES: usize = 128;
const SENDER: Range<usize> = 0..4;
const NUMBER: Range<usize> = 4..14;
const SLOT: Range<usize> = 14..24;
const SENT_NS: Range<usize> = 24..40;

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The sender's place among those who send in its channel.
    pub(crate) sender: usize,
    /// Which of the sender's messages, from 0.
    pub(crate) number: u64,
    /// Which of the round's messages.
    pub(crate) slot: usize,
    /// When it was sent, by [`now_ns`].
    pub(crate) sent_ns: u64,
}

/// Nanoseconds since somebody first asked.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Stamp {
    pub(crate) fn text(self) -> String {
        let Self { sender, number, slot, sent_ns } = self;
        format!("{:x<TEXT_BYTES$}", format!("{sender:04}{number:010}{slot:010}{sent_ns:016}"))
    }

    /// `None` for what is no such text.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        if text.len() != TEXT_BYTES {
            return None;
        }
        let field = |range| std::str::from_utf8(text.get::<Range<usize>>(range)?).ok();
        Some(Self {
            sender: field(SENDER)?.parse().ok()?,
            number: field(NUMBER)?.parse().ok()?,
            slot: field(SLOT)?.parse().ok()?,
            sent_ns: field(SENT_NS)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let stamp = Stamp { sender: 3, number: 70_000, slot: 12, sent_ns: now_ns() };
        assert_eq!(Stamp::read(stamp.text().as_bytes()), Some(stamp));
        assert_eq!(Stamp::read(b"something else"), None);
        assert_eq!(Stamp::read("y".repeat(TEXT_BYTES).as_bytes()), None);
    }
}
