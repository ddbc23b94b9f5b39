//! How people are told, and by whom.

use std::net::IpAddr;

use super::apns::ApnsConfig;
use super::backoff::Backoff;
use super::breaker::BreakerConfig;
use super::fcm::FcmConfig;
use super::webpush::WebPushConfig;

/// What the operator decides about pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierConfig {
    /// Apple's.
    pub apns: Option<ApnsConfig>,
    /// Google's.
    pub fcm: Option<FcmConfig>,
    /// The browsers'.
    pub webpush: Option<WebPushConfig>,
    /// Certificates to trust beside those that the machine does, in PEM.
    pub extra_roots: Option<String>,
    /// How long an online device has to read a message first.
    pub wait_ms: u64,
    /// A device at which nobody has been for so long keeps nobody from being told.
    pub idle_ms: u64,
    /// A device that is there, and has not fetched a message, may be gone without our knowing: it is asked again then.
    pub recheck_ms: u64,
    /// For how long a message is worth telling.
    pub useful_ms: u64,
    /// Pauses between tries of one push.
    pub backoff: Backoff,
    /// When a provider is left alone.
    pub breaker: BreakerConfig,
    /// How long a provider may take to answer.
    pub request_ms: u64,
    /// Connections to one provider.
    pub connections: usize,
    /// Requests at once on one connection.
    pub streams: usize,
    /// Members of a large channel that are looked at in one go.
    pub page_users: usize,
    /// How long somebody else's silence is taken for being busy. Then its shards are taken over.
    pub lease_ms: u64,
    /// How long dead letters are kept.
    pub dead_ms: u64,
    /// How many of them.
    pub dead_max: usize,
}

impl Default for NotifierConfig {
    fn default() -> Self {
        Self {
            apns: None,
            fcm: None,
            webpush: None,
            extra_roots: None,
            wait_ms: 1_500,
            idle_ms: 120_000,
            recheck_ms: 35_000,
            useful_ms: 86_400_000,
            backoff: Backoff { first_ms: 1_000, most_ms: 300_000 },
            breaker: BreakerConfig { failures: 10, open_ms: 5_000, open_ms_max: 120_000 },
            request_ms: 15_000,
            connections: 2,
            streams: 200,
            page_users: 200,
            lease_ms: 10_000,
            dead_ms: 7 * 86_400_000,
            dead_max: 10_000,
        }
    }
}

impl NotifierConfig {
    /// Whether there is anybody to push by.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.apns.is_some() || self.fcm.is_some() || self.webpush.is_some()
    }
}

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Which addresses pushes may be sent to, beside public ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exempt(pub Vec<IpAddr>);
