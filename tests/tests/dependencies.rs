//! Keeps the directions of dependency that `docs/architecture.md` draws: between the crates of the workspace, and
//! between the modules of the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{TokenStream, TokenTree};

/// What each crate may depend on in the workspace, for whatever purpose. `*` is everything.
const CRATES: &[(&str, &[&str])] = &[
    ("suda-schema", &[]),
    ("suda-client", &["suda-schema"]),
    ("suda-chat", &["suda-client"]),
    ("suda-wasm", &["suda-schema", "suda-client"]),
    ("suda-server", &["suda-schema"]),
    ("suda-tests", &["*"]),
    ("suda-benches", &["*"]),
];

/// The server's modules, top to bottom: each may use those below it.
const MODULES: &[&str] = &[
    "cli",
    "node",
    "api",
    "notifier",
    "session",
    "link",
    "channel",
    "cluster",
    "chat",
    "store", //
    // Beside them, for everybody:
    "config",
    "tls",
    "rate",
    "telemetry",
    "clock",
];

/// Modules that may use less than that.
const STRICTER: &[(&str, &[&str])] = &[
    // Bytes and frames. A link knows neither sessions nor channels nor what anything means.
    ("link", &["config", "tls", "rate", "telemetry", "clock"]),
    // It hears of people only by the store: nothing it does needs their links.
    ("notifier", &["chat", "store", "config", "tls", "rate", "telemetry", "clock"]),
    // Ordered keys. The store knows nothing of chat, and nobody's settings but those it is given.
    ("store", &["telemetry", "clock"]),
];

/// Crates that only one module names.
const ONLY_IN: &[(&str, &str)] = &[("fjall", "store"), ("foundationdb", "store"), ("argon2", "chat")];

#[test]
fn crates_depend_downwards() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("cargo prints JSON");

    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("a list") {
        let dependencies = package["dependencies"].as_array().expect("a list").iter();
        let names = dependencies.map(|dependency| dependency["name"].as_str().expect("a name").to_owned());
        crates.insert(package["name"].as_str().expect("a name").to_owned(), names.collect());
    }
    assert_eq!(crate_violations(&crates), Vec::<String>::new());
}

#[test]
fn the_servers_modules_use_only_what_is_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let mut violations = Vec::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).expect("within src");
        let text = std::fs::read_to_string(&file).expect("a readable file");
        violations.extend(module_violations(path, &text));
    }
    assert!(violations.is_empty(), "{}\nsee the picture in docs/architecture.md", violations.join("\n"));
}

