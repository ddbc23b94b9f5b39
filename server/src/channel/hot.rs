//! A channel that several nodes write to at once: one of them appends for all, see [`crate::chat::hot`].
//!
//! A hub whose appends conflict again and again has one of the nodes lead. Where it is this one, it takes what others hand
//! over with its own; where it is another, its batches are handed over, and appended here only to see what became of them.
//! A node that leads and does not answer is given up after a moment, and one that leads for nobody stops by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::hub::Hub;
use super::worker;
use crate::chat::append::{AppendOutcome, Publish};
use crate::chat::hot::{Beside, HANDED_BYTES_MAX, Handing, Lead};
use crate::store::Watch;

/// So many conflicts within a while are too many, if it is one for every few appends.
const CONFLICTS_MAX: u32 = 8;
const APPENDS_A_CONFLICT: u32 = 4;
const CONFLICTS_WITHIN: Duration = Duration::from_secs(2);
/// How long whoever leads may take. Usually it takes two commits.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);
/// It is looked so often whether leading is of use to anybody.
const USED_WITHIN: Duration = Duration::from_secs(5);
/// What was handed over is looked for so often also if the bell is not heard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how long the bell is listened to again that could not be.
const AGAIN: Duration = Duration::from_millis(200);

/// How this node stands to a channel.
#[derive(Default)]
pub(super) struct Hot(Mutex<State>);

#[derive(Default)]
struct State {
    standing: Standing,
    contention: Contention,
    /// What there is to settle.
    wish: Option<Wish>,
}

#[derive(Default)]
struct Contention {
    since: Option<Instant>,
    appends: u32,
    conflicts: u32,
}

#[derive(Default)]
enum Standing {
    /// Each node appends its own.
    #[default]
    Apart,
    Leads(Leading),
    Follows(Lead),
}

struct Leading {
    lead: Lead,
    /// Whose sends were appended since then: more than one node's, or leading is of no use.
    nodes: BTreeSet<u16>,
    since: Instant,
}

/// Somebody is to lead, instead of one that did not answer.
#[derive(Clone, Copy)]
struct Wish {
    instead_of: Option<Lead>,
}

impl Hot {
    /// How large a batch may be: one that is handed over must fit into one value.
    pub(super) fn batch_bytes_max(&self, alone: usize) -> usize {
        if matches!(self.state().standing, Standing::Follows(_)) { alone.min(HANDED_BYTES_MAX) } else { alone }
    }

    /// What an append says of the other nodes. `own`: it had sends of this node's.
    pub(super) fn appended(&self, outcome: &AppendOutcome, own: bool) {
        let mut state = self.state();
        match &mut state.standing {
            Standing::Leads(leading) if outcome.led_by == Some(leading.lead) => {
                leading.nodes.extend(&outcome.handed_by);
                leading.nodes.extend(own.then_some(leading.lead.node));
                return;
            }
            Standing::Leads(_) => state.standing = Standing::Apart,
            Standing::Follows(_) => return,
            Standing::Apart => {}
        }
        let is_too_much = state.contention.is_too_much(outcome.retries, Instant::now());
        if is_too_much || outcome.led_by.is_some() {
            state.wish.get_or_insert(Wish { instead_of: None });
        }
    }

    fn follows(&self) -> Option<Lead> {
        if let Standing::Follows(lead) = self.state().standing { Some(lead) } else { None }
    }

    pub(super) fn leads(&self) -> Option<Lead> {
        if let Standing::Leads(Leading { lead, .. }) = self.state().standing { Some(lead) } else { None }
    }

    /// This lead is not followed any more.
    fn leave(&self, lead: Lead, wish: Option<Wish>) {
        let mut state = self.state();
        if matches!(&state.standing, Standing::Follows(followed) if *followed == lead)
            || matches!(&state.standing, Standing::Leads(leading) if leading.lead == lead)
        {
            state.standing = Standing::Apart;
            state.contention = Contention::default();
            state.wish = wish;
        }
    }

    fn take_wish(&self) -> Option<Wish> {
        self.state().wish.take()
    }

    /// It is known who leads.
    fn settled(&self, lead: Lead, is_own: bool) {
        let mut state = self.state();
        state.contention = Contention::default();
        state.standing = if is_own {
            Standing::Leads(Leading { lead, nodes: BTreeSet::new(), since: Instant::now() })
        } else {
            Standing::Follows(lead)
        };
    }

