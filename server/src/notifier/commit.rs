//! What has come of pushes, written in transactions that find the shard's lease still ours.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use suda_schema::{ChannelId, DeviceId, Seq, UserId};
use tokio::time::Instant;

use super::Context;
use super::job::STORE_PAUSE;
use super::lease::Lease;
use super::rows::{DeadRow, HeldKey, HeldRow};
use crate::chat::outbox::{self, OutboxRow, Told};
use crate::chat::push::PushToken;
use crate::chat::telling;
use crate::chat::{ChatError, Tx};
use crate::store::keys;

/// The most in one transaction.
const EFFECTS_MAX: usize = 400;

/// Something to be written. Each may be written twice.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// A row of the outbox is done.
    Done(Bytes),
    /// So far.
    SoFar(Bytes, OutboxRow),
    Hold(HeldKey, HeldRow),
    Free(HeldKey),
    /// A notification shows this.
    Pushed(ChannelId, UserId, Seq),
    /// With the time and a number of its own.
    Dead(u64, u64, DeadRow),
    /// An address is none any more, unless registered after this.
    Gone(UserId, DeviceId, PushToken, u64),
}

/// Writes them; false, and nothing is written, if the shard is another's by now.
pub(super) async fn write(tx: &Tx, lease: &Lease, shard: u64, effects: &[Effect]) -> Result<bool, ChatError> {
    if !lease.holds(tx, shard).await? {
        return Ok(false);
    }
    for (number, effect) in (0u16..).zip(effects) {
        match effect {
            Effect::Done(key) => tx.clear(key),
            Effect::SoFar(key, row) => tx.set_row(key, row),
            Effect::Hold(key, row) => tx.set_row(key.encode(), row),
            Effect::Free(key) => tx.clear(key.encode()),
            Effect::Dead(at_ms, own, row) => tx.set_row(keys::push_dead(*at_ms, *own), row),
            Effect::Gone(user, device, push, until_ms) => {
                telling::address_is_gone(tx, (*user, *device), push.kind, &push.token, *until_ms).await?;
            }
            Effect::Pushed(channel, user, seq) => {
                tx.max(keys::pushed(*channel, *user), seq.0);
                // It was read between being sent and being noted here: whoever read could not know.
                let read = telling::read_up_to(tx, *channel, *user).await?;
                if read >= *seq {
                    let row = OutboxRow::message(*channel, (read, tx.now_ms()), *user);
                    outbox::put(tx, number, &OutboxRow { what: Told::Read, ..row });
                }
            }
        }
    }
    Ok(true)
}

/// Writes a shard's effects in their order, some in each transaction. What could not be written is written later.
pub(super) struct Writer {
    effects: VecDeque<Effect>,
    /// How many of them are being written.
    under_way: usize,
    writing: Option<BoxFuture<'static, Result<bool, ChatError>>>,
    /// Not before, because it has just failed.
    write_at: Instant,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { effects: VecDeque::new(), under_way: 0, writing: None, write_at: Instant::now() }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// How many are not known to be written.
    pub(super) fn len(&self) -> usize {
        self.effects.len()
    }

    /// Those that are not known to be written.
    pub(super) fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter()
    }

    /// Begins to write, if nothing is being written and there is something to write.
    pub(super) fn begin(&mut self, ctx: &Arc<Context>, lease: &Arc<Lease>, shard: u64) {
        if self.writing.is_some() || self.effects.is_empty() || self.write_at > Instant::now() {
            return;
        }
        let effects: Vec<Effect> = self.effects.iter().take(EFFECTS_MAX).cloned().collect();
        self.under_way = effects.len();
        let (ctx, lease) = (Arc::clone(ctx), Arc::clone(lease));
        self.writing = Some(Box::pin(async move {
            let (lease, effects) = (&*lease, &effects[..]);
            ctx.chat.run_idempotent(|tx| async move { write(&tx, lease, shard, effects).await }).await
        }));
    }

    /// Whether the shard was still ours, once what is being written is. If this is dropped before, nothing is lost.
    pub(super) async fn written(&mut self) -> Result<bool, ChatError> {
        let Some(writing) = &mut self.writing else { return std::future::pending().await };
        let written = writing.await;
        self.writing = None;
        match &written {
            Ok(true) => drop(self.effects.drain(..self.under_way.min(self.effects.len()))),
            Ok(false) => {}
            Err(_) => self.write_at = Instant::now() + STORE_PAUSE,
        }
        written
    }
}