fn crate_violations(crates: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut violations = Vec::new();
    for (name, dependencies) in crates {
        let Some((_, may)) = CRATES.iter().find(|(known, _)| known == name) else {
            violations.push(format!("{name}: a new crate; say in CRATES what it may depend on"));
            continue;
        };
        for dependency in dependencies {
            let allowed = may.contains(&dependency.as_str()) || may.contains(&"*");
            if crates.contains_key(dependency) && !allowed {
                violations.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    violations
}

/// What the file at `path` (relative to `src/`) must not use, and does.
fn module_violations(path: &Path, text: &str) -> Vec<String> {
    let mut names: Vec<String> = path.with_extension("").iter().map(|name| name.to_string_lossy().into()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    let module = names[0].clone();
    if module == "lib" || module == "main" {
        return Vec::new();
    }
    if !MODULES.contains(&module.as_str()) {
        return vec![format!("{}: a new module; give {module} a place in MODULES", path.display())];
    }
    let tokens = match text.parse::<TokenStream>() {
        Ok(tokens) => tokens,
        Err(error) => return vec![format!("{}: {error}", path.display())],
    };
    let mut uses = Vec::new();
    collect_uses(&flat(tokens), names.len(), &mut uses);
    let complain = |used: &Use| format!("{}:{}: {module} must not use {}", path.display(), used.line, used.name);
    uses.iter().filter(|used| !may_use(&module, used)).map(complain).collect()
}

fn may_use(module: &str, used: &Use) -> bool {
    if !used.is_ours {
        return ONLY_IN.iter().all(|(name, owner)| *name != used.name || *owner == module);
    }
    let place = |name: &str| MODULES.iter().position(|known| *known == name);
    match (place(module), place(&used.name)) {
        _ if used.name == module => true,
        // The crate's root has only modules, so what is no module is missing in MODULES.
        (_, None) | (None, _) => false,
        (Some(own), Some(theirs)) => {
            let stricter = STRICTER.iter().find(|(name, _)| *name == module);
            own < theirs && stricter.is_none_or(|(_, may)| may.contains(&used.name.as_str()))
        }
    }
}

/// Something that a file names: a module of ours at the crate's root, or another crate.
#[derive(Debug, PartialEq)]
struct Use {
    name: String,
    is_ours: bool,
    line: usize,
}

/// Finds `crate::x`, `crate::{x, y}`, `super::super::x` that reaches the root, and `x::` at the front of a path.
/// `depth` is how many modules the tokens are in. Comments are no tokens, and strings are one each.
fn collect_uses(tokens: &[Token], depth: usize, uses: &mut Vec<Use>) {
    let mut at = 0;
    while at < tokens.len() {
        let in_path = at > 0 && tokens[at - 1] == Token::Separator;
        match &tokens[at] {
            Token::Word(word, _) if word == "mod" => {
                if let [Token::Word(..), Token::Group(inner), ..] = &tokens[at + 1..] {
                    collect_uses(inner, depth + 1, uses);
                    at += 2;
                }
            }
            Token::Word(word, _) if (word == "crate" || word == "super") && !in_path => {
                let mut left = if word == "crate" { 0 } else { depth - 1 };
                let mut next = at + 1;
                while let [Token::Separator, Token::Word(word, _), ..] = &tokens[next..] {
                    if word != "super" {
                        break;
                    }
                    left = left.saturating_sub(1);
                    next += 2;
                }
                if left == 0 && tokens.get(next) == Some(&Token::Separator) {
                    names_at(&tokens[next + 1..], uses);
                }
            }
            Token::Word(name, line) if !in_path && tokens.get(at + 1) == Some(&Token::Separator) => {
                uses.push(Use { name: name.clone(), is_ours: false, line: *line });
            }
            Token::Group(inner) => collect_uses(inner, depth, uses),
            _ => {}
        }
        at += 1;
    }
}

/// The names that follow `crate::`: one, or several in braces.
fn names_at(tokens: &[Token], uses: &mut Vec<Use>) {
    let mut push = |token: &Token| {
        if let Token::Word(name, line) = token {
            uses.push(Use { name: name.clone(), is_ours: true, line: *line });
        }
    };
    match tokens.first() {
        Some(Token::Group(inner)) => {
            let begins = inner.iter().enumerate().filter(|(at, _)| *at == 0 || inner[at - 1] == Token::Other(','));
            begins.for_each(|(_, token)| push(token));
        }
        Some(token) => push(token),
        None => {}
    }
}

/// As much of Rust's grammar as this test needs.
#[derive(Debug, PartialEq)]
enum Token {
    Word(String, usize),
    /// `::`
    Separator,
    Group(Vec<Token>),
    Other(char),
}

fn flat(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    for tree in stream {
        match tree {
            TokenTree::Ident(word) => tokens.push(Token::Word(word.to_string(), word.span().start().line)),
            TokenTree::Group(group) => tokens.push(Token::Group(flat(group.stream()))),
            TokenTree::Literal(_) => tokens.push(Token::Other('"')),
            TokenTree::Punct(punct) if punct.as_char() == ':' && tokens.last() == Some(&Token::Other(':')) => {
                tokens.pop();
                tokens.push(Token::Separator);
            }
            TokenTree::Punct(punct) => tokens.push(Token::Other(punct.as_char())),
        }
    }
    tokens
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

mod the_checker_itself {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        module_violations(Path::new(path), text)
    }

    #[test]
    fn finds_every_way_to_name_a_module_above() {
        for (path, text) in [
            ("store/txn.rs", "use crate::chat::Chat;"),
            ("store/mod.rs", "use crate::{clock::Clock, chat};"),
            ("store/mod.rs", "fn f() { let _ = crate::chat::append(); }"),
            ("store/mod.rs", "fn f() { tokio::select! { _ = crate::chat::append() => {} } }"),
            ("store/mod.rs", "use super::chat;"),
            ("store/memory/mod.rs", "use super::super::chat;"),
            ("store/memory/txn.rs", "use super::super::super::chat;"),
            ("store/txn.rs", "mod tests { use super::super::super::chat::x; }"),
            ("clock.rs", "use super::rate;"),
            ("chat/mod.rs", "use crate::channel::Hubs;"),
            ("channel/hub.rs", "use crate::session::Session;"),
            ("link/quic.rs", "use crate::chat::Chat;"),
            ("session/mod.rs", "use crate::node::Node;"),
            ("chat/mod.rs", "use fjall::Keyspace;"),
            ("chat/mod.rs", "fn f(x: foundationdb::Database) {}"),
        ] {
            assert_eq!(check(path, text).len(), 1, "{path}: {text}: {:?}", check(path, text));
        }
        assert_eq!(check("chat/a.rs", "\n\nuse crate::cli;"), ["chat/a.rs:3: chat must not use cli"]);
        assert!(check("gossip.rs", "")[0].contains("give gossip a place"));
    }

    #[test]
    fn leaves_alone_what_is_allowed() {
        for (path, text) in [
            ("chat/mod.rs", "use crate::{clock::Clock, store::{Store, chat::Fake}}; use crate::chat::ids;"),
            ("store/mod.rs", "// use crate::chat;\n/// crate::chat\nconst A: &str = \"crate::chat\";"),
            ("store/txn.rs", "use super::chat; mod tests { use super::super::chat; }"),
            ("store/mod.rs", "use fjall::Keyspace; use suda_schema::channel::Send;"),
            ("session/mod.rs", "use crate::link::Link; use crate::channel::Hubs;"),
            ("chat/mod.rs", "fn f(fjall: u8) { other::fjall::x(); }"),
            ("main.rs", "use suda_server::cli;"),
        ] {
            assert_eq!(check(path, text), Vec::<String>::new(), "{path}: {text}");
        }
    }

    #[test]
    fn finds_crates_that_depend_upwards() {
        let crates = |name: &str, dependency: &str| {
            BTreeMap::from([
                (name.to_owned(), vec![dependency.to_owned(), "serde".to_owned()]),
                (dependency.to_owned(), Vec::new()),
            ])
        };
        assert_eq!(crate_violations(&crates("suda-schema", "suda-client")).len(), 1);
        assert_eq!(crate_violations(&crates("suda-server", "suda-client")).len(), 1);
        assert_eq!(crate_violations(&crates("suda-client", "suda-server")).len(), 1);
        assert_eq!(crate_violations(&crates("suda-gossip", "suda-schema")).len(), 1);
        assert_eq!(crate_violations(&crates("suda-wasm", "suda-client")), Vec::<String>::new());
    }
}
