//! Passwords: argon2id, off the async threads, behind a cap.
//!
//! A hash costs some 20 MiB and tens of milliseconds by design, so a flood of logins must not take the node down: only so
//! many run at once, only so many wait, and only for so long; the rest is told to come back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::chat::ChatError;
use crate::clock::Clock;

/// The fewest bytes in a password.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// The most bytes in a password.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// How passwords are hashed, and how many at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordConfig {
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes of one hash.
    pub lanes: u32,
    /// How many hashes run at once.
    pub running_max: usize,
    /// How many may wait for a turn; the next is refused at once.
    pub waiting_max: usize,
    /// How long one waits for a turn before it is refused, in milliseconds.
    pub wait_ms_max: u64,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory_kib: 19 << 10,
            passes: 2,
            lanes: 1,
            // Half of the cores stay for everybody who is logged in already.
            running_max: (cores / 2).max(1),
            waiting_max: 64,
            wait_ms_max: 5_000,
        }
    }
}

/// Hashes and verifies passwords.
pub struct Passwords {
    config: PasswordConfig,
    params: Params,
    clock: Clock,
    running: Arc<Semaphore>,
    /// Those that run and those that wait together.
    admitted: Arc<Semaphore>,
    /// What a password is verified against where there is no account, so that it takes as long.
    nobody: OnceLock<String>,
    refused: AtomicU64,
}

impl Passwords {
    /// A hasher. Parameters that argon2 does not know are an error.
    pub fn new(config: PasswordConfig, clock: Clock) -> Result<Self, argon2::Error> {
        let params = Params::new(config.memory_kib, config.passes, config.lanes, None)?;
        let running = config.running_max.max(1);
        Ok(Self {
            params,
            clock,
            running: Arc::new(Semaphore::new(running)),
            admitted: Arc::new(Semaphore::new(running.saturating_add(config.waiting_max).min(Semaphore::MAX_PERMITS))),
            nobody: OnceLock::new(),
            refused: AtomicU64::new(0),
            config,
        })
    }

    /// Whether this could be a password.
    pub fn check(password: &str) -> Result<(), ChatError> {
        match password.len() {
            0..PASSWORD_BYTES_MIN => Err(ChatError::invalid("password", "shorter than 8 bytes")),
            PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX => Ok(()),
            _ => Err(ChatError::TooLarge { field: "password", max: PASSWORD_BYTES_MAX, unit: "bytes" }),
        }
    }

    /// The hash of a new password, in the PHC format, with its salt and parameters.
    pub async fn hash(&self, password: &str) -> Result<String, ChatError> {
        let (params, salt) = (self.params.clone(), self.clock.random::<16>());
        let password = password.to_owned();
        self.on_a_thread(move || hash(params, &salt, &password)).await
    }

    /// Whether this is the password that was hashed. Without a hash it takes as long, and is false.
    pub async fn verify(&self, password: &str, hashed: Option<&str>) -> Result<bool, ChatError> {
        // What can't be a password is nobody's, whether there is an account or not.
        if Self::check(password).is_err() {
            return Ok(false);
        }
        let (exists, hashed) = match hashed {
            Some(hashed) => (true, hashed.to_owned()),
            None => (false, self.nobody().await?),
        };
        let password = password.to_owned();
        let verified = self.on_a_thread(move || verify(&password, &hashed)).await?;
        Ok(exists && verified)
    }

    /// Whether a password should be hashed anew, because the parameters have changed since.
    pub fn is_outdated(&self, hashed: &str) -> bool {
        let now = &self.params;
        let then = PasswordHash::new(hashed).ok().and_then(|hash| Params::try_from(&hash).ok());
        then.is_none_or(|then| {
            (then.m_cost(), then.t_cost(), then.p_cost()) != (now.m_cost(), now.t_cost(), now.p_cost())
        })
    }

