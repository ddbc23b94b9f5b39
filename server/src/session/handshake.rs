//! From a link to a session: the control stream, `hello`, who it is, and everything the client needs at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use suda_schema::codec::{DecodeError, Decoded};
use suda_schema::control::{ControlDown, Welcome};
use suda_schema::limits::{CLIENT_NAME_BYTES_MAX, OPEN_BYTES_MAX, SYNC_PAGE_MAX, TOKEN_BYTES_MAX};
use suda_schema::open::{Hello, Open};
use suda_schema::{CloseCode, ErrorCode};

use super::control::sync_frame;
use super::node::Node;
use super::run::Over;
use super::session::{Session, closing, ended_by};
use crate::channel::Ended;
use crate::chat::auth::session::DeviceHint;
use crate::chat::devices::{DEVICE_NAME_CHARS_MAX, Platform};
use crate::chat::{ChatError, Topic};
use crate::link::{Link, LinkEnd, ReadError, StreamReader, StreamWriter};
use crate::rate::{What, Who};

/// The control stream.
pub(super) struct Control {
    pub(super) reader: StreamReader,
    pub(super) writer: StreamWriter,
}

/// Makes a link a session, or closes it and says why.
pub(super) async fn handshake(node: &Arc<Node>, link: &Arc<dyn Link>) -> Result<(Over, Control), Ended> {
    let mut control = None;
    let begun = std::time::Instant::now();
    let made = match hello(node, link, &mut control).await {
        Ok(hello) => {
            let limit = Duration::from_millis(node.config.request_within_ms);
            tokio::time::timeout(limit, session(node, link, &hello)).await.unwrap_or_else(|_| Err(store_is_slow()))
        }
        Err(ended) => Err(ended),
    };
    match (made, control) {
        (Ok(session), Some(control)) => {
            node.metrics.handshake_seconds.observe(begun.elapsed().as_secs_f64());
            Ok((session, control))
        }
        (made, control) => {
            let ended = made.err().unwrap_or_else(|| Ended::new(CloseCode::INTERNAL, "no control stream"));
            let say =
                control.map(|control| (control.writer, link.codec().encode(&ControlDown::Closing(closing(&ended)))));
            close(link, say, &ended, Duration::from_millis(node.config.closing_ms)).await;
            Err(ended)
        }
    }
}

/// Closes a link: in-band first, because close codes don't reach every client.
pub(super) async fn close(link: &Arc<dyn Link>, say: Option<(StreamWriter, Bytes)>, ended: &Ended, within: Duration) {
    if let Some((mut writer, frame)) = say {
        let said = async {
            if writer.write(frame).await.is_ok() {
                writer.finish();
                writer.drained(within).await;
            }
        };
        // A client that does not read is closed all the same.
        let _ = tokio::time::timeout(within, said).await;
    }
    link.close(ended.code, &ended.message);
}

/// Waits for the control stream and its `hello`.
async fn hello(node: &Node, link: &Arc<dyn Link>, control: &mut Option<Control>) -> Result<Hello, Ended> {
    let first = async {
        let (reader, writer) = link.accept_stream().await.map_err(|end| link_ended(&end))?;
        let Control { reader, .. } = control.insert(Control { reader, writer });
        reader.frame(OPEN_BYTES_MAX).await.map_err(|error| read_ended(&error))
    };
    let within = Duration::from_millis(node.config.hello_within_ms);
    let first = tokio::time::timeout(within, first)
        .await
        .unwrap_or_else(|_| Err(Ended::new(CloseCode::HANDSHAKE_TIMEOUT, "no `control` frame came in time")))?
        .ok_or_else(|| Ended::new(CloseCode::PROTOCOL_ERROR, "the first stream ended before its `control` frame"))?;
    if node.draining.load(Ordering::SeqCst) {
        return Err(Ended::new(CloseCode::GOING_AWAY, "the node drains"));
    }
    if !node.chat.peers().is_current() {
        return Err(Ended::new(CloseCode::GOING_AWAY, "the node does not know whether it is still one"));
    }
    let hello = match first.decode::<Open>() {
        Ok(Decoded::Frame(Open::Control(hello))) => hello,
        Ok(_) => return Err(Ended::new(CloseCode::PROTOCOL_ERROR, "the first frame of a link is `control`")),
        Err(error) => return Err(malformed(&error)),
    };
    if hello.client.len() > CLIENT_NAME_BYTES_MAX {
        return Err(Ended::new(CloseCode::PROTOCOL_ERROR, "hello: the client's name is too long"));
    }
    if hello.token.len() > TOKEN_BYTES_MAX {
        return Err(Ended::new(CloseCode::UNAUTHENTICATED, "hello: the token is too long"));
    }
    Ok(hello)
}

