//! `suda admin` against a node that runs.

use serde_json::{Value, json};
use suda_tests::node::NodeProcess;

fn json_of(node: &NodeProcess, args: &[&str]) -> Value {
    let said = node.admin(&[&["--json"], args].concat(), "");
    assert!(said.success, "{args:?}: {said:?}");
    serde_json::from_str(&said.out).unwrap()
}

#[tokio::test]
async fn an_operator_looks_and_helps() {
    let node = NodeProcess::start().await;
    let password = "correct horse battery";
    let made = node.admin(&["users", "create", "kim", "--display-name", "Kim"], &format!("{password}\n"));
    assert!(made.success && made.out.starts_with("user  "), "{made:?}");
    let login = json!({ "handle": "kim", "password": password, "device": { "name": "laptop" } });
    let kim = node.call("POST", "/v1/login", None, Some(&login)).await.expect(200);
    let token = kim["access"].as_str().unwrap();
    let group = json!({ "kind": "group", "title": "Lunch" });
    let channel = node.call("POST", "/v1/channels", Some(token), Some(&group)).await.expect(201);

    assert_eq!(json_of(&node, &["stats"])["accounts"], 1);
    assert_eq!(json_of(&node, &["nodes"])["nodes"][0]["node"], 1);
    let users = node.admin(&["users", "list"], "");
    assert!(users.success && users.out.lines().nth(1).unwrap().contains("kim"), "{users:?}");
    let devices = node.admin(&["devices", "list", "kim"], "");
    assert!(devices.out.contains("laptop"), "{devices:?}");
    let id = channel["channel"].as_str().unwrap();
    let channels = node.admin(&["channels", "list"], "");
    assert!(channels.out.contains(id) && channels.out.contains("Lunch"), "{channels:?}");

    assert!(node.admin(&["devices", "logout", "kim", kim["device"].as_str().unwrap()], "").success);
    assert_eq!(node.call("GET", "/v1/me", Some(token), None).await.status, 401);
    for delete in [["channels", "delete", id], ["users", "delete", "kim"]] {
        let unsure = node.admin(&delete, "");
        assert!(!unsure.success && unsure.err.contains("--yes"), "{unsure:?}");
        assert!(node.admin(&[&delete[..], &["--yes"]].concat(), "").success);
    }
    assert_eq!(json_of(&node, &["channels", "list"])["channels"], json!([]));
}

#[tokio::test]
async fn where_no_node_runs_it_says_so() {
    let mut node = NodeProcess::start().await;
    assert_eq!(node.admin(&["users", "show", "nobody"], "").err, "suda: no such account\n");
    node.kill();
    let killed = node.admin(&["stats"], "");
    assert!(!killed.success && killed.err.contains("it has ended, it seems"), "{killed:?}");
    node.restart().await;
    assert!(node.admin(&["stats"], "").success);
    assert!(node.terminate().await.success());
    let stopped = node.admin(&["stats"], "");
    assert!(!stopped.success && stopped.err.contains("no node runs on the data folder"), "{stopped:?}");
}
