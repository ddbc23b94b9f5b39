//! What the end-to-end tests share: a thin client that speaks the wire and nothing more.
//!
//! It knows no session: a test says itself what goes over which stream, well-formed or not.

pub mod client;
