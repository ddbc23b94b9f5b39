//! Google's service: FCM HTTP v1, with an OAuth token for a service account.

use std::sync::Arc;

use anyhow::Context as _;
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::config::Hidden;
use super::outcome::{Outcome, known_reason};
use super::payload::Notice;
use super::wire::{Answer, Pool};
use crate::clock::Clock;

/// Google's address.
pub const BASE: &str = "https://fcm.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// A token is renewed so long before its end.
const RENEW_BEFORE_MS: u64 = 5 * 60_000;

/// Who we are to Google.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FcmConfig {
    /// The service account's file, as Google gives it out.
    pub account: Hidden,
    /// Google's address.
    pub url: String,
    /// Where tokens come from, if not from where the account says.
    pub token_url: Option<String>,
    /// Whether only data is sent, for apps that show notifications themselves.
    pub data_only: bool,
}

#[derive(Deserialize)]
struct Account {
    project_id: String,
    private_key: String,
    client_email: String,
    token_uri: String,
}

/// Google.
pub(super) struct Fcm {
    config: FcmConfig,
    account: Account,
    key: EncodingKey,
    pool: Arc<Pool>,
    clock: Clock,
    /// Held by the one who fetches.
    token: Mutex<Option<AccessToken>>,
}

#[derive(Clone)]
pub(super) struct AccessToken {
    header: String,
    expires_at_ms: u64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

const REASONS: &[&str] = &[
    "UNREGISTERED",
    "INVALID_ARGUMENT",
    "SENDER_ID_MISMATCH",
    "QUOTA_EXCEEDED",
    "UNAVAILABLE",
    "INTERNAL",
    "THIRD_PARTY_AUTH_ERROR",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "RESOURCE_EXHAUSTED",
];

impl Fcm {
    pub(super) fn new(config: FcmConfig, pool: Arc<Pool>, clock: Clock) -> anyhow::Result<Self> {
        // Its text has the key in it, and the error must not.
        let account: Account = serde_json::from_str(&config.account.0)
            .map_err(|error| anyhow::anyhow!("push.fcm_account: no service account at line {}", error.line()))?;
        let key = EncodingKey::from_rsa_pem(account.private_key.as_bytes())
            .map_err(|_| anyhow::anyhow!("push.fcm_account: private_key is no RSA key in PEM"))?;
        super::https(&config.url).context("push.fcm_url is no https address")?;
        super::https(config.token_url.as_ref().unwrap_or(&account.token_uri))
            .context("fcm: the token's is no https address")?;
        Ok(Self { config, account, key, pool, clock, token: Mutex::new(None) })
    }

    pub(super) async fn send(&self, token: &str, notice: &Notice) -> Outcome {
        let (request, access) = match self.request(token, notice).await {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match self.pool.send(request).await {
            Ok(answer) => {
                let outcome = judge(&answer);
                if answer.status.as_u16() == 401 {
                    self.forget(&access).await;
                }
                outcome
            }
            Err(error) => Outcome::of_error(&error),
        }
    }

    /// The request that tells a device, and the token that allows it.
    pub(super) async fn request(
        &self,
        token: &str,
        notice: &Notice,
    ) -> Result<(Request<Full<Bytes>>, AccessToken), Outcome> {
        let access = self.token().await?;
        let mut message = notice.fcm(self.config.data_only, self.clock.now_ms());
        message["token"] = json!(token);
        let url =
            format!("{}/v1/projects/{}/messages:send", self.config.url.trim_end_matches('/'), self.account.project_id);
        let request = Request::post(url)
            .header("authorization", &access.header)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(json!({ "message": message }).to_string())));
        request.map(|request| (request, access)).map_err(|_| Outcome::Refused("bad_request".to_owned()))
    }

    async fn token(&self) -> Result<AccessToken, Outcome> {
        let mut token = self.token.lock().await;
        let now_ms = self.clock.now_ms();
        if let Some(token) = token.as_ref().filter(|token| now_ms + RENEW_BEFORE_MS < token.expires_at_ms) {
            return Ok(token.clone());
        }
        match self.fetch_token(now_ms).await {
            Ok(new) => {
                *token = Some(new.clone());
                Ok(new)
            }
            // The old one is good for a while yet.
            Err(outcome) => token.clone().filter(|token| now_ms + 10_000 < token.expires_at_ms).ok_or(outcome),
        }
    }

