//! JWTs of an operator's own identity provider, verified by a shared key or by its public keys.
//!
//! This file says whether such a token is true and whom it names. Whom that is in suda is in
//! [`session`](super::session): users and devices are made at first sight.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use suda_schema::limits::TOKEN_BYTES_MAX;

use super::jwks::{Jwks, JwksConfig};
use crate::chat::ChatError;
use crate::clock::Clock;

/// The most bytes in the name of a subject or of a device.
pub const EXTERNAL_NAME_BYTES_MAX: usize = 255;

/// The operator's identity provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalConfig {
    /// What `iss` must be.
    pub issuer: String,
    /// One of what `aud` must hold; empty: anything goes, which is only right where the provider serves nobody else.
    pub audiences: Vec<String>,
    /// How signatures are verified.
    pub key: ExternalKey,
    /// The claim that names the device. Without it, the client names it; without that, all are one device.
    pub device_claim: String,
    /// The claim with the handle that a new user would like to have.
    pub handle_claim: String,
    /// The claim with the name that is shown of a new user.
    pub name_claim: String,
    /// How far the provider's clock may be off, in milliseconds.
    pub leeway_ms: u64,
}

impl std::fmt::Debug for ExternalConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExternalConfig({})", self.issuer)
    }
}

impl ExternalConfig {
    /// A provider with this issuer and key, and the usual names of claims.
    #[must_use]
    pub fn new(issuer: String, key: ExternalKey) -> Self {
        Self {
            issuer,
            audiences: Vec::new(),
            key,
            device_claim: "sid".to_owned(),
            handle_claim: "preferred_username".to_owned(),
            name_claim: "name".to_owned(),
            leeway_ms: 30_000,
        }
    }
}

/// How the provider's signatures are verified.
#[derive(Clone, PartialEq, Eq)]
pub enum ExternalKey {
    /// HS256 with a key that both sides know, of at least 32 bytes.
    Shared(Vec<u8>),
    /// RS256, ES256 or EdDSA with the public keys at this address.
    Jwks(JwksConfig),
}

/// The fewest bytes in a shared key: as many as the hash has.
const SHARED_BYTES_MIN: usize = 32;

/// Whom a provider's token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// Its name for the user.
    pub subject: String,
    /// Its name for the device, if it has one.
    pub device: Option<String>,
    /// The handle that a new user would like to have.
    pub handle: Option<String>,
    /// The name that is shown of a new user.
    pub name: Option<String>,
    /// When the token was made; 0 if it does not say.
    pub issued_at_ms: u64,
    /// When it runs out.
    pub expires_at_ms: u64,
}

/// Verifies a provider's tokens.
pub(crate) struct Verifier {
    config: ExternalConfig,
    clock: Clock,
    keys: Keys,
}

enum Keys {
    Shared(DecodingKey),
    Public(Jwks),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    aud: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Verifier {
    pub(crate) fn new(config: ExternalConfig, clock: Clock) -> Result<Self, ChatError> {
        let keys = match &config.key {
            ExternalKey::Shared(key) if key.len() < SHARED_BYTES_MIN => {
                return Err(ChatError::invalid("shared key", "shorter than 32 bytes"));
            }
            ExternalKey::Shared(key) => Keys::Shared(DecodingKey::from_secret(key)),
            ExternalKey::Jwks(jwks) => Keys::Public(Jwks::new(jwks.clone(), clock.clone())?),
        };
        Ok(Self { config, clock, keys })
    }

    /// Whom the token names, if it is true.
    pub(crate) async fn verify(&self, token: &str) -> Result<Identity, ChatError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(WRONG);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| WRONG)?;
        let claims = match (&self.keys, header.alg) {
            (Keys::Shared(key), Algorithm::HS256) => decode(token, key, header.alg),
            (Keys::Public(keys), Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) => {
                let key = keys.find(header.kid.as_deref(), header.alg).await?.ok_or(WRONG)?;
                decode(token, &key, header.alg)
            }
            // An algorithm that does not go with the key: above all, never a public key as a shared one.
            _ => Err(WRONG),
        };
        self.judge(claims?)
    }

    fn judge(&self, claims: Claims) -> Result<Identity, ChatError> {
        if claims.iss != self.config.issuer || !self.is_for_us(claims.aud.as_ref()) {
            return Err(ChatError::Unauthenticated("the token is from another issuer or for another audience"));
        }
        if claims.sub.is_empty() || claims.sub.len() > EXTERNAL_NAME_BYTES_MAX {
            return Err(ChatError::Unauthenticated("the token's subject is empty or too long"));
        }
        let now_ms = self.clock.now_ms();
        let leeway_ms = self.config.leeway_ms;
        let expires_at_ms = ms(claims.exp).saturating_add(leeway_ms);
        if expires_at_ms <= now_ms {
            return Err(ChatError::TokenExpired);
        }
        let issued_at_ms = claims.iat.map_or(0, ms);
        let begins_ms = claims.nbf.map_or(0, ms).max(issued_at_ms);
        if begins_ms > now_ms.saturating_add(leeway_ms) {
            return Err(ChatError::Unauthenticated("the token is from the future"));
        }
        let text = |claim: &str| claims.others.get(claim).and_then(Value::as_str).map(str::to_owned);
        let device = text(&self.config.device_claim);
        if device.as_ref().is_some_and(|device| device.len() > EXTERNAL_NAME_BYTES_MAX) {
            return Err(ChatError::Unauthenticated("the token's device is too long"));
        }
        Ok(Identity {
            device,
            handle: text(&self.config.handle_claim),
            name: text(&self.config.name_claim),
            issuer: claims.iss,
            subject: claims.sub,
            issued_at_ms,
            expires_at_ms,
        })
    }

    fn is_for_us(&self, audience: Option<&Value>) -> bool {
        let ours = |value: &Value| value.as_str().is_some_and(|one| self.config.audiences.iter().any(|our| our == one));
        self.config.audiences.is_empty()
            || match audience {
                Some(Value::Array(many)) => many.iter().any(ours),
                Some(one) => ours(one),
                None => false,
            }
    }
}

