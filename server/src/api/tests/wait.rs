//! The long poll.

use std::time::Duration;

use super::*;

async fn sync(node: &Node, user: &Login, query: &str) -> Value {
    node.expect(200, "GET", &format!("/v1/sync?{query}"), user, Value::Null).await
}

/// A request under way, and a moment for it to begin to wait.
async fn waiting(node: &Node, user: &Login, since: &str) -> tokio::task::JoinHandle<Answer> {
    let before = node.api.metrics().sync_waiting.get();
    let (router, token, since) = (node.router.clone(), user.token.clone(), since.to_owned());
    let task = tokio::spawn(async move {
        let request = Request::get(format!("/v1/sync?wait_ms=60000&since={since}"));
        call(&router, request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()).await
    });
    let begun = async {
        while node.api.metrics().sync_waiting.get() == before && !task.is_finished() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    task
}

async fn answer(task: tokio::task::JoinHandle<Answer>) -> Answer {
    tokio::time::timeout(Duration::from_secs(20), task).await.expect("an answer in time").unwrap()
}

fn next(answer: &Value) -> String {
    answer["next"].as_str().unwrap().to_owned()
}

async fn channel_of(node: &Node, one: &Login, other: &Login) -> String {
    let channel = node.expect(200, "PUT", &format!("/v1/direct/{}", other.id), one, Value::Null).await;
    channel["channel"].as_str().unwrap().to_owned()
}

async fn say(node: &Node, user: &Login, channel: &str, n: u8) {
    let id = format!("00000000-0000-4000-8000-0000000000{n:02}");
    let body = json!({ "client_msg_id": id, "op": { "message": { "body": { "text": "hello" } } } });
    node.expect(200, "POST", &format!("/v1/channels/{channel}/entries"), user, body).await;
}

#[tokio::test]
async fn first_everything_then_what_is_new_and_nothing_twice() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let channel = channel_of(&node, &kim, &lee).await;
    let first = sync(&node, &lee, "").await;
    assert_eq!((first["channels"].as_array().unwrap().len(), &first["more"]), (1, &json!(false)));
    let second = sync(&node, &lee, &format!("since={}", next(&first))).await;
    assert_eq!((&second["channels"], &second["user_entries"]), (&json!([]), &json!([])));

    say(&node, &kim, &channel, 1).await;
    node.expect(200, "PUT", &format!("/v1/friends/{}", lee.id), &kim, Value::Null).await;
    let third = sync(&node, &lee, &format!("since={}", next(&second))).await;
    assert_eq!(
        (&third["channels"][0]["unread"], &third["channels"][0]["preview"]["text"]),
        (&json!(1), &json!("hello"))
    );
    assert_eq!(third["user_entries"][0]["event"]["friend_request"]["user"], kim.id.as_str());
    let fourth = sync(&node, &lee, &format!("since={}", next(&third))).await;
    assert_eq!((&fourth["channels"], &fourth["user_entries"]), (&json!([]), &json!([])));
    // An answer that was lost is given again.
    let again = sync(&node, &lee, &format!("since={}", next(&second))).await;
    assert_eq!(again["channels"], third["channels"]);
}

#[tokio::test]
async fn a_list_in_pages_of_one() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    for n in 0..3 {
        node.expect(201, "POST", "/v1/channels", &kim, json!({ "kind": "group", "title": format!("{n}") })).await;
    }
    let (mut query, mut told) = (String::new(), Vec::new());
    loop {
        let page = sync(&node, &kim, &format!("limit=1{query}")).await;
        told.extend(page["channels"].as_array().unwrap().iter().map(|channel| channel["title"].clone()));
        query = format!("&since={}", next(&page));
        if page["more"] == false {
            break;
        }
    }
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [json!("0"), json!("1"), json!("2")]);
    let rest = sync(&node, &kim, &format!("limit=1{query}")).await;
    assert_eq!((&rest["channels"], &rest["more"]), (&json!([]), &json!(false)));
}

#[tokio::test]
async fn a_wait_ends_with_a_message_a_new_channel_or_the_time() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let channel = channel_of(&node, &kim, &lee).await;
    let first = sync(&node, &lee, "").await;

    let waits = waiting(&node, &lee, &next(&first)).await;
    say(&node, &kim, &channel, 1).await;
    let told = answer(waits).await.json();
    assert_eq!(told["channels"][0]["channel"], channel.as_str());

    let waits = waiting(&node, &lee, &next(&told)).await;
    let made = json!({ "kind": "group", "title": "Tea", "members": [lee.id] });
    node.expect(201, "POST", "/v1/channels", &kim, made).await;
    let told = answer(waits).await.json();
    assert!(told["user_entries"][0]["event"]["channel_joined"].is_object(), "{told}");

    let begun = std::time::Instant::now();
    let told = sync(&node, &lee, &format!("wait_ms=100&since={}", next(&told))).await;
    assert_eq!(told["channels"], json!([]));
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(node.api.metrics().sync_waiting.get(), 0);
}

#[tokio::test]
async fn who_is_logged_out_while_waiting_is_told_nothing_more() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    channel_of(&node, &kim, &lee).await;
    let first = sync(&node, &lee, "").await;
    let waits = waiting(&node, &lee, &next(&first)).await;
    node.expect(204, "POST", "/v1/logout", &lee, Value::Null).await;
    answer(waits).await.assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn a_node_that_stops_keeps_nobody_waiting() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let first = sync(&node, &kim, "").await;
    let waits = waiting(&node, &kim, &next(&first)).await;
    node.api.drain();
    assert_eq!(answer(waits).await.json()["channels"], json!([]));
}

#[tokio::test]
async fn only_so_many_wait() {
    let node = Node::with(ApiConfig { sync_waiters_max: 1, ..config() });
    let kim = node.sign_up("kim").await;
    let first = sync(&node, &kim, "").await;
    let waits = waiting(&node, &kim, &next(&first)).await;
    let refused = waiting(&node, &kim, &next(&first)).await;
    answer(refused).await.assert_error(503, "overloaded");
    node.api.drain();
    assert_eq!(answer(waits).await.status, 200);
    assert_eq!(node.api.inner.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn tokens_that_are_none_and_cursors_from_elsewhere_are_refused() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    for wrong in ["since=x", "since=%00", "wait_ms=-1", "limit=x"] {
        node.expect(422, "GET", &format!("/v1/sync?{wrong}"), &kim, Value::Null).await;
    }
    let lee = node.sign_up("lee").await;
    for n in 0..3 {
        let made = json!({ "kind": "group", "title": format!("{n}"), "members": [kim.id] });
        node.expect(201, "POST", "/v1/channels", &lee, made).await;
    }
    let far = sync(&node, &kim, "").await;
    let mia = node.sign_up("mia").await;
    let answer = node.send("GET", &format!("/v1/sync?since={}", next(&far)), &mia.token, &Value::Null).await;
    answer.assert_error(409, "cursor_ahead");
}