    /// Whether this node has led for a while and for no more than one node.
    fn is_of_no_use(&self) -> bool {
        let mut state = self.state();
        let Standing::Leads(leading) = &mut state.standing else { return false };
        if leading.since.elapsed() < USED_WITHIN {
            return false;
        }
        leading.since = Instant::now();
        std::mem::take(&mut leading.nodes).len() < 2
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contention {
    /// Whether it is, with an append that had to be run again so often.
    fn is_too_much(&mut self, retries: u32, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since > CONFLICTS_WITHIN) {
            *self = Self { since: Some(now), ..Self::default() };
        }
        self.appends = self.appends.saturating_add(1);
        self.conflicts = self.conflicts.saturating_add(retries);
        self.conflicts >= CONFLICTS_MAX && self.conflicts.saturating_mul(APPENDS_A_CONFLICT) >= self.appends
    }
}

/// If another node appends for all, hands it these sends and waits until it has taken them. What comes back is how they are
/// appended now, to see what became of them.
pub(super) async fn hand_over(hub: &Arc<Hub>, sends: &[Publish]) -> Beside {
    if let Some(lead) = hub.hot.leads() {
        return Beside::Lead(lead);
    }
    let Some(lead) = hub.hot.follows() else { return Beside::Nothing };
    if sends.is_empty() || sends.iter().map(Publish::size).sum::<usize>() > HANDED_BYTES_MAX {
        return Beside::Nothing;
    }
    let metrics = &hub.shared.metrics;
    let taken = match hub.shared.log.hand_over(hub.channel, lead, sends).await {
        Ok(Handing::Given(watch)) => is_taken(hub, watch).await,
        Ok(Handing::LedBy(None)) => {
            hub.hot.leave(lead, None);
            return Beside::Nothing;
        }
        Ok(Handing::LedBy(Some(_))) => {
            hub.hot.leave(lead, Some(Wish { instead_of: None }));
            return Beside::Nothing;
        }
        Err(_) => false,
    };
    if taken {
        metrics.handed.inc_by(sends.len() as u64);
        return Beside::Nothing;
    }
    metrics.handed_late.inc();
    tracing::debug!(channel = %hub.channel, node = lead.node, "the node that appends for all does not answer");
    hub.hot.leave(lead, Some(Wish { instead_of: Some(lead) }));
    Beside::Back
}

/// Waits until what was handed over is taken, and reads meanwhile what was appended. False if it takes too long.
async fn is_taken(hub: &Arc<Hub>, mut watch: Watch) -> bool {
    let late = tokio::time::sleep(TAKEN_WITHIN);
    tokio::pin!(late);
    loop {
        tokio::select! {
            biased;
            taken = &mut watch => return taken.is_ok(),
            () = &mut late => return false,
            () = hub.rung() => worker::refresh(hub).await,
        }
    }
}

/// Finds out who leads, where that is to be settled.
pub(super) async fn settle(hub: &Arc<Hub>) {
    let Some(wish) = hub.hot.take_wish() else { return };
    let Some(number) = hub.shared.log.number() else { return };
    match hub.shared.log.lead(hub.channel, wish.instead_of).await {
        Ok(lead) => {
            let is_own = lead.node == number;
            hub.hot.settled(lead, is_own);
            if is_own {
                hub.shared.metrics.leads.inc();
                hub.shared.runtime.spawn(attend(Arc::downgrade(hub), lead));
            }
        }
        Err(error) => tracing::debug!(channel = %hub.channel, %error, "it is not known who appends for all"),
    }
}

/// Gives the lead up, if this node has it.
pub(super) async fn step_down(hub: &Hub) {
    let Some(lead) = hub.hot.leads() else { return };
    hub.hot.leave(lead, None);
    if let Err(error) = hub.shared.log.stop_leading(hub.channel, lead).await {
        tracing::debug!(channel = %hub.channel, %error, "others find out by themselves that this node does not lead");
    }
}

/// Listens for what others hand over, as long as this node leads.
async fn attend(hub: Weak<Hub>, lead: Lead) {
    while let Some(hub) = hub.upgrade().filter(|hub| hub.hot.leads() == Some(lead)) {
        if hub.hot.is_of_no_use() {
            return step_down(&hub).await;
        }
        let bell = hub.shared.log.handed_bell(hub.channel).await;
        hub.ring_handed();
        drop(hub);
        match bell {
            Ok(bell) => drop(tokio::time::timeout(LOOK_EVERY, bell).await),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}
