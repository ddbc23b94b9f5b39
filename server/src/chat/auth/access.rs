//! Access tokens: JWTs signed with HS256 by keys that are kept in the store, so that every node verifies every node's.
//!
//! A token is verified without reading the store, except that the keys are read again each minute, which is how long
//! a node may take to notice a rotation. Whether the device behind the token still may is asked apart, see
//! [`session`](super::session).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use suda_schema::limits::TOKEN_BYTES_MAX;
use suda_schema::{DeviceId, UserId};

use crate::chat::{Chat, ChatError, Row, Tx, tx};
use crate::store::keys;

/// What our own tokens say they are, to be told from those of an identity provider.
const TYPE: &str = "suda+jwt";
const ISSUER: &str = "suda";
/// How old the keys in memory may become.
const KEYS_AGE_MS_MAX: u64 = 60_000;
/// How often the keys are read because of a token with an unknown key, at most.
const KEYS_REREAD_MS: u64 = 1_000;
/// How many keys are kept. A rotation forgets those before.
const KEYS_MAX: usize = 8;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    sub: UserId,
    dev: DeviceId,
    /// Which generation of the device's tokens: a change of the password begins a new one.
    #[serde(rename = "gen")]
    generation: u32,
    /// When it was made, in milliseconds: JWT's own claims are in seconds.
    iat_ms: u64,
    exp_ms: u64,
    iat: u64,
    exp: u64,
}

/// What an access token says, once it is known to be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Whose.
    pub user: UserId,
    /// Which device's.
    pub device: DeviceId,
    /// Which generation of the device's tokens.
    pub generation: u32,
    /// When it was made.
    pub issued_at_ms: u64,
    /// When it runs out.
    pub expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct KeyRow {
    secret: [u8; 32],
    made_at_ms: u64,
}

impl Row for KeyRow {
    const NAME: &'static str = "signing key";
}

/// The signing keys as this node knows them.
#[derive(Default)]
pub(crate) struct AccessKeys {
    known: RwLock<Arc<KeySet>>,
}

#[derive(Default)]
pub(super) struct KeySet {
    keys: BTreeMap<u32, [u8; 32]>,
    read_at_ms: Option<u64>,
}

impl KeySet {
    fn is_younger_than(&self, age_ms: u64, now_ms: u64) -> bool {
        self.read_at_ms.is_some_and(|read_at_ms| now_ms.abs_diff(read_at_ms) < age_ms)
    }
}

impl Chat {
    /// Signs an access token with the newest key.
    pub(crate) async fn sign_access(&self, access: &Access) -> Result<String, ChatError> {
        let keys = self.signing_keys(None).await?;
        let (kid, secret) = keys.keys.last_key_value().ok_or(ChatError::Internal("there is no signing key"))?;
        let header = Header {
            typ: Some(TYPE.to_owned()),
            alg: Algorithm::HS256,
            kid: Some(kid.to_string()),
            ..Header::default()
        };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: access.user,
            dev: access.device,
            generation: access.generation,
            iat_ms: access.issued_at_ms,
            exp_ms: access.expires_at_ms,
            iat: access.issued_at_ms / 1_000,
            exp: access.expires_at_ms / 1_000,
        };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret))
            .map_err(|_| ChatError::Internal("a token can't be signed"))
    }

    /// What an access token of ours says; `None` if it is not one of ours. One that ran out is an error.
    pub(crate) async fn verify_access(&self, token: &str) -> Result<Option<Access>, ChatError> {
        const WRONG: ChatError = ChatError::Unauthenticated("the access token is not valid");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(WRONG);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| WRONG)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Ok(None);
        }
        let kid: u32 = header.kid.and_then(|kid| kid.parse().ok()).ok_or(WRONG)?;
        let keys = self.signing_keys(Some(kid)).await?;
        let secret = keys.keys.get(&kid).ok_or(WRONG)?;
        let claims: Claims =
            jsonwebtoken::decode(token, &DecodingKey::from_secret(secret), &validation()).map_err(|_| WRONG)?.claims;
        if claims.iss != ISSUER {
            return Err(WRONG);
        }
        if claims.exp_ms <= self.clock().now_ms() {
            return Err(ChatError::TokenExpired);
        }
        Ok(Some(Access {
            user: claims.sub,
            device: claims.dev,
            generation: claims.generation,
            issued_at_ms: claims.iat_ms,
            expires_at_ms: claims.exp_ms,
        }))
    }

    /// Makes a new signing key. Tokens of the old ones stay good until they run out, unless those keys are forgotten:
    /// for when a key has become known.
    pub async fn rotate_signing_key(&self, forget_old: bool) -> Result<u32, ChatError> {
        let secret = self.clock().random();
        let kid = self.run(|tx| async move { add_key(&tx, secret, forget_old).await }).await?;
        self.read_signing_keys().await?;
        Ok(kid)
    }

    /// The keys, read again if they are too old, or if the one that is wanted is not among them.
    async fn signing_keys(&self, wanted: Option<u32>) -> Result<Arc<KeySet>, ChatError> {
        let known = Arc::clone(&self.auth().access.known.read().unwrap_or_else(PoisonError::into_inner));
        let now_ms = self.clock().now_ms();
        let has_it = wanted.map_or(!known.keys.is_empty(), |kid| known.keys.contains_key(&kid));
        let age_ms_max = if has_it { KEYS_AGE_MS_MAX } else { KEYS_REREAD_MS };
        if known.is_younger_than(age_ms_max, now_ms) {
            return Ok(known);
        }
        self.read_signing_keys().await
    }

    pub(super) async fn read_signing_keys(&self) -> Result<Arc<KeySet>, ChatError> {
        let mut keys = self.read(|tx| async move { all_keys(&tx).await }).await?;
        if keys.is_empty() {
            let secret = self.clock().random();
            keys = self
                .run_idempotent(|tx| async move {
                    // Another node may have been faster.
                    if all_keys(&tx).await?.is_empty() {
                        add_key(&tx, secret, false).await?;
                    }
                    all_keys(&tx).await
                })
                .await?;
        }
        let read = Arc::new(KeySet { keys, read_at_ms: Some(self.clock().now_ms()) });
        *self.auth().access.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&read);
        Ok(read)
    }
}

async fn all_keys(tx: &Tx) -> Result<BTreeMap<u32, [u8; 32]>, ChatError> {
    let page = tx.range(keys::signing_keys().limit(2 * KEYS_MAX)).await?;
    let decode = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
        let kid = keys::signing_key_of(key).ok_or(ChatError::BadRow("signing key"))?;
        Ok((kid, tx::decode_row::<KeyRow>(value)?.secret))
    };
    page.rows.iter().map(decode).collect()
}

async fn add_key(tx: &Tx, secret: [u8; 32], forget_old: bool) -> Result<u32, ChatError> {
    let old = all_keys(tx).await?;
    let kid = old.last_key_value().map_or(1, |(kid, _)| kid.saturating_add(1));
    let kept = if forget_old { 0 } else { KEYS_MAX - 1 };
    for (old, _) in old.iter().rev().skip(kept) {
        tx.clear(keys::signing_key(*old));
    }
    tx.set_row(keys::signing_key(kid), &KeyRow { secret, made_at_ms: tx.now_ms() });
    Ok(kid)
}

/// Only HS256, and nothing by the machine's clock: time is ours to check.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}
