//! Tells people who are not there: takes the push outbox's rows, decides who is told, and hands it to Apple, Google or a
//! browser's own service.
//!
//! | module | idea |
//! |---|---|
//! | `lease` | who works on which shards of the outbox; what a dead node had is taken over |
//! | `shard` · `intake` · `landing` | one shard: order, fairness, what is under way; what it reads; what came of it |
//! | `job` | one person told of one thing |
//! | `held` · `rows` · `commit` | who is told later, and how it lies in the store |
//! | `decide` · `payload` | who is told, and what: pure |
//! | `providers` · `breaker` · `backoff` · `outcome` | who pushes, and what if they don't |
//! | `apns` · `fcm` · `webpush` | one provider each |
//! | `wire` | connections |
//! | `dead` | what was given up |

mod apns;
mod backoff;
mod breaker;
mod commit;
mod config;
pub mod dead;
mod decide;
mod fcm;
mod held;
mod intake;
mod job;
mod landing;
mod lease;
mod metrics;
mod outcome;
mod payload;
mod providers;
mod rows;
mod shard;
mod webpush;
pub mod wire;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use apns::{ApnsConfig, PRODUCTION as APNS_PRODUCTION, SANDBOX as APNS_SANDBOX, SANDBOX_TOKEN};
pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerConfig};
pub use config::{Exempt, Hidden, NotifierConfig};
pub use decide::{Patience, Verdict, decide};
pub use fcm::{BASE as FCM_BASE, FcmConfig};
pub use metrics::{OutcomeLabel, ProviderLabel, PushMetrics, ReasonLabel};
pub use outcome::Outcome;
pub use payload::{Alert, Notice, Show};
pub use providers::Providers;
pub use webpush::{WebPushConfig, public_key as vapid_public_key};
pub use wire::is_public;

use crate::chat::Chat;

/// What all of the notifier stands on.
struct Context {
    chat: Chat,
    node: u16,
    config: NotifierConfig,
    providers: Providers,
    metrics: PushMetrics,
}

/// A notifier at work. It ends, as a crash would end it, when this is dropped.
pub struct Notifier {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Notifier {
    /// Starts it. Fails where a provider's key can't be used.
    pub fn start(chat: Chat, node: u16, config: NotifierConfig, metrics: PushMetrics) -> anyhow::Result<Self> {
        let providers = Providers::new(&config, chat.clock().clone(), metrics.clone())?;
        let ctx = Arc::new(Context { chat, node, config, providers, metrics });
        let stop = CancellationToken::new();
        let task = tokio::spawn(lease::Manager::new(ctx).run(stop.clone()));
        Ok(Self { stop, task })
    }

    /// Finishes what is under way and lets its shards go.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether it is an https address, or what is wrong.
fn https(url: &str) -> anyhow::Result<()> {
    let uri: http::Uri = url.parse()?;
    anyhow::ensure!(wire::Origin::of(&uri).is_some(), "it must begin with https://");
    Ok(())
}

/// What a notifier without providers stands on.
#[cfg(test)]
fn context(store: crate::store::Store, node: u16) -> Arc<Context> {
    let (chat, _) = crate::chat::testing::on_node(store, node, crate::chat::testing::config());
    let (config, metrics) = (NotifierConfig::default(), PushMetrics::default());
    let providers = Providers::new(&config, chat.clock().clone(), metrics.clone()).unwrap();
    Arc::new(Context { chat, node, config, providers, metrics })
}
