//! Keys of channels that several nodes write to at once: who appends for all, and what the others hand over.

use suda_schema::ChannelId;

use super::{Range, table};

/// Which node appends to a channel for all.
#[must_use]
pub fn lead(channel: ChannelId) -> Vec<u8> {
    table("hot").uint(channel.0).text("lead").done()
}

/// How often something was handed over in a channel.
#[must_use]
pub fn handed_bell(channel: ChannelId) -> Vec<u8> {
    table("hot").uint(channel.0).text("bell").done()
}

/// What a node hands over in a channel.
#[must_use]
pub fn handed(channel: ChannelId, node: u16) -> Vec<u8> {
    table("handed").uint(channel.0).uint(node.into()).done()
}

/// What all nodes hand over in a channel.
#[must_use]
pub fn all_handed(channel: ChannelId) -> Range {
    Range::children(table("handed").uint(channel.0).done())
}
