//! Socket.IO on Node: its server, with the few lines of `socket-io.mjs`, and clients that use WebSocket alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use futures_util::future::BoxFuture;
use suda_benches::figures;

use crate::conn::{Conn, Heard, Protocol};
use crate::layout::{Layout, Seat};
use crate::process::{Process, find, folder, free_port};
use crate::stage::Peer;
use crate::ws;

pub(crate) const INSTALL: &str = "`apt-get install nodejs npm`";
/// What npm is asked for: the server, and the native parts that its page on performance names.
const PACKAGES: [&str; 2] = ["socket.io@4", "bufferutil@4"];

pub(crate) struct SocketIo {
    process: Process,
}

pub(crate) fn binary() -> Option<PathBuf> {
    find("node")
}

/// Where npm has put it.
pub(crate) fn packages() -> PathBuf {
    figures::target().join("suda-bench/socket-io")
}

fn install() -> Result<PathBuf> {
    let at = packages();
    if !at.join("node_modules/bufferutil/package.json").exists() {
        std::fs::create_dir_all(&at)?;
        let npm = find("npm").with_context(|| format!("no npm: {INSTALL}"))?;
        let mut command = Command::new(npm);
        command.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&at).args(PACKAGES);
        ensure!(command.status()?.success(), "npm can't install {PACKAGES:?}");
    }
    Ok(at)
}

impl SocketIo {
    pub(crate) async fn start(tuned: bool) -> Result<Self> {
        let node = binary().with_context(|| format!("no node: {INSTALL}"))?;
        let packages = tokio::task::block_in_place(install)?;
        let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/socket-io.mjs"));
        let (folder, port) = (folder()?, free_port()?);
        let mut command = Command::new(node);
        command.arg(script).arg(packages).arg(port.to_string()).env("NODE_ENV", "production");
        if tuned {
            command.arg("tuned");
        } else {
            command.env("WS_NO_BUFFER_UTIL", "1");
        }
        Ok(Self { process: Process::start(command, folder, port).await? })
    }
}

impl Peer for SocketIo {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn prepare(&mut self, _: Layout) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>> {
        let client = Client { room: format!("c{}", seat.channel), listens: seat.listens, acked: seat.is_acked };
        let path = "/socket.io/?EIO=4&transport=websocket";
        Box::pin(Conn::websocket(self.process.addr(), path, None, Box::new(client)))
    }
}

struct Client {
    room: String,
    listens: bool,
    /// Whether it asks for acknowledgements.
    acked: bool,
}

impl Protocol for Client {
    fn begin(&mut self, _: &mut Vec<u8>) {
        // The server speaks first.
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        let ack = if self.acked { "1" } else { "" };
        ws::put(out, ws::TEXT, format!("42{ack}[\"say\",\"{}\",\"{text}\"]", self.room).as_bytes());
    }

    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        ws::take(bytes, out, |message, out| {
            match message {
                // Engine.IO is open: connect to the only namespace.
                [b'0', ..] => ws::put(out, ws::TEXT, b"40"),
                [b'2', ..] => ws::put(out, ws::TEXT, b"3"),
                [b'4', b'0', ..] if self.listens => {
                    ws::put(out, ws::TEXT, format!("420[\"join\",\"{}\"]", self.room).as_bytes());
                }
                [b'4', b'0', ..] => heard(Heard::Ready),
                [b'4', b'3', b'0', ..] => heard(Heard::Ready),
                [b'4', b'3', b'1', ..] => heard(Heard::Ack),
                [b'4', b'2', rest @ ..] => {
                    let text = rest.strip_prefix(b"[\"m\",\"").and_then(|rest| rest.strip_suffix(b"\"]"));
                    heard(Heard::Text(text.context("an event of another kind")?));
                }
                [b'6', ..] => {}
                other => bail!("{}", String::from_utf8_lossy(other)),
            }
            Ok(())
        })
    }
}
