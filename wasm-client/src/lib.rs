//! The client of suda for the browser: the core of `suda-client`, as a WebAssembly module.
//!
//! The core does no I/O, so neither does this: JavaScript, which has the sockets, calls `Engine`, carries out
//! what it asks for and writes what it gives. What is said across is bytes where it comes from or goes to the wire or the
//! store, and JSON (the wire's own form of it) where the app reads it. See `docs/decisions/` for why it is cut so.
//!
//! | module | idea |
//! |---|---|
//! | `engine` | what JavaScript calls |
//! | [`store`] | what is to be kept, queued for IndexedDB |
//! | [`say`] | effects, events and timelines as JSON |
//! | `panics` | the last words of a client that fails |

#[cfg(target_arch = "wasm32")]
mod engine;
#[cfg(target_arch = "wasm32")]
mod panics;
pub mod say;
pub mod store;

#[cfg(target_arch = "wasm32")]
pub use engine::Engine;
pub use suda_client as client;
pub use suda_schema as schema;
