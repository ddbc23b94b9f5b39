//! Signing up, logging in and out, and the end of an account.

use axum::Json as JsonBody;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use suda_schema::{DeviceId, UserId, WireError};
use utoipa::ToSchema;

use super::Api;
use super::caller::{Caller, Stranger};
use super::error::ApiResult;
use super::extract::Json;
use super::routes::Routes;
use crate::chat::ChatError;
use crate::chat::accounts::SignUp;
use crate::chat::auth::Login;
use crate::chat::devices::NewDevice;

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .post("/v1/accounts", sign_up)
        .post("/v1/login", login)
        .post("/v1/refresh", refresh)
        .post("/v1/logout", log_out)
        .put("/v1/account/password", change_password)
        .delete("/v1/account", delete_account)
        .get("/v1/account/export", export)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(sign_up, login, refresh, log_out, change_password, delete_account, export))]
pub(super) struct Doc;

/// Handle and password, and the device that logs in.
#[derive(Deserialize, ToSchema)]
struct LoginRequest {
    /// The handle, in upper or lower case.
    handle: String,
    /// The password.
    password: String,
    /// What the device says about itself.
    device: NewDevice,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
struct RefreshRequest {
    /// The newest one that the device was given.
    refresh: String,
}

/// The password that was, and the one that is to be.
#[derive(Deserialize, ToSchema)]
struct PasswordChange {
    /// The password until now.
    old: String,
    /// The new one: 8 to 1024 bytes.
    new: String,
}

/// What it takes to delete an account.
#[derive(Deserialize, ToSchema)]
struct Deletion {
    /// The password, once more. Not for accounts of an identity provider, which have none.
    #[serde(default)]
    password: Option<String>,
}

/// A device that is logged in.
#[derive(Serialize, ToSchema)]
pub(super) struct LoggedIn {
    /// Whose.
    user: UserId,
    /// Which.
    device: DeviceId,
    /// Goes into `Authorization: Bearer …`, and into `hello` on a link.
    access: String,
    /// When it runs out.
    access_expires_at_ms: u64,
    /// Gets a new pair from `POST /v1/refresh`, once. Keep it as safe as a password.
    refresh: String,
    /// When it runs out.
    refresh_expires_at_ms: u64,
    /// Devices that were logged out by this.
    logged_out: Vec<DeviceId>,
}

impl From<Login> for JsonBody<LoggedIn> {
    fn from(login: Login) -> Self {
        let Login { user, device, tokens, logged_out } = login;
        Self(LoggedIn {
            user,
            device,
            access: tokens.access,
            access_expires_at_ms: tokens.access_expires_at_ms,
            refresh: tokens.refresh,
            refresh_expires_at_ms: tokens.refresh_expires_at_ms,
            logged_out,
        })
    }
}

/// Make an account
///
/// The device that makes it is logged in at once.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", request_body = SignUp, responses(
    (status = 201, body = LoggedIn),
    (status = 409, body = WireError, description = "`conflict`: the handle is taken"),
    (status = "default", body = WireError),
))]
async fn sign_up(
    State(api): State<Api>,
    stranger: Stranger,
    Json(request): Json<SignUp>,
) -> ApiResult<(StatusCode, JsonBody<LoggedIn>)> {
    stranger.may_sign_up(&api)?;
    Ok((StatusCode::CREATED, api.chat().sign_up(&request).await?.into()))
}

/// Log a new device in
#[utoipa::path(post, path = "/v1/login", tag = "accounts", request_body = LoginRequest, responses(
    (status = 200, body = LoggedIn),
    (status = 401, body = WireError, description = "`wrong_credentials`: which of them is never said"),
    (status = "default", body = WireError),
))]
async fn login(
    State(api): State<Api>,
    stranger: Stranger,
    Json(request): Json<LoginRequest>,
) -> ApiResult<JsonBody<LoggedIn>> {
    stranger.may_try_password(&api, &request.handle)?;
    Ok(api.chat().login(&request.handle, &request.password, &request.device).await?.into())
}

/// Get a new pair of tokens
///
/// The refresh token is used up. One that is used again later logs the device out, because somebody has stolen it.
#[utoipa::path(post, path = "/v1/refresh", tag = "accounts", request_body = RefreshRequest, responses(
    (status = 200, body = LoggedIn),
    (status = 401, body = WireError, description = "`unauthenticated`: log in again"),
    (status = "default", body = WireError),
))]
async fn refresh(
    State(api): State<Api>,
    stranger: Stranger,
    Json(request): Json<RefreshRequest>,
) -> ApiResult<JsonBody<LoggedIn>> {
    stranger.may_call(&api)?;
    Ok(api.chat().refresh(&request.refresh).await?.into())
}

/// Log this device out
///
/// Its tokens are worth nothing from now on, and its links end.
#[utoipa::path(post, path = "/v1/logout", tag = "accounts", security(("token" = [])), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn log_out(State(api): State<Api>, caller: Caller) -> ApiResult<StatusCode> {
    api.chat().log_out(caller.user, caller.device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change one's password
///
/// All other devices are logged out, and this one gets new tokens.
#[utoipa::path(put, path = "/v1/account/password", tag = "accounts", security(("token" = [])),
    request_body = PasswordChange, responses(
    (status = 200, body = LoggedIn),
    (status = 401, body = WireError, description = "`wrong_credentials`: the old password is wrong"),
    (status = "default", body = WireError),
))]
async fn change_password(
    State(api): State<Api>,
    caller: Caller,
    Json(change): Json<PasswordChange>,
) -> ApiResult<JsonBody<LoggedIn>> {
    caller.may_try_password(&api)?;
    Ok(api.chat().change_password(caller.user, caller.device, &change.old, &change.new).await?.into())
}

/// Delete one's account
///
/// It is over at once, on all devices. The text of one's messages is erased, which may take a while; they keep their
/// place. The handle is never given to anybody else.
#[utoipa::path(delete, path = "/v1/account", tag = "accounts", security(("token" = [])), request_body = Deletion, responses(
    (status = 204),
    (status = 401, body = WireError, description = "`wrong_credentials`: the password is wrong"),
    (status = "default", body = WireError),
))]
async fn delete_account(
    State(api): State<Api>,
    caller: Caller,
    Json(request): Json<Deletion>,
) -> ApiResult<StatusCode> {
    caller.may_try_password(&api)?;
    api.chat().delete_account(caller.user, request.password.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everything there is of one's account
///
/// One JSON object a line, each with a `kind`: the account, devices, lists of others, channels, one's own messages. The
/// last line is `{"kind": "end"}`; without it the export broke off.
#[utoipa::path(get, path = "/v1/account/export", tag = "accounts", security(("token" = [])), responses(
    (status = 200, body = String, content_type = "application/x-ndjson"),
    (status = "default", body = WireError),
))]
async fn export(State(api): State<Api>, caller: Caller) -> ApiResult<Response> {
    // The first page is read before the answer begins, so that what is wrong can still be said as an error.
    let mut export = api.chat().export(caller.user);
    let first = export.page().await?;
    let pages = stream::try_unfold((Some(export), first), |(export, page)| async move {
        let Some(mut export) = export else { return Ok(None) };
        let Some(page) = page else { return Ok(Some((END.to_owned(), (None, None)))) };
        let lines: String = page.iter().flat_map(|value| [value.to_string(), "\n".to_owned()]).collect();
        let next = export.page().await.inspect_err(|error| tracing::error!(%error, "an export broke off"))?;
        Ok::<_, ChatError>(Some((lines, (Some(export), next))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"suda-export.ndjson\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

const END: &str = "{\"kind\":\"end\"}\n";
