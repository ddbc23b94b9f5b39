//! Centrifugo over WebSocket, in JSON as it comes, or in protobuf with pooled write buffers.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::conn::{Conn, Heard, Protocol};
use crate::layout::{Layout, Seat};
use crate::process::{Process, find, folder, free_port};
use crate::stage::Peer;
use crate::ws;

pub(crate) const INSTALL: &str = "`go install github.com/centrifugal/centrifugo/v6@latest`";

const CONNECT: u32 = 1;
const SUBSCRIBE: u32 = 2;
/// The first publish's id.
const PUBLISH: u32 = 3;

pub(crate) struct Centrifugo {
    process: Process,
    protobuf: bool,
}

pub(crate) fn binary() -> Option<PathBuf> {
    find("centrifugo")
}

/// What Go has written into the binary: one that Go has installed does not know its own version.
pub(crate) fn module_version() -> Option<String> {
    let go = find("go").unwrap_or_else(|| PathBuf::from("/usr/local/go/bin/go"));
    let said = Command::new(go).args(["version", "-m"]).arg(binary()?).output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix("mod\t"))?;
    Some(line.split('\t').nth(1)?.trim_start_matches('v').to_owned())
}

impl Centrifugo {
    pub(crate) async fn start(protobuf: bool) -> Result<Self> {
        let binary = binary().with_context(|| format!("no centrifugo: {INSTALL}"))?;
        let (folder, port) = (folder()?, free_port()?);
        let config = json!({
            "http_server": { "address": "127.0.0.1", "port": port.to_string() },
            // No tokens: everybody may connect, subscribe and publish.
            "client": { "insecure": true },
            "websocket": { "use_write_buffer_pool": protobuf },
            "usage_stats": { "disabled": true },
        });
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string())?;
        let mut command = Command::new(binary);
        command.arg("-c").arg(path);
        Ok(Self { process: Process::start(command, folder, port).await?, protobuf })
    }
}

impl Peer for Centrifugo {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn prepare(&mut self, _: Layout) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>> {
        let (channel, listens) = (format!("c{}", seat.channel), seat.listens);
        let (addr, path) = (self.process.addr(), "/connection/websocket");
        if self.protobuf {
            let client = Protobuf { channel, listens, next: PUBLISH };
            Box::pin(Conn::websocket(addr, path, Some("centrifuge-protobuf"), Box::new(client)))
        } else {
            Box::pin(Conn::websocket(addr, path, None, Box::new(Json { channel, listens, next: PUBLISH })))
        }
    }
}

struct Json {
    channel: String,
    listens: bool,
    next: u32,
}

impl Protocol for Json {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let mut text = json!({ "id": CONNECT, "connect": {} }).to_string();
        if self.listens {
            text.push('\n');
            text.push_str(&json!({ "id": SUBSCRIBE, "subscribe": { "channel": self.channel } }).to_string());
        }
        ws::put(out, ws::TEXT, text.as_bytes());
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        let said = json!({ "id": self.next, "publish": { "channel": self.channel, "data": text } });
        ws::put(out, ws::TEXT, said.to_string().as_bytes());
        self.next += 1;
    }

    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        let ready = if self.listens { SUBSCRIBE } else { CONNECT };
        ws::take(bytes, out, |message, out| {
            for line in message.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                if line == b"{}" {
                    ws::put(out, ws::TEXT, b"{}");
                    continue;
                }
                // What comes most is not parsed whole.
                if let Some(text) = published(line) {
                    heard(Heard::Text(text));
                    continue;
                }
                let reply: Value = serde_json::from_slice(line)?;
                if let Some(error) = reply.get("error") {
                    bail!("refused: {error}");
                }
                match reply.get("id").and_then(Value::as_u64) {
                    Some(id) if id == u64::from(ready) => heard(Heard::Ready),
                    Some(id) if id >= u64::from(PUBLISH) => heard(Heard::Ack),
                    Some(_) => {}
                    None => bail!("a push of another kind: {reply}"),
                }
            }
            Ok(())
        })
    }
}

/// The data of `{"push":{"channel":"c","pub":{"data":"text" …`.
fn published(line: &[u8]) -> Option<&[u8]> {
    const DATA: &[u8] = b"\"pub\":{\"data\":\"";
    let rest = line.strip_prefix(b"{\"push\":")?;
    let at = rest.windows(DATA.len()).position(|some| some == DATA)? + DATA.len();
    let rest = rest.get(at..)?;
    rest.get(..rest.iter().position(|byte| *byte == b'"')?)
}

/// The fields that are used of its protobuf schema are named where they are written and read.
struct Protobuf {
    channel: String,
    listens: bool,
    next: u32,
}

