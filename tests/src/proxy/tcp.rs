//! TCP: everything arrives in order, late, or not before the network is back; or the connection is cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Shared, lock};

const CHUNK_BYTES: usize = 16 << 10;

pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, node: SocketAddr) {
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else { continue };
        lock(&shared.counts).connections += 1;
        tasks.spawn(connection(Arc::clone(&shared), client, node));
    }
}

async fn connection(shared: Arc<Shared>, client: TcpStream, node: SocketAddr) {
    let mut cuts = shared.cuts.subscribe();
    cuts.mark_unchanged();
    let Ok(node) = TcpStream::connect(node).await else { return };
    let _ = (client.set_nodelay(true), node.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    // What ends one direction ends both.
    tokio::select! {
        () = pump(&shared, from_client, to_node) => {}
        () = pump(&shared, from_node, to_client) => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(shared: &Shared, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut weather = shared.weather.subscribe();
    let mut bytes = vec![0; CHUNK_BYTES];
    loop {
        let Ok(len) = from.read(&mut bytes).await else { return };
        if len == 0 || weather.wait_for(|weather| !weather.no_tcp).await.is_err() {
            return;
        }
        let now = shared.weather();
        tokio::time::sleep(shared.delay(now)).await;
        if to.write_all(&bytes[..len]).await.is_err() {
            return;
        }
    }
}
