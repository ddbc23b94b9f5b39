//! The bare servers: quinn, wtransport and tungstenite as they are, set up as suda sets them up, and the least that moves the
//! same bytes. Each runs as a process of its own: this binary, started again.
//!
//! A stream's first frame says hello, and is answered. After that, a server in mode `echo` answers each frame with fixed bytes,
//! and one in mode `broadcast` gives each frame to all streams: one loop over all of them, many frames in one write.

mod quic;
mod tcp;
mod tls;

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use suda_schema::codec::binary;
use suda_schema::limits::{FRAME_BYTES_MAX, WS_CHUNK_BYTES_MAX};
use suda_tests::client::{Connector, Kind, RawClient};
use tokio::sync::mpsc;

use crate::frames;

/// How many frames are gathered for one write, as suda's hub gathers them.
const GATHERED_MAX: usize = 64;
/// Frames and newcomers that wait for the loop.
const WAITING_MAX: usize = 1_024;

/// What is done with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Echo,
    Broadcast,
}

impl Mode {
    const ALL: [(Self, &'static str); 2] = [(Self::Echo, "echo"), (Self::Broadcast, "broadcast")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| name)
    }
}

/// A bare server in a process of its own.
pub(crate) struct Bare {
    child: Child,
    quic: SocketAddr,
    tls: SocketAddr,
    plain: SocketAddr,
    certificate_hash: [u8; 32],
    connector: Connector,
}

impl Bare {
    pub(crate) fn start(mode: Mode) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare-server", mode.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [quic, tls, plain, hash] = words[..] else { bail!("instead of where it listens: {line:?}") };
        let mut certificate_hash = [0; 32];
        for (at, byte) in certificate_hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hash.get(2 * at..2 * at + 2).context("a short hash")?, 16)?;
        }
        let connector = Connector::new(certificate_hash)?;
        let (quic, tls, plain) = (quic.parse()?, tls.parse()?, plain.parse()?);
        Ok(Self { child, quic, tls, plain, certificate_hash, connector })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn connect(&self, kind: Kind) -> Result<RawClient> {
        match kind {
            // A socket for each, as devices have it.
            Kind::Quic => RawClient::connect(kind, self.quic, self.certificate_hash).await,
            Kind::Plain => self.connector.connect(kind, self.plain).await,
            Kind::WebTransport => self.connector.connect(kind, self.quic).await,
            kind => self.connector.connect(kind, self.tls).await,
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process: serves until whoever started it is gone.
pub(crate) fn main(mode: &str) -> Result<()> {
    let (mode, _) = Mode::ALL.into_iter().find(|(_, name)| *name == mode).context("a mode that there is not")?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let (loop_, heard) = mpsc::channel(WAITING_MAX);
        tokio::spawn(broadcast(heard));
        let answers = Answers { mode, loop_ };
        let tls = tls::Identity::new()?;
        let quic = quic::serve(&tls, answers.clone())?;
        let over_tls = tcp::serve(Some(tls.tcp()?), answers.clone()).await?;
        let plain = tcp::serve(None, answers).await?;
        std::io::stdout().write_all(format!("{quic} {over_tls} {plain} {}\n", tls.hash()).as_bytes())?;
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        std::process::exit(0)
    })
}

#[derive(Clone)]
struct Answers {
    mode: Mode,
    loop_: mpsc::Sender<Heard>,
}

enum Heard {
    Stream(Out),
    Frame(Bytes),
}

/// The half of a stream that the server writes.
enum Out {
    Quic(quinn::SendStream),
    WebTransport(wtransport::SendStream),
    WebSocket(tcp::Sink),
}

/// The half that it reads.
enum In {
    Quic(quinn::RecvStream),
    WebTransport(wtransport::RecvStream),
    WebSocket(tcp::Source),
}

/// The same bytes for all, for WebSocket in messages with the number of the stream in front.
struct Payload {
    bytes: Bytes,
    numbered: Vec<Bytes>,
}

