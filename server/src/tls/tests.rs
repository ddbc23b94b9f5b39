//! Certificates are renewed and reloaded, and bad ones change nothing.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rcgen::{CertificateParams, KeyPair};

use super::*;

const DAY_MS: u64 = 86_400_000;
const START_MS: u64 = 1_800_000_000_000;

fn dev(data: &Path, clock: &Clock) -> CertStore {
    CertStore::open(&TlsConfig::default(), data, clock.clone()).unwrap()
}

#[test]
fn a_development_certificate_survives_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START_MS, 1);
    let first = dev(data.path(), &clock);
    assert!(first.is_self_signed());
    assert_eq!(first.pinned_hashes(), [first.hash()]);
    assert_eq!(dev(data.path(), &clock).hash(), first.hash());
    let named = TlsConfig { names: vec!["chat.example".to_owned()], ..TlsConfig::default() };
    assert_ne!(CertStore::open(&named, data.path(), clock).unwrap().hash(), first.hash());
}

#[test]
fn a_development_certificate_is_renewed_before_its_14_days_are_over() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START_MS, 1);
    let store = dev(data.path(), &clock);
    let mut shown = vec![store.hash()];
    let mut offered_before = store.pinned_hashes();
    for hour in 1..=60 * 24 {
        clock.advance_ms(DAY_MS / 24);
        let changed = store.check().unwrap();
        assert_eq!(changed, *shown.last().unwrap() != store.hash());
        let now = store.hash();
        let offered = store.pinned_hashes();
        assert!(offered.contains(&now) && offered.len() <= 2, "hour {hour}: {offered:?}");
        // Whoever asked for the hashes an hour ago must be able to connect now.
        assert!(offered_before.contains(&now), "hour {hour}");
        if changed {
            shown.push(now);
            assert!(offered.contains(&shown[shown.len() - 2]), "the old one is still offered");
        }
        offered_before = offered;
    }
    assert!((5..=7).contains(&shown.len()), "{} in 60 days", shown.len());
    assert_eq!(dev(data.path(), &clock).hash(), store.hash(), "a restart shows the same");
    let files = fs::read_dir(data.path().join("tls")).unwrap().count();
    assert!(files <= 2, "{files} files");
}

#[test]
fn a_development_certificate_is_what_browsers_pin() {
    let data = tempfile::tempdir().unwrap();
    let store = dev(data.path(), &Clock::manual(START_MS, 1));
    let der = store.read().key.cert[0].clone();
    // id-ecPublicKey with prime256v1.
    let p256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    assert!(der.windows(p256.len()).any(|bytes| bytes == p256));
    let validity = validity_s(&der);
    assert!(validity.1 - validity.0 <= 14 * 86_400, "{validity:?}");
    assert!(validity.0 < START_MS / 1_000 && START_MS / 1_000 + 13 * 86_400 < validity.1);
}

#[test]
fn unreadable_files_are_made_again() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START_MS, 1);
    let first = dev(data.path(), &clock).hash();
    for entry in fs::read_dir(data.path().join("tls")).unwrap() {
        fs::write(entry.unwrap().path(), "garbage").unwrap();
    }
    assert_ne!(dev(data.path(), &clock).hash(), first);
}

#[test]
fn changed_files_are_used_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let config = TlsConfig { cert: Some(cert.clone()), key: Some(key.clone()), ..TlsConfig::default() };
    let first = write_pair(&cert, &key);
    let store = CertStore::open(&config, folder.path(), Clock::manual(START_MS, 1)).unwrap();
    assert_eq!((store.hash(), store.pinned_hashes()), (first, Vec::new()));
    assert!(!store.check().unwrap());

    let second = write_pair(&cert, &key);
    assert!(store.check().unwrap());
    assert_eq!(store.hash(), second);

    write(&cert, "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n");
    assert!(matches!(store.check(), Err(TlsError::Pem { .. })));
    assert!(!store.check().unwrap(), "complained of once");
    write(&cert, "");
    assert!(store.check().is_err());
    // A new certificate whose key is not there yet: between the two writes of a renewal.
    let other_key = folder.path().join("other.pem");
    let third = write_pair(&cert, &other_key);
    assert!(matches!(store.check(), Err(TlsError::Unusable(_))));
    assert_eq!(store.hash(), second, "the old pair stays");
    fs::rename(&other_key, &key).unwrap();
    assert!(store.check().unwrap());
    assert_eq!(store.hash(), third);

    fs::remove_file(&key).unwrap();
    assert!(matches!(store.check(), Err(TlsError::Io { .. })));
    assert_eq!(store.hash(), third);
}

#[test]
fn a_bad_start_says_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let open = |cert: Option<&Path>, key: Option<&Path>| {
        let config = TlsConfig { cert: cert.map(Into::into), key: key.map(Into::into), ..TlsConfig::default() };
        CertStore::open(&config, folder.path(), Clock::manual(START_MS, 1)).unwrap_err()
    };
    assert!(open(Some(&missing), Some(&missing)).to_string().contains("missing.pem"));
    assert!(matches!(open(Some(&missing), None), TlsError::HalfConfigured));
}

fn write_pair(cert: &Path, key: &Path) -> CertHash {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let made = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&pair).unwrap();
    write(cert, &made.pem());
    write(key, &pair.serialize_pem());
    CertHash::of(made.der())
}

/// Writes a file so that it looks changed even where the file system's clock ticks slowly.
fn write(path: &Path, text: &str) {
    static TICK: AtomicU64 = AtomicU64::new(1);
    fs::write(path, text).unwrap();
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(TICK.fetch_add(1, Ordering::Relaxed));
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// The two UTCTimes of a certificate, in seconds since the Unix epoch.
fn validity_s(der: &[u8]) -> (u64, u64) {
    let times: Vec<u64> = der
        .windows(15)
        .filter(|bytes| bytes.starts_with(&[0x17, 13]) && bytes.ends_with(b"Z"))
        .map(|bytes| {
            let two = |at: usize| u64::from(bytes[at] - b'0') * 10 + u64::from(bytes[at + 1] - b'0');
            let [year, month, day] = [2000 + two(2), two(4), two(6)];
            let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
            let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719_468;
            days * 86_400 + two(8) * 3_600 + two(10) * 60 + two(12)
        })
        .collect();
    (times[0], times[1])
}
