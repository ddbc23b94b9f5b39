//! The way to a node: its address and what is trusted of it. Its process may come and go meanwhile.

use std::net::SocketAddr;

use crate::client::{Connector, Kind, RawClient};
use crate::node::NodeProcess;
use crate::people::{Device, Hi, Person};

/// A node, as a client knows it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    connector: Connector,
    addr: SocketAddr,
    http: SocketAddr,
}

impl NodeProcess {
    /// The way to this node, for whoever must not hold on to its process.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate { connector: self.connector().clone(), addr: self.addr(), http: self.http_addr() }
    }
}

impl Gate {
    /// A new link, if the node takes one.
    pub async fn link(&self, kind: Kind) -> anyhow::Result<RawClient> {
        let plain = matches!(kind, Kind::Plain | Kind::PlainJson);
        self.connector.connect(kind, if plain { self.http } else { self.addr }).await
    }

    /// A new session.
    pub async fn device(&self, kind: Kind, who: &Person) -> anyhow::Result<Device> {
        Device::begin(self.link(kind).await?, who, Hi::default()).await
    }
}
