//! Two runs beside each other: `save NAME` keeps the last one's samples, `compare NAME` prints how the newest stands to them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use suda_benches::figures::median;

/// How often both samples are drawn again to see how far their ratio may be off.
const DRAWS: usize = 2_000;
/// The same draws each time, so that a comparison can be repeated.
const SEED: u64 = 8;

/// Criterion's samples: so many iterations took so long in all.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// A ratio, and where it lies in 95 of 100 draws.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ratio {
    middle: f64,
    low: f64,
    high: f64,
}

/// Keeps the newest samples under a name: how many benchmarks there were.
pub(crate) fn save(criterion: &Path, name: &str) -> Result<usize> {
    check(name)?;
    let newest = samples(criterion, "new")?;
    ensure!(!newest.is_empty(), "nothing was measured: run `make bench` first");
    for path in newest.values() {
        let kept = folder(path)?.join(name);
        fs::create_dir_all(&kept)?;
        for file in ["benchmark.json", "sample.json"] {
            fs::copy(path.join(file), kept.join(file)).with_context(|| format!("{file} of {}", path.display()))?;
        }
    }
    Ok(newest.len())
}

/// What the newest samples are to those kept under a name, as a table.
pub(crate) fn compare(criterion: &Path, name: &str) -> Result<String> {
    check(name)?;
    let (kept, newest) = (samples(criterion, name)?, samples(criterion, "new")?);
    let mut table = format!("{:<44} {:>9}   95 % interval\n", "time, newest / baseline", "ratio");
    let mut rows = 0;
    for (id, path) in &newest {
        let Some(before) = kept.get(id) else { continue };
        let ratio = ratio(&times(before)?, &times(path)?).with_context(|| format!("no samples of {id}"))?;
        let said = match ratio {
            Ratio { high, .. } if high < 1.0 => "faster",
            Ratio { low, .. } if low > 1.0 => "slower",
            _ => "",
        };
        let Ratio { middle, low, high } = ratio;
        let _ = writeln!(table, "{id:<44} {middle:>9.3}   {low:.3} – {high:.3} {said}");
        rows += 1;
    }
    ensure!(rows > 0, "there is no baseline {name:?}: `make bench-save NAME={name}` makes one of the last run");
    Ok(table)
}

/// Names of folders that criterion makes itself, or that would lie elsewhere, are no names of baselines.
fn check(name: &str) -> Result<()> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    ensure!(plain && !["new", "base", "change", "report"].contains(&name), "{name:?} can't be the name of a baseline");
    Ok(())
}

/// Where the samples of that name lie, by the ids of their benchmarks.
fn samples(criterion: &Path, name: &str) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![criterion.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.ends_with(name) && path.join("sample.json").exists() {
                let id: serde_json::Value = serde_json::from_slice(&fs::read(path.join("benchmark.json"))?)?;
                let id = id.get("full_id").and_then(|id| id.as_str()).context("a benchmark without a name")?;
                found.insert(id.to_owned(), path);
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

fn folder(path: &Path) -> Result<&Path> {
    path.parent().context("samples that lie nowhere")
}

/// Nanoseconds for one iteration, of each sample.
fn times(path: &Path) -> Result<Vec<f64>> {
    let Sample { iters, times } = serde_json::from_slice(&fs::read(path.join("sample.json"))?)?;
    Ok(times.iter().zip(iters).map(|(time, iters)| time / iters).collect())
}

/// The ratio of the medians; its interval by drawing both samples again, with replacement.
fn ratio(before: &[f64], after: &[f64]) -> Option<Ratio> {
    let middle = median(after)? / median(before)?;
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut drawn = |from: &[f64]| {
        let draw: Vec<f64> = from.iter().filter_map(|_| from.get(rng.random_range(0..from.len())).copied()).collect();
        median(&draw)
    };
    let mut ratios = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        ratios.push(drawn(after)? / drawn(before)?);
    }
    ratios.sort_by(f64::total_cmp);
    Some(Ratio { middle, low: *ratios.get(DRAWS * 25 / 1_000)?, high: *ratios.get(DRAWS * 975 / 1_000)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(middle: f64) -> Vec<f64> {
        (0..20).map(|number| middle + f64::from(number % 5) - 2.0).collect()
    }

    #[test]
    fn twice_as_slow_is_seen_and_the_same_is_the_same() {
        let slower = ratio(&around(100.0), &around(200.0)).unwrap();
        assert!(slower.low > 1.9 && slower.high < 2.1 && (slower.middle - 2.0).abs() < 0.05, "{slower:?}");
        let same = ratio(&around(100.0), &around(100.0)).unwrap();
        assert!(same.low <= 1.0 && same.high >= 1.0, "{same:?}");
        assert_eq!(ratio(&[], &around(1.0)), None);
    }

    #[test]
    fn what_is_saved_is_compared() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("group/one/new");
        fs::create_dir_all(&new).unwrap();
        fs::write(new.join("benchmark.json"), r#"{"full_id":"group/one"}"#).unwrap();
        fs::write(new.join("sample.json"), r#"{"iters":[1,2],"times":[10,20]}"#).unwrap();
        assert!(compare(folder.path(), "before").is_err(), "there is none yet");
        assert_eq!(save(folder.path(), "before").unwrap(), 1);
        fs::write(new.join("sample.json"), r#"{"iters":[1,2],"times":[30,60]}"#).unwrap();
        let table = compare(folder.path(), "before").unwrap();
        assert!(table.contains("3.000") && table.contains("slower"), "{table}");
        for name in ["new", "", "../x", "report"] {
            assert!(save(folder.path(), name).is_err(), "{name:?}");
        }
    }
}
