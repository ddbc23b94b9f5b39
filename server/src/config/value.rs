//! What a setting's value can be, and how it is read and shown.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::rate::Rate;

/// A value as it was found: typed in `suda.toml`, plain text in the environment and on the command line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From a file.
    Toml(toml::Value),
    /// From the environment or a flag.
    Text(String),
}

/// A type that a setting can have.
pub(super) trait Value: Sized {
    /// What it looks like, for people.
    const KIND: &'static str;
    /// Whether it must not be shown.
    const SECRET: bool = false;
    /// Reads it. The error says what would be right.
    fn from_raw(raw: &Raw) -> Result<Self, String>;
    /// Writes it as it would stand in `suda.toml`.
    fn show(&self) -> String;
    /// The number that bounds are about, if it is one.
    fn number(&self) -> Option<u64> {
        None
    }
}

fn expected<T: Value>(raw: &Raw) -> String {
    match raw {
        // The value itself may be a secret in the wrong place, so it is not repeated.
        _ if T::SECRET => format!("expected {}", T::KIND),
        Raw::Toml(value) => format!("expected {}, found {value}", T::KIND),
        Raw::Text(text) => format!("expected {}, found {text:?}", T::KIND),
    }
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

macro_rules! number {
    ($($type:ty),+) => { $(
        impl Value for $type {
            const KIND: &'static str = "a whole number";
            fn from_raw(raw: &Raw) -> Result<Self, String> {
                match raw {
                    Raw::Toml(toml::Value::Integer(number)) => Self::try_from(*number).ok(),
                    Raw::Text(text) => text.trim().replace('_', "").parse().ok(),
                    Raw::Toml(_) => None,
                }
                .ok_or_else(|| expected::<Self>(raw))
            }
            fn show(&self) -> String {
                self.to_string()
            }
            fn number(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        }
    )+ };
}
number!(u16, u32, u64, usize);

impl Value for bool {
    const KIND: &'static str = "true or false";
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Toml(toml::Value::Boolean(value)) => Some(*value),
            Raw::Text(text) => text.trim().parse().ok(),
            Raw::Toml(_) => None,
        }
        .ok_or_else(|| expected::<Self>(raw))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Types that are a text of a certain form.
macro_rules! text {
    ($type:ty, $kind:literal, |$text:ident| $parse:expr, |$value:ident| $show:expr) => {
        impl Value for $type {
            const KIND: &'static str = $kind;
            fn from_raw(raw: &Raw) -> Result<Self, String> {
                match raw {
                    Raw::Toml(toml::Value::String($text)) | Raw::Text($text) => $parse,
                    Raw::Toml(_) => None,
                }
                .ok_or_else(|| expected::<Self>(raw))
            }
            fn show(&self) -> String {
                let $value = self;
                quoted(&$show)
            }
        }
    };
}
text!(String, "a text", |text| Some(text.clone()), |value| value);
text!(IpAddr, "an IP address", |text| text.trim().parse().ok(), |value| value.to_string());
text!(PathBuf, "a path", |text| (!text.is_empty()).then(|| text.into()), |value| value.to_string_lossy());

impl Value for Rate {
    const KIND: &'static str = "a rate such as \"50/s, burst 200\"";
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Toml(toml::Value::String(text)) | Raw::Text(text) => rate(text),
            Raw::Toml(_) => None,
        }
        .ok_or_else(|| expected::<Self>(raw))
    }
    fn show(&self) -> String {
        // The shortest time in which it is a whole number.
        let shown = RATE_UNITS.iter().map(|(unit, seconds)| (self.per_second * seconds, unit));
        let whole = shown.clone().find(|(number, _)| *number >= 1.0 && (number - number.round()).abs() < 1e-9);
        let (number, unit) = whole.or_else(|| shown.clone().next_back()).unwrap_or((self.per_second, &"s"));
        quoted(&format!("{number}/{unit}, burst {}", self.burst))
    }
}

const RATE_UNITS: [(&str, f64); 3] = [("s", 1.0), ("min", 60.0), ("h", 3_600.0)];

fn rate(text: &str) -> Option<Rate> {
    let (rate, burst) = text.split_once(',')?;
    let (number, unit) = rate.split_once('/')?;
    let (_, seconds) = RATE_UNITS.iter().find(|(known, _)| *known == unit.trim())?;
    let number: f64 = number.trim().parse().ok()?;
    let burst = burst.trim().strip_prefix("burst")?.trim().parse().ok()?;
    (number.is_finite() && number > 0.0 && burst > 0).then(|| Rate::new(burst, number / seconds))
}

/// What nobody but the operator and this process should see.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret shorter than this is not shown even in part.
const SHOWN_FROM_CHARS: usize = 24;

