//! What holds for every route.

use std::collections::BTreeSet;

use axum::http::Method;

use super::*;

#[test]
fn the_document_has_every_route_and_no_other() {
    let (_, table) = routes().finish();
    let routed: BTreeSet<String> = table.iter().map(|(method, path)| format!("{method} {path}")).collect();
    assert_eq!(routed.len(), table.len(), "a route is there twice");
    let document: Value = serde_json::from_str(&openapi::document().to_json().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let documented: BTreeSet<String> = paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(routed, documented);
}

/// Every `$ref` of the document leads somewhere, so that generators can use it.
#[test]
fn the_document_is_whole() {
    let document: Value = serde_json::from_str(&openapi::document().to_json().unwrap()).unwrap();
    fn refs(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(target)) = object.get("$ref") {
                    found.insert(target.clone());
                }
                object.values().for_each(|value| refs(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| refs(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    refs(&document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
}

#[tokio::test]
async fn errors_of_http_itself_have_the_one_shape() {
    let node = Node::new();
    node.get("/v1/nothing").await.assert_error(404, "not_found");
    node.get("/nothing").await.assert_error(404, "not_found");
    let answer = node.call(Request::post("/v1/discovery").body(Body::empty()).unwrap()).await;
    answer.assert_error(405, "malformed");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_sensible_one_of_the_caller_is_kept() {
    let node = Node::new();
    let made = node.get("/healthz").await.headers["x-request-id"].clone();
    assert_eq!(made.len(), 16);
    for (sent, kept) in [("my-request_1.2", true), ("with space", false), (&"x".repeat(65), false), ("", false)] {
        let request = Request::get("/healthz").header("x-request-id", sent).body(Body::empty()).unwrap();
        assert_eq!(node.call(request).await.headers["x-request-id"] == sent, kept, "{sent:?}");
    }
}

#[tokio::test]
async fn health_readiness_and_draining() {
    let node = Node::new();
    assert_eq!(node.get("/healthz").await.status, 200);
    assert_eq!(node.get("/readyz").await.json()["status"], "ok");
    node.api.drain();
    node.get("/readyz").await.assert_error(503, "shutting_down");
    assert_eq!(node.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_are_for_the_plain_listener_and_count_requests() {
    let node = Node::new();
    node.get("/metrics").await.assert_error(404, "not_found");
    node.get("/v1/nothing/of/the/kind").await;
    let answer = node.call(plain(Request::get("/metrics").body(Body::empty()).unwrap())).await;
    for line in [
        r#"suda_http_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"suda_http_errors_total{code="not_found"} 2"#,
        "suda_http_active_requests 1",
    ] {
        assert!(answer.text.contains(line), "{line} is not in\n{}", answer.text);
    }
    let public = Node::with(ApiConfig { metrics_public: true, ..config() });
    assert_eq!(public.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn browsers_of_allowed_origins_may_call_and_others_not() {
    let node = Node::new();
    let preflight = |origin: &'static str| {
        Request::builder()
            .method(Method::OPTIONS)
            .uri("/v1/discovery")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
            .body(Body::empty())
            .unwrap()
    };
    let answer = node.call(preflight("https://app.example")).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
    let answer = node.call(preflight("https://evil.example")).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn discovery_names_the_links_by_the_host_that_was_asked() {
    let node = Node::new();
    let request = Request::get("/v1/discovery").header("host", "chat.example:1234").body(Body::empty()).unwrap();
    let json = node.call(request).await.json();
    assert_eq!(json["links"][0]["url"], "https://chat.example:4433/connect");
    assert_eq!(json["links"][1]["protocols"][0], "suda/1");
    assert_eq!(json["links"].as_array().unwrap().len(), 3);
    assert_eq!(json["certificate_hashes"][0]["value"].as_str().unwrap().len(), 64);

    let request = Request::get("/v1/discovery").header("host", "[::1]:8080").body(Body::empty()).unwrap();
    let json = node.call(plain(request)).await.json();
    assert_eq!(json["links"][2]["url"], "wss://[::1]:4433/connect");
    assert_eq!(json["links"][3]["url"], "ws://[::1]:8080/connect");
}

#[tokio::test]
async fn the_web_app_is_served_where_there_is_one() {
    let without = Node::new().get("/").await;
    assert!(without.status == 200 && without.text.contains("a node of suda"), "{without:?}");

    let around = tempfile::tempdir().unwrap();
    std::fs::write(around.path().join("beside"), "hidden").unwrap();
    let folder = around.path().join("web");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "the app").unwrap();
    std::fs::write(folder.join("app.wasm"), "code").unwrap();
    let node = Node::with(ApiConfig { web: Some(folder), ..config() });
    assert_eq!(node.get("/").await.text, "the app");
    let wasm = node.get("/app.wasm").await;
    assert_eq!((wasm.text.as_str(), wasm.headers["content-type"].as_bytes()), ("code", &b"application/wasm"[..]));
    node.get("/nothing.js").await.assert_error(404, "not_found");
    node.get("/v1/nothing").await.assert_error(404, "not_found");
    for sneaky in ["/../beside", "/%2e%2e/beside", "/..%2fbeside"] {
        assert!(!node.get(sneaky).await.text.contains("hidden"), "{sneaky}");
    }
    let navigation = Request::get("/channel/7").header("accept", "text/html").body(Body::empty()).unwrap();
    assert_eq!(node.call(navigation).await.text, "the app");
    node.call(Request::post("/").body(Body::empty()).unwrap()).await.assert_error(405, "malformed");
}

#[tokio::test]
async fn the_web_app_comes_with_a_policy_compressed_and_cached() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "the app").unwrap();
    std::fs::create_dir_all(folder.path().join("static/1a")).unwrap();
    std::fs::write(folder.path().join("static/1a/app.wasm"), "code").unwrap();
    std::fs::write(folder.path().join("static/1a/app.wasm.br"), "br").unwrap();
    let node = Node::with(ApiConfig { web: Some(folder.path().to_owned()), ..config() });
    let request = |path: &str, name: &str, value: &str| {
        Request::get(path).header("host", "chat.example:8080").header(name, value).body(Body::empty()).unwrap()
    };

    let page = node.call(plain(request("/", "accept", "text/html"))).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    let directives: Vec<&str> = policy.split("; ").collect();
    for directive in
        ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "frame-ancestors 'none'", "base-uri 'none'"]
    {
        assert!(directives.contains(&directive), "{policy}");
    }
    let connect = "connect-src 'self' https://chat.example:4433 wss://chat.example:4433";
    assert_eq!(directives.last().copied(), Some(format!("{connect} ws://chat.example:8080").as_str()));
    let secure = node.call(request("/", "accept", "text/html")).await;
    assert!(secure.headers["content-security-policy"].to_str().unwrap().ends_with(connect));
    assert_eq!(
        (&page.headers["cache-control"], &page.headers["x-content-type-options"]),
        (&"no-cache".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let since = page.headers["last-modified"].to_str().unwrap();
    assert_eq!(node.call(request("/", "if-modified-since", since)).await.status, 304);

    let wasm = node.call(request("/static/1a/app.wasm", "accept-encoding", "br")).await;
    assert_eq!((wasm.text.as_str(), &wasm.headers["content-encoding"]), ("br", &"br".parse().unwrap()));
    assert_eq!(wasm.headers["content-type"], "application/wasm");
    assert!(wasm.headers["cache-control"].to_str().unwrap().ends_with("immutable"));
}

/// Who came by TLS is told of HTTP/3 with each answer, errors included; who came in the clear is not.
#[tokio::test]
async fn answers_announce_http3() {
    let node = Node::new();
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for path in ["/healthz", "/v1/discovery", "/v1/me", "/nowhere"] {
        assert_eq!(node.call(request(path)).await.headers["alt-svc"], "h3=\":4434\"; ma=86400", "{path}");
        assert!(!node.call(plain(request(path))).await.headers.contains_key("alt-svc"), "{path}");
    }
}

/// What the protocol's page says of the HTTP API is there.
#[test]
fn the_protocol_names_only_routes_that_there_are() {
    let (_, table) = routes().finish();
    let routed: BTreeSet<&str> = table.iter().map(|(_, path)| path.as_ref()).collect();
    let page = include_str!("../../../../docs/protocol.md");
    let (_, section) = page.split_once("<!-- api:").unwrap();
    let (section, _) = section.split_once("<!-- /api -->").unwrap();
    let named = section.split('`').filter_map(|code| {
        let path = code.split(' ').find(|word| word.starts_with("/v1/"))?;
        path.split('?').next()
    });
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 15, "{named:?}");
    assert!(named.is_subset(&routed), "{:?}", named.difference(&routed));
}
