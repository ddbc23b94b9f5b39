//! What can go wrong, and whether trying again helps.

use suda_schema::error::Retry;
use suda_schema::{ErrorCode, WireError};

use crate::core::io::{Failure, Stopped};
use crate::core::outbox::SendError;

/// Something did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server has answered, and refused.
    #[error("{0}")]
    Refused(WireError),
    /// The server could not be reached, or did not answer in time.
    #[error("the server can't be reached: {0}")]
    Unreachable(String),
    /// It answered something that this build does not understand.
    #[error("not an answer of suda: {0}")]
    BadAnswer(String),
    /// The address of the server is none.
    #[error("not an address of a server: {0}")]
    BadUrl(String),
    /// The send was not taken into the outbox.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// The client does not connect any more.
    #[error("the client has stopped: {0:?}")]
    Stopped(Stopped),
    /// Too many questions of this kind wait for their answers.
    #[error("too many questions wait for their answers")]
    Busy,
    /// The machine does not let us.
    #[error("{0}")]
    System(String),
}

impl Error {
    /// Whether trying the same again can help.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(error) => error.code.retry(),
            Self::Unreachable(_) | Self::Busy | Self::Send(SendError::OutboxFull) => Retry::Later,
            Self::NotLoggedIn | Self::Stopped(_) => Retry::AfterFix,
            Self::BadAnswer(_) | Self::BadUrl(_) | Self::Send(_) | Self::System(_) => Retry::Never,
        }
    }

    /// When trying again makes sense, if the server has said so.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        if let Self::Refused(error) = self { error.retry_after_ms } else { None }
    }

    /// What the server has answered, if it did.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        if let Self::Refused(error) = self { Some(error.code) } else { None }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (retry, message) = (error.retry(), error.to_string());
        match error {
            Error::Refused(error) => Self::refused(error),
            _ => Self { retry, retry_after_ms: None, message, refused: None },
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.refused {
            Some(error) => Self::Refused(error),
            None if failure.retry == Retry::Later => Self::Unreachable(failure.message),
            None => Self::BadAnswer(failure.message),
        }
    }
}
