//! Enums that only ever grow at their end.
//!
//! Every enum that crosses the wire is declared through [`append_only!`], which fixes each variant's number and
//! JSON name beside it, so that a reader of the declaration sees the wire. Numbers count up from 0 without a hole;
//! the compiler keeps it so.

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
    /// That which stands for an unknown kind, if this value does.
    fn as_unknown(&self) -> Option<&UnknownKind> {
        None
    }
}

/// A value of a kind that this build does not know, kept as it came, so that passing it on changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind {
    /// Its number; `u32::MAX` if it came as JSON.
    pub kind: u32,
    /// Its postcard bytes; empty if it came as JSON.
    pub bytes: Vec<u8>,
}

macro_rules! append_only {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $num:literal $json:literal $variant:ident ( $inner:ty ), )+
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
            $( $(#[$vmeta:meta])* $num:literal $json:literal $variant:ident ( $inner:ty ), )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$vmeta])* #[serde(rename = $json)] $variant($inner), )+
            /// A kind made by a newer version. It keeps its place in the log and is otherwise ignored.
            #[serde(skip)]
            Unknown($crate::append_only::UnknownKind),
        }

        impl $crate::append_only::AppendOnly for $name {
            const KINDS: u32 = {
                let mut next = 0;
                $( assert!($num == next, "kinds count up from 0 without a hole"); next += 1; )+
                next
            };
            const NAMES: &'static [&'static str] = &[$($json),+];
            fn kind(&self) -> u32 {
                match self { $( Self::$variant(_) => $num, )+ Self::Unknown(unknown) => unknown.kind }
            }
            fn unknown(unknown: $crate::append_only::UnknownKind) -> Option<Self> {
                Some(Self::Unknown(unknown))
            }
            fn as_unknown(&self) -> Option<&$crate::append_only::UnknownKind> {
                if let Self::Unknown(unknown) = self { Some(unknown) } else { None }
            }
        }
    };
}
pub(crate) use append_only;
