//! Parsing of an entity's line: the exact text that [`super`] writes, or any equivalent JSON.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::LineError;
use crate::plant::chain::{Amendment, Digest32, Head};
use crate::plant::entity::scan::Scanner;
use crate::plant::entity::{Fields, Kind};

/// A parsed line of an entity.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    pub amendments: Vec<Amendment<Cow<'a, [u8]>>>,
    pub head: Head,
    /// The entity's fields; `None` if they cannot be parsed as a JSON object.
    pub fields: Option<Fields<'a>>,
    pub kind: Kind,
    pub id: Uuid,
}

impl<'a> Line<'a> {
    /// Parses a line, given without its line feed. `buffer` may contain anything; reusing it for
    /// all lines saves allocations.
    pub fn parse(text: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<Self, LineError> {
        // The unescaped contents are together shorter than the line.
        if buffer.len() < text.len() {
            buffer.resize(text.len(), 0);
        }
        Self::parse_fast(text, buffer).map_or_else(|| Self::parse_slow(text), Ok)
    }

    /// Parses the exact text that [`super`] writes; `None` for anything else.
    fn parse_fast(text: &'a [u8], mut buffer: &'a mut [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(text)?;
        scanner.literal(r#"{"amendments":["#)?;
        let mut amendments = Vec::with_capacity(1);
        loop {
            amendments.push(amendment(&mut scanner, &mut buffer)?);
            if scanner.literal(",").is_none() {
                break;
            }
        }
        scanner.literal(r#"],"chain_length":"#)?;
        let length = scanner.unsigned()?;
        scanner.literal(r#","entity":"#)?;
        let fields = Fields::parse_next(&mut scanner)?;
        scanner.literal(r#","entity_type":""#)?;
        let name = scanner.plain_string()?;
        let kind = *Kind::ALL.iter().find(|kind| kind.as_str() == name)?;
        scanner.literal(r#","id":""#)?;
        let id = scanner.plain_string()?.parse().ok()?;
        scanner.literal(r#","version_hash":""#)?;
        let version_hash = scanner.digest()?;
        scanner.literal("\"}")?;
        scanner.end()?;
        Some(Self {
            amendments,
            head: Head { length, version_hash },
            fields: Some(fields),
            kind,
            id,
        })
    }

    fn parse_slow(text: &'a [u8]) -> Result<Self, LineError> {
        let line: JsonLine = serde_json::from_slice(text)
            .map_err(|error| LineError::Malformed(error.to_string()))?;
        Ok(Self {
            amendments: line.amendments.into_iter().map(JsonAmendment::into).collect(),
            head: Head { length: line.chain_length, version_hash: line.version_hash },
            fields: Fields::parse(line.entity.get().as_bytes()),
            kind: line.entity_type,
            id: line.id,
        })
    }
}

fn amendment<'a>(
    scanner: &mut Scanner<'a>,
    buffer: &mut &'a mut [u8],
) -> Option<Amendment<Cow<'a, [u8]>>> {
    scanner.literal(r#"{"content":""#)?;
    let content = Cow::Borrowed(scanner.escaped_string(buffer)?);
    scanner.literal(r#","content_hash":""#)?;
    let content_hash = scanner.digest()?;
    scanner.literal(r#"","link":""#)?;
    let link = scanner.digest()?;
    scanner.literal(r#"","sequence":"#)?;
    let sequence = scanner.unsigned()?;
    scanner.literal("}")?;
    Some(Amendment { sequence, content, content_hash, link })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine<'a> {
    #[serde(borrow)]
    amendments: Vec<JsonAmendment<'a>>,
    chain_length: u64,
    #[serde(borrow)]
    entity: &'a RawValue,
    entity_type: Kind,
    id: Uuid,
    version_hash: Digest32,
}

/// An amendment in a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonAmendment<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    content_hash: Digest32,
    link: Digest32,
    sequence: u64,
}

impl<'a> From<JsonAmendment<'a>> for Amendment<Cow<'a, [u8]>> {
    fn from(json: JsonAmendment<'a>) -> Self {
        let content = match json.content {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        let JsonAmendment { content_hash, link, sequence, .. } = json;
        Self { sequence, content, content_hash, link }
    }
}
