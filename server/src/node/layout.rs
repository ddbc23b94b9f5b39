//! Which layout of keys the store has, so that a version that would misread it says so instead of opening it.
//!
//! Two numbers are stored: the layout, and the oldest version of this program's layout that can still work with it. During a
//! rolling upgrade the version before and the new one run over one store: a new layout must leave the second number alone
//! until no node of the old version is left.

use anyhow::bail;

use crate::store::{Store, StoreError, Txn, keys};

/// The layout that this build writes.
const LAYOUT: u32 = 1;
/// The oldest layout whose builds can work with what this one writes.
const WORKS_FOR: u32 = 1;
/// The oldest layout that this build reads.
const READS_FROM: u32 = 1;

const KEY: &str = "layout";

/// Writes the layout to a store that is new, and refuses one that this build can't work with.
pub(super) async fn check(store: &Store) -> anyhow::Result<()> {
    let (layout, works_for) = store.run_idempotent(read_or_write).await?;
    if LAYOUT < works_for {
        bail!(
            "the store has layout {layout}, which this version of suda (layout {LAYOUT}) can't work with: install a newer one"
        );
    }
    if layout < READS_FROM {
        bail!(
            "the store has layout {layout}, which is too old for this version of suda: upgrade one version at a time"
        );
    }
    Ok(())
}

async fn read_or_write(txn: Txn) -> Result<(u32, u32), StoreError> {
    let key = keys::meta(KEY);
    let Some(value) = txn.get(&key).await? else {
        txn.set(key, [LAYOUT.to_le_bytes(), WORKS_FOR.to_le_bytes()].concat());
        return Ok((LAYOUT, WORKS_FOR));
    };
    let damaged = || StoreError::Corrupt { what: "the key `layout` is not two numbers".to_owned() };
    let number = |at: usize| value.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    Ok((number(0).ok_or_else(damaged)?, number(4).ok_or_else(damaged)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn set(store: &Store, layout: u32, works_for: u32) {
        let write = |txn: Txn| async move {
            txn.set(keys::meta(KEY), [layout.to_le_bytes(), works_for.to_le_bytes()].concat());
            Ok::<_, StoreError>(())
        };
        store.run(write).await.unwrap();
    }

    #[tokio::test]
    async fn a_newer_layout_is_opened_only_if_it_says_so() {
        let store = Store::memory();
        check(&store).await.unwrap();
        check(&store).await.unwrap();
        set(&store, LAYOUT + 1, LAYOUT).await;
        check(&store).await.unwrap();
        set(&store, LAYOUT + 1, LAYOUT + 1).await;
        assert!(check(&store).await.unwrap_err().to_string().contains("newer"));
        set(&store, 0, 0).await;
        assert!(check(&store).await.unwrap_err().to_string().contains("too old"));
    }
}
