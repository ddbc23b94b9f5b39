//! What can be wrong with a request, in one table.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether sending the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// The same request may succeed after the time in `retry_after_ms`, or after a backoff where there is none.
    Later,
    /// The same request may succeed once the client has done what the advice says.
    AfterFix,
}

/// A row of the error table.
#[derive(Debug, Clone, Copy)]
pub struct ErrorRow {
    /// The number on the wire.
    pub code: ErrorCode,
    /// The name in JSON.
    pub name: &'static str,
    /// Can retrying help?
    pub retry: Retry,
    /// The HTTP status under which the API answers it.
    pub http: u16,
    /// What the client should do.
    pub advice: &'static str,
}

/// The number of an error. New ones are added at the end of a group; a client treats one it does not know by its
/// hundreds: see [`ErrorCode::retry`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u16);

macro_rules! error_table {
    ($( $code:literal $name:ident $json:literal $retry:ident $http:literal $advice:literal )+) => {
        impl ErrorCode {
            $( #[doc = $advice] pub const $name: Self = Self($code); )+
        }
        /// Every error, by number.
        pub const ERRORS: &[ErrorRow] = &[
            $( ErrorRow {
                code: ErrorCode::$name, name: $json, retry: Retry::$retry, http: $http, advice: $advice,
            }, )+
        ];
    };
}

error_table! {
    // 1xx: the bytes
    100 MALFORMED "malformed" Never 400 "The bytes or JSON are not what the protocol says. Fix the client."
    101 TOO_LARGE "too_large" Never 413 "Longer than the limit that the message names. Send less."
    102 INVALID "invalid" Never 422 "Well-formed, but a field has a value it can't have; the message names it."
    103 WRONG_STATE "wrong_state" Never 409 "Not allowed at this point, such as a second `hello`. Fix the client."
    // 2xx: who you are
    200 UNAUTHENTICATED "unauthenticated" AfterFix 401 "The token is missing, wrong or revoked. Log in again."
    201 TOKEN_EXPIRED "token_expired" AfterFix 401 "Refresh the access token, then send the same again."
    202 WRONG_CREDENTIALS "wrong_credentials" AfterFix 401 "Handle or password is wrong; which of them is never said."
    // 3xx: what you may do
    300 FORBIDDEN "forbidden" Never 403 "Your role does not allow this."
    301 NOT_FOUND "not_found" Never 404 "No such thing, or none that you may know of."
    302 BLOCKED "blocked" Never 403 "One of the two users has blocked the other."
    303 CONFLICT "conflict" Never 409 "It exists already, or has changed since you looked."
    304 LIMIT_REACHED "limit_reached" Never 409 "A limit is full (members, devices, attachments); the message names it."
    305 CURSOR_AHEAD "cursor_ahead" AfterFix 409 "The cursor is beyond the log's head: discard it and start from the tail."
    306 ERASED "erased" Never 410 "The message was deleted."
    // 4xx: how often
    400 RATE_LIMITED "rate_limited" Later 429 "Too often. Wait `retry_after_ms`; who does not is disconnected."
    401 OVERLOADED "overloaded" Later 503 "The node is at a limit of its own. Wait, or try another node."
    // 5xx: ours
    500 INTERNAL "internal" Later 500 "A bug or a fault of the server's; it is in its log."
    501 UNAVAILABLE "unavailable" Later 503 "The store can't be reached or can't write. Retry with the same id."
    502 OUTCOME_UNKNOWN "outcome_unknown" Later 503 "It may or may not have happened. Retry with the same id to find out."
    503 SHUTTING_DOWN "shutting_down" Later 503 "The node is draining. Connect again as discovery says."
}

impl ErrorCode {
    /// What a JSON name from a newer version is read as.
    pub const UNKNOWN: Self = Self(0);

    /// The row of this code, if this build knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static ErrorRow> {
        ERRORS.iter().find(|row| row.code == self)
    }

    /// The name, or `unknown` for a code from a newer version.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |row| row.name)
    }

    /// Whether retrying can help; for a code from a newer version, by its group.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.row().map_or(
            match self.0 / 100 {
                2 => Retry::AfterFix,
                0 | 4 | 5 => Retry::Later,
                _ => Retry::Never,
            },
            |row| row.retry,
        )
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.name())
        } else {
            serializer.serialize_u16(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            Ok(ERRORS.iter().find(|row| row.name == name).map_or(Self::UNKNOWN, |row| row.code))
        } else {
            u16::deserialize(deserializer).map(Self)
        }
    }
}

/// An error as it is sent: on a link inside a frame, over HTTP as the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[error("{}: {message}", code.name())]
pub struct WireError {
    /// Which error.
    pub code: ErrorCode,
    /// What was wrong with this request, for a developer to read. Never holds secrets or other users' data.
    pub message: String,
    /// When trying again makes sense, if it does.
    pub retry_after_ms: Option<u64>,
}

impl WireError {
    /// An error without a time to wait.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// The same with a time to wait.
    #[must_use]
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_and_has_no_doubles() {
        assert!(ERRORS.is_sorted_by(|a, b| a.code < b.code));
        for row in ERRORS {
            assert_eq!(ERRORS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        }
    }

    #[test]
    fn unknown_codes_are_judged_by_their_group() {
        assert_eq!(ErrorCode(499).retry(), Retry::Later);
        assert_eq!(ErrorCode(399).retry(), Retry::Never);
        assert_eq!(ErrorCode(399).name(), "unknown");
    }
}
