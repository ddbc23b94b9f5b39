//! What can go wrong in chat, and how it is told to a client.

use std::borrow::Cow;

use suda_schema::{ErrorCode, Seq, WireError};

use crate::store::{StoreError, TxnError};

/// Why an operation was not done. Except for [`ChatError::Store`] with an unknown commit, nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// No such thing, or none that the asker may know of.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The asker's role or relation does not allow it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// One of the two users has blocked the other; it is never said which.
    #[error("one of the two users has blocked the other")]
    Blocked,
    /// It exists already, or has changed meanwhile.
    #[error("{0}")]
    Conflict(&'static str),
    /// A field has a value that it can't have.
    #[error("{field}: {why}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        why: Cow<'static, str>,
    },
    /// A field is longer than it may be.
    #[error("{field}: longer than {max} {unit}")]
    TooLarge {
        /// Which field.
        field: &'static str,
        /// How long it may be.
        max: usize,
        /// In what.
        unit: &'static str,
    },
    /// A limit of the account, channel or node is full.
    #[error("no more than {max} {what}")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: u64,
    },
    /// A cursor is beyond the head of its log.
    #[error("the cursor is beyond the head, which is {head}")]
    CursorAhead {
        /// The head.
        head: Seq,
    },
    /// The message was deleted.
    #[error("the message was deleted")]
    Erased,
    /// Handle or password is wrong; which of them is never said.
    #[error("handle or password is wrong")]
    WrongCredentials,
    /// The token is missing, wrong or revoked.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The access token ran out.
    #[error("the access token has expired")]
    TokenExpired,
    /// Too often.
    #[error("too often")]
    RateLimited {
        /// When it makes sense again.
        wait_ms: u64,
    },
    /// The node is at a limit of its own.
    #[error("the node is busy: {what}")]
    Overloaded {
        /// Which limit.
        what: &'static str,
        /// When it makes sense again.
        wait_ms: u64,
    },
    /// Another service that this operation needs did not answer as it should.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A row that this build can't read.
    #[error("a stored {0} can't be read")]
    BadRow(&'static str),
    /// A fault of ours that has no name.
    #[error("internal: {0}")]
    Internal(&'static str),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TxnError for ChatError {
    fn as_store(&self) -> Option<&StoreError> {
        if let Self::Store(error) = self { Some(error) } else { None }
    }
}

impl ChatError {
    /// A field with a value that it can't have.
    pub fn invalid(field: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { field, why: why.into() }
    }

    /// The error as a client is told it. What is the server's own business (paths, keys, the store's messages) is left
    /// out; the caller logs it.
    #[must_use]
    pub fn to_wire(&self) -> WireError {
        let (code, wait_ms) = match self {
            Self::NotFound(_) => (ErrorCode::NOT_FOUND, None),
            Self::Forbidden(_) => (ErrorCode::FORBIDDEN, None),
            Self::Blocked => (ErrorCode::BLOCKED, None),
            Self::Conflict(_) => (ErrorCode::CONFLICT, None),
            Self::Invalid { .. } => (ErrorCode::INVALID, None),
            Self::TooLarge { .. } => (ErrorCode::TOO_LARGE, None),
            Self::LimitReached { .. } => (ErrorCode::LIMIT_REACHED, None),
            Self::CursorAhead { .. } => (ErrorCode::CURSOR_AHEAD, None),
            Self::Erased => (ErrorCode::ERASED, None),
            Self::WrongCredentials => (ErrorCode::WRONG_CREDENTIALS, None),
            Self::Unauthenticated(_) => (ErrorCode::UNAUTHENTICATED, None),
            Self::TokenExpired => (ErrorCode::TOKEN_EXPIRED, None),
            Self::RateLimited { wait_ms } => (ErrorCode::RATE_LIMITED, Some(*wait_ms)),
            Self::Overloaded { wait_ms, .. } => (ErrorCode::OVERLOADED, Some(*wait_ms)),
            Self::Unavailable(_) => (ErrorCode::UNAVAILABLE, None),
            Self::BadRow(_) | Self::Internal(_) => {
                return WireError::new(ErrorCode::INTERNAL, "a fault of the server's; it is in its log");
            }
            Self::Store(error) => return store_to_wire(error),
        };
        WireError { code, message: self.to_string(), retry_after_ms: wait_ms }
    }
}

/// How long a client is asked to wait when writers of the same keys kept getting in each other's way, or the engine has
/// too much to do.
const BUSY_WAIT_MS: u64 = 200;

fn store_to_wire(error: &StoreError) -> WireError {
    match error {
        StoreError::CommitUnknown => {
            WireError::new(ErrorCode::OUTCOME_UNKNOWN, "it may or may not have happened; retry with the same id")
        }
        StoreError::Conflict | StoreError::TooOld | StoreError::Busy { .. } => {
            WireError::new(ErrorCode::OVERLOADED, "the store is busy").retry_after(BUSY_WAIT_MS)
        }
        StoreError::Unavailable { .. } | StoreError::DiskFull { .. } => {
            WireError::new(ErrorCode::UNAVAILABLE, "the store can't be used at the moment")
        }
        StoreError::Fenced { .. } => WireError::new(ErrorCode::SHUTTING_DOWN, "this node has lost its lease"),
        _ => WireError::new(ErrorCode::INTERNAL, "a fault of the server's; it is in its log"),
    }
}

impl From<&ChatError> for WireError {
    fn from(error: &ChatError) -> Self {
        error.to_wire()
    }
}
