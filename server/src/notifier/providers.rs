//! Who pushes, each behind a breaker. Browsers' services have one each: whoever names a service that is down must not
//! stop the pushes of others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use tokio::sync::Semaphore;

use super::apns::Apns;
use super::breaker::Breaker;
use super::config::NotifierConfig;
use super::fcm::Fcm;
use super::metrics::{OutcomeLabel, ProviderLabel, PushMetrics};
use super::outcome::Outcome;
use super::payload::Notice;
use super::webpush::WebPush;
use super::wire::{Connector, Origin, Pool, PoolLimits};
use crate::chat::push::{PushKind, PushToken, Subscription};
use crate::clock::Clock;

/// How many browsers' services are remembered.
const BREAKERS_MAX: usize = 10_000;
/// How many are connected to at once.
const ORIGINS_MAX: usize = 64;

/// A provider's name, for metrics.
#[must_use]
pub(super) fn name(kind: PushKind) -> &'static str {
    match kind {
        PushKind::Apns => "apns",
        PushKind::Fcm => "fcm",
        PushKind::Webpush => "webpush",
    }
}

/// All of them.
pub struct Providers {
    apns: Option<Apns>,
    fcm: Option<Fcm>,
    webpush: Option<WebPush>,
    breakers: Mutex<HashMap<(PushKind, Option<Origin>), Breaker>>,
    /// What large channels may use at once of each provider: the rest is for conversations.
    bulk: Semaphore,
    config: NotifierConfig,
    clock: Clock,
    metrics: PushMetrics,
}

impl Providers {
    /// Those that are configured. Fails where a key can't be used.
    pub fn new(config: &NotifierConfig, clock: Clock, metrics: PushMetrics) -> anyhow::Result<Self> {
        let request = Duration::from_millis(config.request_ms);
        let connector = Connector::new(config.extra_roots.as_deref(), request)?;
        let limits =
            PoolLimits { origins: ORIGINS_MAX, connections: config.connections, streams: config.streams, request };
        let pool = |connector: &Connector| Arc::new(Pool::new(connector.clone(), limits));
        let apns = config.apns.clone().map(|apns| Apns::new(apns, pool(&connector), clock.clone())).transpose()?;
        let fcm = config.fcm.clone().map(|fcm| Fcm::new(fcm, pool(&connector), clock.clone())).transpose()?;
        let webpush = config.webpush.clone().map(|webpush| {
            let guarded = connector.only_public(webpush.exempt.0.clone());
            WebPush::new(webpush, pool(&guarded), clock.clone())
        });
        let bulk = Semaphore::new((config.connections * config.streams / 2).max(1));
        Ok(Self {
            apns,
            fcm,
            webpush: webpush.transpose()?,
            breakers: Mutex::default(),
            bulk,
            config: config.clone(),
            clock,
            metrics,
        })
    }

    /// Whether anything may go to this provider now; for browsers that depends on which.
    pub(super) fn gate(&self, kind: PushKind) -> bool {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.get(&(kind, None)).is_none_or(|breaker| breaker.gate(self.clock.now_ms()).is_ok())
    }

    /// Sends one; `None` where nobody pushes by this provider, or it would do no good.
    pub async fn send(&self, push: &PushToken, notice: &Notice, is_bulk: bool) -> Option<Outcome> {
        let wanted = match push.kind {
            PushKind::Apns => self.apns.is_some(),
            PushKind::Fcm => self.fcm.is_some(),
            PushKind::Webpush => self.webpush.as_ref().is_some_and(|webpush| webpush.wants(notice)),
        };
        if !wanted {
            return None;
        }
        let key = (push.kind, self.service(push));
        if let Err(until_ms) = self.breaker(&key, |breaker| breaker.pass(self.clock.now_ms())) {
            return Some(Outcome::Blocked(until_ms));
        }
        let _bulk = if is_bulk { self.bulk.acquire().await.ok() } else { None };
        let outcome = match push.kind {
            PushKind::Apns => self.apns.as_ref()?.send(&push.token, notice).await,
            PushKind::Fcm => self.fcm.as_ref()?.send(&push.token, notice).await,
            PushKind::Webpush => self.webpush.as_ref()?.send(&push.token, notice).await,
        };
        self.heard(&key, &outcome);
        let (what, reason) = outcome.label();
        let label = OutcomeLabel { provider: name(push.kind), outcome: what, reason: reason.to_owned() };
        self.metrics.outcomes.get_or_create(&label).inc();
        Some(outcome)
    }

    /// The request alone that would be sent, without the breaker; `None` where nobody pushes by this provider.
    pub async fn request(&self, push: &PushToken, notice: &Notice) -> Option<Result<Request<Full<Bytes>>, Outcome>> {
        Some(match push.kind {
            PushKind::Apns => self.apns.as_ref()?.request(&push.token, notice).map(|(request, _)| request),
            PushKind::Fcm => self.fcm.as_ref()?.request(&push.token, notice).await.map(|(request, _)| request),
            PushKind::Webpush => self.webpush.as_ref()?.request(&push.token, notice),
        })
    }

    fn service(&self, push: &PushToken) -> Option<Origin> {
        if push.kind != PushKind::Webpush {
            return None;
        }
        let uri: Uri = Subscription::parse(&push.token)?.endpoint.parse().ok()?;
        Origin::of(&uri)
    }

    fn heard(&self, key: &(PushKind, Option<Origin>), outcome: &Outcome) {
        let now_ms = self.clock.now_ms();
        let (mut opened, mut closed) = (false, false);
        self.breaker(key, |breaker| match outcome {
            Outcome::Down(_, Some(wait_ms)) => opened = breaker.told_to_wait(now_ms, *wait_ms),
            Outcome::Down(_, None) => opened = breaker.failed(now_ms),
            Outcome::Blocked(_) => {}
            _ => closed = breaker.succeeded(),
        });
        let provider = name(key.0);
        if let (true, Outcome::Down(reason, _)) = (opened, outcome) {
            tracing::warn!(provider, reason, "a push provider is in trouble; it is left alone for a while");
            self.metrics.breaker_open.get_or_create(&ProviderLabel { provider }).inc();
        }
        if closed {
            tracing::info!(provider, "a push provider works again");
            self.metrics.breaker_open.get_or_create(&ProviderLabel { provider }).dec();
        }
    }

    fn breaker<T>(&self, key: &(PushKind, Option<Origin>), then: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if breakers.len() >= BREAKERS_MAX && !breakers.contains_key(key) {
            breakers.retain(|_, breaker| breaker.is_open());
        }
        then(breakers.entry(key.clone()).or_insert_with(|| Breaker::new(self.config.breaker)))
    }
}