impl Payload {
    fn new(bytes: Bytes) -> Self {
        let chunks = bytes.chunks(WS_CHUNK_BYTES_MAX);
        let numbered = chunks.map(|chunk| [&tcp::FIRST_STREAM[..], chunk].concat().into()).collect();
        Self { bytes, numbered }
    }
}

impl Out {
    async fn write(&mut self, payload: &Payload) -> bool {
        match self {
            Self::Quic(stream) => stream.write_chunk(payload.bytes.clone()).await.is_ok(),
            Self::WebTransport(stream) => stream.quic_stream_mut().write_chunk(payload.bytes.clone()).await.is_ok(),
            Self::WebSocket(sink) => {
                for message in &payload.numbered {
                    if !tcp::write(sink, message.clone()).await {
                        return false;
                    }
                }
                true
            }
        }
    }
}

impl In {
    /// The next bytes of the stream's.
    async fn chunk(&mut self) -> Option<Bytes> {
        const CHUNK_BYTES_MAX: usize = 64 << 10;
        match self {
            Self::Quic(stream) => stream.read_chunk(CHUNK_BYTES_MAX, true).await.ok()?.map(|chunk| chunk.bytes),
            Self::WebTransport(stream) => {
                stream.quic_stream_mut().read_chunk(CHUNK_BYTES_MAX, true).await.ok()?.map(|chunk| chunk.bytes)
            }
            Self::WebSocket(source) => tcp::read(source).await,
        }
    }
}

async fn stream(mut source: In, mut out: Out, answers: Answers) {
    let mut bytes = BytesMut::new();
    if next_frames(&mut source, &mut bytes).await.is_none() || !out.write(&Payload::new(frames::ack())).await {
        return;
    }
    match answers.mode {
        Mode::Echo => {
            let answer = [&frames::ack()[..], &frames::entries("")].concat();
            while let Some((_, count)) = next_frames(&mut source, &mut bytes).await {
                if !out.write(&Payload::new(answer.repeat(count).into())).await {
                    return;
                }
            }
        }
        Mode::Broadcast => {
            let mut said = answers.loop_.send(Heard::Stream(out)).await;
            while said.is_ok()
                && let Some((frames, _)) = next_frames(&mut source, &mut bytes).await
            {
                said = answers.loop_.send(Heard::Frame(frames)).await;
            }
        }
    }
}

/// The next whole frames, and how many they are.
async fn next_frames(source: &mut In, bytes: &mut BytesMut) -> Option<(Bytes, usize)> {
    loop {
        bytes.extend_from_slice(&source.chunk().await?);
        let (mut len, mut count) = (0, 0);
        while let Ok(Some(header)) = binary::header(bytes.get(len..)?, FRAME_BYTES_MAX)
            && len + header.header_len + header.body_len <= bytes.len()
        {
            len += header.header_len + header.body_len;
            count += 1;
        }
        if count > 0 {
            let frames = Bytes::copy_from_slice(bytes.get(..len)?);
            bytes.advance(len);
            return Some((frames, count));
        }
    }
}

async fn broadcast(mut heard: mpsc::Receiver<Heard>) {
    let (mut outs, mut some) = (Vec::new(), Vec::with_capacity(GATHERED_MAX));
    while heard.recv_many(&mut some, GATHERED_MAX).await > 0 {
        let mut bytes = Vec::new();
        for heard in some.drain(..) {
            match heard {
                Heard::Stream(out) => outs.push(out),
                Heard::Frame(frame) => bytes.extend_from_slice(&frame),
            }
        }
        if bytes.is_empty() {
            continue;
        }
        let payload = Payload::new(bytes.into());
        let mut at = 0;
        while let Some(out) = outs.get_mut(at) {
            if out.write(&payload).await {
                at += 1;
            } else {
                drop(outs.swap_remove(at));
            }
        }
    }
}
