//! The certificate, the store and the clock: what a node opens before it serves, opened in the same way.

use std::path::Path;

use super::Finding;
use crate::clock::Clock;
use crate::config::{EngineKind, Settings};
use crate::node::{self, data};
use crate::store::Store;
use crate::tls::{CertStore, TlsError};

/// Before this no id can be made.
const EPOCH_MS: u64 = 1_767_225_600_000;
/// With less left, an operator's certificate should have been renewed.
const CERTIFICATE_LOW_MS: u64 = 14 * DAY_MS;
const DAY_MS: u64 = 24 * 3_600_000;

/// The certificate that clients would be shown.
pub(super) fn certificate(settings: &Settings, clock: &Clock) -> Finding {
    let tls = node::tls_config(settings);
    if tls.cert.is_none() && tls.key.is_none() {
        // Made at the start if need be, and not by looking.
        return Finding::good("certificate: the node makes its own, for development");
    }
    match CertStore::open(&tls, &settings.node.data, clock.clone()) {
        Err(error) => Finding::problem(format!("certificate: {error}"), advice(&error)),
        Ok(store) => lifetime(store.valid_ms(), clock.now_ms()),
    }
}

fn advice(error: &TlsError) -> &'static str {
    match error {
        TlsError::HalfConfigured => "Set tls.certificate_file and tls.key_file, or neither.",
        TlsError::Io { .. } => "Correct the path, or let the user that runs suda read the file.",
        _ => "The files must be PEM: the certificate with its chain, its own first, and the key that belongs to it.",
    }
}

fn lifetime(valid_ms: Option<(u64, u64)>, now_ms: u64) -> Finding {
    let Some((from_ms, until_ms)) = valid_ms else {
        return Finding::warning("certificate: until when it is valid can't be read", "Look with openssl x509 -dates.");
    };
    if now_ms < from_ms {
        return Finding::problem("certificate: it is not valid yet", "Set the clock right, or wait.");
    }
    let renew = "Renew it; a running node takes the new files by itself.";
    match until_ms.saturating_sub(now_ms) {
        0 => Finding::problem("certificate: its time is over", renew),
        left if left < CERTIFICATE_LOW_MS => {
            Finding::warning(format!("certificate: valid for {} more days", left / DAY_MS), renew)
        }
        left => Finding::good(format!("certificate: valid for {} more days", left / DAY_MS)),
    }
}

/// The store, opened as a node would, and the clock beside what the store has seen.
pub(super) fn store_and_clock(settings: &Settings, clock: &Clock) -> Vec<Finding> {
    let mut findings = vec![plausible(clock.now_ms())];
    let folder = data::store_path(&settings.node.data);
    let embedded = settings.store.engine == EngineKind::Embedded;
    if embedded && !folder.exists() {
        findings.push(Finding::good("store: there is none yet; the first start makes it"));
        return findings;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            findings.push(Finding::problem(format!("no threads can be started: {error}"), "Look at `ulimit -u`."));
            return findings;
        }
    };
    runtime.block_on(async {
        match node::store::open(settings, &settings.node.data, clock).await {
            Err(error) => findings.push(unopened(&error, &settings.node.data)),
            Ok(store) => {
                findings.push(Finding::good("store: it can be opened"));
                findings.push(beside_store(&store, clock).await);
            }
        }
    });
    findings
}

fn plausible(now_ms: u64) -> Finding {
    if now_ms < EPOCH_MS {
        return Finding::problem(
            "clock: it is before 2026",
            "Set it right, and keep it right: timedatectl set-ntp true.",
        );
    }
    Finding::good("clock: it is after 2026 began")
}

fn unopened(error: &anyhow::Error, data: &Path) -> Finding {
    let told = format!("store: {error:#}");
    // Not while a node runs: then the store is that node's, and as it should be.
    if data::admin_address_path(data).exists() && told.contains("is in use by") {
        return Finding::good(format!("{told} (a node runs here: `suda admin stats` asks it)"));
    }
    let advice = "See docs/operations.md, under Backups, before anything is deleted.";
    Finding::problem(told, advice)
}

async fn beside_store(store: &Store, clock: &Clock) -> Finding {
    match node::behind_ms(store, clock).await {
        Ok(None) => Finding::good("clock: not behind what the store has seen"),
        Ok(Some(behind_ms)) => Finding::problem(
            format!("clock: {behind_ms} ms behind what the store has seen"),
            "Set it right, and keep it right: timedatectl set-ntp true. Ids and times would go back.",
        ),
        Err(error) => Finding::problem(format!("store: it can't be read: {error}"), "The log of the store says more."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn settings(data: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.node.data = data.to_owned();
        settings.store.reserve_bytes = 16 << 20;
        settings
    }

    #[test]
    fn the_end_of_a_certificate_is_foreseen() {
        let day = |day: u64| EPOCH_MS + day * DAY_MS;
        let level = |now| lifetime(Some((day(10), day(100))), now).level;
        assert_eq!(level(day(9)), Level::Problem);
        assert_eq!(level(day(10)), Level::Good);
        assert_eq!(level(day(90)), Level::Warning);
        assert_eq!(level(day(100)), Level::Problem);
        assert_eq!(lifetime(None, day(1)).level, Level::Warning);
    }

    #[test]
    fn files_that_are_no_certificate_are_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        assert_eq!(certificate(&settings, &Clock::system()).level, Level::Good);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "looking makes nothing");
        settings.tls.certificate_file = Some(folder.path().join("nothing.pem"));
        settings.tls.key_file = Some(folder.path().join("nothing.key"));
        assert_eq!(certificate(&settings, &Clock::system()).level, Level::Problem);
    }

    #[test]
    fn a_store_is_opened_and_a_clock_that_went_back_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let now = Clock::manual(EPOCH_MS + DAY_MS, 1);
        let worst =
            |clock: &Clock| store_and_clock(&settings, clock).iter().map(|finding| finding.level).max().unwrap();
        assert_eq!(worst(&now), Level::Good);
        assert!(!data::store_path(folder.path()).exists(), "looking makes nothing");

        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let store = runtime.block_on(node::store::open(&settings, folder.path(), &now)).unwrap();
        runtime.block_on(node::write_latest(&store, &now)).unwrap();
        assert_eq!(worst(&now), Level::Problem, "somebody else has it");
        drop(store);
        drop(runtime);
        assert_eq!(worst(&now), Level::Good);
        assert_eq!(worst(&Clock::manual(EPOCH_MS, 1)), Level::Problem);
        assert_eq!(worst(&Clock::manual(5, 1)), Level::Problem);
    }
}