/// Finds out who it is, and takes the session in.
async fn session(node: &Arc<Node>, link: &Arc<dyn Link>, hello: &Hello) -> Result<Over, Ended> {
    let name: String = hello.client.chars().filter(|char| !char.is_control()).take(DEVICE_NAME_CHARS_MAX).collect();
    let hint = DeviceHint { key: None, name: &name, platform: Platform::default() };
    let caller = node.chat.authenticate(&hello.token, hint).await.map_err(|error| failed(&error))?;
    let standing = node.chat.session_check(&caller).await.map_err(|error| failed(&error))?;
    if let Some(code) = standing.close_code() {
        return Err(Ended::new(code, "this device or its token is not valid any more"));
    }
    if let Err(over) = node.limiter.take(What::Connect, Who::User(caller.user), node.config.connects) {
        node.metrics.rejected(ErrorCode::RATE_LIMITED);
        let ended = Ended::new(CloseCode::OVERLOADED, "this user connects too often");
        return Err(Ended { retry_after_ms: Some(over.wait_ms), ..ended });
    }
    let session = Session::new(Arc::clone(node), Arc::clone(link), caller, hello.activity);
    node.admit(&session)?;
    // Whoever waits for this may give up in the middle.
    let session = Over(session);
    welcome(&session.0, hello).await.map_err(|error| failed(&error))?;
    Ok(session)
}

/// Everything that goes with the first round trip. The order of the reads is what leaves no gap: the session hears its
/// bells already; its place in the user's log comes before the list of channels that the log goes on from, and that list
/// before the page, so that whatever happens meanwhile is rung.
async fn welcome(session: &Arc<Session>, hello: &Hello) -> Result<(), ChatError> {
    let Session { node, user, device, .. } = &**session;
    let (chat, config) = (&node.chat, &node.config);
    chat.peers().listen(&[Topic::User(*user)]).await?;
    let head = chat.user_log_head(*user).await?;
    let channels = chat.joined_channels(*user).await?;
    for channel in channels {
        session.listening.joined(session, channel);
    }
    chat.peers().listen(&chat.topics_apart(*user).await?).await?;
    // A cursor beyond the head is of another life of the log; the client hears where it goes on instead.
    let cursor = hello.user_cursor.filter(|cursor| *cursor <= head).unwrap_or(head);
    let page = match hello.sync_limit {
        0 => None,
        limit => Some(chat.sync(*user, None, limit.min(SYNC_PAGE_MAX)).await?.page),
    };
    session.tell(&ControlDown::Welcome(Welcome {
        user: *user,
        device: *device,
        node: node.number,
        server_time_ms: chat.clock().now_ms(),
        token_expires_at_ms: session.caller().expires_at_ms,
        user_cursor: cursor,
        user_head: head,
        heartbeat_ms: config.heartbeat_ms,
        dead_after_ms: config.dead_after_ms,
        attachments_max: u32::try_from(config.attachments_max).unwrap_or(u32::MAX),
    }));
    if let Some(page) = page {
        session.outbox.push(sync_frame(session.codec, page));
    }
    session.presence.begin();
    session.feed.begin(session, cursor);
    Ok(())
}

/// The end that a failed read means.
pub(super) fn read_ended(error: &ReadError) -> Ended {
    match error {
        ReadError::Malformed(error) => malformed(error),
        ReadError::HalfFrame => Ended::new(CloseCode::PROTOCOL_ERROR, "the stream ended in the middle of a frame"),
        ReadError::Link(end) => link_ended(end),
        _ => Ended::new(CloseCode::NORMAL, "the client gave the stream up"),
    }
}

/// The end that bytes mean that are no frame.
pub(super) fn malformed(error: &DecodeError) -> Ended {
    Ended::new(CloseCode::PROTOCOL_ERROR, format!("malformed: {error}"))
}

/// The end that the link's own means.
pub(super) fn link_ended(end: &LinkEnd) -> Ended {
    match end {
        LinkEnd::Local(code) => Ended::new(*code, "closed here"),
        LinkEnd::Peer { code, .. } => Ended::new(*code, "closed by the client"),
        _ => Ended::new(CloseCode::IDLE, "the link broke"),
    }
}

fn store_is_slow() -> Ended {
    Ended::new(CloseCode::OVERLOADED, "the store takes too long")
}

fn failed(error: &ChatError) -> Ended {
    if matches!(error, ChatError::Store(_)) {
        tracing::warn!(%error, "a handshake failed");
    }
    ended_by(&error.to_wire())
}
