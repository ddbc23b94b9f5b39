//! A link in memory, for tests: the node's end is a [`Link`], and whoever plays the client speaks raw frames.

mod pipe;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use suda_schema::CloseCode;
use suda_schema::limits::DATAGRAM_BYTES_MAX;
use tokio::sync::mpsc;

use pipe::{End, Shared, pipe};
pub(super) use pipe::{PipeReader, PipeWriter};

use super::metrics::StreamMetrics;
use super::stream::{Sink, Source};
use super::{DatagramError, Link, LinkEnd, LinkKind, StreamReader, StreamWriter};

/// The most datagrams that wait in one direction; more are lost, as datagrams are.
const DATAGRAMS_MAX: usize = 16;
/// The most streams that wait to be accepted; opening more waits.
const STREAMS_WAITING_MAX: usize = 16;

/// What a pair is like.
#[derive(Debug, Clone, Copy)]
pub struct PairConfig {
    /// Which transport the node's end says it is: decides the codec.
    pub kind: LinkKind,
    /// How many bytes a stream takes in one direction before its writer waits.
    pub window_bytes: usize,
    /// Whether there are datagrams.
    pub datagrams: bool,
}

impl Default for PairConfig {
    fn default() -> Self {
        Self { kind: LinkKind::Quic, window_bytes: 256 << 10, datagrams: true }
    }
}

/// Makes a link and the client's end of it.
#[must_use]
pub fn pair(config: PairConfig) -> (Arc<dyn Link>, PairClient) {
    let (streams_in, streams) = mpsc::channel(STREAMS_WAITING_MAX);
    let (up_in, up) = mpsc::channel(DATAGRAMS_MAX);
    let (down_in, down) = mpsc::channel(DATAGRAMS_MAX);
    let shared = Arc::new(Shared::default());
    let link = PairLink { config, shared: shared.clone(), streams: streams.into(), up: up.into(), down: down_in };
    let client = PairClient { config, shared, streams: streams_in, up: up_in, down: down.into() };
    (Arc::new(link), client)
}

/// The client's end of a pair. Dropping it closes the link.
pub struct PairClient {
    config: PairConfig,
    shared: Arc<Shared>,
    streams: mpsc::Sender<(StreamReader, StreamWriter)>,
    up: mpsc::Sender<Bytes>,
    down: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
}

impl PairClient {
    /// Opens a stream: what the node writes, and what it reads.
    pub async fn open(&self) -> Result<(StreamReader, StreamWriter), LinkEnd> {
        let (node_writer, reader) = pipe(&self.shared, self.config.window_bytes, true);
        let (writer, node_reader) = pipe(&self.shared, self.config.window_bytes, false);
        let codec = self.config.kind.codec();
        let uncounted = StreamMetrics::default();
        let end = |reader, writer| {
            let reader = StreamReader::new(Source::Pair(reader, codec), &uncounted);
            (reader, StreamWriter::new(Sink::Pair(writer), &uncounted))
        };
        tokio::select! {
            biased;
            end = self.shared.ended(End::of_client) => Err(end),
            sent = self.streams.send(end(node_reader, node_writer)) => match sent {
                Ok(()) => Ok(end(reader, writer)),
                Err(_) => Err(LinkEnd::Lost("the node's end is gone".to_owned())),
            }
        }
    }

    /// Sends a datagram; false if it was lost.
    #[must_use]
    pub fn send_datagram(&self, body: Bytes) -> bool {
        self.config.datagrams && self.up.try_send(body).is_ok()
    }

    /// The next datagram of the node's; `None` after the end.
    pub async fn recv_datagram(&self) -> Option<Bytes> {
        let mut down = self.down.lock().await;
        tokio::select! {
            biased;
            _ = self.shared.ended(End::of_client) => None,
            body = down.recv() => body,
        }
    }

    /// Closes the link as the client.
    pub fn close(&self, code: CloseCode, message: &str) {
        self.shared.close(End { by_node: false, code, message: message.to_owned() });
    }

