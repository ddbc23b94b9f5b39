//! suda itself: the release binary on the embedded store, over WebSocket in the clear as the others are, and over QUIC.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use suda_schema::channel::ChannelDown;
use suda_schema::codec::{Codec, Decoded, binary, mux};
use suda_schema::control::ControlDown;
use suda_schema::limits::FRAME_BYTES_MAX;
use suda_schema::open::{Attach, Open, Start};
use suda_schema::{AppendOnly, CONNECT_PATH, ChannelId, SUBPROTOCOL_BINARY};
use suda_tests::client::{Kind, RawClient};
use suda_tests::node::NodeProcess;
use suda_tests::people::{Hi, Person, hello, message, new_id, text_of};

use crate::conn::{Conn, Heard, Protocol, Quic};
use crate::layout::{Layout, Seat};
use crate::stage::Peer;
use crate::ws;

/// What differs from how a node comes: many links of one address, and limits on how often that nobody here meets.
const SETTINGS: &[(&str, &str)] = &[
    ("link.links_per_address_max", "100000"),
    ("http.connections_max", "100000"),
    ("http.connections_per_address_max", "100000"),
    ("limits.group_members_max", "10000"),
    // So that nobody has to log in again in the middle.
    ("accounts.access_token_ms", "86400000"),
    ("log.level", "warn"),
];
/// How many channels are made side by side.
const AT_ONCE: usize = 16;
/// How many members are added in one call.
const MEMBERS_AT_ONCE: usize = 100;

const CONTROL: u32 = 0;
const CHANNEL: u32 = 1;

/// A node with accounts, kept for all rounds; it is started anew for each.
pub(crate) struct World {
    node: NodeProcess,
    people: Vec<Person>,
    channels: HashMap<Layout, Vec<ChannelId>>,
    certificate_hash: [u8; 32],
}

/// The node, and over which transport it is spoken with.
pub(crate) struct Suda<'a> {
    world: &'a mut World,
    kind: Kind,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let node = NodeProcess::start_with(SETTINGS).await;
        let people = node.sign_up_all("peer", Layout::PEOPLE).await;
        let certificate_hash = node.certificate_hash().await;
        Ok(Self { node, people, channels: HashMap::new(), certificate_hash })
    }

    pub(crate) async fn start(&mut self, kind: Kind) -> Suda<'_> {
        self.node.kill();
        self.node.restart().await;
        Suda { world: self, kind }
    }

    async fn make(&mut self, layout: Layout) -> Result<()> {
        if self.channels.contains_key(&layout) {
            return Ok(());
        }
        let one = |people: Range<usize>| self.channel(layout, self.people.get(people));
        let channels = stream::iter(layout.channels()).map(one).buffered(AT_ONCE).try_collect().await?;
        self.channels.insert(layout, channels);
        Ok(())
    }

    async fn channel(&self, layout: Layout, people: Option<&[Person]>) -> Result<ChannelId> {
        let (owner, members) = people.and_then(<[Person]>::split_first).context("a channel of nobody")?;
        let channel = match layout {
            Layout::FanOut => self.node.broadcast(owner, "peers", &[]).await,
            _ => self.node.group(owner, "peers", &[]).await,
        };
        for some in members.chunks(MEMBERS_AT_ONCE) {
            let users: Vec<String> = some.iter().map(|person| person.user.to_string()).collect();
            let path = format!("/v1/channels/{channel}/members");
            self.node.ask(owner, "POST", &path, Some(json!({ "users": users })), 204).await;
        }
        Ok(channel)
    }

    async fn connect(&self, kind: Kind, seat: Seat) -> Result<Conn> {
        let person = self.people.get(seat.number).context("too few people")?;
        let channels = self.channels.get(&seat.layout).context("a layout that was not prepared")?;
        let channel = *channels.get(seat.channel).context("too few channels")?;
        let first = hello(&person.access, Hi::default());
        let attach = Open::Attach(Attach { channel, from: Start::Tail(0) });
        if kind.is_websocket() {
            let client = Client { first, attach, control: BytesMut::new(), channel: BytesMut::new() };
            let (addr, protocol) = (self.node.http_addr(), Some(SUBPROTOCOL_BINARY));
            return Conn::websocket(addr, CONNECT_PATH, protocol, Box::new(client)).await;
        }
        // A socket for each, as devices have it.
        let link = RawClient::connect(kind, self.node.addr(), self.certificate_hash).await?;
        let mut control = link.open().await?;
        control.send(&first).await?;
        welcomed(&control.recv().await?)?;
        let mut stream = link.open().await?;
        stream.send(&attach).await?;
        let mut ready = false;
        heard(&stream.recv().await?, &mut |what| ready |= what == Heard::Ready)?;
        anyhow::ensure!(ready, "it is not attached");
        let quic = Quic { stream, _control: control, _link: link, came: None, out: Vec::new() };
        Ok(Conn::Quic(Box::new(quic)))
    }
}

