//! The HTTP API: one function a request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use suda_schema::{ErrorCode, WireError};

use super::error::Error;
use super::network::Network;
use super::tls;
use super::types::{Login, NewDevice};
use crate::core::config::CANDIDATES_MAX;
use crate::core::io::{Candidate, Kind};

/// How long a request may take, from connecting to the last byte.
const WITHIN: Duration = Duration::from_secs(20);
/// The same for an answer that is read as it comes, such as an export.
const LONG_WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How often a request whose answer was lost is made again where that does no harm.
const TRIES_MAX: u32 = 3;
/// How long to wait before that.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// The HTTP API of one server, as one device.
pub(super) struct Api {
    base: Url,
    http: reqwest::Client,
    pinned: Vec<[u8; 32]>,
    login: Mutex<Option<Login>>,
    /// A refresh token works once: one refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
    /// Keeps a login beyond the life of the app.
    keep: Mutex<Option<Keep>>,
}

type Keep = Box<dyn Fn(Option<&Login>) + Send + Sync>;

#[derive(serde::Deserialize)]
struct Discovery {
    links: Vec<Link>,
    #[serde(default)]
    certificate_hashes: Vec<Hash>,
}

#[derive(serde::Deserialize)]
struct Link {
    kind: String,
    url: String,
}

#[derive(serde::Deserialize)]
struct Hash {
    algorithm: String,
    value: String,
}

/// The library's client: connections that many clients of a process share.
pub(super) fn connections(pinned: &[[u8; 32]]) -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .use_preconfigured_tls(tls::config(pinned, &[b"h2", b"http/1.1"])?)
        .timeout(WITHIN)
        .connect_timeout(CONNECT_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::System(error.to_string()))
}

impl Api {
    pub(super) fn new(base: &str, pinned: Vec<[u8; 32]>, network: &Network) -> Result<Self, Error> {
        let base = Url::parse(base).map_err(|error| Error::BadUrl(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(Error::BadUrl(base.to_string()));
        }
        let http = network.http(&pinned)?;
        Ok(Self {
            base,
            http,
            pinned,
            login: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
            keep: Mutex::default(),
        })
    }

    pub(super) fn keep_with(&self, keep: Keep) {
        *self.keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(keep);
    }

    pub(super) fn login(&self) -> Option<Login> {
        self.login.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_login(&self, login: Option<Login>) {
        if let Some(keep) = &*self.keep.lock().unwrap_or_else(PoisonError::into_inner) {
            keep(login.as_ref());
        }
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
    }

    /// Where the node takes links, and which certificates to trust there.
    pub(super) async fn discover(&self) -> Result<Vec<Candidate>, Error> {
        let discovery: Discovery = self.send(Method::GET, "discovery", None, None).await?;
        let sha256 = |hash: &Hash| (hash.algorithm == "sha-256").then(|| from_hex(&hash.value)).flatten();
        let mut hashes: Vec<[u8; 32]> = discovery.certificate_hashes.iter().filter_map(sha256).collect();
        hashes.extend(self.pinned.iter().filter(|pinned| !hashes.contains(pinned)).copied().collect::<Vec<_>>());
        let candidate = |link: Link| {
            let kind = match link.kind.as_str() {
                "quic" => Kind::Quic,
                "webtransport" => Kind::WebTransport,
                "websocket" => Kind::WebSocket,
                _ => return None,
            };
            // What came over TLS does not lead to a link without it.
            let plain = link.url.starts_with("ws:") && self.base.scheme() == "https";
            (!plain).then(|| Candidate { kind, url: link.url, certificate_hashes: hashes.clone() })
        };
        Ok(discovery.links.into_iter().filter_map(candidate).take(CANDIDATES_MAX).collect())
    }

    pub(super) async fn sign_up(
        &self,
        handle: &str,
        password: &str,
        display_name: &str,
        device: &NewDevice,
    ) -> Result<Login, Error> {
        let body = json!({ "handle": handle, "password": password, "display_name": display_name, "device": device });
        self.send(Method::POST, "accounts", None, Some(&body)).await
    }

    pub(super) async fn log_in(&self, handle: &str, password: &str, device: &NewDevice) -> Result<Login, Error> {
        let body = json!({ "handle": handle, "password": password, "device": device });
        self.send(Method::POST, "login", None, Some(&body)).await
    }

    /// A login with fresh tokens. `used` is the access token that was not good enough; if there is another one by now,
    /// that is it.
    pub(super) async fn refresh(&self, used: Option<&str>) -> Result<Login, Error> {
        let _one = self.refreshing.lock().await;
        let login = self.login().ok_or(Error::NotLoggedIn)?;
        if used.is_some_and(|used| used != login.access) {
            return Ok(login);
        }
        let body = json!({ "refresh": login.refresh });
        // The server gives the same answer again for a while, if the first one was lost.
        let fresh: Login = self.patiently(Method::POST, "refresh", None, Some(&body)).await?;
        self.set_login(Some(fresh.clone()));
        Ok(fresh)
    }

    /// A request that may be made twice without harm, as the one logged in.
    pub(super) async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Error> {
        self.authorized(method, path, None, true).await
    }

    /// The same with a body.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.authorized(method, path, Some(&to_value(body)?), true).await
    }

    /// A request that is made once.
    pub(super) async fn once<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        self.authorized(method, path, body, false).await
    }

