//! `suda doctor`: looks at everything a node needs from its machine, and says what to do where something is not right.

mod machine;
mod node;
mod ports;

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{SettingsArgs, output};
use crate::clock::Clock;

/// Check ports, certificate, store, clock and limits, and say what to do. Ends with 1 if something keeps a node from running.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// As it should be.
    Good,
    /// A node runs, but not as well as it could, or not for long.
    Warning,
    /// A node does not run like this.
    Problem,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    level: Level,
    what: String,
    /// What to do about it.
    advice: Option<String>,
}

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self { level: Level::Good, what: what.into(), advice: None }
    }

    fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Warning, what: what.into(), advice: Some(advice.into()) }
    }

    fn problem(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: Level::Problem, what: what.into(), advice: Some(advice.into()) }
    }
}

pub(super) fn run(args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let findings = match args.settings.load() {
        Err(error) => vec![Finding::problem(error.to_string(), "Correct the settings; `suda config` prints them.")],
        Ok(config) => {
            let settings = &config.settings;
            let mut findings = vec![Finding::good("settings: all known, all within bounds")];
            findings.extend(machine::data_folder(&settings.node.data));
            findings.extend(machine::limits());
            let clock = Clock::system();
            findings.push(node::certificate(settings, &clock));
            findings.extend(node::store_and_clock(settings, &clock));
            findings.extend(ports::check(&settings.listen));
            findings
        }
    };
    output::text(&report(&findings))?;
    let worst = findings.iter().map(|finding| finding.level).max();
    Ok(if worst == Some(Level::Problem) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn report(findings: &[Finding]) -> String {
    let mut out = String::new();
    for Finding { level, what, advice } in findings {
        let mark = match level {
            Level::Good => "ok     ",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        };
        let _ = writeln!(out, "{mark}  {}", what.replace('\n', "\n         "));
        if let Some(advice) = advice {
            let _ = writeln!(out, "         -> {}", advice.replace('\n', "\n            "));
        }
    }
    let count = |of| findings.iter().filter(|finding| finding.level == of).count();
    let _ = writeln!(out, "\n{} problems, {} warnings", count(Level::Problem), count(Level::Warning));
    out
}