    /// Waits for the end, as the client sees it.
    pub async fn closed(&self) -> LinkEnd {
        self.shared.ended(End::of_client).await
    }
}

impl Drop for PairClient {
    fn drop(&mut self) {
        self.close(CloseCode::NORMAL, "dropped");
    }
}

struct PairLink {
    config: PairConfig,
    shared: Arc<Shared>,
    streams: tokio::sync::Mutex<mpsc::Receiver<(StreamReader, StreamWriter)>>,
    up: tokio::sync::Mutex<mpsc::Receiver<Bytes>>,
    down: mpsc::Sender<Bytes>,
}

impl Link for PairLink {
    fn kind(&self) -> LinkKind {
        self.config.kind
    }

    fn remote_addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    fn accept_stream(&self) -> BoxFuture<'_, Result<(StreamReader, StreamWriter), LinkEnd>> {
        Box::pin(async {
            let mut streams = self.streams.lock().await;
            tokio::select! {
                biased;
                end = self.shared.ended(End::of_node) => Err(end),
                Some(stream) = streams.recv() => Ok(stream),
            }
        })
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Result<Bytes, LinkEnd>> {
        Box::pin(async {
            let mut up = self.up.lock().await;
            tokio::select! {
                biased;
                end = self.shared.ended(End::of_node) => Err(end),
                Some(body) = up.recv() => Ok(body),
            }
        })
    }

    fn send_datagram(&self, body: Bytes) -> Result<(), DatagramError> {
        if !self.config.datagrams {
            return Err(DatagramError::Unsupported);
        }
        if body.len() > DATAGRAM_BYTES_MAX {
            return Err(DatagramError::TooLarge);
        }
        if self.shared.end.borrow().is_some() {
            return Err(DatagramError::Closed);
        }
        // A full queue loses it, as a network would.
        let _ = self.down.try_send(body);
        Ok(())
    }

    fn datagram_bytes_max(&self) -> usize {
        if self.config.datagrams { DATAGRAM_BYTES_MAX } else { 0 }
    }

    fn close(&self, code: CloseCode, message: &str) {
        self.shared.close(End { by_node: true, code, message: message.to_owned() });
    }

    fn closed(&self) -> BoxFuture<'_, LinkEnd> {
        Box::pin(self.shared.ended(End::of_node))
    }
}

impl Drop for PairLink {
    fn drop(&mut self) {
        self.close(CloseCode::NORMAL, "");
    }
}

#[cfg(test)]
mod tests {
    use suda_schema::Seq;
    use suda_schema::codec::{DecodeError, Decoded};
    use suda_schema::control::{ControlUp, Ping};
    use suda_schema::open::{Attach, Open, Start};

    use super::super::{Codec, ReadError, WriteError};
    use super::*;

    fn open_frame() -> Open {
        Attach { channel: suda_schema::ChannelId(7), from: Start::After(Seq(3)) }.into()
    }

    #[tokio::test]
    async fn frames_go_both_ways_in_both_codecs() {
        for kind in LinkKind::ALL {
            let (link, client) = pair(PairConfig { kind, ..PairConfig::default() });
            let (mut reader, mut writer) = client.open().await.unwrap();
            let (mut node_reader, mut node_writer) = link.accept_stream().await.unwrap();
            writer.write(link.codec().encode(&open_frame())).await.unwrap();
            let frame = node_reader.frame(100).await.unwrap().unwrap();
            assert_eq!(frame.decode::<Open>(), Ok(Decoded::Frame(open_frame())));
            let ping = ControlUp::Ping(Ping { nonce: 5 });
            node_writer.write_all(&mut [link.codec().encode(&ping), link.codec().encode(&ping)]).await.unwrap();
            node_writer.finish();
            for _ in 0..2 {
                let frame = reader.frame(100).await.unwrap().unwrap();
                assert_eq!(frame.decode(), Ok(Decoded::Frame(ping.clone())));
            }
            assert_eq!(reader.frame(100).await, Ok(None));
        }
    }

