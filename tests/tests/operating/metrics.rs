//! `/metrics` as Prometheus reads it.

use std::collections::BTreeSet;

use suda_schema::open::Start;
use suda_tests::client::Kind;
use suda_tests::node::NodeProcess;
use suda_tests::people::Device;

/// What operators are promised; in the text format of OpenMetrics a family that is there twice spoils the whole answer.
const PROMISED: [&str; 13] = [
    "suda_links",
    "suda_handshakes",
    "suda_sessions",
    "suda_attaches",
    "suda_attachments",
    "suda_attachments_lagging",
    "suda_sends",
    "suda_deliveries",
    "suda_append_batch_sends",
    "suda_append_commit_seconds",
    "suda_hubs",
    "suda_sends_refused",
    "suda_http_requests",
];

#[tokio::test]
async fn every_metric_is_there_once() {
    let node = NodeProcess::start().await;
    // Families with labels are there from the first time on.
    let [kim, lee] = [node.sign_up("kim").await, node.sign_up("lee").await];
    let channel = node.direct(&kim, &lee).await;
    for kind in Kind::ALL {
        let device = Device::connect(&node, kind, &kim).await;
        let mut view = device.attach(channel, Start::Tail(0)).await;
        view.say("hello").await.unwrap();
        let empty = view.send("").await.unwrap();
        assert!(view.answer(empty).await.unwrap().is_err());
    }
    let text = node.call("GET", "/metrics", None, None).await.text;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut families = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(name.starts_with("suda_"), "{name}");
        assert!(families.insert(name), "{name} is there twice");
    }
    let documented = include_str!("../../../docs/operations.md");
    for family in &families {
        let listed = ["", "_total"].iter().any(|ending| documented.contains(&format!("| `{family}{ending}` |")));
        assert!(listed, "{family} is not in docs/operations.md");
    }
    for promised in PROMISED {
        assert!(families.contains(promised), "{promised} is not among {families:?}");
    }
}
