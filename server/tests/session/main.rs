//! Sessions over links in memory: no sockets, no processes, everything else as it is.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::expect_used)]
#![allow(clippy::needless_pass_by_value, reason = "closures that take a frame take it whole")]

mod attach;
mod control;
mod drain;
mod handshake;
mod send;
mod slow;
mod told;
mod world;
