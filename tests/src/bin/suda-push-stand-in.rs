//! The stand-in of the browsers' push services as a process, for tests that are not in Rust: subscriptions for the names it is
//! given, then each push that it takes, decrypted. What it says is JSON, an object a line. It ends with its standard input.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::{Map, Value, json};
use suda_tests::providers::Providers;

/// How often it is looked at whether something was pushed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let providers = Providers::start().await;
    let mut subscriptions = Map::new();
    for name in std::env::args().skip(1) {
        subscriptions.insert(name.clone(), serde_json::from_str(&providers.subscribe(&name))?);
    }
    say(&json!({
        "root_pem": providers.root_pem(),
        "vapid_key": providers.vapid_key(),
        "subscriptions": subscriptions,
    }))?;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let (mut said, mut wrong) = (0, 0);
    while !ended.is_finished() {
        tokio::time::sleep(LOOK_EVERY).await;
        for taken in providers.taken().into_iter().skip(said) {
            said += 1;
            say(&json!({ "name": taken.token, "topic": taken.collapse_id, "payload": taken.payload }))?;
        }
        for refused in providers.wrong().into_iter().skip(wrong) {
            wrong += 1;
            say(&json!({ "wrong": refused }))?;
        }
    }
    Ok(())
}

fn say(what: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}
