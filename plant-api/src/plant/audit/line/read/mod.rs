//! Reading an entity's line: as [`super`] writes it, or as any other JSON that says the same.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Fault;
use crate::plant::chain::{Amendment, Digest32, Head};
use crate::plant::entity::scan::Scan;
use crate::plant::entity::{Fields, Kind};

const KINDS: [Kind; 5] = [Kind::Agent, Kind::Skill, Kind::JobRole, Kind::Team, Kind::Industry];

/// An entity's line, taken apart.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    pub amendments: Vec<Amendment<Cow<'a, [u8]>>>,
    pub head: Head,
    /// The entity's fields, if they can be read as an object.
    pub row: Option<Fields<'a>>,
    pub kind: Kind,
    pub id: Uuid,
}

impl<'a> Line<'a> {
    /// Reads a line without its end. `space` may hold anything and is used again for each line.
    pub fn read(text: &'a [u8], space: &'a mut Vec<u8>) -> Result<Self, Fault> {
        // No content is longer than the line that it is in.
        if space.len() < text.len() {
            space.resize(text.len(), 0);
        }
        Self::usual(text, space).map_or_else(|| Self::unusual(text), Ok)
    }

    /// Reads what [`super`] writes, byte by byte as it does.
    fn usual(text: &'a [u8], mut space: &'a mut [u8]) -> Option<Self> {
        let mut scan = Scan::of(text)?;
        scan.exactly(r#"{"amendments":["#)?;
        let mut amendments = Vec::with_capacity(1);
        loop {
            amendments.push(amendment(&mut scan, &mut space)?);
            if scan.exactly(",").is_none() {
                break;
            }
        }
        scan.exactly(r#"],"chain_length":"#)?;
        let length = scan.natural()?;
        scan.exactly(r#","entity":"#)?;
        let row = Fields::scan(&mut scan)?;
        scan.exactly(r#","entity_type":""#)?;
        let kind = scan.plain()?;
        let kind = KINDS.into_iter().find(|known| known.as_str() == kind)?;
        scan.exactly(r#","id":""#)?;
        let id = scan.plain()?.parse().ok()?;
        scan.exactly(r#","version_hash":""#)?;
        let version_hash = scan.digest()?;
        scan.exactly("\"}")?;
        scan.end()?;
        Some(Self { amendments, head: Head { length, version_hash }, row: Some(row), kind, id })
    }

    fn unusual(text: &'a [u8]) -> Result<Self, Fault> {
        let line: JsonLine =
            serde_json::from_slice(text).map_err(|error| Fault::Unreadable(error.to_string()))?;
        Ok(Self {
            amendments: line.amendments.into_iter().map(JsonAmendment::into).collect(),
            head: Head { length: line.chain_length, version_hash: line.version_hash },
            row: Fields::read(line.entity.get().as_bytes()),
            kind: line.entity_type,
            id: line.id,
        })
    }
}

fn amendment<'a>(
    scan: &mut Scan<'a>,
    space: &mut &'a mut [u8],
) -> Option<Amendment<Cow<'a, [u8]>>> {
    scan.exactly(r#"{"content":""#)?;
    let content = Cow::Borrowed(scan.unescaped(space)?);
    scan.exactly(r#","content_hash":""#)?;
    let content_hash = scan.digest()?;
    scan.exactly(r#"","link":""#)?;
    let link = scan.digest()?;
    scan.exactly(r#"","sequence":"#)?;
    let sequence = scan.natural()?;
    scan.exactly("}")?;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonAmendment<'a> {
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
