//! What a process uses, from `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Until memory has not changed for so many looks, it is looked again.
const STEADY_LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(150);
const LOOKS_MAX: u32 = 40;
/// A change of so much is none.
const STEADY_BYTES: u64 = 64 << 10;

/// Processor time of each thread of a process.
pub(crate) struct Cpu(HashMap<String, u64>);

impl Cpu {
    /// As of now. To the nanosecond, where `/proc/<pid>/stat` counts hundredths of a second.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            // One that has just ended has no file any more.
            let Ok(times) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let ran_ns = times.split(' ').next().context("an empty schedstat")?.parse()?;
            threads.insert(thread.file_name().to_string_lossy().into_owned(), ran_ns);
        }
        Ok(Self(threads))
    }

    /// What the process has used since.
    pub(crate) fn since(&self, pid: u32) -> Result<Duration> {
        let used = |(thread, ran): (&String, &u64)| ran.saturating_sub(self.0.get(thread).copied().unwrap_or(0));
        Ok(Duration::from_nanos(Self::of(pid)?.0.iter().map(used).sum()))
    }
}

/// Memory of the process itself, files that are mapped not counted, once it does not change any more.
pub(crate) async fn steady_bytes(pid: u32) -> Result<u64> {
    let (mut last, mut steady) = (anonymous_bytes(pid)?, 0);
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = anonymous_bytes(pid)?;
        steady = if now.abs_diff(last) < STEADY_BYTES { steady + 1 } else { 0 };
        last = now;
        if steady == STEADY_LOOKS {
            break;
        }
    }
    Ok(last)
}

fn anonymous_bytes(pid: u32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).context("no such line")?;
    Ok(line.split_whitespace().next().context("no number")?.parse::<u64>()? << 10)
}
