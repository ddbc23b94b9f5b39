//! A server as a process of its own, in a folder that is thrown away.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

const STARTED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So many of its last lines are shown if it does not start.
const LAST_LINES: usize = 5;

/// A server that listens. It ends with this.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Process {
    /// Starts it, and waits until somebody can connect.
    pub(crate) async fn start(mut command: Command, folder: TempDir, port: u16) -> Result<Self> {
        let log = File::create(folder.path().join("log"))?;
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut process = Self { child, folder, port };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(process.addr()).await.is_err() {
            if let Some(status) = process.child.try_wait()? {
                bail!("it does not start ({status}): {}", process.last_words());
            }
            if begun.elapsed() > STARTED_WITHIN {
                bail!("it does not listen in time: {}", process.last_words());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(process)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn last_words(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let from = log.lines().count().saturating_sub(LAST_LINES);
        log.lines().skip(from).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn folder() -> Result<TempDir> {
    Ok(tempfile::tempdir()?)
}

/// A port that nobody has now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Where a program is: where Go installs, which may have a newer one than the system, then on the path.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let go = var("GOBIN").map(PathBuf::from);
    let go = go.or_else(|| var("GOPATH").map(|path| PathBuf::from(path).join("bin")));
    let go = go.or_else(|| var("HOME").map(|home| PathBuf::from(home).join("go/bin")));
    let path = var("PATH").unwrap_or_default();
    // Debian has servers where only root looks.
    let folders = go.into_iter().chain(std::env::split_paths(&path)).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}
