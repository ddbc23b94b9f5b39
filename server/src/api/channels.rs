//! Conversations: making, finding, changing and leaving them; invitations.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use suda_schema::control::SyncCursor;
use suda_schema::summary::{ChannelKind, ChannelSummary, Mute};
use suda_schema::{ChannelId, ClientMsgId, MediaId, UserId, WireError};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ApiResult};
use super::extract::{Json, Path, Query};
use super::routes::Routes;
use crate::chat::channels::NewChannel;

/// How many channels a page has, if nobody says.
const PAGE: u16 = 50;

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/v1/channels", channels)
        .post("/v1/channels", create)
        .put("/v1/direct/{user}", open_direct)
        .get("/v1/channels/{channel}", channel)
        .patch("/v1/channels/{channel}", change)
        .delete("/v1/channels/{channel}", delete)
        .put("/v1/channels/{channel}/mute", mute)
        .get("/v1/channels/{channel}/invite", invite)
        .post("/v1/channels/{channel}/invite", make_invite)
        .delete("/v1/channels/{channel}/invite", revoke_invite)
        .get("/v1/invites/{code}", look_at_invite)
        .post("/v1/invites/{code}/join", join)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(
    channels,
    create,
    open_direct,
    channel,
    change,
    delete,
    mute,
    invite,
    make_invite,
    revoke_invite,
    look_at_invite,
    join,
))]
pub(super) struct Doc;

/// Which page.
#[derive(Deserialize, IntoParams)]
struct ListQuery {
    /// `next` of the page before.
    after: Option<String>,
    /// How many; at most 200, 50 if left out.
    limit: Option<u16>,
}

/// A page of one's channels.
#[derive(Serialize, ToSchema)]
struct ChannelsPage {
    /// By activity, newest first.
    channels: Vec<ChannelSummary>,
    /// Where the next page begins; null after the last.
    next: Option<String>,
}

/// A channel to be made.
#[derive(Deserialize, ToSchema)]
struct CreateChannel {
    /// `group` or `broadcast`.
    kind: ChannelKind,
    /// Its title.
    title: String,
    /// Its picture.
    #[serde(default)]
    picture: Option<MediaId>,
    /// Who is in it from the start, beside oneself.
    #[serde(default)]
    members: Vec<UserId>,
    /// A UUID made by the client: the same request again makes no second channel.
    #[serde(default)]
    request: Option<ClientMsgId>,
}

/// What changes about a channel; what is left out stays.
#[derive(Deserialize, ToSchema)]
struct ChannelChange {
    /// Another title.
    #[serde(default)]
    title: Option<String>,
    /// Another picture, or null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<MediaId>)]
    picture: Option<Option<MediaId>>,
}

/// A field that is there, even if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<MediaId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What notifies.
#[derive(Deserialize, ToSchema)]
struct MuteChange {
    /// `"off"`, `"mentions_only"`, or `{"until": <time>}`.
    mute: Mute,
}

/// A code by which a channel can be joined.
#[derive(Serialize, ToSchema)]
struct Invite {
    /// The code; null if there is none.
    code: Option<String>,
}

/// What a code leads to.
#[derive(Serialize, ToSchema)]
struct InvitePreview {
    /// Which channel.
    channel: ChannelId,
    /// What kind.
    kind: ChannelKind,
    /// Its title.
    title: String,
    /// Its picture.
    picture: Option<MediaId>,
    /// How many members it has.
    members: u64,
}

/// One's channels, by activity
#[utoipa::path(get, path = "/v1/channels", tag = "channels", security(("token" = [])), params(ListQuery), responses(
    (status = 200, body = ChannelsPage),
    (status = "default", body = WireError),
))]
async fn channels(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> ApiResult<JsonBody<ChannelsPage>> {
    let after = query.after.as_deref().map(read_cursor).transpose()?;
    // An empty page would say that there is nothing more.
    if query.limit == Some(0) {
        return Err(ApiError::invalid("limit", "0 channels are no page"));
    }
    let page = api.chat().sync(caller.user, after, query.limit.unwrap_or(PAGE)).await?.page;
    Ok(JsonBody(ChannelsPage { channels: page.channels, next: page.next.map(write_cursor) }))
}

/// Make a group or broadcast channel
#[utoipa::path(post, path = "/v1/channels", tag = "channels", security(("token" = [])), request_body = CreateChannel,
    responses(
    (status = 201, body = ChannelSummary),
    (status = "default", body = WireError),
))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<CreateChannel>,
) -> ApiResult<(StatusCode, JsonBody<ChannelSummary>)> {
    let CreateChannel { kind, title, picture, members, request } = new;
    let new = NewChannel { kind, title, picture, members, request };
    Ok((StatusCode::CREATED, JsonBody(api.chat().create_channel(caller.user, &new).await?)))
}

