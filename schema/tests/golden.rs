//! The wire, pinned: every specimen's bytes and JSON must be those in `golden/`.

mod support;

use std::path::{Path, PathBuf};

use suda_schema::codec::{Decoded, binary, json, mux};
use suda_schema::samples::Samples;
use suda_schema::{CloseCode, UnknownKind};
use support::targets::Wire;
use support::{check, for_every_enum, for_every_frame};

const ADVICE: &str = "\
The wire has changed. Clients that are out there speak the old one.

- Not meant? Undo it: a field was added, removed, reordered or given another type, or a kind was moved.
- A new kind at the end of an enum, with a new specimen? Right, as long as only lines were added.
- Anything else breaks clients, and needs a new protocol version (ALPN, subprotocol), unless no version of the
  frame was ever released.

When it is right: SUDA_BLESS=1 cargo test -p suda-schema --test golden
Then read `git diff schema/golden` and mend docs/protocol.md.";

#[test]
fn every_kind_has_a_specimen() {
    fn check<F: Samples>() {
        let samples = F::samples();
        for (name, value) in &samples {
            let kind = usize::try_from(value.kind()).unwrap();
            let stem = name.split('.').next().unwrap();
            assert_eq!(stem, F::NAMES[kind], "a specimen of {} is called by its kind's name", F::NAME);
            assert_eq!(samples.iter().filter(|(other, _)| other == name).count(), 1, "{name} is there twice");
        }
        for (kind, name) in (0..F::KINDS).zip(F::NAMES) {
            assert!(samples.iter().any(|(_, value)| value.kind() == kind), "no specimen of {}::{name}", F::NAME);
        }
    }
    for_every_enum!(check);
}

#[test]
fn no_kind_has_the_name_of_the_unknown() {
    fn check<F: Samples>() {
        assert!(!F::NAMES.contains(&UnknownKind::NAME), "{}", F::NAME);
    }
    for_every_enum!(check);
}

#[test]
fn every_specimen_has_its_golden_bytes() {
    fn check<F: Samples + Wire>() {
        let (mut bytes, mut text) = (Golden::hex(F::NAME), Golden::json(F::NAME));
        for (name, value) in F::samples() {
            let mut body = Vec::new();
            binary::put_value(&value, &mut body);
            assert_eq!(binary::decode_body(&body), Ok(Decoded::Frame(value.clone())), "{name}");
            bytes.add(name, &hex(&body));

            let encoded = json::encode(&value);
            assert_eq!(json::decode(&encoded), Ok(Decoded::Frame(value)), "{name}");
            text.add(name, &encoded);
        }
        bytes.check();
        text.check();
    }
    for_every_enum!(check);
}

#[test]
fn a_frame_is_its_body_behind_its_length() {
    fn check<F: Samples + Wire>() {
        for (name, value) in F::samples() {
            let (mut frame, mut body) = (vec![0xee], Vec::new());
            binary::encode(&value, &mut frame);
            binary::put_value(&value, &mut body);
            let frame = &frame[1..];
            assert!(frame.ends_with(&body), "{name}");
            let header = binary::header(frame, body.len()).unwrap().unwrap();
            assert_eq!((header.header_len, header.body_len), (frame.len() - body.len(), body.len()), "{name}");
            assert_eq!(binary::decode(frame, body.len()), Ok(Some((Decoded::Frame(value), frame.len()))));
        }
    }
    for_every_frame!(check);
}

#[test]
fn websocket_messages_have_their_golden_bytes() {
    let (mut bytes, mut text) = (Golden::hex("ws_message"), Golden::json("ws_message"));
    for (name, stream, message) in [
        ("data", 0, mux::Message::Data(b"\x02\x00\x11")),
        ("data.empty", 1, mux::Message::Data(b"")),
        ("data.stream_300", 300, mux::Message::Data(b"\x02\x00\x11")),
        ("fin", 1, mux::Message::Fin),
        ("reset", 1, mux::Message::Reset(CloseCode::DETACHED)),
    ] {
        let encoded = mux::encode_message(stream, &message);
        assert_eq!(mux::decode_message(&encoded), Ok((stream, message)), "{name}");
        bytes.add(name, &hex(&encoded));
    }
    for (name, stream, message) in [
        ("frame", 0, json::Message::Frame(r#"{"ping":{"nonce":17}}"#.into())),
        ("part", 1, json::Message::Part { text: r#"{"send":{"client_msg_id":"#.into(), last: false }),
        ("part.last", 1, json::Message::Part { text: "…\u{0}\\\"}}".into(), last: true }),
        ("fin", 1, json::Message::Fin),
        ("reset", 1, json::Message::Reset(CloseCode::DETACHED)),
    ] {
        let encoded = json::encode_message(stream, &message);
        assert_eq!(json::decode_message(&encoded, encoded.len()), Ok((stream, message)), "{name}");
        text.add(name, &encoded);
    }
    bytes.check();
    text.check();
}

/// A file in `golden/`: what it should be, beside what it is.
struct Golden {
    path: PathBuf,
    is_json: bool,
    lines: Vec<String>,
}

impl Golden {
    /// One specimen a line: its name, a colon, its bytes in hexadecimal.
    fn hex(stem: &str) -> Self {
        Self { path: dir().join(stem).with_extension("hex"), is_json: false, lines: Vec::new() }
    }

    /// One JSON object, one specimen a line under its name.
    fn json(stem: &str) -> Self {
        Self { path: dir().join(stem).with_extension("json"), is_json: true, lines: Vec::new() }
    }

    fn add(&mut self, name: &str, encoded: &str) {
        self.lines.push(if self.is_json { format!("\"{name}\":{encoded}") } else { format!("{name}:{encoded}") });
    }

    fn check(&self) {
        let text = if self.is_json {
            format!("{{\n{}\n}}\n", self.lines.join(",\n"))
        } else {
            format!("{}\n", self.lines.join("\n"))
        };
        if std::env::var_os("SUDA_BLESS").is_some() {
            std::fs::write(&self.path, text).expect("golden/ can be written");
            return;
        }
        let golden = std::fs::read_to_string(&self.path).unwrap_or_default();
        let (is, was): (Vec<_>, Vec<_>) = (text.lines().collect(), golden.lines().collect());
        let gone = was.iter().filter(|line| !is.contains(line)).map(|line| format!("- {line}"));
        let come = is.iter().filter(|line| !was.contains(line)).map(|line| format!("+ {line}"));
        let diff: Vec<String> = gone.chain(come).collect();
        assert!(golden == text, "{}:\n{}\n\n{ADVICE}", self.path.display(), diff.join("\n"));
    }
}

fn dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
