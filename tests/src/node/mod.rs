//! A node as its users have it: the binary `suda`, started with `suda serve` in a folder of its own, on the embedded store.
//!
//! It can be killed and started again on the same data and ports. When it is dropped, the log must hold no panic.

#![expect(clippy::panic, reason = "helpers of tests: where something is not as it must be, the test is over")]

mod command;
mod http;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::binary;
use crate::client::{Connector, Kind, RawClient};

pub use command::{Said, suda};
pub use http::Answer;

/// How long a start or a stop may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings that all these tests use: passwords that cost nothing, and no limits on how often. What is tested of limits sets
/// its own.
const SETTINGS: &[(&str, &str)] = &[
    ("accounts.hash_memory_kib", "8"),
    ("accounts.hash_passes", "1"),
    ("accounts.hashes_at_once", "8"),
    ("accounts.hashes_waiting_max", "10000"),
    ("accounts.hash_wait_ms", "60000"),
    ("rate.connects", "10000/s, burst 10000"),
    ("rate.sends", "100000/s, burst 100000"),
    ("rate.attaches", "10000/s, burst 10000"),
    ("rate.queries", "10000/s, burst 10000"),
    ("rate.http_user", "100000/s, burst 100000"),
    ("rate.http_address", "100000/s, burst 100000"),
    ("rate.login_address", "10000/s, burst 10000"),
    ("rate.login_handle", "10000/s, burst 10000"),
    ("rate.sign_up_address", "10000/s, burst 10000"),
    // The clients of these tests send no heartbeats while they look elsewhere.
    ("session.dead_after_ms", "600000"),
    ("store.reserve_bytes", "16777216"),
    ("log.format", "human"),
    ("log.level", "info"),
];

/// A node, running or not.
#[derive(Debug)]
pub struct NodeProcess {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    running: Mutex<Option<Running>>,
    addr: SocketAddr,
    http: SocketAddr,
    connector: Connector,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Nothing more is written to it; it stays open so that it could be.
    _stdout: BufReader<ChildStdout>,
}

/// What a process has used, from `/proc`.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory that it holds.
    pub rss_bytes: u64,
    /// The most that it has ever held.
    pub rss_peak_bytes: u64,
    /// Processor time, by itself and for it by the kernel.
    pub cpu: Duration,
}