impl Protocol for Protobuf {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let mut message = Vec::new();
        command(CONNECT, 4, &[], &mut message);
        if self.listens {
            let mut subscribe = Vec::new();
            put_bytes(1, self.channel.as_bytes(), &mut subscribe);
            command(SUBSCRIBE, 5, &subscribe, &mut message);
        }
        ws::put(out, ws::BINARY, &message);
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        let (mut publish, mut message) = (Vec::new(), Vec::new());
        put_bytes(1, self.channel.as_bytes(), &mut publish);
        put_bytes(2, text.as_bytes(), &mut publish);
        command(self.next, 7, &publish, &mut message);
        ws::put(out, ws::BINARY, &message);
        self.next += 1;
    }

    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        let ready = if self.listens { SUBSCRIBE } else { CONNECT };
        ws::take(bytes, out, |mut message, out| {
            while !message.is_empty() {
                let len = take_varint(&mut message)?;
                let reply = take_bytes(&mut message, len)?;
                if reply.is_empty() {
                    ws::put(out, ws::BINARY, &[0]);
                    continue;
                }
                if let Some(error) = field(reply, 2)? {
                    bail!("refused: {}", String::from_utf8_lossy(error));
                }
                // Push, publication, data.
                if let Some(push) = field(reply, 4)? {
                    let publication = field(push, 4)?.context("a push of another kind")?;
                    heard(Heard::Text(field(publication, 4)?.context("a publication without data")?));
                    continue;
                }
                match number(reply, 1)? {
                    id if id == ready => heard(Heard::Ready),
                    PUBLISH.. => heard(Heard::Ack),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

/// A command with its length in front: an id, and one request in the field of its kind.
fn command(id: u32, kind: u32, request: &[u8], out: &mut Vec<u8>) {
    let mut command = vec![1 << 3];
    put_varint(id, &mut command);
    put_bytes(kind, request, &mut command);
    put_varint(u32::try_from(command.len()).unwrap_or(0), out);
    out.extend_from_slice(&command);
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(field << 3 | 2, out);
    put_varint(u32::try_from(bytes.len()).unwrap_or(0), out);
    out.extend_from_slice(bytes);
}

fn put_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn take_varint(from: &mut &[u8]) -> Result<usize> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = from.split_first().context("a number without an end")?;
        *from = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("a number without an end")
}

fn take_bytes<'a>(from: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (bytes, rest) = from.split_at_checked(len).context("a field that is cut")?;
    *from = rest;
    Ok(bytes)
}

/// A field of bytes, if it is there.
fn field(mut message: &[u8], wanted: usize) -> Result<Option<&[u8]>> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => drop(take_varint(&mut message)?),
            2 => {
                let len = take_varint(&mut message)?;
                let bytes = take_bytes(&mut message, len)?;
                if key >> 3 == wanted {
                    return Ok(Some(bytes));
                }
            }
            other => bail!("a field of kind {other}"),
        }
    }
    Ok(None)
}

/// A number at the front of a message; 0 if another field is there.
fn number(mut message: &[u8], wanted: usize) -> Result<u32> {
    if take_varint(&mut message)? == wanted << 3 { Ok(u32::try_from(take_varint(&mut message)?)?) } else { Ok(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server sends, in one WebSocket message.
    fn hear(client: &mut dyn Protocol, message: &[u8]) -> Vec<String> {
        let mut bytes = BytesMut::from(&[0x82, u8::try_from(message.len()).unwrap()][..]);
        bytes.extend_from_slice(message);
        let mut said = Vec::new();
        client.hear(&mut bytes, &mut Vec::new(), &mut |heard| said.push(format!("{heard:?}"))).unwrap();
        said
    }

    #[test]
    fn many_replies_in_a_message_are_all_heard() {
        let text = format!("{:?}", Heard::Text(b"hi"));
        let mut client = Json { channel: "c".to_owned(), listens: true, next: 3 };
        let lines = "{\"id\":2,\"subscribe\":{}}\n{}\n{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":\"hi\"}}}\n{\"id\":3,\"publish\":{}}";
        assert_eq!(hear(&mut client, lines.as_bytes()), ["Ready", &text, "Ack"]);

        let mut client = Protobuf { channel: "c".to_owned(), listens: true, next: 3 };
        let mut message = Vec::new();
        command(2, 6, &[], &mut message);
        message.push(0);
        let (mut publication, mut push, mut reply) = (Vec::new(), Vec::new(), Vec::new());
        put_bytes(4, b"hi", &mut publication);
        put_bytes(2, b"c", &mut push);
        put_bytes(4, &publication, &mut push);
        put_bytes(4, &push, &mut reply);
        put_varint(u32::try_from(reply.len()).unwrap(), &mut message);
        message.extend_from_slice(&reply);
        command(300, 8, &[], &mut message);
        assert_eq!(hear(&mut client, &message), ["Ready", &text, "Ack"]);
    }
}
