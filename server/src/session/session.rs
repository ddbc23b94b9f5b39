//! One session: what its tasks share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use suda_schema::codec::Codec;
use suda_schema::control::{Closing, ControlDown, Failed, GoAway, Typing};
use suda_schema::open::Activity;
use suda_schema::{ChannelId, CloseCode, DeviceId, ErrorCode, Seq, UserId, WireError};
use tokio::time::Instant;

use super::feed::Feed;
use super::limits::Patience;
use super::listening::Listening;
use super::marks::MarkBuffer;
use super::node::Node;
use super::outbox::Outbox;
use super::presence::PresenceOfDevice;
use crate::channel::{AttachmentHandle, Ended};
use crate::chat::auth::Caller;
use crate::link::Link;
use crate::rate::What;

/// How long a client has, after the time at which it was to move, before the node closes its link.
const MOVE_GRACE_MS: u64 = 3_000;

/// A device on a link, authenticated. Its tasks hold it: the link's own, two for each attachment, and short-lived ones.
pub(super) struct Session {
    pub(super) node: Arc<Node>,
    pub(super) link: Arc<dyn Link>,
    pub(super) codec: Codec,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    caller: Mutex<Caller>,
    pub(super) outbox: Outbox,
    pub(super) feed: Feed,
    pub(super) listening: Listening,
    pub(super) marks: MarkBuffer,
    pub(super) presence: Arc<PresenceOfDevice>,
    pub(super) patience: Patience,
    attachments: Mutex<HashMap<ChannelId, Attached>>,
    /// How many attachments there have been.
    attached: AtomicU64,
    /// When it began; the times below are counted from here.
    began: Instant,
    heard_ms: AtomicU64,
    /// When to close the link because the node drains; `u64::MAX` while it doesn't.
    leave_ms: AtomicU64,
    /// How often the user has left a channel: an attach that was under way looks again.
    left: AtomicU64,
}

/// An attachment of this link, as the others see it.
struct Attached {
    handle: AttachmentHandle,
    number: u64,
    /// Whether typing is passed on there.
    typing: bool,
}

impl Session {
    pub(super) fn new(node: Arc<Node>, link: Arc<dyn Link>, caller: Caller, activity: Activity) -> Arc<Self> {
        let link_id = node.next_link();
        let presence = PresenceOfDevice::new(Arc::clone(&node), caller.user, caller.device, link_id, activity);
        Arc::new(Self {
            codec: link.codec(),
            link,
            user: caller.user,
            device: caller.device,
            caller: Mutex::new(caller),
            outbox: Outbox::new(node.config.outbox_bytes_max),
            feed: Feed::default(),
            listening: Listening::default(),
            marks: MarkBuffer::default(),
            presence: Arc::new(presence),
            patience: Patience::default(),
            attachments: Mutex::default(),
            attached: AtomicU64::new(0),
            began: Instant::now(),
            heard_ms: AtomicU64::new(0),
            leave_ms: AtomicU64::new(u64::MAX),
            left: AtomicU64::new(0),
            node,
        })
    }

    /// Who this is, as of the newest token.
    pub(super) fn caller(&self) -> Caller {
        *lock(&self.caller)
    }

    /// Goes on with a fresh token.
    pub(super) fn renew(&self, caller: Caller) {
        *lock(&self.caller) = caller;
        self.outbox.wake();
    }

    /// The client said something.
    pub(super) fn heard(&self) {
        self.heard_ms.store(self.age_ms(), Ordering::Relaxed);
    }

