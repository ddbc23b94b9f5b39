//! Keys of nodes: who is there, and what they leave for each other.

use super::{Range, Unpack, table};

/// Who holds a node number.
#[must_use]
pub fn node(number: u16) -> Vec<u8> {
    table("node").uint(number.into()).done()
}

/// All nodes.
#[must_use]
pub fn nodes() -> Range {
    Range::children(table("node").done())
}

/// A node's sign of life.
#[must_use]
pub fn beat(number: u16) -> Vec<u8> {
    table("beat").uint(number.into()).done()
}

/// All nodes' signs of life.
#[must_use]
pub fn beats() -> Range {
    Range::children(table("beat").done())
}

/// That a node is no more, and has rows yet to be swept away.
#[must_use]
pub fn gone_node(number: u16) -> Vec<u8> {
    table("gone").uint(number.into()).done()
}

/// All nodes that are no more and have rows yet to be swept away.
#[must_use]
pub fn gone_nodes() -> Range {
    Range::children(table("gone").done())
}

/// How often there was something for a node.
#[must_use]
pub fn bell(node: u16) -> Vec<u8> {
    table("bell").uint(node.into()).done()
}

/// That something was committed about a topic that somebody on a node listens to. A topic is its kind and an id.
#[must_use]
pub fn inbox_mark(node: u16, (kind, id): (u64, u64)) -> Vec<u8> {
    table("inbox").uint(node.into()).uint(kind).uint(id).done()
}

/// A node's inbox.
#[must_use]
pub fn inbox(node: u16) -> Range {
    Range::children(table("inbox").uint(node.into()).done())
}

/// That somebody on a node listens to a topic.
#[must_use]
pub fn interest((kind, id): (u64, u64), node: u16) -> Vec<u8> {
    table("interest").uint(kind).uint(id).uint(node.into()).done()
}

/// The nodes on which somebody listens to a topic.
#[must_use]
pub fn all_interest((kind, id): (u64, u64)) -> Range {
    Range::children(table("interest").uint(kind).uint(id).done())
}

/// The same as [`interest`], by node.
#[must_use]
pub fn hears(node: u16, (kind, id): (u64, u64)) -> Vec<u8> {
    table("hears").uint(node.into()).uint(kind).uint(id).done()
}

/// All topics to which somebody on a node listens.
#[must_use]
pub fn all_heard(node: u16) -> Range {
    Range::children(table("hears").uint(node.into()).done())
}

/// The topic in a key of [`inbox`] or [`all_heard`].
#[must_use]
pub fn topic_of(key: &[u8]) -> Option<(u64, u64)> {
    let mut elements = Unpack::new(key);
    elements.text().ok()?;
    elements.uint().ok()?;
    let topic = (elements.uint().ok()?, elements.uint().ok()?);
    elements.is_done().then_some(topic)
}

/// Something for a node that is in no log, before and behind its versionstamp.
#[must_use]
pub fn passing_to_come(node: u16) -> (Vec<u8>, Vec<u8>) {
    table("pass").uint(node.into()).versionstamp_to_come(0)
}

/// All that is in no log and is for a node, oldest first.
#[must_use]
pub fn passing(node: u16) -> Range {
    Range::children(table("pass").uint(node.into()).done())
}
