//! Where a node is reached, for people and for programs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::data;

/// Where a node is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// HTTPS and WebSocket on TCP, QUIC and WebTransport on UDP.
    pub addr: SocketAddr,
    /// Plain HTTP.
    pub http: Option<SocketAddr>,
    /// HTTP/3.
    pub http3: Option<SocketAddr>,
    /// The data folder.
    pub data: PathBuf,
}

impl Ready {
    /// One line for programs: `suda ready` and `name=value` each. The addresses can be connected to from this machine;
    /// the folder comes last, because it may have blanks in it.
    #[must_use]
    pub fn line(&self) -> String {
        let addr = local(self.addr);
        let http = self.http.map_or_else(String::new, |http| format!(" http=http://{}", local(http)));
        let http3 = self.http3.map_or_else(String::new, |http3| format!(" http3=https://{}", local(http3)));
        format!("suda ready https=https://{addr} quic={addr}{http}{http3} data={}", self.data.display())
    }

    /// One line for people.
    #[must_use]
    pub fn greeting(&self) -> String {
        match self.http {
            Some(http) => format!("open http://{} in a browser", local(http)),
            None => format!("open https://{} in a browser", local(self.addr)),
        }
    }

    /// Lets `suda admin` find the node.
    pub(super) fn write_admin_address(&self) -> anyhow::Result<()> {
        let Some(http) = self.http else { return Ok(()) };
        data::write_private(&data::admin_address_path(&self.data), &format!("http://{}", local(http)))
    }

    pub(super) fn forget_admin_address(&self) {
        // It would only lead nowhere.
        let _ = std::fs::remove_file(data::admin_address_path(&self.data));
    }
}

/// The address by which this machine reaches what listens there.
fn local(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        // IPv4 is there on machines where IPv6 is not, and a socket on :: hears both.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) | IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_programs() {
        let ready = Ready {
            addr: "[::]:4433".parse().unwrap(),
            http: Some("127.0.0.1:8080".parse().unwrap()),
            http3: None,
            data: "/var/lib/su da".into(),
        };
        assert_eq!(
            ready.line(),
            "suda ready https=https://127.0.0.1:4433 quic=127.0.0.1:4433 http=http://127.0.0.1:8080 data=/var/lib/su da"
        );
    }
}
