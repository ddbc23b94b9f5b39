//! One attachment: from a stream's first frame to its end. Two tasks, one for each direction of the stream, so that a
//! client that does not read does not keep its own sends from being taken, and the other way round.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use suda_schema::channel::{Attached, ChannelDown, ChannelUp, HistoryFailed, HistoryQuery, MemberMarks, SetTyping};
use suda_schema::codec::Decoded;
use suda_schema::control::Typing;
use suda_schema::limits::{FRAME_BYTES_MAX, OPEN_BYTES_MAX};
use suda_schema::open::{Attach, Open, Start};
use suda_schema::summary::{ChannelKind, ChannelSummary, MemberMark};
use suda_schema::{ChannelId, CloseCode, ErrorCode, Seq, WireError};
use tokio::sync::OwnedSemaphorePermit;

use super::control::told;
use super::handshake::{malformed, read_ended};
use super::session::{Session, closing, ended_by};
use super::write::{AttachmentWriter, Stopped};
use crate::channel::{Attachment, AttachmentHandle, Ended};
use crate::chat::{ChatError, Topic};
use crate::link::{RawFrame, ReadError, StreamReader, StreamWriter};
use crate::rate::What;

/// Serves a stream that the client has opened, until it ends.
pub(super) async fn open(
    session: Arc<Session>,
    reader: StreamReader,
    writer: StreamWriter,
    place: OwnedSemaphorePermit,
) {
    // Beginning takes several times the memory that going on does, and is over soon.
    let Some((attachment, typing, reader)) = Box::pin(start(&session, reader, writer)).await else { return };
    drop(place);
    let ended = read(&session, &attachment, reader, typing).await;
    attachment.end(ended);
}

/// Makes a stream an attachment, whose writing half then goes on by itself, or says why not.
async fn start(
    session: &Arc<Session>,
    mut reader: StreamReader,
    mut writer: StreamWriter,
) -> Option<(AttachmentHandle, bool, StreamReader)> {
    let attach = match first_frame(session, &mut reader).await {
        Ok(attach) => attach,
        Err(Some(ended)) => {
            refuse(session, &mut writer, &ended).await;
            return None;
        }
        Err(None) => {
            writer.reset(CloseCode::PROTOCOL_ERROR);
            return None;
        }
    };
    let Begun { attachment, summary, after, marks, number } = match begin(session, attach).await {
        Ok(begun) => begun,
        Err(ended) => {
            refuse(session, &mut writer, &ended).await;
            return None;
        }
    };
    session.node.metrics.attaches.inc();
    let handle = attachment.handle();
    let typing = passes_typing(session, &summary);
    let first = [
        session.encode(&ChannelDown::Attached(Attached { channel: summary, after })),
        if marks.is_empty() {
            Bytes::new()
        } else {
            session.encode(&ChannelDown::Marks(MemberMarks { members: marks }))
        },
    ];
    tokio::spawn(write(Arc::clone(session), attachment, writer, first, number));
    Some((handle, typing, reader))
}

/// What the stream is for. `Err(None)`: for something that only a newer version knows.
async fn first_frame(session: &Session, reader: &mut StreamReader) -> Result<Attach, Option<Ended>> {
    let within = Duration::from_millis(session.node.config.hello_within_ms);
    let late = || Ended::new(CloseCode::HANDSHAKE_TIMEOUT, "the stream's first frame did not come in time");
    let frame = tokio::time::timeout(within, reader.frame(OPEN_BYTES_MAX)).await.map_err(|_| Some(late()))?;
    let frame = frame.map_err(|error| Some(read_ended(&error)))?;
    let frame = frame.ok_or_else(|| Some(Ended::new(CloseCode::DETACHED, "the stream ended before it began")))?;
    session.heard();
    match frame.decode::<Open>() {
        Ok(Decoded::Frame(Open::Attach(attach))) => Ok(attach),
        Ok(Decoded::Frame(Open::Control(_))) => {
            session.end(&Ended::new(CloseCode::PROTOCOL_ERROR, "a link has one control stream, its first"));
            Err(None)
        }
        Ok(Decoded::Unknown) => {
            session.skipped();
            Err(None)
        }
        Err(error) => Err(Some(malformed(&error))),
    }
}

