//! One's own profile and settings.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::Serialize;
use suda_schema::{DeviceId, WireError};
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::error::ApiResult;
use super::extract::Json;
use super::routes::Routes;
use crate::chat::profile::{Profile, ProfileChange, PublicUser};
use crate::chat::settings::{Settings, SettingsChange};

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/v1/me", me)
        .patch("/v1/me", change_me)
        .get("/v1/me/settings", settings)
        .patch("/v1/me/settings", change_settings)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(me, change_me, settings, change_settings))]
pub(super) struct Doc;

/// Oneself.
#[derive(Serialize, ToSchema)]
struct Me {
    /// As others see one.
    public: PublicUser,
    /// What one has said about oneself.
    profile: Profile,
    /// The device that asks.
    device: DeviceId,
}

/// One's own profile
#[utoipa::path(get, path = "/v1/me", tag = "users", security(("token" = [])), responses(
    (status = 200, body = Me),
    (status = "default", body = WireError),
))]
async fn me(State(api): State<Api>, caller: Caller) -> ApiResult<JsonBody<Me>> {
    let (public, profile) = api.chat().own_profile(caller.user).await?;
    Ok(JsonBody(Me { public, profile, device: caller.device }))
}

/// Change one's profile
///
/// What is left out stays.
#[utoipa::path(patch, path = "/v1/me", tag = "users", security(("token" = [])), request_body = ProfileChange, responses(
    (status = 200, body = Profile),
    (status = "default", body = WireError),
))]
async fn change_me(
    State(api): State<Api>,
    caller: Caller,
    Json(change): Json<ProfileChange>,
) -> ApiResult<JsonBody<Profile>> {
    Ok(JsonBody(api.chat().change_profile(caller.user, &change).await?))
}

/// One's settings
#[utoipa::path(get, path = "/v1/me/settings", tag = "users", security(("token" = [])), responses(
    (status = 200, body = Settings),
    (status = "default", body = WireError),
))]
async fn settings(State(api): State<Api>, caller: Caller) -> ApiResult<JsonBody<Settings>> {
    Ok(JsonBody(api.chat().settings(caller.user).await?))
}

/// Change one's settings
///
/// What is left out stays.
#[utoipa::path(patch, path = "/v1/me/settings", tag = "users", security(("token" = [])),
    request_body = SettingsChange, responses(
    (status = 200, body = Settings),
    (status = "default", body = WireError),
))]
async fn change_settings(
    State(api): State<Api>,
    caller: Caller,
    Json(change): Json<SettingsChange>,
) -> ApiResult<JsonBody<Settings>> {
    Ok(JsonBody(api.chat().change_settings(caller.user, &change).await?))
}
