//! A FoundationDB of the test's own: one `fdbserver` in a temporary folder, gone with the test's process.
//!
//! `SUDA_FDB_SERVER` names the program, else it is looked for on PATH; `fdbcli` lies beside it or on PATH.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use suda_server::clock::Clock;
use suda_server::store::Store;
use suda_server::store::foundationdb::Options;
use tempfile::TempDir;

/// Ends its second argument's process when its input ends, which it does at the latest with the test's process.
const KEEPER: &str = r#""$@" & server=$!; read -r _; kill -9 $server; wait $server"#;

pub(crate) struct Cluster {
    folder: TempDir,
    port: u16,
    keeper: Option<Child>,
}

impl Cluster {
    /// Starts a server on a new, empty database.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(folder.path().join("cluster"), format!("suda:test@127.0.0.1:{port}")).unwrap();
        let mut cluster = Self { folder, port, keeper: None };
        cluster.restart();
        cluster.cli("configure new single ssd");
        cluster
    }

    /// Starts the server again on what is there.
    pub(crate) fn restart(&mut self) {
        let server = program("SUDA_FDB_SERVER", "fdbserver");
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(server)
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
    pub(crate) fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }

    /// Runs one command of `fdbcli`'s.
    pub(crate) fn cli(&self, command: &str) -> String {
        let beside = program("SUDA_FDB_SERVER", "fdbserver").with_file_name("fdbcli");
        let cli = if beside.exists() { beside } else { "fdbcli".into() };
        let done = Command::new(cli)
            .arg("-C")
            .arg(self.cluster_file())
            .args(["--timeout", "60", "--exec", command])
            .output()
            .expect("fdbcli beside fdbserver or on PATH");
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{command}: {said}");
        said
    }

    pub(crate) fn cluster_file(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }

    /// A store on it, under a prefix.
    pub(crate) async fn store(&self, prefix: &[u8]) -> Store {
        open(&self.cluster_file(), prefix).await
    }
}

pub(crate) async fn open(cluster_file: &Path, prefix: &[u8]) -> Store {
    let options = Options { cluster_file: Some(cluster_file.to_owned()), ..Options::default() };
    Store::foundationdb(&options, prefix, Clock::system()).await.unwrap()
}

fn program(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| name.into(), PathBuf::from)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}
