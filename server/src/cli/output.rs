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

/// Asks for something on stderr. Without it the command waits all the same.
pub(super) fn hint(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}

/// Tells on stderr why the command failed. There is nobody to tell if that fails too.
pub(super) fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "suda: {}", whole(error));
}

/// What went wrong and why, on one line. An error that tells its cause itself is not followed by it once more.
fn whole(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.ends_with(&cause) {
            told
        } else {
            [told, cause].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        assert_eq!(whole(&anyhow!("the port is taken").context("can't start")), "can't start: the port is taken");
        assert_eq!(whole(&anyhow!("taken").context("can't start: taken")), "can't start: taken");
        assert_eq!(whole(&anyhow!("taken")), "taken");
    }
}
