//! `suda config`: what is in force, and where each value came from.

use std::process::ExitCode;

use super::{SettingsArgs, output};
use crate::config;

/// Print the settings in force and where each came from.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print the documentation of all settings instead, as in docs/operations.md.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: ConfigArgs) -> anyhow::Result<ExitCode> {
    let text = if args.markdown { config::markdown() } else { config::toml_with_origins(&args.settings.load()?) };
    output::text(&text)?;
    Ok(ExitCode::SUCCESS)
}
