//! Who is there.
//!
//! A device is there by its newest link, and either somebody is at it or not; a user is what the most active device
//! says. Only transitions are written. What a silence or a short absence means is decided above, by the session: here a
//! device is there until somebody says that it is not, or until its node's rows are swept.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use suda_schema::control::{Presence, Status};
use suda_schema::limits::PRESENCE_USERS_MAX;
use suda_schema::open::Activity;
use suda_schema::{ChannelId, DeviceId, UserId};

use super::friends::{self, List};
use super::{Chat, ChatError, Row, Topic, Tx, accounts, devices, settings, tx};
use crate::store::{Range, keys};

/// How many rows one question about presence reads at most to find channels that people share. Who has not been found
/// by then is left out of the answer.
const SHARED_ROWS_MAX: usize = 20_000;
/// How many of them at a time.
const SHARED_PAGE_ROWS: usize = 500;
/// How many devices one step of a sweep takes offline.
const SWEEP_ROWS: usize = 100;

/// The link by which a device is there. A newer link of the same device takes over, and what the older one says then
/// counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkId {
    /// The node that has it.
    pub node: u16,
    /// Its number: unique on that node, also over restarts.
    pub number: u64,
}

/// A device that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Online {
    link: LinkId,
    active: bool,
    /// Since when it is so.
    since_ms: u64,
}

impl Row for Online {
    const NAME: &'static str = "online device";
}

/// A user over all devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct UserPresence {
    status: Status,
    /// When somebody was last at a device, as of the last transition.
    last_active_at_ms: u64,
}

impl Row for UserPresence {
    const NAME: &'static str = "presence";
}

/// Whose presence a user's sessions are told of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WatchList {
    /// All of them, by id.
    pub watched: Vec<UserId>,
    /// Those among them who may not be seen now, because one has blocked the other. When that is taken back, nobody but
    /// their presence says so.
    pub hidden: HashSet<UserId>,
}

impl Chat {
    /// Says that a device is there by this link, or (`None`) that this link of it is gone.
    pub async fn presence_set(
        &self,
        user: UserId,
        device: DeviceId,
        link: LinkId,
        activity: Option<Activity>,
    ) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move { set(&tx, user, device, link, activity).await }).await
    }

    /// What a viewer sees of others. Those whom the viewer may not see, or not any more, are left out: who has shown them
    /// before takes them for offline.
    pub async fn presence_of(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<Presence>, ChatError> {
        if users.len() > PRESENCE_USERS_MAX {
            return Err(ChatError::TooLarge { field: "users", max: PRESENCE_USERS_MAX, unit: "ids" });
        }
        self.read(|tx| async move {
            let mut shared = Shared::new(viewer);
            let mut seen = Vec::new();
            for &user in users {
                if user == viewer || may_see(&tx, viewer, user, &mut shared).await? {
                    seen.push(shown(&tx, viewer, user).await?);
                }
            }
            Ok(seen)
        })
        .await
    }

    /// Those whose presence a user's sessions are told of without asking: friends, then partners in direct channels, up
    /// to a limit. It is to be read again when the user's log says that it has changed.
    pub async fn presence_watch_list(&self, user: UserId) -> Result<WatchList, ChatError> {
        self.read(|tx| async move {
            let max = tx.chat().limits().presence_watched_max;
            let (mut watched, mut hidden) = (HashSet::new(), HashSet::new());
            let mut after = None;
            loop {
                let page = friends::page(&tx, user, List::Friends, after, max).await?;
                watched.extend(page.users.iter().map(|listed| listed.user).take(max.saturating_sub(watched.len())));
                after = page.next;
                if after.is_none() || watched.len() >= max {
                    break;
                }
            }
            let partners = tx.range(keys::partners(user).limit(max.max(1))).await?;
            for (key, _) in &partners.rows {
                let partner = keys::partner_of(key).ok_or(ChatError::BadRow("partner"))?;
                if watched.len() < max {
                    watched.insert(partner);
                    if friends::relation(&tx, user, partner).await?.is_blocked() {
                        hidden.insert(partner);
                    }
                }
            }
            let mut watched: Vec<UserId> = watched.into_iter().collect();
            watched.sort_unstable();
            Ok(WatchList { watched, hidden })
        })
        .await
    }

    /// Takes some of the devices offline that are there by this node's links, and says whether there were any. For a
    /// node that starts, about its former life, and for whoever finds a dead node: to be called until there are none.
    /// Nothing is done once the row `while_there` is not there any more.
    pub async fn presence_sweep(&self, node: u16, while_there: Option<&[u8]>) -> Result<bool, ChatError> {
        self.run_idempotent(|tx| async move {
            if let Some(key) = while_there
                && tx.get(key).await?.is_none()
            {
                return Ok(false);
            }
            let page = tx.range(keys::all_on_node(node).limit(SWEEP_ROWS)).await?;
            for (key, _) in &page.rows {
                let (user, device) = keys::on_node_of(key).ok_or(ChatError::BadRow("device of a node"))?;
                tx.clear(key);
                device_gone(&tx, user, device).await?;
            }
            Ok(!page.rows.is_empty())
        })
        .await
    }
}

