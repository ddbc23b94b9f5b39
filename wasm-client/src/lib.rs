//! The client of suda for the browser.
//!
//! So far this crate only shows that what a browser client stands on, the wire and the core without I/O, builds for
//! wasm32. The JavaScript API, WebTransport and WebSocket come in a later part; a page that wants to speak to a node
//! today does so over WebSocket in JSON, by hand, as `docs/protocol.md` describes.

pub use suda_client as client;
pub use suda_schema as schema;
