//! The client itself: logging in, and the way to everything else.

use std::sync::Arc;

use suda_schema::control::Presence;
use suda_schema::open::Activity;
use suda_schema::summary::ChannelSummary;
use suda_schema::{ChannelId, DeviceId, UserId};

use super::account::Account;
use super::channel::Channel;
use super::driver::{self, Shared};
use super::error::Error;
use super::events::Events;
use super::file::FileStorage;
use super::http::{Api, Kept};
use super::network::Network;
use super::people::{Devices, Friends, Users};
use super::types::{Login, NewDevice};
use crate::core::Core;
use crate::core::config::Config;
use crate::core::io::{Candidate, Kind, Status, Stopped, Token};
use crate::core::storage::{Storage, Volatile};

/// Makes a [`Client`].
///
/// ```no_run
/// # async fn run() -> Result<(), suda_client::Error> {
/// use suda_client::Client;
///
/// let client = Client::builder("https://suda.example")
///     .app("my-chat/1.0")
///     .device("Kim's laptop")
///     .folder("/home/kim/.local/share/my-chat")
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is made before `connect`"]
pub struct ClientBuilder {
    url: String,
    config: Config,
    device: NewDevice,
    network: Option<Network>,
    storage: Option<Box<dyn Storage>>,
    folder: Option<std::path::PathBuf>,
    links: Option<Vec<Candidate>>,
    pinned: Vec<[u8; 32]>,
    login: Option<Login>,
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Name and version of the program, for the operator's statistics.
    pub fn app(mut self, name: impl Into<String>) -> Self {
        self.config.client_name = name.into();
        self
    }

    /// A name for this device, for people. It is used when it logs in.
    pub fn device(mut self, name: impl Into<String>) -> Self {
        self.device.name = name.into();
        self
    }

    /// Keeps the login, the list of channels, the newest messages and what has not been sent in this folder. Without it
    /// everything is forgotten when the app ends. One folder is for one client at a time.
    pub fn folder(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The same somewhere else.
    pub fn storage(mut self, storage: impl Storage + 'static) -> Self {
        self.storage = Some(Box::new(storage));
        self
    }

    /// Other settings than those that need no thought.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Only these transports, best first.
    pub fn transports(mut self, kinds: &[Kind]) -> Self {
        self.config.transports = kinds.to_vec();
        self
    }

    /// Shares sockets with other clients of this process.
    pub fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
        self
    }

    /// Connects to these addresses, whatever discovery says: where the server is reached by another way than its own
    /// name.
    pub fn links(mut self, links: Vec<Candidate>) -> Self {
        self.links = Some(links);
        self
    }

    /// Trusts a certificate with this SHA-256 hash in place of those that the platform trusts. The hashes that discovery
    /// gives, as a server in development does, are trusted in any case.
    pub fn pin_certificate(mut self, sha256: [u8; 32]) -> Self {
        self.pinned.push(sha256);
        self
    }

    /// Goes on as a device that has logged in before.
    pub fn login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// Makes the client. If it was given a login, or finds one in its folder, it connects in the background and shows
    /// what it knows meanwhile; otherwise [`Client::login`] or [`Client::sign_up`] is next. It does not wait for the
    /// server: an app starts without a network, too.
    pub async fn connect(self) -> Result<Client, Error> {
        let Self { url, mut config, device, network, storage, folder, links, pinned, login } = self;
        // This driver sends them.
        config.datagrams = true;
        let storage: Box<dyn Storage> = match (storage, folder) {
            (Some(storage), _) => storage,
            (None, Some(folder)) => {
                let opened = tokio::task::spawn_blocking(move || FileStorage::open(folder)).await;
                let opened = opened.map_err(|error| Error::System(error.to_string()))?;
                Box::new(opened.map_err(|error| Error::System(error.0))?)
            }
            (None, None) => Box::new(Volatile),
        };
        let network = network.map_or_else(Network::new, Ok)?;
        let api = Api::new(&url, pinned, &network)?;
        let make = |now_ms| Core::new(config, storage, Token::default(), rand::random(), now_ms);
        let shared = Shared::new(make, api, network, links);
        let kept = shared.look(|core| core.kept_login().and_then(|bytes| serde_json::from_slice::<Kept>(bytes).ok()));
        let kept = kept.map(|kept| {
            shared.api.knows(kept.nodes);
            kept.login
        });
        let keeper = Arc::downgrade(&shared);
        shared.api.keep_with(Box::new(move |kept: Option<&Kept>| {
            if let Some(shared) = keeper.upgrade() {
                let bytes = kept.and_then(|kept| serde_json::to_vec(kept).ok());
                shared.act(|core, _| core.keep_login(bytes));
            }
        }));
        let client = Client { inner: Arc::new(Inner { shared, device }) };
        tokio::spawn(driver::run(Arc::clone(&client.inner.shared)));
        if let Some(login) = login.or(kept) {
            client.begin(login);
        }
        Ok(client)
    }
}

