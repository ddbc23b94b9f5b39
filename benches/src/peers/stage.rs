//! Who is compared, and how each is started.

use anyhow::Result;
use futures_util::future::BoxFuture;
use suda_tests::client::Kind;

use crate::centrifugo::{self, Centrifugo};
use crate::conn::Conn;
use crate::layout::{Layout, Seat};
use crate::mosquitto::{self, Mosquitto, Quality};
use crate::nats::{self, Nats, Streams};
use crate::redis::{self, Kept, Redis};
use crate::socket_io::{self, SocketIo};
use crate::suda::World;

/// A server that runs.
pub(crate) trait Peer: Send + Sync {
    /// Its process.
    fn pid(&self) -> u32;
    /// Makes what must be there before people come.
    fn prepare(&mut self, layout: Layout) -> BoxFuture<'_, Result<()>>;
    /// Somebody's connection, let in and listening.
    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>>;
}

/// A server in one of its settings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) setting: &'static str,
    pub(crate) transport: &'static str,
    /// What its answer to a publish means.
    pub(crate) ack: &'static str,
    which: Which,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Suda(Kind),
    Nats(Option<Streams>),
    Mosquitto(Quality),
    Redis(Kept),
    SocketIo { tuned: bool },
    Centrifugo { protobuf: bool },
}

const COMES: &str = "as it comes";
const DURABLE: &str = "on disk (fsync), in order, a retry makes no second";
const NONE: &str = "none";
const NODE: &str = "the server's handler has run";

/// For idle connections, the fan-out and groups.
pub(crate) const DELIVERIES: &[Contender] = &[
    suda(Kind::Plain, "WebSocket"),
    suda(Kind::Quic, "QUIC (TLS)"),
    Contender {
        which: Which::SocketIo { tuned: false },
        name: "Socket.IO",
        setting: COMES,
        transport: "WebSocket",
        ack: NODE,
    },
    Contender {
        which: Which::SocketIo { tuned: true },
        name: "Socket.IO",
        setting: "bufferutil, first request dropped",
        transport: "WebSocket",
        ack: NODE,
    },
    Contender {
        which: Which::Centrifugo { protobuf: false },
        name: "Centrifugo",
        setting: COMES,
        transport: "WebSocket, JSON",
        ack: "given to those who are there",
    },
    Contender {
        which: Which::Centrifugo { protobuf: true },
        name: "Centrifugo",
        setting: "protobuf, pooled write buffers",
        transport: "WebSocket, protobuf",
        ack: "given to those who are there",
    },
    Contender { which: Which::Nats(None), name: "NATS", setting: "core, as it comes", transport: "TCP", ack: NONE },
    Contender {
        which: Which::Mosquitto(Quality { at_least_once: false, tuned: false }),
        name: "Mosquitto",
        setting: "QoS 0, as it comes",
        transport: "TCP",
        ack: NONE,
    },
    Contender {
        which: Which::Mosquitto(Quality { at_least_once: true, tuned: true }),
        name: "Mosquitto",
        setting: "QoS 1, persistence, set_tcp_nodelay",
        transport: "TCP",
        ack: "in memory",
    },
    Contender {
        which: Which::Redis(Kept::Nothing),
        name: "Redis",
        setting: "pub/sub, as it comes",
        transport: "TCP",
        ack: "given to those who are there",
    },
];

/// For sends that are acknowledged.
pub(crate) const SENDS: &[Contender] = &[
    suda(Kind::Plain, "WebSocket"),
    suda(Kind::Quic, "QUIC (TLS)"),
    jetstream(true, false, "JetStream, sync always, one stream"),
    jetstream(true, true, "JetStream, sync always, 64 streams"),
    jetstream(false, false, "JetStream, as it comes, one stream"),
    jetstream(false, true, "JetStream, as it comes, 64 streams"),
    Contender {
        which: Which::Redis(Kept::Always),
        name: "Redis",
        setting: "64 streams, appendfsync always",
        transport: "TCP",
        ack: "on disk (fsync); a retry makes a second",
    },
    Contender {
        which: Which::Redis(Kept::EachSecond),
        name: "Redis",
        setting: "64 streams, appendfsync everysec",
        transport: "TCP",
        ack: "written; on disk within about a second",
    },
    Contender {
        which: Which::Mosquitto(Quality { at_least_once: true, tuned: true }),
        name: "Mosquitto",
        setting: "QoS 1, persistence, set_tcp_nodelay",
        transport: "TCP",
        ack: "in memory; the file is written every 30 minutes",
    },
    Contender {
        which: Which::Centrifugo { protobuf: true },
        name: "Centrifugo",
        setting: "protobuf, pooled write buffers",
        transport: "WebSocket, protobuf",
        ack: "given to those who are there; kept nowhere",
    },
    Contender {
        which: Which::SocketIo { tuned: true },
        name: "Socket.IO",
        setting: "bufferutil, first request dropped",
        transport: "WebSocket",
        ack: "the server's handler has run; kept nowhere",
    },
];

