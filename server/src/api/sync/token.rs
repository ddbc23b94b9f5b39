//! What a client that polls has seen, as a text that means nothing to it.
//!
//! Channels change in the order in which they are committed, and an entry's time is taken a little before that: so a
//! channel may come to light with a time that is older than the newest one seen. A token therefore names a time from
//! which on everything is looked at again, and what has been seen since then already, as short hashes.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use suda_schema::control::SyncCursor;
use suda_schema::summary::ChannelSummary;
use suda_schema::{ChannelId, Seq};

use crate::api::error::{ApiError, ApiResult};
use crate::store::TXN_AGE_MS_MAX;

/// How much older than the newest time seen an entry may be that nobody has seen yet: as long as a transaction may take,
/// and as much again for nodes whose clocks differ.
const LATE_MS_MAX: u64 = 2 * TXN_AGE_MS_MAX;
/// How many channels a token remembers. Where more of a user's are active within that time, a change of one of the others
/// that comes to light late is told with its next one.
const SEEN_MAX: usize = 256;
/// The longest token.
const TOKEN_CHARS_MAX: usize = 8_192;

/// A channel in a certain state.
type Seen = [u8; 6];

/// What a client has seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Token {
    /// Up to where in the user's own log.
    pub(super) user_cursor: Seq,
    /// Channels whose newest entry is older than this have been seen.
    from_ms: u64,
    /// Those of the others that have been seen as they are.
    seen: Vec<Seen>,
    /// Where in the list of channels to go on, if the last answer was not the whole.
    pub(super) list: Option<Place>,
}

/// How far an answer in several pages has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    after_ms: u64,
    after_channel: ChannelId,
    /// What the token will be when all pages are read.
    next_from_ms: u64,
    next_seen: Vec<Seen>,
}

impl Token {
    /// Nothing seen: the beginning of a client.
    pub(super) fn first(user_cursor: Seq) -> Self {
        Self { user_cursor, ..Self::default() }
    }

