//! A browser, and what its push service checks: VAPID, and that the message can be decrypted.

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::request::Parts;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;

use super::Taken;
use super::serve::{header, host, now_s};

/// A browser that has subscribed.
#[derive(Clone)]
pub struct Browser {
    key: Arc<PrivateKey>,
    auth: [u8; 16],
}

#[derive(Deserialize)]
struct Claims {
    exp: u64,
    sub: String,
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(salt: &[u8], ikm: &[u8], info: &[&[u8]], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    Salt::new(HKDF_SHA256, salt).extract(ikm).expand(info, Len(len)).unwrap().fill(&mut out).unwrap();
    out
}

impl Browser {
    pub(super) fn new() -> Self {
        Self { key: Arc::new(PrivateKey::generate(&ECDH_P256).unwrap()), auth: *b"sixteen bytes of" }
    }

    pub(super) fn subscription(&self, endpoint: &str) -> String {
        let p256dh = BASE64.encode(self.key.compute_public_key().unwrap());
        json!({ "endpoint": endpoint, "expirationTime": null, "keys": { "p256dh": p256dh, "auth": BASE64.encode(self.auth) } })
            .to_string()
    }

    pub(super) fn take(
        &self,
        head: &Parts,
        body: &Bytes,
        origin: &str,
        vapid: &[u8],
        name: &str,
    ) -> Result<Taken, String> {
        let (token, key) = header(head, "authorization")?
            .strip_prefix("vapid t=")
            .and_then(|rest| rest.split_once(", k="))
            .ok_or("no VAPID")?;
        if BASE64.decode(key).ok().as_deref() != Some(vapid) {
            return Err("another key".to_owned());
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[origin]);
        let key = DecodingKey::from_ec_der(vapid);
        let claims =
            jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|error| error.to_string())?.claims;
        if claims.exp > now_s() + 86_400 || !claims.sub.starts_with("mailto:") {
            return Err("not as RFC 8292 wants it".to_owned());
        }
        let topic = header(head, "topic")?.to_owned();
        let known = header(head, "content-encoding")? == "aes128gcm"
            && header(head, "ttl")?.parse::<u64>().is_ok()
            && ["very-low", "low", "normal", "high"].contains(&header(head, "urgency")?)
            && topic.len() <= 32;
        if !known {
            return Err(format!("not as RFC 8030 wants it: {:?}", head.headers));
        }
        let text = self.open(body).ok_or("it can't be decrypted")?;
        let payload = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let (token, collapse_id) = (name.to_owned(), topic);
        Ok(Taken { provider: "webpush", host: host(head), token, collapse_id, payload, at: Instant::now() })
    }

    fn open(&self, body: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = body.split_at_checked(16)?;
        let (_record_bytes, rest) = rest.split_at_checked(4)?;
        let (len, rest) = rest.split_first()?;
        let (sender, record) = rest.split_at_checked(usize::from(*len))?;
        let own = self.key.compute_public_key().ok()?;
        let ikm = agree(&self.key, UnparsedPublicKey::new(&ECDH_P256, sender), (), |secret| {
            Ok(derive(&self.auth, secret, &[b"WebPush: info\0", own.as_ref(), sender], 32))
        });
        let ikm = ikm.ok()?;
        let key = derive(salt, &ikm, &[b"Content-Encoding: aes128gcm\0"], 16);
        let nonce = derive(salt, &ikm, &[b"Content-Encoding: nonce\0"], 12);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
        let mut record = record.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let text = key.open_in_place(nonce, Aad::empty(), &mut record).ok()?;
        let (delimiter, text) = text.split_last()?;
        (*delimiter == 2).then(|| text.to_vec())
    }
}
