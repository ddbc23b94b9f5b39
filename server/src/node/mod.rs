//! Puts the parts together and runs them: store, chat, hubs, sessions, HTTP API, links.
//!
//! ```text
//! store ── chat ──┬── hubs ──┬── sessions ── links
//!                 └──────────┴── api ──────── links (HTTPS, HTTP), HTTP/3
//! bell: what chat rings goes to hubs and sessions
//! ```

mod clockwork;
pub mod data;
mod layout;
mod local;
mod metrics;
mod parts;
mod ready;
pub mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::api::http3::{Http3, Http3Config};
use crate::api::{Api, ApiParts, Ears, NodeFacts};
use crate::channel::{HubMetrics, Hubs};
use crate::chat::{Alone, Bell, Chat, Peers, Topic};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterMetrics, Local};
use crate::config::{EngineKind, Settings};
use crate::link::{Link, LinkMetrics, Listeners, OnLink, Serving};
use crate::notifier::{Notifier, PushMetrics, vapid_public_key};
use crate::rate::RateLimiter;
use crate::session::{LocalBell, SessionMetrics, Sessions};
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::tls::CertStore;

use local::LocalNode;

pub use clockwork::{BEHIND_MS_TOLERATED, behind_ms, latest_ms, write as write_latest};
pub use parts::tls as tls_config;
pub use ready::Ready;

/// How often deletions that were cut short are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// A node that runs.
pub struct Node {
    settings: Settings,
    store: Store,
    clock: Clock,
    hubs: Hubs,
    sessions: Sessions,
    api: Api,
    serving: Serving,
    http3: Option<quinn::Endpoint>,
    ready: Ready,
    /// Tells people who are not there, where somebody would carry it to them.
    notifier: Option<Notifier>,
    /// Everything that goes on for ever. Ends with the node.
    tasks: JoinSet<()>,
    number: u16,
    chat: Chat,
    cluster: Option<Cluster>,
}

impl Node {
    /// Opens the store, then the ports, and serves from then on.
    pub async fn start(settings: Settings, metrics: Metrics) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let data = data::prepare(&settings.node.data)?;
        let store = store::open(&settings, &data, &clock).await?;
        if let Some(behind_ms) = behind_ms(&store, &clock).await? {
            tracing::error!(behind_ms, "this machine's clock is behind what the store has seen: set it right");
        }
        layout::check(&store).await?;
        let certificate = CertStore::open(&parts::tls(&settings), &data, clock.clone())?;
        // Bound before others are told of the ports, and served at the end.
        let listeners = Listeners::bind(parts::link(&settings), &certificate)?;
        let http3 = http3(&settings, listeners.addr(), &certificate)?;
        let http3_addr = http3.as_ref().map(Http3::local_addr).transpose()?;
        let ready =
            Ready { addr: listeners.addr(), http: listeners.http_addr(), http3: http3_addr, data: data.clone() };
        let address = parts::address(&settings, &ready);

        let cluster_metrics = ClusterMetrics::default();
        let cluster = match settings.store.engine {
            EngineKind::FoundationDb => {
                let (config, metrics) = (parts::cluster(&settings)?, cluster_metrics.clone());
                Some(Cluster::join(store.clone(), clock.clone(), config, address.clone(), metrics).await?)
            }
            EngineKind::Embedded | EngineKind::Memory => None,
        };
        let number = cluster.as_ref().map_or(settings.node.number, Cluster::number);
        let peers = cluster.as_ref().map_or_else(|| Arc::new(Alone) as Arc<dyn Peers>, Cluster::peers);

        let bell = Arc::new(NodeBell::default());
        let chat_config = parts::chat(&settings)?;
        let chat = Chat::among(peers, store.clone(), clock.clone(), number, bell.clone(), chat_config)?;
        chat.warm_up().await?;
        // Whatever this node's former life has left behind is offline.
        while chat.presence_sweep(number, None).await? {}

        let limiter = Arc::new(RateLimiter::new(clock.clone()));
        let hub_metrics = HubMetrics::default();
        let hubs = Hubs::new(chat.clone(), parts::hub(&settings), hub_metrics.clone());
        let session_metrics = SessionMetrics::default();
        let sessions = Sessions::new(
            chat.clone(),
            hubs.clone(),
            parts::session(&settings),
            session_metrics.clone(),
            limiter.clone(),
            number,
        );
        bell.local.connect(hubs.clone(), sessions.clone());
        ready.write_admin_address()?;

        let link_metrics = LinkMetrics::default();
        metrics.register(|registry| {
            store.metrics().register(registry);
            hub_metrics.register(registry);
            session_metrics.register(registry);
            link_metrics.register(registry);
            if cluster.is_some() {
                cluster_metrics.register(registry);
            }
            registry.register_collector(Box::new(metrics::Limiter(limiter.clone())));
        });
        let push = parts::notifier(&settings)?;
        let web_push_key = push.webpush.as_ref().map(|webpush| vapid_public_key(&webpush.key.0)).transpose()?;
        let notifier = if push.is_on() {
            let push_metrics = PushMetrics::default();
            metrics.register(|registry| push_metrics.register(registry));
            Some(Notifier::start(chat.clone(), number, push, push_metrics)?)
        } else {
            None
        };
        let facts = NodeFacts {
            web_push_key,
            node: number,
            address,
            certificate: certificate.clone(),
            sign_up: parts::sign_up(&settings),
            cluster: cluster.clone(),
        };
        let api = Api::new(ApiParts {
            chat: chat.clone(),
            hubs: hubs.clone(),
            sessions: sessions.clone(),
            ears: bell.ears.clone(),
            limiter,
            config: parts::api(&settings),
            facts,
            metrics,
            admin_token: data::write_admin_token(&data, &clock)?,
        });

