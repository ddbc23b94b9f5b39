//! The other commands of the binary, beside a node that runs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{NodeProcess, suda_binary};

/// How a command ended, and what it said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether it succeeded.
    pub success: bool,
    /// Its stdout.
    pub out: String,
    /// Its stderr.
    pub err: String,
}

/// Runs `suda` with these arguments, and with this on its stdin.
///
/// # Panics
///
/// If it can't be started.
#[must_use]
pub fn suda(args: &[&str], stdin: &str) -> Said {
    let mut command = Command::new(suda_binary().expect("a binary"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SUDA_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    // Who does not read it may have ended already.
    let _ = child.stdin.take().expect("its stdin").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { success: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl NodeProcess {
    /// Runs `suda admin` for this node.
    #[must_use]
    pub fn admin(&self, args: &[&str], stdin: &str) -> Said {
        let data = self.data();
        suda(&[&["admin", "--data", &data.to_string_lossy()], args].concat(), stdin)
    }
}