/// Remembers that two users have a direct channel with each other, so that they are told of each other's presence.
pub fn became_partners(tx: &Tx, one: UserId, other: UserId) {
    if one != other {
        tx.set(keys::partner(one, other), Vec::new());
        tx.set(keys::partner(other, one), Vec::new());
    }
}

/// A device that is there, as the notifier sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// Whether somebody is at it.
    pub active: bool,
    /// Since when.
    pub since_ms: u64,
}

/// The devices of a user that are there. Read without a conflict: it is for telling people, not for deciding what is so.
pub(super) async fn here(tx: &Tx, user: UserId) -> Result<Vec<Here>, ChatError> {
    let rows = tx.all_rows(keys::all_online(user).snapshot()).await?;
    let decode = |(_, value): &(bytes::Bytes, bytes::Bytes)| {
        tx::decode_row::<Online>(value).map(|Online { active, since_ms, .. }| Here { active, since_ms })
    };
    rows.iter().map(decode).collect()
}

/// Takes a device offline, whatever link it is there by.
pub(super) async fn device_gone(tx: &Tx, user: UserId, device: DeviceId) -> Result<(), ChatError> {
    if let Some(online) = tx.row::<Online>(&keys::online(user, device)).await? {
        set(tx, user, device, online.link, None).await?;
    }
    Ok(())
}

async fn set(
    tx: &Tx,
    user: UserId,
    device: DeviceId,
    link: LinkId,
    activity: Option<Activity>,
) -> Result<(), ChatError> {
    let key = keys::online(user, device);
    let before: Option<Online> = tx.row(&key).await?;
    let after = match (activity, before) {
        (Some(activity), _) => {
            // A link that outlives its device's right to be there by a moment must not leave a trace.
            if devices::get(tx, user, device).await?.is_none() {
                return Ok(());
            }
            let active = activity == Activity::Active;
            let same = before.filter(|before| before.active == active);
            Some(Online { link, active, since_ms: same.map_or(tx.now_ms(), |before| before.since_ms) })
        }
        // A newer link has taken over.
        (None, Some(before)) if before.link != link => return Ok(()),
        (None, _) => None,
    };
    if before == after {
        return Ok(());
    }
    if let Some(before) = before {
        tx.clear(keys::on_node(before.link.node, user, device));
    }
    match &after {
        Some(after) => {
            tx.set_row(key, after);
            tx.set(keys::on_node(link.node, user, device), Vec::new());
        }
        None => tx.clear(key),
    }
    if before.is_none() != after.is_none() {
        devices::seen(tx, user, device).await?;
    }
    write_status(tx, user).await
}

