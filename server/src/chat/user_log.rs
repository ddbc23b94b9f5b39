//! A user's own log: what every device of the user must come to know. Contiguous seqs from 1, as in a channel.

use serde::{Deserialize, Serialize};
use suda_schema::codec::binary;
use suda_schema::event::{UserEntry, UserEvent};
use suda_schema::{Seq, UserId};

use super::{Chat, ChatError, Row, Topic, Tx};
use crate::store::keys;

/// The most entries in one page of a user's log.
pub const USER_LOG_PAGE_MAX: usize = 500;

/// A page of a user's log bounds its bytes too; entries are small, so the rows' limit is what usually counts.
const USER_LOG_PAGE_BYTES: usize = 256 << 10;

/// The row that holds the end of a user's log.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Head {
    seq: Seq,
    at_ms: u64,
}

impl Row for Head {
    const NAME: &'static str = "user log head";
}

/// A page of a user's log.
#[derive(Debug, Clone, PartialEq)]
pub struct UserLogPage {
    /// The entries after the cursor, in order, with no gap.
    pub entries: Vec<UserEntry>,
    /// The head when the page was read. The page reaches it, or there is another.
    pub head: Seq,
}

/// Appends events to a user's log, and wakes whoever listens to it. The head is read and written, so two appends to one
/// log can't both commit without knowing of each other.
pub async fn append(tx: &Tx, user: UserId, events: &[UserEvent]) -> Result<Seq, ChatError> {
    let mut head = head_of(tx, user).await?;
    for event in events {
        head = Head { seq: head.seq.next(), at_ms: head.at_ms.max(tx.now_ms()) };
        let entry = UserEntry { seq: head.seq, at_ms: head.at_ms, event: event.clone() };
        let mut value = Vec::new();
        binary::put_value(&entry, &mut value);
        tx.set(keys::user_entry(user, head.seq), value);
    }
    if !events.is_empty() {
        tx.set_row(keys::user_head(user), &head);
        tx.wake(Topic::User(user));
    }
    Ok(head.seq)
}

/// The newest seq of a user's log; 0 if it is empty.
pub(super) async fn head(tx: &Tx, user: UserId) -> Result<Seq, ChatError> {
    Ok(head_of(tx, user).await?.seq)
}

async fn head_of(tx: &Tx, user: UserId) -> Result<Head, ChatError> {
    Ok(tx.row(&keys::user_head(user)).await?.unwrap_or_default())
}

fn decode_entry(value: &[u8]) -> Result<UserEntry, ChatError> {
    binary::take_value(value).map(|(entry, _)| entry).map_err(|_| ChatError::BadRow("user log entry"))
}

impl Chat {
    /// The newest seq of a user's log; 0 if it is empty.
    pub async fn user_log_head(&self, user: UserId) -> Result<Seq, ChatError> {
        self.read(|tx| async move { head(&tx, user).await }).await
    }

    /// The entries of a user's log after a cursor, at most `limit` and at most [`USER_LOG_PAGE_MAX`].
    pub async fn user_log_after(&self, user: UserId, after: Seq, limit: usize) -> Result<UserLogPage, ChatError> {
        self.read(|tx| async move {
            let head = head(&tx, user).await?;
            if after > head {
                return Err(ChatError::CursorAhead { head });
            }
            let rows = keys::user_entries_after(user, after);
            let limit = limit.clamp(1, USER_LOG_PAGE_MAX);
            let page = tx.range(rows.limit(limit).bytes(USER_LOG_PAGE_BYTES)).await?;
            let entries = page.rows.iter().map(|(_, value)| decode_entry(value));
            Ok(UserLogPage { entries: entries.collect::<Result<_, _>>()?, head })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use suda_schema::event::UserRef;

    use super::super::testing::{self, NOW_MS};
    use super::*;
    use crate::store::{Faults, StoreError};

    const KIM: UserId = UserId(7);

    fn event(number: u64) -> UserEvent {
        UserEvent::Blocked(UserRef { user: UserId(number) })
    }

    async fn append_one(chat: &Chat, number: u64) -> Result<Seq, ChatError> {
        chat.run(|tx| async move { append(&tx, KIM, &[event(number)]).await }).await
    }

    #[tokio::test]
    async fn pages_follow_each_other_without_a_gap() {
        let (chat, rung) = testing::chat();
        for number in 1..=7 {
            assert_eq!(append_one(&chat, number).await.unwrap(), Seq(number));
        }
        assert_eq!(rung.take(), [Topic::User(KIM)]);
        let mut seen = Vec::new();
        let mut cursor = Seq::ZERO;
        while cursor < chat.user_log_head(KIM).await.unwrap() {
            let page = chat.user_log_after(KIM, cursor, 3).await.unwrap();
            assert!(page.entries.len() <= 3);
            assert_eq!(page.head, Seq(7));
            cursor = page.entries.last().unwrap().seq;
            seen.extend(page.entries);
        }
        let expected: Vec<_> =
            (1..=7).map(|number| UserEntry { seq: Seq(number), at_ms: NOW_MS, event: event(number) }).collect();
        assert_eq!(seen, expected);
        let ahead = chat.user_log_after(KIM, Seq(8), 3).await;
        assert!(matches!(ahead, Err(ChatError::CursorAhead { head: Seq(7) })));
    }

    #[tokio::test]
    async fn nothing_appended_rings_nobody() {
        let (chat, rung) = testing::chat();
        chat.run(|tx| async move { append(&tx, KIM, &[]).await }).await.unwrap();
        assert_eq!(rung.take(), []);
        assert_eq!(chat.user_log_after(KIM, Seq::ZERO, 10).await.unwrap().entries, []);
    }

    #[tokio::test]
    async fn appends_at_once_get_seqs_of_their_own() {
        let (chat, _) = testing::chat();
        let appends = (0..20).map(|number| {
            let chat = chat.clone();
            tokio::spawn(async move { append_one(&chat, number).await.unwrap() })
        });
        let mut seqs = Vec::new();
        for append in appends.collect::<Vec<_>>() {
            seqs.push(append.await.unwrap().0);
        }
        seqs.sort_unstable();
        assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn an_unknown_commit_rings_too() {
        let faults = Faults { seed: 1, unknown_applied_permille: 1_000, ..Faults::default() };
        let (chat, rung) = testing::faulty_chat(faults);
        assert!(matches!(append_one(&chat, 1).await, Err(ChatError::Store(StoreError::CommitUnknown))));
        assert_eq!(rung.take(), [Topic::User(KIM)]);
        assert_eq!(chat.user_log_head(KIM).await.unwrap(), Seq(1));
    }
}
