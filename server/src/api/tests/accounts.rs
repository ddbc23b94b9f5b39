//! Signing up, logging in and out, devices.

use super::*;
use crate::rate::Rate;

fn login_body(handle: &str, password: &str) -> Value {
    json!({ "handle": handle, "password": password, "device": { "name": "laptop", "platform": "desktop" } })
}

#[tokio::test]
async fn sign_up_log_in_and_look_at_oneself() {
    let node = Node::new();
    let kim = node.sign_up("Kim").await;
    let me = node.expect(200, "GET", "/v1/me", &kim, Value::Null).await;
    assert_eq!((&me["public"]["handle"], &me["public"]["user"]), (&json!("kim"), &json!(kim.id)));
    assert_eq!(me["device"], kim.device.as_str());

    let answer = node.send("POST", "/v1/login", "", &login_body("KIM", PASSWORD)).await;
    let laptop = Login::from(&answer.json());
    assert_eq!(laptop.id, kim.id);
    assert_ne!(laptop.device, kim.device);
    let devices = node.expect(200, "GET", "/v1/devices", &laptop, Value::Null).await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2);
    assert_eq!(devices["this"], laptop.device.as_str());
}

#[tokio::test]
async fn what_is_wrong_with_a_sign_up_is_said() {
    let node = Node::new();
    node.sign_up("kim").await;
    let post = async |body: Value| node.send("POST", "/v1/accounts", "", &body).await;
    post(login_body("kim", PASSWORD)).await.assert_error(409, "conflict");
    post(login_body("k", PASSWORD)).await.assert_error(422, "invalid");
    post(login_body("lee", "short")).await.assert_error(422, "invalid");
    let message = post(json!({ "handle": "lee", "password": PASSWORD })).await.assert_error(422, "invalid");
    assert!(message.contains("device"), "{message}");
}

