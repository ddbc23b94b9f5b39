//! Writes `docs/performance.md` from the figures that the last `cargo bench` left behind. What was not measured stays as the
//! page has it, with the commit that it was measured at.
//!
//! Each row stands beside its reference from the same run: on a shared machine the ratio holds, the time does not.

mod estimates;
mod node;
mod page;

use anyhow::{Context, Result, ensure};
use suda_benches::figures::{self, Figures};

fn main() -> Result<()> {
    let path = figures::root().join("docs/performance.md");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let estimates = estimates::read(&figures::target().join("criterion"))?;
    let mut sections = page::criterion(&estimates);
    sections.extend(node::sections(&Figures::read(&figures::path())));
    let measured = sections.iter().filter(|section| section.body.is_some()).count();
    ensure!(measured > 0, "nothing was measured: run `make bench` first");
    std::fs::write(&path, page::write(&sections, &old)).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("docs/performance.md: {measured} of {} sections anew", sections.len());
    Ok(())
}
