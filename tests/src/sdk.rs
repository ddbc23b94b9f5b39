//! Clients of the SDK on a node, and waiting for what they show.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests: where something is not as it must be, it is over"
)]

use std::net::SocketAddr;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

use suda_client::{Candidate, Channel, Client, ClientBuilder, Event, Events, Item, Kind};

use crate::binary;
use crate::node::NodeProcess;
use crate::people::PASSWORD;

/// How long anything may take, on a machine that is busy with other things.
pub const WAIT: Duration = Duration::from_secs(30);
/// The transports, as the SDK calls them.
pub const KINDS: [Kind; 3] = [Kind::Quic, Kind::WebTransport, Kind::WebSocket];

/// Waits, with a limit.
#[track_caller]
pub fn within<T>(waiting: impl Future<Output = T>) -> impl Future<Output = T> {
    limited(WAIT, waiting)
}

/// Waits, with a limit of one's own.
#[track_caller]
pub fn limited<T>(limit: Duration, waiting: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move { tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| panic!("not in time: {caller}")) }
}

/// A client to be.
pub fn builder(node: &NodeProcess, kinds: &[Kind]) -> ClientBuilder {
    let url = format!("http://{}", node.http_addr());
    Client::builder(url).app("suda-tests/1").device("a test").transports(kinds)
}

/// A client with a new account, online.
pub async fn sign_up(node: &NodeProcess, handle: &str, kinds: &[Kind]) -> Client {
    signed_up(builder(node, kinds), handle).await
}

/// The same with settings of one's own.
pub async fn signed_up(builder: ClientBuilder, handle: &str) -> Client {
    let client = builder.connect().await.unwrap();
    within(client.sign_up(handle, PASSWORD)).await.unwrap();
    within(client.online()).await.unwrap();
    client
}

/// The node by way of another address, such as a proxy's.
pub async fn links_by(node: &NodeProcess, addr: SocketAddr) -> Vec<Candidate> {
    let hash = node.certificate_hash().await;
    let candidate = |kind, url: String| Candidate { node: 0, kind, url, certificate_hashes: vec![hash] };
    vec![
        candidate(Kind::Quic, format!("quic://{addr}")),
        candidate(Kind::WebTransport, format!("https://{addr}/connect")),
        candidate(Kind::WebSocket, format!("wss://{addr}/connect")),
    ]
}

/// Follows the timeline until what is shown is so.
pub async fn shows(channel: &Channel, mut is_so: impl FnMut(&[Item]) -> bool) -> Vec<Item> {
    let (mut timeline, mut shown) = (channel.timeline(), Vec::new());
    within(async {
        loop {
            timeline.next().await.expect("a client that lives").apply(&mut shown);
            if is_so(&shown) {
                return shown;
            }
        }
    })
    .await
}

/// Waits for an event of this kind, or after which something is so.
#[track_caller]
pub fn event<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> impl Future<Output = T> {
    within(async move {
        loop {
            if let Some(found) = wanted(events.next().await.expect("a client that lives")) {
                return found;
            }
        }
    })
}

/// The texts of what is shown.
#[must_use]
pub fn texts(items: &[Item]) -> Vec<&str> {
    items.iter().filter_map(Item::text).collect()
}

/// Where the example of the SDK's documentation is: its binary, built.
///
/// # Errors
///
/// If it is neither there nor can be built.
pub fn example_binary() -> anyhow::Result<PathBuf> {
    binary::path("suda-client", binary::Target::Example, "twenty_lines", "SUDA_EXAMPLE_BIN")
}
