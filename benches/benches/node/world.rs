//! A real node with people on it, and links to it and to bare servers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;
use suda_schema::ChannelId;
use suda_schema::channel::ChannelDown;
use suda_schema::control::ControlDown;
use suda_schema::open::{Attach, Open, Start};
use suda_tests::client::{Kind, RawClient, RawStream, WAIT, leaf_hash};
use suda_tests::node::NodeProcess;
use suda_tests::people::{Hi, Person, hello};

use crate::bare::Bare;
use crate::frames;

/// How many links are made side by side.
const AT_ONCE: usize = 32;
/// How many members are added in one call.
const MEMBERS_AT_ONCE: usize = 100;

/// What differs from how a node comes: many links of one address, and groups as large as the benchmarks want.
const SETTINGS: &[(&str, &str)] = &[
    ("link.links_per_address_max", "100000"),
    ("http.connections_max", "100000"),
    ("http.connections_per_address_max", "100000"),
    ("limits.group_members_max", "10000"),
    // So that nobody has to log in again in the middle.
    ("accounts.access_token_ms", "86400000"),
    ("log.level", "warn"),
];

/// Whether `make bench-full` asks.
pub(crate) fn is_full() -> bool {
    std::env::var_os("SUDA_BENCH_FULL").is_some()
}

/// A node, and people with accounts on it.
pub(crate) struct World {
    pub(crate) node: NodeProcess,
    pub(crate) people: Vec<Person>,
    pub(crate) certificate_hash: [u8; 32],
}

/// A link with its streams. On suda, the first is not among them: it is control.
pub(crate) struct Joined {
    pub(crate) link: RawClient,
    pub(crate) streams: Vec<RawStream>,
    pub(crate) control: Option<RawStream>,
}

/// A server, suda or bare.
#[derive(Clone, Copy)]
pub(crate) enum Server<'a> {
    Suda(&'a World),
    Bare(&'a Bare),
}

impl Server<'_> {
    pub(crate) fn pid(self) -> u32 {
        match self {
            Self::Suda(world) => world.node.pid(),
            Self::Bare(bare) => bare.pid(),
        }
    }
}

impl World {
    pub(crate) async fn new(people: usize) -> Result<Self> {
        let node = NodeProcess::start_with(SETTINGS).await;
        let people = node.sign_up_all("person", people).await;
        let certificate_hash = leaf_hash(node.addr()).await?;
        Ok(Self { node, people, certificate_hash })
    }

    /// A channel that the first of them owns and all are in.
    pub(crate) async fn channel(&self, kind: &str, members: &[Person]) -> Result<ChannelId> {
        let (owner, members) = members.split_first().context("a channel of nobody")?;
        let channel = match kind {
            "group" => self.node.group(owner, "bench", &[]).await,
            _ => self.node.broadcast(owner, "bench", &[]).await,
        };
        for some in members.chunks(MEMBERS_AT_ONCE) {
            let users: Vec<String> = some.iter().map(|person| person.user.to_string()).collect();
            let path = format!("/v1/channels/{channel}/members");
            self.node.ask(owner, "POST", &path, Some(json!({ "users": users })), 204).await;
        }
        Ok(channel)
    }

    /// A link of somebody's, with a session.
    pub(crate) async fn connect_one(&self, kind: Kind, person: &Person) -> Result<Joined> {
        let link = match kind {
            // A socket for each, as devices have it: what thousands are sent does not fit into the buffer of one.
            Kind::Quic => RawClient::connect(kind, self.node.addr(), self.certificate_hash).await?,
            kind => self.node.try_connect(kind).await?,
        };
        let mut control = link.open().await?;
        control.send(&hello(&person.access, Hi::default())).await?;
        match control.recv().await? {
            ControlDown::Welcome(_) => Ok(Joined { link, streams: Vec::new(), control: Some(control) }),
            other => bail!("instead of a welcome: {other:?}"),
        }
    }

    /// Links of these people, each with a session.
    pub(crate) async fn connect(&self, kind: Kind, people: &[Person]) -> Result<Vec<Joined>> {
        let one = |person| self.connect_one(kind, person);
        stream::iter(people).map(one).buffered(AT_ONCE).try_collect().await
    }
}

impl Joined {
    /// Attaches a channel.
    pub(crate) async fn attach(&mut self, channel: ChannelId) -> Result<()> {
        let mut stream = self.link.open().await?;
        stream.send(&Open::Attach(Attach { channel, from: Start::Tail(0) })).await?;
        match stream.recv().await? {
            ChannelDown::Attached(_) => self.streams.push(stream),
            other => bail!("instead of attached: {other:?}"),
        }
        Ok(())
    }

    /// Opens a stream to a bare server.
    pub(crate) async fn open(&mut self) -> Result<()> {
        let mut stream = self.link.open().await?;
        stream.send_raw(frames::ack()).await?;
        next(&mut stream).await?;
        self.streams.push(stream);
        Ok(())
    }
}

impl Bare {
    /// So many links, each with its first stream.
    pub(crate) async fn join(&self, kind: Kind, count: usize) -> Result<Vec<Joined>> {
        let one = |_| async move {
            let link = self.connect(kind).await?;
            let mut joined = Joined { link, streams: Vec::new(), control: None };
            joined.open().await?;
            anyhow::Ok(joined)
        };
        stream::iter(0..count).map(one).buffered(AT_ONCE).try_collect().await
    }
}

/// Attaches a channel on each of these links: the one that `channel` says for each.
pub(crate) async fn attach_all(links: &mut [Joined], channel: impl Fn(usize) -> ChannelId) -> Result<()> {
    let attaching = links.iter_mut().enumerate().map(|(at, link)| {
        let channel = channel(at);
        async move { link.attach(channel).await }
    });
    stream::iter(attaching).buffer_unordered(AT_ONCE).try_collect().await
}

/// Opens one more stream on each of these links to a bare server.
pub(crate) async fn open_all(links: &mut [Joined]) -> Result<()> {
    stream::iter(links).map(Joined::open).buffer_unordered(AT_ONCE).try_collect().await
}

/// The next frame; it must come within the time that anything may take.
pub(crate) async fn next(stream: &mut RawStream) -> Result<ChannelDown> {
    within(stream, WAIT).await?.context("nothing came in time")
}

/// The next frame, if it comes in time.
pub(crate) async fn within(stream: &mut RawStream, within: Duration) -> Result<Option<ChannelDown>> {
    stream.recv_within(within).await
}
