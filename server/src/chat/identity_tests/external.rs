use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::chat::auth::jwks::JwksConfig;
use crate::chat::auth::session::DeviceHint;
use crate::chat::auth::{ExternalConfig, ExternalKey, SessionState};
use crate::chat::testing::{NOW_MS, config, faulty_chat_with, over, sign_up};
use crate::chat::{Chat, ChatConfig, ChatError};
use crate::store::{Faults, Store};

const SHARED: &[u8] = b"0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://id.example";

fn with_key(key: ExternalKey) -> ChatConfig {
    let mut config = config();
    config.auth.external = Some(ExternalConfig::new(ISSUER.to_owned(), key));
    config
}

fn shared() -> ChatConfig {
    with_key(ExternalKey::Shared(SHARED.to_vec()))
}

fn claims(subject: &str, device: Option<&str>, now_ms: u64) -> Value {
    json!({
        "iss": ISSUER, "sub": subject, "iat": now_ms / 1_000, "exp": now_ms / 1_000 + 3_600,
        "sid": device, "preferred_username": subject, "name": "Kim Lee"
    })
}

fn token(subject: &str, device: Option<&str>, now_ms: u64) -> String {
    let key = EncodingKey::from_secret(SHARED);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(subject, device, now_ms), &key).unwrap()
}

async fn authorize(chat: &Chat, token: &str) -> Result<crate::chat::auth::Caller, ChatError> {
    chat.authorize(token, DeviceHint::default()).await
}

#[tokio::test]
async fn a_user_and_each_device_are_made_at_first_sight() {
    let (chat, _) = over(Store::memory(), shared());
    let first = authorize(&chat, &token("kim", Some("phone"), NOW_MS)).await.unwrap();
    let again = authorize(&chat, &token("kim", Some("phone"), NOW_MS)).await.unwrap();
    assert!(first.is_same_device(&again));
    let laptop = authorize(&chat, &token("kim", Some("laptop"), NOW_MS)).await.unwrap();
    assert_eq!(laptop.user, first.user);
    assert_ne!(laptop.device, first.device);
    let lee = authorize(&chat, &token("lee", Some("phone"), NOW_MS)).await.unwrap();
    assert_ne!(lee.user, first.user);
    let (public, _) = chat.own_profile(first.user).await.unwrap();
    assert_eq!((public.handle.as_str(), public.display_name.as_str()), ("kim", "Kim Lee"));
}

#[tokio::test]
async fn the_client_names_the_device_where_the_token_does_not() {
    let (chat, _) = over(Store::memory(), shared());
    let token = token("kim", None, NOW_MS);
    let hint = |key| DeviceHint { key, name: "tab", ..DeviceHint::default() };
    let one = chat.authorize(&token, hint(Some("one"))).await.unwrap();
    let other = chat.authorize(&token, hint(Some("other"))).await.unwrap();
    let unnamed = chat.authorize(&token, hint(None)).await.unwrap();
    assert!(chat.authorize(&token, hint(Some("one"))).await.unwrap().is_same_device(&one));
    assert!(!one.is_same_device(&other) && !one.is_same_device(&unnamed));
    for bad in ["", &"x".repeat(256)] {
        assert!(matches!(chat.authorize(&token, hint(Some(bad))).await, Err(ChatError::Invalid { .. })));
    }
}

#[tokio::test]
async fn a_taken_or_impossible_handle_is_replaced() {
    let (chat, _) = over(Store::memory(), shared());
    sign_up(&chat, "kim").await;
    for subject in ["kim", "Kim Lee!", "x"] {
        let caller = authorize(&chat, &token(subject, None, NOW_MS)).await.unwrap();
        let (public, _) = chat.own_profile(caller.user).await.unwrap();
        assert_eq!(public.handle, format!("user{}", caller.user));
    }
}

#[tokio::test]
async fn a_logged_out_device_comes_back_only_with_a_newer_token() {
    let (chat, _) = over(Store::memory(), shared());
    let old = token("kim", Some("phone"), NOW_MS);
    let caller = authorize(&chat, &old).await.unwrap();
    chat.clock().advance_ms(1_000);
    chat.log_out(caller.user, caller.device).await.unwrap();
    assert_eq!(chat.session_check(&caller).await.unwrap(), SessionState::DeviceRevoked);
    assert!(matches!(authorize(&chat, &old).await, Err(ChatError::Unauthenticated(_))));
    let new = authorize(&chat, &token("kim", Some("phone"), NOW_MS + 2_000)).await.unwrap();
    assert_eq!(new.user, caller.user);
    assert_ne!(new.device, caller.device);
    // Which is no way back for the old token.
    assert!(matches!(authorize(&chat, &old).await, Err(ChatError::Unauthenticated(_))));
}

#[tokio::test]
async fn first_sights_at_once_make_one_user() {
    for seed in 0..8 {
        let faults = Faults { seed, conflict_permille: 200, unknown_applied_permille: 300, ..Faults::default() };
        let (chat, _) = faulty_chat_with(faults, shared());
        let sights = (0..5).map(|_| {
            let chat = chat.clone();
            tokio::spawn(async move { authorize(&chat, &token("kim", Some("phone"), NOW_MS)).await.unwrap() })
        });
        let mut seen = Vec::new();
        for sight in sights.collect::<Vec<_>>() {
            seen.push(sight.await.unwrap());
        }
        assert!(seen.iter().all(|caller| caller.is_same_device(&seen[0])));
        assert_eq!(chat.devices(seen[0].user).await.unwrap().len(), 1);
    }
}

