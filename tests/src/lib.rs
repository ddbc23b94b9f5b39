//! What the end-to-end tests share: a node as a process of its own ([`node`]), people on it ([`people`]), a thin client that
//! speaks the wire and nothing more ([`client`]), a judge of what they have seen ([`checker`]), several nodes over one
//! FoundationDB ([`cluster`]), a bad network ([`proxy`]), stand-ins for push providers ([`providers`]), what the SDK's tests
//! need ([`sdk`]), and a terminal without a screen
//! ([`terminal`]).
//!
//! The client knows no session: a test says itself what goes over which stream, well-formed or not.

mod binary;
pub mod checker;
pub mod client;
pub mod cluster;
pub mod foundationdb;
pub mod node;
pub mod people;
pub mod providers;
pub mod proxy;
pub mod sdk;
pub mod terminal;