const fn suda(kind: Kind, transport: &'static str) -> Contender {
    let setting = "embedded store, as it comes";
    Contender { which: Which::Suda(kind), name: "suda", setting, transport, ack: DURABLE }
}

const fn jetstream(sync_always: bool, apart: bool, setting: &'static str) -> Contender {
    let ack = if sync_always {
        "on disk (fsync); a retry makes a second unless it carries an id"
    } else {
        "written; on disk within two minutes"
    };
    let which = Which::Nats(Some(Streams { sync_always, apart }));
    Contender { which, name: "NATS", setting, transport: "TCP", ack }
}

/// What lasts longer than one server.
#[derive(Default)]
pub(crate) struct Stage {
    suda: Option<World>,
}

impl Stage {
    pub(crate) async fn start(&mut self, contender: &Contender) -> Result<Box<dyn Peer + '_>> {
        Ok(match contender.which {
            Which::Suda(kind) => {
                if self.suda.is_none() {
                    self.suda = Some(World::new().await?);
                }
                let Some(world) = &mut self.suda else { unreachable!("it was made") };
                Box::new(world.start(kind).await)
            }
            Which::Nats(streams) => Box::new(Nats::start(streams).await?),
            Which::Mosquitto(quality) => Box::new(Mosquitto::start(quality).await?),
            Which::Redis(kept) => Box::new(Redis::start(kept).await?),
            Which::SocketIo { tuned } => Box::new(SocketIo::start(tuned).await?),
            Which::Centrifugo { protobuf } => Box::new(Centrifugo::start(protobuf).await?),
        })
    }
}

impl Contender {
    /// How to get it, if this machine does not have it.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        let (binary, install) = match self.which {
            Which::Suda(_) => return None,
            Which::Nats(_) => (nats::binary(), nats::INSTALL),
            Which::Mosquitto(_) => (mosquitto::binary(), mosquitto::INSTALL),
            Which::Redis(_) => (redis::binary(), redis::INSTALL),
            Which::SocketIo { .. } => (socket_io::binary(), socket_io::INSTALL),
            Which::Centrifugo { .. } => (centrifugo::binary(), centrifugo::INSTALL),
        };
        if binary.is_some() { None } else { Some(install) }
    }

    /// Its version, as it says it itself.
    pub(crate) fn version(&self) -> String {
        let said = |binary: Option<std::path::PathBuf>, arg: &str| {
            let output = binary.and_then(|binary| std::process::Command::new(binary).arg(arg).output().ok());
            let output = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
            number(&String::from_utf8_lossy(&output))
        };
        match self.which {
            Which::Suda(_) => env!("CARGO_PKG_VERSION").to_owned(),
            Which::Nats(_) => said(nats::binary(), "--version"),
            Which::Mosquitto(_) => said(mosquitto::binary(), "-h"),
            Which::Redis(_) => said(redis::binary(), "--version"),
            Which::Centrifugo { .. } => match said(centrifugo::binary(), "version") {
                unnamed if unnamed == "0.0.0" => centrifugo::module_version().unwrap_or(unnamed),
                version => version,
            },
            Which::SocketIo { .. } => {
                let path = socket_io::packages().join("node_modules/socket.io/package.json");
                let package = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                let package: serde_json::Value = package.unwrap_or_default();
                let version = package.get("version").and_then(|version| version.as_str()).unwrap_or_default();
                format!("{version} on Node {}", said(socket_io::binary(), "--version"))
            }
        }
    }
}

/// The first word that looks like a version.
fn number(said: &str) -> String {
    let words = said.split(|c: char| c.is_whitespace() || c == '=' || c == ',');
    let mut numbers = words.map(|word| word.trim_start_matches('v'));
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    numbers.find(is_version).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_servers_say() {
        for (said, version) in [
            ("nats-server: v2.9.10", "2.9.10"),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0", "7.0.15"),
            ("mosquitto version 2.0.11\n", "2.0.11"),
            ("Centrifugo v6.9.1 (Go version: go1.26)", "6.9.1"),
            ("nothing", ""),
        ] {
            assert_eq!(number(said), version);
        }
    }
}
