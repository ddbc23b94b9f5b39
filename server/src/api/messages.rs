//! What is said in a channel: history, sending, read positions.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use suda_schema::channel::{Ack, HistoryAt, HistoryQuery, Marks, Send};
use suda_schema::entry::Entry;
use suda_schema::summary::MemberMark;
use suda_schema::{ChannelId, ErrorCode, Seq, WireError};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::caller::Caller;
use super::error::{ApiError, ApiResult};
use super::extract::{Json, Path, Query};
use super::routes::Routes;
use crate::chat::ChatError;
use crate::chat::append::Publish;

/// How many entries a page has, if nobody says.
const PAGE: u16 = 50;

pub(super) fn routes() -> Routes<Api> {
    Routes::new()
        .get("/v1/channels/{channel}/entries", history)
        .post("/v1/channels/{channel}/entries", send)
        .get("/v1/channels/{channel}/marks", marks)
        .post("/v1/channels/{channel}/marks", mark)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(history, send, marks, mark))]
pub(super) struct Doc;

/// Where the page lies: at most one of `before`, `after`, `around`, `time` and `unread`; none is the newest entries.
#[derive(Deserialize, IntoParams)]
struct PageQuery {
    /// The newest entries with a smaller seq.
    before: Option<Seq>,
    /// The oldest entries with a larger seq; 0 begins at the first.
    after: Option<Seq>,
    /// This entry in the middle of its neighbours.
    around: Option<Seq>,
    /// The first entry at or after this time in the middle of its neighbours.
    time: Option<u64>,
    /// `true`: the first unread entry in the middle of its neighbours.
    unread: Option<bool>,
    /// How many entries; at most 500, 50 if left out.
    limit: Option<u16>,
    /// Only the messages of this thread.
    thread: Option<Seq>,
}

/// A page of history.
#[derive(Serialize, ToSchema)]
struct EntriesPage {
    /// In order of seq, each in its current state.
    entries: Vec<Entry>,
    /// Whether there are entries before the first of these.
    more_before: bool,
    /// Whether there are entries after the last of these.
    more_after: bool,
}

/// Where one stands in a channel.
#[derive(Serialize, ToSchema)]
struct Position {
    /// How far one has read.
    read: Seq,
    /// What has reached one of one's devices.
    delivered: Seq,
    /// How many messages of others are unread.
    unread: u64,
}

/// Where the members stand.
#[derive(Serialize, ToSchema)]
struct MemberPositions {
    /// One each; none in channels with so many members that they are not told of each other's.
    members: Vec<MemberMark>,
}

impl PageQuery {
    fn place(&self) -> ApiResult<HistoryAt> {
        let unread = self.unread.unwrap_or(false).then_some(HistoryAt::Unread);
        let mut given = [
            self.before.map(HistoryAt::Before),
            self.after.map(HistoryAt::After),
            self.around.map(HistoryAt::Around),
            self.time.map(HistoryAt::Time),
            unread,
        ]
        .into_iter()
        .flatten();
        match (given.next(), given.next()) {
            (None, _) => Ok(HistoryAt::Newest),
            (Some(place), None) => Ok(place),
            _ => Err(ApiError::invalid("query", "give at most one of before, after, around, time, unread")),
        }
    }
}

/// A page of history
#[utoipa::path(get, path = "/v1/channels/{channel}/entries", tag = "messages", security(("token" = [])),
    params(("channel" = ChannelId, Path), PageQuery), responses(
    (status = 200, body = EntriesPage),
    (status = "default", body = WireError),
))]
async fn history(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(query): Query<PageQuery>,
) -> ApiResult<JsonBody<EntriesPage>> {
    let (at, limit) = (query.place()?, query.limit.unwrap_or(PAGE));
    let query = HistoryQuery { request: 0, at, limit, thread: query.thread };
    let page = api.chat().history(caller.user, channel, &query).await?.decode(0)?;
    let (more_before, more_after) = (page.more_before, page.more_after);
    Ok(JsonBody(EntriesPage { entries: page.entries, more_before, more_after }))
}

/// Say something, edit, delete or react
///
/// It is durable when this answers. The same `client_msg_id` again, however often, makes no second entry and gets the
/// same answer: after an error whose code says that retrying can help, send the same again.
#[utoipa::path(post, path = "/v1/channels/{channel}/entries", tag = "messages", security(("token" = [])),
    params(("channel" = ChannelId, Path)), request_body = Send, responses(
    (status = 200, body = Ack),
    (status = "default", body = WireError),
))]
async fn send(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(send): Json<Send>,
) -> ApiResult<JsonBody<Ack>> {
    caller.may_send(&api)?;
    let publish = Publish { user: caller.user, device: caller.device, send };
    Ok(JsonBody(api.hubs().publish(channel, publish).await?))
}

/// How far the members have read
#[utoipa::path(get, path = "/v1/channels/{channel}/marks", tag = "messages", security(("token" = [])),
    params(("channel" = ChannelId, Path)), responses(
    (status = 200, body = MemberPositions),
    (status = "default", body = WireError),
))]
async fn marks(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> ApiResult<JsonBody<MemberPositions>> {
    if api.chat().member_state(channel, caller.user).await?.is_none() {
        return Err(ChatError::NotFound("channel").into());
    }
    Ok(JsonBody(MemberPositions { members: api.chat().member_marks(channel).await? }))
}

/// Say how far one has read, or got
///
/// Positions only move forward, and not beyond the newest entry.
#[utoipa::path(post, path = "/v1/channels/{channel}/marks", tag = "messages", security(("token" = [])),
    params(("channel" = ChannelId, Path)), request_body = Marks, responses(
    (status = 200, body = Position),
    (status = "default", body = WireError),
))]
async fn mark(
    State(api): State<Api>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(marks): Json<Marks>,
) -> ApiResult<JsonBody<Position>> {
    let marked = api.chat().mark(caller.user, None, &[(channel, marks)]).await?;
    let Some(marked) = marked.into_iter().next() else {
        return Err(ApiError::new(ErrorCode::INTERNAL, "a fault of the server's; it is in its log"));
    };
    let marked = marked?;
    Ok(JsonBody(Position { read: marked.read, delivered: marked.delivered, unread: marked.unread }))
}