/// An identity provider's key set over HTTP, which counts how often it was asked.
struct Provider {
    url: String,
    body: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (body, asked) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicUsize::new(0)));
        let (served, counted) = (Arc::clone(&body), Arc::clone(&asked));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = vec![0; 4_096];
                let _ = socket.read(&mut request).await;
                let body = served.lock().unwrap().clone();
                let status = if body.is_empty() { "500 Oh No" } else { "200 OK" };
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = socket.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { url, body, asked }
    }

    fn serve(&self, keys: &[&Jwk]) {
        *self.body.lock().unwrap() = json!({ "keys": keys }).to_string();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn chat(&self) -> Chat {
        over(Store::memory(), with_key(ExternalKey::Jwks(JwksConfig::new(self.url.clone())))).0
    }
}

struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Jwk,
}

impl Signer {
    fn new(algorithm: Algorithm, kid: &str) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::EdDSA => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = pair.serialize_pem();
        let key = match algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            Algorithm::EdDSA => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let key = key.unwrap();
        let mut jwk = if algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
            serde_json::from_value(json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x })).unwrap()
        } else {
            Jwk::from_encoding_key(&key, algorithm).unwrap()
        };
        jwk.common.key_id = Some(kid.to_owned());
        Self { key, algorithm, jwk }
    }

    fn token(&self, kid: Option<&str>) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(self.algorithm) };
        jsonwebtoken::encode(&header, &claims("kim", Some("phone"), NOW_MS), &self.key).unwrap()
    }
}

#[tokio::test]
async fn public_keys_of_each_kind_verify() {
    let provider = Provider::new().await;
    let signers = [
        Signer::new(Algorithm::RS256, "rsa"),
        Signer::new(Algorithm::ES256, "ec"),
        Signer::new(Algorithm::EdDSA, "ed"),
    ];
    provider.serve(&signers.each_ref().map(|signer| &signer.jwk));
    let chat = provider.chat();
    for signer in &signers {
        let kid = signer.jwk.common.key_id.as_deref();
        authorize(&chat, &signer.token(kid)).await.unwrap();
        // The only key of its kind needs no name.
        authorize(&chat, &signer.token(None)).await.unwrap();
    }
    assert_eq!(provider.asked(), 1);
    let mistaken = signers[0].token(Some("ec"));
    assert!(matches!(authorize(&chat, &mistaken).await, Err(ChatError::Unauthenticated(_))));
    // A public key is not a shared one.
    assert!(matches!(authorize(&chat, &token("kim", None, NOW_MS)).await, Err(ChatError::Unauthenticated(_))));
}

#[tokio::test]
async fn a_new_key_is_fetched_but_not_more_often_than_allowed() {
    let provider = Provider::new().await;
    let (old, new) = (Signer::new(Algorithm::EdDSA, "old"), Signer::new(Algorithm::EdDSA, "new"));
    provider.serve(&[&old.jwk]);
    let chat = provider.chat();
    authorize(&chat, &old.token(Some("old"))).await.unwrap();
    provider.serve(&[&old.jwk, &new.jwk]);
    for _ in 0..20 {
        let unknown = authorize(&chat, &new.token(Some("new"))).await;
        assert!(matches!(unknown, Err(ChatError::Unauthenticated(_))));
    }
    assert_eq!(provider.asked(), 1);
    chat.clock().advance_ms(10_000);
    authorize(&chat, &new.token(Some("new"))).await.unwrap();
    assert_eq!(provider.asked(), 2);
    // Two keys of one kind, and a token that does not say which.
    assert!(authorize(&chat, &new.token(None)).await.is_err());
}

#[tokio::test]
async fn a_provider_that_is_down_costs_nobody_who_is_known_for_a_day() {
    let provider = Provider::new().await;
    let chat = provider.chat();
    let signer = Signer::new(Algorithm::ES256, "ec");
    let token = signer.token(Some("ec"));
    assert!(matches!(authorize(&chat, &token).await, Err(ChatError::Unavailable(_))));
    assert!(matches!(authorize(&chat, &token).await, Err(ChatError::Unavailable(_))));
    assert_eq!(provider.asked(), 1);
    provider.serve(&[&signer.jwk]);
    chat.clock().advance_ms(10_000);
    authorize(&chat, &token).await.unwrap();
    provider.body.lock().unwrap().clear();
    chat.clock().advance_ms(20 * 60_000);
    authorize(&chat, &token).await.unwrap();
    assert_eq!(provider.asked(), 3);
    for garbage in ["[]", "{\"keys\":7}", &" ".repeat(300 << 10)] {
        *provider.body.lock().unwrap() = (*garbage).to_owned();
        chat.clock().advance_ms(10_000);
        authorize(&chat, &token).await.unwrap();
    }
    chat.clock().advance_ms(24 * 3_600_000);
    let later = claims("kim", None, chat.clock().now_ms());
    let header = Header { kid: Some("ec".to_owned()), ..Header::new(Algorithm::ES256) };
    let later = jsonwebtoken::encode(&header, &later, &signer.key).unwrap();
    assert!(matches!(authorize(&chat, &later).await, Err(ChatError::Unavailable(_))));
}

#[tokio::test]
async fn keys_of_unknown_kinds_do_not_spoil_the_others() {
    let provider = Provider::new().await;
    let signer = Signer::new(Algorithm::EdDSA, "ed");
    let set = json!({ "keys": [{ "kty": "AKP", "alg": "ML-DSA-44" }, 7, signer.jwk] });
    *provider.body.lock().unwrap() = set.to_string();
    authorize(&provider.chat(), &signer.token(Some("ed"))).await.unwrap();
}
