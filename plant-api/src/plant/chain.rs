//! The hash chain: bytes, links, verification. Pure: no database, no clock.
//!
//! Amendment *i* of an entity is stored as its canonical JSON bytes (RFC 8785), the SHA-256 of
//! these, and a link that hashes the entity's id, *i*, the link before and the content's hash.
//! The entity's version hash is its last link. `docs/chain.md` describes the format.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};

const LINK_DOMAIN: &[u8] = b"plant/link/v1\0";

/// A SHA-256. Lower-case hex in JSON and text, 32 bytes in the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest32(pub [u8; 32]);

impl Digest32 {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl sqlx::Type<sqlx::Postgres> for Digest32 {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        <[u8] as sqlx::Type<sqlx::Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for Digest32 {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        let bytes = <&[u8] as sqlx::Decode<sqlx::Postgres>>::decode(value)?;
        Ok(Self(bytes.try_into()?))
    }
}

/// What an amendment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeType {
    /// The entity came to be.
    Creation,
    /// Some of its fields changed.
    Evolution,
    /// Genesis certified it.
    Certification,
}

/// What an amendment says, before it is bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What is done.
    pub change_type: ChangeType,
    /// The fields this sets.
    pub data: Map<String, Value>,
    /// When.
    pub timestamp: DateTime<Utc>,
    /// By whom.
    pub actor: String,
}

impl Change {
    /// The RFC 8785 bytes that are stored and hashed.
    ///
    /// # Errors
    /// When the data holds a number that JSON cannot carry; the edge has refused these.
    pub fn canonical(&self) -> Result<Vec<u8>> {
        serde_json_canonicalizer::to_vec(self).map_err(|e| Error::Internal(Box::new(e)))
    }
}

/// One amendment as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// Canonical JSON.
    pub content: Vec<u8>,
    /// SHA-256 of the content.
    pub content_hash: Digest32,
    /// The link: everything up to here in 32 bytes.
    pub link: Digest32,
}

impl Amendment {
    /// The first amendment of `entity`.
    pub fn first(entity: Uuid, content: Vec<u8>) -> Self {
        Self::at(entity, 0, Digest32::default(), content)
    }

    /// The amendment that follows `head`.
    pub fn after(entity: Uuid, head: Head, content: Vec<u8>) -> Self {
        Self::at(entity, head.length, head.version_hash, content)
    }

    fn at(entity: Uuid, sequence: u64, previous: Digest32, content: Vec<u8>) -> Self {
        let content_hash = Digest32::of(&content);
        let link = link(entity, sequence, previous, content_hash);
        Self { sequence, content, content_hash, link }
    }

    /// The head of a chain that ends here.
    pub fn head(&self) -> Head {
        Head { length: self.sequence + 1, version_hash: self.link }
    }
}

/// How long a chain is and where it ends, as its entity says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of amendments.
    pub length: u64,
    /// The last link.
    pub version_hash: Digest32,
}

/// `SHA-256("plant/link/v1" ‖ 0 ‖ entity ‖ sequence (big-endian) ‖ previous ‖ content hash)`.
pub fn link(entity: Uuid, sequence: u64, previous: Digest32, content_hash: Digest32) -> Digest32 {
    let mut hasher = Sha256::new();
    hasher.update(LINK_DOMAIN);
    hasher.update(entity.as_bytes());
    hasher.update(sequence.to_be_bytes());
    hasher.update(previous.0);
    hasher.update(content_hash.0);
    Digest32(hasher.finalize().into())
}

/// What verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every byte is as it was written.
    Intact,
    /// The first place where it is not.
    Broken {
        /// Index of the amendment.
        at_index: u64,
        /// What is wrong there.
        reason: Reason,
    },
}

