//! Nodes over a FoundationDB of the test's own.

mod process;

pub use process::FoundationDb;

use crate::node::NodeProcess;

impl FoundationDb {
    /// A node over it, with these settings beside those of all tests. The binary has to have the engine.
    pub async fn node(&self, settings: &[(&str, &str)]) -> NodeProcess {
        let file = self.cluster_file().display().to_string();
        let mut all = vec![("store.engine", "foundationdb"), ("store.fdb_cluster_file", file.as_str())];
        all.extend(settings);
        NodeProcess::start_with(&all).await
    }
}
