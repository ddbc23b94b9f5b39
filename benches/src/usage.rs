//! What a server uses, from `/proc`: the process and those that it has started.

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

/// Processor time of each thread of a server.
#[derive(Debug)]
pub struct Cpu(HashMap<String, u64>);

impl Cpu {
    /// As of now. To the nanosecond, where `/proc/<pid>/stat` counts hundredths of a second.
    pub fn of(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        for pid in family(pid) {
            for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
                let thread = thread?;
                // One that has just ended has no file any more.
                let Ok(times) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
                let ran_ns = times.split(' ').next().context("an empty schedstat")?.parse()?;
                threads.insert(thread.file_name().to_string_lossy().into_owned(), ran_ns);
            }
        }
        Ok(Self(threads))
    }

    /// What the server has used since.
    pub fn since(&self, pid: u32) -> Result<Duration> {
        let used = |(thread, ran): (&String, &u64)| ran.saturating_sub(self.0.get(thread).copied().unwrap_or(0));
        Ok(Duration::from_nanos(Self::of(pid)?.0.iter().map(used).sum()))
    }
}

/// Memory of the server itself, files that are mapped not counted, once it does not change any more.
pub async fn steady_bytes(pid: u32) -> Result<u64> {
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
    let mut bytes = 0;
    for pid in family(pid) {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).context("no such line")?;
        bytes += line.split_whitespace().next().context("no number")?.parse::<u64>()? << 10;
    }
    Ok(bytes)
}

/// The process, its children, and theirs.
fn family(pid: u32) -> Vec<u32> {
    let processes: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in processes {
        if let Some(parent) = parent(process) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(pid) = family.get(at) {
        family.extend(children.get(pid).cloned().unwrap_or_default());
        at += 1;
    }
    family
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have blanks in it. The state comes before the parent.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_count_too() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(family(std::process::id()).contains(&child.id()));
        assert_eq!(family(child.id()), [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