/// What can be wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no amendment at all.
    Empty,
    /// The amendment is not the one that belongs here: missing, inserted or moved.
    WrongSequence,
    /// The content does not hash to its content hash.
    ContentAltered,
    /// The link does not follow from what it covers.
    LinkAltered,
    /// The chain is shorter or longer than the entity says.
    WrongLength,
    /// The entity's version hash is not the last link.
    WrongVersionHash,
    /// The entity's fields differ from what its amendments add up to.
    StateDiffers,
}

impl Reason {
    /// The reason as text, `snake_case`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::WrongSequence => "wrong_sequence",
            Self::ContentAltered => "content_altered",
            Self::LinkAltered => "link_altered",
            Self::WrongLength => "wrong_length",
            Self::WrongVersionHash => "wrong_version_hash",
            Self::StateDiffers => "state_differs",
        }
    }
}

/// Checks every amendment of `entity` against its predecessor, and the last one against `head`.
pub fn verify(entity: Uuid, amendments: &[Amendment], head: Head) -> Verdict {
    if amendments.is_empty() {
        return Verdict::Broken { at_index: 0, reason: Reason::Empty };
    }
    let mut previous = Digest32::default();
    for (at_index, amendment) in (0..).zip(amendments) {
        if let Some(reason) = fault(entity, at_index, previous, amendment) {
            return Verdict::Broken { at_index, reason };
        }
        previous = amendment.link;
    }
    let length = amendments.len() as u64;
    if length != head.length {
        return Verdict::Broken { at_index: length.min(head.length), reason: Reason::WrongLength };
    }
    if previous != head.version_hash {
        return Verdict::Broken { at_index: length - 1, reason: Reason::WrongVersionHash };
    }
    Verdict::Intact
}

fn fault(entity: Uuid, index: u64, previous: Digest32, amendment: &Amendment) -> Option<Reason> {
    if amendment.sequence != index {
        return Some(Reason::WrongSequence);
    }
    if Digest32::of(&amendment.content) != amendment.content_hash {
        return Some(Reason::ContentAltered);
    }
    if link(entity, index, previous, amendment.content_hash) != amendment.link {
        return Some(Reason::LinkAltered);
    }
    None
}

