//! Runs a core over real links: one task for a client, and those of its links.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use suda_schema::channel::HistoryPage;
use suda_schema::control::Presence;
use suda_schema::{ChannelId, ClientMsgId, CloseCode};
use tokio::sync::{Notify, mpsc, oneshot};

use super::error::Error;
use super::events::EventLog;
use super::http::Api;
use super::link::{Conn, LinkHandle};
use super::network::Network;
use super::wakers::Wakers;
use super::{quic, websocket, webtransport};
use crate::core::Core;
use crate::core::io::{Candidate, Effect, Event, Failure, Kind, LinkId, Outcome, RequestId, StreamId, Token};

/// How many links that were just made may wait for the driver.
const DIALED_MAX: usize = 8;
/// The longest the driver sleeps when nothing is due.
const SLEEP_MS_MAX: u64 = 3_600_000;

/// What a client's handles and tasks share.
pub(super) struct Shared {
    core: Mutex<Core>,
    clock: Clock,
    wake: Notify,
    pub(super) api: Api,
    pub(super) network: Network,
    /// Where to connect, if not as discovery says.
    pub(super) links: Option<Vec<Candidate>>,
    pub(super) events: EventLog,
    /// Those who wait for something in a channel.
    pub(super) channels: Wakers<ChannelId>,
    pub(super) sends: Waiters<ClientMsgId, Outcome>,
    pub(super) pages: Waiters<RequestId, Result<HistoryPage, Failure>>,
    pub(super) presences: Waiters<RequestId, Result<Vec<Presence>, Failure>>,
    over: std::sync::atomic::AtomicBool,
}

/// The time of day when the client began, and how long that is ago: it never jumps.
struct Clock {
    began_ms: u64,
    began: Instant,
}

/// Who waits for an answer.
pub(super) struct Waiters<K, V>(Mutex<HashMap<K, oneshot::Sender<V>>>);

impl<K: Eq + std::hash::Hash, V> Waiters<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// To be called while the core is locked, so that the answer does not come first.
    pub(super) fn wait(&self, key: K) -> oneshot::Receiver<V> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who gave up waiting make room.
        if waiting.len() >= 64 && waiting.len().is_power_of_two() {
            waiting.retain(|_, sender| !sender.is_closed());
        }
        waiting.insert(key, sender);
        receiver
    }

    fn answer(&self, key: &K, value: V) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key) {
            // Nobody waits any more.
            let _ = sender.send(value);
        }
    }
}

impl Shared {
    pub(super) fn new(
        make: impl FnOnce(u64) -> Core,
        api: Api,
        network: Network,
        links: Option<Vec<Candidate>>,
    ) -> Arc<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_ms = u64::try_from(since.as_millis()).unwrap_or(0);
        Arc::new(Self {
            core: Mutex::new(make(began_ms)),
            clock: Clock { began_ms, began: Instant::now() },
            wake: Notify::new(),
            api,
            network,
            links,
            events: EventLog::default(),
            channels: Wakers::default(),
            sends: Waiters::new(),
            pages: Waiters::new(),
            presences: Waiters::new(),
            over: std::sync::atomic::AtomicBool::new(false),
        })
    }

    pub(super) fn now_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.clock.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.clock.began_ms.saturating_add(elapsed)
    }

    /// Looks at the core.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Core) -> T) -> T {
        look(&self.lock())
    }

    /// Does something with the core, and has the driver carry out what follows.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Core, u64) -> T) -> T {
        let now_ms = self.now_ms();
        let result = act(&mut self.lock(), now_ms);
        self.wake();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn received(&self, link: LinkId, stream: StreamId, piece: &crate::core::io::Piece) {
        self.act(|core, now_ms| core.received(now_ms, link, stream, piece));
    }

    pub(super) fn datagram(&self, link: LinkId, body: &[u8]) {
        self.act(|core, now_ms| core.datagram(now_ms, link, body));
    }

    pub(super) fn link_ended(&self, link: LinkId, code: Option<CloseCode>) {
        self.act(|core, now_ms| core.link_ended(now_ms, link, code));
    }

    /// No handle is left: the driver closes everything and ends.
    pub(super) fn end(&self) {
        self.over.store(true, std::sync::atomic::Ordering::SeqCst);
        self.act(Core::disconnect);
    }

    /// Whether the last handle is gone.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn dispatch(&self, event: Event) {
        match &event {
            Event::Channel(channel) | Event::ChannelGone(channel) => self.channels.wake(channel),
            Event::Missed => self.channels.wake_all(),
            Event::Sent { id, outcome, .. } => self.sends.answer(id, outcome.clone()),
            Event::History { request, page } => return self.pages.answer(request, page.clone()),
            Event::Presence { request: Some(request), users } => {
                self.presences.answer(request, users.clone());
            }
            _ => {}
        }
        self.events.push(event);
    }
}

