//! Accounts: signing up, logging in, changing the password.
//!
//! Whether a handle exists is no secret, people are found by it; but a failed login never says whether it was the handle
//! or the password, neither by its words nor by its time: without an account a password is hashed all the same.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use suda_schema::{DeviceId, UserId};
use utoipa::ToSchema;

use super::auth::refresh::{Family, RefreshToken};
use super::auth::{Login, Passwords, access};
use super::devices::{self, Device, NewDevice};
use super::profile::{Profile, clean_display_name, normalise_handle};
use super::{Chat, ChatError, Row, Topic, Tx};
use crate::store::keys;

/// An account as it is stored, with the profile: what is looked up together lies together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The handle, in lower case. It is never given to anybody else, so that nobody can pass for who was there before.
    pub handle: String,
    /// When the account was made.
    pub made_at_ms: u64,
    /// Whether it lives.
    pub standing: Standing,
    /// Whom it is at the operator's identity provider; `None` for suda's own accounts.
    pub external: Option<External>,
    /// What users say about themselves.
    pub profile: Profile,
}

/// Whether an account lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does.
    Live,
    /// It was deleted at this time, and what it left is being erased or has been.
    Gone {
        /// When.
        at_ms: u64,
    },
}

/// A user at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// The provider.
    pub issuer: String,
    /// Its name for the user.
    pub subject: String,
}

impl Row for Account {
    const NAME: &'static str = "account";
}

impl Account {
    /// Whether the account lives.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.standing == Standing::Live
    }
}

/// A user's password, hashed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Password {
    pub(super) hashed: String,
    pub(super) changed_at_ms: u64,
}

impl Row for Password {
    const NAME: &'static str = "password";
}

/// What it takes to sign up.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SignUp {
    /// The wanted handle.
    pub handle: String,
    /// The name that is shown; empty: the handle.
    #[serde(default)]
    pub display_name: String,
    /// 8 to 1024 bytes.
    pub password: String,
    /// The device that is logged in at once.
    pub device: NewDevice,
}

/// The account of a user; `None` if there never was one.
pub(super) async fn get(tx: &Tx, user: UserId) -> Result<Option<Account>, ChatError> {
    tx.row(&keys::user(user)).await
}

/// The account of a user who is there; one that was deleted is not found.
pub(super) async fn live(tx: &Tx, user: UserId) -> Result<Account, ChatError> {
    get(tx, user).await?.filter(Account::is_live).ok_or(ChatError::NotFound("user"))
}

/// The account of a user, deleted or not.
pub(super) async fn known(tx: &Tx, user: UserId) -> Result<Account, ChatError> {
    get(tx, user).await?.ok_or(ChatError::NotFound("user"))
}

/// Writes an account.
pub(super) fn put(tx: &Tx, user: UserId, account: &Account) {
    tx.set_row(keys::user(user), account);
}

/// Who has this handle, which is in its normal form. They may be gone: a handle stays with whom it was given to.
pub(super) async fn by_handle(tx: &Tx, handle: &str) -> Result<Option<UserId>, ChatError> {
    tx.get(&keys::handle(handle)).await?.map(|value| user_of_handle(&value)).transpose()
}

/// The user in a handle's row.
pub(super) fn user_of_handle(value: &Bytes) -> Result<UserId, ChatError> {
    let number = value.as_ref().try_into().map_err(|_| ChatError::BadRow("handle"))?;
    Ok(UserId(u64::from_le_bytes(number)))
}

/// Counts accounts that live.
pub(super) fn count(tx: &Tx, change: i64) {
    tx.add(keys::meta("accounts"), change);
}

/// How many accounts live.
pub(super) async fn counted(tx: &Tx) -> Result<u64, ChatError> {
    let count = tx.get(&keys::meta("accounts")).await?;
    let number = count.map(|count| count.as_ref().try_into().map(u64::from_le_bytes));
    number.transpose().map(Option::unwrap_or_default).map_err(|_| ChatError::BadRow("account count"))
}

