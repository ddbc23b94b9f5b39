//! Redis: publish and subscribe, which forgets, and streams, which keep. One connection listens and speaks, so it is RESP3.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BytesMut};
use futures_util::future::BoxFuture;

use crate::conn::{Conn, Heard, Protocol};
use crate::layout::{Layout, Seat};
use crate::process::{Process, find, folder, free_port};
use crate::stage::Peer;

pub(crate) const INSTALL: &str = "`apt-get install redis-server`";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing is: publish and subscribe, the server as it comes.
    Nothing,
    /// Streams, with `appendfsync everysec`.
    EachSecond,
    /// Streams, with `appendfsync always`.
    Always,
}

pub(crate) struct Redis {
    process: Process,
    kept: Kept,
}

pub(crate) fn binary() -> Option<PathBuf> {
    find("redis-server")
}

impl Redis {
    pub(crate) async fn start(kept: Kept) -> Result<Self> {
        let binary = binary().with_context(|| format!("no redis-server: {INSTALL}"))?;
        let (folder, port) = (folder()?, free_port()?);
        let mut command = Command::new(binary);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]).arg(folder.path());
        match kept {
            Kept::Nothing => {}
            Kept::EachSecond => drop(command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])),
            Kept::Always => drop(command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"])),
        }
        Ok(Self { process: Process::start(command, folder, port).await?, kept })
    }
}

impl Peer for Redis {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn prepare(&mut self, _: Layout) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>> {
        let listens = seat.listens && self.kept == Kept::Nothing;
        let client =
            Client { key: format!("c{}", seat.channel), listens, streams: self.kept != Kept::Nothing, greeted: false };
        Box::pin(Conn::tcp(self.process.addr(), Box::new(client)))
    }
}

struct Client {
    key: String,
    listens: bool,
    streams: bool,
    greeted: bool,
}

impl Protocol for Client {
    fn begin(&mut self, out: &mut Vec<u8>) {
        command(&["HELLO", "3"], out);
        if self.listens {
            command(&["SUBSCRIBE", &self.key], out);
        }
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.streams {
            command(&["XADD", &self.key, "*", "t", text], out);
        } else {
            command(&["PUBLISH", &self.key, text], out);
        }
    }

    fn hear(&mut self, bytes: &mut BytesMut, _: &mut Vec<u8>, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        loop {
            let mut at = 0;
            let Some(value) = value(bytes, &mut at)? else { return Ok(()) };
            match value {
                Value::Push(parts) => match parts[..] {
                    [Value::Bytes(b"message"), _, Value::Bytes(text)] => heard(Heard::Text(text)),
                    [Value::Bytes(b"subscribe"), ..] => heard(Heard::Ready),
                    _ => bail!("a push of another kind: {parts:?}"),
                },
                Value::Error(error) => bail!("refused: {}", String::from_utf8_lossy(error)),
                _ if self.greeted => heard(Heard::Ack),
                _ => {
                    self.greeted = true;
                    if !self.listens {
                        heard(Heard::Ready);
                    }
                }
            }
            bytes.advance(at);
        }
    }
}

fn command(words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// A value of RESP3, as far as these commands are answered with it.
#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Error(&'a [u8]),
    Many,
    Push(Vec<Value<'a>>),
}

/// The value from there on, if it is whole.
fn value<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Option<Value<'a>>> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let (kind, line) = rest.get(..end).and_then(<[u8]>::split_first).context("an empty line")?;
    *at += end + 2;
    let number = || anyhow::Ok(std::str::from_utf8(line)?.parse::<usize>()?);
    match kind {
        b'+' | b':' | b',' | b'#' | b'_' => Ok(Some(Value::Bytes(line))),
        b'-' => Ok(Some(Value::Error(line))),
        b'$' => {
            let len = number()?;
            let bulk = bytes.get(*at..*at + len).filter(|_| bytes.len() >= *at + len + 2);
            *at += len + 2;
            Ok(bulk.map(Value::Bytes))
        }
        b'*' | b'~' | b'%' | b'>' => {
            let count = if *kind == b'%' { 2 * number()? } else { number()? };
            let mut parts = Vec::new();
            for _ in 0..count {
                match value(bytes, at)? {
                    Some(part) => parts.push(part),
                    None => return Ok(None),
                }
            }
            Ok(Some(if *kind == b'>' { Value::Push(parts) } else { Value::Many }))
        }
        _ => bail!("no RESP: {}", String::from_utf8_lossy(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_heard_once_it_is_whole() {
        let all = b"%1\r\n+proto\r\n:3\r\n>3\r\n$9\r\nsubscribe\r\n$2\r\nc1\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$2\r\nc1\r\n$2\r\nhi\r\n:1\r\n";
        let mut client = Client { key: "c1".to_owned(), listens: true, streams: false, greeted: false };
        let (mut bytes, mut said) = (BytesMut::new(), Vec::new());
        for byte in all {
            bytes.extend_from_slice(&[*byte]);
            client.hear(&mut bytes, &mut Vec::new(), &mut |heard| said.push(format!("{heard:?}"))).unwrap();
        }
        let text = format!("{:?}", Heard::Text(b"hi"));
        assert_eq!(said, ["Ready", &text, "Ack"]);
        let mut refused = BytesMut::from(&b"-NOPERM\r\n"[..]);
        client.hear(&mut refused, &mut Vec::new(), &mut |_| {}).unwrap_err();
    }
}
