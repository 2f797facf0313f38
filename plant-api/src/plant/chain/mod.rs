//! The hash chain: bytes, links, verification. Pure: no database, no clock.
//!
//! Amendment *i* of an entity is stored as its canonical JSON bytes (RFC 8785), the SHA-256 of
//! these, and a link that hashes the entity's id, *i*, the link before and the content's hash.
//! The entity's version hash is its last link. `docs/chain.md` describes the format.

#[cfg(test)]
mod tests;
mod verify;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};

pub use verify::{Links, Reason, Verdict, validate_chain, verify};

const LINK_DOMAIN: &[u8] = b"plant/link/v1\0";

/// A SHA-256. Lower-case hex in JSON and text, 32 bytes in the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest32(pub [u8; 32]);

impl Digest32 {
    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its text as ASCII.
    pub fn hex(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
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

impl FromStr for Digest32 {
    type Err = &'static str;

    /// Reads what [`fmt::Display`] writes, and nothing else: one digest has one text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 32];
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        if upper || hex::decode_to_slice(text, &mut digest).is_err() {
            return Err("expected 64 lower-case hexadecimal digits");
        }
        Ok(Self(digest))
    }
}

impl<'de> Deserialize<'de> for Digest32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
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
