//! What Apple checks.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use http::Response;
use http::request::Parts;
use http_body_util::Full;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PublicKeyData as _};
use serde::Deserialize;
use serde_json::json;

use super::Taken;
use super::serve::{header, host, now_s, respond};

/// The team of these tests.
pub const TEAM: &str = "TEAM123456";
/// Its key.
pub const KEY_ID: &str = "KEY1234567";
/// Its app.
pub const TOPIC: &str = "kr.suda.app";

pub(super) struct Apple {
    key: KeyPair,
    /// The token that was good last, and what it says: to check it costs as much as all the rest.
    last: Mutex<Option<(String, Claims)>>,
}

#[derive(Deserialize, Clone)]
struct Claims {
    iss: String,
    iat: u64,
}

impl Apple {
    pub(super) fn new() -> Self {
        Self { key: KeyPair::generate().unwrap(), last: Mutex::default() }
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(super) fn take(&self, head: &Parts, body: &Bytes, is_h2: bool) -> Result<Taken, String> {
        if !is_h2 {
            return Err("Apple speaks HTTP/2".to_owned());
        }
        let jwt = header(head, "authorization")?.strip_prefix("bearer ").ok_or("no bearer")?;
        let claims = self.check(jwt)?;
        if claims.iss != TEAM || claims.iat + 3_600 < now_s() || claims.iat > now_s() + 60 {
            return Err("ExpiredProviderToken".to_owned());
        }
        let collapse_id = header(head, "apns-collapse-id")?.to_owned();
        let known = header(head, "apns-topic")? == TOPIC
            && header(head, "apns-push-type")? == "alert"
            && ["5", "10"].contains(&header(head, "apns-priority")?)
            && header(head, "apns-expiration")?.parse::<u64>().is_ok_and(|at| at > now_s())
            && collapse_id.len() <= 64;
        if !known || body.len() > 4_096 {
            return Err(format!("not as Apple wants it: {:?}", head.headers));
        }
        let token = head.uri.path().trim_start_matches("/3/device/").to_owned();
        let payload: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if payload["aps"].is_null() {
            return Err("no aps".to_owned());
        }
        Ok(Taken { provider: "apns", host: host(head), token, collapse_id, payload, at: Instant::now() })
    }

    fn check(&self, jwt: &str) -> Result<Claims, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, claims)) = last.as_ref().filter(|(known, _)| known == jwt) {
            return Ok(claims.clone());
        }
        let jwt_header = jsonwebtoken::decode_header(jwt).map_err(|error| error.to_string())?;
        if jwt_header.kid.as_deref() != Some(KEY_ID) || jwt_header.alg != Algorithm::ES256 {
            return Err(format!("a token of {:?} by {:?}", jwt_header.kid, jwt_header.alg));
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let key = DecodingKey::from_ec_der(self.key.der_bytes());
        let claims = jsonwebtoken::decode::<Claims>(jwt, &key, &validation).map_err(|error| error.to_string())?.claims;
        *last = Some((jwt.to_owned(), claims.clone()));
        Ok(claims)
    }
}

pub(super) fn gone(since_ms: u64) -> Response<Full<Bytes>> {
    respond(410, None, json!({ "reason": "Unregistered", "timestamp": since_ms }).to_string())
}
