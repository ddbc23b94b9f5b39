//! `/v1/sync`: what has happened since, for clients that can hold nothing open.

#![expect(unused_qualifications, reason = "utoipa writes the types of queries with their path")]

mod ears;
mod token;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use suda_schema::event::UserEntry;
use suda_schema::summary::ChannelSummary;
use suda_schema::{ErrorCode, WireError};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

pub use ears::Ears;

use super::Api;
use super::around::Active;
use super::caller::Caller;
use super::error::{ApiError, ApiResult};
use super::extract::Query;
use super::routes::Routes;
use crate::chat::Topic;
use token::Token;

/// How many channels an answer has, if nobody says.
const CHANNELS: u16 = 50;
/// How many entries of the user's own log an answer has at most.
const USER_ENTRIES_MAX: usize = 200;
/// To so many channels one long poll listens. Whoever is in more is looked after by [`LOOK_AGAIN`].
const CHANNELS_HEARD_MAX: usize = 1_000;
/// Who can't listen to all of their channels looks again so often.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// After something was heard, what follows at once is waited for, so that a burst makes one answer.
const SETTLE: Duration = Duration::from_millis(50);
/// After how long to ask again when too many wait.
const FULL_WAIT_MS: u64 = 5_000;

pub(super) fn routes() -> Routes<Api> {
    Routes::new().get("/v1/sync", sync)
}

#[derive(utoipa::OpenApi)]
#[openapi(paths(sync))]
pub(super) struct Doc;

/// Since when, and how long to wait.
#[derive(Deserialize, IntoParams)]
struct SyncQuery {
    /// `next` of the answer before; left out, the answer is all of one's channels, in pages.
    since: Option<String>,
    /// How long to wait for something to happen, in milliseconds; at most 60,000, and 0 if left out.
    wait_ms: Option<u64>,
    /// How many channels; at most 200, 50 if left out.
    limit: Option<u16>,
}

/// What has happened.
#[derive(Serialize, ToSchema)]
struct SyncAnswer {
    /// Entries of the user's own log, in order, with no gap.
    user_entries: Vec<UserEntry>,
    /// Channels in which something happened, as they are now. What was said is in their history after the `head` that
    /// the client knows. In rare cases a channel is named though nothing has happened.
    channels: Vec<ChannelSummary>,
    /// Goes into `since` of the next request.
    next: String,
    /// There is more already: ask again at once.
    more: bool,
}

impl SyncAnswer {
    fn has_news(&self) -> bool {
        self.more || !self.user_entries.is_empty() || !self.channels.is_empty()
    }
}

/// What has happened since
///
/// Answers as soon as something has, or with nothing when the wait is over. Sending goes by
/// `POST /v1/channels/{channel}/entries` meanwhile.
#[utoipa::path(get, path = "/v1/sync", tag = "sync", security(("token" = [])), params(SyncQuery), responses(
    (status = 200, body = SyncAnswer),
    (status = "default", body = WireError),
))]
async fn sync(
    State(api): State<Api>,
    caller: Caller,
    Query(query): Query<SyncQuery>,
) -> ApiResult<JsonBody<SyncAnswer>> {
    let limit = query.limit.unwrap_or(CHANNELS);
    let wait_ms = query.wait_ms.unwrap_or(0).min(api.config().sync_wait_ms_max);
    let until = Instant::now() + Duration::from_millis(wait_ms);
    let token = match &query.since {
        Some(since) => Token::read(since)?,
        // Read before the list, so that nothing falls between.
        None => Token::first(api.chat().user_log_head(caller.user).await?),
    };

    let first = look(&api, &caller, token.clone(), limit).await?;
    if first.has_news() || wait_ms == 0 {
        return Ok(JsonBody(first));
    }
    let _waiting = Waiting::enter(&api)?;
    let channels = api.chat().joined_channels(caller.user).await?;
    let hears_all = channels.len() <= CHANNELS_HEARD_MAX;
    let topics = channels.into_iter().take(CHANNELS_HEARD_MAX).map(Topic::Channel);
    let topics: Vec<Topic> = topics.chain([Topic::User(caller.user)]).collect();
    let ear = api.ears().listen(topics.iter().copied());
    let mut apart = api.chat().topics_apart(caller.user).await?;
    apart.truncate(CHANNELS_HEARD_MAX);
    apart.push(Topic::User(caller.user));
    api.chat().peers().listen(&apart).await?;
    loop {
        // What happened before it listened.
        let answer = look(&api, &caller, token.clone(), limit).await?;
        if answer.has_news() || Instant::now() >= until || api.is_draining() {
            return Ok(JsonBody(answer));
        }
        let wake = if hears_all { until } else { until.min(Instant::now() + LOOK_AGAIN) };
        if tokio::time::timeout_at(wake, ear.heard()).await.is_ok() {
            tokio::time::sleep_until(until.min(Instant::now() + SETTLE)).await;
            // It may have been that this device was logged out.
            api.chat().session_check(&caller).await?.require_live()?;
        }
    }
}

/// What there is now.
async fn look(api: &Api, caller: &Caller, mut next: Token, limit: u16) -> ApiResult<SyncAnswer> {
    let log = api.chat().user_log_after(caller.user, next.user_cursor, USER_ENTRIES_MAX).await?;
    if let Some(last) = log.entries.last() {
        next.user_cursor = last.seq;
    }
    let mut channels;
    loop {
        let page = api.chat().sync(caller.user, next.list_after(), limit).await?.page;
        (channels, next) = next.take(page.channels, page.next);
        // A page of nothing but what the client has seen is no answer.
        if !channels.is_empty() || next.list.is_none() {
            break;
        }
    }
    let more = next.list.is_some() || next.user_cursor < log.head;
    Ok(SyncAnswer { user_entries: log.entries, channels, next: next.write(), more })
}

/// One of the places of those who wait.
struct Waiting {
    api: Api,
    _active: Active,
}

impl Waiting {
    fn enter(api: &Api) -> ApiResult<Self> {
        let waiting = Self { api: api.clone(), _active: Active::new(&api.metrics().sync_waiting) };
        if api.inner.waiting.fetch_add(1, Ordering::Relaxed) < api.config().sync_waiters_max {
            return Ok(waiting);
        }
        let error = WireError::new(ErrorCode::OVERLOADED, "too many long polls are waiting on this node");
        Err(ApiError::from(error.retry_after(FULL_WAIT_MS)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.api.inner.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
