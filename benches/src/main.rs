//! Writes `docs/performance.md` from the figures that the last `cargo bench` left behind. What was not measured stays as the
//! page has it, with the commit that it was measured at.
//!
//! `save NAME` keeps criterion's samples of the last run as a baseline, and `compare NAME` prints what the newest run is to it.
//!
//! Each row stands beside its reference from the same run: on a shared machine the ratio holds, the time does not.

mod aims;
mod beside;
mod compare;
mod estimates;
mod growth;
mod node;
mod page;
mod plot;
mod pushes;

use std::io::Write as _;

use anyhow::{Context, Result, bail, ensure};
use suda_benches::figures::{self, Figures, Peers};

fn main() -> Result<()> {
    let criterion = figures::target().join("criterion");
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write_page(),
        ["save", name] => {
            let kept = compare::save(&criterion, name)?;
            eprintln!("{kept} benchmarks are kept as {name}");
            Ok(())
        }
        ["compare", name] => Ok(std::io::stdout().write_all(compare::compare(&criterion, name)?.as_bytes())?),
        _ => bail!("either nothing, `save NAME` or `compare NAME`"),
    }
}

fn write_page() -> Result<()> {
    let docs = figures::root().join("docs");
    let path = docs.join("performance.md");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let estimates = estimates::read(&figures::target().join("criterion"))?;
    let figures: Figures = figures::read(&figures::path());
    let peers: Peers = figures::read(&Peers::path());
    let mut sections = vec![aims::section(&figures, &peers, &estimates), beside::section(&peers)];
    sections.extend(page::criterion(&estimates));
    sections.push(growth::section(&estimates, &figures, &docs)?);
    sections.extend(node::sections(&figures));
    sections.push(pushes::section());
    let measured = sections.iter().filter(|section| section.body.is_some()).count();
    ensure!(measured > 0, "nothing was measured: run `make bench` first");
    std::fs::write(&path, page::write(&sections, &old)).with_context(|| format!("can't write {}", path.display()))?;
    eprintln!("docs/performance.md: {measured} of {} sections anew", sections.len());
    Ok(())
}
