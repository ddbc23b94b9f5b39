//! Configuration: `suda.toml` < environment (`SUDA_<SECTION>__<NAME>`) < flags.
//!
//! Every setting is declared once, in `settings.rs`, with its default, unit, meaning and cost; what `suda config`
//! prints and the table in `docs/operations.md` come from there. Every setting has a default, so that `suda serve`
//! needs no configuration. A name that does not exist is an error that names the nearest one that does, and all
//! errors are told at once.

mod declare;
mod layers;
mod nearest;
mod print;
mod settings;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use declare::Setting;
use layers::Layers;
pub use layers::{Origin, Problem};
pub use print::{markdown, toml_with_origins};
pub use settings::*;
pub use value::Secret;

/// The file that is read if it is there and no other is named.
pub const FILE: &str = "suda.toml";
/// The environment variable that names another file.
pub const FILE_ENV: &str = "SUDA_CONFIG";

/// A flag that sets something: the setting's key, the value, and the flag as it was written.
#[derive(Debug, Clone)]
pub struct FlagValue {
    /// `section.name`.
    pub key: String,
    /// The value.
    pub value: String,
    /// How it stood on the command line, such as `--data`.
    pub flag: String,
}

/// Where to look for settings.
#[derive(Debug, Default)]
pub struct Sources {
    /// The file that was named by `--config`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// The flags, in order.
    pub flags: Vec<FlagValue>,
}

/// All settings, and where each came from.
#[derive(Debug, Clone)]
pub struct Config {
    /// The values in force.
    pub settings: Settings,
    origins: BTreeMap<String, Origin>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was asked for can't be read.
    #[error("can't read {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Settings that don't exist or can't have the value they were given.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Config {
    /// Reads everything and puts it together.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        let named = sources.file.or_else(|| {
            let (_, path) = sources.env.iter().find(|(name, path)| name == FILE_ENV && !path.is_empty())?;
            Some(path.into())
        });
        let (path, must_be) = named.map_or_else(|| (PathBuf::from(FILE), false), |path| (path, true));
        if let Some(text) = read(&path, must_be)? {
            layers.add_file(&path, &text);
        }
        layers.add_env(sources.env);
        for FlagValue { key, value, flag } in sources.flags {
            layers.add_flag(&key, value, &flag);
        }
        Self::from_layers(layers)
    }

    fn from_layers(layers: Layers) -> Result<Self, ConfigError> {
        let Layers { found, mut problems } = layers;
        let mut config = Self { settings: Settings::default(), origins: BTreeMap::new() };
        for setting in SETTINGS {
            let key = setting.key();
            let Some((raw, origin)) = found.get(&key) else { continue };
            match config.settings.set(setting, raw) {
                Ok(()) => drop(config.origins.insert(key, origin.clone())),
                Err(what) => problems.push(Problem { origin: origin.clone(), what: format!("{key}: {what}") }),
            }
        }
        if problems.is_empty() {
            problems = config.contradictions();
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Problems(problems)) }
    }

    /// Where a setting's value came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> &Origin {
        self.origins.get(key).unwrap_or(&Origin::Default)
    }

    /// Values that are right each by itself and wrong together.
    fn contradictions(&self) -> Vec<Problem> {
        let found = self.settings.contradictions();
        found
            .into_iter()
            .map(|(key, what)| Problem { origin: self.origin(key).clone(), what: format!("{key}: {what}") })
            .collect()
    }
}

fn read(path: &Path, must_be: bool) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_be => Ok(None),
        Err(source) => Err(ConfigError::File { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests;
