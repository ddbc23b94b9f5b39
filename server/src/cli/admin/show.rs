//! Answers of `/admin` for people: a table, or one line for each field. Whatever a user has written may hold control
//! characters, which a terminal would obey: they are shown escaped.

use std::fmt::Write as _;

use serde_json::Value;

/// Wider texts are shortened in tables.
const CELL_CHARS_MAX: usize = 40;

/// One line for each field.
pub(super) fn object(value: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = writeln!(out, "{}", format!("{name:width$}  {value}").trim_end());
        out
    })
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&below(key), value, lines)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&below(&index.to_string()), item, lines));
        }
        Value::Array(items) => lines.push((name.to_owned(), items.iter().map(text).collect::<Vec<_>>().join(" "))),
        value => lines.push((name.to_owned(), text(value))),
    }
}

/// The nodes.
pub(super) fn nodes(value: &Value) -> String {
    let columns =
        ["node", "region", "version", "up_ms", "draining", "links", "active_channels", "http_requests_active"];
    table(value, "nodes", &columns)
}

/// A page of accounts.
pub(super) fn users(value: &Value) -> String {
    let columns = ["user", "account.handle", "account.profile.display_name", "account.standing", "account.made_at_ms"];
    table(value, "accounts", &columns)
}

/// The devices of one account.
pub(super) fn devices(value: &Value) -> String {
    table(value, "devices", &["device", "name", "platform", "made_at_ms", "seen_at_ms", "push"])
}

/// A page of pushes that were given up.
pub(super) fn dead_pushes(value: &Value) -> String {
    table(value, "dead", &["id", "reason", "kind", "token", "user", "device", "channel", "seq", "failures"])
}

/// A page of channels.
pub(super) fn channels(value: &Value) -> String {
    table(value, "channels", &["channel", "kind", "title", "members", "messages", "head", "last_at_ms"])
}

/// The rows of a list, and how to go on if there are more.
fn table(value: &Value, list: &str, columns: &[&str]) -> String {
    let rows = value[list].as_array().map(Vec::as_slice).unwrap_or_default();
    let titles = columns.iter().map(|column| column.rsplit('.').next().unwrap_or(column).to_owned()).collect();
    let cells = |row: &Value| columns.iter().map(|column| shorten(&text(field(row, column)))).collect();
    let table: Vec<Vec<String>> = std::iter::once(titles).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &table {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(out, "{}", line.join("  ").trim_end());
    }
    if let Some(next) = value["next"].as_str() {
        let _ = writeln!(out, "there are more: --after {next}");
    }
    out
}

fn field<'a>(row: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(row, |value, name| &value[name])
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let harmless = |char: char| !char.is_control() && !is_direction(char);
    text.chars().map(|char| if harmless(char) { char.to_string() } else { char.escape_unicode().to_string() }).collect()
}

/// Characters that change the direction of what follows, in the next column too.
fn is_direction(char: char) -> bool {
    matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_a_table_that_says_how_to_go_on() {
        let channel = |id: &str, title: &str| json!({ "channel": id, "kind": "group", "title": title, "members": 3 });
        let page = json!({ "channels": [channel("1", "Lunch"), channel("20", "\u{1b}[2J\u{202e}x")], "next": "20" });
        let shown = channels(&page);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].starts_with("channel  kind   title"), "{shown}");
        assert!(lines[1].starts_with("1        group  Lunch"), "{shown}");
        assert!(lines[2].contains("\\u{1b}[2J\\u{202e}x"), "{shown}");
        assert_eq!(lines[3], "there are more: --after 20");
    }

    #[test]
    fn an_object_is_a_line_for_each_field() {
        let shown = object(&json!({ "user": "1", "account": { "handle": "kim" }, "devices": [{ "device": "2" }] }));
        assert_eq!(shown, "account.handle    kim\ndevices.0.device  2\nuser              1\n");
        assert_eq!(object(&json!({ "devices": ["1", "2"] })), "devices  1 2\n");
    }
}
