//! Links, without sessions: real sockets on this machine, a handler that the test gives, and the raw client.

// Clippy's own exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod certificates;
mod ends;
mod flow;
mod frames;
mod http;
mod node;
mod websocket_abuse;
