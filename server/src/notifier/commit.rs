//! What has come of pushes, written in transactions that find the shard's lease still ours.

use bytes::Bytes;
use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::lease::Lease;
use super::rows::{DeadRow, HeldKey, HeldRow};
use crate::chat::outbox::{self, OutboxRow, Told};
use crate::chat::push::PushToken;
use crate::chat::telling;
use crate::chat::{ChatError, Tx};
use crate::store::keys;

/// The most in one transaction.
pub(super) const EFFECTS_MAX: usize = 400;

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
