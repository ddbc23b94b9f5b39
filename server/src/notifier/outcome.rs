//! What became of a push.

use super::wire::WireError;

/// What a provider made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has taken it.
    Sent,
    /// The address is none any more. With a time: unless it was registered after that.
    Gone(&'static str, Option<u64>),
    /// It will never take it.
    Refused(String),
    /// Not now; this one may be tried again, at the soonest after so long.
    Later(String, Option<u64>),
    /// The provider itself is in trouble, or does not like us. Nothing goes to it for a while.
    Down(String, Option<u64>),
    /// It was not asked: it is left alone until then.
    Blocked(u64),
}

impl Outcome {
    /// No answer.
    #[must_use]
    pub fn of_error(error: &WireError) -> Self {
        match error {
            WireError::Forbidden(_) => Self::Refused(error.name().to_owned()),
            _ => Self::Down(error.name().to_owned(), None),
        }
    }

    /// For metrics: what it is, and why.
    #[must_use]
    pub fn label(&self) -> (&'static str, &str) {
        match self {
            Self::Sent => ("sent", ""),
            Self::Gone(why, _) => ("gone", why),
            Self::Refused(why) => ("refused", why),
            Self::Later(why, _) => ("later", why),
            Self::Down(why, _) => ("down", why),
            Self::Blocked(_) => ("blocked", ""),
        }
    }
}

/// A reason that a provider gave, cut down to what can be a label: nobody else is to choose how many there are.
#[must_use]
pub(super) fn known_reason(status: u16, given: Option<&str>, known: &[&'static str]) -> String {
    let found = given.and_then(|given| known.iter().find(|known| **known == given));
    found.map_or_else(|| format!("status_{status}"), |found| (*found).to_owned())
}
