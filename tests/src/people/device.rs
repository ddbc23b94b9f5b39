//! A device on a link: it has said hello, and looks at channels.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use suda_schema::channel::{Ack, Attached, ChannelDown, ChannelUp, NewMessage, Op, Send};
use suda_schema::control::{Closing, ControlDown, ControlUp, Ping, SyncPage, Welcome};
use suda_schema::entry::{Body, Entry, What};
use suda_schema::open::{Activity, Attach, Hello, Open, Start};
use suda_schema::{ChannelId, ClientMsgId, Seq, WireError};
use tokio::time::Instant;

use super::{Person, new_id};
use crate::client::{Kind, RawClient, RawStream, WAIT};
use crate::node::NodeProcess;

/// What a device says in its hello beside its token.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hi {
    /// Its cursor in the user's log.
    pub user_cursor: Option<Seq>,
    /// How many channels it wants.
    pub sync_limit: u16,
}

/// The first frame of a link.
#[must_use]
pub fn hello(token: &str, hi: Hi) -> Open {
    Open::Control(Hello {
        token: token.to_owned(),
        client: "suda-tests".to_owned(),
        user_cursor: hi.user_cursor,
        sync_limit: hi.sync_limit,
        activity: Activity::Active,
    })
}

/// A message of text.
#[must_use]
pub fn message(client_msg_id: ClientMsgId, text: &str) -> ChannelUp {
    let body = Body::Text(text.to_owned());
    let op = Op::Message(NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() });
    ChannelUp::Send(Send { client_msg_id, op })
}

