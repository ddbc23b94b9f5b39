//! One channel: sending, the timeline, and what else there is to a conversation.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use suda_schema::channel::{HistoryAt, HistoryPage, NewEdit, NewMessage, Op};
use suda_schema::entry::{Body, Delete, Entry, React};
use suda_schema::limits::HISTORY_PAGE_MAX;
use suda_schema::summary::{ChannelSummary, MemberMark};
use suda_schema::{ChannelId, ClientMsgId, Seq, UserId};
use tokio::sync::oneshot;

use super::client::Client;
use super::driver::Shared;
use super::error::Error;
use super::wakers::number;
use crate::core::Core;
use crate::core::io::{Outcome, Stopped};
use crate::core::timeline::{Item, Update};

/// How many entries are read at once.
const READ_MAX: usize = 256;

/// A channel that is looked at. While there is a handle, its entries come live.
///
/// ```no_run
/// # async fn run(client: suda_client::Client, id: suda_client::ChannelId) -> Result<(), suda_client::Error> {
/// let channel = client.channel(id);
/// let ack = channel.send("Hello!").await?;
/// channel.react(ack.seq, "👍", true).await?;
/// channel.mark_read(ack.seq);
/// # Ok(()) }
/// ```
pub struct Channel {
    client: Client,
    id: ChannelId,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Channel").field(&self.id).finish()
    }
}

impl Clone for Channel {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.id)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.shared().act(|core, now_ms| core.close(now_ms, self.id));
    }
}

impl Channel {
    pub(super) fn new(client: Client, id: ChannelId) -> Self {
        client.shared().act(|core, now_ms| core.open(now_ms, id));
        Self { client, id }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.client.shared()
    }

    /// Which channel.
    #[must_use]
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// The client it is of.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its row in the list: title, role, unread count … `None` before it is known, and when the user is not in it.
    #[must_use]
    pub fn summary(&self) -> Option<ChannelSummary> {
        self.shared().look(|core| core.channel(self.id).cloned())
    }

    /// Sends a text. It is in the outbox and in the timeline when this returns, and goes out as soon as there is a
    /// connection. The handle can be awaited, for the time at which it is durable, or dropped.
    pub fn send(&self, text: impl Into<String>) -> Sending {
        self.send_message(Draft::text(text))
    }

    /// Sends a message with more to it than text.
    pub fn send_message(&self, draft: Draft) -> Sending {
        self.op(Op::Message(draft.message))
    }

    /// Gives one's own message another text.
    pub fn edit(&self, target: Seq, text: impl Into<String>) -> Sending {
        self.op(Op::Edit(NewEdit { target, body: Body::Text(text.into()), mentions: Vec::new() }))
    }

    /// Deletes one's own message, or as an admin anybody's.
    pub fn delete(&self, target: Seq) -> Sending {
        self.op(Op::Delete(Delete { target }))
    }

    /// Adds a reaction, or takes it back.
    pub fn react(&self, target: Seq, emoji: impl Into<String>, on: bool) -> Sending {
        self.op(Op::React(React { target, emoji: emoji.into(), on }))
    }

    fn op(&self, op: Op) -> Sending {
        let shared = self.shared();
        let sent = shared.act(|core, now_ms| core.send(now_ms, self.id, op).map(|id| (id, shared.sends.wait(id))));
        match sent {
            Ok((id, answer)) => Sending { id: Some(id), answer: Ok(answer) },
            Err(error) => Sending { id: None, answer: Err(error.into()) },
        }
    }

