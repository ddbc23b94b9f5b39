//! Where settings come from: `suda.toml` < environment < flags. A later one takes the place of an earlier one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::value::Raw;
use super::{SETTINGS, Setting};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of a file.
    File {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A flag on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// Something wrong with one setting, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// What was found, by key. Later layers overwrite earlier ones.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) found: BTreeMap<String, (Raw, Origin)>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    /// Reads the text of a `suda.toml`.
    pub(super) fn add_file(&mut self, path: &Path, text: &str) {
        let at = |offset: usize| Origin::File { path: path.to_owned(), line: line_of(text, offset) };
        let table = match toml::de::DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let origin = at(error.span().map_or(0, |span| span.start));
                return self.problems.push(Problem { origin, what: error.message().to_owned() });
            }
        };
        for (section, content) in table.get_ref() {
            let origin = at(section.span().start);
            let toml::de::DeValue::Table(content) = content.get_ref() else {
                self.unknown(section.get_ref(), origin);
                continue;
            };
            for (name, value) in content {
                let key = format!("{}.{}", section.get_ref(), name.get_ref());
                let origin = at(name.span().start);
                match plain(value.get_ref()) {
                    Ok(value) => self.add(&key, Raw::Toml(value), origin),
                    Err(what) => self.problems.push(Problem { origin, what: format!("{key}: {what}") }),
                }
            }
        }
    }

    /// Reads the environment. Settings are the variables `SUDA_<SECTION>__<NAME>`; others that begin with `SUDA_` may
    /// be somebody else's (Kubernetes makes such ones for a service called suda) and are left alone, unless only the
    /// second underscore is missing.
    pub(super) fn add_env(&mut self, env: impl IntoIterator<Item = (OsString, OsString)>) {
        let mut env: Vec<_> = env.into_iter().collect();
        env.sort();
        for (name, value) in env {
            let Some(name) = name.to_str().filter(|name| name.starts_with("SUDA_")) else { continue };
            let origin = Origin::Env(name.to_owned());
            if let Some((section, rest)) = name["SUDA_".len()..].split_once("__") {
                match value.into_string() {
                    Ok(value) => self.add(&format!("{section}.{rest}").to_lowercase(), Raw::Text(value), origin),
                    Err(_) => self.problems.push(Problem { origin, what: "its value is not UTF-8".to_owned() }),
                }
            } else if let Some(meant) = SETTINGS.iter().map(Setting::env).find(|env| env.replace("__", "_") == name) {
                self.problems.push(Problem { origin, what: format!("did you mean {meant} (two underscores)?") });
            }
        }
    }

    /// Takes one flag: `key` is the setting, `flag` how it was written.
    pub(super) fn add_flag(&mut self, key: &str, value: String, flag: &str) {
        let origin = Origin::Flag(flag.to_owned());
        if SETTINGS.iter().any(|setting| setting.key() == key && setting.secret) {
            let what = format!(
                "{key} is a secret, and command lines can be read by everybody on the machine: set it in a file or in the environment"
            );
            return self.problems.push(Problem { origin, what });
        }
        self.add(key, Raw::Text(value), origin);
    }

    fn add(&mut self, key: &str, raw: Raw, origin: Origin) {
        if SETTINGS.iter().any(|setting| setting.key() == key) {
            self.found.insert(key.to_owned(), (raw, origin));
        } else {
            self.unknown(key, origin);
        }
    }

    fn unknown(&mut self, key: &str, origin: Origin) {
        let keys: Vec<String> = SETTINGS.iter().map(Setting::key).collect();
        let meant = nearest(key, keys.iter().map(String::as_str)).unwrap_or_default();
        let meant = match &origin {
            Origin::Env(_) => SETTINGS.iter().find(|setting| setting.key() == meant).map(Setting::env),
            _ => None,
        }
        .unwrap_or_else(|| meant.to_owned());
        let what = format!("there is no setting {key}; did you mean {meant}?");
        self.problems.push(Problem { origin, what });
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The value without its places. Settings are texts, numbers, booleans and lists of them.
fn plain(value: &toml::de::DeValue<'_>) -> Result<toml::Value, String> {
    use toml::de::DeValue;
    Ok(match value {
        DeValue::String(text) => toml::Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(toml::Value::Integer)
            .map_err(|_| format!("{} is too large", number.as_str()))?,
        DeValue::Boolean(value) => toml::Value::Boolean(*value),
        DeValue::Array(items) => {
            toml::Value::Array(items.iter().map(|item| plain(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            return Err(format!("a {} is no setting's value", value.type_str()));
        }
    })
}
