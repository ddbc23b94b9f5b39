//! Whether the ports are free.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::Finding;
use crate::config::Listen;

pub(super) fn check(listen: &Listen) -> Vec<Finding> {
    let public = SocketAddr::new(listen.host, listen.port);
    let http = SocketAddr::new(listen.http_host, listen.http_port);
    let mut findings = vec![
        finding("UDP", "listen.port", public, UdpSocket::bind(public).map(drop)),
        finding("TCP", "listen.port", public, TcpListener::bind(public).map(drop)),
        finding("TCP", "listen.http_port", http, TcpListener::bind(http).map(drop)),
    ];
    if let Some(port) = listen.h3_port {
        let h3 = SocketAddr::new(listen.host, port);
        findings.push(finding("UDP", "listen.h3_port", h3, UdpSocket::bind(h3).map(drop)));
    }
    if !listen.http_host.is_loopback() {
        findings.push(Finding::warning(
            format!("plain HTTP listens on {}, not only on this machine", listen.http_host),
            "Passwords and tokens go over it in the clear: set listen.http_host to 127.0.0.1, or be sure of the network.",
        ));
    }
    findings
}

fn finding(protocol: &str, setting: &str, address: SocketAddr, bound: io::Result<()>) -> Finding {
    let Err(error) = bound else {
        return Finding::good(format!("{protocol} {address} is free ({setting})"));
    };
    let what = format!("{protocol} {address} can't be listened on ({setting}): {error}");
    let advice = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "Another program has it, perhaps a suda that runs already: `ss -lnp 'sport = :{}'` says which. Stop it or set another port.",
            address.port()
        ),
        ErrorKind::PermissionDenied => {
            "Ports below 1024 need a right: set a higher one, or `AmbientCapabilities=CAP_NET_BIND_SERVICE` in the systemd unit."
                .to_owned()
        }
        ErrorKind::AddrNotAvailable => "This machine has no such address: set one it has, or :: for all.".to_owned(),
        _ => "Set another address or port.".to_owned(),
    };
    Finding::problem(what, advice)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::Level;
    use super::*;

    #[test]
    fn a_taken_port_is_a_problem_with_advice() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let findings = check(&Listen { host, port: 0, http_port: port, ..Listen::default() });
        let problems: Vec<_> = findings.iter().filter(|finding| finding.level == Level::Problem).collect();
        assert_eq!(problems.len(), 1, "{findings:?}");
        assert!(problems[0].what.contains("listen.http_port"), "{problems:?}");
        assert!(problems[0].advice.as_ref().unwrap().contains("Another program"), "{problems:?}");
    }
}
