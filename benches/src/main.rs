//! Writes `docs/performance.md` from the figures that the last `cargo bench` left behind.
//!
//! Each row stands beside its reference from the same run: on a shared machine the ratio holds, the time does not.

mod estimates;
mod page;

use std::path::Path;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the benches lie in the workspace")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let estimates = estimates::read(&target.join("criterion"))?;
    let page = page::write(&estimates, &page::Machine::this(root));
    let path = root.join("docs/performance.md");
    std::fs::write(&path, page).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("docs/performance.md: {} figures", estimates.len());
    Ok(())
}
