//! How often a client may do what, and what becomes of one that does not listen.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use suda_schema::{CloseCode, ErrorCode, WireError};
use tokio::time::Instant;

use super::session::Session;
use crate::channel::Ended;
use crate::rate::{What, Who};

/// How long a client that ignores limits is asked to stay away.
const IGNORED_WAIT_MS: u64 = 60_000;

/// How often this link has gone over a limit of late.
#[derive(Default)]
pub(super) struct Patience(Mutex<Option<Over>>);

#[derive(Clone, Copy)]
struct Over {
    times: u32,
    last: Instant,
}

impl Patience {
    /// Counts one more: how often it was, without a pause of `forgiven`.
    fn over(&self, forgiven: Duration) -> u32 {
        let mut over = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = over.filter(|over| now - over.last < forgiven).map_or(0, |over| over.times);
        let times = before.saturating_add(1);
        *over = Some(Over { times, last: now });
        times
    }
}

impl Session {
    /// Whether the user may do this now. A link that keeps asking although it was told to wait is closed.
    pub(super) fn allow(&self, what: What) -> Result<(), WireError> {
        let config = &self.node.config;
        let rate = match what {
            What::Connect => config.connects,
            What::Send => config.sends,
            What::Attach => config.attaches,
            What::Typing => config.typings,
            _ => config.queries,
        };
        let Err(over) = self.node.limiter.take(what, Who::User(self.user), rate) else { return Ok(()) };
        let times = self.patience.over(Duration::from_millis(config.rate_forgiven_ms));
        if times >= config.rate_ignored_max.max(1) {
            let ended = Ended::new(CloseCode::RATE_IGNORED, "went on after being asked to wait");
            self.end(&Ended { retry_after_ms: Some(IGNORED_WAIT_MS), ..ended });
        }
        Err(WireError::new(ErrorCode::RATE_LIMITED, over.to_string()).retry_after(over.wait_ms))
    }
}