impl Peer for Suda<'_> {
    fn pid(&self) -> u32 {
        self.world.node.pid()
    }

    fn prepare(&mut self, layout: Layout) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.world.make(layout))
    }

    fn connect(&self, seat: Seat) -> BoxFuture<'_, Result<Conn>> {
        Box::pin(self.world.connect(self.kind, seat))
    }
}

/// The frame of a send.
pub(crate) fn send(text: &str) -> Bytes {
    Codec::Binary.encode(&message(new_id(), text))
}

/// What a frame of a channel's stream tells.
pub(crate) fn heard(frame: &ChannelDown, heard: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
    match frame {
        ChannelDown::Attached(_) => heard(Heard::Ready),
        ChannelDown::Ack(_) => heard(Heard::Ack),
        ChannelDown::Entries(entries) => {
            entries.entries.iter().filter_map(text_of).for_each(|text| heard(Heard::Text(text.as_bytes())));
        }
        ChannelDown::Refused(refused) => bail!("refused: {}", refused.error),
        ChannelDown::Closed(closing) => bail!("closed: {closing:?}"),
        _ => {}
    }
    Ok(())
}

fn welcomed(frame: &ControlDown) -> Result<()> {
    match frame {
        ControlDown::Welcome(_) => Ok(()),
        other => bail!("instead of a welcome: {other:?}"),
    }
}

/// Two streams on a WebSocket.
struct Client {
    first: Open,
    attach: Open,
    control: BytesMut,
    channel: BytesMut,
}

impl Protocol for Client {
    fn begin(&mut self, out: &mut Vec<u8>) {
        say(CONTROL, &Codec::Binary.encode(&self.first), out);
    }

    fn publish(&mut self, text: &str, out: &mut Vec<u8>) {
        say(CHANNEL, &send(text), out);
    }

    fn hear(&mut self, bytes: &mut BytesMut, out: &mut Vec<u8>, told: &mut dyn FnMut(Heard<'_>)) -> Result<()> {
        ws::take(bytes, out, |message, out| {
            match mux::decode_message(message)? {
                (CONTROL, mux::Message::Data(data)) => {
                    self.control.extend_from_slice(data);
                    while let Some(frame) = frame::<ControlDown>(&mut self.control)? {
                        if let ControlDown::Welcome(_) = frame {
                            say(CHANNEL, &Codec::Binary.encode(&self.attach), out);
                        }
                    }
                }
                (CHANNEL, mux::Message::Data(data)) => {
                    self.channel.extend_from_slice(data);
                    while let Some(frame) = frame(&mut self.channel)? {
                        heard(&frame, told)?;
                    }
                }
                (stream, other) => bail!("on stream {stream}: {other:?}"),
            }
            Ok(())
        })
    }
}

fn say(stream: u32, frame: &[u8], out: &mut Vec<u8>) {
    ws::put(out, ws::BINARY, &mux::encode_message(stream, &mux::Message::Data(frame)));
}

/// The next whole frame that this build knows.
fn frame<F: AppendOnly + DeserializeOwned>(bytes: &mut BytesMut) -> Result<Option<F>> {
    while let Some((frame, len)) = binary::decode(bytes, FRAME_BYTES_MAX)? {
        bytes.advance(len);
        if let Decoded::Frame(frame) = frame {
            return Ok(Some(frame));
        }
    }
    Ok(None)
}
