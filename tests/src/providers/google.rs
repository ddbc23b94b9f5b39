//! What Google checks.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use http::Response;
use http::request::Parts;
use http_body_util::Full;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use serde::Deserialize;
use serde_json::json;

use super::Taken;
use super::serve::{header, host, respond};

/// The project of these tests.
pub const PROJECT: &str = "suda-tests";
const EMAIL: &str = "push@suda-tests.example";

pub(super) struct Google {
    key: KeyPair,
    token_url: String,
    tokens: Mutex<Tokens>,
}

/// What was given out last.
struct Tokens {
    number: u64,
    until: Instant,
    good_for: Duration,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: String,
}

impl Google {
    pub(super) fn new(base: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let tokens = Tokens { number: 0, until: Instant::now(), good_for: Duration::from_secs(3_599) };
        Self { key, token_url: format!("{base}/token"), tokens: Mutex::new(tokens) }
    }

    pub(super) fn account(&self) -> String {
        json!({
            "type": "service_account", "project_id": PROJECT, "private_key": self.key.serialize_pem(),
            "client_email": EMAIL, "token_uri": self.token_url,
        })
        .to_string()
    }

    pub(super) fn token(&self, body: &Bytes) -> Result<Response<Full<Bytes>>, String> {
        let body = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let (grant, assertion) = body.split_once("&assertion=").ok_or("no assertion")?;
        if grant != "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" {
            return Err(format!("another grant: {grant}"));
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&self.token_url]);
        let key = DecodingKey::from_rsa_der(self.key.der_bytes());
        let decoded =
            jsonwebtoken::decode::<Claims>(assertion, &key, &validation).map_err(|error| error.to_string())?;
        if decoded.claims.iss != EMAIL || !decoded.claims.scope.ends_with("/auth/firebase.messaging") {
            return Err("somebody else's".to_owned());
        }
        let mut tokens = self.tokens.lock().unwrap();
        tokens.number += 1;
        tokens.until = Instant::now() + tokens.good_for;
        let (token, seconds) = (format!("ya29.{}", tokens.number), tokens.good_for.as_secs());
        let answer = json!({ "access_token": token, "expires_in": seconds, "token_type": "Bearer" });
        Ok(respond(200, None, answer.to_string()))
    }

    pub(super) fn let_tokens_end_after(&self, time: Duration) {
        self.tokens.lock().unwrap().good_for = time;
    }

    pub(super) fn take(&self, head: &Parts, body: &Bytes) -> Result<Taken, String> {
        let (newest, is_over) = {
            let tokens = self.tokens.lock().unwrap();
            (format!("Bearer ya29.{}", tokens.number), tokens.until <= Instant::now())
        };
        if is_over || header(head, "authorization")? != newest {
            return Err("not the token that was given out".to_owned());
        }
        if head.uri.path() != format!("/v1/projects/{PROJECT}/messages:send") {
            return Err(format!("another path: {}", head.uri.path()));
        }
        let body: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let message = &body["message"];
        let token = message["token"].as_str().ok_or("no token")?.to_owned();
        let data = message["data"].as_object().ok_or("no data")?;
        if !data.values().all(serde_json::Value::is_string) {
            return Err("data has more than texts".to_owned());
        }
        let collapse_id = message["android"]["collapse_key"].as_str().ok_or("no collapse key")?.to_owned();
        let (host, payload) = (host(head), message.clone());
        Ok(Taken { provider: "fcm", host, token, collapse_id, payload, at: Instant::now() })
    }
}

pub(super) fn gone() -> Response<Full<Bytes>> {
    let details = json!([{ "errorCode": "UNREGISTERED" }]);
    respond(404, None, json!({ "error": { "code": 404, "status": "NOT_FOUND", "details": details } }).to_string())
}
