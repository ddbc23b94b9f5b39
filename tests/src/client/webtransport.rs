//! WebTransport.

use std::net::SocketAddr;

use bytes::Bytes;
use suda_schema::CloseCode;
use wtransport::endpoint::ConnectOptions;

use super::{Ended, StreamInner, quic};

/// Where WebTransport's stream codes lie among those of HTTP/3. The library does not translate them.
const FIRST_STREAM_CODE: u64 = 0x52e4_a40f_a8db;

pub(super) struct WtClient {
    conn: wtransport::Connection,
    /// Its socket.
    _endpoint: wtransport::Endpoint<wtransport::endpoint::endpoint_side::Client>,
}

pub(super) async fn connect(
    mut tls: rustls::ClientConfig,
    addr: SocketAddr,
    path: &str,
    origin: Option<&str>,
) -> anyhow::Result<WtClient> {
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = wtransport::ClientConfig::builder().with_bind_default().with_custom_tls(tls).build();
    let endpoint = wtransport::Endpoint::client(config)?;
    let options = ConnectOptions::builder(format!("https://{addr}{path}"));
    let options = origin.into_iter().fold(options, |options, origin| options.add_header("origin", origin));
    let conn = endpoint.connect(options.build()).await?;
    Ok(WtClient { conn, _endpoint: endpoint })
}

impl WtClient {
    pub(super) async fn open(&self) -> Result<StreamInner, Ended> {
        let broken = |error: String| Ended::Broken(error);
        let opening = self.conn.open_bi().await.map_err(|error| broken(error.to_string()))?;
        let (send, recv) = opening.await.map_err(|error| broken(error.to_string()))?;
        Ok(StreamInner::WebTransport(send, recv))
    }

    pub(super) fn send_datagram(&self, body: &[u8]) -> bool {
        self.conn.send_datagram(body).is_ok()
    }

    pub(super) async fn recv_datagram(&self) -> Result<Bytes, Ended> {
        match self.conn.receive_datagram().await {
            Ok(datagram) => Ok(datagram.payload()),
            Err(_) => Err(self.closed().await),
        }
    }

    pub(super) fn close(&self, code: CloseCode, message: &str) {
        self.conn.close(u32::from(code.0).into(), message.as_bytes());
    }

    pub(super) async fn closed(&self) -> Ended {
        quic::ended(self.conn.quic_connection().closed().await)
    }

    pub(super) fn connection(&self) -> &quinn::Connection {
        self.conn.quic_connection()
    }
}

pub(super) async fn send(stream: &mut wtransport::SendStream, bytes: &[u8]) -> Result<(), Ended> {
    stream.quic_stream_mut().write_all(bytes).await.map_err(|error| quic::not_written(error, close_code))
}

pub(super) async fn recv(stream: &mut wtransport::RecvStream) -> Result<Bytes, Ended> {
    quic::recv_with(stream.quic_stream_mut(), close_code).await
}

/// As a browser does it.
pub(super) fn reset(stream: &mut wtransport::SendStream, code: CloseCode) {
    let code = u64::from(code.0);
    let code = wtransport::VarInt::try_from_u64(FIRST_STREAM_CODE + code + code / 0x1e).unwrap_or_default();
    // It fails only where the stream has ended already.
    let _ = stream.reset(code);
}

fn close_code(code: u64) -> CloseCode {
    let shifted = code.saturating_sub(FIRST_STREAM_CODE);
    super::close_code(shifted - shifted / 0x1f)
}
