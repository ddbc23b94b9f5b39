//! What a client asks for on the control stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use suda_schema::codec::Codec;
use suda_schema::control::{
    Authenticate, Authenticated, ControlDown, ControlUp, Pong, PresenceList, PresenceQuery, Sync, SyncCursor, SyncPage,
};
use suda_schema::limits::{CONTROL_BYTES_MAX, SYNC_PAGE_MAX, TOKEN_BYTES_MAX};
use suda_schema::{CloseCode, ErrorCode, WireError};

use super::session::Session;
use crate::channel::Ended;
use crate::chat::ChatError;
use crate::chat::auth::session::DeviceHint;
use crate::rate::What;

/// Requests that need the store: they wait in a short queue and are done one after the other, while the link goes on.
#[derive(Default)]
pub(super) struct Requests {
    waiting: VecDeque<Request>,
    working: Option<BoxFuture<'static, ()>>,
}

enum Request {
    Authenticate(Authenticate),
    Sync(Sync),
    Presence(PresenceQuery),
}

impl Requests {
    /// Whether another one may be let in.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.waiting.len() < most.max(1)
    }

    /// Does what the frame asks for, or has it done soon.
    pub(super) fn take(&mut self, session: &Arc<Session>, frame: ControlUp) {
        let request = match &frame {
            ControlUp::Sync(Sync { request, .. }) | ControlUp::Presence(PresenceQuery { request, .. }) => *request,
            _ => 0,
        };
        if let Err(error) = session.allow(What::Query) {
            return session.fail(request, &error);
        }
        match frame {
            ControlUp::Ping(ping) => {
                let server_time_ms = session.node.chat.clock().now_ms();
                session.tell(&ControlDown::Pong(Pong { nonce: ping.nonce, server_time_ms }));
            }
            ControlUp::Activity(set) => session.presence.set(set.activity),
            ControlUp::Mark(mark) => session.marks.note(session, mark.channel, mark.marks, true),
            ControlUp::Authenticate(authenticate) => self.waiting.push_back(Request::Authenticate(authenticate)),
            ControlUp::Sync(sync) => self.waiting.push_back(Request::Sync(sync)),
            ControlUp::Presence(query) => self.waiting.push_back(Request::Presence(query)),
        }
    }

    /// Works on the requests; ready when one of them is done.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, session: &Arc<Session>) -> Poll<()> {
        if self.working.is_none() {
            let Some(request) = self.waiting.pop_front() else { return Poll::Pending };
            self.working = Some(Box::pin(request.serve(Arc::clone(session))));
        }
        let done = self.working.as_mut().is_some_and(|working| working.as_mut().poll(cx).is_ready());
        if done {
            self.working = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Request {
    async fn serve(self, session: Arc<Session>) {
        let limit = Duration::from_millis(session.node.config.request_within_ms);
        let number = match &self {
            Self::Authenticate(_) => 0,
            Self::Sync(sync) => sync.request,
            Self::Presence(query) => query.request,
        };
        let served = match self {
            Self::Authenticate(with) => tokio::time::timeout(limit, authenticate(&session, with)).await,
            Self::Sync(sync) => tokio::time::timeout(limit, page(&session, &sync)).await,
            Self::Presence(query) => tokio::time::timeout(limit, presence(&session, query)).await,
        };
        match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => session.fail(number, &told(&error)),
            Err(_) => session.fail(number, &WireError::new(ErrorCode::UNAVAILABLE, "the store takes too long")),
        }
    }
}

/// An error as it is told, and logged where it is not the client's.
pub(super) fn told(error: &ChatError) -> WireError {
    if matches!(error, ChatError::Store(_) | ChatError::BadRow(_) | ChatError::Internal(_)) {
        tracing::warn!(%error, "a request failed");
    }
    error.to_wire()
}

async fn authenticate(session: &Arc<Session>, with: Authenticate) -> Result<(), ChatError> {
    if with.token.len() > TOKEN_BYTES_MAX {
        return Err(ChatError::Unauthenticated("the token is too long"));
    }
    let chat = &session.node.chat;
    let caller = chat.authenticate(&with.token, DeviceHint::default()).await?;
    if !caller.is_same_device(&session.caller()) {
        return Err(ChatError::Unauthenticated("the token is of another user or device"));
    }
    chat.session_check(&caller).await?.require_live()?;
    session.renew(caller);
    session.tell(&ControlDown::Authenticated(Authenticated { expires_at_ms: caller.expires_at_ms }));
    Ok(())
}

async fn page(session: &Session, sync: &Sync) -> Result<(), ChatError> {
    if sync.limit == 0 || sync.limit > SYNC_PAGE_MAX {
        return Err(ChatError::invalid("limit", format!("is 1 to {SYNC_PAGE_MAX}")));
    }
    let page = session.node.chat.sync(session.user, sync.after, sync.limit).await?.page;
    session.outbox.push(sync_frame(session.codec, SyncPage { request: sync.request, ..page }));
    Ok(())
}

/// A page of the channel list as a frame: if it would be longer than a control frame may be, it ends sooner.
pub(super) fn sync_frame(codec: Codec, mut page: SyncPage) -> Bytes {
    loop {
        let frame = codec.encode(&ControlDown::SyncPage(page.clone()));
        if frame.len() <= CONTROL_BYTES_MAX || page.channels.len() <= 1 {
            return frame;
        }
        page.channels.truncate(page.channels.len().div_ceil(2));
        page.next = page.channels.last().map(|last| SyncCursor { last_at_ms: last.last_at_ms, channel: last.channel });
    }
}

async fn presence(session: &Session, query: PresenceQuery) -> Result<(), ChatError> {
    let PresenceQuery { request, users } = query;
    session.listening.circle_known().await;
    let users = session.node.chat.presence_of(session.user, &users).await?;
    session.tell(&ControlDown::Presence(PresenceList { request, users }));
    Ok(())
}

/// A frame that can't be read ends the link: what comes after it can't be trusted either.
pub(super) fn unreadable(error: &suda_schema::codec::DecodeError) -> Ended {
    Ended::new(CloseCode::PROTOCOL_ERROR, format!("control stream: {error}"))
}