/// Carries out what the core wants, until the client is over.
pub(super) async fn run(shared: Arc<Shared>) {
    let (dialed, mut arriving) = mpsc::channel(DIALED_MAX);
    let mut driver = Driver { shared, links: HashMap::new(), dials: HashMap::new(), dialed };
    loop {
        let next_ms = driver.step();
        if driver.shared.is_over() && driver.links.is_empty() {
            driver.shared.events.end();
            driver.shared.channels.wake_all();
            return;
        }
        let now_ms = driver.shared.now_ms();
        let wait_ms = next_ms.map_or(SLEEP_MS_MAX, |at_ms| at_ms.saturating_sub(now_ms)).min(SLEEP_MS_MAX);
        tokio::select! {
            () = driver.shared.wake.notified() => {}
            // One more, so that it is due when it is looked at.
            () = tokio::time::sleep(Duration::from_millis(wait_ms + 1)), if wait_ms > 0 => {}
            arrived = arriving.recv() => {
                if let Some((link, conn)) = arrived {
                    driver.arrived(link, conn);
                }
            }
            () = std::future::ready(()), if wait_ms == 0 => tokio::task::yield_now().await,
        }
    }
}

struct Driver {
    shared: Arc<Shared>,
    links: HashMap<LinkId, LinkHandle>,
    dials: HashMap<LinkId, tokio::task::AbortHandle>,
    dialed: mpsc::Sender<(LinkId, Conn)>,
}

impl Driver {
    /// Does what is to be done now; when to look again.
    fn step(&mut self) -> Option<u64> {
        let shared = Arc::clone(&self.shared);
        let now_ms = shared.now_ms();
        let (mut effects, mut events) = (Vec::new(), Vec::new());
        let known;
        let next_ms = {
            let mut core = shared.lock();
            core.tick(now_ms);
            for (id, handle) in &mut self.links {
                while let Some(transmit) = core.poll_transmit(*id, &mut |stream| handle.has_room(stream)) {
                    handle.write(&shared, *id, transmit);
                }
            }
            while let Some(effect) = core.poll_effect() {
                effects.push(effect);
            }
            while let Some(event) = core.poll_event() {
                events.push(event);
            }
            known = self.links.keys().copied().filter(|link| core.has_link(*link)).collect::<Vec<_>>();
            core.timeout(now_ms)
        };
        events.into_iter().for_each(|event| shared.dispatch(event));
        for effect in effects {
            self.carry_out(effect);
        }
        // What has ended by itself.
        self.links.retain(|link, _| known.contains(link));
        next_ms
    }

    fn carry_out(&mut self, effect: Effect) {
        let shared = Arc::clone(&self.shared);
        match effect {
            Effect::Discover => {
                tokio::spawn(async move {
                    let found = match &shared.links {
                        Some(links) => Ok(links.clone()),
                        None => shared.api.discover().await.map_err(Failure::from),
                    };
                    shared.act(|core, now_ms| core.discovered(now_ms, found));
                });
            }
            Effect::RefreshToken => {
                tokio::spawn(async move {
                    let token = shared.api.refresh(None).await.map_err(Failure::from);
                    let token =
                        token.map(|login| Token { access: login.access, expires_at_ms: login.access_expires_at_ms });
                    shared.act(|core, now_ms| core.token(now_ms, token));
                });
            }
            Effect::Dial { link, candidate } => {
                let dialed = self.dialed.clone();
                let task = tokio::spawn(async move {
                    match dial(&shared.network, &candidate).await {
                        Ok(conn) => {
                            // It fails only when the driver has ended.
                            let _ = dialed.send((link, conn)).await;
                        }
                        Err(error) => {
                            tracing::debug!(kind = %candidate.kind, url = candidate.url, %error, "a dial failed");
                            shared.link_ended(link, None);
                        }
                    }
                });
                self.dials.retain(|_, dial| !dial.is_finished());
                self.dials.insert(link, task.abort_handle());
            }
            Effect::Datagram { link, body } => {
                if let Some(handle) = self.links.get(&link) {
                    handle.datagram(body);
                }
            }
            Effect::Close { link, code } => {
                if let Some(dial) = self.dials.remove(&link) {
                    dial.abort();
                }
                if let Some(handle) = self.links.remove(&link) {
                    handle.close(code);
                }
            }
        }
    }

    fn arrived(&mut self, link: LinkId, conn: Conn) {
        self.dials.remove(&link);
        let handle = LinkHandle::start(&self.shared, link, conn);
        self.links.insert(link, handle);
        self.shared.act(|core, now_ms| core.dialed(now_ms, link));
    }
}

async fn dial(network: &Network, candidate: &Candidate) -> Result<Conn, Error> {
    let url = reqwest::Url::parse(&candidate.url).map_err(|error| Error::BadUrl(error.to_string()))?;
    let bad = || Error::BadUrl(candidate.url.clone());
    let host = url.host_str().ok_or_else(bad)?;
    let port = url.port_or_known_default().ok_or_else(bad)?;
    let hashes = &candidate.certificate_hashes;
    match candidate.kind {
        Kind::Quic => quic::dial(network, host, port, hashes).await,
        Kind::WebTransport => webtransport::dial(network, &candidate.url, hashes).await,
        Kind::WebSocket => websocket::dial(network, &candidate.url, host, port, hashes).await,
    }
}
