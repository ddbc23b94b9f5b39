//! Several nodes over one FoundationDB, under load: chance, storms, and how fast they are. They want the machine for
//! themselves: `scripts/test.sh` runs them one after the other.
#![cfg(feature = "foundationdb")]
// Clippy's own exception for tests does not reach the functions beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod chaos;
mod hot;
mod storm;
