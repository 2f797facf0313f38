//! The hash chain: bytes, links, verification. Pure: no database, no clock.
//!
//! Amendment *i* of an entity is stored as its canonical JSON bytes (RFC 8785), the SHA-256 of
//! these, and a link that hashes the entity's id, *i*, the link before and the content's hash.
//! The entity's version hash is its last link. `docs/chain.md` describes the format.

pub mod canonical;
mod digest;
#[cfg(test)]
mod tests;
mod verify;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

pub use digest::Digest32;
pub use verify::{Links, Reason, Verdict, validate_chain, verify};

const LINK_DOMAIN: &[u8] = b"plant/link/v1\0";
/// Most amendments are no longer than this, in bytes.
const USUAL_LENGTH: usize = 512;

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
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_LENGTH);
        out.extend(br#"{"actor":"#);
        canonical::scalar(&mut out, &self.actor);
        out.extend(br#","change_type":"#);
        canonical::scalar(&mut out, &self.change_type);
        out.extend(br#","data":"#);
        canonical::object(&mut out, &self.data);
        out.extend(br#","timestamp":"#);
        canonical::scalar(&mut out, &self.timestamp);
        out.push(b'}');
        out
    }
}

/// One amendment as stored; who only reads it may borrow its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment<Content = Vec<u8>> {
    /// Its place in the chain, from 0.
    pub sequence: u64,
    /// Canonical JSON.
    pub content: Content,
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
    let mut bytes = [0; LINK_DOMAIN.len() + 16 + 8 + 32 + 32];
    let (domain, rest) = bytes.split_at_mut(LINK_DOMAIN.len());
    domain.copy_from_slice(LINK_DOMAIN);
    rest[..16].copy_from_slice(entity.as_bytes());
    rest[16..24].copy_from_slice(&sequence.to_be_bytes());
    rest[24..56].copy_from_slice(&previous.0);
    rest[56..].copy_from_slice(&content_hash.0);
    Digest32::of(&bytes)
}
