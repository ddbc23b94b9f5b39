//! The browsers' services: RFC 8030, encrypted by RFC 8291, signed by RFC 8292 (VAPID). Where a push goes is named by the
//! client, so only public addresses are connected to, and no redirect is followed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::{Request, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::config::{Exempt, Hidden};
use super::outcome::Outcome;
use super::payload::{Notice, Show};
use super::wire::{Answer, Origin, Pool};
use crate::chat::push::Subscription;
use crate::clock::Clock;

/// How long a signature for a service is good; RFC 8292 allows a day.
const SIGNED_FOR_MS: u64 = 12 * 3_600_000;
/// How many services' signatures are kept.
const SIGNED_MAX: usize = 256;
/// The record's size in the header: one record holds it all.
const RECORD_BYTES: u32 = 4_096;

/// Who we are to the browsers' services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebPushConfig {
    /// The key, EC P-256, PKCS #8 in PEM.
    pub key: Hidden,
    /// Whom a service may write to: `mailto:` or `https:`.
    pub contact: String,
    /// Addresses that may be connected to though they are not public: for tests.
    pub exempt: Exempt,
    /// Whether browsers are told to take notifications away. They show a notice of their own if a push shows nothing.
    pub dismiss: bool,
}

/// The browsers' services.
pub(super) struct WebPush {
    config: WebPushConfig,
    key: EncodingKey,
    public_key: String,
    pool: Arc<Pool>,
    clock: Clock,
    signed: Mutex<HashMap<String, Signed>>,
}

#[derive(Clone)]
struct Signed {
    header: String,
    until_ms: u64,
}

/// The public half of a key in PEM, as browsers want it.
pub fn public_key(pem: &str) -> anyhow::Result<String> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).context("push.vapid_key: no PKCS #8 key in PEM")?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der());
    let pair = pair.map_err(|_| anyhow::anyhow!("push.vapid_key: no key of P-256"))?;
    Ok(BASE64.encode(pair.public_key()))
}

impl WebPush {
    pub(super) fn new(config: WebPushConfig, pool: Arc<Pool>, clock: Clock) -> anyhow::Result<Self> {
        let key = EncodingKey::from_ec_pem(config.key.0.as_bytes()).context("push.vapid_key: no EC key in PEM")?;
        let public_key = public_key(&config.key.0)?;
        anyhow::ensure!(
            config.contact.starts_with("mailto:") || config.contact.starts_with("https:"),
            "push.vapid_contact: give a mailto: or https: address"
        );
        Ok(Self { config, key, public_key, pool, clock, signed: Mutex::default() })
    }

    /// Whether it is worth pushing this.
    pub(super) fn wants(&self, notice: &Notice) -> bool {
        self.config.dismiss || notice.show != Show::Read
    }

    pub(super) async fn send(&self, token: &str, notice: &Notice) -> Outcome {
        let request = match self.request(token, notice) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match self.pool.send(request).await {
            Ok(answer) => judge(&answer),
            Err(error) => Outcome::of_error(&error),
        }
    }

    /// The request that tells a browser.
    pub(super) fn request(&self, token: &str, notice: &Notice) -> Result<Request<Full<Bytes>>, Outcome> {
        let no_subscription = || Outcome::Gone("no_subscription", None);
        let subscription = Subscription::parse(token).ok_or_else(no_subscription)?;
        let uri: Uri = subscription.endpoint.parse().map_err(|_| no_subscription())?;
        let origin = Origin::of(&uri).ok_or_else(no_subscription)?;
        let body = seal(&subscription, notice.webpush().to_string().as_bytes(), &self.clock);
        let body = body.map_err(|BadKey| Outcome::Gone("bad_key", None))?;
        let authorization = self.sign(&origin.text()).map_err(|_| Outcome::Down("can't sign".to_owned(), None))?;
        let request = Request::post(uri)
            .header("authorization", authorization)
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", notice.ttl_s(self.clock.now_ms()))
            .header("urgency", if notice.show == Show::Read { "low" } else { "high" })
            .header("topic", notice.collapse_id())
            .body(Full::new(Bytes::from(body)));
        request.map_err(|_| no_subscription())
    }

