//! Profiles, friends and blocks.

use super::*;

#[tokio::test]
async fn profiles_and_settings_change_by_what_is_given() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let profile = node.expect(200, "PATCH", "/v1/me", &kim, json!({ "bio": "hello", "picture": "7" })).await;
    assert_eq!((&profile["bio"], &profile["display_name"]), (&json!("hello"), &json!("kim")));
    let profile = node.expect(200, "PATCH", "/v1/me", &kim, json!({ "picture": null })).await;
    assert_eq!((&profile["bio"], &profile["picture"]), (&json!("hello"), &Value::Null));
    node.expect(422, "PATCH", "/v1/me", &kim, json!({ "boi": "hello" })).await;
    node.expect(413, "PATCH", "/v1/me", &kim, json!({ "bio": "x".repeat(501) })).await;

    let change = json!({ "find_by_handle": "nobody", "quiet_hours": { "from_minute": 0, "to_minute": 60, "days": 1 } });
    let settings = node.expect(200, "PATCH", "/v1/me/settings", &kim, change).await;
    assert_eq!(settings["find_by_handle"], "nobody");
    assert_eq!(settings["push_preview"], true);
    assert_eq!(node.expect(200, "GET", "/v1/me/settings", &kim, Value::Null).await, settings);
    let settings = node.expect(200, "PATCH", "/v1/me/settings", &kim, json!({ "quiet_hours": null })).await;
    assert_eq!(settings["quiet_hours"], Value::Null);
}

#[tokio::test]
async fn users_are_looked_up_and_searched() {
    let node = Node::new();
    let (kim, kira) = (node.sign_up("kim").await, node.sign_up("kira").await);
    let get = async |query: &str| node.send("GET", &format!("/v1/users?{query}"), &kim.token, &Value::Null).await;
    let handles = |answer: &Answer| {
        let json = answer.json();
        let users = json["users"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
        users.iter().map(|user| user["handle"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(handles(&get("handle=KIRA").await), ["kira"]);
    assert_eq!(handles(&get("search=ki").await), ["kim", "kira"]);
    assert_eq!(handles(&get("search=ki&limit=1").await).len(), 1);
    assert_eq!(handles(&get(&format!("ids={},{},1", kira.id, kim.id)).await), ["kira", "kim"]);
    get("handle=nobody").await.assert_error(404, "not_found");
    get("").await.assert_error(422, "invalid");
    get("handle=kim&search=ki").await.assert_error(422, "invalid");
    get("ids=kim").await.assert_error(422, "invalid");
    get("search=ki&limit=many").await.assert_error(422, "invalid");

    let one = node.expect(200, "GET", &format!("/v1/users/{}", kira.id), &kim, Value::Null).await;
    assert_eq!(one["handle"], "kira");
    node.expect(404, "GET", "/v1/users/1", &kim, Value::Null).await;
    node.expect(422, "GET", "/v1/users/kira", &kim, Value::Null).await;

    node.expect(200, "PATCH", "/v1/me/settings", &kira, json!({ "find_by_handle": "nobody" })).await;
    get("handle=kira").await.assert_error(404, "not_found");
    assert_eq!(handles(&get("search=ki").await), ["kim"]);
}

#[tokio::test]
async fn friends_ask_accept_and_part() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let (to_lee, to_kim) = (format!("/v1/friends/{}", lee.id), format!("/v1/friends/{}", kim.id));
    let listed = async |user: &Login, list: &str| {
        let page = node.expect(200, "GET", &format!("/v1/friends?list={list}"), user, Value::Null).await;
        page["users"].as_array().unwrap().iter().map(|user| user["user"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(node.expect(200, "PUT", &to_lee, &kim, Value::Null).await, json!({ "state": "sent" }));
    assert_eq!(listed(&kim, "sent").await, [json!(lee.id)]);
    assert_eq!(listed(&lee, "received").await, [json!(kim.id)]);
    node.expect(204, "POST", &format!("{to_kim}/refuse"), &lee, Value::Null).await;
    assert!(listed(&lee, "received").await.is_empty());
    node.expect(404, "POST", &format!("{to_kim}/accept"), &lee, Value::Null).await;

    node.expect(200, "PUT", &to_lee, &kim, Value::Null).await;
    node.expect(204, "DELETE", &to_lee, &kim, Value::Null).await;
    assert!(listed(&lee, "received").await.is_empty());

    node.expect(200, "PUT", &to_lee, &kim, Value::Null).await;
    node.expect(204, "POST", &format!("{to_kim}/accept"), &lee, Value::Null).await;
    assert_eq!(listed(&kim, "friends").await, [json!(lee.id)]);
    assert_eq!(node.expect(200, "GET", "/v1/friends", &lee, Value::Null).await["users"][0]["user"], kim.id.as_str());
    node.expect(204, "DELETE", &to_kim, &lee, Value::Null).await;
    assert!(listed(&kim, "friends").await.is_empty());
    node.expect(422, "GET", "/v1/friends?list=enemies", &kim, Value::Null).await;
    node.expect(404, "PUT", "/v1/friends/1", &kim, Value::Null).await;
}

#[tokio::test]
async fn blocks_end_what_there_was() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let (to_lee, to_kim) = (format!("/v1/friends/{}", lee.id), format!("/v1/friends/{}", kim.id));
    node.expect(200, "PUT", &to_lee, &kim, Value::Null).await;
    assert_eq!(node.expect(200, "PUT", &to_kim, &lee, Value::Null).await["state"], "friends");
    let block = format!("/v1/blocks/{}", lee.id);
    node.expect(204, "PUT", &block, &kim, Value::Null).await;
    let blocks = node.expect(200, "GET", "/v1/blocks", &kim, Value::Null).await;
    assert_eq!(blocks["users"][0]["user"], lee.id.as_str());
    assert_eq!(node.expect(200, "GET", "/v1/friends", &lee, Value::Null).await["users"], json!([]));
    node.send("PUT", &to_kim, &lee.token, &Value::Null).await.assert_error(403, "blocked");
    node.expect(204, "DELETE", &block, &kim, Value::Null).await;
    node.expect(200, "PUT", &to_kim, &lee, Value::Null).await;
}

#[tokio::test]
async fn presence_is_told_of_those_one_may_see() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let path = format!("/v1/presence?ids={},{}", kim.id, lee.id);
    let json = node.expect(200, "GET", &path, &kim, Value::Null).await;
    assert_eq!(json["users"], json!([{ "user": kim.id, "status": "offline", "last_active_at_ms": 0 }]));
    node.expect(422, "GET", "/v1/presence", &kim, Value::Null).await;
    let many = vec!["1"; 300].join(",");
    node.expect(413, "GET", &format!("/v1/presence?ids={many}"), &kim, Value::Null).await;
}