const WRONG: ChatError = ChatError::Unauthenticated("the token is not valid");

/// Checks the signature, and nothing by the machine's clock: time is ours to check.
fn decode(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Result<Claims, ChatError> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    jsonwebtoken::decode(token, key, &validation).map(|token| token.claims).map_err(|_| WRONG)
}

/// A JWT's seconds, which may have a fraction, as milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; a cast to an integer saturates")]
fn ms(seconds: f64) -> u64 {
    (seconds.clamp(0.0, 1e15) * 1_000.0) as u64
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW_MS: u64 = 1_800_000_000_000;

    fn verifier() -> Verifier {
        let mut config = ExternalConfig::new("https://id.example".to_owned(), ExternalKey::Shared(KEY.to_vec()));
        config.audiences = vec!["chat".to_owned()];
        Verifier::new(config, Clock::manual(NOW_MS, 1)).unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example", "sub": "kim", "aud": ["other", "chat"], "exp": 1_800_000_060, "iat": 1_800_000_000,
            "sid": "phone", "preferred_username": "kim", "name": "Kim"
        })
    }

    fn token(claims: &Value, algorithm: Algorithm, key: &[u8]) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    }

    async fn verify(claims: &Value) -> Result<Identity, ChatError> {
        verifier().verify(&token(claims, Algorithm::HS256, KEY)).await
    }

    #[tokio::test]
    async fn a_true_token_names_its_user() {
        let identity = verify(&claims()).await.unwrap();
        let text = |text: &str| text.to_owned();
        assert_eq!(
            identity,
            Identity {
                issuer: text("https://id.example"),
                subject: text("kim"),
                device: Some(text("phone")),
                handle: Some(text("kim")),
                name: Some(text("Kim")),
                issued_at_ms: NOW_MS,
                expires_at_ms: NOW_MS + 90_000,
            }
        );
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let bad = [
            ("iss", json!("https://evil.example")),
            ("aud", json!("other")),
            ("aud", json!(null)),
            ("sub", json!("")),
            ("sub", json!("x".repeat(256))),
            ("sub", json!(7)),
            ("exp", json!(null)),
            ("exp", json!("never")),
            ("nbf", json!(1_800_000_031)),
            ("iat", json!(1_800_000_031)),
            ("sid", json!("x".repeat(256))),
        ];
        for (claim, value) in bad {
            let mut claims = claims();
            claims[claim] = value.clone();
            let result = verify(&claims).await;
            assert!(matches!(result, Err(ChatError::Unauthenticated(_))), "{claim} {value}: {result:?}");
        }
        let mut late = claims();
        late["exp"] = json!(1_799_999_970);
        assert!(matches!(verify(&late).await, Err(ChatError::TokenExpired)));
        late["exp"] = json!(1_799_999_970.5);
        assert!(verify(&late).await.is_ok());
    }

    #[tokio::test]
    async fn a_signature_must_be_right() {
        let verifier = verifier();
        let wrong_key = token(&claims(), Algorithm::HS256, b"0123456789abcdef0123456789abcdeg");
        let wrong_algorithm = token(&claims(), Algorithm::HS512, KEY);
        let good = token(&claims(), Algorithm::HS256, KEY);
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
        let long = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX));
        for bad in [&wrong_key, &wrong_algorithm, &unsigned, &long, "", "a.b.c", "é.é.é"] {
            assert!(matches!(verifier.verify(bad).await, Err(ChatError::Unauthenticated(_))), "{bad}");
        }
    }

    #[test]
    fn a_short_shared_key_is_refused() {
        let config = ExternalConfig::new(String::new(), ExternalKey::Shared(vec![1; 31]));
        assert!(Verifier::new(config, Clock::manual(0, 1)).is_err());
    }
}
