//! Tokens that are not good.

use serde_json::json;
use suda_schema::control::{Authenticate, ControlDown, ControlUp};
use suda_schema::{CloseCode, ErrorCode};
use suda_tests::client::Kind;
use suda_tests::node::NodeProcess;
use suda_tests::people::{Device, Hi, hello};

use crate::{Scene, failed, says_and_closes};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_not_good() {
    let mut scene = Scene::new().await;
    let token = scene.kim.access.clone();
    let parts: Vec<&str> = token.split('.').collect();
    let mut other = parts[2].to_owned();
    let flipped = if other.starts_with('A') { 'B' } else { 'A' };
    other.replace_range(..1, &flipped.to_string());
    // `{"alg":"none","typ":"suda+jwt"}`
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoic3VkYStqd3QifQ";
    let lees: Vec<&str> = scene.lee.access.split('.').collect();
    let bad = [
        String::new(),
        "x".to_owned(),
        "..".to_owned(),
        "\0\u{202e}👋".to_owned(),
        "x".repeat(9_000),
        format!("{}.{}.{other}", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], lees[1], parts[2]),
        format!("{unsigned}.{}.", parts[1]),
        format!("{unsigned}.{}.{}", parts[1], parts[2]),
        format!("{token}."),
        scene.kim.refresh.clone(),
    ];
    for kind in Kind::ALL {
        for token in &bad {
            let link = scene.node.connect(kind).await;
            let mut control = link.open().await.unwrap();
            control.send(&hello(token, Hi::default())).await.unwrap();
            let what = token.chars().take(60).collect::<String>();
            says_and_closes(&link, &mut control, CloseCode::UNAUTHENTICATED, &what).await;
        }
        // In an open session they change nothing; neither does somebody else's.
        let mut device = scene.kims(kind).await;
        for token in bad.iter().chain([&scene.lee.access]) {
            device.control.send(&ControlUp::Authenticate(Authenticate { token: token.clone() })).await.unwrap();
            let error = failed(&mut device).await;
            assert_eq!(error, (0, ErrorCode::UNAUTHENTICATED), "{kind:?}");
        }
        device.ping().await.unwrap();
    }
    for token in bad.iter().filter(|token| !token.is_empty() && token.is_ascii() && token.len() < 8_000) {
        assert_eq!(scene.node.call("GET", "/v1/me", Some(token), None).await.status, 401, "{token}");
    }
    scene.others_are_unaffected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out() {
    let node =
        NodeProcess::start_with(&[("accounts.access_token_ms", "10000"), ("session.token_warning_ms", "8000")]).await;
    let kim = node.sign_up("kim").await;
    let mut devices = Vec::new();
    for kind in Kind::ALL {
        let login = if devices.len() == 3 { kim.clone() } else { node.log_in(&kim).await };
        devices.push((Device::connect(&node, kind, &login).await, login));
    }
    // Who refreshes in time stays.
    let (mut renewed, _) = devices.pop().expect("four");
    let warned = |frame| matches!(frame, ControlDown::TokenExpiring(_)).then_some(());
    renewed.wait_for(warned).await.unwrap();
    let login = node.call("POST", "/v1/refresh", None, Some(&json!({ "refresh": kim.refresh }))).await.expect(200);
    let token = kim.with(&login).access;
    renewed.control.send(&ControlUp::Authenticate(Authenticate { token })).await.unwrap();
    let expires = |frame| if let ControlDown::Authenticated(done) = frame { Some(done.expires_at_ms) } else { None };
    assert!(renewed.wait_for(expires).await.unwrap() > renewed.welcome.token_expires_at_ms);
    // Who does not is closed, and the token opens nothing any more.
    for (mut device, login) in devices {
        let kind = device.link.kind();
        says_and_closes(&device.link, &mut device.control, CloseCode::TOKEN_EXPIRED, "no refresh").await;
        let link = node.connect(kind).await;
        let mut control = link.open().await.unwrap();
        control.send(&hello(&login.access, Hi::default())).await.unwrap();
        says_and_closes(&link, &mut control, CloseCode::TOKEN_EXPIRED, "an expired token").await;
    }
    let answer = node.call("GET", "/v1/me", Some(&kim.access), None).await;
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("token_expired")));
}
