//! Refresh tokens: good once, and telling when they were stolen.
//!
//! A refresh gives a new token and makes the presented one the *previous* one. All tokens of a device are a family:
//! they carry the same family secret. What is presented is then one of these:
//!
//! - The current token: rotate.
//! - The previous token, within the grace: the client lost the answer, or two of its threads refreshed at once. It gets the
//!   very same new token again: that is computed from the old token and a random salt, so neither token has to be stored.
//! - Any other token of the family: somebody uses what was used up long ago. Either they or the device are not who we
//!   think, and we can't know which, so the device is logged out.
//! - No token of the family: just wrong. Who guesses can't log anybody out.
//!
//! The store holds only SHA-256 hashes; the tokens are 256 random bits, so nothing slower is needed.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use suda_schema::{DeviceId, UserId};

use crate::clock::Clock;

const PREFIX: &str = "suda_r1_";
const FAMILY_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// A refresh token in the hand of its device.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose.
    pub user: UserId,
    /// Which device's.
    pub device: DeviceId,
    family: [u8; FAMILY_BYTES],
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// The first token of a new family.
    pub fn new(clock: &Clock, user: UserId, device: DeviceId) -> Self {
        Self { user, device, family: clock.random(), secret: clock.random() }
    }

    /// Reads a token from its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let mut bytes = [0; 16 + FAMILY_BYTES + SECRET_BYTES];
        if digits.len() != 2 * bytes.len() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let (user, rest) = bytes.split_first_chunk()?;
        let (device, rest) = rest.split_first_chunk()?;
        let (family, secret) = rest.split_first_chunk()?;
        Some(Self {
            user: UserId(u64::from_be_bytes(*user)),
            device: DeviceId(u64::from_be_bytes(*device)),
            family: *family,
            secret: secret.try_into().ok()?,
        })
    }

    /// The token as text.
    #[must_use]
    pub fn text(&self) -> String {
        let ids = [self.user.0.to_be_bytes(), self.device.0.to_be_bytes()].concat();
        let bytes = ids.iter().chain(&self.family).chain(&self.secret);
        bytes.fold(PREFIX.to_owned(), |mut text, byte| {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
            text
        })
    }

    /// The token that follows this one, with this salt.
    fn next(&self, salt: &[u8; 32]) -> Self {
        let next = Sha256::new_with_prefix(b"suda refresh token")
            .chain_update(salt)
            .chain_update(self.family)
            .chain_update(self.secret)
            .finalize();
        Self { secret: next.into(), ..self.clone() }
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshToken({}, {}, …)", self.user, self.device)
    }
}

/// What is kept of a device's family of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    family: [u8; 32],
    current: [u8; 32],
    /// When the current token runs out.
    pub expires_at_ms: u64,
    previous: Option<Previous>,
}

/// The token before the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Previous {
    hash: [u8; 32],
    salt: [u8; 32],
    rotated_at_ms: u64,
}

/// What a presented token is.
#[derive(Debug, PartialEq, Eq)]
pub enum Presented {
    /// The current one: this is next, and the family has been rotated.
    Rotated(RefreshToken),
    /// The previous one within the grace: this is next, as it was before.
    Again(RefreshToken),
    /// It was good, and has run out.
    Expired,
    /// One that was used up long ago: the family must go.
    Reused,
    /// None of this family.
    Wrong,
}

impl Family {
    /// What is to be kept of a new family.
    #[must_use]
    pub fn new(first: &RefreshToken, expires_at_ms: u64) -> Self {
        Self { family: hash(&first.family), current: hash(&first.secret), expires_at_ms, previous: None }
    }

    /// Whether this is the family of that token, current or not.
    #[must_use]
    pub fn is_of(&self, token: &RefreshToken) -> bool {
        self.family.ct_eq(&hash(&token.family)).into()
    }

    /// Judges a token, and rotates the family if it is the current one.
    pub fn present(&mut self, token: &RefreshToken, salt: [u8; 32], times: &Times) -> Presented {
        if !self.is_of(token) {
            return Presented::Wrong;
        }
        let presented = hash(&token.secret);
        if bool::from(self.current.ct_eq(&presented)) {
            if self.expires_at_ms <= times.now_ms {
                return Presented::Expired;
            }
            let next = token.next(&salt);
            self.current = hash(&next.secret);
            self.expires_at_ms = times.now_ms.saturating_add(times.lifetime_ms);
            self.previous = Some(Previous { hash: presented, salt, rotated_at_ms: times.now_ms });
            return Presented::Rotated(next);
        }
        match &self.previous {
            Some(previous)
                if bool::from(previous.hash.ct_eq(&presented))
                    && times.now_ms.saturating_sub(previous.rotated_at_ms) <= times.grace_ms =>
            {
                Presented::Again(token.next(&previous.salt))
            }
            _ => Presented::Reused,
        }
    }
}

/// The times that a token is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Now.
    pub now_ms: u64,
    /// How long the next token lasts.
    pub lifetime_ms: u64,
    /// For how long the previous token still counts.
    pub grace_ms: u64,
}

fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { now_ms: 1_000, lifetime_ms: 10_000, grace_ms: 100 };

    fn first() -> (RefreshToken, Family) {
        let token = RefreshToken::new(&Clock::manual(0, 7), UserId(1), DeviceId(2));
        let family = Family::new(&token, 5_000);
        (token, family)
    }

    fn rotated(presented: Presented) -> RefreshToken {
        match presented {
            Presented::Rotated(next) => next,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_survives_its_text() {
        let (token, _) = first();
        assert_eq!(RefreshToken::parse(&token.text()), Some(token.clone()));
        for bad in ["", "suda_r1_", &token.text()[..50], &token.text().replace("suda_r1_", "x")] {
            assert_eq!(RefreshToken::parse(bad), None);
        }
        assert_eq!(RefreshToken::parse(&token.text().replace('0', "+")), None);
        assert!(!format!("{token:?}").contains(&token.text()[60..]));
    }

    #[test]
    fn a_lost_answer_is_given_again_and_the_chain_goes_on() {
        let (first, mut family) = first();
        let second = rotated(family.present(&first, [1; 32], &TIMES));
        let again = family.present(&first, [2; 32], &Times { now_ms: 1_100, ..TIMES });
        assert_eq!(again, Presented::Again(second.clone()));
        let third = rotated(family.present(&second, [3; 32], &TIMES));
        assert_ne!(third, second);
    }

    #[test]
    fn what_was_used_up_betrays_its_user() {
        let (first, mut family) = first();
        let second = rotated(family.present(&first, [1; 32], &TIMES));
        assert_eq!(family.present(&first, [2; 32], &Times { now_ms: 1_101, ..TIMES }), Presented::Reused);
        rotated(family.present(&second, [3; 32], &TIMES));
        assert_eq!(family.present(&first, [4; 32], &TIMES), Presented::Reused);
    }

    #[test]
    fn a_guess_is_only_wrong() {
        let (first, mut family) = first();
        let guess = RefreshToken { family: [0; 16], ..first };
        assert_eq!(family.present(&guess, [1; 32], &TIMES), Presented::Wrong);
    }

    #[test]
    fn a_token_runs_out() {
        let (first, mut family) = first();
        assert_eq!(family.present(&first, [1; 32], &Times { now_ms: 5_000, ..TIMES }), Presented::Expired);
    }
}
