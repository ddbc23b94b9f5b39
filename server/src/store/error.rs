//! What can go wrong in the store, and whether trying again can help.

/// What can go wrong in the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another transaction changed what this one read. [`Store::run`](super::Store::run) has tried often enough.
    #[error("the transaction conflicts with others, and all retries are used up")]
    Conflict,
    /// The commit may or may not have happened. A retry id written in the same transaction tells.
    #[error("the outcome of the commit is unknown")]
    CommitUnknown,
    /// The transaction lived longer than the store keeps its snapshot for.
    #[error("the transaction is too old: it may live for {} ms", super::TXN_AGE_MS_MAX)]
    TooOld,
    /// The engine asks to try again later; nothing was committed.
    #[error("the store is busy: {what}")]
    Busy {
        /// What is in the way.
        what: String,
    },
    /// The store can't be reached or does not work; nothing was committed.
    #[error("the store is unavailable: {what}")]
    Unavailable {
        /// Why.
        what: String,
    },
    /// No room for writes; nothing was committed. Reads go on, and writes do once there is room.
    #[error("the disk is full: {what}")]
    DiskFull {
        /// How full, where, and what to do.
        what: String,
    },
    /// What was stored is not what was written.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// Where, and how it was noticed.
        what: String,
    },
    /// A key, value or transaction is over its limit.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Which of them.
        what: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The writer has lost its right to write, such as a node whose lease ran out.
    #[error("no longer allowed to write: {what}")]
    Fenced {
        /// What was lost.
        what: String,
    },
    /// The data can't be opened, such as when another process has it open.
    #[error("can't open the store: {what}")]
    Open {
        /// Why, and what to do.
        what: String,
    },
    /// A bug in the caller: the transaction can't be used this way.
    #[error("wrong use of a transaction: {what}")]
    Misuse {
        /// What was wrong.
        what: &'static str,
    },
    /// The watch ended without a change having been seen: read again.
    #[error("the watch is lost: {what}")]
    WatchLost {
        /// Why.
        what: &'static str,
    },
}

impl StoreError {
    /// Whether the same transaction, run again from its start, may succeed, and certainly was not committed now.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict | Self::TooOld | Self::Busy { .. })
    }
}

/// An error of an operation that runs in a transaction: it can hold a store error, and gives it back.
pub trait TxnError: From<StoreError> {
    /// The store error inside, if that is what went wrong.
    fn as_store(&self) -> Option<&StoreError>;
}

impl TxnError for StoreError {
    fn as_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}
