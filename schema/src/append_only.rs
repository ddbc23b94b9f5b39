//! Enums that only ever grow at their end.
//!
//! Every enum that crosses the wire is declared through [`append_only!`], which fixes each variant's number and
//! JSON name beside it, so that a reader of the declaration sees the wire. Numbers count up from 0 without a hole;
//! the compiler keeps it so.

use serde::ser::SerializeTuple;
use serde::{Serialize, Serializer};

/// An enum whose variants are numbered on the wire, and that knows which numbers it knows.
pub trait AppendOnly: Sized {
    /// How many kinds this build knows: numbers `0..KINDS`.
    const KINDS: u32;
    /// The JSON name of each kind, by number.
    const NAMES: &'static [&'static str];
    /// The number of this value's kind.
    fn kind(&self) -> u32;
    /// What stands for a kind that this build does not know, where the enum is embedded in a larger value and
    /// must survive. Frames have none: an unknown frame is skipped as a whole.
    fn unknown(_unknown: UnknownKind) -> Option<Self> {
        None
    }
}

/// A value of a kind that this build does not know. In binary it is kept as it came, so that passing it on changes
/// nothing. What came as JSON is not kept: only that it was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind {
    kind: u32,
    bytes: Vec<u8>,
}

impl UnknownKind {
    /// The JSON name that stands for every unknown kind. No kind is ever called so.
    pub const NAME: &'static str = "unknown";

    /// From the bytes after the length, at the front of which stands `kind`.
    pub(crate) fn from_binary(kind: u32, bytes: &[u8]) -> Self {
        Self { kind, bytes: bytes.to_vec() }
    }

    /// From JSON. Its number is one that no kind ever has, so that it stays unknown in either encoding: a varint of
    /// `u32::MAX`.
    pub(crate) fn from_json() -> Self {
        Self { kind: u32::MAX, bytes: vec![0xff, 0xff, 0xff, 0xff, 0x0f] }
    }

    /// Its number; `u32::MAX` if it came as JSON.
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// Its bytes, beginning with its number.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Serialize for UnknownKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_map([(Self::NAME, ())]);
        }
        // A tuple has no length of its own in postcard: these are the bytes as they came.
        let mut tuple = serializer.serialize_tuple(self.bytes.len())?;
        for byte in &self.bytes {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

// The name is a `tt`: a `literal` reaches other macros in a group, in which utoipa does not find the name.
macro_rules! append_only {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $num:literal $json:tt $variant:ident ( $inner:ty ), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[$vmeta])* #[serde(rename = $json)] $variant($inner), )+
        }

        impl $crate::append_only::AppendOnly for $name {
            const KINDS: u32 = {
                let mut next = 0;
                $( assert!($num == next, "kinds count up from 0 without a hole"); next += 1; )+
                next
            };
            const NAMES: &'static [&'static str] = &[$($json),+];
            fn kind(&self) -> u32 {
                match self { $( Self::$variant(_) => $num, )+ }
            }
        }

        $( impl From<$inner> for $name { fn from(inner: $inner) -> Self { Self::$variant(inner) } } )+
    };
    (
        $(#[$meta:meta])*
        pub embedded enum $name:ident {
            $( $(#[$vmeta:meta])* $num:literal $json:tt $variant:ident ( $inner:ty ), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$vmeta])* #[serde(rename = $json)] $variant($inner), )+
            /// A kind made by a newer version. It keeps its place and is otherwise ignored.
            #[serde(skip)]
            Unknown($crate::append_only::UnknownKind),
        }

        // As derived, but for the unknown kind, which derived code could only refuse.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $( Self::$variant(inner) => {
                        serializer.serialize_newtype_variant(stringify!($name), $num, $json, inner)
                    } )+
                    Self::Unknown(unknown) => unknown.serialize(serializer),
                }
            }
        }

        impl $crate::append_only::AppendOnly for $name {
            const KINDS: u32 = {
                let mut next = 0;
                $( assert!($num == next, "kinds count up from 0 without a hole"); next += 1; )+
                next
            };
            const NAMES: &'static [&'static str] = &[$($json),+];
            fn kind(&self) -> u32 {
                match self { $( Self::$variant(_) => $num, )+ Self::Unknown(unknown) => unknown.kind() }
            }
            fn unknown(unknown: $crate::append_only::UnknownKind) -> Option<Self> {
                Some(Self::Unknown(unknown))
            }
        }
    };
}
pub(crate) use append_only;
