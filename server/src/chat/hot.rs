//! Channels that several nodes write to at once.
//!
//! Appends to one channel conflict, and conflicts cost more the more nodes write. So one of the nodes appends for all, and
//! the others write what they have where it finds it. All of this is a hint: whoever has handed sends over looks in the end
//! for what became of them by appending them itself, which finds each send's entry by its retry id, or makes it. So nothing
//! depends on who leads, or on how many believe that they do; and what is refused, is refused there.
//!
//! Each step is a transaction of its own. What is handed over for one term is cleared when the next one begins, so nothing
//! of an earlier time comes to light.

use serde::{Deserialize, Serialize};
use suda_schema::ChannelId;

use super::append::Publish;
use super::{Chat, ChatError, Row, Tx};
use crate::store::{Watch, keys};

/// How many bytes of sends are handed over at once, as [`Publish::size`] counts them: they fit into one value.
pub const HANDED_BYTES_MAX: usize = 80_000;
/// How many nodes' sends go into one transaction.
const NODES_AT_ONCE: usize = 16;

/// Which node appends to a channel for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// Its number.
    pub node: u16,
    /// Tells this time from others.
    pub term: u64,
}

impl Row for Lead {
    const NAME: &'static str = "lead";
}

/// Sends that a node hands over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct HandedRow {
    sends: Vec<Publish>,
}

impl Row for HandedRow {
    const NAME: &'static str = "handed sends";
}

/// What became of sends that were to be handed over.
pub enum Handing {
    /// They are where the node that leads finds them. This resolves when it has taken them.
    Given(Watch),
    /// This one leads by now, if anybody does: there is nothing to wait for.
    LedBy(Option<Lead>),
}

/// What an append does beside its own sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Beside {
    /// Nothing.
    #[default]
    Nothing,
    /// It appends what was handed over, as long as this node leads.
    Lead(Lead),
    /// It takes back what this node has handed over.
    Back,
}

/// What an append found of what other nodes have handed over.
#[derive(Debug, Default)]
pub(super) struct Handed {
    pub(super) sends: Vec<Publish>,
    /// The node of each part of these sends, and where the part ends.
    pub(super) ends: Vec<(u16, usize)>,
}

impl Chat {
    /// Has one node append to the channel for all: this one, unless there is another one than `instead_of`.
    pub async fn lead(&self, channel: ChannelId, instead_of: Option<Lead>) -> Result<Lead, ChatError> {
        let node = self.number()?;
        let mine = Lead { node, term: u64::from_le_bytes(self.clock().random()) };
        self.run_idempotent(|tx| async move {
            let there = tx.row::<Lead>(&keys::lead(channel)).await?;
            if let Some(there) = there.filter(|there| Some(*there) != instead_of) {
                return Ok(there);
            }
            tx.set_row(keys::lead(channel), &mine);
            let all = keys::all_handed(channel);
            tx.clear_range(all.begin(), all.end());
            Ok(mine)
        })
        .await
    }

    /// This node does not append for all any more. Who has handed something over sees it gone, and appends it.
    pub async fn stop_leading(&self, channel: ChannelId, lead: Lead) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move {
            if tx.row::<Lead>(&keys::lead(channel)).await? == Some(lead) {
                tx.clear(keys::lead(channel));
                let all = keys::all_handed(channel);
                tx.clear_range(all.begin(), all.end());
            }
            Ok(())
        })
        .await
    }

    /// Hands sends over, unless somebody else leads by now.
    pub async fn hand_over(&self, channel: ChannelId, lead: Lead, sends: &[Publish]) -> Result<Handing, ChatError> {
        let key = &keys::handed(channel, self.number()?);
        let row = &HandedRow { sends: sends.to_vec() };
        self.run_idempotent(|tx| async move {
            let leads = tx.row::<Lead>(&keys::lead(channel)).await?;
            if leads != Some(lead) {
                return Ok(Handing::LedBy(leads));
            }
            tx.set_row(key, row);
            tx.add(keys::handed_bell(channel), 1);
            Ok(Handing::Given(tx.watch(key)))
        })
        .await
    }

    /// Resolves when something is handed over after this.
    pub async fn handed_bell(&self, channel: ChannelId) -> Result<Watch, ChatError> {
        self.run(|tx| async move { Ok(tx.watch(&keys::handed_bell(channel))) }).await
    }

    fn number(&self) -> Result<u16, ChatError> {
        self.peers().number().ok_or(ChatError::Unavailable("there are no other nodes"))
    }
}

/// Which node leads, if one does. By snapshot: it is a hint.
pub(super) async fn led_by(tx: &Tx, channel: ChannelId) -> Result<Option<Lead>, ChatError> {
    match tx.chat().peers().number() {
        Some(_) => tx.row_snapshot(&keys::lead(channel)).await,
        None => Ok(None),
    }
}

/// What others have handed over, if this node leads. By snapshot: whoever takes it back appends, which conflicts.
pub(super) async fn handed(tx: &Tx, channel: ChannelId, lead: Lead) -> Result<Handed, ChatError> {
    let rows = async { Ok(tx.range(keys::all_handed(channel).snapshot().limit(NODES_AT_ONCE)).await?) };
    let (led_by, page) = futures_util::future::try_join(led_by(tx, channel), rows).await?;
    let mut handed = Handed::default();
    if led_by != Some(lead) {
        return Ok(handed);
    }
    for (key, value) in page.rows {
        let Some(node) = keys::last_number(&key).and_then(|node| u16::try_from(node).ok()) else { continue };
        // What a newer version wrote so that this one can't read it, is taken back by who wrote it.
        let Ok(HandedRow { sends }) = super::tx::decode_row(&value) else { continue };
        handed.sends.extend(sends);
        handed.ends.push((node, handed.sends.len()));
    }
    Ok(handed)
}

/// Whether this node's own sends are taken back with its append.
pub(super) fn take_back(tx: &Tx, channel: ChannelId) -> Result<(), ChatError> {
    tx.clear(keys::handed(channel, tx.chat().number()?));
    Ok(())
}
