//! How far it has got, on stderr, once a second.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::args::Args;
use crate::checker::Checker;
use crate::meter::{Meter, get};

const EVERY: Duration = Duration::from_secs(1);

/// Shown as long as it lives.
#[derive(Debug)]
pub(crate) struct Progress {
    task: Option<JoinHandle<()>>,
    checker: Arc<OnceLock<Arc<Checker>>>,
}

pub(crate) fn show(args: &Args, meter: &Arc<Meter>) -> Progress {
    let checker: Arc<OnceLock<Arc<Checker>>> = Arc::default();
    if args.quiet {
        return Progress { task: None, checker };
    }
    let (meter, devices, judge) = (Arc::clone(meter), args.devices, Arc::clone(&checker));
    let task = tokio::spawn(async move {
        let is_terminal = std::io::stderr().is_terminal();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let totals = &meter.totals;
            let line = format!(
                "{:>4} s  accounts {}/{devices}  online {}  sent {}  acknowledged {}  delivered {}  faults {}",
                meter.began.elapsed().as_secs(),
                get(&totals.devices),
                get(&totals.online),
                get(&totals.sent),
                get(&totals.acked),
                get(&totals.delivered),
                judge.get().map_or(0, |checker| checker.faults_so_far()),
            );
            let (before, after) = if is_terminal { ("\r\x1b[K", "") } else { ("", "\n") };
            // Nobody may be reading it.
            let _ = write!(std::io::stderr(), "{before}{line}{after}");
        }
    });
    Progress { task: Some(task), checker }
}

impl Progress {
    /// From now on there is something to judge.
    pub(crate) fn judged_by(&self, checker: &Arc<Checker>) {
        // It is told once.
        let _ = self.checker.set(Arc::clone(checker));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            if std::io::stderr().is_terminal() {
                eprintln!();
            }
        }
    }
}
