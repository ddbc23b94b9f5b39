//! A store over a FoundationDB of the test's own.

#[allow(unreachable_pub, reason = "it is the tests' crate's as well, where it is reached")]
#[path = "../../../tests/src/foundationdb/process.rs"]
mod process;

use std::path::Path;

use suda_server::clock::Clock;
use suda_server::store::Store;
use suda_server::store::foundationdb::Options;

pub(crate) use process::FoundationDb;

pub(crate) async fn open(cluster_file: &Path, prefix: &[u8]) -> Store {
    let options = Options { cluster_file: Some(cluster_file.to_owned()), ..Options::default() };
    Store::foundationdb(&options, prefix, Clock::system()).await.unwrap()
}
