//! What criterion measured: one file for each benchmark, under `<group>/<function>[/<value>]/new/`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Nanoseconds for one of what a row counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) median_ns: f64,
    pub(crate) low_ns: f64,
    pub(crate) high_ns: f64,
}

#[derive(Deserialize)]
struct File {
    median: Statistic,
}

#[derive(Deserialize)]
struct Statistic {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

/// All figures by the name of their benchmark, such as `store_commit/embedded/64`; none where nothing was measured.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Estimate>> {
    let mut found = BTreeMap::new();
    if folder.exists() {
        walk(folder, &mut found).with_context(|| format!("the figures in {}", folder.display()))?;
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut BTreeMap<String, Estimate>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        if path.ends_with("new") {
            let id: serde_json::Value = serde_json::from_slice(&std::fs::read(path.join("benchmark.json"))?)?;
            let File { median } = serde_json::from_slice(&std::fs::read(path.join("estimates.json"))?)?;
            let name = id.get("full_id").and_then(|name| name.as_str()).context("a benchmark without a name")?;
            let Interval { lower_bound: low_ns, upper_bound: high_ns } = median.confidence_interval;
            found.insert(name.to_owned(), Estimate { median_ns: median.point_estimate, low_ns, high_ns });
        } else {
            walk(&path, found)?;
        }
    }
    Ok(())
}
