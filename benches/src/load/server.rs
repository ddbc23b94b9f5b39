//! A node of the run's own: `suda serve` in a folder that is thrown away.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Nobody is to wait for anything but the node itself: passwords that cost nothing, and no limits on how often.
const SETTINGS: &[&str] = &[
    "accounts.hash_memory_kib=8",
    "accounts.hash_passes=1",
    "accounts.hashes_waiting_max=100000",
    "accounts.hash_wait_ms=60000",
    "http.connections_max=100000",
    "http.connections_per_address_max=100000",
    "limits.group_members_max=10000",
    "limits.broadcast_members_max=1000000",
    "link.links_per_address_max=1000000",
    "rate.connects=10000/s, burst 10000",
    "rate.sends=1000000/s, burst 1000000",
    "rate.attaches=10000/s, burst 10000",
    "rate.queries=100000/s, burst 100000",
    "rate.http_user=100000/s, burst 100000",
    "rate.http_address=1000000/s, burst 1000000",
    "rate.login_address=1000000/s, burst 1000000",
    "rate.login_handle=10000/s, burst 10000",
    "rate.sign_up_address=1000000/s, burst 1000000",
    "store.reserve_bytes=16777216",
    "log.format=human",
    "log.level=warn",
];

/// A node that runs. It ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    folder: tempfile::TempDir,
    binary: PathBuf,
    settings: Vec<String>,
    child: Child,
    /// Nothing more is written to it; it stays open so that it could be.
    _stdout: BufReader<ChildStdout>,
    addr: SocketAddr,
    http: SocketAddr,
}

impl Server {
    pub(crate) fn start(binary: Option<&Path>, settings: &[String]) -> Result<Self> {
        let binary = match binary {
            Some(binary) => binary.to_owned(),
            None => beside()?,
        };
        let settings: Vec<String> =
            SETTINGS.iter().map(|setting| (*setting).to_owned()).chain(settings.to_vec()).collect();
        let folder = tempfile::tempdir()?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, stdout, addr, http) = launch(&binary, folder.path(), &settings, any, any)?;
        Ok(Self { folder, binary, settings, child, _stdout: stdout, addr, http })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and another one on the same data and ports.
    pub(crate) fn kill_and_restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        let again = launch(&self.binary, self.folder.path(), &self.settings, self.addr, self.http)?;
        (self.child, self._stdout, self.addr, self.http) = again;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then its log says why.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = log_of(self.folder.path());
        if !log.is_empty() {
            let from = log.lines().count().saturating_sub(10);
            eprintln!("the server's last warnings:\n{}", log.lines().skip(from).collect::<Vec<_>>().join("\n"));
        }
    }
}

fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("suda");
    ensure!(
        binary.exists(),
        "there is no {}: build it with `cargo build --release -p suda-server --bin suda`, or name one with --suda",
        binary.display()
    );
    Ok(binary)
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn launch(
    binary: &Path,
    folder: &Path,
    settings: &[String],
    addr: SocketAddr,
    http: SocketAddr,
) -> Result<(Child, BufReader<ChildStdout>, SocketAddr, SocketAddr)> {
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(binary);
    command.arg("serve").current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SUDA_")) {
        command.env_remove(name);
    }
    command.arg("--data").arg(folder.join("data"));
    command.args(["--host", &addr.ip().to_string(), "--port", &addr.port().to_string()]);
    command.args(["--http-port", &http.port().to_string()]);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut child = command.spawn().with_context(|| format!("{} can't be started", binary.display()))?;
    let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    let named = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok());
    match (named("quic="), named("http=http://")) {
        (Some(addr), Some(http)) => Ok((child, stdout, addr, http)),
        _ => {
            // What it has to say is in its log.
            let _ = child.kill();
            let _ = child.wait();
            bail!("the server does not start:\n{}", log_of(folder))
        }
    }
}
