//! Apple's service: HTTP/2, tokens signed with the team's key, one request for each push.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::json;

use super::config::Hidden;
use super::outcome::{Outcome, known_reason};
use super::payload::{Notice, Show};
use super::wire::{Answer, Pool};
use crate::clock::Clock;

/// Apple's address for apps from the store, and for those under development.
pub const PRODUCTION: &str = "https://api.push.apple.com";
/// The same for apps under development.
pub const SANDBOX: &str = "https://api.sandbox.push.apple.com";
/// Addresses of devices that are to be reached over the sandbox begin so.
pub const SANDBOX_TOKEN: &str = "sandbox:";
/// A token is renewed when it is so old. Apple takes none that is older than an hour, and wants none to be renewed more
/// often than every 20 minutes.
const RENEW_AFTER_MS: u64 = 50 * 60_000;
const RENEW_AFTER_MS_MIN: u64 = 20 * 60_000;
/// The longest payload.
const PAYLOAD_BYTES_MAX: usize = 4_096;

/// Who we are to Apple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApnsConfig {
    /// The team.
    pub team_id: String,
    /// The key's name.
    pub key_id: String,
    /// The key, PKCS #8 in PEM.
    pub key: Hidden,
    /// The app's bundle id.
    pub topic: String,
    /// The address of production.
    pub production_url: String,
    /// The address of the sandbox.
    pub sandbox_url: String,
    /// Whether addresses that don't say otherwise are of the sandbox.
    pub sandbox: bool,
}

/// Apple.
pub(super) struct Apns {
    config: ApnsConfig,
    key: EncodingKey,
    pool: Arc<Pool>,
    clock: Clock,
    token: Mutex<Option<ProviderToken>>,
}

#[derive(Clone)]
pub(super) struct ProviderToken {
    header: String,
    made_at_ms: u64,
}

#[derive(Deserialize, Default)]
struct Reason {
    reason: Option<String>,
    timestamp: Option<u64>,
}

const REASONS: &[&str] = &[
    "BadCollapseId",
    "BadDeviceToken",
    "BadExpirationDate",
    "BadMessageId",
    "BadPriority",
    "BadTopic",
    "DeviceTokenNotForTopic",
    "DuplicateHeaders",
    "IdleTimeout",
    "InvalidPushType",
    "MissingDeviceToken",
    "MissingTopic",
    "PayloadEmpty",
    "TopicDisallowed",
    "BadCertificate",
    "BadCertificateEnvironment",
    "ExpiredProviderToken",
    "Forbidden",
    "InvalidProviderToken",
    "MissingProviderToken",
    "BadPath",
    "MethodNotAllowed",
    "ExpiredToken",
    "Unregistered",
    "PayloadTooLarge",
    "TooManyProviderTokenUpdates",
    "TooManyRequests",
    "InternalServerError",
    "ServiceUnavailable",
    "Shutdown",
];

impl Apns {
    pub(super) fn new(config: ApnsConfig, pool: Arc<Pool>, clock: Clock) -> anyhow::Result<Self> {
        let key = EncodingKey::from_ec_pem(config.key.0.as_bytes()).context("push.apns_key: no EC key in PEM")?;
        for url in [&config.production_url, &config.sandbox_url] {
            super::https(url).with_context(|| format!("push: {url} is no https address"))?;
        }
        Ok(Self { config, key, pool, clock, token: Mutex::new(None) })
    }

    pub(super) async fn send(&self, token: &str, notice: &Notice) -> Outcome {
        let (request, used) = match self.request(token, notice) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match self.pool.send(request).await {
            Ok(answer) => self.judge(&answer, &used),
            Err(error) => Outcome::of_error(&error),
        }
    }

