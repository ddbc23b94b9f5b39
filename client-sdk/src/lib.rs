//! The client of suda.
//!
//! This crate is the *core* of a client: it does no I/O, has no clock and no randomness of its own. Bytes and the time
//! go in; frames, and times to act at, come out. The same core is to serve native apps and the browser, and tests hold
//! time still.
//!
//! It has begun with the two parts that everything else needs. Session, attachments and outbox, the drivers over real
//! links and the public API come in a later part.
//!
//! | module | idea |
//! |---|---|
//! | [`backoff`] | when to try again |
//! | [`frames`] | frames out of bytes that come in pieces |

#![deny(missing_docs)]

pub mod backoff;
pub mod core;
pub mod frames;

pub use suda_schema as schema;