/// What a message says; `None` for other entries.
#[must_use]
pub fn text_of(entry: &Entry) -> Option<&str> {
    match &entry.what {
        What::Message(message) => match &message.body {
            Body::Text(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// A device with an open session.
#[derive(Debug)]
pub struct Device {
    /// The link.
    pub link: RawClient,
    /// The control stream.
    pub control: RawStream,
    /// What the node said first.
    pub welcome: Welcome,
    /// The first page of channels, if it was asked for.
    pub page: Option<SyncPage>,
}

impl Device {
    /// Connects, and says hello.
    pub async fn connect(node: &NodeProcess, kind: Kind, who: &Person) -> Self {
        let device = Self::try_connect(node, kind, who, Hi::default()).await;
        device.unwrap_or_else(|error| panic!("{kind:?}: {error:#}"))
    }

    /// The same with more to say, if the node takes it.
    pub async fn try_connect(node: &NodeProcess, kind: Kind, who: &Person, hi: Hi) -> anyhow::Result<Self> {
        Self::begin(node.try_connect(kind).await?, who, hi).await
    }

    /// Says hello on a link, if the node takes it.
    pub async fn begin(link: RawClient, who: &Person, hi: Hi) -> anyhow::Result<Self> {
        let mut control = link.open().await?;
        control.send(&hello(&who.access, hi)).await?;
        let welcome = match control.recv().await? {
            ControlDown::Welcome(welcome) => welcome,
            other => bail!("instead of a welcome: {other:?}"),
        };
        ensure!(welcome.user == who.user && welcome.device == who.device, "somebody else is welcomed");
        let page = match hi.sync_limit {
            0 => None,
            _ => match control.recv().await? {
                ControlDown::SyncPage(page) => Some(page),
                other => bail!("instead of the first page: {other:?}"),
            },
        };
        Ok(Self { link, control, welcome, page })
    }

    /// Looks at a channel.
    pub async fn attach(&self, channel: ChannelId, from: Start) -> View {
        self.try_attach(channel, from).await.unwrap_or_else(|error| panic!("{:?}: {error:#}", self.link.kind()))
    }

    /// Looks at a channel, if the node lets it.
    pub async fn try_attach(&self, channel: ChannelId, from: Start) -> anyhow::Result<View> {
        let mut stream = self.link.open().await?;
        stream.send(&Open::Attach(Attach { channel, from })).await?;
        match stream.recv().await? {
            ChannelDown::Attached(attached) => {
                let (after, cursor) = (attached.after, attached.after);
                Ok(View {
                    stream,
                    attached,
                    after,
                    cursor,
                    entries: Vec::new(),
                    acks: HashMap::new(),
                    refused: HashMap::new(),
                })
            }
            other => bail!("instead of attached: {other:?}"),
        }
    }

    /// How the node refuses to let it look.
    pub async fn refused(&self, channel: ChannelId, from: Start) -> anyhow::Result<Closing> {
        let mut stream = self.link.open().await?;
        stream.send(&Open::Attach(Attach { channel, from })).await?;
        match stream.recv().await? {
            ChannelDown::Closed(closing) => Ok(closing),
            other => bail!("instead of closed: {other:?}"),
        }
    }

    /// The next frame on the control stream that this is about; others are passed over.
    pub async fn wait_for<T>(&mut self, mut about: impl FnMut(ControlDown) -> Option<T>) -> anyhow::Result<T> {
        let deadline = Instant::now() + WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let frame = self.control.recv_within(left).await?.context("it did not come in time")?;
            if let Some(found) = about(frame) {
                return Ok(found);
            }
        }
    }

    /// Sends a ping and waits for the answer: the link is alive. How long it took.
    pub async fn ping(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let nonce = u64::from_be_bytes(new_id().0[8..].try_into()?);
        self.control.send(&ControlUp::Ping(Ping { nonce })).await?;
        self.wait_for(|frame| matches!(frame, ControlDown::Pong(pong) if pong.nonce == nonce).then_some(())).await?;
        Ok(begun.elapsed())
    }

    /// What the node says before it closes the link.
    pub async fn closing(&mut self) -> anyhow::Result<Closing> {
        self.wait_for(|frame| if let ControlDown::Closing(closing) = frame { Some(closing) } else { None }).await
    }
}

/// A live view of a channel. It checks that what comes has no gap and no double.
#[derive(Debug)]
pub struct View {
    /// Its stream.
    pub stream: RawStream,
    /// What the node said first.
    pub attached: Attached,
    /// Where it began.
    pub after: Seq,
    /// The last entry that came.
    pub cursor: Seq,
    /// All that have come.
    pub entries: Vec<Entry>,
    /// Answers to sends.
    pub acks: HashMap<ClientMsgId, Ack>,
    /// Refusals of sends.
    pub refused: HashMap<ClientMsgId, WireError>,
}

impl View {
    /// The next frame, taken note of.
    pub async fn next(&mut self) -> anyhow::Result<ChannelDown> {
        let frame = self.stream.recv().await?;
        self.note(&frame)?;
        Ok(frame)
    }

    /// The next frame, taken note of, if one comes in time.
    pub async fn next_within(&mut self, within: Duration) -> anyhow::Result<Option<ChannelDown>> {
        let frame = self.stream.recv_within(within).await?;
        frame.iter().try_for_each(|frame| self.note(frame))?;
        Ok(frame)
    }

    /// Sends a text under a new id.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<ClientMsgId> {
        let id = new_id();
        self.stream.send(&message(id, text)).await?;
        Ok(id)
    }

    /// Sends something else under a new id.
    pub async fn op(&mut self, op: Op) -> anyhow::Result<ClientMsgId> {
        let client_msg_id = new_id();
        self.stream.send(&ChannelUp::Send(Send { client_msg_id, op })).await?;
        Ok(client_msg_id)
    }

    /// Sends a text, and waits until it is durable.
    pub async fn say(&mut self, text: &str) -> anyhow::Result<Ack> {
        let id = self.send(text).await?;
        self.acked(id).await
    }

    /// Waits until this send is durable; a refusal is an error.
    pub async fn acked(&mut self, id: ClientMsgId) -> anyhow::Result<Ack> {
        match self.answer(id).await? {
            Ok(ack) => Ok(ack),
            Err(error) => bail!("refused: {error}"),
        }
    }

    /// Waits for the answer to this send.
    pub async fn answer(&mut self, id: ClientMsgId) -> anyhow::Result<Result<Ack, WireError>> {
        loop {
            if let Some(ack) = self.acks.get(&id) {
                return Ok(Ok(*ack));
            }
            if let Some(error) = self.refused.get(&id) {
                return Ok(Err(error.clone()));
            }
            self.next().await?;
        }
    }

    /// Waits until everything up to here has come.
    pub async fn until(&mut self, seq: Seq) -> anyhow::Result<()> {
        while self.cursor < seq {
            self.next().await?;
        }
        Ok(())
    }

    /// Waits for the end of the attachment.
    pub async fn closed(&mut self) -> anyhow::Result<Closing> {
        loop {
            if let ChannelDown::Closed(closing) = self.next().await? {
                return Ok(closing);
            }
        }
    }

    /// The texts that have come, in order.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.entries.iter().filter_map(text_of).collect()
    }

    fn note(&mut self, frame: &ChannelDown) -> anyhow::Result<()> {
        match frame {
            ChannelDown::Entries(entries) => {
                for entry in &entries.entries {
                    ensure!(entry.seq == self.cursor.next(), "{:?} came after {:?}", entry.seq, self.cursor);
                    self.cursor = entry.seq;
                    self.entries.push(entry.clone());
                }
            }
            ChannelDown::Ack(ack) => drop(self.acks.insert(ack.client_msg_id, *ack)),
            ChannelDown::Refused(refused) => drop(self.refused.insert(refused.client_msg_id, refused.error.clone())),
            _ => {}
        }
        Ok(())
    }
}
