//! The least that sends pushes: hyper's HTTP/2 client in a loop.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::stand_in::StandIn;

pub(crate) struct Bare {
    connections: Vec<SendRequest<Full<Bytes>>>,
}

impl Bare {
    pub(crate) async fn connect(stand_in: &StandIn, connections: usize) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(stand_in.facts.root_pem.as_bytes())?)?;
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsConnector::from(Arc::new(tls));
        let addr = stand_in.facts.url.strip_prefix("https://").context("an address")?;
        let mut senders = Vec::new();
        for _ in 0..connections {
            let tcp = TcpStream::connect(addr).await?;
            tcp.set_nodelay(true)?;
            let stream = tls.connect(ServerName::try_from("127.0.0.1")?, tcp).await?;
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            senders.push(sender);
        }
        Ok(Self { connections: senders })
    }

    /// Sends a request so many times, so many of them at once.
    pub(crate) async fn send(&self, request: &Request<Full<Bytes>>, count: usize, at_once: usize) -> Result<()> {
        let each = self.connections.len();
        let tasks: Vec<_> = self
            .connections
            .iter()
            .map(|sender| {
                let (sender, request) = (sender.clone(), request.clone());
                tokio::spawn(async move {
                    let one = |_| Ok(one(sender.clone(), request.clone()));
                    let sent = stream::iter(0..count / each).map(one);
                    sent.try_for_each_concurrent(at_once / each, |sent| sent).await
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(())
    }
}

async fn one(mut sender: SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<()> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    response.into_body().collect().await?;
    Ok(())
}