/// Makes an account. It is an error if the handle is taken; if the id is, the caller tries another.
pub(super) async fn make(tx: &Tx, user: UserId, account: &Account) -> Result<(), ChatError> {
    if by_handle(tx, &account.handle).await?.is_some() {
        return Err(ChatError::Conflict("this handle is taken"));
    }
    if get(tx, user).await?.is_some() {
        return Err(ChatError::Internal("an id was made twice: is the clock behind?"));
    }
    put(tx, user, account);
    count(tx, 1);
    tx.set(keys::handle(&account.handle), user.0.to_le_bytes().to_vec());
    Ok(())
}

impl Chat {
    /// Makes an account and logs its first device in.
    pub async fn sign_up(&self, request: &SignUp) -> Result<Login, ChatError> {
        self.own_accounts()?;
        if !self.auth().config.open_sign_up {
            return Err(ChatError::Forbidden("accounts are made by the operator"));
        }
        self.make_account(request).await
    }

    /// The same for the operator, who may always.
    pub async fn make_account(&self, request: &SignUp) -> Result<Login, ChatError> {
        let handle = &normalise_handle(&request.handle)?;
        let display_name = &clean_display_name(&request.display_name, handle)?;
        Passwords::check(&request.password)?;
        request.device.check()?;
        // Handles are no secret, and a hash is dear.
        if self.read(|tx| async move { by_handle(&tx, handle).await }).await?.is_some() {
            return Err(ChatError::Conflict("this handle is taken"));
        }
        let hashed = &self.auth().passwords.hash(&request.password).await?;
        let (user, device) = (self.ids().user(), self.ids().device());
        let token = &RefreshToken::new(self.clock(), user, device);
        let made = self
            .run_idempotent(|tx| async move {
                if by_handle(&tx, handle).await? == Some(user) {
                    // An earlier try whose outcome was unknown.
                    return devices::get(&tx, user, device).await?.ok_or(ChatError::NotFound("device"));
                }
                let profile = Profile { display_name: display_name.clone(), ..Profile::default() };
                let account = Account {
                    handle: handle.clone(),
                    made_at_ms: tx.now_ms(),
                    standing: Standing::Live,
                    external: None,
                    profile,
                };
                make(&tx, user, &account).await?;
                let password = Password { hashed: hashed.clone(), changed_at_ms: tx.now_ms() };
                tx.set_row(keys::password(user), &password);
                let new = Device::new(&request.device, tx.now_ms(), Some(self.family(token, &tx)));
                devices::add(&tx, user, device, new).await.map(|(device, _)| device)
            })
            .await?;
        self.login_of(token, &made, Vec::new()).await
    }

    /// Logs a new device in.
    pub async fn login(&self, handle: &str, password: &str, new: &NewDevice) -> Result<Login, ChatError> {
        self.own_accounts()?;
        new.check()?;
        let handle = normalise_handle(handle).unwrap_or_default();
        let (user, hashed) = self.checked_password(&handle, password).await?;
        let rehashed = if self.auth().passwords.is_outdated(&hashed) {
            Some(self.auth().passwords.hash(password).await?)
        } else {
            None
        };
        let (hashed, rehashed) = (&hashed, rehashed.as_ref());
        let device = self.ids().device();
        let token = &RefreshToken::new(self.clock(), user, device);
        let (made, logged_out) = self
            .run_idempotent(|tx| async move {
                live(&tx, user).await.map_err(|_| ChatError::WrongCredentials)?;
                let password: Option<Password> = tx.row(&keys::password(user)).await?;
                let mut password = password.ok_or(ChatError::WrongCredentials)?;
                let earlier = devices::get(&tx, user, device).await?;
                if let Some(earlier) = earlier.filter(|device| device.is_of(token)) {
                    return Ok((earlier, Vec::new()));
                }
                if password.hashed != *hashed {
                    // It was changed while we verified the old one.
                    return Err(ChatError::WrongCredentials);
                }
                if let Some(rehashed) = rehashed {
                    password.hashed.clone_from(rehashed);
                    tx.set_row(keys::password(user), &password);
                }
                let new = Device::new(new, tx.now_ms(), Some(self.family(token, &tx)));
                devices::add(&tx, user, device, new).await
            })
            .await?;
        self.login_of(token, &made, logged_out).await
    }

