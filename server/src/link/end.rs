//! How links and streams end.

use suda_schema::CloseCode;
use suda_schema::codec::DecodeError;

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkEnd {
    /// This node closed it.
    #[error("closed by this node: {0:?}")]
    Local(CloseCode),
    /// The peer closed it.
    #[error("closed by the peer: {code:?} {message:?}")]
    Peer {
        /// With this code; [`CloseCode::NORMAL`] where it gave none.
        code: CloseCode,
        /// And this text.
        message: String,
    },
    /// Nothing was heard for longer than the idle timeout.
    #[error("nothing was heard for too long")]
    TimedOut,
    /// The connection broke, or the peer broke the rules of the transport.
    #[error("the connection broke: {0}")]
    Lost(String),
}

/// Why there is no next frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are not a frame, or announce one that is too long. The stream can't be read further.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The peer finished the stream in the middle of a frame.
    #[error("the stream ended in the middle of a frame")]
    HalfFrame,
    /// The peer gave the stream up.
    #[error("the peer reset the stream: {0:?}")]
    Reset(CloseCode),
    /// The whole link ended.
    #[error(transparent)]
    Link(#[from] LinkEnd),
}

/// Why nothing more can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The peer does not want to read this stream any more.
    #[error("the peer stopped the stream: {0:?}")]
    Stopped(CloseCode),
    /// The stream was finished or reset here before.
    #[error("the stream was finished here")]
    Finished,
    /// The whole link ended.
    #[error(transparent)]
    Link(#[from] LinkEnd),
}

/// Why a datagram was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// This link has no datagrams.
    #[error("this link has no datagrams")]
    Unsupported,
    /// It is longer than the path allows.
    #[error("longer than a datagram can be here")]
    TooLarge,
    /// The link ended.
    #[error("the link ended")]
    Closed,
}