        let mut tasks = JoinSet::new();
        tasks.spawn(certificate.clone().watch());
        tasks.spawn(clockwork::keep_writing(store.clone(), clock.clone()));
        tasks.spawn(sweep(chat.clone()));
        if let Some(cluster) = &cluster {
            let listeners = LocalNode::new(bell.clone(), hubs.clone(), sessions.clone(), certificate.clone());
            cluster.run(&(Arc::new(listeners) as Arc<dyn Local>), &chat, &mut tasks);
        }
        let http3_endpoint = http3.as_ref().map(Http3::endpoint);
        if let Some(http3) = http3 {
            tasks.spawn(http3.serve(api.router()));
        }
        let serving = listeners.serve(api.router(), link_metrics, on_link(sessions.clone()));
        let http3 = http3_endpoint;
        if let Some(cluster) = &cluster {
            cluster.open();
        }
        Ok(Self {
            settings,
            store,
            clock,
            hubs,
            sessions,
            api,
            serving,
            http3,
            ready,
            notifier,
            tasks,
            number,
            chat,
            cluster,
        })
    }

    /// Where it is reached.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Resolves if the other nodes have taken this one for dead. Then it must be stopped, and may be started anew.
    pub async fn lost(&self) {
        match &self.cluster {
            Some(cluster) => cluster.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Stops: no more links, those that stand are asked to move and then closed, what was acknowledged is flushed.
    pub async fn stop(self) {
        let drain = Duration::from_millis(self.settings.node.drain_ms);
        self.api.drain();
        self.serving.drain();
        if let Some(cluster) = &self.cluster {
            cluster.drain().await;
        }
        if !drain.is_zero() {
            // They are to have moved when the time is over: what is closed then has not obeyed.
            self.sessions.drain(drain * 3 / 4);
            if self.cluster.is_some() {
                // Discovery has named others from the beginning.
                self.sessions.gone(drain).await;
            } else {
                // All of it, even if the sessions go earlier: balancers need the time to look.
                tokio::time::sleep(drain).await;
            }
        }
        self.end().await;
    }

    /// Stops at once: the number is another's by now, and nothing that is said here counts any more.
    pub async fn give_up(self) {
        self.api.drain();
        self.serving.drain();
        self.end().await;
    }

    async fn end(mut self) {
        let end = Instant::now() + Duration::from_millis(self.settings.node.stop_within_ms);
        let left = || end.saturating_duration_since(Instant::now());
        self.sessions.end_all();
        if !self.sessions.gone(left()).await {
            tracing::warn!(links = self.sessions.count(), "some links did not end in time");
        }
        if !self.hubs.at_rest(left()).await {
            tracing::warn!("some messages were still waiting to be written; their senders will send them again");
        }
        // What it can't give up in time is taken from it.
        let _ = tokio::time::timeout(left(), self.hubs.step_down()).await;
        self.serving.shutdown(left()).await;
        if let Some(http3) = &self.http3 {
            http3.close(0u32.into(), b"this node stops");
        }
        self.tasks.shutdown().await;
        if let Some(notifier) = self.notifier.take()
            && tokio::time::timeout(left(), notifier.stop()).await.is_err()
        {
            tracing::warn!("some pushes were still under way; whoever takes over sends them again");
        }
        let goodbye = async {
            match &self.cluster {
                // Its users may be with other nodes soon: those sweep what is left.
                Some(cluster) => cluster.leave().await?,
                // The sessions have said so themselves; this is for those that were cut off.
                None => while self.chat.presence_sweep(self.number, None).await.unwrap_or(false) {},
            }
            clockwork::write(&self.store, &self.clock).await
        };
        // What can't be written any more is swept at the next start.
        let _ = tokio::time::timeout(left().max(Duration::from_millis(100)), goodbye).await;
        self.ready.forget_admin_address();
    }
}

fn http3(settings: &Settings, public: SocketAddr, certificate: &CertStore) -> anyhow::Result<Option<Http3>> {
    let Some(port) = settings.listen.h3_port else { return Ok(None) };
    let config = Http3Config {
        address: SocketAddr::new(public.ip(), port),
        body_bytes_max: settings.http.body_bytes_max,
        head_ms_max: settings.http.head_ms,
        stall_ms_max: settings.http.stall_ms,
        connections_per_address_max: settings.http.connections_per_address_max,
    };
    Ok(Some(Http3::bind(config, certificate)?))
}

/// What chat rings: hubs and sessions, and long polls.
#[derive(Default)]
struct NodeBell {
    local: LocalBell,
    ears: Ears,
}

impl Bell for NodeBell {
    fn ring(&self, topic: Topic) {
        self.local.ring(topic);
        self.ears.ring(topic);
    }
}

/// What is done with each new link: a session in a task of its own, under the link's span.
fn on_link(sessions: Sessions) -> OnLink {
    Arc::new(move |link: Arc<dyn Link>| {
        let sessions = sessions.clone();
        let span = tracing::info_span!(
            "link",
            kind = link.kind().name(),
            remote = %link.remote_addr(),
            user = tracing::field::Empty,
            device = tracing::field::Empty,
        );
        tokio::spawn(async move { sessions.serve(link).await }.instrument(span));
    })
}

/// Finishes what was begun and cut short, now and then.
async fn sweep(chat: Chat) {
    loop {
        match chat.sweep_channels().await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "finished deleting channels"),
            Err(error) => tracing::warn!(%error, "deleted channels can't be swept away"),
        }
        match chat.erase_leaving().await {
            Ok(0) => {}
            Ok(erased) => tracing::info!(erased, "finished erasing accounts"),
            Err(error) => tracing::warn!(%error, "deleted accounts can't be erased"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
