//! One's devices, and where they can be pushed to.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use suda_schema::{DeviceId, WireError};
use utoipa::ToSchema;

use super::Api;
use super::caller::Caller;
use super::error::ApiResult;
use super::extract::{Json, Path};
use super::routes::Routes;
use crate::chat::devices::{DeviceInfo, PushKind};

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/v1/devices", devices)
        .patch("/v1/devices/{device}", rename)
        .delete("/v1/devices/{device}", log_out)
        .post("/v1/devices/logout-others", log_out_others)
        .put("/v1/push-tokens", register)
        .delete("/v1/push-tokens", unregister)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(devices, rename, log_out, log_out_others, register, unregister))]
pub(super) struct Doc;

/// One's devices.
#[derive(Serialize, ToSchema)]
struct Devices {
    /// The one that was seen last first.
    devices: Vec<DeviceInfo>,
    /// The one that asks.
    this: DeviceId,
}

/// Devices that were logged out.
#[derive(Serialize, ToSchema)]
struct LoggedOut {
    /// Which.
    devices: Vec<DeviceId>,
}

/// A device's new name.
#[derive(Deserialize, ToSchema)]
struct NewName {
    /// For people, such as `Kim's phone`.
    name: String,
}

/// Where a device can be pushed to.
#[derive(Deserialize, ToSchema)]
struct PushAddress {
    /// Who delivers.
    kind: PushKind,
    /// The address; for Web Push the subscription as JSON.
    token: String,
}

/// One's devices
#[utoipa::path(get, path = "/v1/devices", tag = "devices", security(("token" = [])), responses(
    (status = 200, body = Devices),
    (status = "default", body = WireError),
))]
async fn devices(State(api): State<Api>, caller: Caller) -> ApiResult<JsonBody<Devices>> {
    let devices = api.chat().devices(caller.user).await?;
    Ok(JsonBody(Devices { devices, this: caller.device }))
}

/// Give a device another name
#[utoipa::path(patch, path = "/v1/devices/{device}", tag = "devices", security(("token" = [])),
    params(("device" = DeviceId, Path)), request_body = NewName, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn rename(
    State(api): State<Api>,
    caller: Caller,
    Path(device): Path<DeviceId>,
    Json(new): Json<NewName>,
) -> ApiResult<StatusCode> {
    api.chat().rename_device(caller.user, device, &new.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Log a device out
///
/// Its tokens are worth nothing from now on, and its links end within a second. One that is not there is logged out.
#[utoipa::path(delete, path = "/v1/devices/{device}", tag = "devices", security(("token" = [])),
    params(("device" = DeviceId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn log_out(State(api): State<Api>, caller: Caller, Path(device): Path<DeviceId>) -> ApiResult<StatusCode> {
    api.chat().log_out(caller.user, device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Log all other devices out
#[utoipa::path(post, path = "/v1/devices/logout-others", tag = "devices", security(("token" = [])), responses(
    (status = 200, body = LoggedOut),
    (status = "default", body = WireError),
))]
async fn log_out_others(State(api): State<Api>, caller: Caller) -> ApiResult<JsonBody<LoggedOut>> {
    let devices = api.chat().log_out_all(caller.user, Some(caller.device)).await?;
    Ok(JsonBody(LoggedOut { devices }))
}

/// Say where this device can be pushed to
///
/// An address belongs to one device: when another account logs in on a phone, the former one is no longer pushed there.
#[utoipa::path(put, path = "/v1/push-tokens", tag = "devices", security(("token" = [])),
    request_body = PushAddress, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn register(State(api): State<Api>, caller: Caller, Json(push): Json<PushAddress>) -> ApiResult<StatusCode> {
    api.chat().register_push(caller.user, caller.device, push.kind, &push.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take an address back
#[utoipa::path(delete, path = "/v1/push-tokens", tag = "devices", security(("token" = [])),
    request_body = PushAddress, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn unregister(State(api): State<Api>, caller: Caller, Json(push): Json<PushAddress>) -> ApiResult<StatusCode> {
    api.chat().unregister_push(caller.user, caller.device, push.kind, &push.token).await?;
    Ok(StatusCode::NO_CONTENT)
}
