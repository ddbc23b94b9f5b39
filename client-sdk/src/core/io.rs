//! What goes in and out: the effects that a driver carries out, and the events that the app hears of.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use suda_schema::channel::HistoryPage;
use suda_schema::control::Presence;
use suda_schema::error::Retry;
use suda_schema::event::UserEntry;
use suda_schema::{ChannelId, ClientMsgId, CloseCode, DeviceId, Seq, UserId, WireError};

/// One connection, from the dial to its end. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A stream of a link. 0 is the control stream; on WebSocket these are the numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The control stream. A driver opens it first.
    pub const CONTROL: Self = Self(0);
}

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// QUIC without HTTP: for native apps.
    Quic,
    /// WebTransport.
    WebTransport,
    /// WebSocket with the binary subprotocol.
    WebSocket,
}

impl Kind {
    /// Whether it needs UDP, which some networks drop.
    #[must_use]
    pub fn is_udp(self) -> bool {
        self != Self::WebSocket
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::WebTransport => "webtransport",
            Self::WebSocket => "websocket",
        })
    }
}

/// Somewhere to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// How.
    pub kind: Kind,
    /// Where, as discovery gives it: `quic://host:port`, `https://host:port/connect`, `wss://host:port/connect`.
    pub url: String,
    /// SHA-256 hashes of the certificates to accept; empty: one that the platform trusts.
    pub certificate_hashes: Vec<[u8; 32]>,
    /// To which node, by its number; any number will do where there is only one.
    #[serde(default)]
    pub node: u16,
}

/// Something for the driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Ask where to connect; the answer goes to [`super::Core::discovered`].
    Discover,
    /// Connect, and open the control stream; the answer goes to [`super::Core::dialed`] or [`super::Core::link_ended`].
    Dial {
        /// What the link is called from now on.
        link: LinkId,
        /// Where.
        candidate: Candidate,
    },
    /// Close a link, or give up its dial. Nothing needs to be said of it any more.
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        code: CloseCode,
    },
    /// Send a datagram, which may be lost. Only with [`super::config::Config::datagrams`].
    Datagram {
        /// On which link.
        link: LinkId,
        /// What.
        body: Bytes,
    },
    /// Get a fresh access token; the answer goes to [`super::Core::token`].
    RefreshToken,
}

/// Something to be written on a stream; a stream that the driver has not seen yet is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// On which.
    pub stream: StreamId,
    /// What.
    pub what: Piece,
}

/// What is said on a stream, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The next bytes.
    Data(Bytes),
    /// Nothing more will come.
    Fin,
    /// The sender gave the stream up.
    Reset(CloseCode),
}

/// An access token.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Token {
    /// What goes into `hello`.
    pub access: String,
    /// When it runs out, by the server's clock.
    pub expires_at_ms: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

/// Something outside did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whether trying again can help.
    pub retry: Retry,
    /// When, if the other side has said so.
    pub retry_after_ms: Option<u64>,
    /// For people.
    pub message: String,
    /// What the server has answered, if it did.
    pub refused: Option<WireError>,
}

impl Failure {
    /// What the server has refused.
    #[must_use]
    pub fn refused(error: WireError) -> Self {
        let (retry, retry_after_ms, message) = (error.code.retry(), error.retry_after_ms, error.to_string());
        Self { retry, retry_after_ms, message, refused: Some(error) }
    }

    /// Something that may work later.
    pub fn later(message: impl Into<String>) -> Self {
        Self { retry: Retry::Later, retry_after_ms: None, message: message.into(), refused: None }
    }
}

/// Whether there is a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// There is none, and one is being made.
    Connecting,
    /// There is none; the next attempt comes by itself.
    Waiting {
        /// When.
        until_ms: u64,
    },
    /// There is one.
    Online {
        /// Over which transport.
        kind: Kind,
        /// To which node.
        node: u16,
    },
    /// There is one that gives no sign of life, and another is being made beside it.
    Stalled {
        /// Over which transport it was.
        kind: Kind,
    },
    /// There is none, and none is being made.
    Stopped(Stopped),
}

impl Status {
    /// Whether what is sent now goes out now.
    #[must_use]
    pub fn is_online(self) -> bool {
        matches!(self, Self::Online { .. })
    }
}

/// Why the client does not connect any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// It was not told to, or was told to stop.
    ByApp,
    /// The login is not good any more: log in again.
    LoggedOut,
    /// The same device has connected from somewhere else, such as a second process with the same login.
    Replaced,
    /// The server has closed the link with a code that says not to come back.
    Closed(CloseCode),
}

/// A question that was asked; its answer comes as an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u32);

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is durable.
    Acknowledged {
        /// Its place.
        seq: Seq,
        /// When it was appended.
        at_ms: u64,
    },
    /// It was not taken, and never will be.
    Refused(WireError),
}

/// Something that the app may want to know. None of them is the only place where something can be learned.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The connection came, went, or changed.
    Status(Status),
    /// Something in the list of channels changed: a new one, a head, an unread count, a title.
    ChannelList,
    /// Something in one channel changed: its timeline, marks, who types.
    Channel(ChannelId),
    /// The user is no longer a member, or the channel is gone.
    ChannelGone(ChannelId),
    /// A send was acknowledged or refused.
    Sent {
        /// Where.
        channel: ChannelId,
        /// Which.
        id: ClientMsgId,
        /// What became of it.
        outcome: Outcome,
    },
    /// A page of history.
    History {
        /// The question.
        request: RequestId,
        /// The page.
        page: Result<HistoryPage, Failure>,
    },
    /// Somebody came, went, or was asked about.
    Presence {
        /// The question; `None` for a change.
        request: Option<RequestId>,
        /// Who, and how they are now.
        users: Result<Vec<Presence>, Failure>,
    },
    /// Something in the user's own log.
    User(UserEntry),
    /// Who this is; said once a session stands.
    Welcome {
        /// The user.
        user: UserId,
        /// The device.
        device: DeviceId,
    },
    /// What should be kept could not be.
    StorageFailed(String),
    /// More happened than was read. Nothing is lost: look at the channels again.
    Missed,
}
