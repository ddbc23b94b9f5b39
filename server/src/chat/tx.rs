//! One attempt at one operation: the store's transaction, the time it happens at, the topics it wakes, and typed rows.

use std::ops::Deref;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::topic::{Topic, Wakes};
use super::{Chat, ChatError};
use crate::store::{Range, Txn};

/// A transaction of chat's. Everything of the store's [`Txn`] is there, and what chat needs on top.
#[derive(Clone)]
pub struct Tx {
    txn: Txn,
    chat: Chat,
    now_ms: u64,
    wakes: Wakes,
}

impl Tx {
    pub(super) fn new(txn: Txn, chat: Chat, wakes: Wakes) -> Self {
        let now_ms = chat.clock().now_ms();
        Self { txn, chat, now_ms, wakes }
    }

    /// Whose transaction this is: its limits, ids and clock.
    #[must_use]
    pub fn chat(&self) -> &Chat {
        &self.chat
    }

    /// The time at which this attempt happens, the same throughout.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Has the topic's listeners told once this transaction has been committed. Every append to a log and every change
    /// of a permission passes through here.
    pub fn wake(&self, topic: Topic) {
        self.wakes.add(topic);
    }

    /// The row under `key`, if there is one.
    pub async fn row<R: Row>(&self, key: &[u8]) -> Result<Option<R>, ChatError> {
        self.txn.get(key).await?.map(|value| decode_row(&value)).transpose()
    }

    /// The row under `key`, read without a conflict with those who write it.
    pub async fn row_snapshot<R: Row>(&self, key: &[u8]) -> Result<Option<R>, ChatError> {
        self.txn.get_snapshot(key).await?.map(|value| decode_row(&value)).transpose()
    }

    /// All rows of a range, page after page: for ranges that are kept short by those who write them.
    pub async fn all_rows(&self, range: Range) -> Result<Vec<(Bytes, Bytes)>, ChatError> {
        let mut page = self.txn.range(range).await?;
        let mut rows = std::mem::take(&mut page.rows);
        while let Some(next) = page.next() {
            page = self.txn.range(next).await?;
            rows.append(&mut page.rows);
        }
        Ok(rows)
    }

    /// Writes a row.
    pub fn set_row<R: Row>(&self, key: impl AsRef<[u8]>, row: &R) {
        self.txn.set(key, encode_row(row));
    }
}

impl Deref for Tx {
    type Target = Txn;
    fn deref(&self) -> &Txn {
        &self.txn
    }
}

/// A value as it is stored: a version byte, then postcard. A changed struct gets the next version, and its `Row` says
/// how the older ones are read.
pub trait Row: Serialize + DeserializeOwned {
    /// What the row is, for the error when it can't be read.
    const NAME: &'static str;
    /// The version that this build writes.
    const VERSION: u8 = 1;
    /// Reads a row of an older version.
    fn decode_older(_version: u8, _body: &[u8]) -> Option<Self> {
        None
    }
}

/// A row's bytes.
pub fn encode_row<R: Row>(row: &R) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "writing to memory; rows have lengths and no maps without one")]
    postcard::to_extend(row, vec![R::VERSION]).expect("rows are serializable")
}

/// A row from its bytes.
pub fn decode_row<R: Row>(bytes: &[u8]) -> Result<R, ChatError> {
    let row = match bytes.split_first() {
        Some((&version, body)) if version == R::VERSION => postcard::from_bytes(body).ok(),
        Some((&version, body)) => R::decode_older(version, body),
        None => None,
    };
    row.ok_or(ChatError::BadRow(R::NAME))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u32,
        added: bool,
    }

    impl Row for Sample {
        const NAME: &'static str = "sample";
        const VERSION: u8 = 2;
        fn decode_older(version: u8, body: &[u8]) -> Option<Self> {
            let number = (version == 1).then(|| postcard::from_bytes(body).ok()).flatten()?;
            Some(Self { number, added: false })
        }
    }

    #[test]
    fn rows_know_their_older_versions() {
        let row = Sample { number: 300, added: true };
        assert_eq!(decode_row::<Sample>(&encode_row(&row)).unwrap(), row);
        let older = [&[1][..], &postcard::to_allocvec(&300u32).unwrap()].concat();
        assert_eq!(decode_row::<Sample>(&older).unwrap(), Sample { number: 300, added: false });
        for bad in [&[][..], &[2], &[3, 1, 1]] {
            assert!(matches!(decode_row::<Sample>(bad), Err(ChatError::BadRow("sample"))));
        }
    }
}