    #[tokio::test]
    async fn a_writer_waits_for_its_reader() {
        let (link, client) = pair(PairConfig { window_bytes: 10, ..PairConfig::default() });
        let (mut reader, _writer) = client.open().await.unwrap();
        let (_node_reader, mut node_writer) = link.accept_stream().await.unwrap();
        let mut frames = [vec![11; 12].into(), Bytes::from_static(&[1, 0])];
        {
            let mut write = std::pin::pin!(node_writer.write_all(&mut frames));
            assert!(futures_util::poll!(&mut write).is_pending());
            assert_eq!(reader.frame(100).await.map(|frame| frame.map(|frame| frame.len())), Ok(Some(11)));
            write.await.unwrap();
        }
        assert_eq!(reader.frame(100).await.map(|frame| frame.map(|frame| frame.len())), Ok(Some(1)));
    }

    #[tokio::test]
    async fn limits_halves_resets_and_stops_are_seen() {
        let (link, client) = pair(PairConfig::default());
        let (_reader, mut writer) = client.open().await.unwrap();
        let (mut node_reader, _node_writer) = link.accept_stream().await.unwrap();
        writer.write(Bytes::from_static(&[101])).await.unwrap();
        let too_large = DecodeError::TooLarge { len: 101, limit: 100 };
        assert_eq!(node_reader.frame(100).await, Err(too_large.into()));
        node_reader.stop(CloseCode::PROTOCOL_ERROR);
        let stopped = writer.write(Bytes::from_static(&[1])).await;
        assert_eq!(stopped, Err(WriteError::Stopped(CloseCode::PROTOCOL_ERROR)));

        let (_reader, mut writer) = client.open().await.unwrap();
        let (mut node_reader, _node_writer) = link.accept_stream().await.unwrap();
        writer.write(Bytes::from_static(&[3, 1])).await.unwrap();
        writer.finish();
        assert_eq!(node_reader.frame(100).await, Err(ReadError::HalfFrame));

        let (_reader, mut writer) = client.open().await.unwrap();
        let (mut node_reader, _node_writer) = link.accept_stream().await.unwrap();
        writer.reset(CloseCode::DETACHED);
        assert_eq!(node_reader.frame(100).await, Err(ReadError::Reset(CloseCode::DETACHED)));
    }

    #[tokio::test]
    async fn both_ends_see_the_end() {
        let (link, client) = pair(PairConfig { kind: LinkKind::WebSocketJson, ..PairConfig::default() });
        assert_eq!(link.codec(), Codec::Json);
        let (mut reader, _writer) = client.open().await.unwrap();
        let (mut node_reader, _node_writer) = link.accept_stream().await.unwrap();
        let mut frame = std::pin::pin!(node_reader.frame(100));
        assert!(futures_util::poll!(&mut frame).is_pending());
        link.close(CloseCode::OVERLOADED, "full");
        let local = LinkEnd::Local(CloseCode::OVERLOADED);
        let peer = LinkEnd::Peer { code: CloseCode::OVERLOADED, message: "full".to_owned() };
        assert_eq!(frame.await, Err(local.clone().into()));
        assert_eq!(reader.frame(100).await, Err(peer.clone().into()));
        assert_eq!((link.closed().await, client.closed().await), (local, peer));
        assert!(link.accept_stream().await.is_err() && client.open().await.is_err());
    }

    #[tokio::test]
    async fn datagrams_are_lost_rather_than_queued() {
        let (link, client) = pair(PairConfig::default());
        for _ in 0..DATAGRAMS_MAX {
            assert!(client.send_datagram(Bytes::from_static(b"up")));
        }
        assert!(!client.send_datagram(Bytes::from_static(b"lost")));
        assert_eq!(link.recv_datagram().await.unwrap(), "up");
        link.send_datagram(Bytes::from_static(b"down")).unwrap();
        assert_eq!(client.recv_datagram().await.unwrap(), "down");
        assert_eq!(link.send_datagram(vec![0; 2_000].into()), Err(DatagramError::TooLarge));
    }
}