impl Value for Secret {
    const KIND: &'static str = "a secret";
    const SECRET: bool = true;
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Toml(toml::Value::String(text)) | Raw::Text(text) if !text.trim().is_empty() => {
                Ok(Self(text.trim().to_owned()))
            }
            _ => Err(expected::<Self>(raw)),
        }
    }
    fn show(&self) -> String {
        let chars = self.0.chars().count();
        let shown: String = self.0.chars().take(if chars >= SHOWN_FROM_CHARS { 4 } else { 0 }).collect();
        quoted(&format!("{shown}… ({chars} characters)"))
    }
}

/// An empty text stands for nothing, so that the environment can take away what a file sets.
impl<T: Value> Value for Option<T> {
    const KIND: &'static str = T::KIND;
    const SECRET: bool = T::SECRET;
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Toml(toml::Value::String(text)) | Raw::Text(text) if text.is_empty() => Ok(None),
            _ => T::from_raw(raw).map(Some),
        }
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "\"\"".to_owned(), T::show)
    }
    fn number(&self) -> Option<u64> {
        self.as_ref().and_then(T::number)
    }
}

/// In the environment and on the command line a list is separated by commas.
impl<T: Value> Value for Vec<T> {
    const KIND: &'static str = "a list";
    const SECRET: bool = T::SECRET;
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Toml(toml::Value::Array(items)) => {
                items.iter().map(|item| T::from_raw(&Raw::Toml(item.clone()))).collect()
            }
            Raw::Text(text) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| T::from_raw(&Raw::Text(item.to_owned())))
                .collect(),
            Raw::Toml(_) => Err(format!("expected {} of which each is {}", Self::KIND, T::KIND)),
        }
    }
    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(T::show).collect();
        format!("[{}]", items.join(", "))
    }
}

/// Declares a setting's type that is one of some words.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $( $(#[$vmeta:meta])* $variant:ident $word:literal, )+ } $kind:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$vmeta])* $variant, )+ }

        impl $crate::config::value::Value for $name {
            const KIND: &'static str = $kind;
            fn from_raw(raw: &$crate::config::value::Raw) -> Result<Self, String> {
                let text = <String as $crate::config::value::Value>::from_raw(raw)?;
                match text.trim() {
                    $( $word => Ok(Self::$variant), )+
                    other => Err(format!(concat!("expected ", $kind, ", found {:?}"), other)),
                }
            }
            fn show(&self) -> String {
                match self { $( Self::$variant => concat!("\"", $word, "\"").to_owned(), )+ }
            }
        }
    };
}
pub(super) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    #[test]
    fn what_is_shown_reads_back() {
        fn there_and_back<T: Value + PartialEq + fmt::Debug>(value: &T) {
            let toml: toml::Table = format!("it = {}", value.show()).parse().unwrap();
            assert_eq!(T::from_raw(&Raw::Toml(toml["it"].clone())).as_ref(), Ok(value));
        }
        there_and_back(&7u16);
        there_and_back(&true);
        there_and_back(&"with \"quotes\"\nand lines".to_owned());
        there_and_back(&"::1".parse::<IpAddr>().unwrap());
        there_and_back(&PathBuf::from("/a/b"));
        there_and_back::<Option<u32>>(&None);
        there_and_back(&Some(3u32));
        there_and_back(&vec!["a".to_owned(), "b".to_owned()]);
    }

    #[test]
    fn text_from_the_environment() {
        assert_eq!(u64::from_raw(&text("100_000")), Ok(100_000));
        assert_eq!(Vec::<String>::from_raw(&text("a, b,,")), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(Option::<PathBuf>::from_raw(&text("")), Ok(None));
        for wrong in ["", "-1", "65536", "1.5", "many"] {
            assert!(u16::from_raw(&text(wrong)).is_err(), "{wrong:?}");
        }
        assert!(bool::from_raw(&text("yes")).is_err());
    }

    #[test]
    fn rates() {
        for (written, rate) in [
            ("50/s, burst 200", Rate::new(200, 50.0)),
            ("6/min, burst 10", Rate::new(10, 0.1)),
            ("10/h, burst 3", Rate::new(3, 10.0 / 3_600.0)),
        ] {
            let read = Rate::from_raw(&text(written)).unwrap();
            assert!(read.burst == rate.burst && (read.per_second - rate.per_second).abs() < 1e-9, "{written}");
            assert_eq!(rate.show(), format!("{written:?}"));
        }
        for wrong in
            ["", "50", "50/s", "50/d, burst 1", "0/s, burst 1", "-1/s, burst 1", "NaN/s, burst 1", "1/s, burst 0"]
        {
            assert!(Rate::from_raw(&text(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let short = Secret("hunter2".to_owned());
        let long = Secret("correct horse battery staple".to_owned());
        assert_eq!(short.show(), "\"… (7 characters)\"");
        assert_eq!(long.show(), "\"corr… (28 characters)\"");
        assert!(!format!("{long:?}").contains("corr"));
        assert!(!expected::<Secret>(&text("hunter2")).contains("hunter2"));
    }
}
