//! The commands of the binary `suda`.

mod admin;
mod config;
mod doctor;
mod output;
mod serve;
mod settings_args;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use settings_args::SettingsArgs;

/// A real-time messaging server.
#[derive(Debug, Parser)]
#[command(name = "suda", version, about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Serve(serve::ServeArgs),
    /// Print the settings in force and where each came from.
    Config(config::ConfigArgs),
    /// Check ports, certificate, store, clock and limits, and say what to do.
    Doctor(doctor::DoctorArgs),
    /// Look at a running node and help its users.
    Admin(admin::AdminArgs),
    /// Print the version.
    Version,
}

/// Reads the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Config(args) => config::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Admin(args) => admin::run(args),
        Command::Version => output::line(&format!("suda {}", env!("CARGO_PKG_VERSION"))).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        output::complain(&error);
        ExitCode::FAILURE
    })
}
