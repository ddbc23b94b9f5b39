//! What the operator does about accounts, beside [making](Chat::make_account) and
//! [deleting](Chat::delete_account_as_operator) them.

use serde::{Deserialize, Serialize};
use suda_schema::UserId;

use super::accounts::{self, Account, Password};
use super::auth::Passwords;
use super::profile::normalise_handle;
use super::{Chat, ChatError, devices, tx};
use crate::store::{Range, keys};

/// The most accounts in one page.
pub const ACCOUNTS_PAGE_MAX: usize = 500;

/// An account as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountInfo {
    /// Whose.
    pub user: UserId,
    /// The account.
    pub account: Account,
}

/// A page of accounts, in the order of ids, which is that of their making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsPage {
    /// The accounts, deleted ones included.
    pub accounts: Vec<AccountInfo>,
    /// After whom the next page begins; `None` after the last.
    pub next: Option<UserId>,
}

impl Chat {
    /// A page of all accounts, after this user.
    pub async fn accounts(&self, after: Option<UserId>, limit: usize) -> Result<AccountsPage, ChatError> {
        self.read(|tx| async move {
            let all = keys::users();
            let begin = after.map_or_else(|| all.begin().to_vec(), |after| crate::store::after_key(&keys::user(after)));
            let rows = Range::new(begin, all.end()).limit(limit.clamp(1, ACCOUNTS_PAGE_MAX));
            let page = tx.range(rows).await?;
            let info = |(key, value): &(bytes::Bytes, bytes::Bytes)| {
                let user = keys::last_number(key).map(UserId).ok_or(ChatError::BadRow("account"))?;
                Ok(AccountInfo { user, account: tx::decode_row(value)? })
            };
            let accounts: Vec<AccountInfo> = page.rows.iter().map(info).collect::<Result<_, ChatError>>()?;
            let next = accounts.last().filter(|_| page.more).map(|last| last.user);
            Ok(AccountsPage { accounts, next })
        })
        .await
    }

    /// One account by its id, or by its handle, also that of somebody who does not want to be found. A handle may look
    /// like an id: `@` before it says that it is none.
    pub async fn account(&self, id_or_handle: &str) -> Result<AccountInfo, ChatError> {
        self.read(|tx| async move {
            if let Ok(user) = id_or_handle.parse()
                && let Some(account) = accounts::get(&tx, user).await?
            {
                return Ok(AccountInfo { user, account });
            }
            let handle = normalise_handle(id_or_handle.strip_prefix('@').unwrap_or(id_or_handle))?;
            let user = accounts::by_handle(&tx, &handle).await?.ok_or(ChatError::NotFound("account"))?;
            Ok(AccountInfo { user, account: accounts::known(&tx, user).await? })
        })
        .await
    }

    /// How many accounts live.
    pub async fn account_count(&self) -> Result<u64, ChatError> {
        self.read(|tx| async move { accounts::counted(&tx).await }).await
    }

    /// Gives an account another password, for somebody who has forgotten theirs. All devices are logged out.
    pub async fn reset_password(&self, user: UserId, new: &str) -> Result<(), ChatError> {
        Passwords::check(new)?;
        let hashed = &self.auth().passwords.hash(new).await?;
        self.run_idempotent(|tx| async move {
            accounts::live(&tx, user).await?;
            tx.set_row(keys::password(user), &Password { hashed: hashed.clone(), changed_at_ms: tx.now_ms() });
            // No device has the id 0: all of them go.
            devices::remove_others(&tx, user, Default::default()).await.map(drop)
        })
        .await
    }
}
