//! The wire of suda: what travels between a device and a node, and nothing else.
//!
//! Everything here is plain data. There is no I/O, no clock and no runtime, so the same crate serves the node,
//! the native SDK and the browser. `docs/protocol.md` is this crate in prose; the golden files in `golden/`
//! are this crate in bytes.
//!
//! | module | idea |
//! |---|---|
//! | [`ids`] | newtyped identifiers |
//! | [`limits`] | every limit the wire has, by name |
//! | [`error`] / [`close`] | one table each: code, name, can retrying help, what the client should do |
//! | [`open`] | the first frame of every stream: what the stream is for |
//! | [`control`] | the frames of the control stream |
//! | [`channel`] | the frames of an attachment's stream, and datagrams |
//! | [`entry`] | what a channel's log is made of |
//! | [`event`] | what a user's own log is made of |
//! | [`codec`] | the two codecs (postcard, JSON) and the WebSocket multiplexer |

mod append_only;
pub mod channel;
pub mod close;
pub mod codec;
pub mod control;
pub mod entry;
pub mod error;
pub mod event;
pub mod ids;
pub mod limits;
pub mod open;
#[cfg(feature = "openapi")]
mod openapi;
pub mod samples;
pub mod summary;

pub use append_only::{AppendOnly, UnknownKind};
pub use close::CloseCode;
pub use error::{ErrorCode, WireError};
pub use ids::{ChannelId, ClientMsgId, DeviceId, MediaId, Seq, UserId};

/// The version of the protocol. A breaking change makes a new one, negotiated by ALPN or subprotocol.
pub const PROTOCOL_VERSION: u16 = 1;

/// The ALPN of raw QUIC. WebTransport comes in under `h3`.
pub const ALPN_QUIC: &[u8] = b"suda/1";

/// The WebSocket subprotocol that carries postcard frames.
pub const SUBPROTOCOL_BINARY: &str = "suda.1.bin";

/// The WebSocket subprotocol that carries JSON, for languages without a postcard library.
pub const SUBPROTOCOL_JSON: &str = "suda.1.json";

/// The path of the WebTransport and WebSocket endpoints on a node.
pub const CONNECT_PATH: &str = "/connect";
