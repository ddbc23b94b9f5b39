//! Many devices lose their links at once and come back at once, while some who stay go on talking.
//!
//! Those who come back are in a process of their own, this binary started again, at a lower priority: they are not to take
//! the processor from those who are measured, as they would not if they were elsewhere.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use suda_benches::figures::Storm;
use suda_schema::channel::ChannelDown;
use suda_schema::control::ControlDown;
use suda_schema::open::{Attach, Open, Start};
use suda_schema::{ChannelId, Seq};
use suda_tests::client::{Connector, Kind, RawClient, RawStream};
use suda_tests::people::{Hi, hello};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;

use crate::sends::{Crowd, Wire, percentiles_ms};
use crate::world::{Server, World, attach_all, is_full};

const KINDS: [(Kind, &str); 2] = [(Kind::Quic, "raw QUIC"), (Kind::WebSocket, "WebSocket, TLS")];
const ROUNDS: usize = 1;
const STAY: usize = 32;
const DEVICES: usize = 900;
const DEVICES_FULL: usize = 5_000;
/// Messages a second of all who stay.
const PACE: f64 = 640.0;
const QUIET_ROUNDS: usize = 3;
/// How many links are made side by side at first.
const AT_ONCE: usize = 32;
/// By then all are back, or something is broken.
const BACK_WITHIN: Duration = Duration::from_secs(90);
const AGAIN_AFTER: Duration = Duration::from_millis(500);
const NICE: &str = "10";

/// How many people it takes.
pub(crate) fn people() -> usize {
    STAY + if is_full() { DEVICES_FULL } else { DEVICES }
}

pub(crate) async fn measure(world: &World) -> Result<Vec<Storm>> {
    let (stay, devices) = world.people.split_at_checked(STAY).context("too few people")?;
    let devices = devices.get(..people() - STAY).context("too few people")?;
    let mut channels = Vec::new();
    for person in stay {
        channels.push(world.channel("group", std::slice::from_ref(person)).await?);
    }
    let channel = world.channel("broadcast", devices).await?;
    let mut rows = Vec::new();
    for (kind, transport) in KINDS {
        let mut row = Storm { transport: transport.to_owned(), devices: devices.len(), ..Storm::default() };
        for _ in 0..ROUNDS {
            let mut joined = world.connect(kind, stay).await?;
            attach_all(&mut joined, |at| channels[at]).await?;
            let mut crowd = Crowd::new(joined, 1, |_| Wire::Suda);
            let tokens = devices.iter().map(|person| person.access.clone()).collect();
            let (addr, hash) = (world.node.addr(), world.certificate_hash);
            let mut clients =
                Clients::start(&Orders { websocket: kind.is_websocket(), addr, hash, tokens, channel }).await?;
            let mut quiet = Vec::new();
            for _ in 0..QUIET_ROUNDS {
                quiet.extend(crowd.paced(Server::Suda(world), PACE).await?.took);
            }
            clients.go().await?;
            let (begun, mut storm) = (Instant::now(), Vec::new());
            let mut back = Box::pin(clients.wait("back"));
            let back_after = loop {
                tokio::select! {
                    done = &mut back => {
                        done?;
                        break begun.elapsed();
                    }
                    round = crowd.paced(Server::Suda(world), PACE) => storm.extend(round?.took),
                }
            };
            ensure!(!storm.is_empty(), "they are back before anything could be measured");
            row.quiet_p99_ms.push(percentiles_ms(&mut quiet)[1]);
            row.storm_p99_ms.push(percentiles_ms(&mut storm)[1]);
            row.all_back_s.push(back_after.as_secs_f64());
        }
        eprintln!("{row:?}");
        rows.push(row);
    }
    Ok(rows)
}

/// What the process of the clients is told.
#[derive(Serialize, Deserialize)]
struct Orders {
    websocket: bool,
    addr: SocketAddr,
    hash: [u8; 32],
    tokens: Vec<String>,
    channel: ChannelId,
}

/// The process of the clients, seen from outside. It ends with this.
struct Clients {
    _child: Child,
    stdin: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Clients {
    /// Started, and with all links made.
    async fn start(orders: &Orders) -> Result<Self> {
        let mut command = Command::new("nice");
        command.args(["-n", NICE]).arg(std::env::current_exe()?).arg("storm-clients");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut stdin = child.stdin.take().context("its input")?;
        let said = BufReader::new(child.stdout.take().context("its output")?);
        stdin.write_all(format!("{}\n", serde_json::to_string(orders)?).as_bytes()).await?;
        let mut clients = Self { _child: child, stdin, said };
        clients.wait("ready").await?;
        Ok(clients)
    }

    async fn go(&mut self) -> Result<()> {
        Ok(self.stdin.write_all(b"go\n").await?)
    }

    async fn wait(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        let reading = self.said.read_line(&mut line);
        tokio::time::timeout(BACK_WITHIN, reading).await.with_context(|| format!("they are not {word} in time"))??;
        ensure!(line.trim() == word, "instead of {word}: {line:?}");
        Ok(())
    }
}

/// The process: makes all links, says so, and when it is told drops them and makes them again.
pub(crate) fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let orders: Arc<Orders> = Arc::new(serde_json::from_str(&line().await?.context("no orders")?)?);
        let connector = Connector::new(orders.hash)?;
        let one = |token: &String| device(Arc::clone(&orders), connector.clone(), token.clone());
        let links: Vec<_> = stream::iter(&orders.tokens).map(one).buffered(AT_ONCE).try_collect().await?;
        say("ready\n")?;
        line().await?;
        drop(links);
        let mut coming = JoinSet::new();
        for token in &orders.tokens {
            let (orders, connector, token) = (Arc::clone(&orders), connector.clone(), token.clone());
            coming.spawn(async move {
                // As devices do.
                loop {
                    match device(Arc::clone(&orders), connector.clone(), token.clone()).await {
                        Ok(link) => return link,
                        Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
                    }
                }
            });
        }
        let links = coming.join_all().await;
        say("back\n")?;
        // Until whoever started it is gone.
        while line().await?.is_some() {}
        drop(links);
        std::process::exit(0)
    })
}

fn say(word: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(word.as_bytes())?;
    Ok(out.flush()?)
}

/// The next line that it is told, without blocking those who work meanwhile.
async fn line() -> Result<Option<String>> {
    tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let len = std::io::stdin().read_line(&mut line)?;
        Ok((len > 0).then_some(line))
    })
    .await?
}

/// A device's link: let in, and attached where it was.
async fn device(orders: Arc<Orders>, connector: Connector, token: String) -> Result<(RawClient, [RawStream; 2])> {
    let link = if orders.websocket {
        connector.connect(Kind::WebSocket, orders.addr).await?
    } else {
        // A socket for each, as devices have it.
        RawClient::connect(Kind::Quic, orders.addr, orders.hash).await?
    };
    let mut control = link.open().await?;
    control.send(&hello(&token, Hi::default())).await?;
    match control.recv().await? {
        ControlDown::Welcome(_) => {}
        other => bail!("instead of a welcome: {other:?}"),
    }
    let mut stream = link.open().await?;
    stream.send(&Open::Attach(Attach { channel: orders.channel, from: Start::After(Seq(1)) })).await?;
    match stream.recv().await? {
        ChannelDown::Attached(_) => Ok((link, [control, stream])),
        other => bail!("instead of attached: {other:?}"),
    }
}
