//! Verifies a line that is too long for memory, in the memory of its longest amendment.

use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use uuid::Uuid;

use super::parse::JsonAmendment;
use super::{LineError, VerifiedLine, conclude};
use crate::plant::chain::{Amendment, Digest32, Head, Identity};
use crate::plant::entity::{EntityVerifier, Fields, Kind};

/// Verifies an entity's line in constant memory. Each call of `open` returns a reader of the line
/// from its first byte to the last one before the line feed. The line is read twice, because the id
/// and the kind, which the links cover, follow the amendments.
///
/// # Errors
/// [`LineError`] if the line cannot be read or parsed, or was altered.
pub fn verify_long_line<R: Read>(open: impl Fn() -> R) -> Result<VerifiedLine, LineError> {
    let unreadable = |error: serde_json::Error| LineError::Malformed(error.to_string());
    let rest: LineWithoutAmendments = serde_json::from_reader(open()).map_err(unreadable)?;
    let identity = Identity { id: rest.id, kind: rest.entity_type };
    let mut verifier = EntityVerifier::new(identity);
    let mut json = serde_json::Deserializer::from_reader(open());
    LineVisitor(&mut verifier).deserialize(&mut json).map_err(unreadable)?;
    let head = Head { length: rest.chain_length, version_hash: rest.version_hash };
    conclude(&verifier, identity, head, Fields::parse(rest.entity.get().as_bytes()).as_ref())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineWithoutAmendments {
    #[serde(rename = "amendments")]
    _amendments: IgnoredAny,
    chain_length: u64,
    entity: Box<RawValue>,
    entity_type: Kind,
    id: Uuid,
    version_hash: Digest32,
}

/// Verifies the amendments of a line; ignores its other members.
struct LineVisitor<'v>(&'v mut EntityVerifier<'static>);

impl<'de> DeserializeSeed<'de> for LineVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entity's line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if name == "amendments" {
                members.next_value_seed(AmendmentsVisitor(self.0))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Verifies the amendments of a line.
struct AmendmentsVisitor<'v>(&'v mut EntityVerifier<'static>);

impl<'de> DeserializeSeed<'de> for AmendmentsVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AmendmentsVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("amendments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut amendments: A) -> Result<(), A::Error> {
        while let Some(amendment) = amendments.next_element::<JsonAmendment<'de>>()? {
            self.0.update(&Amendment::from(amendment));
        }
        Ok(())
    }
}
