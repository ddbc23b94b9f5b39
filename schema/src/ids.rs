//! Newtyped identifiers.
//!
//! Users, channels, devices and media have 64-bit snowflake ids; entries have their channel's local seq and nothing
//! else. In postcard an id is a varint; in JSON it is a string of digits, because JavaScript's numbers end at 2⁵³.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is not the id it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected {expected}")]
pub struct ParseIdError {
    expected: &'static str,
}

macro_rules! snowflake {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// Milliseconds since [`SNOWFLAKE_EPOCH_MS`] at which the id was made.
            #[must_use]
            pub fn made_at_ms(self) -> u64 {
                SNOWFLAKE_EPOCH_MS.saturating_add(self.0 >> 22)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits
                    .then(|| text.parse().ok())
                    .flatten()
                    .map(Self)
                    .ok_or(ParseIdError { expected: "a decimal number of at most 64 bits" })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_u64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Parsed(PhantomData))
                } else {
                    u64::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

/// Reads an id from a string, borrowed or not.
struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err = ParseIdError>> de::Visitor<'_> for Parsed<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a string")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// 2026-01-01T00:00:00Z: where the 41 bits of milliseconds in a snowflake begin.
pub const SNOWFLAKE_EPOCH_MS: u64 = 1_767_225_600_000;

snowflake!(
    /// An account.
    UserId
);
snowflake!(
    /// A conversation.
    ChannelId
);
snowflake!(
    /// One login of a user: a phone, a laptop, a tab.
    DeviceId
);
snowflake!(
    /// A stored picture or file.
    MediaId
);

/// The place of an entry in a log: 1, 2, 3 … with no gap. As a cursor, 0 means "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// The seq after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id a client gives to what it sends, before anybody else has seen it. The same id from the same user in the
/// same channel makes one entry, however often it is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientMsgId(pub [u8; 16]);

impl fmt::Display for ClientMsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl FromStr for ClientMsgId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        uuid::Uuid::try_parse(text)
            .map(|uuid| Self(uuid.into_bytes()))
            .map_err(|_| ParseIdError { expected: "a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8" })
    }
}

impl Serialize for ClientMsgId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for ClientMsgId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Parsed(PhantomData))
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_only_plain_digits() {
        assert_eq!("42".parse(), Ok(UserId(42)));
        assert_eq!(u64::MAX.to_string().parse(), Ok(UserId(u64::MAX)));
        for bad in ["", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616", "١"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn json_ids_are_strings() {
        assert_eq!(serde_json::to_string(&UserId(u64::MAX)).unwrap(), "\"18446744073709551615\"");
        assert!(serde_json::from_str::<UserId>("7").is_err());
        assert_eq!(serde_json::from_str::<UserId>("\"\\u0037\"").unwrap(), UserId(7));
    }
}
