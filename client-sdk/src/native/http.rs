//! The HTTP API: one function a request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use suda_schema::{ErrorCode, WireError};

use super::error::Error;
use super::network::Network;
use super::nodes::{Base, Bases, Discovery};
use super::tls;
use super::types::{Login, NewDevice};
use crate::core::io::Candidate;

/// How long a request may take, from connecting to the last byte.
const WITHIN: Duration = Duration::from_secs(20);
/// The same for an answer that is read as it comes, such as an export.
const LONG_WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long one node is asked for discovery alone before the next one is asked as well.
const ASK_ANOTHER_AFTER: Duration = Duration::from_secs(1);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How often a request whose answer was lost is made again where that does no harm.
const TRIES_MAX: u32 = 3;
/// How long to wait before that.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(300);

/// The HTTP API of one server, as one device.
pub(super) struct Api {
    bases: Bases,
    network: Network,
    login: Mutex<Option<Login>>,
    /// A refresh token works once: one refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
    /// Keeps a login beyond the life of the app.
    keep: Mutex<Option<Keep>>,
}

type Keep = Box<dyn Fn(Option<&Kept>) + Send + Sync>;

/// What is kept of a login: with it, where else the server is to be found.
#[derive(Serialize, serde::Deserialize)]
pub(super) struct Kept {
    #[serde(flatten)]
    pub(super) login: Login,
    #[serde(default)]
    pub(super) nodes: Vec<Base>,
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
        let url = Url::parse(base).map_err(|error| Error::BadUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Error::BadUrl(url.to_string()));
        }
        // What can't be made is told now.
        network.http(&pinned)?;
        Ok(Self {
            bases: Bases::new(url, pinned),
            network: network.clone(),
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
        self.keep(login.as_ref());
        *self.login.lock().unwrap_or_else(PoisonError::into_inner) = login;
    }

    fn keep(&self, login: Option<&Login>) {
        if let Some(keep) = &*self.keep.lock().unwrap_or_else(PoisonError::into_inner) {
            let kept = login.map(|login| Kept { login: login.clone(), nodes: self.bases.others() });
            keep(kept.as_ref());
        }
    }

    /// Goes on with what was kept.
    pub(super) fn knows(&self, nodes: Vec<Base>) {
        self.bases.learn(nodes);
    }

    /// Where nodes take links, and which certificates to trust there. Nodes that are known from before are asked as well
    /// where the one that is asked first does not answer.
    pub(super) async fn discover(&self) -> Result<Vec<Candidate>, Error> {
        let mut bases = self.bases.in_order().into_iter();
        let mut asking = FuturesUnordered::new();
        let mut failed = None;
        loop {
            let next = bases.next();
            asking.extend(next.clone().map(|base| self.discover_at(base)));
            let answer = match &next {
                None => asking.next().await,
                Some(base) => match tokio::time::timeout(ASK_ANOTHER_AFTER, asking.next()).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        self.bases.failed(base);
                        continue;
                    }
                },
            };
            match answer {
                Some(Ok(candidates)) => return Ok(candidates),
                // What the first one has said is most to the point.
                Some(Err(error)) => drop(failed.get_or_insert(error)),
                None => return Err(failed.unwrap_or_else(no_node)),
            }
        }
    }

    async fn discover_at(&self, base: Base) -> Result<Vec<Candidate>, Error> {
        let answer = self.request(&base, Method::GET, "discovery")?.send().await.map_err(unreachable);
        let answer = answer.inspect_err(|_| self.bases.failed(&base))?;
        let discovery: Discovery = read(answer.status(), &whole(answer).await?)?;
        let (candidates, others) = discovery.read(&base.url, self.bases.pinned());
        if self.bases.learn(others) {
            self.keep(self.login().as_ref());
        }
        Ok(candidates)
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
                // The next try is with another node, if one is known.
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
            let make = |base: &Base| {
                let request = self.request(base, Method::GET, path)?;
                Ok(request.bearer_auth(&login.access).timeout(LONG_WITHIN))
            };
            let (_, answer) = self.answer(make).await?;
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

    fn request(&self, base: &Base, method: Method, path: &str) -> Result<reqwest::RequestBuilder, Error> {
        let http = self.network.http(&base.hashes)?;
        Ok(http.request(method, format!("{}/v1/{path}", base.url.as_str().trim_end_matches('/'))))
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<&Value>,
    ) -> Result<T, Error> {
        let make = |base: &Base| {
            let mut request = self.request(base, method.clone(), path)?;
            if let Some(access) = access {
                request = request.bearer_auth(access);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            Ok(request)
        };
        let (base, answer) = self.answer(make).await?;
        let status = answer.status();
        let answer = whole(answer).await.and_then(|bytes| read(status, &bytes));
        if matches!(answer, Err(Error::Unreachable(_))) {
            self.bases.failed(&base);
        }
        answer
    }

    /// The answer of the first node that can be connected to. Where that failed nothing was asked, so asking another one
    /// does no harm. Where the answer was lost the request is not made again here, but whatever comes next goes elsewhere.
    async fn answer(
        &self,
        make: impl Fn(&Base) -> Result<reqwest::RequestBuilder, Error>,
    ) -> Result<(Base, reqwest::Response), Error> {
        let mut failed = None;
        for base in self.bases.in_order() {
            match make(&base)?.send().await {
                Ok(answer) => return Ok((base, answer)),
                Err(error) => {
                    self.bases.failed(&base);
                    let was_asked = !error.is_connect();
                    let error = unreachable(error);
                    if was_asked {
                        return Err(error);
                    }
                    failed = failed.or(Some(error));
                }
            }
        }
        Err(failed.unwrap_or_else(no_node))
    }
}

fn no_node() -> Error {
    Error::Unreachable("no node is known".to_owned())
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