    async fn fetch_token(&self, now_ms: u64) -> Result<AccessToken, Outcome> {
        let now_s = now_ms / 1_000;
        let claims = json!({
            "iss": self.account.client_email, "scope": SCOPE, "aud": self.account.token_uri, "iat": now_s, "exp": now_s + 3_600,
        });
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|_| Outcome::Down("can't sign".to_owned(), None))?;
        let body = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        let request = Request::post(self.config.token_url.as_ref().unwrap_or(&self.account.token_uri))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| Outcome::Down("token_address".to_owned(), None))?;
        let answer = self.pool.send(request).await.map_err(|error| Outcome::of_error(&error))?;
        if !answer.status.is_success() {
            return Err(Outcome::Down(format!("token_status_{}", answer.status.as_u16()), answer.retry_after_ms));
        }
        let TokenAnswer { access_token, expires_in } =
            serde_json::from_slice(&answer.body).map_err(|_| Outcome::Down("token_garbled".to_owned(), None))?;
        Ok(AccessToken {
            header: format!("Bearer {access_token}"),
            expires_at_ms: now_ms + expires_in.min(86_400) * 1_000,
        })
    }

    async fn forget(&self, used: &AccessToken) {
        let mut token = self.token.lock().await;
        if token.as_ref().is_some_and(|token| token.header == used.header) {
            *token = None;
        }
    }
}

fn judge(answer: &Answer) -> Outcome {
    if answer.status.is_success() {
        return Outcome::Sent;
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let details = said["error"]["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let code = details.iter().find_map(|detail| detail["errorCode"].as_str()).or(said["error"]["status"].as_str());
    // Only where it is the token that is wrong: every other mistake would be ours, and cost all tokens.
    let about_token = details.iter().filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
    let mut about_token = about_token.chain(std::iter::once(&Value::Null)).filter_map(|field| field["field"].as_str());
    let names_token = about_token.any(|field| field == "message.token")
        || said["error"]["message"].as_str().is_some_and(|message| message.contains("registration token"));
    let status = answer.status.as_u16();
    let why = known_reason(status, code, REASONS);
    match (status, code) {
        (_, Some("UNREGISTERED")) => Outcome::Gone("UNREGISTERED", None),
        (400, Some("INVALID_ARGUMENT")) if names_token => Outcome::Gone("INVALID_ARGUMENT", None),
        (401, _) => Outcome::Later(why, Some(0)),
        (403, Some("SENDER_ID_MISMATCH")) => Outcome::Refused(why),
        (403, _) => Outcome::Down(why, answer.retry_after_ms),
        (429, _) => Outcome::Down(why, Some(answer.retry_after_ms.unwrap_or(60_000))),
        (500.., _) => Outcome::Down(why, answer.retry_after_ms),
        _ => Outcome::Refused(why),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn of(status: u16, body: &Value) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        judge(&Answer { status, retry_after_ms: None, body: Bytes::from(body.to_string()) })
    }

    #[test]
    fn only_what_is_about_the_token_removes_it() {
        let unregistered = json!({ "error": { "status": "NOT_FOUND", "details": [{ "errorCode": "UNREGISTERED" }] } });
        assert_eq!(of(404, &unregistered), Outcome::Gone("UNREGISTERED", None));
        let mut invalid =
            json!({ "error": { "status": "INVALID_ARGUMENT", "details": [{ "errorCode": "INVALID_ARGUMENT" }] } });
        assert_eq!(of(400, &invalid), Outcome::Refused("INVALID_ARGUMENT".to_owned()));
        invalid["error"]["details"] =
            json!([{ "errorCode": "INVALID_ARGUMENT" }, { "fieldViolations": [{ "field": "message.token" }] }]);
        assert_eq!(of(400, &invalid), Outcome::Gone("INVALID_ARGUMENT", None));
        assert_eq!(of(503, &Value::Null), Outcome::Down("status_503".to_owned(), None));
        let quota =
            json!({ "error": { "status": "RESOURCE_EXHAUSTED", "details": [{ "errorCode": "QUOTA_EXCEEDED" }] } });
        assert_eq!(of(429, &quota), Outcome::Down("QUOTA_EXCEEDED".to_owned(), Some(60_000)));
    }
}
