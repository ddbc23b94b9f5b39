//! Channels, members, messages, read positions; and the end of an account.

use super::*;

const ID: [&str; 3] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
];

fn message(id: usize, text: &str) -> Value {
    json!({ "client_msg_id": ID[id], "op": { "message": { "body": { "text": text } } } })
}

async fn group(node: &Node, owner: &Login, members: &[&Login]) -> String {
    let members: Vec<&str> = members.iter().map(|member| member.id.as_str()).collect();
    let body = json!({ "kind": "group", "title": "Tea", "members": members });
    let channel = node.expect(201, "POST", "/v1/channels", owner, body).await;
    channel["channel"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn channels_are_made_found_changed_and_deleted() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let request = json!({ "kind": "group", "title": "Tea", "members": [lee.id], "request": ID[0] });
    let made = node.expect(201, "POST", "/v1/channels", &kim, request.clone()).await;
    let again = node.expect(201, "POST", "/v1/channels", &kim, request).await;
    assert_eq!(made["channel"], again["channel"]);
    let path = format!("/v1/channels/{}", made["channel"].as_str().unwrap());

    let seen = node.expect(200, "GET", &path, &lee, Value::Null).await;
    assert_eq!((&seen["title"], &seen["role"], &seen["members"]), (&json!("Tea"), &json!("member"), &json!(2)));
    node.send("PATCH", &path, &lee.token, &json!({ "title": "Mine" })).await.assert_error(403, "forbidden");
    let changed = node.expect(200, "PATCH", &path, &kim, json!({ "title": "Coffee", "picture": "5" })).await;
    assert_eq!((&changed["title"], &changed["picture"]), (&json!("Coffee"), &json!("5")));
    let changed = node.expect(200, "PATCH", &path, &kim, json!({ "picture": null })).await;
    assert_eq!((&changed["title"], &changed["picture"]), (&json!("Coffee"), &Value::Null));
    node.expect(204, "PUT", &format!("{path}/mute"), &lee, json!({ "mute": { "until": 5 } })).await;
    assert_eq!(node.expect(200, "GET", &path, &lee, Value::Null).await["mute"], json!({ "until": 5 }));
    node.expect(422, "PUT", &format!("{path}/mute"), &lee, json!({ "mute": "loud" })).await;

    node.send("DELETE", &path, &lee.token, &Value::Null).await.assert_error(403, "forbidden");
    node.expect(204, "DELETE", &path, &kim, Value::Null).await;
    node.send("GET", &path, &kim.token, &Value::Null).await.assert_error(404, "not_found");
    node.expect(422, "POST", "/v1/channels", &kim, json!({ "kind": "direct", "title": "" })).await;
    node.expect(413, "POST", "/v1/channels", &kim, json!({ "kind": "group", "title": "x".repeat(401) })).await;
}

#[tokio::test]
async fn the_list_of_channels_goes_in_pages() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let mut made = Vec::new();
    for _ in 0..3 {
        node.api.clock().advance_ms(1_000);
        made.insert(0, group(&node, &kim, &[]).await);
    }
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = node.expect(200, "GET", &format!("/v1/channels?limit=2{after}"), &kim, Value::Null).await;
        listed.extend(page["channels"].as_array().unwrap().iter().map(|c| c["channel"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(listed, made);
    for wrong in ["after=x", "after=1", "after=1-x", "limit=-1", "limit=70000"] {
        node.expect(422, "GET", &format!("/v1/channels?{wrong}"), &kim, Value::Null).await;
    }
}

#[tokio::test]
async fn a_direct_channel_is_one_from_both_sides() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let one = node.expect(200, "PUT", &format!("/v1/direct/{}", lee.id), &kim, Value::Null).await;
    let other = node.expect(200, "PUT", &format!("/v1/direct/{}", kim.id), &lee, Value::Null).await;
    assert_eq!(one["channel"], other["channel"]);
    assert_eq!((&one["peer"], &other["peer"]), (&json!(lee.id), &json!(kim.id)));
    node.expect(404, "PUT", "/v1/direct/1", &kim, Value::Null).await;
    node.expect(204, "PUT", &format!("/v1/blocks/{}", kim.id), &lee, Value::Null).await;
    let path = format!("/v1/channels/{}/entries", one["channel"].as_str().unwrap());
    node.send("POST", &path, &kim.token, &message(0, "hi")).await.assert_error(403, "blocked");
}

#[tokio::test]
async fn members_come_change_and_go() {
    let node = Node::new();
    let (kim, lee, mia) = (node.sign_up("kim").await, node.sign_up("lee").await, node.sign_up("mia").await);
    let path = format!("/v1/channels/{}", group(&node, &kim, &[]).await);
    let at = |rest: &str| format!("{path}/{rest}");
    node.expect(204, "POST", &at("members"), &kim, json!({ "users": [lee.id] })).await;
    node.send("POST", &at("members"), &lee.token, &json!({ "users": [mia.id] })).await.assert_error(403, "forbidden");
    node.expect(204, "PUT", &at(&format!("members/{}/role", lee.id)), &kim, json!({ "role": "admin" })).await;
    node.expect(204, "POST", &at("members"), &lee, json!({ "users": [mia.id] })).await;
    let page = node.expect(200, "GET", &at("members?limit=2"), &mia, Value::Null).await;
    assert_eq!(page["members"].as_array().unwrap().len(), 2);
    let rest = at(&format!("members?after={}", page["next"].as_str().unwrap()));
    assert_eq!(node.expect(200, "GET", &rest, &mia, Value::Null).await["members"][0]["user"], mia.id.as_str());

    node.expect(204, "DELETE", &at(&format!("members/{}", mia.id)), &lee, Value::Null).await;
    node.send("GET", &at("members"), &mia.token, &Value::Null).await.assert_error(404, "not_found");
    node.expect(204, "PUT", &at(&format!("bans/{}", mia.id)), &lee, Value::Null).await;
    assert_eq!(node.expect(200, "GET", &at("bans"), &kim, Value::Null).await["bans"][0]["by"], lee.id.as_str());
    node.send("POST", &at("members"), &kim.token, &json!({ "users": [mia.id] })).await.assert_error(403, "forbidden");
    node.expect(204, "DELETE", &at(&format!("bans/{}", mia.id)), &lee, Value::Null).await;
    node.expect(204, "POST", &at("members"), &kim, json!({ "users": [mia.id] })).await;

    node.expect(204, "PUT", &at("owner"), &kim, json!({ "user": lee.id })).await;
    assert_eq!(node.expect(200, "GET", &path, &lee, Value::Null).await["role"], "owner");
    node.expect(204, "POST", &at("leave"), &kim, Value::Null).await;
    node.send("GET", &path, &kim.token, &Value::Null).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn who_has_the_code_may_join() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let path = format!("/v1/channels/{}/invite", group(&node, &kim, &[]).await);
    assert_eq!(node.expect(200, "GET", &path, &kim, Value::Null).await, json!({ "code": null }));
    let code = node.expect(200, "POST", &path, &kim, Value::Null).await["code"].as_str().unwrap().to_owned();
    let preview = node.expect(200, "GET", &format!("/v1/invites/{code}"), &lee, Value::Null).await;
    assert_eq!((&preview["title"], &preview["members"]), (&json!("Tea"), &json!(1)));
    node.expect(200, "POST", &format!("/v1/invites/{code}/join"), &lee, Value::Null).await;
    node.send("GET", &path, &lee.token, &Value::Null).await.assert_error(403, "forbidden");
    node.expect(204, "DELETE", &path, &kim, Value::Null).await;
    node.expect(404, "POST", &format!("/v1/invites/{code}/join"), &lee, Value::Null).await;
    node.expect(404, "GET", "/v1/invites/nonsense", &lee, Value::Null).await;
}

#[tokio::test]
async fn the_same_send_again_is_one_entry() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let path = format!("/v1/channels/{}/entries", group(&node, &kim, &[&lee]).await);
    let ack = node.expect(200, "POST", &path, &kim, message(0, "hello")).await;
    assert_eq!(node.expect(200, "POST", &path, &kim, message(0, "hello")).await, ack);
    let theirs = node.expect(200, "POST", &path, &lee, message(0, "their own id")).await;
    assert_ne!(theirs["seq"], ack["seq"]);
    let page = node.expect(200, "GET", &path, &lee, Value::Null).await;
    let texts: Vec<&Value> =
        page["entries"].as_array().unwrap().iter().map(|e| &e["what"]["message"]["body"]["text"]).collect();
    assert_eq!(texts.iter().filter(|text| ***text == "hello").count(), 1);

    let edit = json!({ "client_msg_id": ID[1], "op": { "edit": { "target": ack["seq"], "body": { "text": "hi" } } } });
    node.expect(200, "POST", &path, &kim, edit).await;
    let delete = json!({ "client_msg_id": ID[2], "op": { "delete": { "target": ack["seq"] } } });
    node.send("POST", &path, &lee.token, &delete).await.assert_error(403, "forbidden");
    node.expect(200, "POST", &path, &kim, delete).await;
    let around = format!("{path}?around={}&limit=1", ack["seq"]);
    let entry = node.expect(200, "GET", &around, &lee, Value::Null).await["entries"][0].clone();
    assert!(entry["what"]["message"]["body"]["erased"].is_object(), "{entry}");
}

#[tokio::test]
async fn sends_that_are_not_right_are_refused() {
    let node = Node::new();
    let (kim, mia) = (node.sign_up("kim").await, node.sign_up("mia").await);
    let path = format!("/v1/channels/{}/entries", group(&node, &kim, &[]).await);
    node.send("POST", &path, &mia.token, &message(0, "let me in")).await.assert_error(404, "not_found");
    node.send("POST", "/v1/channels/1/entries", &kim.token, &message(0, "x")).await.assert_error(404, "not_found");
    node.send("POST", &path, &kim.token, &message(0, " \n ")).await.assert_error(422, "invalid");
    node.send("POST", &path, &kim.token, &message(0, &"x".repeat(100_001))).await.assert_error(413, "too_large");
    node.expect(200, "POST", &path, &kim, message(0, &"😀".repeat(100_000))).await;
    for body in [
        json!({}),
        json!({ "client_msg_id": "1", "op": { "message": { "body": { "text": "x" } } } }),
        json!({ "client_msg_id": ID[1], "op": { "message": { "body": { "text": 7 } } } }),
        json!({ "client_msg_id": ID[1], "op": { "shout": { "text": "x" } } }),
    ] {
        let answer = node.send("POST", &path, &kim.token, &body).await;
        assert!(answer.status.is_client_error(), "{body}: {answer:?}");
        assert!(["invalid", "malformed"].contains(&answer.json()["code"].as_str().unwrap()), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn sends_are_limited_by_user() {
    let rates = ApiRates { send: crate::rate::Rate::new(1, 1.0), ..ApiRates::default() };
    let node = Node::with(ApiConfig { rates, ..config() });
    let kim = node.sign_up("kim").await;
    let path = format!("/v1/channels/{}/entries", group(&node, &kim, &[]).await);
    node.expect(200, "POST", &path, &kim, message(0, "one")).await;
    node.send("POST", &path, &kim.token, &message(1, "two")).await.assert_error(429, "rate_limited");
}

#[tokio::test]
async fn history_goes_both_ways_and_to_places() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let channel = group(&node, &kim, &[&lee]).await;
    let path = format!("/v1/channels/{channel}/entries");
    let mut seqs = Vec::new();
    for n in 0..3 {
        node.api.clock().advance_ms(1_000);
        seqs.push(node.expect(200, "POST", &path, &kim, message(n, "text")).await["seq"].as_u64().unwrap());
    }
    let get = async |query: String| {
        let page = node.expect(200, "GET", &format!("{path}?{query}"), &lee, Value::Null).await;
        let got = page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap());
        (got.collect::<Vec<_>>(), page["more_before"] == true, page["more_after"] == true)
    };
    assert_eq!(get("limit=2".to_owned()).await, (seqs[1..].to_vec(), true, false));
    assert_eq!(get(format!("before={}&limit=1", seqs[2])).await, (vec![seqs[1]], true, true));
    assert_eq!(get("after=0&limit=1".to_owned()).await, (vec![1], false, true));
    assert_eq!(get(format!("around={}&limit=1", seqs[1])).await.0, [seqs[1]]);
    assert_eq!(get("unread=true&limit=1".to_owned()).await.0, [seqs[0]]);
    let time = node.api.clock().now_ms() - 1_000;
    assert_eq!(get(format!("time={time}&limit=1")).await.0, [seqs[1]]);
    for wrong in ["limit=0", "before=1&after=1", "before=-1", "limit=70000", "before=x"] {
        node.expect(422, "GET", &format!("{path}?{wrong}"), &lee, Value::Null).await;
    }
    let mia = node.sign_up("mia").await;
    node.send("GET", &path, &mia.token, &Value::Null).await.assert_error(404, "not_found");
}

#[tokio::test]
async fn read_positions_move_forward_and_are_seen_by_members() {
    let node = Node::new();
    let (kim, lee, mia) = (node.sign_up("kim").await, node.sign_up("lee").await, node.sign_up("mia").await);
    let channel = group(&node, &kim, &[&lee]).await;
    let (entries, path) = (format!("/v1/channels/{channel}/entries"), format!("/v1/channels/{channel}/marks"));
    node.expect(200, "POST", &entries, &kim, message(0, "one")).await;
    let seq = node.expect(200, "POST", &entries, &kim, message(1, "two")).await["seq"].clone();
    let summary = node.expect(200, "GET", &format!("/v1/channels/{channel}"), &lee, Value::Null).await;
    assert_eq!(summary["unread"], 2);
    let marked = node.expect(200, "POST", &path, &lee, json!({ "read": seq })).await;
    assert_eq!((&marked["read"], &marked["unread"]), (&seq, &json!(0)));
    assert_eq!(node.expect(200, "POST", &path, &lee, json!({ "read": 1 })).await["read"], seq);
    assert_eq!(node.expect(200, "POST", &path, &lee, json!({ "read": 1_000_000 })).await["read"], seq);
    let members = node.expect(200, "GET", &path, &kim, Value::Null).await["members"].clone();
    assert!(members.as_array().unwrap().iter().any(|m| m["user"] == lee.id.as_str() && m["read"] == seq), "{members}");
    node.send("GET", &path, &mia.token, &Value::Null).await.assert_error(404, "not_found");
    node.send("POST", &path, &mia.token, &json!({ "read": 1 })).await.assert_error(404, "not_found");
    node.expect(422, "POST", &path, &lee, json!({ "read": -1 })).await;
}

#[tokio::test]
async fn an_account_is_exported_and_deleted() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let path = format!("/v1/channels/{}/entries", group(&node, &lee, &[&kim]).await);
    node.expect(200, "POST", &path, &kim, message(0, "my own words")).await;
    node.expect(200, "POST", &path, &lee, message(0, "theirs")).await;

    let export = node.send("GET", "/v1/account/export", &kim.token, &Value::Null).await;
    assert_eq!(export.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = export.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["kind"].is_string()), "{}", export.text);
    assert_eq!(lines.last().unwrap(), &json!({ "kind": "end" }));
    let holds = |text: &str| export.text.contains(text);
    assert!(holds("my own words") && !holds("theirs") && !holds("argon2"), "{}", export.text);

    let delete = async |body: Value| node.send("DELETE", "/v1/account", &kim.token, &body).await;
    delete(json!({})).await.assert_error(401, "wrong_credentials");
    delete(json!({ "password": "wrong horse" })).await.assert_error(401, "wrong_credentials");
    assert_eq!(delete(json!({ "password": PASSWORD })).await.status, 204);
    node.send("GET", "/v1/me", &kim.token, &Value::Null).await.assert_error(401, "unauthenticated");
    let login = json!({ "handle": "kim", "password": PASSWORD, "device": { "name": "phone" } });
    node.send("POST", "/v1/login", "", &login).await.assert_error(401, "wrong_credentials");
    node.send("POST", "/v1/accounts", "", &login).await.assert_error(409, "conflict");

    // The words are erased in the background; the entry keeps its place.
    let erased = async {
        loop {
            let page = node.expect(200, "GET", &path, &lee, Value::Null).await;
            if !page.to_string().contains("my own words") {
                return page;
            }
            tokio::task::yield_now().await;
        }
    };
    let page = tokio::time::timeout(std::time::Duration::from_secs(20), erased).await.unwrap();
    assert!(page.to_string().contains("theirs"), "{page}");
}

/// An empty page would say that there is nothing more.
#[tokio::test]
async fn no_page_of_channels_is_empty_by_wish() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    node.send("GET", "/v1/channels?limit=0", &kim.token, &Value::Null).await.assert_error(422, "invalid");
    node.expect(200, "GET", "/v1/channels?limit=1", &kim, Value::Null).await;
}