/// A client: one device of one user. Cheap to clone; it disconnects when the last clone and the last channel are gone.
///
/// ```no_run
/// # async fn run() -> Result<(), suda_client::Error> {
/// use suda_client::Client;
///
/// let client = Client::builder("http://localhost:8080").connect().await?;
/// client.login("kim", "correct horse battery").await?;
/// client.online().await?;
/// for channel in client.channels() {
///     println!("{} ({} unread)", channel.title, channel.unread);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    device: NewDevice,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("user", &self.user()).field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Client {
    /// Begins with the address of a server, such as `https://suda.example` or, in development,
    /// `http://localhost:8080`. Where the server is many nodes, that of any one will do: the client hears of the others
    /// there, and turns to them when this one is gone. With a [folder](ClientBuilder::folder) it knows them the next time
    /// as well.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            config: Config::default(),
            device: NewDevice::named("suda-client"),
            network: None,
            storage: None,
            folder: None,
            links: None,
            pinned: Vec::new(),
            login: None,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Makes an account, and is logged in to it.
    pub async fn sign_up(&self, handle: &str, password: &str) -> Result<Login, Error> {
        let login = self.shared().api.sign_up(handle, password, "", &self.inner.device).await?;
        self.begin(login.clone());
        Ok(login)
    }

    /// Logs in, as a new device.
    pub async fn login(&self, handle: &str, password: &str) -> Result<Login, Error> {
        let login = self.shared().api.log_in(handle, password, &self.inner.device).await?;
        self.begin(login.clone());
        Ok(login)
    }

    fn begin(&self, login: Login) {
        let token = Token { access: login.access.clone(), expires_at_ms: login.access_expires_at_ms };
        let (user, device) = (login.user, login.device);
        self.shared().api.set_login(Some(login));
        self.shared().act(|core, now_ms| core.log_in(now_ms, user, device, token));
    }

    /// Logs this device out: its tokens are worth nothing from now on, and what was kept of it is forgotten.
    pub async fn logout(&self) -> Result<(), Error> {
        let done = self.shared().api.once(reqwest::Method::POST, "logout", None).await;
        self.forget();
        done
    }

    /// Nobody is logged in here any more.
    pub(super) fn forget(&self) {
        self.shared().api.set_login(None);
        self.shared().act(Core::log_out);
    }

    /// The same device has new tokens.
    pub(super) fn renewed(&self, login: Login) {
        let token = Token { access: login.access.clone(), expires_at_ms: login.access_expires_at_ms };
        self.shared().api.set_login(Some(login));
        self.shared().act(|core, now_ms| core.token(now_ms, Ok(token)));
    }

    /// The login, as it is now: its tokens change now and then. Whoever keeps it elsewhere than in a
    /// [folder](ClientBuilder::folder) keeps it anew at each [`Event::Welcome`](crate::Event::Welcome) and at the end.
    #[must_use]
    pub fn current_login(&self) -> Option<Login> {
        self.shared().api.login()
    }

    /// Who this is; 0 if nobody is logged in.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.current_login().map(|login| login.user).unwrap_or_default()
    }

    /// Which device this is.
    #[must_use]
    pub fn device_id(&self) -> DeviceId {
        self.current_login().map(|login| login.device).unwrap_or_default()
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared().look(Core::status)
    }

    /// How long it is until the next attempt to connect, while the client [waits](Status::Waiting) for it: the time that
    /// the status names is the client's own, which no step of the machine's clock disturbs.
    #[must_use]
    pub fn retry_in(&self) -> Option<std::time::Duration> {
        let Status::Waiting { until_ms } = self.status() else { return None };
        Some(std::time::Duration::from_millis(until_ms.saturating_sub(self.shared().now_ms())))
    }

    /// Over which transport.
    #[must_use]
    pub fn transport(&self) -> Option<Kind> {
        self.shared().look(Core::transport)
    }

    /// Waits until there is a connection; an error if none is being made any more.
    pub async fn online(&self) -> Result<(), Error> {
        let mut events = self.events();
        loop {
            match self.status() {
                Status::Online { .. } => return Ok(()),
                Status::Stopped(Stopped::ByApp) if self.current_login().is_none() => return Err(Error::NotLoggedIn),
                Status::Stopped(why) => return Err(Error::Stopped(why)),
                _ => {}
            }
            if events.next().await.is_none() {
                return Err(Error::Stopped(Stopped::ByApp));
            }
        }
    }

    /// Connects again after [`Self::disconnect`], or after it has [stopped](Status::Stopped) for a reason that is gone.
    pub fn reconnect(&self) {
        self.shared().act(Core::connect);
    }

    /// Closes the connection, and makes none until [`Self::reconnect`].
    pub fn disconnect(&self) {
        self.shared().act(Core::disconnect);
    }

    /// The network of this machine has changed. A link by QUIC moves to the new address and goes on; whatever else has
    /// failed is tried again at once.
    pub fn network_changed(&self) {
        if let Err(error) = self.shared().network.rebind() {
            tracing::warn!(%error, "the socket could not be replaced");
        }
        self.shared().act(Core::network_changed);
    }

    /// Says whether somebody is at the device: others see it as online or idle.
    pub fn set_active(&self, active: bool) {
        let activity = if active { Activity::Active } else { Activity::Idle };
        self.shared().act(|core, now_ms| core.set_activity(now_ms, activity));
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(Arc::clone(self.shared()))
    }

    /// The channels that the user is in, as far as they are known, by activity.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelSummary> {
        self.shared().look(Core::channels)
    }

    /// Looks at a channel. Its messages come live for as long as there is such a handle.
    #[must_use]
    pub fn channel(&self, channel: ChannelId) -> Channel {
        Channel::new(self.clone(), channel)
    }

    /// How many sends wait to be acknowledged, in all channels.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        self.shared().look(Core::outbox_len)
    }

    /// What is known of somebody's presence. Of friends and partners in direct channels the client hears by itself;
    /// others are to be asked about.
    #[must_use]
    pub fn presence(&self, user: UserId) -> Option<Presence> {
        self.shared().look(|core| core.presence_of(user))
    }

    /// Asks who of these is there; at most 200. Waits for the connection, if there is none.
    pub async fn ask_presence(&self, users: &[UserId]) -> Result<Vec<Presence>, Error> {
        let shared = self.shared();
        let waiting = shared
            .act(|core, now_ms| core.ask_presence_of(now_ms, users).map(|request| shared.presences.wait(request)));
        let answer = waiting.ok_or(Error::Busy)?.await.map_err(|_| Error::Stopped(Stopped::ByApp))?;
        answer.map_err(Error::from)
    }

    /// Friends, requests and blocks.
    #[must_use]
    pub fn friends(&self) -> Friends {
        Friends::new(self.clone())
    }

    /// Profiles, one's own and others'.
    #[must_use]
    pub fn users(&self) -> Users {
        Users::new(self.clone())
    }

    /// One's own account: settings, password, export, deletion.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::new(self.clone())
    }

    /// The user's devices.
    #[must_use]
    pub fn devices(&self) -> Devices {
        Devices::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_client_that_waits_says_for_how_long() {
        let login = Login {
            user: UserId(1),
            device: DeviceId(2),
            access: "x".to_owned(),
            access_expires_at_ms: u64::MAX,
            refresh: "y".to_owned(),
            refresh_expires_at_ms: u64::MAX,
        };
        // Nobody listens there.
        let client = Client::builder("http://127.0.0.1:1").login(login).connect().await.unwrap();
        let mut events = client.events();
        let waits = async {
            loop {
                match client.retry_in() {
                    Some(wait) => return wait,
                    None => drop(events.next().await),
                }
            }
        };
        let wait = tokio::time::timeout(Duration::from_secs(30), waits).await.unwrap();
        assert!(wait <= Duration::from_millis(Config::default().backoff.cap_ms));
        client.disconnect();
        assert_eq!(client.retry_in(), None);
    }
}
