//! `suda-chat`: a chat client for the terminal, on the SDK for native apps.
//!
//! What happens, a key or a message, goes into [`model`], which says what is to be done; [`view`] draws the model; [`driver`] has
//! the terminal and the SDK, each in a task of its own, so that neither waits for the other. [`areas`] and [`page`] say
//! what is where, for the model to scroll and the view to draw, and [`text`] makes harmless what others wrote.

mod areas;
mod driver;
mod model;
mod page;
mod text;
mod view;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use suda_client::Kind;

/// Chat in the terminal.
#[derive(Debug, Parser)]
#[command(name = "suda-chat", version)]
struct Args {
    /// The server's address.
    #[arg(long, env = "SUDA_CHAT_URL", default_value = "http://localhost:8080")]
    url: String,
    /// Where the login, messages and what is not sent yet are kept, in a folder for each server. One suda-chat at a time uses
    /// it: a second account wants a folder of its own. Default: suda-chat in $XDG_DATA_HOME, or ~/.local/share.
    #[arg(long, env = "SUDA_CHAT_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this transport: quic, webtransport or websocket. May be given more than once, best first.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    transport: Vec<Kind>,
    /// How other devices see this one.
    #[arg(long, value_name = "NAME", default_value = "terminal")]
    device: String,
    /// Appends a log to this file; RUST_LOG says of what.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

fn kind(name: &str) -> Result<Kind, String> {
    let kinds = [Kind::Quic, Kind::WebTransport, Kind::WebSocket];
    kinds.into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| "quic, webtransport or websocket".to_owned())
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(path) = &args.log {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path).context("the log file")?;
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).init();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(driver::run(&args));
    // A question that is still on its way is not waited for.
    runtime.shutdown_background();
    done
}
