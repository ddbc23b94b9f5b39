//! Which nodes there are, as last read, and which of them a client should try.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// How many nodes are recommended at most.
const RECOMMENDED_MAX: usize = 8;

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its version.
    pub version: String,
    /// Its region.
    pub region: String,
    /// The host name that clients are given; without one, that which they asked.
    pub host: Option<String>,
    /// The port of QUIC, WebTransport, WebSocket and HTTPS.
    pub port: u16,
    /// The port of plain HTTP, for clients on the same machine.
    pub http_port: Option<u16>,
    /// The port of HTTP/3.
    pub http3_port: Option<u16>,
    /// How many links it takes.
    pub links_max: u32,
}

/// A node that clients may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub node: u16,
    /// Where it is reached.
    pub address: Address,
    /// Of the certificate that it made for itself, in hexadecimal.
    pub certificate_hashes: Vec<String>,
    /// How many links it has.
    pub links: u32,
}

/// The nodes that take clients, as last read.
#[derive(Default)]
pub(super) struct Directory {
    nodes: Mutex<Arc<[Listed]>>,
}

impl Directory {
    pub(super) fn set(&self, nodes: Vec<Listed>) {
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = nodes.into();
    }

    /// Those of the region first. Of two drawn by capacity the one with more room comes first, and so on: the power of two
    /// choices spreads clients well also where what is known of the load is some seconds old.
    pub(super) fn recommend(&self, region: &str, clock: &Clock) -> Vec<Listed> {
        let nodes = Arc::clone(&self.nodes.lock().unwrap_or_else(PoisonError::into_inner));
        let has_room = |node: &&Listed| node.links < node.address.links_max;
        let (mut near, mut far): (Vec<&Listed>, Vec<&Listed>) =
            nodes.iter().filter(has_room).partition(|node| node.address.region == region);
        let mut order = Vec::new();
        for group in [&mut near, &mut far] {
            while order.len() < RECOMMENDED_MAX && !group.is_empty() {
                let (one, other) = (draw(group, clock), draw(group, clock));
                let fuller = |at: usize| group.get(at).map_or(f64::MAX, |node| load(node));
                let best = if fuller(other) < fuller(one) { other } else { one };
                order.push(group.swap_remove(best).clone());
            }
        }
        order
    }
}

/// One of them, the likelier the more links it takes.
fn draw(nodes: &[&Listed], clock: &Clock) -> usize {
    let all: u64 = nodes.iter().map(|node| u64::from(node.address.links_max)).sum();
    let mut at = clock.below(all);
    let drawn = nodes.iter().position(|node| {
        let its = u64::from(node.address.links_max);
        let hit = at < its;
        at = at.saturating_sub(its);
        hit
    });
    drawn.unwrap_or(0)
}

fn load(node: &Listed) -> f64 {
    f64::from(node.links) / f64::from(node.address.links_max.max(1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn address(region: &str, port: u16, links_max: u32) -> Address {
        Address {
            version: "1".to_owned(),
            region: region.to_owned(),
            host: None,
            port,
            http_port: None,
            http3_port: None,
            links_max,
        }
    }

    fn listed(node: u16, region: &str, links: u32, links_max: u32) -> Listed {
        Listed { node, address: address(region, node, links_max), certificate_hashes: Vec::new(), links }
    }

    fn firsts(nodes: Vec<Listed>, region: &str) -> Vec<usize> {
        let (directory, clock) = (Directory::default(), Clock::manual(0, 1));
        let mut firsts = vec![0; nodes.len() + 1];
        directory.set(nodes);
        for _ in 0..3_000 {
            firsts[usize::from(directory.recommend(region, &clock)[0].node)] += 1;
        }
        firsts
    }

    #[test]
    fn the_region_comes_first_and_the_full_do_not_come() {
        let (directory, clock) = (Directory::default(), Clock::manual(0, 1));
        directory.set(vec![
            listed(1, "a", 1, 10),
            listed(2, "b", 1, 10),
            listed(3, "b", 10, 10),
            listed(4, "b", 9, 10),
        ]);
        for _ in 0..100 {
            let order: Vec<u16> = directory.recommend("b", &clock).iter().map(|node| node.node).collect();
            assert!(order == [2, 4, 1] || order == [4, 2, 1], "{order:?}");
        }
        directory.set(Vec::new());
        assert!(directory.recommend("b", &clock).is_empty());
    }

    #[test]
    fn load_and_capacity_weigh() {
        let even = firsts((1..=4).map(|node| listed(node, "a", 5, 10)).collect(), "a");
        assert!(even[1..].iter().all(|count| (600..900).contains(count)), "{even:?}");
        let uneven = firsts(vec![listed(1, "a", 0, 10), listed(2, "a", 9, 10), listed(3, "a", 9, 10)], "a");
        assert!(uneven[1] > 1_500, "{uneven:?}");
        let large = firsts(vec![listed(1, "a", 40, 80), listed(2, "a", 5, 10), listed(3, "a", 5, 10)], "a");
        assert!(large[1] > 2_200, "{large:?}");
    }
}
