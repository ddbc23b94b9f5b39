//! How settings are declared: once, with everything that is said of them anywhere.

use super::value::{Raw, Value};

/// One setting, as `suda config`, the documentation and the error messages know it.
#[derive(Debug)]
pub struct Setting {
    /// The table of `suda.toml` it is in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: &'static str,
    /// What a number counts; empty where it is no quantity.
    pub unit: &'static str,
    /// The smallest and the largest number allowed.
    pub bounds: Option<(u64, u64)>,
    /// What it does.
    pub meaning: &'static str,
    /// What more of it costs; empty where it costs nothing worth saying.
    pub cost: &'static str,
    /// Whether its value must not be shown, nor given on a command line.
    pub secret: bool,
    /// The value where nobody says otherwise, as it would stand in `suda.toml`.
    pub default: fn() -> String,
}

impl Setting {
    /// `section.name`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn env(&self) -> String {
        format!("SUDA_{}__{}", self.section.to_uppercase(), self.name.to_uppercase())
    }
}

/// Reads one value and holds it against its bounds. The error says what would be right.
pub(super) fn parse<T: Value>(raw: &Raw, bounds: Option<(u64, u64)>) -> Result<T, String> {
    let value = T::from_raw(raw)?;
    if let (Some((least, most)), Some(number)) = (bounds, value.number())
        && !(least..=most).contains(&number)
    {
        return Err(format!("{number} is out of bounds: it goes from {least} to {most}"));
    }
    Ok(value)
}

/// Declares all settings: their structs, their defaults and the table [`SETTINGS`](super::SETTINGS).
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident $type:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident : $value:ty = $default:expr
                    $(, in $least:literal ..= $most:literal)?
                    $(, unit $unit:literal)?
                    $(, cost $cost:literal)?
                ;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq)]
            pub struct $type {
                $( $(#[doc = $doc])+ pub $name: $value, )+
            }

            impl Default for $type {
                fn default() -> Self {
                    Self { $( $name: $default, )+ }
                }
            }
        )+

        /// Every setting, with its value.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Settings {
            $( $(#[doc = $section_doc])+ pub $section: $type, )+
        }

        /// Every setting, in the order in which it is documented.
        pub const SETTINGS: &[$crate::config::Setting] = &[$($(
            $crate::config::Setting {
                section: stringify!($section),
                name: stringify!($name),
                kind: <$value as $crate::config::value::Value>::KIND,
                unit: concat!($($unit)?),
                bounds: $crate::config::declare::settings!(@bounds $($least $most)?),
                meaning: concat!($($doc),+),
                cost: concat!($($cost)?),
                secret: <$value as $crate::config::value::Value>::SECRET,
                default: || $crate::config::value::Value::show(&$type::default().$name),
            },
        )+)+];

        /// What each section is about, in the same order.
        pub const SECTIONS: &[(&str, &str)] = &[$( (stringify!($section), concat!($($section_doc),+)) ),+];

        impl Settings {
            /// Sets one setting. The error says what would be right.
            pub(in $crate::config) fn set(
                &mut self,
                setting: &$crate::config::Setting,
                raw: &$crate::config::value::Raw,
            ) -> Result<(), String> {
                match (setting.section, setting.name) {
                    $($(
                        (stringify!($section), stringify!($name)) => {
                            self.$section.$name = $crate::config::declare::parse(raw, setting.bounds)?;
                            Ok(())
                        }
                    )+)+
                    _ => Err("there is no such setting".to_owned()),
                }
            }

            /// One setting's value as it would stand in `suda.toml`, a secret shortened.
            #[must_use]
            pub fn show(&self, setting: &$crate::config::Setting) -> String {
                match (setting.section, setting.name) {
                    $($(
                        (stringify!($section), stringify!($name)) => {
                            $crate::config::value::Value::show(&self.$section.$name)
                        }
                    )+)+
                    _ => String::new(),
                }
            }
        }
    };
    (@bounds) => { None };
    (@bounds $least:literal $most:literal) => { Some(($least, $most)) };
}
pub(super) use settings;
