//! One session per link: a device, authenticated, and what it may see and do.
//!
//! | file | idea |
//! |---|---|
//! | [`registry`] | all sessions of the node; what the bell rings; drain |
//! | [`bell`] | passes what chat rings on to hubs and sessions |
//! | [`handshake`] | from a link to a session: `hello`, who it is, everything for the first round trip |
//! | [`run`] | the task of a link: control stream, new streams, datagrams, times |
//! | [`control`] | what a client asks for on the control stream |
//! | [`attach`], [`write`] | one attachment: the half that reads and the half that writes |
//! | [`feed`], [`listening`], [`interest`] | what is told without being asked, and who listens to what |
//! | [`marks`], [`presence`], [`limits`] | positions, who is there, how often |
//! | [`outbox`] | what waits for the control stream |
//!
//! What must hold:
//!
//! - A session listens before it looks: bells are heard from before the first read, so nothing falls between.
//! - Whatever a client sends or does not read costs a bounded amount: frames are let in one by one, requests wait in a short
//!   queue, and what is told without being asked is marked, not queued.
//! - A link that waits costs one task, and two for each attachment. No buffers are held while nothing happens: about 1.5 KiB
//!   for a session and 2 KiB for an attachment, beside what the transport takes.
//! - The end is said once, in-band, before the link closes; nothing else is said after it.

mod attach;
mod bell;
mod config;
mod control;
mod feed;
mod handshake;
mod interest;
mod limits;
mod listening;
mod marks;
mod metrics;
mod node;
mod outbox;
mod presence;
mod registry;
mod run;
#[expect(clippy::module_inception, reason = "a session is what the module is named for")]
mod session;
#[cfg(test)]
mod sizes;
mod write;

pub use bell::LocalBell;
pub use config::SessionConfig;
pub use metrics::{CloseLabel, KindLabel, SessionMetrics};
pub use registry::Sessions;
