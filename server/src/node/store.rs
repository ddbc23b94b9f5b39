//! Opens the store that the settings ask for.

use std::path::Path;

use anyhow::Context as _;

use super::data;
use crate::clock::Clock;
use crate::config::{EngineKind, Settings};
use crate::store::{Embedded, Store};

/// Opens the store. On the embedded engine this takes as long as recovery does.
pub async fn open(settings: &Settings, data: &Path, clock: &Clock) -> anyhow::Result<Store> {
    let store = &settings.store;
    match store.engine {
        EngineKind::Memory => Ok(Store::memory()),
        EngineKind::Embedded => {
            let options = Embedded {
                cache_bytes: store.cache_bytes,
                memtable_bytes: store.memtable_bytes,
                reserve_bytes: store.reserve_bytes,
                ..Embedded::new(data::store_path(data))
            };
            let clock = clock.clone();
            let opened = tokio::task::spawn_blocking(move || Store::embedded(options, clock)).await;
            Ok(opened.context("opening the store was cut short")??)
        }
        EngineKind::FoundationDb => foundationdb(settings, clock).await,
    }
}

#[cfg(feature = "foundationdb")]
async fn foundationdb(settings: &Settings, clock: &Clock) -> anyhow::Result<Store> {
    let store = &settings.store;
    let options = crate::store::foundationdb::Options {
        cluster_file: store.fdb_cluster_file.clone(),
        timeout_ms: store.fdb_timeout_ms,
    };
    Ok(Store::foundationdb(&options, store.fdb_prefix.as_bytes(), clock.clone()).await?)
}

#[cfg(not(feature = "foundationdb"))]
#[expect(clippy::unused_async, reason = "the same signature as with the feature")]
async fn foundationdb(_settings: &Settings, _clock: &Clock) -> anyhow::Result<Store> {
    anyhow::bail!("this build has no FoundationDB: build it with --features foundationdb")
}