    /// How many were refused because too many waited, for the metrics.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    async fn nobody(&self) -> Result<String, ChatError> {
        if let Some(hashed) = self.nobody.get() {
            return Ok(hashed.clone());
        }
        let hashed = self.hash("a password of nobody").await?;
        Ok(self.nobody.get_or_init(|| hashed).clone())
    }

    /// Makes what the first failed login would otherwise have to make, and be slower for.
    pub async fn warm_up(&self) -> Result<(), ChatError> {
        self.nobody().await.map(drop)
    }

    /// Has everybody refused for as long as this is held.
    #[cfg(test)]
    pub(crate) fn hold_all_turns(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.admitted.available_permits()).unwrap();
        Arc::clone(&self.admitted).try_acquire_many_owned(all).unwrap()
    }

    async fn on_a_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ChatError> + Send + 'static,
    ) -> Result<T, ChatError> {
        let turn = self.turn().await?;
        // The thread holds the turn, because it runs on when the caller goes away.
        let on_a_thread = move || {
            let result = work();
            drop(turn);
            result
        };
        tokio::task::spawn_blocking(on_a_thread)
            .await
            .map_err(|_| ChatError::Internal("a password thread ended early"))?
    }

    async fn turn(&self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), ChatError> {
        let refuse = || {
            self.refused.fetch_add(1, Ordering::Relaxed);
            ChatError::Overloaded { what: "too many passwords at once", wait_ms: BUSY_WAIT_MS }
        };
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| refuse())?;
        let wait = Duration::from_millis(self.config.wait_ms_max);
        match tokio::time::timeout(wait, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(running)) => Ok((admitted, running)),
            _ => Err(refuse()),
        }
    }
}

/// How long somebody is asked to wait who found too many passwords being hashed.
const BUSY_WAIT_MS: u64 = 1_000;

fn hash(params: Params, salt: &[u8], password: &str) -> Result<String, ChatError> {
    let salt = SaltString::encode_b64(salt).map_err(|_| ChatError::Internal("a salt can't be encoded"))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map(|hashed| hashed.to_string())
        .map_err(|_| ChatError::Internal("a password can't be hashed"))
}

fn verify(password: &str, hashed: &str) -> Result<bool, ChatError> {
    let hashed = PasswordHash::new(hashed).map_err(|_| ChatError::BadRow("password"))?;
    match Argon2::default().verify_password(password.as_bytes(), &hashed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(_) => Err(ChatError::BadRow("password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> PasswordConfig {
        PasswordConfig { memory_kib: 8, passes: 1, running_max: 1, waiting_max: 1, ..PasswordConfig::default() }
    }

    fn passwords(config: PasswordConfig) -> Passwords {
        Passwords::new(config, Clock::manual(0, 1)).unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = passwords(cheap());
        let hashed = passwords.hash("correct horse").await.unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(passwords.verify("correct horse", Some(&hashed)).await.unwrap());
        assert!(!passwords.verify("correct horsf", Some(&hashed)).await.unwrap());
        assert!(!passwords.verify("short", Some(&hashed)).await.unwrap());
        assert!(!passwords.verify("a password of nobody", None).await.unwrap());
        assert_ne!(hashed, passwords.hash("correct horse").await.unwrap());
    }

    #[tokio::test]
    async fn other_parameters_still_verify_and_are_noticed() {
        let old = passwords(cheap());
        let new = passwords(PasswordConfig { passes: 2, ..cheap() });
        let hashed = old.hash("correct horse").await.unwrap();
        assert!(!old.is_outdated(&hashed));
        assert!(new.is_outdated(&hashed));
        assert!(new.verify("correct horse", Some(&hashed)).await.unwrap());
    }

    #[test]
    fn lengths_are_counted_in_bytes() {
        assert!(Passwords::check("1234567").is_err());
        assert!(Passwords::check("12345678").is_ok());
        assert!(Passwords::check("é1234567").is_ok());
        assert!(Passwords::check(&"x".repeat(1_024)).is_ok());
        assert!(matches!(Passwords::check(&"x".repeat(1_025)), Err(ChatError::TooLarge { .. })));
    }

    #[test]
    fn impossible_parameters_are_an_error() {
        assert!(Passwords::new(PasswordConfig { passes: 0, ..cheap() }, Clock::manual(0, 1)).is_err());
    }

    #[tokio::test]
    async fn the_one_too_many_is_refused_and_waiting_ends() {
        let passwords = passwords(PasswordConfig { wait_ms_max: 20, ..cheap() });
        let running = passwords.turn().await.unwrap();
        let (waited, refused) = tokio::join!(passwords.turn(), async {
            tokio::task::yield_now().await;
            passwords.turn().await
        });
        assert!(matches!(waited, Err(ChatError::Overloaded { .. })));
        assert!(matches!(refused, Err(ChatError::Overloaded { .. })));
        assert_eq!(passwords.refused(), 2);
        drop(running);
        assert!(passwords.turn().await.is_ok());
    }
}
