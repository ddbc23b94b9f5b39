//! Logs go to stderr: for people where that is a terminal, as one JSON object a line otherwise.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// How to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `info`, or `info,quinn=warn`: a level, and other levels for parts of the program.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level can't be read.
    #[error("log.level: {0}; write a level such as info, or levels such as info,quinn=warn")]
    Level(#[from] ParseError),
    /// Somebody has set up logging already.
    #[error("logging is set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets up logging for the process, and has panics logged and counted.
pub fn init(settings: &LogSettings, panics: Counter) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&settings.level)?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if settings.format == LogFormat::Human || (settings.format == LogFormat::Auto && terminal) {
        builder.with_ansi(terminal).finish().try_init()?;
    } else {
        builder.json().flatten_event(true).with_span_list(false).finish().try_init()?;
    }
    std::panic::set_hook(Box::new(move |info| {
        panics.inc();
        report(info);
    }));
    Ok(())
}

fn report(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let message = info.payload_as_str().unwrap_or("a panic without a text");
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(location, message, %backtrace, "panic: this is a bug, please report it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_checked() {
        let settings = |level: &str| LogSettings { level: level.to_owned(), format: LogFormat::Json };
        let error = init(&settings("info,quinn=loud"), Counter::default()).unwrap_err();
        assert!(error.to_string().contains("log.level"), "{error}");
    }
}
