//! Dialing by raw QUIC.
//!
//! 0-RTT is not used: the server does not take it (decision 10), because its data can be replayed and the first of them
//! would be the access token. It would save one round trip of a reconnect, which a link that moves does not need.

use suda_schema::CloseCode;

use super::error::Error;
use super::link::Conn;
use super::network::{Network, first_of};

pub(super) async fn dial(network: &Network, host: &str, port: u16, hashes: &[[u8; 32]]) -> Result<Conn, Error> {
    let (endpoint, config) = (network.quic()?, network.trusted(hashes)?.quic);
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let conn = first_of(host, port, |addr| {
        let connecting = endpoint.connect_with(config.clone(), addr, name);
        async move {
            let connecting = connecting.map_err(|error| Error::Unreachable(error.to_string()))?;
            connecting.await.map_err(|error| Error::Unreachable(error.to_string()))
        }
    })
    .await?;
    match conn.open_bi().await {
        Ok((send, recv)) => Ok(Conn::Quic(conn, send, recv)),
        Err(error) => {
            conn.close(u32::from(CloseCode::NORMAL.0).into(), b"");
            Err(Error::Unreachable(error.to_string()))
        }
    }
}
