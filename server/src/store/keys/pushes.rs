//! Keys of the push outbox, and of those who work on it.

use suda_schema::{ChannelId, DeviceId, Seq, UserId};

use super::{Range, Unpack, table};

/// A row of the push outbox, before and behind its versionstamp. Several in one transaction differ by `own`.
#[must_use]
pub fn push_to_come(shard: u64, own: u16) -> (Vec<u8>, Vec<u8>) {
    table("push").uint(shard).versionstamp_to_come(own)
}

/// One shard of the push outbox, oldest first.
#[must_use]
pub fn pushes(shard: u64) -> Range {
    Range::children(table("push").uint(shard).done())
}

/// The newest message of a channel that was pushed to a user.
#[must_use]
pub fn pushed(channel: ChannelId, user: UserId) -> Vec<u8> {
    table("pushed").uint(channel.0).uint(user.0).done()
}

/// Somebody to be told later: of what, by whom (`what_for`) and on which device.
#[must_use]
pub fn push_held(
    shard: u64,
    (channel, user): (ChannelId, UserId),
    what_for: u64,
    device: DeviceId,
    seq: Seq,
) -> Vec<u8> {
    let key = table("pushheld").uint(shard).uint(channel.0).uint(user.0);
    key.uint(what_for).uint(device.0).uint(seq.0).done()
}

/// All that are to be told later in one shard.
#[must_use]
pub fn all_push_held(shard: u64) -> Range {
    Range::children(table("pushheld").uint(shard).done())
}

/// Somebody who could not be told. `own` tells those of the same moment apart.
#[must_use]
pub fn push_dead(at_ms: u64, own: u64) -> Vec<u8> {
    table("pushdead").uint(at_ms).uint(own).done()
}

/// All who could not be told, the oldest first.
#[must_use]
pub fn all_push_dead() -> Range {
    Range::children(table("pushdead").done())
}

/// The time and number in a key of [`all_push_dead`].
#[must_use]
pub fn push_dead_of(key: &[u8]) -> Option<(u64, u64)> {
    let mut rest = Unpack::new(key);
    rest.skip(&table("pushdead").done()).ok()?;
    Some((rest.uint().ok()?, rest.uint().ok()?))
}

/// Which notifier works on a shard of the push outbox.
#[must_use]
pub fn push_lease(shard: u64) -> Vec<u8> {
    table("pushlease").uint(shard).done()
}

/// A notifier that lives.
#[must_use]
pub fn push_node(incarnation: [u8; 16]) -> Vec<u8> {
    table("pushnode").uuid(incarnation).done()
}

/// All notifiers.
#[must_use]
pub fn push_nodes() -> Range {
    Range::children(table("pushnode").done())
}

/// The incarnation in a key of [`push_nodes`].
#[must_use]
pub fn push_node_of(key: &[u8]) -> Option<[u8; 16]> {
    let mut rest = Unpack::new(key);
    rest.skip(&table("pushnode").done()).ok()?;
    rest.uuid().ok()
}
