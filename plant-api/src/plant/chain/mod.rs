//! The hash chain: canonical bytes, links and verification. Pure: no database, no clock.
//!
//! Amendment *i* of an entity is stored as its canonical JSON bytes (RFC 8785), their SHA-256, and
//! a link: a SHA-256 that covers the entity's id and kind, *i*, the previous link and the content hash.
//! The entity's version hash is its last link. `docs/chain.md` describes the format; chains of its
//! version 1, whose links lack the kind, stay valid and are extended in that version.

pub mod canonical;
mod digest;
mod kind;
mod link;
#[cfg(test)]
mod tests;
mod verify;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use digest::Digest32;
pub use kind::Kind;
pub use link::{Format, Identity, link};
pub use verify::{LinkVerifier, Reason, Verdict, validate_chain, verify};

const TYPICAL_CONTENT_BYTES: usize = 512;

/// The type of an amendment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeType {
    /// The creation of the entity.
    Creation,
    /// A change of the entity's fields.
    Evolution,
    /// The certification of the entity by Genesis.
    Certification,
}

/// The content of an amendment, before serialization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub change_type: ChangeType,
    /// Fields that the amendment sets, with their new values.
    pub data: Map<String, Value>,
    pub timestamp: DateTime<Utc>,
    /// Who made the change: an account's id, `anonymous`, `operator` (the admin key) or `genesis` (the
    /// test data).
    pub actor: String,
}

impl Change {
    /// Returns the RFC 8785 bytes that are stored and hashed.
    pub fn to_canonical_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TYPICAL_CONTENT_BYTES);
        out.extend(br#"{"actor":"#);
        canonical::write_scalar(&mut out, &self.actor);
        out.extend(br#","change_type":"#);
        canonical::write_scalar(&mut out, &self.change_type);
        out.extend(br#","data":"#);
        canonical::write_object(&mut out, &self.data);
        out.extend(br#","timestamp":"#);
        canonical::write_scalar(&mut out, &self.timestamp);
        out.push(b'}');
        out
    }
}

/// An amendment as stored. `Content` is `Vec<u8>`, or a borrowed type for read-only use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment<Content = Vec<u8>> {
    /// Index in the chain, from 0.
    pub sequence: u64,
    /// Canonical JSON.
    pub content: Content,
    /// SHA-256 of `content`.
    pub content_hash: Digest32,
    /// Link hash: covers this amendment and all before it.
    pub link: Digest32,
}

impl Amendment {
    /// Returns the first amendment of a new chain.
    pub fn first(entity: Identity, content: Vec<u8>) -> Self {
        Self::after(Format::NEWEST, entity, Head::default(), content)
    }

    /// Returns the amendment that follows `head` in a chain of version `format`.
    pub fn after(format: Format, entity: Identity, head: Head, content: Vec<u8>) -> Self {
        let content_hash = Digest32::sha256(&content);
        let link = link(format, entity, head.length, head.version_hash, content_hash);
        Self { sequence: head.length, content, content_hash, link }
    }

    /// Returns the head of a chain whose last amendment is this one.
    pub fn head(&self) -> Head {
        Head { length: self.sequence + 1, version_hash: self.link }
    }
}

/// The length and the last link of a chain; by default of one without amendments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Number of amendments.
    pub length: u64,
    /// Last link of the chain; zeros if there is none.
    pub version_hash: Digest32,
}
