//! One connection: name to address, address to TCP, TCP to TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::public::is_public;

/// Why a request has had no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The address is not one that may be reached.
    #[error("{0} is not a public address")]
    Forbidden(IpAddr),
    /// There is no such host.
    #[error("{0} has no address")]
    NoAddress(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// It ended before there was an answer.
    #[error("the connection ended: {0}")]
    Broken(String),
    /// There was none in time.
    #[error("no answer in time")]
    Timeout,
    /// The answer was too long, or could not be read.
    #[error("the answer can't be read")]
    Garbled,
}

impl WireError {
    /// A name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "address_forbidden",
            Self::NoAddress(_) => "no_address",
            Self::Connect(_) => "connect",
            Self::Broken(_) => "connection_ended",
            Self::Timeout => "timeout",
            Self::Garbled => "garbled",
        }
    }
}

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    tls: Arc<rustls::ClientConfig>,
    /// Only public addresses, and these; `None`: all.
    only_public: Option<Arc<Vec<IpAddr>>>,
    timeout: Duration,
}

/// A connection that is ready for requests.
pub(super) enum Connection {
    H2(http2::SendRequest<Full<Bytes>>),
    H1(http1::SendRequest<Full<Bytes>>),
}

impl Connector {
    /// Trusts what the machine trusts, and `extra_roots` (PEM). Fails if that is nothing.
    pub fn new(extra_roots: Option<&str>, timeout: Duration) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "some of the certificates that this machine trusts can't be read");
        }
        roots.add_parsable_certificates(native.certs);
        for root in CertificateDer::pem_slice_iter(extra_roots.unwrap_or_default().as_bytes()) {
            roots.add(root.context("extra root certificates")?).context("extra root certificates")?;
        }
        anyhow::ensure!(!roots.is_empty(), "this machine trusts no certificate: install its root certificates");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("TLS")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), only_public: None, timeout })
    }

    /// The same, only for public addresses and those that are exempt.
    #[must_use]
    pub fn only_public(&self, exempt: Vec<IpAddr>) -> Self {
        Self { only_public: Some(Arc::new(exempt)), ..self.clone() }
    }

    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<Connection, WireError> {
        tokio::time::timeout(self.timeout, self.connect_slowly(host, port)).await.map_err(|_| WireError::Timeout)?
    }

    async fn connect_slowly(&self, host: &str, port: u16) -> Result<Connection, WireError> {
        let failed = |error: &dyn std::fmt::Display| WireError::Connect(error.to_string());
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let mut tcp = Err(WireError::NoAddress(host.to_owned()));
        for address in tokio::net::lookup_host((bare.as_str(), port)).await.map_err(|error| failed(&error))? {
            // The address that was checked is the one that is connected to: a name may be another one next time.
            tcp = match self.allowed(address) {
                Ok(()) => TcpStream::connect(address).await.map_err(|error| failed(&error)),
                Err(error) => Err(error),
            };
            if tcp.is_ok() {
                break;
            }
        }
        let tcp = tcp?;
        let _ = tcp.set_nodelay(true);
        let name = ServerName::try_from(bare).map_err(|error| failed(&error))?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.map_err(|error| failed(&error))?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(hyper_util::rt::TokioTimer::new())
                .keep_alive_interval(Duration::from_secs(60))
                .keep_alive_timeout(Duration::from_secs(15))
                .keep_alive_while_idle(false)
                .handshake(TokioIo::new(tls))
                .await
                .map_err(|error| failed(&error))?;
            drive(connection);
            return Ok(Connection::H2(sender));
        }
        let (sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(|error| failed(&error))?;
        drive(connection);
        Ok(Connection::H1(sender))
    }

    fn allowed(&self, address: SocketAddr) -> Result<(), WireError> {
        match &self.only_public {
            Some(exempt) if !is_public(address.ip()) && !exempt.contains(&address.ip()) => {
                Err(WireError::Forbidden(address.ip()))
            }
            _ => Ok(()),
        }
    }
}

/// Runs a connection until it ends. It does when nobody holds its sender any more.
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a push provider has ended");
        }
    });
}
