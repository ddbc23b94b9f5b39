//! A certificate for one run, and rustls set up with it as suda sets it up.

use std::sync::Arc;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use suda_schema::ALPN_QUIC;

pub(super) const ALPN_H3: &[u8] = b"h3";

pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    pub(super) fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        Ok(Self { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der().into() })
    }

    /// By what clients know it.
    pub(super) fn hash(&self) -> String {
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn quic(&self) -> Result<ServerConfig> {
        self.config(&[&rustls::version::TLS13], &[ALPN_QUIC, ALPN_H3])
    }

    pub(super) fn tcp(&self) -> Result<Arc<ServerConfig>> {
        Ok(Arc::new(self.config(rustls::ALL_VERSIONS, &[b"http/1.1"])?))
    }

    fn config(&self, versions: &[&'static rustls::SupportedProtocolVersion], alpn: &[&[u8]]) -> Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], PrivateKeyDer::Pkcs8(self.key.clone_key()))?;
        config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        Ok(config)
    }
}
