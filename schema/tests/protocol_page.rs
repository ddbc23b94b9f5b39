//! `docs/protocol.md` says what this crate does: every example in it is read, and everything there is to say is said.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use suda_schema::close::CLOSES;
use suda_schema::codec::{Decoded, binary, json};
use suda_schema::error::{ERRORS, Retry};
use suda_schema::limits;
use suda_schema::samples::Samples;
use support::targets::Wire;
use support::{check, for_every_enum};

const PAGE: &str = include_str!("../../docs/protocol.md");

#[test]
fn every_kind_has_its_heading() {
    fn check<F: Samples>() {
        for (kind, name) in F::NAMES.iter().enumerate() {
            let heading = format!("\n#### `{name}` ({kind})\n");
            assert!(PAGE.contains(&heading), "{}::{name}: no heading {}", F::NAME, heading.trim());
        }
    }
    for_every_enum!(check);
}

#[test]
fn every_field_has_its_row() {
    fn check<F: Samples + Wire>() {
        for (name, value) in F::samples() {
            let mut keys = BTreeSet::new();
            collect_keys(&serde_json::from_str(&json::encode(&value)).unwrap(), &mut keys);
            for key in keys {
                let said = [format!("| `{key}` |"), format!("`{key}` ("), format!("{{\"{key}\": "), format!("`{key}`")];
                assert!(said.iter().any(|said| PAGE.contains(said)), "{}: {name}: {key} is nowhere", F::NAME);
            }
        }
    }
    for_every_enum!(check);
}

#[test]
fn every_example_in_json_is_a_frame() {
    let mut examples = 0;
    for (info, lines) in blocks("json") {
        for line in lines {
            examples += 1;
            let frame = match info.strip_prefix("ws") {
                None => line.to_owned(),
                Some(_) => {
                    let (_, message) = json::decode_message(line, limits::WS_JSON_BYTES_MAX).expect(line);
                    let json::Message::Frame(frame) = message else { continue };
                    frame.into_owned()
                }
            };
            let of = info.trim_start_matches("ws").trim();
            assert!(of.is_empty() || reads_as(of, &frame), "not a frame of {of}: {line}");
        }
    }
    assert!(examples > 60, "found only {examples} examples");
}

#[test]
fn every_example_in_hexadecimal_is_what_it_says() {
    let mut examples = 0;
    for (info, lines) in blocks("hex") {
        let (of, frame) = info.split_once(' ').expect("the enum and the frame in JSON");
        let digits: String =
            lines.iter().filter_map(|line| line.split('#').next()).flat_map(str::split_whitespace).collect();
        assert_eq!(digits, in_binary(of, frame), "{frame}");
        examples += 1;
    }
    assert!(examples >= 2);
}

#[test]
fn the_tables_of_errors_and_closes_are_the_codes() {
    let retry = |retry| match retry {
        Retry::Never => "never",
        Retry::Later => "later",
        Retry::AfterFix => "after a fix",
    };
    let mut table = String::new();
    for row in ERRORS {
        let (code, name, http, advice) = (row.code.0, row.name, row.http, row.advice);
        writeln!(table, "| {code} | `{name}` | {} | {http} | {advice} |", retry(row.retry)).unwrap();
    }
    assert!(PAGE.contains(&table), "the table of errors should be\n{table}");
    table.clear();
    for row in CLOSES {
        writeln!(table, "| {} | `{}` | {} | {} |", row.code.0, row.name, retry(row.retry), row.advice).unwrap();
    }
    assert!(PAGE.contains(&table), "the table of closes should be\n{table}");
}

#[test]
fn every_limit_has_its_row() {
    macro_rules! limits {
        ($($name:ident)+) => { [$((stringify!($name), u64::try_from(limits::$name).unwrap())),+] };
    }
    let known = limits! {
        TEXT_CHARS_MAX TEXT_BYTES_MAX OPAQUE_BYTES_MAX OPAQUE_SCHEME_BYTES_MAX MENTIONS_MAX ATTACHMENTS_MAX
        ATTACHMENT_FIELD_BYTES_MAX REACTION_BYTES_MAX REACTIONS_PER_MESSAGE_MAX REACTION_USERS_MAX
        EDITS_PER_MESSAGE_MAX PREVIEW_CHARS_MAX TITLE_BYTES_MAX FRAME_BYTES_MAX OPEN_BYTES_MAX CONTROL_BYTES_MAX
        DATAGRAM_BYTES_MAX ENTRIES_BYTES_TARGET ENTRIES_PER_FRAME_MAX WS_CHUNK_BYTES_MAX WS_JSON_BYTES_MAX
        SYNC_PAGE_MAX HISTORY_PAGE_MAX PRESENCE_USERS_MAX TOKEN_BYTES_MAX CLIENT_NAME_BYTES_MAX
    };
    let source = include_str!("../src/limits.rs");
    let declared = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    for name in declared {
        let (_, value) = known.iter().find(|(known, _)| *known == name).expect(name);
        let row = format!("\n| `{name}` | {} |", with_commas(*value));
        assert!(PAGE.contains(&row), "no row {}", row.trim());
    }
}

#[test]
fn links_within_the_page_lead_somewhere() {
    let headings =
        PAGE.lines().filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    let anchors: BTreeSet<String> = headings
        .map(|heading| {
            let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect();
    for link in PAGE.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(anchors.contains(link) || PAGE.contains(&format!("<a id=\"{link}\">")), "#{link} leads nowhere");
    }
}

/// The fenced blocks of a language: what else their first line says, and their lines.
fn blocks(language: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```").collect();
            if let Some(info) = info.strip_prefix(language) {
                blocks.push((info.trim(), block));
            }
        }
    }
    blocks
}

fn reads_as(of: &str, frame: &str) -> bool {
    let mut reads = None;
    macro_rules! try_it {
        ($frame:ty) => {
            if <$frame>::NAME == of {
                reads = Some(matches!(json::decode::<$frame>(frame), Ok(Decoded::Frame(_))));
            }
        };
    }
    for_every_enum!(try_it);
    reads.unwrap_or_else(|| unreachable!("no enum is called {of}"))
}

fn in_binary(of: &str, frame: &str) -> String {
    let mut bytes = Vec::new();
    macro_rules! encode {
        ($frame:ty) => {
            if <$frame>::NAME == of {
                let Ok(Decoded::Frame(frame)) = json::decode::<$frame>(frame) else { unreachable!("{frame}") };
                binary::encode(&frame, &mut bytes);
            }
        };
    }
    for_every_enum!(encode);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn collect_keys(value: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            keys.insert(key.clone());
            collect_keys(value, keys);
        }),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

fn with_commas(value: u64) -> String {
    let digits = value.to_string();
    let chunks: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|chunk| str::from_utf8(chunk).unwrap_or_default()).collect();
    chunks.join(",")
}