    /// What the channel shows, and how that changes: first everything that is known, then what is new or other. Nothing
    /// piles up for who does not read: what comes then is how it is by then.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        Timeline { channel: self.clone(), number: number(), version: None }
    }

    /// The entries of the channel's log after a seq, each once and in order, live: for programs that must not miss one.
    #[must_use]
    pub fn entries(&self, after: Seq) -> Entries {
        Entries { channel: self.clone(), number: number(), cursor: after, ready: VecDeque::new(), page: None }
    }

    /// How far the log is known; 0 if nothing of it is.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.shared().look(|core| core.log(self.id).map(crate::core::log::ChannelLog::cursor)).unwrap_or_default()
    }

    /// Everything that is shown now.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        self.shared().look(|core| core.timeline(self.id, None)).map(|(_, update)| update.items).unwrap_or_default()
    }

    /// Goes back: the page before what is shown is put in front of it. Whether there is still more before that.
    pub async fn load_older(&self, limit: u16) -> Result<bool, Error> {
        let shared = self.shared();
        let asked =
            shared.act(|core, now_ms| core.page_back(now_ms, self.id, limit).map(|request| shared.pages.wait(request)));
        match asked {
            None => Ok(false),
            Some(page) => Ok(answer(page).await?.more_before),
        }
    }

    /// A page of history that is not put into the timeline: around an entry, a time, the first unread message.
    pub async fn history(&self, at: HistoryAt, limit: u16) -> Result<HistoryPage, Error> {
        self.page(at, limit, None).await
    }

    /// A page of a thread.
    pub async fn thread(&self, first: Seq, at: HistoryAt, limit: u16) -> Result<HistoryPage, Error> {
        self.page(at, limit, Some(first)).await
    }

    async fn page(&self, at: HistoryAt, limit: u16, thread: Option<Seq>) -> Result<HistoryPage, Error> {
        let shared = self.shared();
        let asked = shared.act(|core, now_ms| {
            core.history(now_ms, self.id, at, limit, thread).map(|request| shared.pages.wait(request))
        });
        answer(asked.ok_or(Error::Busy)?).await
    }

    /// The user has read so far. The user's other devices learn of it, and the others in channels that are not large.
    pub fn mark_read(&self, seq: Seq) {
        self.shared().act(|core, now_ms| core.mark_read(now_ms, self.id, seq));
    }

    /// The user types, or stopped. To be said with every key.
    pub fn set_typing(&self, on: bool) {
        self.shared().act(|core, now_ms| core.set_typing(now_ms, self.id, on));
    }

    /// Who types just now.
    #[must_use]
    pub fn typing(&self) -> Vec<UserId> {
        self.shared().look(|core| core.typing_in(self.id))
    }

    /// How far the others have got, in channels where one is told.
    #[must_use]
    pub fn marks(&self) -> Vec<MemberMark> {
        self.shared().look(|core| core.marks(self.id))
    }
}

async fn answer(page: oneshot::Receiver<Result<HistoryPage, crate::core::io::Failure>>) -> Result<HistoryPage, Error> {
    page.await.map_err(|_| Error::Stopped(Stopped::ByApp))?.map_err(Error::from)
}

/// A message to be sent, with what else there is to it than its text.
///
/// ```
/// use suda_client::{Draft, Seq, UserId};
///
/// let draft = Draft::text("Look at this, @lee").reply_to(Seq(7)).mention(UserId(42));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it is to be sent"]
pub struct Draft {
    message: NewMessage,
}

impl Draft {
    /// A message of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::body(Body::Text(text.into()))
    }

    /// A message of something else, such as an encrypted text.
    pub fn body(body: Body) -> Self {
        Self { message: NewMessage { body, reply_to: None, mentions: Vec::new(), attachments: Vec::new() } }
    }

    /// It answers another message.
    pub fn reply_to(mut self, seq: Seq) -> Self {
        self.message.reply_to = Some(seq);
        self
    }

    /// It mentions somebody.
    pub fn mention(mut self, user: UserId) -> Self {
        self.message.mentions.push(user);
        self
    }

    /// It carries a picture or a file.
    pub fn attach(mut self, attachment: suda_schema::entry::Attachment) -> Self {
        self.message.attachments.push(attachment);
        self
    }
}

/// A send is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ack {
    /// Under which id it was sent.
    pub id: ClientMsgId,
    /// Its place in the channel's log.
    pub seq: Seq,
    /// When it was appended.
    pub at_ms: u64,
}

/// A send on its way. Awaiting it waits for the acknowledgement; dropping it changes nothing: what is in the outbox is
/// sent.
///
/// ```no_run
/// # async fn run(channel: suda_client::Channel) -> Result<(), suda_client::Error> {
/// let sending = channel.send("Hello!");
/// println!("shown under {:?} already", sending.id());
/// let ack = sending.await?;
/// println!("durable at {}", ack.seq);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "await it to know that it is durable, or drop it to have it go its way"]
pub struct Sending {
    id: Option<ClientMsgId>,
    answer: Result<oneshot::Receiver<Outcome>, Error>,
}

impl Sending {
    /// The id under which it is in the timeline; `None` if it was not taken, and then awaiting it says why.
    #[must_use]
    pub fn id(&self) -> Option<ClientMsgId> {
        self.id
    }
}

impl IntoFuture for Sending {
    type Output = Result<Ack, Error>;
    type IntoFuture = Acknowledged;