/// Works out a user's status from their devices, and tells of it if it is another one now.
async fn write_status(tx: &Tx, user: UserId) -> Result<(), ChatError> {
    let mut status = Status::Offline;
    for (_, value) in tx.all_rows(keys::all_online(user)).await? {
        let one = if tx::decode_row::<Online>(&value)?.active { Status::Online } else { Status::Idle };
        status = if status == Status::Online { status } else { one };
    }
    let key = keys::presence(user);
    let before: Option<UserPresence> = tx.row(&key).await?;
    if before.map_or(Status::Offline, |before| before.status) == status {
        return Ok(());
    }
    let was_active = status == Status::Online || before.is_some_and(|before| before.status == Status::Online);
    let last_active_at_ms = if was_active { tx.now_ms() } else { before.map_or(0, |before| before.last_active_at_ms) };
    tx.set_row(key, &UserPresence { status, last_active_at_ms });
    if !settings::get(tx, user).await?.appear_offline {
        tx.wake(Topic::Presence(user));
    }
    Ok(())
}

/// A user as a viewer who may see them is shown them.
async fn shown(tx: &Tx, viewer: UserId, user: UserId) -> Result<Presence, ChatError> {
    let hidden = viewer != user && settings::get(tx, user).await?.appear_offline;
    let presence: Option<UserPresence> = if hidden { None } else { tx.row(&keys::presence(user)).await? };
    Ok(match presence {
        None => Presence { user, status: Status::Offline, last_active_at_ms: 0 },
        Some(UserPresence { status: Status::Online, .. }) => {
            Presence { user, status: Status::Online, last_active_at_ms: tx.now_ms() }
        }
        Some(UserPresence { status, last_active_at_ms }) => Presence { user, status, last_active_at_ms },
    })
}

/// Friends, partners in a direct channel, and those who share a channel may see each other, unless one has blocked the
/// other.
async fn may_see(tx: &Tx, viewer: UserId, user: UserId, shared: &mut Shared) -> Result<bool, ChatError> {
    let relation = friends::relation(tx, user, viewer).await?;
    if relation.is_blocked() || !accounts::get(tx, user).await?.is_some_and(|account| account.is_live()) {
        return Ok(false);
    }
    Ok(relation.is_friend() || tx.get(&keys::partner(viewer, user)).await?.is_some() || shared.with(tx, user).await?)
}

/// The channels of a viewer, read when they are first needed, and how much may still be read.
struct Shared {
    viewer: UserId,
    channels: Option<HashSet<ChannelId>>,
    rows_left: usize,
}

impl Shared {
    fn new(viewer: UserId) -> Self {
        Self { viewer, channels: None, rows_left: SHARED_ROWS_MAX }
    }

    async fn with(&mut self, tx: &Tx, user: UserId) -> Result<bool, ChatError> {
        if self.channels.is_none() {
            let mut mine = HashSet::new();
            let mut rows = Some(keys::all_joined(self.viewer));
            while let Some((page, next)) = self.page(tx, rows).await? {
                mine.extend(page);
                rows = next;
            }
            self.channels = Some(mine);
        }
        let mut rows = Some(keys::all_joined(user));
        while let Some((page, next)) = self.page(tx, rows).await? {
            let mine = self.channels.as_ref();
            if page.iter().any(|channel| mine.is_some_and(|mine| mine.contains(channel))) {
                return Ok(true);
            }
            rows = next;
        }
        Ok(false)
    }

    async fn page(
        &mut self,
        tx: &Tx,
        rows: Option<Range>,
    ) -> Result<Option<(Vec<ChannelId>, Option<Range>)>, ChatError> {
        let Some(rows) = rows.filter(|_| self.rows_left > 0) else { return Ok(None) };
        let page = tx.range(rows.limit(SHARED_PAGE_ROWS.min(self.rows_left))).await?;
        self.rows_left -= page.rows.len().min(self.rows_left);
        let channels: Option<Vec<ChannelId>> = page.rows.iter().map(|(key, _)| keys::joined_channel(key)).collect();
        Ok(Some((channels.ok_or(ChatError::BadRow("joined channel"))?, page.next())))
    }
}