    fn sign(&self, origin: &str) -> Result<String, jsonwebtoken::errors::Error> {
        let now_ms = self.clock.now_ms();
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        // Half of its life early: what is under way arrives with a good one.
        if let Some(known) = signed.get(origin).filter(|known| now_ms + SIGNED_FOR_MS / 2 < known.until_ms) {
            return Ok(known.header.clone());
        }
        let until_ms = now_ms + SIGNED_FOR_MS;
        let claims = json!({ "aud": origin, "exp": until_ms / 1_000, "sub": self.config.contact });
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &self.key)?;
        let header = format!("vapid t={token}, k={}", self.public_key);
        if signed.len() >= SIGNED_MAX {
            signed.clear();
        }
        signed.insert(origin.to_owned(), Signed { header: header.clone(), until_ms });
        Ok(header)
    }
}

fn judge(answer: &Answer) -> Outcome {
    let status = answer.status.as_u16();
    let why = format!("status_{status}");
    match status {
        200..=299 => Outcome::Sent,
        404 => Outcome::Gone("status_404", None),
        410 => Outcome::Gone("status_410", None),
        429 => Outcome::Later(why, answer.retry_after_ms),
        500.. => Outcome::Down(why, answer.retry_after_ms),
        _ => Outcome::Refused(why),
    }
}

struct Bytes16<const N: usize>;

impl<const N: usize> KeyType for Bytes16<N> {
    fn len(&self) -> usize {
        N
    }
}

/// Something went wrong with keys; which ones is nobody's business.
struct BadKey;

fn derive<const N: usize>(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Result<[u8; N], BadKey> {
    let mut out = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(ikm);
    key.expand(info, Bytes16::<N>).and_then(|okm| okm.fill(&mut out)).map_err(|_| BadKey)?;
    Ok(out)
}

/// Encrypts for a browser, with a key and a salt that are used once.
fn seal(subscription: &Subscription, text: &[u8], clock: &Clock) -> Result<Vec<u8>, BadKey> {
    let own = PrivateKey::generate(&ECDH_P256).map_err(|_| BadKey)?;
    seal_with(subscription, text, &own, clock.random())
}

fn seal_with(subscription: &Subscription, text: &[u8], own: &PrivateKey, salt: [u8; 16]) -> Result<Vec<u8>, BadKey> {
    let decode = |text: &str| BASE64.decode(text.trim_end_matches('=')).map_err(|_| BadKey);
    let (theirs, auth) = (decode(&subscription.keys.p256dh)?, decode(&subscription.keys.auth)?);
    let own_public = own.compute_public_key().map_err(|_| BadKey)?;
    let own_public = own_public.as_ref();
    let ikm: [u8; 32] = agree(own, UnparsedPublicKey::new(&ECDH_P256, &theirs), BadKey, |secret| {
        derive(&auth, secret, &[b"WebPush: info\0", &theirs, own_public])
    })?;
    let key: [u8; 16] = derive(&salt, &ikm, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = derive(&salt, &ikm, &[b"Content-Encoding: nonce\0"])?;
    // The last record's delimiter; no padding.
    let mut record = [text, &[2]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| BadKey)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record).map_err(|_| BadKey)?;
    let key_len = u8::try_from(own_public.len()).map_err(|_| BadKey)?;
    Ok([&salt[..], &RECORD_BYTES.to_be_bytes(), &[key_len], own_public, &record].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::push::SubscriptionKeys;

    /// The example of RFC 8291, appendix A.
    #[test]
    fn it_is_sealed_as_the_standard_says() {
        let decode = |text: &str| BASE64.decode(text).unwrap();
        let subscription = Subscription {
            endpoint: "https://push.example/".to_owned(),
            keys: SubscriptionKeys {
                p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
                    .to_owned(),
                auth: "BTBZMqHH6r4Tts7J_aSIgg".to_owned(),
            },
        };
        let own =
            PrivateKey::from_private_key(&ECDH_P256, &decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")).unwrap();
        let salt = decode("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let sealed = seal_with(&subscription, b"When I grow up, I want to be a watermelon", &own, salt);
        assert_eq!(
            BASE64.encode(sealed.ok().unwrap()),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }
}
