//! Who is calling: passwords, suda's own tokens, and those of an operator's identity provider.
//!
//! | module | idea |
//! |---|---|
//! | [`password`] | argon2id behind a cap |
//! | [`access`] | access tokens: short-lived, signed, verified without the store |
//! | [`refresh`] | refresh tokens: rotating, reuse detected |
//! | [`external`] | JWTs of an operator's own identity provider; users made at first sight |
//! | [`jwks`] | that provider's public keys, fetched and kept |
//! | [`session`] | from a token to a caller, and whether the caller still may |

pub mod access;
pub mod external;
pub mod jwks;
pub mod password;
pub mod refresh;
pub mod session;

use serde::{Deserialize, Serialize};
use suda_schema::{DeviceId, UserId};

pub use external::{ExternalConfig, ExternalKey};
pub use password::{PasswordConfig, Passwords};
pub use session::{Caller, SessionState};

use super::{Chat, ChatError};
use crate::clock::Clock;

/// How accounts are come by, and how long tokens last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// Whether suda has accounts of its own: sign-up and login by handle and password.
    pub own_accounts: bool,
    /// Whether anybody may sign up. Off: only the operator makes accounts.
    pub open_sign_up: bool,
    /// How passwords are hashed.
    pub passwords: PasswordConfig,
    /// How long an access token lasts. A revoked device's live links end at once, whatever this is.
    pub access_ms: u64,
    /// How long a refresh token lasts; a device that stays away for longer has to log in again.
    pub refresh_ms: u64,
    /// For how long the refresh token before the current one still gets the current one: for clients that lost the answer.
    pub refresh_grace_ms: u64,
    /// The operator's own identity provider.
    pub external: Option<ExternalConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            own_accounts: true,
            open_sign_up: true,
            passwords: PasswordConfig::default(),
            access_ms: 15 * 60_000,
            refresh_ms: 90 * 24 * 3_600_000,
            refresh_grace_ms: 30_000,
            external: None,
        }
    }
}

/// What a device authenticates with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// When it runs out.
    pub access_expires_at_ms: u64,
    /// The refresh token, good for one new pair.
    pub refresh: String,
    /// When it runs out.
    pub refresh_expires_at_ms: u64,
}

/// A device that is logged in now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// What it authenticates with from now on.
    pub tokens: Tokens,
    /// The devices that this logged out: over the limit, or all others at a change of the password.
    pub logged_out: Vec<DeviceId>,
}

/// The parts of [`Chat`] that authenticate.
pub(super) struct Auth {
    pub(super) config: AuthConfig,
    pub(super) passwords: Passwords,
    pub(super) access: access::AccessKeys,
    pub(super) external: Option<external::Verifier>,
}

impl Auth {
    pub(super) fn new(config: AuthConfig, clock: &Clock) -> Result<Self, ChatError> {
        let passwords = Passwords::new(config.passwords.clone(), clock.clone())
            .map_err(|error| ChatError::invalid("passwords", format!("argon2 can't do this: {error}")))?;
        let external = config.external.clone().map(|config| external::Verifier::new(config, clock.clone()));
        Ok(Self { passwords, access: access::AccessKeys::default(), external: external.transpose()?, config })
    }
}

impl Chat {
    /// Makes and reads what the first callers would otherwise have to wait for: the signing key, and the hash against
    /// which passwords are verified that are nobody's.
    pub async fn warm_up(&self) -> Result<(), ChatError> {
        self.auth().passwords.warm_up().await?;
        self.read_signing_keys().await.map(drop)
    }

    /// How many passwords were not looked at because too many waited, for the metrics.
    #[must_use]
    pub fn passwords_refused(&self) -> u64 {
        self.auth().passwords.refused()
    }
}