impl NodeProcess {
    /// Starts a node on free ports.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with settings of one's own.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, settings).await
    }

    /// The same in a folder whose `data` may be there already.
    pub async fn start_in(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> Self {
        let settings = SETTINGS.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = settings.collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (running, addr, http) = launch(&folder, &settings, any, any).await.expect("a node that starts");
        let connector = Connector::new([0; 32]).expect("sockets");
        let mut node = Self { folder, settings, running: Mutex::new(Some(running)), addr, http, connector };
        node.connector = Connector::new(node.certificate_hash().await).expect("sockets");
        node
    }

    /// Starts it again after [`Self::kill`] or [`Self::terminate`], on the same data and ports.
    pub async fn restart(&mut self) {
        let started = launch(&self.folder, &self.settings, self.addr, self.http).await;
        let (running, addr, http) = started.expect("a node that starts again");
        assert_eq!((addr, http), (self.addr, self.http));
        *self.running() = Some(running);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut running = self.running().take().expect("a node that runs");
        running.child.kill().expect("a process that can be killed");
        running.child.wait().expect("a process that ends");
    }

    /// SIGTERM: it stops by itself. How it ended.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut running = self.running().take().expect("a node that runs");
        let pid = running.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        assert!(sent.success());
        let waiting = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            loop {
                if let Some(status) = running.child.try_wait().expect("a process") {
                    return status;
                }
                assert!(begun.elapsed() < PATIENCE, "the node does not stop");
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        waiting.await.expect("a node that stops")
    }

    /// SIGSTOP: it stands still. [`Self::proceed`] has it go on.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn proceed(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.pid().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Where it is reached by QUIC, WebTransport, HTTPS and WebSocket.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it is reached by plain HTTP.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// What connects to it, and trusts its certificate.
    #[must_use]
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new link.
    pub async fn connect(&self, kind: Kind) -> RawClient {
        self.try_connect(kind).await.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"))
    }

    /// A new link, if the node takes one.
    pub async fn try_connect(&self, kind: Kind) -> anyhow::Result<RawClient> {
        let plain = matches!(kind, Kind::Plain | Kind::PlainJson);
        self.connector.connect(kind, if plain { self.http } else { self.addr }).await
    }

    /// A call of the HTTP API.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        http::call(self.http, method, path, token, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:#}"))
    }

    /// The process, for `/proc`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().as_ref().expect("a node that runs").child.id()
    }

    /// What the process has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        usage(self.pid()).expect("/proc")
    }

    /// Everything that it has logged, in all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// The hash of the certificate that it has made for itself.
    pub async fn certificate_hash(&self) -> [u8; 32] {
        // Discovery names the node that is recommended first; this one is known by its port, once it is known at all.
        let own = format!(":{}/v1", self.addr.port());
        let begun = Instant::now();
        let hex = loop {
            let discovery = self.call("GET", "/v1/discovery", None, None).await.json();
            let nodes = discovery["nodes"].as_array().expect("nodes");
            let node = nodes.iter().find(|node| node["api"].as_str().is_some_and(|api| api.ends_with(&own)));
            if let Some(hex) = node.and_then(|node| node["certificate_hashes"][0]["value"].as_str()) {
                break hex.to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "the node is not named by its own discovery: {discovery}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut hash = [0; 32];
        for (index, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).expect("hexadecimal");
        }
        hash
    }

    /// Copies the log to where it outlives the test: the folder that `SUDA_TEST_LOGS` names, or that for temporary files.
    fn keep_log(&self) -> std::io::Result<PathBuf> {
        let folder = std::env::var_os("SUDA_TEST_LOGS").map_or_else(std::env::temp_dir, PathBuf::from);
        let test = std::thread::current().name().unwrap_or("test").replace("::", "-");
        let path = folder.join(format!("{test}-{}.log", self.addr.port()));
        fs::copy(self.folder.path().join("log"), &path)?;
        Ok(path)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if let Some(mut running) = self.running().take() {
            // It may have ended by itself; then the log says why.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        let log = self.log();
        let bad = |line: &&str| {
            line.contains("panic") || line.contains("stack overflow") || line.contains("memory allocation")
        };
        let bad: Vec<&str> = log.lines().filter(bad).collect();
        if std::thread::panicking() {
            let from = log.lines().count().saturating_sub(40);
            eprintln!("the node's last words:\n{}", log.lines().skip(from).collect::<Vec<_>>().join("\n"));
            match self.keep_log() {
                Ok(path) => eprintln!("the node's log: {}", path.display()),
                Err(error) => eprintln!("the node's log can't be kept: {error}"),
            }
        } else {
            assert!(bad.is_empty(), "the node panicked:\n{}", bad.join("\n"));
        }
    }
}

/// Starts the process, and waits for its ready line.
async fn launch(
    folder: &tempfile::TempDir,
    settings: &[(String, String)],
    addr: SocketAddr,
    http: SocketAddr,
) -> anyhow::Result<(Running, SocketAddr, SocketAddr)> {
    let log = OpenOptions::new().create(true).append(true).open(folder.path().join("log"))?;
    let mut command = command(folder, settings, addr, http, log)?;
    let starting = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().context("the binary can't be started")?;
        let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        anyhow::Ok((Running { child, _stdout: stdout }, line))
    });
    let (running, line) = tokio::time::timeout(PATIENCE, starting).await.context("not ready in time")???;
    let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    ensure!(line.starts_with("suda ready "), "instead of its ready line: {line:?}; its log:\n{}", log());
    let named = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok());
    match (named("quic="), named("http=http://")) {
        (Some(addr), Some(http)) => Ok((running, addr, http)),
        _ => bail!("a ready line without addresses: {line:?}"),
    }
}

/// Where the binary `suda` is.
///
/// # Errors
///
/// If it is neither there nor can be built.
pub fn suda_binary() -> anyhow::Result<PathBuf> {
    binary::path("suda-server", binary::Target::Bin, "suda", "SUDA_BIN")
}

fn command(
    folder: &tempfile::TempDir,
    settings: &[(String, String)],
    addr: SocketAddr,
    http: SocketAddr,
    log: File,
) -> anyhow::Result<Command> {
    let mut command = Command::new(suda_binary()?);
    command.arg("serve").current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SUDA_") {
            command.env_remove(name);
        }
    }
    command.arg("--data").arg(folder.path().join("data"));
    command.args(["--host", &addr.ip().to_string(), "--port", &addr.port().to_string()]);
    command.args(["--http-port", &http.port().to_string()]);
    for (key, value) in settings {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    Ok(command)
}

fn usage(pid: u32) -> anyhow::Result<Usage> {
    /// What the kernel counts processor time in, on every Linux there is.
    const TICKS_PER_SECOND: u64 = 100;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| -> anyhow::Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        Ok(line.split_whitespace().next().context("no number")?.parse()?)
    };
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may have blanks in it.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| -> anyhow::Result<u64> { Ok(fields.get(index).context("too short")?.parse()?) };
    Ok(Usage {
        rss_bytes: kib("VmRSS:")? << 10,
        rss_peak_bytes: kib("VmHWM:")? << 10,
        cpu: Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_SECOND),
    })
}
