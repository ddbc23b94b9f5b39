//! What the operator asks of a running node.

use super::*;

async fn admin(node: &Node, method: &str, path: &str, body: Value) -> Answer {
    node.call(request(method, path, ADMIN_TOKEN, &body)).await
}

/// A request from this machine by plain HTTP.
fn request(method: &str, path: &str, token: &str, body: &Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let mut request = plain(request.header("content-type", "application/json").body(body.to_string().into()).unwrap());
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    request
}

#[tokio::test]
async fn only_from_here_and_only_with_the_token() {
    let node = Node::new();
    let path = "/admin/stats";
    assert_eq!(admin(&node, "GET", path, Value::Null).await.status, 200);
    for token in ["", "x", "admin-toke", "admin-token2"] {
        node.call(request("GET", path, token, &Value::Null)).await.assert_error(401, "unauthenticated");
    }
    let mut public = request("GET", path, ADMIN_TOKEN, &Value::Null);
    public.extensions_mut().remove::<PlainHttp>();
    node.call(public).await.assert_error(404, "not_found");
    let mut elsewhere = request("GET", path, ADMIN_TOKEN, &Value::Null);
    elsewhere.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1))));
    node.call(elsewhere).await.assert_error(404, "not_found");
    for header in ["x-forwarded-for", "forwarded", "via"] {
        let mut proxied = request("GET", path, ADMIN_TOKEN, &Value::Null);
        proxied.headers_mut().insert(header, "127.0.0.1".parse().unwrap());
        node.call(proxied).await.assert_error(404, "not_found");
    }
}

#[tokio::test]
async fn accounts_are_made_listed_and_helped() {
    let node = Node::new();
    let made = admin(&node, "POST", "/admin/users", json!({ "handle": "kim", "password": PASSWORD })).await;
    assert_eq!(made.status, 201, "{made:?}");
    let lee = node.sign_up("lee").await;

    let page = admin(&node, "GET", "/admin/users?limit=1", Value::Null).await.json();
    assert_eq!(page["accounts"][0]["account"]["handle"], "kim");
    let next = format!("/admin/users?after={}", page["next"].as_str().unwrap());
    assert_eq!(admin(&node, "GET", &next, Value::Null).await.json()["accounts"][0]["user"], lee.id.as_str());

    let details = admin(&node, "GET", "/admin/users/lee", Value::Null).await.json();
    assert_eq!((&details["user"], &details["connected"]), (&json!(lee.id), &json!(false)));
    assert_eq!(details["devices"][0]["device"], lee.device.as_str());
    assert!(!details.to_string().contains("argon2"), "{details}");
    admin(&node, "GET", "/admin/users/nobody", Value::Null).await.assert_error(404, "not_found");

    let out = admin(&node, "POST", "/admin/users/lee/logout", Value::Null).await.json();
    assert_eq!(out["devices"], json!([lee.device]));
    node.expect(401, "GET", "/v1/me", &lee, Value::Null).await;
    let new = json!({ "password": "another horse" });
    assert_eq!(admin(&node, "PUT", "/admin/users/lee/password", new).await.status, 204);
    let body = json!({ "handle": "lee", "password": "another horse", "device": { "name": "phone" } });
    let lee = Login::from(&node.send("POST", "/v1/login", "", &body).await.json());
    let path = format!("/admin/users/lee/devices/{}", lee.device);
    assert_eq!(admin(&node, "DELETE", &path, Value::Null).await.status, 204);
    node.expect(401, "GET", "/v1/me", &lee, Value::Null).await;
    assert_eq!(admin(&node, "GET", "/admin/stats", Value::Null).await.json()["accounts"], 2);
    assert_eq!(admin(&node, "GET", "/admin/nodes", Value::Null).await.json()["nodes"][0]["node"], 1);
}

#[tokio::test]
async fn a_signing_key_that_got_about_is_replaced() {
    let node = Node::new();
    let kim = node.sign_up("kim").await;
    let rotate = async |forget_old: bool| {
        admin(&node, "POST", "/admin/signing-key", json!({ "forget_old": forget_old })).await.json()["key"].clone()
    };
    rotate(false).await;
    node.expect(200, "GET", "/v1/me", &kim, Value::Null).await;
    rotate(true).await;
    node.expect(401, "GET", "/v1/me", &kim, Value::Null).await;
}
