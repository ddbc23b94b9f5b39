//! Mosquitto, by MQTT 3.1.1.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};
use futures_util::future::BoxFuture;

use crate::conn::{Conn, Heard, Protocol};
use crate::layout::{Layout, Seat};
use crate::process::{Process, find, folder, free_port};
use crate::stage::Peer;

pub(crate) const INSTALL: &str = "`apt-get install mosquitto`";

const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
/// In the first byte of a publish.
const AT_LEAST_ONCE: u8 = 0x02;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quality {
    /// QoS 1 in place of 0, for both directions.
    pub(crate) at_least_once: bool,
    /// `persistence true` and `set_tcp_nodelay true`.
    pub(crate) tuned: bool,
}

pub(crate) struct Mosquitto {
    process: Process,
    quality: Quality,
}

pub(crate) fn binary() -> Option<PathBuf> {
    find("mosquitto")
}

impl Mosquitto {
    pub(crate) async fn start(quality: Quality) -> Result<Self> {
        let binary = binary().with_context(|| format!("no mosquitto: {INSTALL}"))?;
        let (folder, port) = (folder()?, free_port()?);
        // Started by root it would become somebody else, who can't write here.
        let mut config = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
        if quality.tuned {
            let at = folder.path().display();
            config.push_str(&format!("set_tcp_nodelay true\npersistence true\npersistence_location {at}/\n"));
        }
        let path = folder.path().join("mosquitto.conf");
        std::fs::write(&path, config)?;
        let mut command = Command::new(binary);
        command.arg("-c").arg(path);
        Ok(Self { process: Process::start(command, folder, port).await?, quality })
    }
}

impl Peer for Mosquitto {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn prepare(&mut self, _: Layout) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>> {
        let client = Client {
            id: format!("p{}", seat.number),
            topic: format!("c/{}", seat.channel),
            listens: seat.listens,
            at_least_once: self.quality.at_least_once,
            last_packet: 0,
        };
        Box::pin(Conn::tcp(self.process.addr(), Box::new(client)))
    }
}

struct Client {
    id: String,
    topic: String,
    listens: bool,
    at_least_once: bool,
    last_packet: u16,
}

impl Client {
    fn next_packet(&mut self) -> u16 {
        self.last_packet = self.last_packet.checked_add(1).unwrap_or(1);
        self.last_packet
    }
}

impl Protocol for Client {
    fn begin(&mut self, out: &mut Vec<u8>) {
        // Protocol 4, a clean session, no keep-alive.
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0];
        put_text(&self.id, &mut body);
        packet(0x10, &body, out);
        if self.listens {
            let mut body = self.next_packet().to_be_bytes().to_vec();
            put_text(&self.topic, &mut body);
            body.push(u8::from(self.at_least_once));
            packet(SUBSCRIBE, &body, out);
        }
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(8 + self.topic.len() + text.len());
        put_text(&self.topic, &mut body);
        if self.at_least_once {
            body.extend_from_slice(&self.next_packet().to_be_bytes());
        }
        body.extend_from_slice(text.as_bytes());
        packet(PUBLISH | if self.at_least_once { AT_LEAST_ONCE } else { 0 }, &body, out);
    }

    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        while let Some((head, len)) = header(bytes)? {
            let Some(body) = bytes.get(head..head + len) else { return Ok(()) };
            let first = *bytes.first().context("a header")?;
            match first & 0xf0 {
                CONNACK => {
                    ensure!(body.get(1) == Some(&0), "the connection is refused: {body:?}");
                    if !self.listens {
                        heard(Heard::Ready);
                    }
                }
                SUBACK => {
                    ensure!(body.get(2).is_some_and(|code| *code < 0x80), "the subscription is refused");
                    heard(Heard::Ready);
                }
                PUBACK => heard(Heard::Ack),
                PUBLISH => {
                    let topic_len = body.get(..2).map(|len| usize::from(len[0]) << 8 | usize::from(len[1]));
                    let mut at = 2 + topic_len.context("a publish without a topic")?;
                    if first & AT_LEAST_ONCE != 0 {
                        packet(PUBACK, body.get(at..at + 2).context("a publish without a number")?, out);
                        at += 2;
                    }
                    heard(Heard::Text(body.get(at..).context("a publish without a payload")?));
                }
                other => bail!("a packet of kind {other:#x}"),
            }
            bytes.advance(head + len);
        }
        Ok(())
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    let mut left = body.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap_or(0);
        left >>= 7;
        out.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
}

/// How long the first packet's header and its body are, once that can be told.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut len = 0;
    for at in 1..5 {
        let Some(byte) = bytes.get(at) else { return Ok(None) };
        len |= usize::from(byte & 0x7f) << (7 * (at - 1));
        if byte & 0x80 == 0 {
            return Ok(Some((at + 1, len)));
        }
    }
    bail!("a packet whose length has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_heard_and_answered() {
        let client = |topic: &str| Client {
            id: String::new(),
            topic: topic.to_owned(),
            listens: true,
            at_least_once: true,
            last_packet: 6,
        };
        let text = "x".repeat(200);
        let mut said = Vec::new();
        client("c/1").publish(&text, &mut said);
        let (mut bytes, mut out, mut heard) = (BytesMut::new(), Vec::new(), Vec::new());
        for byte in said {
            bytes.extend_from_slice(&[byte]);
            client("c/1").hear(&mut bytes, &mut out, &mut |what| heard.push(format!("{what:?}"))).unwrap();
        }
        assert_eq!(heard, [format!("{:?}", Heard::Text(text.as_bytes()))]);
        assert_eq!(out, [PUBACK, 2, 0, 7]);
    }
}
