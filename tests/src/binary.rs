//! Where the binaries are.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, ensure};

/// What Cargo builds of a package that can be run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Bin,
    Example,
}

/// A binary of the workspace: that which the variable names, if it is set, or else the one that belongs to this test, which
/// is brought up to date first: Cargo builds the binaries of other packages for nobody.
pub(crate) fn path(package: &str, target: Target, name: &'static str, variable: &str) -> anyhow::Result<PathBuf> {
    static PATHS: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held meanwhile, so that it is built once.
    let mut paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = paths.get(name) {
        return Ok(path.clone());
    }
    let path = find(package, target, name, variable).with_context(|| format!("no binary {name}"))?;
    paths.insert(name, path.clone());
    Ok(path)
}

fn find(package: &str, target: Target, name: &str, variable: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return PathBuf::from(path).canonicalize().with_context(|| variable.to_owned());
    }
    // …/target/debug/deps/promises-0123456789abcdef; a binary, such as suda-peers, is in the folder above
    let test = env::current_exe()?;
    let folder = test.parent().context("the test is not where Cargo puts tests")?;
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let mut build = Command::new(env!("CARGO"));
    let (flag, below) = match target {
        Target::Bin => ("--bin", ""),
        Target::Example => ("--example", "examples"),
    };
    build.args(["build", "--quiet", "--package", package, flag, name]);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if folder.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    if let Some(target_dir) = folder.parent() {
        build.arg("--target-dir").arg(target_dir);
    }
    ensure!(build.status().context("cargo")?.success(), "it can't be built");
    Ok(folder.join(below).join(name))
}
