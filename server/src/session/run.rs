//! The task of a link: reads and writes the control stream, accepts streams and datagrams, watches the times. One task does
//! all of it, so that an idle link costs one.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use suda_schema::CloseCode;
use suda_schema::channel::DatagramUp;
use suda_schema::codec::{Decoded, binary};
use suda_schema::control::{ControlDown, ControlUp, TokenExpiring};
use suda_schema::limits::CONTROL_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::attach;
use super::control::{Requests, unreadable};
use super::handshake::{Control, close, link_ended, read_ended};
use super::session::{Session, closing};
use crate::channel::Ended;
use crate::link::{LinkEnd, RawFrame, ReadError, StreamReader, StreamWriter};

/// How long the last marks may take to be written.
const LAST_MARKS_WITHIN_MS: u64 = 5_000;

/// Serves a session until it ends, and closes its link.
pub(super) async fn run(over: Over, mut control: Control) -> Ended {
    let session = &over.0;
    let mut writing = Writing::default();
    let ended = Box::pin(serve(session, &mut control, &mut writing)).await;
    // Before the session is not counted any more: a node that stops waits for one or the other.
    let goodbye = session.node.goodbye();
    session.over();
    session.end(&ended);
    let within = Duration::from_millis(session.node.config.closing_ms);
    // What is half written must be whole before the last frame; the rest of the outbox does not matter any more.
    session.outbox.clear();
    Box::pin(async move {
        let rest = tokio::time::timeout(within, poll_fn(|cx| writing.poll_current(cx, &mut control.writer))).await;
        let frame = session.encode(&ControlDown::Closing(closing(&ended)));
        let say = matches!(rest, Ok(Ok(()))).then_some((control.writer, frame));
        close(&session.link, say, &ended, within).await;
        drop(goodbye);
        let marks = session.marks.flush(session);
        let _ = tokio::time::timeout(Duration::from_millis(LAST_MARKS_WITHIN_MS), marks).await;
        ended
    })
    .await
}

/// Has the session end with whoever makes or serves it, also if that panics or is stopped.
pub(super) struct Over(pub(super) Arc<Session>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over();
        self.0.end(&Ended::new(CloseCode::INTERNAL, "a fault of the node's"));
    }
}

impl Session {
    /// The session hears nothing any more. May be called again.
    pub(super) fn over(self: &Arc<Self>) {
        if self.node.dismiss(self) {
            self.listening.close(self);
            self.presence.leave();
        }
    }
}

pub(super) async fn serve(session: &Arc<Session>, control: &mut Control, writing: &mut Writing) -> Ended {
    let link = Arc::clone(&session.link);
    let places = Arc::new(Semaphore::new(session.node.config.opening_max.max(1)));
    let mut requests = Requests::default();
    let mut times = Times::new();
    let mut closed = link.closed();
    let mut datagram = link.recv_datagram();
    let mut stream = Box::pin(next_stream(session, Arc::clone(&places)));
    let mut listened = true;
    loop {
        let stuck_since = writing.stuck_since;
        let listens = requests.has_room(session.node.config.requests_max) && session.outbox.has_room();
        if listens && !listened {
            // What it said while nobody listened is read now.
            session.heard();
        }
        listened = listens;
        // Whose turn it is, is drawn by lot: whatever a client sends without a pause, nothing else starves.
        tokio::select! {
            ended = poll_fn(|cx| session.outbox.poll_ending(cx)) => return ended,
            end = &mut closed => return link_ended(&end),
            due = poll_fn(|cx| times.poll(cx, session, stuck_since, listens)) => {
                if let Some(ended) = due {
                    return ended;
                }
            }
            wrote = poll_fn(|cx| writing.poll(cx, session, &mut control.writer)) => {
                if let Err(ended) = wrote {
                    return ended;
                }
            }
            () = poll_fn(|cx| requests.poll(cx, session)) => {}
            frame = control.reader.frame(CONTROL_BYTES_MAX), if listens => {
                if let Err(ended) = heard(session, &mut requests, frame) {
                    return ended;
                }
            }
            opened = &mut stream => {
                let (place, reader, writer) = match opened {
                    Ok(opened) => opened,
                    Err(end) => return link_ended(&end),
                };
                tokio::spawn(attach::open(Arc::clone(session), reader, writer, place));
                stream = Box::pin(next_stream(session, Arc::clone(&places)));
            }
            body = &mut datagram => {
                match body {
                    Ok(body) => datagram_came(session, &body),
                    Err(end) => return link_ended(&end),
                }
                datagram = link.recv_datagram();
            }
        }
        tokio::task::consume_budget().await;
    }
}

/// The next stream, once there is a place for one that has yet to say what it is for.
async fn next_stream(
    session: &Session,
    places: Arc<Semaphore>,
) -> Result<(OwnedSemaphorePermit, StreamReader, StreamWriter), LinkEnd> {
    // The semaphore is never closed.
    let place = places.acquire_owned().await.map_err(|_| LinkEnd::TimedOut)?;
    let (reader, writer) = session.link.accept_stream().await?;
    Ok((place, reader, writer))
}