/// Says why there is no attachment.
async fn refuse(session: &Session, writer: &mut StreamWriter, ended: &Ended) {
    session.node.metrics.detaches.get_or_create(&ended.code.into()).inc();
    let within = Duration::from_millis(session.node.config.closing_ms);
    let frame = session.encode(&ChannelDown::Closed(closing(ended)));
    if matches!(tokio::time::timeout(within, writer.write(frame)).await, Ok(Ok(()))) {
        writer.finish();
    } else {
        writer.reset(ended.code);
    }
}

/// An attachment that stands.
struct Begun {
    attachment: Attachment,
    summary: ChannelSummary,
    after: Seq,
    marks: Vec<MemberMark>,
    number: u64,
}

async fn begin(session: &Arc<Session>, attach: Attach) -> Result<Begun, Ended> {
    let refused = |error: WireError| {
        session.node.metrics.rejected(error.code);
        ended_by(&error)
    };
    session.allow(What::Attach).map_err(refused)?;
    let channel = attach.channel;
    session.room_for(channel).map_err(refused)?;
    // The place among the listeners is taken, here and on other nodes, before the store is asked, so that nothing happens
    // between.
    let mut attachment = session.node.hubs.attach(channel, session.user, session.codec).map_err(refused)?;
    let times_left = session.times_left();
    let limit = Duration::from_millis(session.node.config.request_within_ms);
    let (summary, marks) = tokio::time::timeout(limit, look(session, channel))
        .await
        .map_err(|_| Ended::new(CloseCode::OVERLOADED, "the store takes too long"))?
        .map_err(|error| refused(told(&error)))?;
    let head = summary.head;
    let after = match attach.from {
        Start::After(after) if after > head => return Err(refused(ChatError::CursorAhead { head }.to_wire())),
        Start::After(after) => after,
        Start::Tail(count) => Seq(head.0.saturating_sub(count.into())),
    };
    attachment.begin(head, after, &marks);
    let number = session.attach(&attachment.handle(), passes_typing(session, &summary)).map_err(refused)?;
    // Who left a channel in the meantime was heard before this attachment could be told.
    if session.times_left() != times_left {
        match session.node.membership_end(session.user, channel).await {
            Ok(None) => {}
            Ok(Some(ended)) => return Err(session.unattach(channel, number, ended)),
            Err(error) => return Err(session.unattach(channel, number, refused(told(&error)))),
        }
    }
    Ok(Begun { attachment, summary, after, marks, number })
}

async fn look(session: &Session, channel: ChannelId) -> Result<(ChannelSummary, Vec<MemberMark>), ChatError> {
    if session.node.chat.is_heard_apart(session.user, channel).await? {
        session.node.chat.peers().listen(&[Topic::Channel(channel)]).await?;
    }
    let summary = session.node.chat.channel(session.user, channel).await?;
    let marks = session.node.chat.member_marks(channel).await?;
    Ok((summary, marks))
}

fn passes_typing(session: &Session, channel: &ChannelSummary) -> bool {
    channel.kind != ChannelKind::Broadcast && channel.members <= session.node.config.typing_members_max
}

/// Reads from the client until the stream or the attachment ends: why.
async fn read(
    session: &Arc<Session>,
    attachment: &AttachmentHandle,
    mut reader: StreamReader,
    passes_typing: bool,
) -> Ended {
    loop {
        // What waits to be answered is bounded: beyond it, the client's next frame is not read.
        attachment.room().await;
        let next = poll_fn(|cx| match attachment.poll_ended(cx) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending => reader.poll_frame(cx, FRAME_BYTES_MAX).map(Ok),
        });
        let frame = match next.await {
            Ok(Ok(Some(frame))) => frame,
            Ok(Ok(None) | Err(ReadError::Reset(_))) => {
                return Ended::new(CloseCode::DETACHED, "the client closed the stream");
            }
            Ok(Err(error)) => return read_ended(&error),
            Err(ended) => return ended,
        };
        session.heard();
        match heed(session, attachment, &frame, passes_typing) {
            Ok(None) => {}
            Ok(Some(query)) => {
                let page = Box::pin(history(session, attachment.channel(), query)).await;
                attachment.put_page(session.encode(&page));
            }
            Err(ended) => return ended,
        }
        drop(frame);
        // A client that sends without a pause must not keep others from running.
        tokio::task::consume_budget().await;
    }
}

