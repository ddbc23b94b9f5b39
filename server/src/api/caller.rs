//! Who calls, and whether they call too often.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use suda_schema::limits::TOKEN_BYTES_MAX;
use suda_schema::{ErrorCode, WireError};

use super::Api;
use super::error::{ApiError, ApiResult};
use crate::chat::auth::session::{self, DeviceHint};
use crate::rate::{Rate, What, Who};

/// How often may be called.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApiRates {
    /// Calls from one address, whoever makes them.
    pub address: Rate,
    /// Calls of one user.
    pub user: Rate,
    /// Sends of one user, here and on links.
    pub send: Rate,
    /// Passwords tried from one address.
    pub login_address: Rate,
    /// Passwords tried for one handle.
    pub login_handle: Rate,
    /// Accounts made from one address.
    pub sign_up_address: Rate,
}

impl Default for ApiRates {
    fn default() -> Self {
        Self {
            address: Rate::new(1_000, 200.0),
            user: Rate::new(400, 50.0),
            send: Rate::new(200, 50.0),
            login_address: Rate::new(30, 0.5),
            login_handle: Rate::new(10, 0.1),
            sign_up_address: Rate::new(20, 0.1),
        }
    }
}

/// The header in which a client names its device, where the token of an identity provider does not.
const DEVICE_KEY: &str = "x-device-key";
/// The header in which it names the device for people.
const DEVICE_NAME: &str = "x-device-name";

/// Somebody of whom only the address is known.
pub(super) struct Stranger {
    address: IpAddr,
}

impl Stranger {
    /// Any call.
    pub(super) fn may_call(&self, api: &Api) -> ApiResult<()> {
        take(api, What::Http, Who::address(self.address), api.config().rates.address)
    }

    /// Making an account.
    pub(super) fn may_sign_up(&self, api: &Api) -> ApiResult<()> {
        self.may_call(api)?;
        take(api, What::SignUp, Who::address(self.address), api.config().rates.sign_up_address)
    }

    /// Trying a password for a handle, whether it exists or not.
    pub(super) fn may_try_password(&self, api: &Api, handle: &str) -> ApiResult<()> {
        self.may_call(api)?;
        let rates = &api.config().rates;
        take(api, What::Login, Who::address(self.address), rates.login_address)?;
        // Longer ones exist for nobody, and must not fill the limiter.
        let handle: String = handle.chars().take(64).flat_map(char::to_lowercase).collect();
        take(api, What::Login, Who::Handle(handle), rates.login_handle)
    }
}

impl FromRequestParts<Api> for Stranger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _api: &Api) -> ApiResult<Self> {
        let address = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| client.ip());
        // A listener that names no peer is one of a test's, or a bug: all of its callers count as one.
        Ok(Self { address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) })
    }
}

/// A device that is logged in, and may call.
pub(super) struct Caller(session::Caller);

impl Caller {
    /// Sending, by whatever way: links count into the same bucket.
    pub(super) fn may_send(&self, api: &Api) -> ApiResult<()> {
        take(api, What::Send, Who::User(self.user), api.config().rates.send)
    }

    /// Trying one's own password.
    pub(super) fn may_try_password(&self, api: &Api) -> ApiResult<()> {
        take(api, What::Login, Who::User(self.user), api.config().rates.login_handle)
    }
}

impl Deref for Caller {
    type Target = session::Caller;
    fn deref(&self) -> &session::Caller {
        &self.0
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> ApiResult<Self> {
        Stranger::from_request_parts(parts, api).await?.may_call(api)?;
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let token = text(header::AUTHORIZATION.as_str()).and_then(bearer);
        let Some(token) = token else {
            return Err(ApiError::new(ErrorCode::UNAUTHENTICATED, "send `Authorization: Bearer <access token>`"));
        };
        if token.len() > TOKEN_BYTES_MAX {
            return Err(ApiError::new(ErrorCode::TOO_LARGE, format!("a token has at most {TOKEN_BYTES_MAX} bytes")));
        }
        let name = text(DEVICE_NAME).unwrap_or_default();
        let hint = DeviceHint { key: text(DEVICE_KEY), name, ..DeviceHint::default() };
        let caller = api.chat().authorize(token, hint).await?;
        take(api, What::Http, Who::User(caller.user), api.config().rates.user)?;
        Ok(Self(caller))
    }
}

/// The token of `Bearer <token>`; the scheme's name is in any case.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn take(api: &Api, what: What, who: Who, rate: Rate) -> ApiResult<()> {
    api.limiter()
        .take(what, who, rate)
        .map_err(|too_often| WireError::new(ErrorCode::RATE_LIMITED, "too often").retry_after(too_often.wait_ms).into())
}
