//! The binary: killed while a provider has taken pushes and not answered, looked at, and asked about what was given up.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use suda_schema::ChannelId;
use suda_tests::node::NodeProcess;
use suda_tests::people::{Person, new_id};
use suda_tests::providers::{Mood, Providers, Taken};
use tokio::time::{Duration, Instant};

/// How long anything is waited for.
const WAIT: Duration = Duration::from_secs(60);
/// Hasty ones, for tests.
const SETTINGS: [(&str, &str); 5] = [
    ("push.wait_ms", "100"),
    ("push.retry_first_ms", "100"),
    ("push.retry_most_ms", "1000"),
    ("push.breaker_open_ms", "200"),
    ("push.lease_ms", "1500"),
];

/// People who are away, each in a conversation with one who writes.
struct Away {
    writer: Person,
    channels: Vec<(ChannelId, String)>,
}

/// Settings for nodes that push to these providers.
struct Setting {
    settings: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Setting {
    fn of(providers: &Providers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { settings: providers.settings(folder.path()), _folder: folder }
    }

    fn all<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let own = self.settings.iter().map(|(name, value)| (&**name, &**value));
        own.chain(SETTINGS).chain(more.iter().copied()).collect()
    }
}

impl Away {
    async fn on(node: &NodeProcess, count: usize) -> Self {
        let writer = node.sign_up("writer").await;
        let mut channels = Vec::new();
        for (number, person) in node.sign_up_all("away", count).await.iter().enumerate() {
            let token = format!("{number:064x}");
            let address = json!({ "kind": "apns", "token": token });
            node.ask(person, "PUT", "/v1/push-tokens", Some(address), 204).await;
            channels.push((node.direct(&writer, person).await, token));
        }
        Self { writer, channels }
    }

    /// Says something in each channel.
    async fn say(&self, node: &NodeProcess, text: &str) {
        for (channel, _) in &self.channels {
            let op = json!({ "message": { "body": { "text": text } } });
            let said = json!({ "client_msg_id": new_id().to_string(), "op": op });
            node.ask(&self.writer, "POST", &format!("/v1/channels/{channel}/entries"), Some(said), 200).await;
        }
    }