    fn into_future(self) -> Acknowledged {
        Acknowledged { id: self.id.unwrap_or(ClientMsgId([0; 16])), answer: self.answer }
    }
}

/// The acknowledgement of a send, to be awaited.
#[derive(Debug)]
pub struct Acknowledged {
    id: ClientMsgId,
    answer: Result<oneshot::Receiver<Outcome>, Error>,
}

impl Future for Acknowledged {
    type Output = Result<Ack, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.id;
        match &mut self.answer {
            Err(error) => Poll::Ready(Err(error.clone())),
            Ok(answer) => Pin::new(answer).poll(cx).map(|outcome| match outcome {
                Ok(Outcome::Acknowledged { seq, at_ms }) => Ok(Ack { id, seq, at_ms }),
                Ok(Outcome::Refused(error)) => Err(Error::Refused(error)),
                Err(_) => Err(Error::Stopped(Stopped::ByApp)),
            }),
        }
    }
}

/// What a channel shows, as a stream of [`Update`]s. It ends with the client.
///
/// ```no_run
/// # async fn run(channel: suda_client::Channel) {
/// let (mut timeline, mut shown) = (channel.timeline(), Vec::new());
/// while let Some(update) = timeline.next().await {
///     update.apply(&mut shown);
///     println!("{} things to show", shown.len());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Timeline {
    channel: Channel,
    number: u64,
    version: Option<u64>,
}

impl Timeline {
    /// The next change.
    pub async fn next(&mut self) -> Option<Update> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Timeline {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        let this = &mut *self;
        let shared = this.channel.shared();
        shared.channels.wait(this.channel.id, this.number, cx.waker());
        if shared.is_over() {
            return Poll::Ready(None);
        }
        let (id, version) = (this.channel.id, this.version);
        let news = shared.look(|core| match core.version(id) {
            Some(now) if version != Some(now) => core.timeline(id, version),
            _ => None,
        });
        match news {
            Some((version, update)) => {
                this.version = Some(version);
                Poll::Ready(Some(update))
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        self.channel.shared().channels.leave(&self.channel.id, self.number);
    }
}

/// Entries of a channel's log, each once and in order, as a stream. It ends with the client, or when the user is not in
/// the channel any more.
#[derive(Debug)]
pub struct Entries {
    channel: Channel,
    number: u64,
    cursor: Seq,
    ready: VecDeque<Entry>,
    /// A page of what is not held in memory.
    page: Option<oneshot::Receiver<Result<HistoryPage, crate::core::io::Failure>>>,
}

impl Entries {
    /// The next entry.
    pub async fn next(&mut self) -> Option<Entry> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The seq of the last entry that was given out.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Gets more, if there is more: `None` while there is not.
    fn fill(&mut self, cx: &mut Context<'_>) -> Option<bool> {
        let (id, cursor) = (self.channel.id, self.cursor);
        let shared = self.channel.shared();
        if shared.is_over() || shared.look(|core| core.is_gone(id)) {
            return Some(false);
        }
        if let Some(page) = &mut self.page {
            let Poll::Ready(page) = Pin::new(page).poll(cx) else { return None };
            self.page = None;
            if let Ok(Ok(page)) = page {
                self.ready.extend(page.entries.into_iter().skip_while(|entry| entry.seq <= cursor));
            }
            // What failed is asked for again.
            return Some(true);
        }
        let held = |core: &Core| core.log(id).map(|_| core.entries(id, cursor, READ_MAX));
        match shared.look(held) {
            None => None,
            Some(Some(entries)) if entries.is_empty() => None,
            Some(Some(entries)) => {
                self.ready.extend(entries);
                Some(true)
            }
            Some(None) => {
                let at = HistoryAt::After(cursor);
                self.page = shared.act(|core, now_ms| {
                    let request = core.history(now_ms, id, at, HISTORY_PAGE_MAX, None);
                    request.map(|request| shared.pages.wait(request))
                });
                self.page.is_some().then_some(true)
            }
        }
    }
}

impl Stream for Entries {
    type Item = Entry;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Entry>> {
        let this = &mut *self;
        this.channel.shared().channels.wait(this.channel.id, this.number, cx.waker());
        loop {
            if let Some(entry) = this.ready.pop_front() {
                this.cursor = entry.seq;
                return Poll::Ready(Some(entry));
            }
            match this.fill(cx) {
                None => return Poll::Pending,
                Some(true) => {}
                Some(false) => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        self.channel.shared().channels.leave(&self.channel.id, self.number);
    }
}