#[tokio::test]
async fn a_failed_login_does_not_say_what_was_wrong() {
    let node = Node::new();
    node.sign_up("kim").await;
    let wrong_password = node.send("POST", "/v1/login", "", &login_body("kim", "wrong horse")).await;
    let wrong_handle = node.send("POST", "/v1/login", "", &login_body("nobody", "wrong horse")).await;
    let impossible_handle = node.send("POST", "/v1/login", "", &login_body("?", "wrong horse")).await;
    let said = wrong_password.assert_error(401, "wrong_credentials");
    assert_eq!(said, wrong_handle.assert_error(401, "wrong_credentials"));
    assert_eq!(said, impossible_handle.assert_error(401, "wrong_credentials"));
    assert!(!wrong_password.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn bodies_that_are_not_right_are_refused_each_in_its_way() {
    let node = Node::new();
    let post = async |kind: Option<&str>, body: String| {
        let mut request = Request::post("/v1/login");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        node.call(request.body(Body::from(body)).unwrap()).await
    };
    let json = Some("application/json");
    post(None, login_body("kim", PASSWORD).to_string()).await.assert_error(415, "malformed");
    post(Some("text/plain"), login_body("kim", PASSWORD).to_string()).await.assert_error(415, "malformed");
    for broken in
        ["", "{", "{\"handle\": \"\u{0}", "\u{feff}{}", "nonsense", &format!("{{\"x\":{}", "[".repeat(100_000))]
    {
        post(json, broken.to_owned()).await.assert_error(400, "malformed");
    }
    post(json, "[]".to_owned()).await.assert_error(422, "invalid");
    post(json, "{\"handle\": 7}".to_owned()).await.assert_error(422, "invalid");
    let long = json!({ "handle": "x".repeat(2 << 20) }).to_string();
    post(json, long).await.assert_error(413, "too_large");
    // What is said to be too long is refused before any of it has come.
    let request =
        Request::post("/v1/login").header("content-type", "application/json").header("content-length", "99999999999");
    let never = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    node.call(request.body(never).unwrap()).await.assert_error(413, "too_large");
}

#[tokio::test]
async fn tokens_that_are_not_right_are_refused() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let mut forged = kim.token.clone();
    forged.replace_range(forged.len() - 2.., "AA");
    for token in ["", "x", "a.b.c", &forged, &kim.refresh] {
        let answer = node.send("GET", "/v1/me", token, &Value::Null).await;
        answer.assert_error(401, "unauthenticated");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let basic = Request::get("/v1/me").header("authorization", "Basic a2ltOng=").body(Body::empty()).unwrap();
    node.call(basic).await.assert_error(401, "unauthenticated");
    node.send("GET", "/v1/me", &"x".repeat(9_000), &Value::Null).await.assert_error(413, "too_large");

    node.api.clock().advance_ms(3_600_000);
    node.send("GET", "/v1/me", &kim.token, &Value::Null).await.assert_error(401, "token_expired");
}

#[tokio::test]
async fn tokens_are_renewed_and_a_stolen_one_is_noticed() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let refresh = async |token: &str| node.send("POST", "/v1/refresh", "", &json!({ "refresh": token })).await;
    let second = Login::from(&refresh(&kim.refresh).await.json());
    assert_eq!(second.device, kim.device);
    let third = Login::from(&refresh(&second.refresh).await.json());
    // The first one was used up two pairs ago: whoever has it now has taken it from somebody.
    refresh(&kim.refresh).await.assert_error(401, "unauthenticated");
    refresh(&third.refresh).await.assert_error(401, "unauthenticated");
    node.send("GET", "/v1/me", &third.token, &Value::Null).await.assert_error(401, "unauthenticated");
    refresh("nonsense").await.assert_error(401, "unauthenticated");
}

#[tokio::test]
async fn a_device_that_is_logged_out_is_out_at_once() {
    let node = Node::new();
    let phone = node.sign_up("kim").await;
    let laptop = Login::from(&node.send("POST", "/v1/login", "", &login_body("kim", PASSWORD)).await.json());
    let tablet = Login::from(&node.send("POST", "/v1/login", "", &login_body("kim", PASSWORD)).await.json());

    let path = format!("/v1/devices/{}", laptop.device);
    node.expect(204, "PATCH", &path, &phone, json!({ "name": "old laptop" })).await;
    node.expect(204, "DELETE", &path, &phone, Value::Null).await;
    node.expect(401, "GET", "/v1/me", &laptop, Value::Null).await;
    node.expect(404, "PATCH", &path, &phone, json!({ "name": "gone" })).await;
    node.expect(204, "DELETE", &path, &phone, Value::Null).await;

    let out = node.expect(200, "POST", "/v1/devices/logout-others", &phone, Value::Null).await;
    assert_eq!(out["devices"], json!([tablet.device]));
    node.expect(204, "POST", "/v1/logout", &phone, Value::Null).await;
    node.expect(401, "GET", "/v1/me", &phone, Value::Null).await;
}

#[tokio::test]
async fn another_users_device_is_out_of_reach() {
    let node = Node::new();
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    let path = format!("/v1/devices/{}", lee.device);
    node.expect(404, "PATCH", &path, &kim, json!({ "name": "mine" })).await;
    node.expect(204, "DELETE", &path, &kim, Value::Null).await;
    node.expect(200, "GET", "/v1/me", &lee, Value::Null).await;
    node.expect(422, "DELETE", "/v1/devices/mine", &kim, Value::Null).await;
}

#[tokio::test]
async fn a_changed_password_logs_the_others_out() {
    let node = Node::new();
    let phone = node.sign_up("kim").await;
    let laptop = Login::from(&node.send("POST", "/v1/login", "", &login_body("kim", PASSWORD)).await.json());
    let change = |old: &str| json!({ "old": old, "new": "another horse" });
    let refused = node.send("PUT", "/v1/account/password", &phone.token, &change("wrong horse")).await;
    refused.assert_error(401, "wrong_credentials");
    let renewed = node.expect(200, "PUT", "/v1/account/password", &phone, change(PASSWORD)).await;
    assert_eq!(renewed["logged_out"], json!([laptop.device]));
    node.expect(401, "GET", "/v1/me", &laptop, Value::Null).await;
    node.expect(401, "GET", "/v1/me", &phone, Value::Null).await;
    node.expect(200, "GET", "/v1/me", &Login::from(&renewed), Value::Null).await;
    node.send("POST", "/v1/login", "", &login_body("kim", PASSWORD)).await.assert_error(401, "wrong_credentials");
}

#[tokio::test]
async fn guessing_is_slowed_down_by_handle_and_by_address() {
    let slow = Rate::new(3, 0.1);
    let rates = ApiRates { login_handle: slow, sign_up_address: slow, ..ApiRates::default() };
    let node = Node::with(ApiConfig { rates, ..config() });
    for _ in 0..3 {
        node.send("POST", "/v1/login", "", &login_body("kim", "wrong horse"))
            .await
            .assert_error(401, "wrong_credentials");
    }
    let answer = node.send("POST", "/v1/login", "", &login_body("KIM", "wrong horse")).await;
    answer.assert_error(429, "rate_limited");
    assert_eq!(answer.json()["retry_after_ms"], 10_000);
    assert_eq!(answer.headers["retry-after"], "10");
    node.send("POST", "/v1/login", "", &login_body("lee", "wrong horse")).await.assert_error(401, "wrong_credentials");
    for n in 0..3 {
        node.sign_up(&format!("user{n}")).await;
    }
    node.send("POST", "/v1/accounts", "", &login_body("user3", PASSWORD)).await.assert_error(429, "rate_limited");
}

#[tokio::test]
async fn calls_are_limited_by_user() {
    let rates = ApiRates { user: Rate::new(2, 1.0), ..ApiRates::default() };
    let node = Node::with(ApiConfig { rates, ..config() });
    let (kim, lee) = (node.sign_up("kim").await, node.sign_up("lee").await);
    node.expect(200, "GET", "/v1/me", &kim, Value::Null).await;
    node.expect(200, "GET", "/v1/me", &kim, Value::Null).await;
    node.send("GET", "/v1/me", &kim.token, &Value::Null).await.assert_error(429, "rate_limited");
    node.expect(200, "GET", "/v1/me", &lee, Value::Null).await;
}

#[tokio::test]
async fn push_tokens_come_and_go() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let token = json!({ "kind": "fcm", "token": "abc" });
    node.expect(204, "PUT", "/v1/push-tokens", &kim, token.clone()).await;
    let devices = node.expect(200, "GET", "/v1/devices", &kim, Value::Null).await;
    assert_eq!(devices["devices"][0]["push"], json!(["fcm"]));
    node.expect(204, "DELETE", "/v1/push-tokens", &kim, token).await;
    let devices = node.expect(200, "GET", "/v1/devices", &kim, Value::Null).await;
    assert_eq!(devices["devices"][0]["push"], json!([]));
    node.expect(422, "PUT", "/v1/push-tokens", &kim, json!({ "kind": "pigeon", "token": "abc" })).await;
    node.expect(422, "PUT", "/v1/push-tokens", &kim, json!({ "kind": "fcm", "token": "" })).await;
}