    /// Waits until all of it is shown, and looks whether it is shown once and in order.
    async fn shown(&self, providers: &Providers, said: &[String]) {
        let all = || self.channels.iter().all(|(_, token)| providers.visible(token) >= said.len());
        until("all of it is shown", all).await;
        let mut shown: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
        for taken in providers.taken() {
            let device = shown.entry(taken.token.clone()).or_default();
            if !device.iter().any(|other| other.collapse_id == taken.collapse_id) {
                device.push(taken);
            }
        }
        for (_, token) in &self.channels {
            let texts: Vec<&str> =
                shown[token].iter().filter_map(|taken| taken.payload["aps"]["alert"]["body"].as_str()).collect();
            assert_eq!(texts, said, "{token}");
        }
        assert_eq!(providers.wrong(), Vec::<String>::new());
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WAIT, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The sum of a metric's samples.
async fn metric(node: &NodeProcess, name: &str) -> f64 {
    let text = node.call("GET", "/metrics", None, None).await.text;
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

async fn until_metric(node: &NodeProcess, name: &str, value: f64) {
    let begun = Instant::now();
    while (metric(node, name).await - value).abs() > 0.1 {
        assert!(begun.elapsed() < WAIT, "{name} is {} and not {value}", metric(node, name).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `SUDA_PUSH_KILLS=20` is the long form.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_between_send_and_mark_has_each_shown_once() {
    let kills: usize = std::env::var("SUDA_PUSH_KILLS").map_or(3, |kills| kills.parse().expect("a number"));
    let providers = Providers::start().await;
    let setting = Setting::of(&providers);
    let mut node = NodeProcess::start_with(&setting.all(&[])).await;
    let away = Away::on(&node, 12).await;
    let mut said = Vec::new();
    for kill in 0..kills {
        providers.set("apns", Mood::Silent);
        let before = providers.count();
        for part in 0..2 {
            said.push(format!("{kill}, {part}"));
            away.say(&node, said.last().unwrap()).await;
        }
        // The first to each is taken, and none of it is marked.
        until("something is taken", || providers.count() >= before + away.channels.len()).await;
        node.kill();
        providers.set("apns", Mood::Well);
        node.restart().await;
        away.shown(&providers, &said).await;
    }
    // Those that were taken twice are why the collapse id is there.
    let twice = providers.count() - away.channels.len() * said.len();
    assert!(twice >= away.channels.len() * kills, "{twice} were sent again");
    println!("{kills} kills, {} notifications, {twice} sent twice", away.channels.len() * said.len());
}

/// The same with a node that is killed before the provider has taken anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_before_a_push_is_taken_has_each_told() {
    let providers = Providers::start().await;
    let setting = Setting::of(&providers);
    let mut node = NodeProcess::start_with(&setting.all(&[])).await;
    let away = Away::on(&node, 12).await;
    let mut said = Vec::new();
    for kill in 0..2 {
        providers.set("apns", Mood::Busy);
        let before = providers.requests();
        said.push(format!("{kill}"));
        away.say(&node, &said[kill]).await;
        until("something is asked", || providers.requests() > before).await;
        node.kill();
        providers.set("apns", Mood::Well);
        node.restart().await;
        away.shown(&providers, &said).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_was_given_up_and_sends_it_again_or_throws_it_away() {
    let providers = Providers::start().await;
    let setting = Setting::of(&providers);
    let node = NodeProcess::start_with(&setting.all(&[("log.level", "debug")])).await;
    let away = Away::on(&node, 1).await;
    let token = &away.channels[0].1;
    let refused = Mood::Answer(400, None, json!({ "reason": "BadTopic" }));
    providers.set("apns", refused.clone());
    away.say(&node, "hello").await;
    until("it is given up", || dead(&node).len() == 1).await;
    let table = node.admin(&["push", "list"], "").out;
    assert!(table.contains("BadTopic") && table.contains("0000…0000") && !table.contains(&**token), "{table}");
    // Sent again, and refused again.
    let requeue = || node.admin(&["push", "requeue", "--reason", "BadTopic"], "");
    assert!(requeue().success);
    until("it is given up again", || providers.requests() == 2 && dead(&node).len() == 1).await;
    let id = dead(&node)[0]["id"].as_str().unwrap().to_owned();
    providers.set("apns", Mood::Well);
    assert!(node.admin(&["push", "requeue", "--id", &id], "").success);
    until("it is told", || providers.count() == 1).await;
    assert_eq!(dead(&node), Vec::<Value>::new());
    providers.next("apns", refused);
    away.say(&node, "again").await;
    until("it is given up", || dead(&node).len() == 1).await;
    let unsure = node.admin(&["push", "purge"], "");
    assert!(!unsure.success && unsure.err.contains("--yes"), "{unsure:?}");
    assert!(node.admin(&["push", "purge", "--yes"], "").success);
    assert_eq!(dead(&node), Vec::<Value>::new());

    let sent = "suda_push_outcomes_total{provider=\"apns\",outcome=\"sent\",reason=\"\"}";
    let refused = "suda_push_outcomes_total{provider=\"apns\",outcome=\"refused\",reason=\"BadTopic\"}";
    for (name, value) in [
        (sent, 1.0),
        (refused, 3.0),
        ("suda_push_dead_total", 3.0),
        ("suda_push_seconds_count", 1.0),
        ("suda_push_backlog_rows", 0.0),
        ("suda_push_held_rows", 0.0),
        ("suda_push_oldest_seconds", 0.0),
        ("suda_push_shards", 16.0),
        ("suda_push_breaker_open", 0.0),
    ] {
        until_metric(&node, name, value).await;
    }
    let log = node.log();
    for secret in
        [&**token, providers.apns_key().lines().nth(1).unwrap(), providers.vapid_key().lines().nth(1).unwrap()]
    {
        assert!(!log.contains(secret), "the log has {secret}");
    }
}

/// What was given up.
fn dead(node: &NodeProcess) -> Vec<Value> {
    let said = node.admin(&["--json", "push", "list"], "");
    assert!(said.success, "{said:?}");
    serde_json::from_str::<Value>(&said.out).unwrap()["dead"].as_array().unwrap().clone()
}

/// Several nodes over FoundationDB.
#[cfg(feature = "foundationdb")]
mod several {
    use suda_tests::cluster::{Cluster, HASTY};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn one_of_two_nodes_killed_between_send_and_mark_has_each_shown_once() {
        let kills: usize = std::env::var("SUDA_PUSH_KILLS").map_or(3, |kills| kills.parse().expect("a number"));
        let providers = Providers::start().await;
        let setting = Setting::of(&providers);
        let mut cluster = Cluster::start(2, &setting.all(HASTY)).await;
        let away = Away::on(&cluster.nodes[0], 32).await;
        let mut said = Vec::new();
        for kill in 0..kills {
            // Both work on a half, and one of them dies with what it has under way.
            for node in &cluster.nodes {
                until_metric(node, "suda_push_shards", 8.0).await;
            }
            providers.set("apns", Mood::Silent);
            let before = providers.count();
            let (dies, lives) = (kill % 2, (kill + 1) % 2);
            for part in 0..2 {
                said.push(format!("{kill}, {part}"));
                away.say(&cluster.nodes[lives], said.last().unwrap()).await;
            }
            until("something is taken", || providers.count() >= before + away.channels.len()).await;
            cluster.nodes[dies].kill();
            let begun = Instant::now();
            providers.set("apns", Mood::Well);
            away.shown(&providers, &said).await;
            println!("all of it is shown {:?} after the kill", begun.elapsed());
            until_metric(&cluster.nodes[lives], "suda_push_shards", 16.0).await;
            cluster.nodes[dies].restart().await;
        }
        let twice = providers.count() - away.channels.len() * said.len();
        println!("{kills} kills, {} notifications, {twice} sent twice", away.channels.len() * said.len());
        assert!(twice >= kills, "{twice} were sent again");
    }
}
