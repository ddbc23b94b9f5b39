//! Datagrams: each arrives or does not, and those that are late may overtake each other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::Shared;

const DATAGRAM_BYTES_MAX: usize = 65_536;

pub(super) async fn serve(shared: Arc<Shared>, socket: UdpSocket, node: SocketAddr) {
    let socket = Arc::new(socket);
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        while tasks.try_join_next().is_some() {}
        // A datagram that could not be delivered comes back as an error of the next read.
        let Ok((len, client)) = socket.recv_from(&mut bytes).await else { continue };
        let upstream = match clients.get(&client) {
            Some(upstream) => Arc::clone(upstream),
            None => {
                let Ok(upstream) = UdpSocket::bind("127.0.0.1:0").await else { continue };
                let upstream = Arc::new(upstream);
                clients.insert(client, Arc::clone(&upstream));
                tasks.spawn(back(Arc::clone(&shared), Arc::clone(&upstream), Arc::clone(&socket), client));
                upstream
            }
        };
        let weather = shared.weather();
        if shared.loses(weather) {
            continue;
        }
        let datagram = bytes[..len].to_vec();
        let delay = shared.delay(weather);
        if delay.is_zero() {
            // It fails while the node is not there: the datagram is lost.
            let _ = upstream.send_to(&datagram, node).await;
        } else {
            tasks.spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = upstream.send_to(&datagram, node).await;
            });
        }
    }
}

async fn back(shared: Arc<Shared>, upstream: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: SocketAddr) {
    let mut bytes = vec![0; DATAGRAM_BYTES_MAX];
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok((len, _)) = upstream.recv_from(&mut bytes).await else { continue };
        let weather = shared.weather();
        if shared.loses(weather) {
            continue;
        }
        let datagram = bytes[..len].to_vec();
        let (socket, delay) = (Arc::clone(&socket), shared.delay(weather));
        if delay.is_zero() {
            let _ = socket.send_to(&datagram, client).await;
        } else {
            tasks.spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = socket.send_to(&datagram, client).await;
            });
        }
    }
}
