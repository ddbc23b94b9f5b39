//! The engine `memory`: conformance, and what only it does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod store_suite;

use suda_server::store::Store;

async fn memory() -> store_suite::Fixture {
    store_suite::Fixture { store: Store::memory(), prefix_bytes: 0, keep: Box::new(()) }
}

conformance!(memory);
