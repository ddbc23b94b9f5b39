//! Self-signed certificates for development, as `serverCertificateHashes` of browsers wants them: P-256, and valid for
//! no more than 14 days.
//!
//! Each is a file `<end of validity in ms>-<names>.pem` in the data folder, so that a restart keeps the hash. The next
//! one is made two days before it is shown, and its hash is offered from then on, so that a client whose list of
//! hashes is up to two days old still connects.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use super::{Active, CertHash, TlsError};
use crate::clock::Clock;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Browsers refuse more than 14 days; the hour is for clocks that are behind.
const VALID_MS: u64 = 14 * DAY_MS - HOUR_MS;
/// A certificate is valid this long before it is made, for clients whose clocks are behind.
const BACKDATED_MS: u64 = HOUR_MS;
/// The next certificate is made when the newest has less than this left.
const PREPARE_MS: u64 = 5 * DAY_MS;
/// A certificate is shown until it has less than this left, if there is a newer one.
const RETIRE_MS: u64 = 3 * DAY_MS;

pub(super) struct Dev {
    folder: PathBuf,
    names: Vec<String>,
    /// Marks the files of certificates for these names.
    suffix: String,
    certs: Mutex<Vec<Cert>>,
}

struct Cert {
    not_after_ms: u64,
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Dev {
    /// Finds the certificates made before. One that can't be read is left out: another is made.
    pub(super) fn open(folder: &Path, more_names: &[String]) -> Result<Self, TlsError> {
        fs::create_dir_all(folder).map_err(|source| TlsError::Io { path: folder.to_owned(), source })?;
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        for name in more_names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let digest: [u8; 32] = Sha256::digest(names.join("\n")).into();
        let suffix = format!("-{}.pem", digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>());
        let listed = fs::read_dir(folder).map_err(|source| TlsError::Io { path: folder.to_owned(), source })?;
        let mut certs: Vec<Cert> = listed.filter_map(|entry| Cert::read(&entry.ok()?.path(), &suffix)).collect();
        certs.sort_by_key(|cert| cert.not_after_ms);
        Ok(Self { folder: folder.to_owned(), names, suffix, certs: Mutex::new(certs) })
    }

    /// Whether the newest is near its end, or the shown one is.
    pub(super) fn is_due(&self, clock: &Clock) -> bool {
        let now_ms = clock.now_ms();
        let certs = self.certs.lock().unwrap_or_else(PoisonError::into_inner);
        certs.last().is_none_or(|newest| newest.left_ms(now_ms) < PREPARE_MS)
            || (certs.len() > 1 && certs.first().is_some_and(|oldest| oldest.left_ms(now_ms) < RETIRE_MS))
    }

    /// Makes a new one if the newest is near its end, drops those that are over, and says which to show.
    pub(super) fn renew(&self, clock: &Clock, provider: &CryptoProvider) -> Result<Active, TlsError> {
        let now_ms = clock.now_ms();
        let mut certs = self.certs.lock().unwrap_or_else(PoisonError::into_inner);
        certs.retain(|cert| {
            let over = cert.left_ms(now_ms) == 0;
            if over {
                // Left lying about it would do no harm.
                let _ = fs::remove_file(self.path(cert.not_after_ms));
            }
            !over
        });
        if certs.last().is_none_or(|newest| newest.left_ms(now_ms) < PREPARE_MS) {
            certs.push(self.make(now_ms)?);
        }
        let pinned = certs.iter().map(|cert| CertHash::of(&cert.der)).collect();
        let shown = certs.iter().find(|cert| cert.left_ms(now_ms) >= RETIRE_MS).or(certs.last());
        let shown = shown.ok_or_else(|| rustls::Error::General("no certificate".to_owned()))?;
        let key = CertifiedKey::from_der(vec![shown.der.clone()], shown.key.clone_key(), provider)?;
        Ok(Active { key: key.into(), hash: CertHash::of(&shown.der), pinned })
    }

    fn make(&self, now_ms: u64) -> Result<Cert, TlsError> {
        let not_before_ms = now_ms.saturating_sub(BACKDATED_MS);
        // Whole seconds, as in the certificate.
        let not_after_ms = (not_before_ms + VALID_MS) / 1_000 * 1_000;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "suda development certificate");
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(not_before_ms / 1_000);
        params.not_after = epoch + Duration::from_millis(not_after_ms);
        let cert = params.self_signed(&key)?;
        let path = self.path(not_after_ms);
        write_private(&path, &format!("{}{}", cert.pem(), key.serialize_pem()))
            .map_err(|source| TlsError::Io { path, source })?;
        let key =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|reason| rustls::Error::General(reason.to_owned()))?;
        Ok(Cert { not_after_ms, der: cert.der().clone(), key })
    }

    fn path(&self, not_after_ms: u64) -> PathBuf {
        self.folder.join(format!("{not_after_ms}{}", self.suffix))
    }
}

impl Cert {
    fn read(path: &Path, suffix: &str) -> Option<Self> {
        let not_after_ms = path.file_name()?.to_str()?.strip_suffix(suffix)?.parse().ok()?;
        let pem = fs::read(path).ok()?;
        let (der, key) = CertificateDer::from_pem_slice(&pem)
            .and_then(|der| Ok((der, PrivateKeyDer::from_pem_slice(&pem)?)))
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "unreadable certificate; making another"),
            )
            .ok()?;
        Some(Self { not_after_ms, der, key })
    }

    fn left_ms(&self, now_ms: u64) -> u64 {
        self.not_after_ms.saturating_sub(now_ms)
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, path)
}
