//! Friends, requests and blocks.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use suda_schema::{UserId, WireError};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::error::ApiResult;
use super::extract::{Path, Query};
use super::routes::Routes;
use crate::chat::friends::{FRIENDS_PAGE_MAX, List, Listed, Requested};

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/v1/friends", friends)
        .put("/v1/friends/{user}", request)
        .delete("/v1/friends/{user}", remove)
        .post("/v1/friends/{user}/accept", accept)
        .post("/v1/friends/{user}/refuse", refuse)
        .get("/v1/blocks", blocks)
        .put("/v1/blocks/{user}", block)
        .delete("/v1/blocks/{user}", unblock)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(friends, request, remove, accept, refuse, blocks, block, unblock))]
pub(super) struct Doc;

/// Which page of which list.
#[derive(Deserialize, IntoParams)]
struct FriendsQuery {
    /// `friends` (the default), `sent` or `received` requests.
    #[serde(default)]
    #[param(inline)]
    list: FriendList,
    /// `next` of the page before.
    after: Option<UserId>,
    /// How many; at most 500, which is also the default.
    limit: Option<usize>,
}

/// A list of users.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FriendList {
    /// Friends.
    #[default]
    Friends,
    /// Those who were asked.
    Sent,
    /// Those who ask.
    Received,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
struct PageQuery {
    /// `next` of the page before.
    after: Option<UserId>,
    /// How many; at most 500, which is also the default.
    limit: Option<usize>,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
struct UsersPage {
    /// In the order of their ids.
    users: Vec<Listed>,
    /// Where the next page begins; null after the last.
    next: Option<UserId>,
}

/// What became of a request.
#[derive(Serialize, ToSchema)]
struct RequestAnswer {
    /// `sent`, or `friends`: they are already, or the other one had asked too.
    state: Requested,
}

async fn page(
    api: &Api,
    caller: &Caller,
    list: List,
    after: Option<UserId>,
    limit: Option<usize>,
) -> ApiResult<JsonBody<UsersPage>> {
    let page = api.chat().list_users(caller.user, list, after, limit.unwrap_or(FRIENDS_PAGE_MAX)).await?;
    Ok(JsonBody(UsersPage { users: page.users, next: page.next }))
}

/// Friends, or requests that wait for an answer
#[utoipa::path(get, path = "/v1/friends", tag = "users", security(("token" = [])), params(FriendsQuery), responses(
    (status = 200, body = UsersPage),
    (status = "default", body = WireError),
))]
async fn friends(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<FriendsQuery>,
) -> ApiResult<JsonBody<UsersPage>> {
    let list = match query.list {
        FriendList::Friends => List::Friends,
        FriendList::Sent => List::Sent,
        FriendList::Received => List::Received,
    };
    page(&api, &caller, list, query.after, query.limit).await
}

/// Ask somebody to be a friend
///
/// Two who ask each other are friends.
#[utoipa::path(put, path = "/v1/friends/{user}", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 200, body = RequestAnswer),
    (status = 403, body = WireError, description = "`blocked`, or `forbidden`: they take no requests"),
    (status = "default", body = WireError),
))]
async fn request(
    State(api): State<Api>,
    caller: Caller,
    Path(user): Path<UserId>,
) -> ApiResult<JsonBody<RequestAnswer>> {
    Ok(JsonBody(RequestAnswer { state: api.chat().request_friend(caller.user, user).await? }))
}

/// End a friendship, or take a request back
#[utoipa::path(delete, path = "/v1/friends/{user}", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn remove(State(api): State<Api>, caller: Caller, Path(user): Path<UserId>) -> ApiResult<StatusCode> {
    api.chat().cancel_friend_request(caller.user, user).await?;
    api.chat().remove_friend(caller.user, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept somebody's request
#[utoipa::path(post, path = "/v1/friends/{user}/accept", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 204),
    (status = 404, body = WireError, description = "`not_found`: they do not ask"),
    (status = "default", body = WireError),
))]
async fn accept(State(api): State<Api>, caller: Caller, Path(user): Path<UserId>) -> ApiResult<StatusCode> {
    api.chat().accept_friend(caller.user, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuse somebody's request
#[utoipa::path(post, path = "/v1/friends/{user}/refuse", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn refuse(State(api): State<Api>, caller: Caller, Path(user): Path<UserId>) -> ApiResult<StatusCode> {
    api.chat().refuse_friend(caller.user, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom one has blocked
#[utoipa::path(get, path = "/v1/blocks", tag = "users", security(("token" = [])), params(PageQuery), responses(
    (status = 200, body = UsersPage),
    (status = "default", body = WireError),
))]
async fn blocks(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> ApiResult<JsonBody<UsersPage>> {
    page(&api, &caller, List::Blocked, query.after, query.limit).await
}

/// Block somebody
///
/// A friendship ends, and neither can write to the other any more. They are not told.
#[utoipa::path(put, path = "/v1/blocks/{user}", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn block(State(api): State<Api>, caller: Caller, Path(user): Path<UserId>) -> ApiResult<StatusCode> {
    api.chat().block(caller.user, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a block back
#[utoipa::path(delete, path = "/v1/blocks/{user}", tag = "users", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn unblock(State(api): State<Api>, caller: Caller, Path(user): Path<UserId>) -> ApiResult<StatusCode> {
    api.chat().unblock(caller.user, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