/// A frame came on the control stream, or its end.
fn heard(
    session: &Arc<Session>,
    requests: &mut Requests,
    frame: Result<Option<RawFrame>, ReadError>,
) -> Result<(), Ended> {
    let frame = match frame {
        Ok(Some(frame)) => frame,
        Ok(None) => return Err(Ended::new(CloseCode::NORMAL, "the client finished the control stream")),
        Err(error) => return Err(read_ended(&error)),
    };
    session.heard();
    match frame.decode::<ControlUp>() {
        Ok(Decoded::Frame(frame)) => requests.take(session, frame),
        Ok(Decoded::Unknown) => session.skipped(),
        Err(error) => return Err(unreadable(&error)),
    }
    Ok(())
}

/// A datagram that can't be read is dropped, as the network might have dropped it.
fn datagram_came(session: &Arc<Session>, body: &Bytes) {
    session.heard();
    match binary::decode_body::<DatagramUp>(body) {
        Ok(Decoded::Frame(DatagramUp::Typing(typing))) => attach::typing(session, typing.channel, typing.on),
        Ok(Decoded::Unknown) => session.skipped(),
        Err(_) => session.node.metrics.rejected(suda_schema::ErrorCode::MALFORMED),
    }
}

/// The frame that is being written on the control stream.
#[derive(Default)]
pub(super) struct Writing {
    current: [Bytes; 1],
    /// How much of it was written when it was last looked, and since when it is no more.
    left: usize,
    stuck_since: Option<Instant>,
}

impl Writing {
    /// Writes the next frame of the outbox; ready when it is written.
    fn poll(&mut self, cx: &mut Context<'_>, session: &Session, writer: &mut StreamWriter) -> Poll<Result<(), Ended>> {
        if self.current[0].is_empty() {
            match session.outbox.poll_frame(cx) {
                Poll::Ready(frame) => self.current = [frame],
                Poll::Pending => return Poll::Pending,
            }
        }
        let before = self.current[0].len();
        let polled = self.poll_current(cx, writer);
        session.outbox.written(before - self.current[0].len());
        polled
    }

    fn poll_current(&mut self, cx: &mut Context<'_>, writer: &mut StreamWriter) -> Poll<Result<(), Ended>> {
        if self.current[0].is_empty() {
            return Poll::Ready(Ok(()));
        }
        let polled = writer.poll_write(cx, &mut self.current);
        let left = self.current[0].len();
        if self.left != left || polled.is_ready() {
            self.left = left;
            self.stuck_since = polled.is_pending().then(Instant::now);
        }
        polled.map_err(|_| Ended::new(CloseCode::NORMAL, "the client stopped the control stream"))
    }
}

/// The times at which something is due without anybody doing anything.
struct Times {
    sleep: Pin<Box<Sleep>>,
    /// The token of which the client has been told that it runs out.
    warned_of_ms: u64,
}

impl Times {
    fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep(Duration::ZERO)), warned_of_ms: 0 }
    }

    /// Ready when it is time to look again, or when the session's time has come. `listening` says whether the client's
    /// silence is the client's.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        session: &Session,
        stuck_since: Option<Instant>,
        listening: bool,
    ) -> Poll<Option<Ended>> {
        let next = match self.due(session, stuck_since, listening) {
            Ok(next) => next,
            Err(ended) => return Poll::Ready(Some(ended)),
        };
        // A time that has moved back is looked at when the old one has come; only one that is sooner is set anew.
        if next < self.sleep.deadline() || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(next);
        }
        self.sleep.as_mut().poll(cx).map(|()| None)
    }

    /// When to look again, or the end.
    fn due(&mut self, session: &Session, stuck_since: Option<Instant>, listening: bool) -> Result<Instant, Ended> {
        let (now, config) = (Instant::now(), &session.node.config);
        let mut next = now + Duration::from_millis(config.dead_after_ms.into());
        let mut at = |when: Instant, code: CloseCode, why: &'static str| {
            next = next.min(when);
            if when <= now { Err(Ended::new(code, why)) } else { Ok(()) }
        };
        if listening {
            at(session.dead_at(), CloseCode::IDLE, "nothing was heard for too long")?;
        }
        if let Some(leave_at) = session.leave_at() {
            at(leave_at, CloseCode::GOING_AWAY, "the node drains")?;
        }
        if let Some(since) = stuck_since {
            at(since + Duration::from_millis(config.stuck_ms), CloseCode::TOO_SLOW, "the control stream was not read")?;
        }
        let expires_at_ms = session.caller().expires_at_ms;
        let left_ms = expires_at_ms.saturating_sub(session.node.chat.clock().now_ms());
        at(now + Duration::from_millis(left_ms), CloseCode::TOKEN_EXPIRED, "the access token ran out")?;
        if self.warned_of_ms != expires_at_ms {
            let warn_in_ms = left_ms.saturating_sub(config.token_warning_ms);
            if warn_in_ms == 0 {
                self.warned_of_ms = expires_at_ms;
                session.tell(&ControlDown::TokenExpiring(TokenExpiring { in_ms: left_ms }));
            } else {
                next = next.min(now + Duration::from_millis(warn_in_ms));
            }
        }
        Ok(next)
    }
}
