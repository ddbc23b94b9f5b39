//! A FoundationDB of the test's own: one `fdbserver` in a temporary folder, gone with the test's process. The store's tests
//! take this file in as well.
//!
//! `SUDA_FDB_SERVER` names the program, else it is looked for on PATH; `fdbcli` lies beside it or on PATH.

#![expect(clippy::unwrap_used, reason = "helpers of tests: where something is not as it must be, the test is over")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Ends its second argument's process when its input ends, which it does at the latest with the test's process.
const KEEPER: &str = r#""$@" & server=$!; read -r _; kill -9 $server; wait $server"#;

/// A FoundationDB.
#[derive(Debug)]
pub struct FoundationDb {
    folder: TempDir,
    port: u16,
    keeper: Option<Child>,
}

impl FoundationDb {
    /// Starts a server on a new, empty database.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(folder.path().join("cluster"), format!("suda:test@127.0.0.1:{port}")).unwrap();
        let mut started = Self { folder, port, keeper: None };
        started.restart();
        started.cli("configure new single ssd");
        started
    }

    /// Starts the server again on what is there.
    pub fn restart(&mut self) {
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(program())
            .arg("-p")
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("-C")
            .arg(self.cluster_file())
            .arg("-d")
            .arg(self.folder.path().join("data"))
            .arg("-L")
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.unwrap());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }

    /// Where clients find it.
    #[must_use]
    pub fn cluster_file(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// Runs one command of `fdbcli`'s.
    fn cli(&self, command: &str) {
        let beside = program().with_file_name("fdbcli");
        let cli = if beside.exists() { beside } else { "fdbcli".into() };
        let done = Command::new(cli)
            .arg("-C")
            .arg(self.cluster_file())
            .args(["--timeout", "60", "--exec", command])
            .output()
            .expect("fdbcli beside fdbserver or on PATH");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stdout));
    }
}

fn program() -> PathBuf {
    std::env::var_os("SUDA_FDB_SERVER").map_or_else(|| "fdbserver".into(), PathBuf::from)
}

impl Drop for FoundationDb {
    fn drop(&mut self) {
        self.kill();
    }
}
