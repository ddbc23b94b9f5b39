//! Settings for people: what `suda config` prints, and the table of the documentation.

use std::fmt::Write as _;

use super::{Config, Origin, SECTIONS, SETTINGS, Setting};

/// What is in force, as a `suda.toml` with the origin of each value beside it. Secrets are shortened.
#[must_use]
pub fn toml_with_origins(config: &Config) -> String {
    let mut out = String::new();
    for (section, meaning) in SECTIONS {
        let _ = writeln!(out, "{}# {}\n[{section}]", if out.is_empty() { "" } else { "\n" }, sentence(meaning));
        let settings: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.section == *section).collect();
        let values: Vec<String> =
            settings.iter().map(|setting| format!("{} = {}", setting.name, config.settings.show(setting))).collect();
        let width = values.iter().map(|value| value.chars().count()).filter(|width| *width <= 48).max().unwrap_or(0);
        for (setting, value) in settings.iter().zip(values) {
            let _ = match config.origin(&setting.key()) {
                Origin::Default => writeln!(out, "{value:width$}  # default"),
                origin => writeln!(out, "{value:width$}  # {origin}"),
            };
        }
    }
    out
}

/// The tables of `docs/operations.md`, one for each section.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    for (section, meaning) in SECTIONS {
        let _ = writeln!(out, "### `[{section}]`\n\n{}\n", sentence(meaning));
        out.push_str("| setting | default | unit | what it does | what it costs |\n|---|---|---|---|---|\n");
        for setting in SETTINGS.iter().filter(|setting| setting.section == *section) {
            let bounds = setting.bounds.map_or_else(String::new, |(least, most)| format!(" From {least} to {most}."));
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {} | {}{bounds} | {} |",
                setting.name,
                (setting.default)().replace('|', "\\|"),
                setting.unit,
                sentence(setting.meaning).replace('|', "\\|"),
                setting.cost,
            );
        }
        out.push('\n');
    }
    out
}

/// A doc comment's lines as one.
fn sentence(doc: &str) -> &str {
    doc.trim()
}
