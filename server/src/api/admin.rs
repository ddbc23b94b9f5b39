//! `/admin`: what `suda admin` asks of a running node. On plain HTTP only, from this machine only, and with the token in
//! the data folder. It is not part of the public API, and not in its document.

use axum::Json as JsonBody;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use subtle::ConstantTimeEq as _;
use suda_schema::{ChannelId, DeviceId, ErrorCode, UserId};

use super::error::{ApiError, ApiResult};
use super::extract::{Json, Path, Query};
use super::routes::Routes;
use super::{Api, fallback};
use crate::chat::Topic;
use crate::chat::accounts::SignUp;
use crate::chat::devices::{DeviceInfo, NewDevice, Platform};
use crate::chat::operator::{ACCOUNTS_PAGE_MAX, AccountInfo, AccountsPage};
use crate::chat::operator_channels::{CHANNELS_PAGE_MAX, ChannelInfo, ChannelsPage};
use crate::link::PlainHttp;
use crate::notifier::dead::{self, DEAD_PAGE_MAX, DeadPage, Which};

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/admin/stats", stats)
        .get("/admin/nodes", nodes)
        .get("/admin/users", users)
        .post("/admin/users", create_user)
        .get("/admin/users/{user}", user)
        .delete("/admin/users/{user}", delete_user)
        .put("/admin/users/{user}/password", set_password)
        .post("/admin/users/{user}/logout", log_out)
        .delete("/admin/users/{user}/devices/{device}", log_out_device)
        .get("/admin/channels", channels)
        .get("/admin/channels/{channel}", channel)
        .delete("/admin/channels/{channel}", delete_channel)
        .get("/admin/push/dead", dead_pushes)
        .post("/admin/push/dead/requeue", requeue_dead)
        .delete("/admin/push/dead", purge_dead)
        .post("/admin/signing-key", rotate_signing_key)
}

/// Lets in who has the token and comes from this machine. To everybody else there is nothing here.
pub(super) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let here = request.extensions().get::<PlainHttp>().is_some()
        && request.extensions().get::<ConnectInfo<SocketAddr>>().is_some_and(|client| client.ip().is_loopback())
        // A proxy on this machine speaks for others, whether it is trusted or not.
        && ["forwarded", "x-forwarded-for", "via"].iter().all(|name| !request.headers().contains_key(*name));
    if !here {
        return fallback::not_found(request.uri().clone()).await.into_response();
    }
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let digest = |text: &str| <[u8; 32]>::from(Sha256::digest(text));
    if digest(given).ct_ne(&digest(&api.inner.parts.admin_token)).into() {
        let message = "the admin token is the content of admin.token in the data folder";
        return ApiError::new(ErrorCode::UNAUTHENTICATED, message).into_response();
    }
    next.run(request).await
}

/// How the node is.
#[derive(Serialize)]
struct Stats {
    version: &'static str,
    node: u16,
    region: String,
    up_ms: u64,
    draining: bool,
    accounts: u64,
    links: usize,
    active_channels: usize,
    http_requests_active: i64,
}

/// The nodes of the store, as far as this one knows.
#[derive(Serialize)]
struct Nodes {
    nodes: Vec<Stats>,
}

/// Which page.
#[derive(Deserialize)]
struct PageOf<T> {
    after: Option<T>,
    limit: Option<usize>,
}

/// A user with their devices.
#[derive(Serialize)]
struct UserDetails {
    #[serde(flatten)]
    info: AccountInfo,
    devices: Vec<DeviceInfo>,
    channels: usize,
    connected: bool,
}

/// A new account.
#[derive(Deserialize)]
struct NewUser {
    handle: String,
    password: String,
    #[serde(default)]
    display_name: String,
}

/// A new password.
#[derive(Deserialize)]
struct NewPassword {
    password: String,
}

/// Who was made.
#[derive(Serialize)]
struct Made {
    user: UserId,
}

/// Who was logged out.
#[derive(Serialize)]
struct LoggedOut {
    devices: Vec<DeviceId>,
}

/// Whether the tokens signed until now are worth nothing.
#[derive(Deserialize)]
struct Rotation {
    #[serde(default)]
    forget_old: bool,
}

/// The key that signs from now on.
#[derive(Serialize)]
struct SigningKey {
    key: u32,
}

async fn stats_of(api: &Api) -> ApiResult<Stats> {
    let parts = &api.inner.parts;
    Ok(Stats {
        version: env!("CARGO_PKG_VERSION"),
        node: parts.facts.node,
        region: parts.facts.address.region.clone(),
        up_ms: api.clock().now_ms().saturating_sub(api.inner.started_at_ms),
        draining: api.is_draining(),
        accounts: api.chat().account_count().await?,
        links: parts.sessions.count(),
        active_channels: parts.hubs.count(),
        http_requests_active: api.metrics().active.get(),
    })
}

