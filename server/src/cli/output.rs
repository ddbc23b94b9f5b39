//! What commands write.

use std::io::{self, Write as _};

use anyhow::Context as _;

/// Writes to stdout. Whoever closed the pipe has read enough: that is no failure.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("can't write to stdout"),
    }
}

/// Writes a line to stdout.
pub(super) fn line(line: &str) -> anyhow::Result<()> {
    text(&format!("{line}\n"))
}

/// Tells on stderr why the command failed. There is nobody to tell if that fails too.
pub(super) fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "suda: {error:#}");
}
