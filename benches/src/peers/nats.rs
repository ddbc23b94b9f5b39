//! NATS: the core, which forgets, and JetStream, which keeps.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BytesMut};
use futures_util::future::BoxFuture;

use crate::conn::{Conn, Heard, Protocol};
use crate::layout::{Layout, Seat};
use crate::process::{Process, find, folder, free_port};
use crate::stage::Peer;

pub(crate) const INSTALL: &str = "`go install github.com/nats-io/nats-server/v2@latest` (Debian's nats-server is too old for \
                                  `sync_interval`)";

/// How JetStream is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Streams {
    /// Whether each publish is synced before it is answered, in place of every two minutes.
    pub(crate) sync_always: bool,
    /// Whether each subject has a stream of its own, in place of one for all.
    pub(crate) apart: bool,
}

pub(crate) struct Nats {
    process: Process,
    streams: Option<Streams>,
}

pub(crate) fn binary() -> Option<PathBuf> {
    find("nats-server")
}

impl Nats {
    pub(crate) async fn start(streams: Option<Streams>) -> Result<Self> {
        let binary = binary().with_context(|| format!("no nats-server: {INSTALL}"))?;
        let (folder, port) = (folder()?, free_port()?);
        let mut config = format!("listen: \"127.0.0.1:{port}\"\n");
        if let Some(streams) = streams {
            let sync = if streams.sync_always { "sync_interval: always" } else { "" };
            let _ = writeln!(config, "jetstream {{ store_dir: \"{}\"\n{sync} }}", folder.path().display());
        }
        let path = folder.path().join("nats.conf");
        std::fs::write(&path, config)?;
        let mut command = Command::new(binary);
        command.arg("-c").arg(path);
        Ok(Self { process: Process::start(command, folder, port).await?, streams })
    }

    async fn make_streams(&self, layout: Layout) -> Result<()> {
        let Some(streams) = self.streams else { return Ok(()) };
        let subjects: Vec<String> = if streams.apart {
            (0..layout.channels().len()).map(|channel| format!("c.{channel}")).collect()
        } else {
            vec!["c.*".to_owned()]
        };
        for (number, subject) in subjects.into_iter().enumerate() {
            let name = format!("S{number}");
            let about =
                serde_json::json!({ "name": name, "subjects": [subject], "storage": "file", "num_replicas": 1 });
            let to = format!("$JS.API.STREAM.CREATE.{name}");
            let client = Client { subject: to, listens: false, inbox: Some("_INBOX.make".to_owned()) };
            let mut conn = Conn::tcp(self.process.addr(), Box::new(client)).await?;
            conn.publish(&about.to_string());
            conn.flush().await?;
            conn.wait_for(Heard::Ack).await.with_context(|| format!("the stream {name}"))?;
        }
        Ok(())
    }
}

impl Peer for Nats {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn prepare(&mut self, layout: Layout) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.make_streams(layout))
    }

    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>> {
        let inbox = self.streams.map(|_| format!("_INBOX.{}", seat.number));
        let client = Client { subject: format!("c.{}", seat.channel), listens: seat.listens, inbox };
        Box::pin(Conn::tcp(self.process.addr(), Box::new(client)))
    }
}

/// Listens to a subject as 1, and to answers as 2.
struct Client {
    subject: String,
    listens: bool,
    inbox: Option<String>,
}

impl Protocol for Client {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\"version\":\"1\"}\r\n",
        );
        if self.listens {
            out.extend_from_slice(format!("SUB {} 1\r\n", self.subject).as_bytes());
        }
        if let Some(inbox) = &self.inbox {
            out.extend_from_slice(format!("SUB {inbox} 2\r\n").as_bytes());
        }
        out.extend_from_slice(b"PING\r\n");
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        let inbox = self.inbox.as_deref().unwrap_or("");
        out.extend_from_slice(format!("PUB {} {inbox} {}\r\n{text}\r\n", self.subject, text.len()).as_bytes());
    }

    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
            let line = std::str::from_utf8(bytes.get(..end).unwrap_or_default())?;
            let mut len = end + 2;
            match line.split(' ').next() {
                Some("MSG") => {
                    let mut words = line.split(' ');
                    let size: usize = words.next_back().context("a message without a size")?.parse()?;
                    let id = words.nth(2);
                    let Some(payload) = bytes.get(len..len + size) else { return Ok(()) };
                    if bytes.len() < len + size + 2 {
                        return Ok(());
                    }
                    if id == Some("1") {
                        heard(Heard::Text(payload));
                    } else {
                        let answer: serde_json::Value = serde_json::from_slice(payload)?;
                        if let Some(error) = answer.get("error") {
                            bail!("refused: {error}");
                        }
                        heard(Heard::Ack);
                    }
                    len += size + 2;
                }
                Some("PING") => out.extend_from_slice(b"PONG\r\n"),
                Some("PONG") => heard(Heard::Ready),
                Some("INFO" | "+OK") => {}
                _ => bail!("{line}"),
            }
            bytes.advance(len);
        }
        Ok(())
    }
}
