//! `suda serve`: runs a node until it is told to stop.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{SettingsArgs, output};
use crate::node::Node;
use crate::telemetry::{self, LogSettings, Metrics};

/// For how long a node that was taken for dead tries to start anew.
const START_AGAIN_WITHIN: Duration = Duration::from_secs(60);
/// How long it waits between two tries.
const START_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Run a node. It needs no configuration: data go to ./data, and the ports are printed.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load()?.settings;
    let metrics = Metrics::new();
    let log = LogSettings { level: settings.log.level.clone(), format: settings.log.format.into() };
    telemetry::init(&log, metrics.panics())?;
    raise_open_files();
    // Also where the data folder was there before and others may enter it: keys and people's messages are in it.
    umask(Mode::RWXG | Mode::RWXO);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start threads")?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let (mut settings, mut metrics) = (settings, metrics);
        let mut again_until = None;
        let (started, name) = loop {
            let started = tokio::select! {
                started = Node::start(settings.clone(), metrics) => match started {
                    Ok(started) => started,
                    // The last of its former life may still hold the ports for a moment.
                    Err(error) if again_until.is_some_and(|until| Instant::now() < until) => {
                        tracing::warn!(error = format!("{error:#}"), "this node can't start anew yet");
                        tokio::time::sleep(START_AGAIN_AFTER).await;
                        metrics = Metrics::new();
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                name = signals.next() => {
                    tracing::info!(signal = name, "stopped before it had started");
                    return Ok(ExitCode::SUCCESS);
                }
            };
            output::line(&started.ready().line())?;
            output::line(&started.ready().greeting())?;
            tokio::select! {
                name = signals.next() => break (started, name),
                () = started.lost() => {}
            }
            // Where it was found it is to be found again.
            settings.listen.port = started.ready().addr.port();
            settings.listen.http_port = started.ready().http.map_or(settings.listen.http_port, |http| http.port());
            settings.listen.h3_port = started.ready().http3.map(|http3| http3.port());
            tracing::error!("this node was taken for dead, perhaps because it stood still: it starts anew");
            started.give_up().await;
            again_until = Some(Instant::now() + START_AGAIN_WITHIN);
            metrics = Metrics::new();
        };
        tracing::info!(signal = name, "stopping");
        tokio::select! {
            () = started.stop() => {
                tracing::info!("stopped");
                Ok(ExitCode::SUCCESS)
            }
            name = signals.next() => {
                tracing::warn!(signal = name, "told a second time: stopping at once");
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

/// What tells a node to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("can't listen for signals");
        Ok(Self { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// As many open files as the machine allows: each TCP link is one.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}
