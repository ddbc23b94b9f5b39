//! The inside of a node, top to bottom. Dependencies point down this picture only; a test in `tests/` keeps it so.
//!
//! ```text
//! cli        the commands of the binary                       config · telemetry
//! node       puts the parts together and runs them
//! link       accept a device: webtransport · quic · websocket     bytes <-> frames, one Link trait
//! api        the HTTP API                                         (beside link)
//! session    one device: authenticate, attach, rate-limit, dispatch
//! channel    one hub per active channel: batch appends, hold the hot tail, wake attachments
//! cluster    node leases, inboxes, interest, discovery, drain
//! chat       what chat means; every operation is one transaction over ...
//! store      keys · Store/Txn · engines: memory, embedded, foundationdb
//! clock      time and randomness as arguments                  rate: token buckets
//! ```

pub mod api;
pub mod channel;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod link;
pub mod node;
pub mod notifier;
pub mod rate;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod tls;
