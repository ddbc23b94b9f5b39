//! A FoundationDB of the test's own: one `fdbserver` in a temporary folder, gone with the test's process.
//!
//! `SUDA_FDB_SERVER` names the program, as `scripts/find-foundationdb.sh` prints it; `fdbcli` lies beside it or on PATH.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::node::NodeProcess;

/// Ends its second argument's process when its input ends, which it does at the latest with the test's process.
const KEEPER: &str = r#""$@" & server=$!; read -r _; kill -9 $server; wait $server"#;

/// A FoundationDB.
#[derive(Debug)]
pub struct FoundationDb {
    server: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    keeper: Option<Child>,
}

impl FoundationDb {
    /// Starts one, if there is one on this machine and a binary with its engine, in `SUDA_BIN`.
    #[must_use]
    pub fn start() -> Option<Self> {
        std::env::var_os("SUDA_BIN")?;
        let server = PathBuf::from(std::env::var_os("SUDA_FDB_SERVER")?);
        let folder = tempfile::tempdir().expect("a folder");
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("its address").port();
        drop(socket);
        std::fs::write(folder.path().join("cluster"), format!("suda:test@127.0.0.1:{port}")).expect("a file");
        let mut started = Self { server, folder, port, keeper: None };
        started.restart();
        started.cli("configure new single ssd");
        Some(started)
    }

    /// Starts the server again after [`Self::kill`].
    pub fn restart(&mut self) {
        let address = format!("127.0.0.1:{}", self.port);
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.server)
            .args(["-p", &address, "-C"])
            .arg(self.folder.path().join("cluster"))
            .arg("-d")
            .arg(self.folder.path().join("data"))
            .arg("-L")
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.expect("fdbserver"));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().expect("a process that ends");
        }
    }

    /// A node over it, with these settings beside those of all tests.
    pub async fn node(&self, settings: &[(&str, &str)]) -> NodeProcess {
        let file = self.folder.path().join("cluster").display().to_string();
        let mut all = vec![("store.engine", "foundationdb"), ("store.fdb_cluster_file", file.as_str())];
        all.extend(settings);
        NodeProcess::start_with(&all).await
    }

    fn cli(&self, command: &str) {
        let beside = self.server.with_file_name("fdbcli");
        let cli = if beside.exists() { beside } else { "fdbcli".into() };
        let file = self.folder.path().join("cluster");
        let done = Command::new(cli).arg("-C").arg(file).args(["--timeout", "60", "--exec", command]).output();
        let done = done.expect("fdbcli beside fdbserver or on PATH");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stdout));
    }
}

impl Drop for FoundationDb {
    fn drop(&mut self) {
        self.kill();
    }
}
