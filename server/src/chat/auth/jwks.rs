//! An identity provider's public keys: fetched from an address, kept for a while, fetched again when they are old or when a
//! token names a key that is not among them. A provider that is down, slow or gone mad costs nobody who is known already.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;

use crate::chat::ChatError;
use crate::clock::Clock;

/// Where the keys are, and how they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksConfig {
    /// The address of the key set.
    pub url: String,
    /// How old the keys may become before they are fetched again, in milliseconds.
    pub refresh_ms: u64,
    /// How long one waits between two fetches at least, whatever is asked for, in milliseconds.
    pub refetch_ms_min: u64,
    /// How long a fetch may take, in milliseconds.
    pub timeout_ms: u64,
}

impl JwksConfig {
    /// The keys at this address.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self { url, refresh_ms: 10 * 60_000, refetch_ms_min: 10_000, timeout_ms: 5_000 }
    }
}

/// How old the keys may become while the provider can't be reached. After that a key that it has withdrawn meanwhile
/// would be a greater harm than nobody coming in.
const STALE_MS_MAX: u64 = 24 * 3_600_000;
/// The most bytes of a key set.
const JWKS_BYTES_MAX: usize = 256 << 10;
/// The most keys of a key set; those behind are not looked at.
const JWKS_KEYS_MAX: usize = 64;
/// How many redirects a fetch follows.
const REDIRECTS_MAX: usize = 2;

/// The keys as they are known.
pub(crate) struct Jwks {
    config: JwksConfig,
    clock: Clock,
    client: reqwest::Client,
    known: RwLock<Arc<Known>>,
    /// Held by the one who fetches.
    fetching: Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: Vec<Key>,
    fetched_at_ms: Option<u64>,
    tried_at_ms: Option<u64>,
}

#[derive(Clone)]
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Jwks {
    pub(crate) fn new(config: JwksConfig, clock: Clock) -> Result<Self, ChatError> {
        // Whoever comes first sets the process's provider; all of us set the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(Duration::from_millis(config.timeout_ms))
            .connect_timeout(Duration::from_millis(config.timeout_ms))
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
            .user_agent(concat!("suda/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ChatError::invalid("jwks url", format!("no HTTP client: {error}")))?;
        reqwest::Url::parse(&config.url)
            .map_err(|error| ChatError::invalid("jwks url", format!("not a URL: {error}")))?;
        Ok(Self { config, clock, client, known: RwLock::default(), fetching: Mutex::new(()) })
    }

    /// The key of this name for this algorithm; without a name, the only one for the algorithm.
    pub(crate) async fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Option<DecodingKey>, ChatError> {
        let known = self.known();
        let usable = is_within(known.fetched_at_ms, STALE_MS_MAX, self.clock.now_ms());
        let found = known.find(kid, algorithm).filter(|_| usable);
        if found.is_some() && !self.is_old(&known) {
            return Ok(found);
        }
        // A key that is old but known is good enough while somebody fetches, or when the provider is down.
        let fetched = match (&found, self.fetching.try_lock()) {
            (Some(_), Err(_)) => Ok(known),
            (_, Ok(_fetching)) => self.fetch_if_due().await,
            (None, Err(_)) => {
                let _fetching = self.fetching.lock().await;
                self.fetch_if_due().await
            }
        };
        match (fetched, found) {
            (Ok(known), _) => Ok(known.find(kid, algorithm)),
            (Err(_), Some(found)) => Ok(Some(found)),
            (Err(error), None) => Err(error),
        }
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_old(&self, known: &Known) -> bool {
        !is_within(known.fetched_at_ms, self.config.refresh_ms, self.clock.now_ms())
    }

    /// Fetches the keys, unless that was tried a moment ago: then what is known must do.
    async fn fetch_if_due(&self) -> Result<Arc<Known>, ChatError> {
        let now_ms = self.clock.now_ms();
        let known = self.known();
        if is_within(known.tried_at_ms, self.config.refetch_ms_min, now_ms) {
            let usable = is_within(known.fetched_at_ms, STALE_MS_MAX, now_ms);
            return if usable { Ok(known) } else { Err(UNREACHABLE) };
        }
        let fetched = self.fetch().await;
        let new = match &fetched {
            Ok(keys) => Known { keys: keys.clone(), fetched_at_ms: Some(now_ms), tried_at_ms: Some(now_ms) },
            Err(error) => {
                tracing::warn!(url = self.config.url, error, "can't fetch the identity provider's keys");
                Known { keys: known.keys.clone(), fetched_at_ms: known.fetched_at_ms, tried_at_ms: Some(now_ms) }
            }
        };
        let new = Arc::new(new);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        fetched.map(|_| new).map_err(|_| UNREACHABLE)
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let response = self.client.get(&self.config.url).send().await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("answered {}", response.status()));
        }
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
            if body.len() > JWKS_BYTES_MAX {
                return Err(format!("more than {JWKS_BYTES_MAX} bytes"));
            }
        }
        parse(&body)
    }
}

const UNREACHABLE: ChatError = ChatError::Unavailable("the identity provider's keys can't be had at the moment");

fn is_within(then_ms: Option<u64>, span_ms: u64, now_ms: u64) -> bool {
    then_ms.is_some_and(|then_ms| now_ms.abs_diff(then_ms) < span_ms)
}

/// The keys of a set that can verify what we accept; others are nothing to us.
fn parse(body: &[u8]) -> Result<Vec<Key>, String> {
    // One key at a time: a key of a kind that the library does not know must not cost us the others.
    #[derive(serde::Deserialize)]
    struct Raw {
        keys: Vec<serde_json::Value>,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|error| format!("not a key set: {error}"))?;
    let jwks = raw.keys.into_iter().take(JWKS_KEYS_MAX).filter_map(|key| serde_json::from_value(key).ok());
    let set = JwkSet { keys: jwks.collect() };
    Ok(set.keys.iter().filter_map(key).collect())
}

fn key(jwk: &Jwk) -> Option<Key> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        _ => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(Key { kid: jwk.common.key_id.clone(), algorithm, key })
}

impl Known {
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let mut fitting =
            self.keys.iter().filter(|key| key.algorithm == algorithm && (kid.is_none() || key.kid.as_deref() == kid));
        let found = fitting.next()?;
        let certain = kid.is_some() || fitting.next().is_none();
        certain.then(|| found.key.clone())
    }
}