/// Does what a frame says, if that can be done at once: a page of history is the caller's to get.
fn heed(
    session: &Arc<Session>,
    attachment: &AttachmentHandle,
    frame: &RawFrame,
    passes_typing: bool,
) -> Result<Option<HistoryQuery>, Ended> {
    match frame.decode::<ChannelUp>() {
        Ok(Decoded::Frame(ChannelUp::Send(send))) => match session.allow(What::Send) {
            Ok(()) => attachment.send(session.device, send),
            Err(error) => {
                session.node.metrics.rejected(error.code);
                attachment.refuse(send.client_msg_id, error);
            }
        },
        Ok(Decoded::Frame(ChannelUp::Mark(marks))) => match session.allow(What::Query) {
            Ok(()) => session.marks.note(session, attachment.channel(), marks, false),
            Err(error) => session.fail_if_room(&error),
        },
        Ok(Decoded::Frame(ChannelUp::Typing(SetTyping { on }))) => {
            if passes_typing {
                types(session, attachment, on);
            }
        }
        Ok(Decoded::Frame(ChannelUp::History(query))) => return Ok(Some(query)),
        Ok(Decoded::Unknown) => session.skipped(),
        Err(error) => return Err(malformed(&error)),
    }
    Ok(None)
}

async fn history(session: &Session, channel: ChannelId, query: HistoryQuery) -> ChannelDown {
    let request = query.request;
    let failed = |error: WireError| {
        session.node.metrics.rejected(error.code);
        ChannelDown::HistoryFailed(HistoryFailed { request, error })
    };
    if let Err(error) = session.allow(What::Query) {
        return failed(error);
    }
    let limit = Duration::from_millis(session.node.config.request_within_ms);
    match tokio::time::timeout(limit, session.node.chat.history(session.user, channel, &query)).await {
        Ok(page) => match page.and_then(|page| page.decode(request)) {
            Ok(page) => ChannelDown::History(page),
            Err(error) => failed(told(&error)),
        },
        Err(_) => failed(WireError::new(ErrorCode::UNAVAILABLE, "the store takes too long")),
    }
}

/// The user types, as a datagram says: in a channel that this link has attached.
pub(super) fn typing(session: &Arc<Session>, channel: ChannelId, on: bool) {
    if let Some((attachment, true)) = session.attachment(channel) {
        types(session, &attachment, on);
    }
}

/// Passes on that the user types, to everybody who may know. As long as it is not known whom the user has blocked, to
/// nobody.
fn types(session: &Session, attachment: &AttachmentHandle, on: bool) {
    if let Err(error) = session.allow(What::Typing) {
        return session.node.metrics.rejected(error.code);
    }
    let Some(hidden_from) = session.listening.blocked() else { return };
    session.node.metrics.typings.inc();
    let for_ms = if on { session.node.config.typing_ms } else { 0 };
    attachment.typing(for_ms, &hidden_from);
    let typing = Typing { channel: attachment.channel(), user: session.user, for_ms };
    session.node.typing_elsewhere(typing, &hidden_from);
    session.node.chat.peers().typing(typing, &hidden_from);
}

/// Writes to the client until the stream or the attachment ends.
pub(super) async fn write(
    session: Arc<Session>,
    attachment: Attachment,
    writer: StreamWriter,
    first: [Bytes; 2],
    number: u64,
) {
    let channel = attachment.channel();
    let mut writing = AttachmentWriter::new(Arc::clone(&session), attachment, writer);
    let stopped = writing.run(first).await;
    session.detach(channel, number, writing.cursor());
    match stopped {
        // The link goes too, and has said so on its control stream.
        Stopped::Ended(_) if session.outbox.has_ended() => {}
        Stopped::Ended(ended) => {
            session.node.metrics.detaches.get_or_create(&ended.code.into()).inc();
            Box::pin(writing.say_goodbye(&ended)).await;
        }
        Stopped::TooSlow => {
            session.node.metrics.detaches.get_or_create(&CloseCode::TOO_SLOW.into()).inc();
            writing.reset(CloseCode::TOO_SLOW);
        }
        Stopped::Gone => {}
    }
}
