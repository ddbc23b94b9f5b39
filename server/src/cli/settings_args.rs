//! The flags that every command takes which needs the settings.

use std::path::PathBuf;

use crate::config::{Config, ConfigError, FlagValue, Sources};

/// Where the settings come from. Everything has a default.
#[derive(Debug, Default, clap::Args)]
pub struct SettingsArgs {
    /// The file with the settings, instead of ./suda.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Where QUIC, WebTransport, HTTPS and WebSocket listen.
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// The port of these; 0 takes any free one.
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// The port of plain HTTP on localhost; 0 takes any free one.
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<String>,
    /// Which engine stores: embedded, memory, foundationdb.
    #[arg(long, value_name = "ENGINE")]
    pub store: Option<String>,
    /// Any other setting, such as --set log.level=debug. Not for secrets.
    #[arg(long = "set", value_name = "SECTION.NAME=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as section.name=value")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl SettingsArgs {
    /// The settings from file, environment and these flags.
    pub fn load(self) -> Result<Config, ConfigError> {
        let named = [
            ("--data", "node.data", self.data),
            ("--host", "listen.host", self.host),
            ("--port", "listen.port", self.port),
            ("--http-port", "listen.http_port", self.http_port),
            ("--store", "store.engine", self.store),
        ];
        let flag = |flag: &str, key: &str, value| FlagValue { key: key.to_owned(), value, flag: flag.to_owned() };
        let set = self.set.into_iter().map(|(key, value)| flag("--set", &key, value));
        let flags = set.chain(named.into_iter().filter_map(|(name, key, value)| Some(flag(name, key, value?))));
        Config::load(Sources { file: self.config, env: std::env::vars_os().collect(), flags: flags.collect() })
    }
}
