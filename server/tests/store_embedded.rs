//! The engine `embedded`: conformance, and what only it does.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod store_suite;

use suda_server::clock::Clock;
use suda_server::store::{Embedded, Store};

async fn embedded() -> store_suite::Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::embedded(options(folder.path()), Clock::system()).unwrap();
    store_suite::Fixture { store: store.with_prefix(b"test/"), prefix_bytes: 5, keep: Box::new(folder) }
}

fn options(folder: &std::path::Path) -> Embedded {
    Embedded { reserve_bytes: 0, ..Embedded::new(folder) }
}

conformance!(embedded);