    async fn authorized<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patient: bool,
    ) -> Result<T, Error> {
        let mut login = self.login().ok_or(Error::NotLoggedIn)?;
        let mut renewed = false;
        loop {
            let access = Some(login.access.as_str());
            let answer = match patient {
                true => self.patiently(method.clone(), path, access, body).await,
                false => self.send(method.clone(), path, access, body).await,
            };
            match answer {
                Err(error) if error.code() == Some(ErrorCode::TOKEN_EXPIRED) && !renewed => {
                    renewed = true;
                    login = self.refresh(Some(&login.access)).await?;
                }
                answer => return answer,
            }
        }
    }

    async fn patiently<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let mut tries = 1;
        loop {
            match self.send(method.clone(), path, access, body).await {
                Err(Error::Unreachable(_)) if tries < TRIES_MAX => {
                    tokio::time::sleep(TRY_AGAIN_AFTER * tries).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    /// An answer that is read as it comes, however long that takes.
    pub(super) async fn open(&self, path: &str) -> Result<reqwest::Response, Error> {
        let mut login = self.login().ok_or(Error::NotLoggedIn)?;
        let mut renewed = false;
        loop {
            let request = self.request(Method::GET, path).bearer_auth(&login.access).timeout(LONG_WITHIN);
            let answer = request.send().await.map_err(unreachable)?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            let status = answer.status();
            match read::<()>(status, &whole(answer).await?) {
                Err(error) if error.code() == Some(ErrorCode::TOKEN_EXPIRED) && !renewed => {
                    renewed = true;
                    login = self.refresh(Some(&login.access)).await?;
                }
                Err(error) => return Err(error),
                Ok(()) => return Err(Error::BadAnswer(status.to_string())),
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/v1/{path}", self.base.as_str().trim_end_matches('/')))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let mut request = self.request(method, path);
        if let Some(access) = access {
            request = request.bearer_auth(access);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(unreachable)?;
        read(answer.status(), &whole(answer).await?)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn unreachable(error: reqwest::Error) -> Error {
    Error::Unreachable(error.to_string())
}

async fn whole(mut answer: reqwest::Response) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Error::BadAnswer("it is too long".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn to_value(body: &impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(body).map_err(|error| Error::System(error.to_string()))
}

fn read<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<T, Error> {
    if status.is_success() {
        // 204 has no body, and `()` reads as null.
        let bytes = if bytes.is_empty() { b"null" } else { bytes };
        return serde_json::from_slice(bytes).map_err(|error| Error::BadAnswer(error.to_string()));
    }
    match serde_json::from_slice::<WireError>(bytes) {
        Ok(error) => Err(Error::Refused(error)),
        // A proxy in between.
        Err(_) if status.is_server_error() => Err(Error::Unreachable(status.to_string())),
        Err(_) => Err(Error::BadAnswer(status.to_string())),
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(hash)
}
