//! Why a link or an attachment ended, in one table.
//!
//! The same numbers are QUIC application error codes and WebSocket close codes (4000–4999). WebTransport's close code
//! does not reach JavaScript everywhere, so a node always says it in-band first, in a `closing` frame.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Retry;

/// A row of the close table.
#[derive(Debug, Clone, Copy)]
pub struct CloseRow {
    /// The number on the wire.
    pub code: CloseCode,
    /// The name, for people.
    pub name: &'static str,
    /// Can connecting (or attaching) again help?
    pub retry: Retry,
    /// What the client should do.
    pub advice: &'static str,
}

/// The number of a close reason.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CloseCode(pub u16);

macro_rules! close_table {
    ($( $code:literal $name:ident $text:literal $retry:ident $advice:literal )+) => {
        impl CloseCode {
            $( #[doc = $advice] pub const $name: Self = Self($code); )+
        }
        /// Every close code, by number.
        pub const CLOSES: &[CloseRow] = &[
            $( CloseRow { code: CloseCode::$name, name: $text, retry: Retry::$retry, advice: $advice }, )+
        ];
    };
}

close_table! {
    // 40xx: come back
    4000 NORMAL "normal" Later "The other side is done. Connect again when there is something to do."
    4001 GOING_AWAY "going_away" Later "The node drains or restarts. Connect again, elsewhere if discovery says so."
    4002 IDLE "idle" Later "Nothing was heard for too long. Connect again at once."
    4003 OVERLOADED "overloaded" Later "The node is full. Back off, or try another node."
    4004 INTERNAL "internal" Later "A fault of the node's. Back off and connect again."
    4005 REPLACED "replaced" Later "A newer link of the same device took over. Connect again only if it is not yours."
    4006 TOO_SLOW "too_slow" Later "The client did not read for longer than the node waits. Resume from the cursor."
    // 41xx: fix something first
    4100 UNAUTHENTICATED "unauthenticated" AfterFix "The token is missing or wrong. Log in again."
    4101 TOKEN_EXPIRED "token_expired" AfterFix "The token ran out. Refresh it, then connect again."
    4102 HANDSHAKE_TIMEOUT "handshake_timeout" Later "No `hello` came in time. Connect again and send it first."
    // 42xx: don't come back
    4200 PROTOCOL_ERROR "protocol_error" Never "The client broke the protocol; the text says how. Fix the client."
    4201 DEVICE_REVOKED "device_revoked" Never "This device was logged out. Log in again as a new one."
    4202 RATE_IGNORED "rate_ignored" Later "The client went on after `rate_limited`. Back off for a minute or more."
    4203 TOO_MANY_LINKS "too_many_links" Later "Too many links of this user or address. Close some, back off."
    4204 ACCOUNT_GONE "account_gone" Never "The account was deleted."
    // 43xx: of an attachment, not of the link
    4300 REMOVED "removed" Never "You are no longer a member of this channel."
    4301 DETACHED "detached" Later "The client closed the stream, or asked for another attachment of this channel."
    4302 CHANNEL_GONE "channel_gone" Never "The channel was deleted."
    4303 CURSOR_AHEAD "cursor_ahead" AfterFix "The cursor is beyond the log's head: discard it and attach to the tail."
    4304 TOO_MANY_ATTACHMENTS "too_many_attachments" AfterFix "The link has as many attachments as it may. Close one first."
}

impl CloseCode {
    /// The row of this code, if this build knows it.
    #[must_use]
    pub fn row(self) -> Option<&'static CloseRow> {
        CLOSES.iter().find(|row| row.code == self)
    }

    /// The name, or `unknown` for a code from a newer version.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("unknown", |row| row.name)
    }

    /// Whether coming back can help; for a code from a newer version, by its group.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.row().map_or(
            match self.0 / 100 {
                41 => Retry::AfterFix,
                42 | 43 => Retry::Never,
                _ => Retry::Later,
            },
            |row| row.retry,
        )
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_and_fits_websocket_close_codes() {
        assert!(CLOSES.is_sorted_by(|a, b| a.code < b.code));
        assert!(CLOSES.iter().all(|row| (4000..5000).contains(&row.code.0)));
    }
}
