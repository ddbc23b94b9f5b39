//! What the end-to-end tests share: a node as a process of its own ([`node`]), people on it ([`people`]), a thin client that
//! speaks the wire and nothing more ([`client`]), and a judge of what they have seen ([`checker`]).
//!
//! The client knows no session: a test says itself what goes over which stream, well-formed or not.

pub mod checker;
pub mod client;
pub mod node;
pub mod people;
