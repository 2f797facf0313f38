//! The lines of an export. Pure: writing them, reading them, checking one.
//!
//! A line is one entity with its whole chain, as canonical JSON; the last line, the manifest, has
//! the number of entities and the SHA-256 of all bytes before it.

mod read;

use std::fmt;

use serde::Deserialize;
use uuid::Uuid;

use crate::plant::chain::{Amendment, Digest32, Reason, Verdict};
use crate::plant::entity::{Kind, Reading, Shared};
use read::Line;

/// Writes the beginning of an entity's line.
pub fn begin(out: &mut Vec<u8>) {
    out.extend(br#"{"amendments":["#);
}

/// Writes the entity's next amendment.
pub fn amendment(out: &mut Vec<u8>, amendment: &Amendment) {
    if amendment.sequence > 0 {
        out.push(b',');
    }
    out.extend(br#"{"content":"#);
    // Content that is no text any more has been altered, and its hash tells.
    text(out, &String::from_utf8_lossy(&amendment.content));
    out.extend(br#","content_hash":""#);
    out.extend(amendment.content_hash.hex());
    out.extend(br#"","link":""#);
    out.extend(amendment.link.hex());
    out.extend(format!(r#"","sequence":{}}}"#, amendment.sequence).bytes());
}

/// Writes the end of an entity's line; `row` is its fields as canonical JSON.
pub fn end(out: &mut Vec<u8>, shared: &Shared, row: &[u8]) {
    out.extend(format!(r#"],"chain_length":{},"entity":"#, shared.chain_length).bytes());
    out.extend(row);
    let (kind, id, hash) = (shared.kind.as_str(), shared.id, shared.version_hash);
    let rest = format!(r#","entity_type":"{kind}","id":"{id}","version_hash":"{hash}"}}"#);
    out.extend(rest.bytes());
    out.push(b'\n');
}

/// RFC 8785 writes strings as serde_json does.
fn text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

/// The last line's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lines before this one.
    pub entities: u64,
    /// SHA-256 of all bytes before this line.
    pub sha256: Digest32,
}

impl Manifest {
    /// Reads a manifest that is written exactly as [`fmt::Display`] does.
    pub fn read(line: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(line).ok()?;
        (manifest.to_string().as_bytes() == line).then_some(manifest)
    }
}

/// The line, without its end.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"entities":{},"sha256":"{}"}}"#, self.entities, self.sha256)
    }
}

/// What a line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The entity.
    pub id: Uuid,
    /// Links in its chain.
    pub links: u64,
}

/// Why a line is not what was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not an entity's line at all.
    Unreadable(String),
    /// Chain or fields are not as they were written.
    Broken {
        /// The entity.
        id: Uuid,
        /// What it is.
        kind: Kind,
        /// Index of the first amendment at fault.
        at_index: u64,
        /// What is wrong there.
        reason: Reason,
        /// The field that differs, if that is what is wrong.
        field: Option<String>,
    },
}

/// Checks lines, one after the other.
#[derive(Debug, Default)]
pub struct Checker {
    space: Vec<u8>,
}

impl Checker {
    /// Checks an entity's line, without its end.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, line: &[u8]) -> Result<Checked, Fault> {
        let line = Line::read(line, &mut self.space)?;
        let mut reading = Reading::of(line.id);
        for amendment in &line.amendments {
            reading.read_in_place(&Amendment {
                sequence: amendment.sequence,
                content: &amendment.content,
                content_hash: amendment.content_hash,
                link: amendment.link,
            });
        }
        match reading.verdict(line.head, line.row.as_ref()) {
            Verdict::Intact => Ok(Checked { id: line.id, links: line.head.length }),
            Verdict::Broken { at_index, reason } => {
                let departure = reading.departure(line.row.as_ref());
                let departure = departure.filter(|_| reason == Reason::StateDiffers);
                Err(Fault::Broken {
                    id: line.id,
                    kind: line.kind,
                    at_index,
                    reason,
                    field: departure.map(|departure| departure.field),
                })
            }
        }
    }
}

/// Checks an entity's line, without its end.
///
/// # Errors
/// What is wrong with it.
pub fn check(line: &[u8]) -> Result<Checked, Fault> {
    Checker::default().check(line)
}
