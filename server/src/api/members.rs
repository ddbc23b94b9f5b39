//! Who is in a channel, and what they may do there.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use suda_schema::entry::Role;
use suda_schema::{ChannelId, UserId, WireError};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::error::ApiResult;
use super::extract::{Json, Path, Query};
use super::routes::Routes;

/// How many users a page has, if nobody says.
const PAGE: usize = 200;

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/v1/channels/{channel}/members", members)
        .post("/v1/channels/{channel}/members", add)
        .delete("/v1/channels/{channel}/members/{user}", kick)
        .put("/v1/channels/{channel}/members/{user}/role", set_role)
        .post("/v1/channels/{channel}/leave", leave)
        .put("/v1/channels/{channel}/owner", transfer)
        .get("/v1/channels/{channel}/bans", bans)
        .put("/v1/channels/{channel}/bans/{user}", ban)
        .delete("/v1/channels/{channel}/bans/{user}", unban)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(members, add, kick, set_role, leave, transfer, bans, ban, unban))]
pub(super) struct Doc;

/// Which page.
#[derive(Deserialize, IntoParams)]
struct PageQuery {
    /// `next` of the page before.
    after: Option<UserId>,
    /// How many; 200 if left out.
    limit: Option<usize>,
}

/// A member of a channel.
#[derive(Serialize, ToSchema)]
struct Member {
    /// Who.
    user: UserId,
    /// What they may do.
    role: Role,
    /// Since when.
    joined_at_ms: u64,
}

/// A page of the members.
#[derive(Serialize, ToSchema)]
struct MembersPage {
    /// By user id.
    members: Vec<Member>,
    /// Where the next page begins; null after the last.
    next: Option<UserId>,
}

/// Somebody who is kept out.
#[derive(Serialize, ToSchema)]
struct Ban {
    /// Who.
    user: UserId,
    /// By whom.
    by: UserId,
    /// Since when.
    at_ms: u64,
}

/// A page of those who are kept out.
#[derive(Serialize, ToSchema)]
struct BansPage {
    /// By user id.
    bans: Vec<Ban>,
    /// Where the next page begins; null after the last.
    next: Option<UserId>,
}

/// Whom to add.
#[derive(Deserialize, ToSchema)]
struct Added {
    /// At most 100 at once; those who are members already stay as they are.
    users: Vec<UserId>,
}

/// A member's new role.
#[derive(Deserialize, ToSchema)]
struct RoleChange {
    /// Below one's own.
    role: Role,
}

/// The new owner.
#[derive(Deserialize, ToSchema)]
struct OwnerChange {
    /// A member.
    user: UserId,
}

/// Who is in a channel
#[utoipa::path(get, path = "/v1/channels/{channel}/members", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path), PageQuery), responses(
    (status = 200, body = MembersPage),
    (status = "default", body = WireError),
))]
async fn members(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(query): Query<PageQuery>,
) -> ApiResult<JsonBody<MembersPage>> {
    let limit = query.limit.unwrap_or(PAGE);
    let page = api.chat().members(caller.user, channel, query.after, limit).await?;
    let member = |info: crate::chat::members::MemberInfo| Member {
        user: info.user,
        role: info.role,
        joined_at_ms: info.joined_at_ms,
    };
    Ok(JsonBody(MembersPage { members: page.items.into_iter().map(member).collect(), next: page.next }))
}

/// Add users
///
/// For admins, and only users who let themselves be added.
#[utoipa::path(post, path = "/v1/channels/{channel}/members", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), request_body = Added, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn add(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(added): Json<Added>,
) -> ApiResult<StatusCode> {
    api.chat().add_members(caller.user, channel, &added.users).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a member
///
/// For admins. They may be added again.
#[utoipa::path(delete, path = "/v1/channels/{channel}/members/{user}", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path), ("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn kick(
    State(api): State<Api>,
    caller: Caller,
    Path((channel, user)): Path<(ChannelId, UserId)>,
) -> ApiResult<StatusCode> {
    api.chat().kick(caller.user, channel, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a member another role
///
/// For admins, about members below them.
#[utoipa::path(put, path = "/v1/channels/{channel}/members/{user}/role", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path), ("user" = UserId, Path)), request_body = RoleChange, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn set_role(
    State(api): State<Api>,
    caller: Caller,
    Path((channel, user)): Path<(ChannelId, UserId)>,
    Json(change): Json<RoleChange>,
) -> ApiResult<StatusCode> {
    api.chat().set_role(caller.user, channel, user, change.role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Leave a channel
#[utoipa::path(post, path = "/v1/channels/{channel}/leave", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn leave(State(api): State<Api>, caller: Caller, Path(channel): Path<ChannelId>) -> ApiResult<StatusCode> {
    api.chat().leave(caller.user, channel).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hand a channel over
///
/// For its owner, who becomes an admin.
#[utoipa::path(put, path = "/v1/channels/{channel}/owner", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), request_body = OwnerChange, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn transfer(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(change): Json<OwnerChange>,
) -> ApiResult<StatusCode> {
    api.chat().transfer(caller.user, channel, change.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is kept out
///
/// For admins.
#[utoipa::path(get, path = "/v1/channels/{channel}/bans", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path), PageQuery), responses(
    (status = 200, body = BansPage),
    (status = "default", body = WireError),
))]
async fn bans(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(query): Query<PageQuery>,
) -> ApiResult<JsonBody<BansPage>> {
    let page = api.chat().bans(caller.user, channel, query.after, query.limit.unwrap_or(PAGE)).await?;
    let ban = |info: crate::chat::members::BanInfo| Ban { user: info.user, by: info.by, at_ms: info.at_ms };
    Ok(JsonBody(BansPage { bans: page.items.into_iter().map(ban).collect(), next: page.next }))
}

/// Keep somebody out
///
/// For admins. A member is removed; nobody can add them, nor they join, until they are let in again.
#[utoipa::path(put, path = "/v1/channels/{channel}/bans/{user}", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path), ("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn ban(
    State(api): State<Api>,
    caller: Caller,
    Path((channel, user)): Path<(ChannelId, UserId)>,
) -> ApiResult<StatusCode> {
    api.chat().ban(caller.user, channel, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let somebody in again
///
/// For admins.
#[utoipa::path(delete, path = "/v1/channels/{channel}/bans/{user}", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path), ("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn unban(
    State(api): State<Api>,
    caller: Caller,
    Path((channel, user)): Path<(ChannelId, UserId)>,
) -> ApiResult<StatusCode> {
    api.chat().unban(caller.user, channel, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
