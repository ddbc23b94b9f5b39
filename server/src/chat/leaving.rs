//! Deleting an account.
//!
//! One transaction ends it: nobody logs in any more, live links end, the profile is gone. What is left behind can be
//! more than one transaction holds, and is erased step by step by a job that remembers nothing but whose account it is:
//! each step does away with what it has found, so a job that is cut short is simply begun again.
//!
//! What stays is the id, so that the logs of channels keep their entries in place; and the handle, which is never given to
//! anybody else.

use suda_schema::{DeviceId, Seq, UserId};

use super::accounts::{self, Account, Standing};
use super::profile::Profile;
use super::{Chat, ChatError, Topic, Tx, devices, friends};
use crate::store::keys;

/// How many relations, or partners, one transaction does away with.
const ERASED_AT_ONCE: usize = 50;
/// How many accounts one call of [`Chat::erase_leaving`] looks at.
const LEAVING_PAGE: usize = 100;

impl Chat {
    /// Deletes one's own account. An account with a password is deleted only with it. What the account has left behind
    /// is erased in the background, or by [`Chat::erase_leaving`] if that is cut short.
    pub async fn delete_account(&self, user: UserId, password: Option<&str>) -> Result<(), ChatError> {
        let has_password = self.read(|tx| async move { Ok(tx.get(&keys::password(user)).await?.is_some()) }).await?;
        if has_password {
            self.confirm_password(user, password.ok_or(ChatError::WrongCredentials)?).await?;
        }
        self.delete_account_as_operator(user).await
    }

    /// The same for the operator, who needs no password.
    pub async fn delete_account_as_operator(&self, user: UserId) -> Result<(), ChatError> {
        self.run_idempotent(|tx| async move { end(&tx, user).await }).await?;
        let chat = self.clone();
        tokio::spawn(async move {
            if let Err(error) = chat.erase(user).await {
                tracing::warn!(%user, %error, "a deleted account is not erased yet; it is tried again later");
            }
        });
        Ok(())
    }

    /// Goes on with the erasure of deleted accounts, for a node to call when it starts and now and then. How many
    /// accounts were erased to the end.
    pub async fn erase_leaving(&self) -> Result<usize, ChatError> {
        let leaving = self
            .read(|tx| async move {
                let page = tx.range(keys::all_leaving().limit(LEAVING_PAGE)).await?;
                let users: Option<Vec<UserId>> = page.rows.iter().map(|(key, _)| keys::leaving_of(key)).collect();
                users.ok_or(ChatError::BadRow("leaving account"))
            })
            .await?;
        for &user in &leaving {
            self.erase(user).await?;
        }
        Ok(leaving.len())
    }

    async fn erase(&self, user: UserId) -> Result<(), ChatError> {
        while self.run_idempotent(|tx| async move { forget_some(&tx, user).await }).await? {}
        while self.run_idempotent(|tx| async move { forget_some_partners(&tx, user).await }).await? {}
        self.erase_user_from_channels(user).await?;
        self.run_idempotent(|tx| async move {
            let entries = keys::user_entries_after(user, Seq::ZERO);
            for range in [entries, keys::external_devices(user)] {
                tx.clear_range(range.begin(), range.end());
            }
            for key in [keys::user_head(user), keys::presence(user), keys::list_counts(user), keys::leaving(user)] {
                tx.clear(key);
            }
            Ok(())
        })
        .await
    }
}

/// The end of an account, except for what it has left behind.
async fn end(tx: &Tx, user: UserId) -> Result<(), ChatError> {
    let account = accounts::known(tx, user).await?;
    if !account.is_live() {
        return Ok(());
    }
    let gone = Account {
        handle: String::new(),
        standing: Standing::Gone { at_ms: tx.now_ms() },
        external: None,
        profile: Profile::default(),
        ..account
    };
    accounts::put(tx, user, &gone);
    accounts::count(tx, -1);
    tx.clear(keys::password(user));
    tx.clear(keys::settings(user));
    // No device has the id 0: all of them go.
    devices::remove_others(tx, user, DeviceId(0)).await?;
    tx.set(keys::leaving(user), Vec::new());
    tx.wake(Topic::User(user));
    tx.wake(Topic::Presence(user));
    Ok(())
}

/// Does away with some of what was between the user and others; whether there was anything.
async fn forget_some(tx: &Tx, user: UserId) -> Result<bool, ChatError> {
    let others = friends::anybody(tx, user, ERASED_AT_ONCE).await?;
    for &other in &others {
        friends::forget(tx, user, other).await?;
    }
    Ok(!others.is_empty())
}

async fn forget_some_partners(tx: &Tx, user: UserId) -> Result<bool, ChatError> {
    let page = tx.range(keys::partners(user).limit(ERASED_AT_ONCE)).await?;
    for (key, _) in &page.rows {
        let partner = keys::partner_of(key).ok_or(ChatError::BadRow("partner"))?;
        tx.clear(keys::partner(partner, user));
        tx.clear(key);
    }
    Ok(!page.rows.is_empty())
}
