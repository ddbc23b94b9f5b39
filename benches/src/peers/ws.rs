//! WebSocket as a client needs it here, on buffers: what thousands of connections share two cores with is to cost little, and
//! the same for all servers. Messages are masked with zeros, so that masking changes nothing.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const ANSWER_BYTES_MAX: usize = 16 << 10;
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Makes a WebSocket of a connection: what has come after the server's answer.
pub(crate) async fn open(socket: &mut TcpStream, path: &str, protocol: Option<&str>) -> Result<BytesMut> {
    let protocol = protocol.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: c3VkYS1wZWVycy1iZW5jaA==\r\n{protocol}\r\n",
        socket.peer_addr()?
    );
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = BytesMut::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
            ensure!(head.starts_with("HTTP/1.1 101"), "no WebSocket at {path}: {head}");
            bytes.advance(end + 4);
            return Ok(bytes);
        }
        ensure!(bytes.len() < ANSWER_BYTES_MAX, "an answer without an end");
        ensure!(socket.read_buf(&mut bytes).await? > 0, "hung up instead of an answer");
    }
}

/// Writes a message.
pub(crate) fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.push(FIN | kind);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ ..126), _) => out.push(MASKED | len),
        (_, Ok(len)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// Takes all whole messages off what has come. Pings are answered into `out`.
pub(crate) fn take(
    bytes: &mut BytesMut,
    out: &mut Vec<u8>,
    mut message: impl FnMut(&[u8], &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    while let Some((head, len)) = header(bytes)? {
        if bytes.len() < head + len {
            return Ok(());
        }
        let first = *bytes.first().context("a header")?;
        let payload = bytes.get(head..head + len).context("a payload")?;
        match first & 0x0f {
            TEXT | BINARY => message(payload, out)?,
            PING => put(out, PONG, payload),
            PONG => {}
            CLOSE => bail!("the server closes the WebSocket: {:?}", String::from_utf8_lossy(payload)),
            other => bail!("a WebSocket frame of kind {other}"),
        }
        ensure!(first & FIN != 0, "a message in pieces");
        bytes.advance(head + len);
    }
    Ok(())
}

/// How long the first frame's header and its payload are, once that can be told.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(&len) = bytes.get(1) else { return Ok(None) };
    ensure!(len & MASKED == 0, "a masked frame of a server's");
    let (head, len) = match len {
        126 => (4, bytes.get(2..4).map(|len| len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))),
        127 => (10, bytes.get(2..10).map(|len| len.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))),
        short => (2, Some(usize::from(short))),
    };
    let Some(len) = len else { return Ok(None) };
    ensure!(len <= MESSAGE_BYTES_MAX, "a message of {len} bytes");
    Ok(Some((head, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server would send: the same without a mask.
    fn served(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, kind, payload);
        let at = out.len() - payload.len() - 4;
        out.drain(at..at + 4);
        out[1] &= !MASKED;
        out
    }

    #[test]
    fn messages_are_taken_whole_and_in_order() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload = vec![7; len];
            let all = [served(TEXT, b"first"), served(PING, b"?"), served(BINARY, &payload)].concat();
            let (mut bytes, mut out, mut heard) = (BytesMut::new(), Vec::new(), Vec::new());
            for piece in all.chunks(1_000) {
                bytes.extend_from_slice(piece);
                take(&mut bytes, &mut out, |message, _| {
                    heard.push(message.to_vec());
                    Ok(())
                })
                .unwrap();
            }
            assert_eq!(heard, [b"first".to_vec(), payload], "{len}");
            assert!(bytes.is_empty() && out.first() == Some(&(FIN | PONG)));
        }
        let mut closed = BytesMut::from(&served(CLOSE, b"")[..]);
        take(&mut closed, &mut Vec::new(), |_, _| Ok(())).unwrap_err();
    }
}
