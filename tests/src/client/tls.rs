//! Trust by the hash of the certificate, as browsers have it for WebTransport.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

/// TLS settings that trust one certificate, whatever name it has.
pub fn client_config(cert_hash: [u8; 32]) -> Result<ClientConfig, Error> {
    trusting(Trust { wanted: Some(cert_hash), ..Trust::default() })
}

/// Asks a node on TCP for the hash of the certificate that it shows to new connections.
pub async fn leaf_hash(addr: SocketAddr) -> anyhow::Result<[u8; 32]> {
    let trust = Trust::default();
    let seen = trust.seen.clone();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting(trust)?));
    connector.connect(addr.ip().into(), TcpStream::connect(addr).await?).await?;
    let hash = *seen.lock().unwrap_or_else(PoisonError::into_inner);
    hash.ok_or_else(|| anyhow::anyhow!("no certificate was shown"))
}

fn trusting(trust: Trust) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(trust.provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth())
}

#[derive(Debug)]
struct Trust {
    wanted: Option<[u8; 32]>,
    seen: Arc<Mutex<Option<[u8; 32]>>>,
    provider: Arc<CryptoProvider>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { wanted: None, seen: Arc::default(), provider: Arc::new(aws_lc_rs::default_provider()) }
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let hash: [u8; 32] = Sha256::digest(leaf).into();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash);
        if self.wanted.is_none_or(|wanted| wanted == hash) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("another certificate than the one that is trusted".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
