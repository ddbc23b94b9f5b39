//! The operator's PEM files.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Active, CertHash, TlsError};

pub(super) struct Files {
    cert: PathBuf,
    key: PathBuf,
    /// What the files looked like when they were last read, well or badly.
    seen: Mutex<Option<Seen>>,
}

type Seen = [Option<(SystemTime, u64)>; 2];

impl Files {
    pub(super) fn new(cert: PathBuf, key: PathBuf) -> Self {
        Self { cert, key, seen: Mutex::default() }
    }

    /// Whether the files look different from when they were last read. A pair that was bad is so not tried, and not
    /// complained of, again until one of them changes.
    pub(super) fn changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != Some(self.look())
    }

    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<Active, TlsError> {
        // Looked at before reading: a change in between is then seen as one next time.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.look());
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| pem_error(&self.cert, error))?;
        let Some(leaf) = chain.first() else {
            return Err(TlsError::Pem { path: self.cert.clone(), reason: "no certificate in it".to_owned() });
        };
        let hash = CertHash::of(leaf);
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| pem_error(&self.key, error))?;
        let key = CertifiedKey::from_der(chain, key, provider)?;
        Ok(Active { key: key.into(), hash, pinned: Vec::new() })
    }

    fn look(&self) -> Seen {
        [&self.cert, &self.key].map(|path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        })
    }
}

fn pem_error(path: &Path, error: PemError) -> TlsError {
    match error {
        PemError::Io(source) => TlsError::Io { path: path.to_owned(), source },
        error => TlsError::Pem { path: path.to_owned(), reason: error.to_string() },
    }
}