    pub(super) fn read(text: &str) -> ApiResult<Self> {
        let wrong = || ApiError::invalid("since", "give what `next` of the answer before was");
        if text.len() > TOKEN_CHARS_MAX {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        postcard::from_bytes(&bytes).map_err(|_| wrong())
    }

    pub(super) fn write(&self) -> String {
        #[expect(clippy::expect_used, reason = "writing to memory; the token has lengths and no maps")]
        URL_SAFE_NO_PAD.encode(postcard::to_allocvec(self).expect("a token is serializable"))
    }

    /// Where the next page of the list begins.
    pub(super) fn list_after(&self) -> Option<SyncCursor> {
        self.list.as_ref().map(|place| SyncCursor { last_at_ms: place.after_ms, channel: place.after_channel })
    }

    /// Takes in a page of the channels by activity, newest first: those of it that the client has not seen, and what it
    /// will have seen with them. `more` is where the list goes on, if it does.
    pub(super) fn take(self, page: Vec<ChannelSummary>, more: Option<SyncCursor>) -> (Vec<ChannelSummary>, Self) {
        let known: HashSet<Seen> = self.seen.iter().copied().collect();
        let reached_known = page.last().is_none_or(|oldest| oldest.last_at_ms < self.from_ms);
        let (mut next_from_ms, mut next_seen) = match self.list {
            Some(place) => (place.next_from_ms, place.next_seen),
            None => {
                let newest_ms = page.first().map_or(0, |newest| newest.last_at_ms);
                (newest_ms.saturating_sub(LATE_MS_MAX).max(self.from_ms), Vec::new())
            }
        };
        let mut news = Vec::new();
        for channel in page {
            let seen = seen(&channel);
            if channel.last_at_ms >= next_from_ms {
                if next_seen.len() < SEEN_MAX {
                    next_seen.push(seen);
                } else {
                    // There are too many to remember: the older ones are taken for seen.
                    next_from_ms = channel.last_at_ms.saturating_add(1);
                }
            }
            if channel.last_at_ms >= self.from_ms && !known.contains(&seen) {
                news.push(channel);
            }
        }
        let user_cursor = self.user_cursor;
        let next = match more {
            Some(after) if !reached_known => Self {
                user_cursor,
                from_ms: self.from_ms,
                seen: self.seen,
                list: Some(Place { after_ms: after.last_at_ms, after_channel: after.channel, next_from_ms, next_seen }),
            },
            _ => Self { user_cursor, from_ms: next_from_ms, seen: next_seen, list: None },
        };
        (news, next)
    }
}

fn seen(channel: &ChannelSummary) -> Seen {
    let mut hash = Sha256::new();
    hash.update(channel.channel.0.to_le_bytes());
    hash.update(channel.head.0.to_le_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut seen = Seen::default();
    for (short, long) in seen.iter_mut().zip(hash) {
        *short = long;
    }
    seen
}

#[cfg(test)]
mod tests {
    use suda_schema::entry::Role;
    use suda_schema::summary::{ChannelKind, Mute};

    use super::*;

    fn channel(id: u64, head: u64, last_at_ms: u64) -> ChannelSummary {
        ChannelSummary {
            channel: ChannelId(id),
            kind: ChannelKind::Group,
            title: String::new(),
            picture: None,
            peer: None,
            role: Role::Member,
            members: 2,
            head: Seq(head),
            last_at_ms,
            read: Seq(0),
            unread: 0,
            mute: Mute::Off,
            preview: None,
        }
    }

    /// A client that asks for pages of a list until it has all of it: what it is told, and its token then.
    fn ask(mut token: Token, list: &[ChannelSummary], page: usize) -> (Vec<u64>, Token) {
        let mut list = list.to_vec();
        list.sort_by_key(|channel| std::cmp::Reverse((channel.last_at_ms, channel.channel)));
        let mut told = Vec::new();
        loop {
            // Through its text, as a client gives it back.
            token = Token::read(&token.write()).unwrap();
            let after = token.list_after();
            let is_after = |channel: &&ChannelSummary| {
                after.is_none_or(|after| (channel.last_at_ms, channel.channel) < (after.last_at_ms, after.channel))
            };
            let rest: Vec<ChannelSummary> = list.iter().filter(is_after).cloned().collect();
            let taken: Vec<ChannelSummary> = rest.iter().take(page).cloned().collect();
            let last = taken.last().filter(|_| rest.len() > page);
            let more = last.map(|last| SyncCursor { last_at_ms: last.last_at_ms, channel: last.channel });
            let (news, next) = token.take(taken, more);
            told.extend(news.iter().map(|channel| channel.channel.0));
            token = next;
            if token.list.is_none() {
                return (told, token);
            }
        }
    }

    #[test]
    fn everything_once_then_only_what_changed() {
        let mut list: Vec<_> = (1..=10).map(|id| channel(id, 1, 100_000 + id * 1_000)).collect();
        for page in [1, 3, 10, 50] {
            let (told, token) = ask(Token::first(Seq(0)), &list, page);
            assert_eq!(told, (1..=10).rev().collect::<Vec<_>>());
            assert_eq!(ask(token, &list, page).0, Vec::<u64>::new());
        }
        let (_, token) = ask(Token::first(Seq(0)), &list, 3);
        list[1] = channel(2, 2, 120_000);
        let (told, token) = ask(token, &list, 3);
        assert_eq!(told, [2]);
        assert_eq!(ask(token, &list, 3).0, Vec::<u64>::new());
    }

    #[test]
    fn a_change_that_comes_to_light_late_is_told() {
        let mut list = vec![channel(1, 1, 50_000), channel(2, 1, 60_000)];
        let (_, token) = ask(Token::first(Seq(0)), &list, 10);
        // Its transaction began before that of channel 2, and was committed after it.
        list[0] = channel(1, 2, 59_000);
        let (told, token) = ask(token, &list, 10);
        assert_eq!(told, [1]);
        assert_eq!(ask(token, &list, 10).0, Vec::<u64>::new());
    }

    #[test]
    fn a_crowd_of_channels_is_told_at_least_once_and_then_rests() {
        let list: Vec<_> = (1..=1_000).map(|id| channel(id, 1, 100_000 + id)).collect();
        let (told, token) = ask(Token::first(Seq(0)), &list, 200);
        assert_eq!(told.len(), 1_000);
        assert!(token.write().len() < TOKEN_CHARS_MAX);
        let (again, token) = ask(token, &list, 200);
        assert_eq!((again.len(), ask(token, &list, 200).0.len()), (0, 0));
    }

    #[test]
    fn texts_that_are_no_tokens_are_refused() {
        for text in ["", "x", "!!!", "AAAA", &"A".repeat(10_000)] {
            assert!(Token::read(text).is_err(), "{text:?}");
        }
    }
}
