//! The certificate that every listener shows, and keeping it fresh.
//!
//! One [`CertStore`] is shared by QUIC and TCP. It holds either the operator's PEM files, read again when they change
//! ([`files`]), or for development self-signed certificates that it makes and renews itself ([`dev`]). Links that
//! stand are not touched by a change; new ones get the new certificate.

mod dev;
mod files;
#[cfg(test)]
mod tests;
mod validity;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Clock;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate and its chain, leaf first. Without it the node makes a self-signed one, which
    /// browsers accept for WebTransport by its hash, and for nothing else.
    pub cert: Option<PathBuf>,
    /// PEM file with the private key of `cert`.
    pub key: Option<PathBuf>,
    /// More DNS names and IP addresses for the self-signed certificate, beside `localhost`, `127.0.0.1` and `::1`.
    pub names: Vec<String>,
    /// How often to look whether the files have changed or the self-signed certificate is due. Costs two `stat` calls.
    pub check_every_ms: u64,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { cert: None, key: None, names: Vec::new(), check_every_ms: 5_000 }
    }
}

/// What can be wrong with a certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Only one of the two files was named.
    #[error("`cert` and `key` go together: give both, or neither for a self-signed certificate")]
    HalfConfigured,
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds no PEM of the kind it should.
    #[error("{}: {reason}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key is not the certificate's, or neither can be used.
    #[error("certificate and key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate could be made.
    #[error("no self-signed certificate could be made: {0}")]
    Generate(#[from] rcgen::Error),
}

/// The SHA-256 of a certificate's DER: what a browser's `serverCertificateHashes` wants.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertHash(pub [u8; 32]);

impl CertHash {
    fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for CertHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CertHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertHash({self})")
    }
}

/// The certificate in use. Cheap to clone.
#[derive(Clone)]
pub struct CertStore {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    check_every: Duration,
    clock: Clock,
    active: RwLock<Active>,
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
}

enum Source {
    Files(files::Files),
    Dev(dev::Dev),
}

/// What the listeners show.
struct Active {
    key: Arc<CertifiedKey>,
    hash: CertHash,
    /// Hashes to pin: only of self-signed certificates.
    pinned: Vec<CertHash>,
}

impl CertStore {
    /// Reads the certificate, or makes one in the data folder.
    pub fn open(config: &TlsConfig, data: &Path, clock: Clock) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let source = match (&config.cert, &config.key) {
            (Some(cert), Some(key)) => Source::Files(files::Files::new(cert.clone(), key.clone())),
            (None, None) => Source::Dev(dev::Dev::open(&data.join("tls"), &config.names)?),
            _ => return Err(TlsError::HalfConfigured),
        };
        let active = match &source {
            Source::Files(files) => files.load(&provider)?,
            Source::Dev(dev) => dev.renew(&clock, &provider)?,
        };
        let shared = Shared {
            source,
            check_every: Duration::from_millis(config.check_every_ms.max(100)),
            clock,
            active: RwLock::new(active),
            provider,
            tickets: aws_lc_rs::Ticketer::new()?,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether the certificate is a self-signed one, which only its hash makes trustworthy.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        matches!(self.shared.source, Source::Dev(_))
    }

    /// The hash of the certificate in use.
    #[must_use]
    pub fn hash(&self) -> CertHash {
        self.read().hash
    }

    /// From when until when the certificate in use is valid, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn valid_ms(&self) -> Option<(u64, u64)> {
        validity::valid_ms(self.read().key.end_entity_cert().ok()?)
    }

    /// The hashes to offer for pinning: of the self-signed certificate in use, and of the one before or after it while
    /// they change over. Empty with the operator's own certificate, which needs no pinning.
    #[must_use]
    pub fn pinned_hashes(&self) -> Vec<CertHash> {
        self.read().pinned.clone()
    }

    /// Looks whether the files have changed or the self-signed certificate is due; true if what is shown changed.
    /// When something is wrong, what there was stays in use.
    pub fn check(&self) -> Result<bool, TlsError> {
        let active = match &self.shared.source {
            Source::Files(files) => {
                if !files.changed() {
                    return Ok(false);
                }
                files.load(&self.shared.provider)?
            }
            Source::Dev(dev) => {
                if !dev.is_due(&self.shared.clock) {
                    return Ok(false);
                }
                dev.renew(&self.shared.clock, &self.shared.provider)?
            }
        };
        let mut slot = self.shared.active.write().unwrap_or_else(PoisonError::into_inner);
        let changed = slot.hash != active.hash;
        *slot = active;
        Ok(changed)
    }

    /// Does [`CertStore::check`] for ever, and logs what comes of it. Dropping it is fine at any time.
    pub async fn watch(self) {
        let mut ticks = tokio::time::interval(self.shared.check_every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let store = self.clone();
            match tokio::task::spawn_blocking(move || store.check()).await {
                Ok(Ok(true)) => tracing::info!(hash = %self.hash(), "new certificate in use"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::error!(%error, "the new certificate is not used; the old one stays"),
                Err(error) => tracing::error!(%error, "the certificate check failed"),
            }
        }
    }

    /// A TLS configuration that shows this certificate, for QUIC: TLS 1.3 only, and no 0-RTT, whose data could be
    /// replayed.
    pub fn quic_config(&self, alpn: &[&[u8]]) -> Result<ServerConfig, TlsError> {
        self.config(&[&rustls::version::TLS13], alpn)
    }

    /// The same for TCP: TLS 1.2 and 1.3.
    pub fn tcp_config(&self, alpn: &[&[u8]]) -> Result<ServerConfig, TlsError> {
        self.config(rustls::ALL_VERSIONS, alpn)
    }

    fn config(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(self.shared.provider.clone())
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
        // Tickets keep sessions on the client's side, so that a reconnecting crowd is cheap and costs no memory here.
        config.ticketer = self.shared.tickets.clone();
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(config)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Active> {
        self.shared.active.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.read().key.clone())
    }
}

impl fmt::Debug for CertStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertStore").field("hash", &self.hash()).finish_non_exhaustive()
    }
}