    /// The request that tells a device, and what it is signed with.
    pub(super) fn request(
        &self,
        token: &str,
        notice: &Notice,
    ) -> Result<(Request<Full<Bytes>>, ProviderToken), Outcome> {
        let (sandbox, token) = match token.strip_prefix(SANDBOX_TOKEN) {
            Some(token) => (true, token),
            None => (self.config.sandbox, token),
        };
        if token.is_empty() || token.len() > 200 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Outcome::Gone("BadDeviceToken", None));
        }
        let body = notice.apns().to_string();
        if body.len() > PAYLOAD_BYTES_MAX {
            return Err(Outcome::Refused("PayloadTooLarge".to_owned()));
        }
        let base = if sandbox { &self.config.sandbox_url } else { &self.config.production_url };
        let signed = self.token().map_err(|error| Outcome::Down(error.to_owned(), None))?;
        let (kind, priority) = match notice.show {
            Show::Alert(_) => ("alert", "10"),
            Show::Read => ("alert", "5"),
        };
        let request = Request::post(format!("{}/3/device/{token}", base.trim_end_matches('/')))
            .header("authorization", &signed.header)
            .header("apns-topic", &self.config.topic)
            .header("apns-push-type", kind)
            .header("apns-priority", priority)
            .header("apns-expiration", notice.expires_at_ms / 1_000)
            .header("apns-collapse-id", notice.collapse_id())
            .body(Full::new(Bytes::from(body)));
        request.map(|request| (request, signed)).map_err(|_| Outcome::Refused("bad_request".to_owned()))
    }

    fn judge(&self, answer: &Answer, used: &ProviderToken) -> Outcome {
        if answer.status.is_success() {
            return Outcome::Sent;
        }
        let said: Reason = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (status, reason) = (answer.status.as_u16(), said.reason.as_deref());
        let why = known_reason(status, reason, REASONS);
        match (status, reason) {
            (410, _) => Outcome::Gone("Unregistered", said.timestamp),
            (400, Some("BadDeviceToken")) => Outcome::Gone("BadDeviceToken", None),
            (403, Some("ExpiredProviderToken")) => {
                self.renew(used);
                Outcome::Later(why, Some(0))
            }
            (403, _) => Outcome::Down(why, answer.retry_after_ms),
            // One key signs too often, perhaps elsewhere. The one there is stays.
            (429, Some("TooManyProviderTokenUpdates")) => Outcome::Down(why, answer.retry_after_ms),
            (429, _) => Outcome::Later(why, answer.retry_after_ms),
            (500.., _) => Outcome::Down(why, answer.retry_after_ms),
            _ => Outcome::Refused(why),
        }
    }

    fn token(&self) -> Result<ProviderToken, &'static str> {
        let now_ms = self.clock.now_ms();
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = token.as_ref().filter(|token| now_ms < token.made_at_ms + RENEW_AFTER_MS) {
            return Ok(token.clone());
        }
        let header = Header { kid: Some(self.config.key_id.clone()), typ: None, ..Header::new(Algorithm::ES256) };
        let claims = json!({ "iss": self.config.team_id, "iat": now_ms / 1_000 });
        let made = jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| "can't sign")?;
        let new = ProviderToken { header: format!("bearer {made}"), made_at_ms: now_ms };
        *token = Some(new.clone());
        Ok(new)
    }

    /// Apple finds a token too old. It may be renewed only so often.
    fn renew(&self, used: &ProviderToken) {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let is_used = token.as_ref().is_some_and(|token| token.made_at_ms == used.made_at_ms);
        if is_used && self.clock.now_ms() >= used.made_at_ms + RENEW_AFTER_MS_MIN {
            *token = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::wire::{Connector, PoolLimits};
    use super::*;

    #[test]
    fn the_teams_token_is_renewed_as_often_as_apple_wants() {
        let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let limits = PoolLimits { origins: 1, connections: 1, streams: 1, request: Duration::from_secs(1) };
        let roots = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
        let pool = Arc::new(Pool::new(Connector::new(Some(&roots), limits.request).unwrap(), limits));
        let clock = Clock::manual(1_800_000_000_000, 1);
        let config = ApnsConfig {
            team_id: "TEAM".to_owned(),
            key_id: "KEY".to_owned(),
            key: Hidden(pem),
            topic: "app".to_owned(),
            production_url: PRODUCTION.to_owned(),
            sandbox_url: SANDBOX.to_owned(),
            sandbox: false,
        };
        let apns = Apns::new(config, pool, clock.clone()).unwrap();
        let token = || apns.token().unwrap();
        let first = token();
        clock.advance_ms(RENEW_AFTER_MS - 1);
        assert_eq!(token().header, first.header);
        clock.advance_ms(1);
        let second = token();
        assert_ne!(second.header, first.header);
        // Apple finds it too old: not before 20 minutes, and only the one that it has found so.
        clock.advance_ms(RENEW_AFTER_MS_MIN - 1);
        apns.renew(&second);
        assert_eq!(token().header, second.header);
        clock.advance_ms(1);
        apns.renew(&first);
        assert_eq!(token().header, second.header);
        apns.renew(&second);
        assert_ne!(token().header, second.header);
    }
}