/// Open the direct channel with a user
///
/// There is one for two users, whoever opens it. With oneself it is for notes.
#[utoipa::path(put, path = "/v1/direct/{user}", tag = "channels", security(("token" = [])),
    params(("user" = UserId, Path)), responses(
    (status = 200, body = ChannelSummary),
    (status = "default", body = WireError),
))]
async fn open_direct(
    State(api): State<Api>,
    caller: Caller,
    Path(user): Path<UserId>,
) -> ApiResult<JsonBody<ChannelSummary>> {
    Ok(JsonBody(api.chat().open_direct(caller.user, user).await?))
}

/// One channel
#[utoipa::path(get, path = "/v1/channels/{channel}", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 200, body = ChannelSummary),
    (status = "default", body = WireError),
))]
async fn channel(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> ApiResult<JsonBody<ChannelSummary>> {
    Ok(JsonBody(api.chat().channel(caller.user, channel).await?))
}

/// Change a channel's title or picture
///
/// For admins.
#[utoipa::path(patch, path = "/v1/channels/{channel}", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), request_body = ChannelChange, responses(
    (status = 200, body = ChannelSummary),
    (status = "default", body = WireError),
))]
async fn change(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(change): Json<ChannelChange>,
) -> ApiResult<JsonBody<ChannelSummary>> {
    if let Some(title) = &change.title {
        api.chat().set_title(caller.user, channel, title).await?;
    }
    if let Some(picture) = change.picture {
        api.chat().set_picture(caller.user, channel, picture).await?;
    }
    Ok(JsonBody(api.chat().channel(caller.user, channel).await?))
}

/// Delete a channel with everything in it
///
/// For its owner.
#[utoipa::path(delete, path = "/v1/channels/{channel}", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn delete(State(api): State<Api>, caller: Caller, Path(channel): Path<ChannelId>) -> ApiResult<StatusCode> {
    api.chat().delete_channel(caller.user, channel).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what a channel notifies of
#[utoipa::path(put, path = "/v1/channels/{channel}/mute", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), request_body = MuteChange, responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn mute(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(change): Json<MuteChange>,
) -> ApiResult<StatusCode> {
    api.chat().set_mute(caller.user, channel, change.mute).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The code by which a channel can be joined
///
/// For admins.
#[utoipa::path(get, path = "/v1/channels/{channel}/invite", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 200, body = Invite),
    (status = "default", body = WireError),
))]
async fn invite(State(api): State<Api>, caller: Caller, Path(channel): Path<ChannelId>) -> ApiResult<JsonBody<Invite>> {
    Ok(JsonBody(Invite { code: api.chat().invite(caller.user, channel).await? }))
}

/// Make a code by which a channel can be joined
///
/// The one before is worth nothing from now on. For admins.
#[utoipa::path(post, path = "/v1/channels/{channel}/invite", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 200, body = Invite),
    (status = "default", body = WireError),
))]
async fn make_invite(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> ApiResult<JsonBody<Invite>> {
    Ok(JsonBody(Invite { code: Some(api.chat().make_invite(caller.user, channel).await?) }))
}

/// Make the code worth nothing
///
/// For admins.
#[utoipa::path(delete, path = "/v1/channels/{channel}/invite", tag = "channels", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 204),
    (status = "default", body = WireError),
))]
async fn revoke_invite(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> ApiResult<StatusCode> {
    api.chat().revoke_invite(caller.user, channel).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a code leads to
#[utoipa::path(get, path = "/v1/invites/{code}", tag = "channels", security(("token" = [])),
    params(("code" = String, Path)), responses(
    (status = 200, body = InvitePreview),
    (status = "default", body = WireError),
))]
async fn look_at_invite(
    State(api): State<Api>,
    _caller: Caller,
    Path(code): Path<String>,
) -> ApiResult<JsonBody<InvitePreview>> {
    let preview = api.chat().look_at_invite(&code).await?;
    Ok(JsonBody(InvitePreview {
        channel: preview.channel,
        kind: preview.kind,
        title: preview.title,
        picture: preview.picture,
        members: preview.members,
    }))
}

/// Join by a code
#[utoipa::path(post, path = "/v1/invites/{code}/join", tag = "channels", security(("token" = [])),
    params(("code" = String, Path)), responses(
    (status = 200, body = ChannelSummary),
    (status = "default", body = WireError),
))]
async fn join(State(api): State<Api>, caller: Caller, Path(code): Path<String>) -> ApiResult<JsonBody<ChannelSummary>> {
    Ok(JsonBody(api.chat().join(caller.user, &code).await?))
}

fn write_cursor(cursor: SyncCursor) -> String {
    format!("{}-{}", cursor.last_at_ms, cursor.channel)
}

fn read_cursor(text: &str) -> ApiResult<SyncCursor> {
    let parts = text
        .split_once('-')
        .and_then(|(at, channel)| Some(SyncCursor { last_at_ms: at.parse().ok()?, channel: channel.parse().ok()? }));
    parts.ok_or_else(|| ApiError::invalid("after", "give what `next` of the page before was"))
}
