//! JSON objects taken apart: the fields of an entity's row, and what an amendment says of them.
//! Values keep the bytes that they stand in.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::scan::Scan;
use crate::plant::chain::ChangeType;

/// An object's members, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<'a>(pub(super) Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Fields<'a> {
    /// Takes an object apart, if it is one.
    pub fn read(text: &'a [u8]) -> Option<Self> {
        Self::usual(text).or_else(|| Self::unusual(text))
    }

    fn usual(text: &'a [u8]) -> Option<Self> {
        let mut scan = Scan::of(text)?;
        let fields = Self::scan(&mut scan)?;
        scan.end().map(|()| fields)
    }

    fn unusual(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Takes the object apart that comes next in `scan`, if it is a usual one.
    pub fn scan(scan: &mut Scan<'a>) -> Option<Self> {
        let mut fields = Vec::with_capacity(24);
        scan.members(|name, value| {
            fields.push((Cow::Borrowed(name), value.value()?));
            Some(())
        })?;
        Some(Self(fields))
    }
}

/// What an amendment says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Said<'a> {
    pub change_type: ChangeType,
    #[serde(borrow)]
    pub data: Fields<'a>,
    #[serde(borrow, deserialize_with = "as_it_stands")]
    pub timestamp: &'a str,
}

impl<'a> Said<'a> {
    /// Reads an amendment's content, if it is one.
    pub fn read(content: &'a [u8]) -> Option<Self> {
        Self::usual(content).or_else(|| Self::unusual(content))
    }

    fn usual(content: &'a [u8]) -> Option<Self> {
        let mut scan = Scan::of(content)?;
        scan.exactly(r#"{"actor":"#)?;
        scan.value()?;
        scan.exactly(r#","change_type":""#)?;
        let change_type = match scan.plain()? {
            "creation" => ChangeType::Creation,
            "evolution" => ChangeType::Evolution,
            "certification" => ChangeType::Certification,
            _ => return None,
        };
        scan.exactly(r#","data":"#)?;
        let data = Fields::scan(&mut scan)?;
        scan.exactly(r#","timestamp":"#)?;
        let timestamp = scan.value()?;
        scan.exactly("}")?;
        scan.end().map(|()| Self { change_type, data, timestamp })
    }

    fn unusual(content: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(content).ok()
    }
}

fn as_it_stands<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de str, D::Error> {
    <&RawValue>::deserialize(deserializer).map(RawValue::get)
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(Fields)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some((Name(name), value)) = members.next_entry::<_, &RawValue>()? {
            found.push((name, value.get()));
        }
        Ok(found)
    }
}

/// Borrows a key where it has no escapes, as keys seldom have.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
