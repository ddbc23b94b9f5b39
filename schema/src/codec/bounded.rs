//! Lists from a peer that may hold more than they should. For `#[serde(deserialize_with = …)]`.
//!
//! A small item is many times larger in memory than on the wire, so a frame within its limit could make a list of
//! fifty times its size. What is beyond the limit is read and dropped, all but one item: whoever checks the limit
//! finds it broken and can say so, by the frame's own id, and no memory was spent on the rest.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub(crate) fn list<'de, T, D, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

struct Bounded<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
    type Value = Vec<T>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(MAX));
        while let Some(item) = items.next_element()? {
            if list.len() <= MAX {
                list.push(item);
            }
        }
        Ok(list)
    }
}