async fn stats(State(api): State<Api>) -> ApiResult<JsonBody<Stats>> {
    Ok(JsonBody(stats_of(&api).await?))
}

async fn nodes(State(api): State<Api>) -> ApiResult<JsonBody<Nodes>> {
    Ok(JsonBody(Nodes { nodes: vec![stats_of(&api).await?] }))
}

async fn users(State(api): State<Api>, Query(page): Query<PageOf<UserId>>) -> ApiResult<JsonBody<AccountsPage>> {
    Ok(JsonBody(api.chat().accounts(page.after, page.limit.unwrap_or(ACCOUNTS_PAGE_MAX)).await?))
}

async fn create_user(State(api): State<Api>, Json(new): Json<NewUser>) -> ApiResult<(StatusCode, JsonBody<Made>)> {
    let NewUser { handle, password, display_name } = new;
    let device = NewDevice { name: "suda admin".to_owned(), platform: Platform::Other };
    let login = api.chat().make_account(&SignUp { handle, display_name, password, device }).await?;
    // Nobody has its tokens.
    api.chat().log_out(login.user, login.device).await?;
    Ok((StatusCode::CREATED, JsonBody(Made { user: login.user })))
}

async fn user(State(api): State<Api>, Path(user): Path<String>) -> ApiResult<JsonBody<UserDetails>> {
    let info = api.chat().account(&user).await?;
    let devices = api.chat().devices(info.user).await?;
    let channels = api.chat().joined_channels(info.user).await?.len();
    let connected = api.inner.parts.sessions.listens_to(Topic::User(info.user));
    Ok(JsonBody(UserDetails { info, devices, channels, connected }))
}

async fn delete_user(State(api): State<Api>, Path(user): Path<String>) -> ApiResult<StatusCode> {
    let user = api.chat().account(&user).await?.user;
    api.chat().delete_account_as_operator(user).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_password(
    State(api): State<Api>,
    Path(user): Path<String>,
    Json(new): Json<NewPassword>,
) -> ApiResult<StatusCode> {
    let user = api.chat().account(&user).await?.user;
    api.chat().reset_password(user, &new.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn log_out(State(api): State<Api>, Path(user): Path<String>) -> ApiResult<JsonBody<LoggedOut>> {
    let user = api.chat().account(&user).await?.user;
    Ok(JsonBody(LoggedOut { devices: api.chat().log_out_all(user, None).await? }))
}

async fn log_out_device(
    State(api): State<Api>,
    Path((user, device)): Path<(String, DeviceId)>,
) -> ApiResult<StatusCode> {
    let user = api.chat().account(&user).await?.user;
    api.chat().log_out(user, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn channels(State(api): State<Api>, Query(page): Query<PageOf<ChannelId>>) -> ApiResult<JsonBody<ChannelsPage>> {
    Ok(JsonBody(api.chat().all_channels(page.after, page.limit.unwrap_or(CHANNELS_PAGE_MAX)).await?))
}

async fn channel(State(api): State<Api>, Path(channel): Path<ChannelId>) -> ApiResult<JsonBody<ChannelInfo>> {
    Ok(JsonBody(api.chat().channel_info(channel).await?))
}

async fn delete_channel(State(api): State<Api>, Path(channel): Path<ChannelId>) -> ApiResult<StatusCode> {
    api.chat().remove_channel(channel).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many dead letters it was about.
#[derive(Serialize)]
struct Letters {
    letters: u64,
}

async fn dead_pushes(State(api): State<Api>, Query(page): Query<PageOf<String>>) -> ApiResult<JsonBody<DeadPage>> {
    Ok(JsonBody(dead::list(api.chat(), page.after.as_deref(), page.limit.unwrap_or(DEAD_PAGE_MAX)).await?))
}

async fn requeue_dead(State(api): State<Api>, Json(which): Json<Which>) -> ApiResult<JsonBody<Letters>> {
    Ok(JsonBody(Letters { letters: dead::requeue(api.chat(), &which).await? }))
}

async fn purge_dead(State(api): State<Api>, Json(which): Json<Which>) -> ApiResult<JsonBody<Letters>> {
    Ok(JsonBody(Letters { letters: dead::purge(api.chat(), &which).await? }))
}

async fn rotate_signing_key(State(api): State<Api>, Json(rotation): Json<Rotation>) -> ApiResult<JsonBody<SigningKey>> {
    Ok(JsonBody(SigningKey { key: api.chat().rotate_signing_key(rotation.forget_old).await? }))
}
