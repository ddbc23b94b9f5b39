//! What a process uses, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// What the kernel counts processor time in, on every Linux there is.
const TICKS_PER_SECOND: u64 = 100;

/// As of now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) rss_bytes: u64,
    pub(crate) rss_peak_bytes: u64,
    pub(crate) cpu: Duration,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            Ok(line.split_whitespace().next().context("no number")?.parse()?)
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name, in brackets, may have blanks in it.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |index: usize| -> Result<u64> { Ok(fields.get(index).context("too short")?.parse()?) };
        Ok(Self {
            rss_bytes: kib("VmRSS:")? << 10,
            rss_peak_bytes: kib("VmHWM:")? << 10,
            cpu: Duration::from_millis((ticks(11)? + ticks(12)?) * 1_000 / TICKS_PER_SECOND),
        })
    }

    pub(crate) fn own() -> Result<Self> {
        Self::of(std::process::id())
    }
}