    /// When the link is dead, if the client says nothing more.
    pub(super) fn dead_at(&self) -> Instant {
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Relaxed));
        self.began + heard + Duration::from_millis(self.node.config.dead_after_ms.into())
    }

    /// When to leave because the node drains.
    pub(super) fn leave_at(&self) -> Option<Instant> {
        let leave_ms = self.leave_ms.load(Ordering::Relaxed);
        (leave_ms != u64::MAX).then(|| self.began + Duration::from_millis(leave_ms))
    }

    /// Asks the client to move after this long, and leaves some time after that.
    pub(super) fn go_away(&self, delay_ms: u64) {
        let delay = u32::try_from(delay_ms).unwrap_or(u32::MAX);
        self.tell(&ControlDown::GoAway(GoAway { delay_ms: delay }));
        let leave_ms = self.age_ms().saturating_add(delay_ms).saturating_add(MOVE_GRACE_MS);
        self.leave_ms.fetch_min(leave_ms, Ordering::Relaxed);
        self.outbox.wake();
    }

    /// The user has left some channel.
    pub(super) fn note_left(&self) {
        self.left.fetch_add(1, Ordering::SeqCst);
    }

    /// How often the user has left a channel.
    pub(super) fn times_left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }

    /// Ends the session: nothing is given out after this but why. Only the first end counts.
    pub(super) fn end(&self, ended: &Ended) {
        if self.outbox.end(ended.clone()) {
            for attached in self.attachments().values() {
                attached.handle.end(ended.clone());
            }
        }
    }

    /// A frame in the link's codec.
    pub(super) fn encode<F: Serialize>(&self, frame: &F) -> Bytes {
        self.codec.encode(frame)
    }

    /// Writes a frame on the control stream; for what is bounded where it comes from.
    pub(super) fn tell(&self, frame: &ControlDown) {
        self.outbox.push(self.encode(frame));
    }

    /// Tells of a request that failed.
    pub(super) fn fail(&self, request: u32, error: &WireError) {
        self.node.metrics.rejected(error.code);
        self.tell(&ControlDown::Failed(Failed { request, error: error.clone() }));
    }

    /// The same for a frame without a number, whose sender can do without the answer.
    pub(super) fn fail_if_room(&self, error: &WireError) {
        self.node.metrics.rejected(error.code);
        let failed = Failed { request: 0, error: error.clone() };
        self.outbox.push_if_room(self.encode(&ControlDown::Failed(failed)));
    }

    /// A frame of a newer version was skipped. They cost as much as others, and are counted like them.
    pub(super) fn skipped(&self) {
        self.node.metrics.unknown_frames.inc();
        if let Err(error) = self.allow(What::Query) {
            self.node.metrics.rejected(error.code);
        }
    }

    /// Somebody types in a channel that this link has no attachment of.
    pub(super) fn typing_elsewhere(&self, typing: Typing) {
        if typing.user == self.user || !self.listening.wants_typing_of(typing.user) {
            return;
        }
        if !self.outbox.push_if_room(self.encode(&ControlDown::Typing(typing))) {
            self.node.metrics.typings_dropped.inc();
        }
    }

    /// Whether one more attachment may stand.
    pub(super) fn room_for(&self, channel: ChannelId) -> Result<(), WireError> {
        let attachments = self.attachments();
        let max = self.node.config.attachments_max;
        if attachments.len() >= max && !attachments.contains_key(&channel) {
            return Err(WireError::new(ErrorCode::LIMIT_REACHED, format!("no more than {max} attachments of a link")));
        }
        Ok(())
    }

    /// Takes an attachment in, in place of an older one of the same channel: its number.
    pub(super) fn attach(self: &Arc<Self>, handle: &AttachmentHandle, typing: bool) -> Result<u64, WireError> {
        self.room_for(handle.channel())?;
        let channel = handle.channel();
        let number = self.attached.fetch_add(1, Ordering::Relaxed);
        let older = self.attachments().insert(channel, Attached { handle: handle.clone(), number, typing });
        if let Some(older) = older {
            older.handle.end(Ended::new(CloseCode::DETACHED, "the channel was attached anew on another stream"));
        }
        self.listening.attached(self, channel);
        // Looked at after it is there for all to see: whoever ended the session has ended it too, or it is seen here.
        if self.outbox.has_ended() {
            handle.end(Ended::new(CloseCode::NORMAL, "the session is over"));
        }
        Ok(number)
    }

    /// Takes an attachment back that has just been taken in; why it ends.
    pub(super) fn unattach(self: &Arc<Self>, channel: ChannelId, number: u64, ended: Ended) -> Ended {
        self.detach(channel, number, Seq::ZERO);
        ended
    }

    /// An attachment is over, if it has not been replaced.
    pub(super) fn detach(self: &Arc<Self>, channel: ChannelId, number: u64, cursor: Seq) {
        let mut attachments = self.attachments();
        if attachments.get(&channel).is_some_and(|attached| attached.number == number) {
            attachments.remove(&channel);
            drop(attachments);
            self.listening.detached(self, channel, cursor);
        }
    }

    /// The attachment of a channel, and whether typing is passed on there.
    pub(super) fn attachment(&self, channel: ChannelId) -> Option<(AttachmentHandle, bool)> {
        self.attachments().get(&channel).map(|attached| (attached.handle.clone(), attached.typing))
    }

    fn attachments(&self) -> MutexGuard<'_, HashMap<ChannelId, Attached>> {
        lock(&self.attachments)
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How an end is said in-band.
pub(super) fn closing(ended: &Ended) -> Closing {
    Closing { code: ended.code, message: ended.message.to_string(), retry_after_ms: ended.retry_after_ms }
}

/// The end that an error of a request means, where it ends a link or an attachment.
pub(super) fn ended_by(error: &WireError) -> Ended {
    let code = match error.code {
        ErrorCode::UNAUTHENTICATED | ErrorCode::WRONG_CREDENTIALS => CloseCode::UNAUTHENTICATED,
        ErrorCode::TOKEN_EXPIRED => CloseCode::TOKEN_EXPIRED,
        ErrorCode::NOT_FOUND | ErrorCode::FORBIDDEN => CloseCode::REMOVED,
        ErrorCode::RATE_LIMITED | ErrorCode::OVERLOADED | ErrorCode::UNAVAILABLE => CloseCode::OVERLOADED,
        ErrorCode::CURSOR_AHEAD => CloseCode::CURSOR_AHEAD,
        ErrorCode::LIMIT_REACHED => CloseCode::TOO_MANY_ATTACHMENTS,
        ErrorCode::SHUTTING_DOWN => CloseCode::GOING_AWAY,
        ErrorCode::MALFORMED | ErrorCode::TOO_LARGE | ErrorCode::INVALID | ErrorCode::WRONG_STATE => {
            CloseCode::PROTOCOL_ERROR
        }
        _ => CloseCode::INTERNAL,
    };
    Ended { code, message: error.message.clone().into(), retry_after_ms: error.retry_after_ms }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
