//! What passes by and is not in the log: somebody types, members' positions moved. Each piece is encoded once for all;
//! the newest few are kept for attachments that have yet to see them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use suda_schema::UserId;
use suda_schema::channel::{ChannelDown, DatagramDown, MemberMarks};
use suda_schema::codec::Codec;
use suda_schema::codec::binary;
use suda_schema::control::Typing;
use suda_schema::summary::MemberMark;

/// A piece of news.
pub struct News {
    what: What,
    binary: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
    datagram: OnceLock<Bytes>,
}

enum What {
    Typing {
        typing: Typing,
        /// Users that the typing user has blocked.
        hidden_from: Arc<[UserId]>,
    },
    Marks(Vec<MemberMark>),
}

impl News {
    pub(super) fn typing(typing: Typing, hidden_from: Arc<[UserId]>) -> Arc<Self> {
        Self::new(What::Typing { typing, hidden_from })
    }

    pub(super) fn marks(marks: Vec<MemberMark>) -> Arc<Self> {
        Self::new(What::Marks(marks))
    }

    fn new(what: What) -> Arc<Self> {
        Arc::new(Self { what, binary: OnceLock::new(), json: OnceLock::new(), datagram: OnceLock::new() })
    }

    /// Who types, if that is the news.
    #[must_use]
    pub fn typist(&self) -> Option<UserId> {
        if let What::Typing { typing, .. } = &self.what { Some(typing.user) } else { None }
    }

    /// Whether a user is to be told.
    pub(super) fn is_for(&self, user: UserId) -> bool {
        match &self.what {
            What::Typing { typing, hidden_from } => typing.user != user && !hidden_from.contains(&user),
            What::Marks(_) => true,
        }
    }

    /// The frame of an attachment's stream that says it.
    #[must_use]
    pub fn frame(&self, codec: Codec) -> Bytes {
        let cell = if codec == Codec::Binary { &self.binary } else { &self.json };
        let make = || match &self.what {
            What::Typing { typing, .. } => codec.encode(&ChannelDown::Typing(*typing)),
            What::Marks(members) => codec.encode(&ChannelDown::Marks(MemberMarks { members: members.clone() })),
        };
        cell.get_or_init(make).clone()
    }

    /// The body of a datagram that says it, if it may go in one.
    #[must_use]
    pub fn datagram(&self) -> Option<Bytes> {
        let What::Typing { typing, .. } = &self.what else { return None };
        let make = || {
            let mut body = Vec::new();
            binary::put_value(&DatagramDown::Typing(*typing), &mut body);
            body.into()
        };
        Some(self.datagram.get_or_init(make).clone())
    }
}

/// The newest pieces, numbered from 1.
pub(super) struct NewsRing {
    kept_max: usize,
    newest: AtomicU64,
    kept: Mutex<VecDeque<Arc<News>>>,
}

/// What a reader finds.
pub(super) enum NextNews {
    Nothing,
    News(Arc<News>),
    /// So many have been missed; go on after them.
    Missed(u64),
}

impl NewsRing {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept_max: kept_max.max(1), newest: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// The number of the newest.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::SeqCst)
    }

    pub(super) fn push(&self, news: Arc<News>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.kept_max {
            kept.pop_front();
        }
        kept.push_back(news);
        self.newest.fetch_add(1, Ordering::SeqCst);
    }

    /// What comes after number `seen`.
    pub(super) fn after(&self, seen: u64) -> NextNews {
        if self.newest() <= seen {
            return NextNews::Nothing;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before_kept = self.newest().saturating_sub(kept.len() as u64);
        match seen.checked_sub(before_kept) {
            None => NextNews::Missed(before_kept - seen),
            Some(at) => {
                let news = usize::try_from(at).ok().and_then(|at| kept.get(at));
                news.map_or(NextNews::Nothing, |news| NextNews::News(Arc::clone(news)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use suda_schema::{ChannelId, Seq};

    use super::*;

    fn mark(read: u64) -> Arc<News> {
        News::marks(vec![MemberMark { user: UserId(1), delivered: Seq(read), read: Seq(read) }])
    }

    #[test]
    fn each_reader_gets_each_piece_once_unless_it_is_too_slow() {
        let ring = NewsRing::new(3);
        assert!(matches!(ring.after(0), NextNews::Nothing));
        (1..=5).for_each(|read| ring.push(mark(read)));
        assert!(matches!(ring.after(0), NextNews::Missed(2)));
        for seen in 2..5 {
            let NextNews::News(news) = ring.after(seen) else { panic!("kept") };
            let What::Marks(marks) = &news.what else { panic!("marks") };
            assert_eq!(marks[0].read, Seq(seen + 1));
        }
        assert!(matches!(ring.after(5), NextNews::Nothing));
    }

    #[test]
    fn typing_is_not_shown_to_oneself_nor_to_whom_one_has_blocked() {
        let typing = Typing { channel: ChannelId(1), user: UserId(1), for_ms: 6_000 };
        let news = News::typing(typing, [UserId(2)].into());
        let told: Vec<bool> = (1..=3).map(|user| news.is_for(UserId(user))).collect();
        assert_eq!(told, [false, false, true]);
        assert!(news.datagram().is_some() && mark(1).datagram().is_none());
    }
}
