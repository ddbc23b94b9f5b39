//! Says who is there: at the start of a session, when somebody comes to the device or leaves it, and some time after its
//! last link is gone. Only what is new is written, one write of a session at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suda_schema::open::Activity;
use suda_schema::{DeviceId, UserId};

use super::node::Node;
use crate::chat::ChatError;
use crate::chat::presence::LinkId;
use crate::store::StoreError;

/// How often a write is tried while the store can't be used. What is lost then is a status, until the next change.
const TRIES_MAX: u32 = 10;
/// How long the first pause between two tries is; each further one is twice as long.
const PAUSE_MS_MIN: u64 = 250;

/// What is said about one device, by one link. It outlives the session by the grace period.
pub(super) struct PresenceOfDevice {
    node: Arc<Node>,
    user: UserId,
    device: DeviceId,
    link: LinkId,
    state: Mutex<State>,
}

struct State {
    wanted: Option<Activity>,
    written: Option<Option<Activity>>,
    running: bool,
}

impl PresenceOfDevice {
    pub(super) fn new(node: Arc<Node>, user: UserId, device: DeviceId, link: LinkId, activity: Activity) -> Self {
        let state = State { wanted: Some(activity), written: None, running: false };
        Self { node, user, device, link, state: Mutex::new(state) }
    }

    /// Says what there is to say now.
    pub(super) fn begin(self: &Arc<Self>) {
        self.ensure_running(self.state());
    }

    /// Somebody came to the device, or left it.
    pub(super) fn set(self: &Arc<Self>, activity: Activity) {
        let mut state = self.state();
        state.wanted = Some(activity);
        self.ensure_running(state);
    }

    /// The link is gone. Unless the device comes back within the grace period, that is said.
    pub(super) fn leave(self: &Arc<Self>) {
        let presence = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(presence.node.config.presence_grace_ms)).await;
            // A newer link of the device has said that it is there; then there is nothing to take back.
            if !presence.node.has_device(presence.user, presence.device) {
                let mut state = presence.state();
                state.wanted = None;
                presence.ensure_running(state);
            }
        });
    }

    fn ensure_running(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if !std::mem::replace(&mut state.running, true) {
            tokio::spawn(write(Arc::clone(self)));
        }
    }

    /// What is to be written; `None` when there is nothing, and then the task ends.
    fn unwritten(&self) -> Option<Option<Activity>> {
        let mut state = self.state();
        let unwritten = (state.written != Some(state.wanted)).then_some(state.wanted);
        state.running = unwritten.is_some();
        unwritten
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(presence: Arc<PresenceOfDevice>) {
    let PresenceOfDevice { node, user, device, link, .. } = &*presence;
    let mut tries = 0;
    while let Some(activity) = presence.unwritten() {
        // The semaphore is never closed.
        let turn = node.presence_writes.acquire().await;
        let written = node.chat.presence_set(*user, *device, *link, activity).await;
        drop(turn);
        tries += 1;
        match written {
            Ok(()) => tries = 0,
            // The node is none any more: whoever took its number away says what is to be said of its users.
            Err(ChatError::Store(StoreError::Fenced { .. })) => {}
            Err(error) if tries < TRIES_MAX => {
                tracing::warn!(%user, %error, "could not write a presence");
                tokio::time::sleep(Duration::from_millis(PAUSE_MS_MIN << tries)).await;
                continue;
            }
            Err(error) => tracing::error!(%user, %error, "gave up writing a presence"),
        }
        presence.state().written = Some(activity);
    }
}
