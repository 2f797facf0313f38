//! Parsing of JSON objects: the fields of an entity's row, and the content of an amendment. Values
//! stay unparsed slices of the input.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::scan::Scanner;
use crate::plant::chain::ChangeType;

/// The members of a JSON object in their order: names and unparsed values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<'a>(pub(super) Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Fields<'a> {
    /// Parses a JSON object; `None` if `text` is not one.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        Self::parse_fast(text).or_else(|| Self::parse_slow(text))
    }

    /// Parses canonical JSON; `None` for all other JSON.
    fn parse_fast(text: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(text)?;
        let fields = Self::parse_next(&mut scanner)?;
        scanner.end().map(|()| fields)
    }

    fn parse_slow(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Returns the names of the members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Parses the object that comes next in `scanner`.
    pub fn parse_next(scanner: &mut Scanner<'a>) -> Option<Self> {
        let mut fields = Vec::with_capacity(24);
        scanner.members(|name, value| {
            fields.push((Cow::Borrowed(name), value.value()?));
            Some(())
        })?;
        Some(Self(fields))
    }
}

/// The content of an amendment, without its actor. `data` and `timestamp` stay unparsed.
#[derive(Debug, PartialEq, Eq)]
pub struct ParsedAmendment<'a> {
    pub change_type: ChangeType,
    pub data: Fields<'a>,
    /// A JSON string.
    pub timestamp: &'a str,
}

impl<'a> ParsedAmendment<'a> {
    /// Parses the content of an amendment; `None` if it is not one: if it is not JSON, is nested
    /// more deeply than `serde_json` reads, or a member is missing or of another type.
    pub fn parse(content: &'a [u8]) -> Option<Self> {
        Self::parse_fast(content).or_else(|| Self::parse_slow(content))
    }

    /// Parses canonical JSON; `None` for all other JSON.
    fn parse_fast(content: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(content)?;
        scanner.literal(r#"{"actor":"#)?;
        scanner.string_text()?;
        scanner.literal(r#","change_type":""#)?;
        let change_type = match scanner.plain_string()? {
            "creation" => ChangeType::Creation,
            "evolution" => ChangeType::Evolution,
            "certification" => ChangeType::Certification,
            _ => return None,
        };
        scanner.literal(r#","data":"#)?;
        let data = Fields::parse_next(&mut scanner)?;
        scanner.literal(r#","timestamp":"#)?;
        let timestamp = scanner.string_text()?;
        scanner.literal("}")?;
        scanner.end().map(|()| Self { change_type, data, timestamp })
    }

    fn parse_slow(content: &'a [u8]) -> Option<Self> {
        // Unparsed values may be nested too deeply, or contain numbers or escapes without meaning;
        // serde_json does not check the encoding of ignored strings.
        let text = str::from_utf8(content).ok()?;
        serde_json::from_str::<serde_json::Value>(text).ok()?;
        let members: Members = serde_json::from_str(text).ok()?;
        let is_string = |value: &RawValue| value.get().starts_with('"');
        (is_string(members.actor) && is_string(members.timestamp)).then(|| Self {
            change_type: members.change_type,
            data: members.data,
            timestamp: members.timestamp.get(),
        })
    }
}

/// The members of an amendment's content.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    actor: &'a RawValue,
    change_type: ChangeType,
    #[serde(borrow)]
    data: Fields<'a>,
    #[serde(borrow)]
    timestamp: &'a RawValue,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Fields)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((Name(name), value)) = members.next_entry::<_, &RawValue>()? {
            fields.push((name, value.get()));
        }
        Ok(fields)
    }
}

/// A member name; borrowed unless it contains escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
