//! Where the binary is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, ensure};

/// The binary `suda`: that of `SUDA_BIN` if it is set, or else the one that belongs to this test, which is brought up to
/// date first: Cargo builds the binaries of other packages for nobody.
pub(super) fn path() -> anyhow::Result<&'static Path> {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PATH.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow::anyhow!("no binary: {error}"))
}

fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os("SUDA_BIN") {
        return PathBuf::from(path).canonicalize().context("SUDA_BIN");
    }
    // …/target/debug/deps/promises-0123456789abcdef
    let test = env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("the test is not where Cargo puts tests")?;
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "suda-server", "--bin", "suda"]);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if folder.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    if let Some(target) = folder.parent() {
        build.arg("--target-dir").arg(target);
    }
    ensure!(build.status().context("cargo")?.success(), "it can't be built");
    Ok(folder.join("suda"))
}