/// The fields that a chain's amendments add up to, later ones over earlier ones.
///
/// # Errors
/// When a content is not an amendment, which verification has ruled out for our own.
pub fn state(amendments: &[Amendment]) -> serde_json::Result<Map<String, Value>> {
    let mut state = Map::new();
    for amendment in amendments {
        let change: Change = serde_json::from_slice(&amendment.content)?;
        state.extend(change.data);
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn entity() -> Uuid {
        Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0001)
    }

    fn change(change_type: ChangeType, data: Value) -> Vec<u8> {
        let Value::Object(data) = data else { panic!("not an object") };
        let timestamp = Utc.with_ymd_and_hms(2026, 1, 14, 9, 30, 0).unwrap();
        Change { change_type, data, timestamp, actor: "genesis".into() }.canonical().unwrap()
    }

    fn chain(length: u64) -> Vec<Amendment> {
        let first =
            change(ChangeType::Creation, json!({"name": "Python", "category": "technical"}));
        let mut chain = vec![Amendment::first(entity(), first)];
        for n in 1..length {
            let content = change(ChangeType::Evolution, json!({"governance_notes": n}));
            let head = chain.last().unwrap().head();
            chain.push(Amendment::after(entity(), head, content));
        }
        chain
    }

    fn head(chain: &[Amendment]) -> Head {
        chain.last().unwrap().head()
    }

    /// Changing these is a new version of the format.
    #[test]
    fn the_golden_vectors_hold() {
        let chain = chain(2);
        assert_eq!(
            String::from_utf8(chain[0].content.clone()).unwrap(),
            r#"{"actor":"genesis","change_type":"creation","data":{"category":"technical","name":"Python"},"timestamp":"2026-01-14T09:30:00Z"}"#
        );
        let hashes: Vec<_> =
            chain.iter().flat_map(|a| [a.content_hash.to_string(), a.link.to_string()]).collect();
        assert_eq!(hashes, GOLDEN);
    }

    const GOLDEN: [&str; 4] = [
        "203b8c87d4f8f25bcb5725f02c032986189a388c43ad93fb3fc277d6f9b002c6",
        "1da1a0de7783ccd7ccfec4a30cdf2d04ede02bd5d81d8da0ee3c28d223063c7d",
        "0a416e0e49a7c8227df7f3576e5e4324cfa668380b5a4aaa07efdce1f5edb87b",
        "7e2a829163a7fd983b6a2d3245364d324b956e0472421bf503d0b080155493cc",
    ];

    #[test]
    fn an_untouched_chain_is_intact() {
        let chain = chain(5);
        assert_eq!(verify(entity(), &chain, head(&chain)), Verdict::Intact);
    }

    #[test]
    fn an_empty_chain_is_broken() {
        let found = verify(entity(), &[], head(&chain(1)));
        assert_eq!(found, Verdict::Broken { at_index: 0, reason: Reason::Empty });
    }

    #[test]
    fn a_truncated_chain_is_found_by_its_length() {
        let chain = chain(5);
        let found = verify(entity(), &chain[..4], head(&chain));
        assert_eq!(found, Verdict::Broken { at_index: 4, reason: Reason::WrongLength });
    }

    #[test]
    fn a_chain_of_another_entity_is_found_at_its_first_link() {
        let chain = chain(3);
        let found = verify(Uuid::from_u128(7), &chain, head(&chain));
        assert_eq!(found, Verdict::Broken { at_index: 0, reason: Reason::LinkAltered });
    }

    #[test]
    fn a_wrong_version_hash_is_found() {
        let chain = chain(3);
        let wrong = Head { length: 3, version_hash: Digest32::of(b"another") };
        let found = verify(entity(), &chain, wrong);
        assert_eq!(found, Verdict::Broken { at_index: 2, reason: Reason::WrongVersionHash });
    }

    #[test]
    fn later_amendments_win() {
        let state = state(&chain(3)).unwrap();
        assert_eq!(state["name"], "Python");
        assert_eq!(state["governance_notes"], 2);
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_found_at_its_index(
            index in 0usize..6, place in any::<prop::sample::Index>(), flip in 1u8..,
        ) {
            let untouched = chain(6);
            let mut touched = untouched.clone();
            let content = &mut touched[index].content;
            let place = place.index(content.len());
            content[place] ^= flip;
            prop_assert_eq!(
                verify(entity(), &touched, head(&untouched)),
                Verdict::Broken { at_index: index as u64, reason: Reason::ContentAltered }
            );
        }

        #[test]
        fn a_forged_content_with_its_own_hash_is_found_by_its_link(index in 0usize..6) {
            let untouched = chain(6);
            let mut touched = untouched.clone();
            touched[index].content = change(ChangeType::Evolution, json!({"forged": true}));
            touched[index].content_hash = Digest32::of(&touched[index].content);
            prop_assert_eq!(
                verify(entity(), &touched, head(&untouched)),
                Verdict::Broken { at_index: index as u64, reason: Reason::LinkAltered }
            );
        }

        #[test]
        fn swapped_and_removed_amendments_are_found(a in 0usize..6, b in 0usize..6) {
            let untouched = chain(6);
            let mut swapped = untouched.clone();
            swapped.swap(a, b);
            let mut removed = untouched.clone();
            removed.remove(a);
            let first = a.min(b) as u64;
            let expected = if a == b {
                Verdict::Intact
            } else {
                Verdict::Broken { at_index: first, reason: Reason::WrongSequence }
            };
            prop_assert_eq!(verify(entity(), &swapped, head(&untouched)), expected);
            let found = verify(entity(), &removed, head(&untouched));
            let at_removal = matches!(found, Verdict::Broken { at_index, .. } if at_index == a as u64);
            prop_assert!(at_removal);
        }
    }
}
