//! Finding other users, and whether they are there.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use suda_schema::control::Presence;
use suda_schema::{UserId, WireError};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ApiResult};
use super::extract::{Path, Query, ids};
use super::routes::Routes;
use crate::chat::profile::{PublicUser, SEARCH_MAX};

pub(super) fn routes() -> Routes<Api> {
    Routes::new().get("/v1/users", users).get("/v1/users/{user}", user).get("/v1/presence", presence)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(users, user, presence))]
pub(super) struct Doc;

/// Exactly one of these says who is wanted.
#[derive(Deserialize, IntoParams)]
struct Wanted {
    /// Ids, separated by commas; at most 200.
    ids: Option<String>,
    /// A whole handle.
    handle: Option<String>,
    /// The beginning of a handle.
    search: Option<String>,
    /// How many a search may find; at most 50, which is also the default.
    limit: Option<usize>,
}

/// Users.
#[derive(Serialize, ToSchema)]
struct Users {
    /// In the order asked for, or by handle. Ids that never were are left out.
    users: Vec<PublicUser>,
}

/// Who may be there.
#[derive(Deserialize, IntoParams)]
struct WantedPresence {
    /// Ids, separated by commas; at most 200.
    ids: String,
}

/// Who is there.
#[derive(Serialize, ToSchema)]
struct Presences {
    /// Users one may not see are left out.
    users: Vec<Presence>,
}

/// Look users up by id or handle, or search them by the beginning of their handle
///
/// Only those are found by handle who allow it, and nobody who has blocked one.
#[utoipa::path(get, path = "/v1/users", tag = "users", security(("token" = [])), params(Wanted), responses(
    (status = 200, body = Users),
    (status = "default", body = WireError),
))]
async fn users(State(api): State<Api>, caller: Caller, Query(wanted): Query<Wanted>) -> ApiResult<JsonBody<Users>> {
    let users = match wanted {
        Wanted { ids: Some(list), handle: None, search: None, .. } => api.chat().users(&ids(&list)?).await?,
        Wanted { ids: None, handle: Some(handle), search: None, .. } => {
            vec![api.chat().user_by_handle(caller.user, &handle).await?]
        }
        Wanted { ids: None, handle: None, search: Some(beginning), limit } => {
            api.chat().search_users(caller.user, &beginning, limit.unwrap_or(SEARCH_MAX)).await?
        }
        _ => return Err(ApiError::invalid("query", "give exactly one of ids, handle, search")),
    };
    Ok(JsonBody(Users { users }))
}

/// One user
#[utoipa::path(get, path = "/v1/users/{user}", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 200, body = PublicUser),
    (status = "default", body = WireError),
))]
async fn user(State(api): State<Api>, _caller: Caller, Path(user): Path<UserId>) -> ApiResult<JsonBody<PublicUser>> {
    let found = api.chat().users(&[user]).await?.pop();
    found.map(JsonBody).ok_or_else(|| ApiError::not_found("user"))
}

/// Who of these is there
#[utoipa::path(get, path = "/v1/presence", tag = "users", security(("token" = [])), params(WantedPresence), responses(
    (status = 200, body = Presences),
    (status = "default", body = WireError),
))]
async fn presence(
    State(api): State<Api>,
    caller: Caller,
    Query(wanted): Query<WantedPresence>,
) -> ApiResult<JsonBody<Presences>> {
    Ok(JsonBody(Presences { users: api.chat().presence_of(caller.user, &ids(&wanted.ids)?).await? }))
}
