//! The lines of an export: writing, parsing and verifying them. Pure.
//!
//! A line is an entity with its whole chain, as canonical JSON. The last line, the manifest,
//! contains the number of entities and the SHA-256 of all bytes before it.

mod long;
mod parse;

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use crate::plant::chain::{Amendment, Digest32, Head, Identity, Reason, Verdict};
use crate::plant::entity::{BaseEntity, EntityVerifier, Fields, Kind};
pub use long::verify_long_line;
use parse::Line;

/// Writes the start of an entity's line, up to its first amendment.
pub fn write_start(out: &mut Vec<u8>) {
    out.extend(br#"{"amendments":["#);
}

/// Writes the next amendment of an entity's line.
pub fn write_amendment(out: &mut Vec<u8>, amendment: &Amendment) {
    // Not by its sequence number: the first one may be missing. A part of the line that was flushed
    // ends with an amendment.
    if !out.ends_with(b"[") {
        out.push(b',');
    }
    out.extend(br#"{"content":"#);
    // Content that is not UTF-8 was altered; the content hash does not match the lossy text.
    write_string(out, &String::from_utf8_lossy(&amendment.content));
    out.extend(br#","content_hash":""#);
    out.extend(amendment.content_hash.to_hex());
    out.extend(br#"","link":""#);
    out.extend(amendment.link.to_hex());
    out.extend(format!(r#"","sequence":{}}}"#, amendment.sequence).bytes());
}

/// Writes the end of an entity's line; `fields` are its fields as canonical JSON.
pub fn write_end(out: &mut Vec<u8>, base: &BaseEntity, fields: &[u8]) {
    out.extend(format!(r#"],"chain_length":{},"entity":"#, base.chain_length).bytes());
    out.extend(fields);
    let (kind, id, hash) = (base.kind.as_str(), base.id, base.version_hash);
    let rest = format!(r#","entity_type":"{kind}","id":"{id}","version_hash":"{hash}"}}"#);
    out.extend(rest.bytes());
    out.push(b'\n');
}

/// Writes a JSON string; `serde_json` writes strings as RFC 8785 requires.
fn write_string(out: &mut Vec<u8>, text: &str) {
    // Serializing a string into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// The last line of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Number of lines before this one.
    pub entities: u64,
    /// SHA-256 of all bytes before this line.
    pub sha256: Digest32,
}

impl Manifest {
    /// Parses a manifest, which must be written exactly as by [`fmt::Display`].
    pub fn parse(line: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(line).ok()?;
        (manifest.to_string().as_bytes() == line).then_some(manifest)
    }
}

/// Writes the line without its line feed.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"entities":{},"sha256":"{}"}}"#, self.entities, self.sha256)
    }
}

/// An entity's line that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedLine {
    pub id: Uuid,
    /// Number of links in the entity's chain.
    pub links: u64,
}

/// Why a line failed verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// The line cannot be parsed as an entity's line.
    Malformed(String),
    /// The chain or the fields were altered.
    Broken {
        id: Uuid,
        kind: Kind,
        /// Index of the first altered or missing amendment, or of the one that last set an altered
        /// field.
        at_index: u64,
        /// What was altered.
        reason: Reason,
        /// The field that differs, if the reason is [`Reason::StateDiffers`].
        field: Option<String>,
    },
}

/// Verifies lines, reusing one buffer for all.
#[derive(Debug, Default)]
pub struct LineVerifier {
    buffer: Vec<u8>,
}

impl LineVerifier {
    /// Verifies an entity's line, given without its line feed.
    ///
    /// # Errors
    /// [`LineError`] if the line cannot be parsed or was altered.
    pub fn verify(&mut self, line: &[u8]) -> Result<VerifiedLine, LineError> {
        let line = Line::parse(line, &mut self.buffer)?;
        let identity = Identity { id: line.id, kind: line.kind };
        let mut verifier = EntityVerifier::new(identity);
        for amendment in &line.amendments {
            verifier.update_borrowed(&Amendment {
                sequence: amendment.sequence,
                content: &amendment.content,
                content_hash: amendment.content_hash,
                link: amendment.link,
            });
        }
        conclude(&verifier, identity, line.head, line.fields.as_ref())
    }
}

/// Returns the result for a line whose amendments are verified.
fn conclude(
    verifier: &EntityVerifier<'_>,
    entity: Identity,
    head: Head,
    fields: Option<&Fields<'_>>,
) -> Result<VerifiedLine, LineError> {
    match verifier.verdict(head, fields) {
        Verdict::Intact => Ok(VerifiedLine { id: entity.id, links: head.length }),
        Verdict::Broken { at_index, reason } => {
            let mismatch = verifier.mismatch(fields);
            let mismatch = mismatch.filter(|_| reason == Reason::StateDiffers);
            Err(LineError::Broken {
                id: entity.id,
                kind: entity.kind,
                at_index,
                reason,
                field: mismatch.map(|mismatch| mismatch.field),
            })
        }
    }
}

/// Verifies one entity's line, given without its line feed.
///
/// # Errors
/// [`LineError`] if the line cannot be parsed or was altered.
pub fn verify_line(line: &[u8]) -> Result<VerifiedLine, LineError> {
    LineVerifier::default().verify(line)
}