    /// Changes one's password. All other devices are logged out; this one gets new tokens, because the old ones may be
    /// what made the change necessary. Its live links end and come back with the new ones.
    pub async fn change_password(
        &self,
        user: UserId,
        device: DeviceId,
        old: &str,
        new: &str,
    ) -> Result<Login, ChatError> {
        self.own_accounts()?;
        Passwords::check(new)?;
        let hashed = &self.verified_hash(user, old).await?;
        let rehashed = &self.auth().passwords.hash(new).await?;
        let token = &RefreshToken::new(self.clock(), user, device);
        let (made, logged_out) = self
            .run_idempotent(|tx| async move {
                live(&tx, user).await?;
                let mut password: Password = tx.row(&keys::password(user)).await?.ok_or(ChatError::WrongCredentials)?;
                let mut mine = devices::get(&tx, user, device).await?.ok_or(ChatError::NotFound("device"))?;
                if password.hashed == *rehashed && mine.is_of(token) {
                    // An earlier try whose outcome was unknown. Whom it logged out is no longer to be seen.
                    return Ok((mine, Vec::new()));
                }
                if password.hashed != *hashed {
                    return Err(ChatError::WrongCredentials);
                }
                password = Password { hashed: rehashed.clone(), changed_at_ms: tx.now_ms() };
                tx.set_row(keys::password(user), &password);
                let logged_out = devices::remove_others(&tx, user, device).await?;
                mine.begin_generation(self.family(token, &tx));
                devices::put(&tx, user, device, &mine);
                tx.wake(Topic::User(user));
                Ok((mine, logged_out))
            })
            .await?;
        self.login_of(token, &made, logged_out).await
    }

    /// Whether this is the user's password: for what is worth asking again, such as deleting the account.
    pub async fn confirm_password(&self, user: UserId, password: &str) -> Result<(), ChatError> {
        self.verified_hash(user, password).await.map(drop)
    }

    /// The user with this handle, and the hash of their password that was verified.
    async fn checked_password(&self, handle: &str, password: &str) -> Result<(UserId, String), ChatError> {
        let found = self
            .read(|tx| async move {
                // Without a user a row is looked for all the same: that takes its time too.
                let user = by_handle(&tx, handle).await?.unwrap_or_default();
                let row: Option<Password> = tx.row(&keys::password(user)).await?;
                Ok(row.map(|row| (user, row.hashed)))
            })
            .await?;
        let hashed = found.as_ref().map(|(_, hashed)| hashed.as_str());
        let right = self.auth().passwords.verify(password, hashed).await?;
        found.filter(|_| right).ok_or(ChatError::WrongCredentials)
    }

    async fn verified_hash(&self, user: UserId, password: &str) -> Result<String, ChatError> {
        let row: Option<Password> = self.read(|tx| async move { tx.row(&keys::password(user)).await }).await?;
        let hashed = row.map(|row| row.hashed);
        let right = self.auth().passwords.verify(password, hashed.as_deref()).await?;
        hashed.filter(|_| right).ok_or(ChatError::WrongCredentials)
    }

    fn own_accounts(&self) -> Result<(), ChatError> {
        let own = self.auth().config.own_accounts;
        if own { Ok(()) } else { Err(ChatError::Forbidden("accounts come from the operator's identity provider")) }
    }

    /// What is kept of a token that begins a family.
    fn family(&self, token: &RefreshToken, tx: &Tx) -> Family {
        Family::new(token, tx.now_ms().saturating_add(self.auth().config.refresh_ms))
    }

    /// The answer to a login: the device's tokens.
    pub(super) async fn login_of(
        &self,
        token: &RefreshToken,
        device: &Device,
        logged_out: Vec<DeviceId>,
    ) -> Result<Login, ChatError> {
        let now_ms = self.clock().now_ms();
        let access = access::Access {
            user: token.user,
            device: token.device,
            generation: device.generation,
            issued_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(self.auth().config.access_ms),
        };
        let tokens = super::auth::Tokens {
            access: self.sign_access(&access).await?,
            access_expires_at_ms: access.expires_at_ms,
            refresh: token.text(),
            refresh_expires_at_ms: device.refresh_expires_at_ms(),
        };
        Ok(Login { user: token.user, device: token.device, tokens, logged_out })
    }
}
