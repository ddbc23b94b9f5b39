//! An append-only enum within a larger value: length-prefixed in postcard, so that a reader that does not know the
//! kind can step over it and keep the rest. For `#[serde(with = …)]`.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeTuple as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

use super::{DecodeError, Decoded, binary, json};
use crate::append_only::{AppendOnly, UnknownKind};

pub(crate) fn serialize<T, S>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: AppendOnly + Serialize,
    S: Serializer,
{
    if serializer.is_human_readable() {
        return value.serialize(serializer);
    }
    // The length in front, then the value itself: measured rather than copied, so that nothing is allocated.
    let len = binary::size(value).map_err(ser::Error::custom)?;
    let mut tuple = serializer.serialize_tuple(2)?;
    tuple.serialize_element(&len)?;
    tuple.serialize_element(value)?;
    tuple.end()
}

pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: AppendOnly + DeserializeOwned,
    D: Deserializer<'de>,
{
    if deserializer.is_human_readable() {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let decoded = json::decode(raw.get()).map_err(D::Error::custom)?;
        known_or_unknown(decoded, UnknownKind::from_json).map_err(D::Error::custom)
    } else {
        deserializer.deserialize_bytes(Binary(PhantomData))
    }
}

struct Binary<T>(PhantomData<T>);

impl<T: AppendOnly + DeserializeOwned> de::Visitor<'_> for Binary<T> {
    type Value = T;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a length-prefixed value")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        let kind = binary::kind(bytes).map_err(E::custom)?;
        let decoded = binary::decode_body(bytes).map_err(E::custom)?;
        known_or_unknown(decoded, || UnknownKind::from_binary(kind, bytes)).map_err(E::custom)
    }
}

fn known_or_unknown<T: AppendOnly>(
    decoded: Decoded<T>,
    unknown: impl FnOnce() -> UnknownKind,
) -> Result<T, DecodeError> {
    match decoded {
        Decoded::Frame(value) => Ok(value),
        Decoded::Unknown => T::unknown(unknown()).ok_or(DecodeError::Invalid),
    }
}
