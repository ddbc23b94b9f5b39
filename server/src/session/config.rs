//! What the operator may set about sessions.

use serde::{Deserialize, Serialize};

use crate::rate::Rate;

/// Limits and times of sessions. Each field's default is in [`SessionConfig::default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// How long a link may take to send its `hello`, and a stream its first frame.
    pub hello_within_ms: u64,
    /// How often a client is asked to send `ping`.
    pub heartbeat_ms: u32,
    /// A link that says nothing for so long is closed as `idle`.
    pub dead_after_ms: u32,
    /// How long before its token runs out a client is told.
    pub token_warning_ms: u64,
    /// How many links there may be at once on this node; more are closed as `overloaded`.
    pub links_max: usize,
    /// How many links a user may have at once on this node; more are closed as `too_many_links`.
    pub links_per_user_max: usize,
    /// How many attachments a link may have at once. An idle one costs about 2 KiB.
    pub attachments_max: usize,
    /// How many streams of a link may be on their way from being opened to being an attachment; others wait.
    pub opening_max: usize,
    /// How many requests on the control stream may wait for the store; beyond it, the stream is not read.
    pub requests_max: usize,
    /// How long such a request may take.
    pub request_within_ms: u64,
    /// How many bytes may wait to be written on a control stream; beyond it, the stream is not read and hints wait.
    pub outbox_bytes_max: usize,
    /// A client that reads nothing for so long, while there is something for it, loses the stream, or by the control
    /// stream the link, as `too_slow`.
    pub stuck_ms: u64,
    /// How long a link that is being closed may take to let the last frame through.
    pub closing_ms: u64,
    /// Hints about channels without an attachment are sent at most so often.
    pub hint_interval_ms: u64,
    /// How many friends and partners one session is told of when they come and go.
    pub watched_max: usize,
    /// How long somebody is shown as typing after they said so.
    pub typing_ms: u32,
    /// In channels with more members, and in broadcast channels, typing is not passed on.
    pub typing_members_max: u32,
    /// How long a delivered mark may wait for others to go along with it.
    pub mark_delivered_ms: u64,
    /// The same for a read mark.
    pub mark_read_ms: u64,
    /// How many channels of a session may have marks waiting; beyond it, they are written at once.
    pub marks_pending_max: usize,
    /// How long a user may be without a link before that is announced.
    pub presence_grace_ms: u64,
    /// Connects of a user.
    pub connects: Rate,
    /// Sends of a user.
    pub sends: Rate,
    /// Attaches of a user.
    pub attaches: Rate,
    /// Typing notices of a user.
    pub typings: Rate,
    /// Other requests of a user: history, sync, presence, marks, activity, tokens.
    pub queries: Rate,
    /// So many requests over the limit, with no pause of `rate_forgiven_ms` between them, close the link as `rate_ignored`.
    pub rate_ignored_max: u32,
    /// After so long without a request over the limit the count begins anew.
    pub rate_forgiven_ms: u64,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            hello_within_ms: 10_000,
            heartbeat_ms: 5_000,
            dead_after_ms: 30_000,
            token_warning_ms: 60_000,
            links_max: 100_000,
            links_per_user_max: 32,
            attachments_max: 256,
            opening_max: 16,
            requests_max: 16,
            request_within_ms: 15_000,
            outbox_bytes_max: 256 << 10,
            stuck_ms: 300_000,
            closing_ms: 2_000,
            hint_interval_ms: 1_000,
            watched_max: 5_000,
            typing_ms: 6_000,
            typing_members_max: 200,
            mark_delivered_ms: 1_000,
            mark_read_ms: 100,
            marks_pending_max: 256,
            presence_grace_ms: 30_000,
            connects: Rate::new(30, 1.0),
            sends: Rate::new(200, 50.0),
            attaches: Rate::new(512, 50.0),
            typings: Rate::new(20, 4.0),
            queries: Rate::new(400, 50.0),
            rate_ignored_max: 500,
            rate_forgiven_ms: 10_000,
        }
    }
}
