//! HTTPS to providers: connections that are kept, with a limit on what is under way on each.
//!
//! Written over hyper rather than with `reqwest`, because Web Push must choose the address it connects to, and because
//! APNs wants several HTTP/2 connections, each with a limit of its own; `reqwest` opens one.

mod connect;
mod pool;
mod public;

pub use connect::{Connector, WireError};
pub use pool::{Answer, Origin, Pool, PoolLimits};
pub use public::is_public;
