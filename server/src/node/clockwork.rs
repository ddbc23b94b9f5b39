//! The latest time that the store has seen, so that a clock that went back is noticed before ids and times are made by it.

use std::time::Duration;

use crate::clock::Clock;
use crate::store::{Store, StoreError, keys};

/// How often the time is written down.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// A clock that is behind by less than this is as good as right: nodes' clocks differ.
pub const BEHIND_MS_TOLERATED: u64 = 2_000;

const KEY: &str = "latest_ms";

/// The latest time that any node of this store has written down; `None` if none ever has.
pub async fn latest_ms(store: &Store) -> Result<Option<u64>, StoreError> {
    let value = store.read(|txn| async move { txn.get(&keys::meta(KEY)).await }).await?;
    Ok(value.and_then(|value| value.as_ref().try_into().ok()).map(u64::from_le_bytes))
}

/// By how much this clock is behind the latest time written down, if it is by more than is tolerated.
pub async fn behind_ms(store: &Store, clock: &Clock) -> Result<Option<u64>, StoreError> {
    let behind = latest_ms(store).await?.unwrap_or(0).saturating_sub(clock.now_ms());
    Ok((behind > BEHIND_MS_TOLERATED).then_some(behind))
}

/// Writes the time down.
pub async fn write(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let now_ms = clock.now_ms();
    let write = move |txn: crate::store::Txn| async move {
        txn.max(keys::meta(KEY), now_ms);
        Ok(())
    };
    store.run_idempotent(write).await
}

/// Writes the time down for ever, now and then.
pub(super) async fn keep_writing(store: Store, clock: Clock) {
    loop {
        if let Err(error) = write(&store, &clock).await {
            tracing::warn!(%error, "the time can't be written down");
        }
        tokio::time::sleep(WRITE_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_went_back_is_noticed() {
        let store = Store::memory();
        assert_eq!(latest_ms(&store).await, Ok(None));
        assert_eq!(behind_ms(&store, &Clock::manual(5, 1)).await, Ok(None));
        write(&store, &Clock::manual(100_000, 1)).await.unwrap();
        write(&store, &Clock::manual(90_000, 1)).await.unwrap();
        assert_eq!(latest_ms(&store).await, Ok(Some(100_000)));
        assert_eq!(behind_ms(&store, &Clock::manual(99_000, 1)).await, Ok(None));
        assert_eq!(behind_ms(&store, &Clock::manual(90_000, 1)).await, Ok(Some(10_000)));
    }
}
