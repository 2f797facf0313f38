//! The outcome of verifying a file, and its text and exit code.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use super::ReadResult;
use super::line_defect::LineDefect;
use super::order::{BlockResult, first_defect};
use crate::plant::audit::line::Manifest;

/// Outcome of verifying a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The manifest matches, and every chain and its fields are consistent.
    Intact(Totals),
    /// A chain, a field or the manifest does not verify: the database or the file was altered.
    Broken(Defect),
    /// The file cannot be read, is not an export, has a malformed line, or is incomplete.
    Unreadable(Defect),
}

/// Totals of an intact file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// Number of entities.
    pub entities: u64,
    /// Number of links in their chains.
    pub links: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Duration of the verification.
    pub duration: Duration,
}

/// The first defect of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Defect {
    /// Line number, from 1; 0 if the file could not be opened.
    pub line: u64,
    /// Description of the defect.
    pub message: String,
}

/// Returns the outcome of reading the file and verifying its blocks.
pub(super) fn conclude(
    read: ReadResult,
    mut blocks: Vec<BlockResult>,
    duration: Duration,
) -> Outcome {
    blocks.sort_unstable_by_key(|block| block.first_line);
    let entities = blocks.iter().map(|block| block.entities).sum();
    let links = blocks.iter().map(|block| block.links).sum();
    if let Some((line, defect)) = first_defect(blocks) {
        return match defect {
            LineDefect::Broken(message) => Outcome::Broken(Defect { line, message }),
            LineDefect::Malformed(message) => Outcome::unreadable(line, message),
        };
    }
    let line = read.lines + 1;
    if let Some(error) = read.error {
        return Outcome::unreadable(line, error);
    }
    let manifest = read.manifest_line.strip_suffix(b"\n").and_then(Manifest::parse);
    match manifest {
        None => Outcome::unreadable(
            line,
            "no manifest at the end of the file: incomplete export".into(),
        ),
        Some(manifest) if manifest == read.expected => {
            Outcome::Intact(Totals { entities, links, bytes: read.bytes, duration })
        }
        Some(manifest) => {
            let message = format!(
                "the manifest states {} entities with SHA-256 {}, but the file has {} with {}",
                manifest.entities, manifest.sha256, read.expected.entities, read.expected.sha256
            );
            Outcome::Broken(Defect { line, message })
        }
    }
}

impl Outcome {
    pub(super) fn unreadable(line: u64, message: String) -> Self {
        Self::Unreadable(Defect { line, message })
    }

    /// Returns the exit code: 0 intact, 1 broken, 2 unreadable.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Intact(_) => 0,
            Self::Broken(_) => 1,
            Self::Unreadable(_) => 2,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intact(totals) => write!(f, "intact: {totals}"),
            Self::Broken(defect) => write!(f, "broken: {defect}"),
            Self::Unreadable(defect) => write!(f, "unreadable: {defect}"),
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.duration.as_secs_f64();
        let rate = self.links as f64 / seconds.max(f64::MIN_POSITIVE);
        write!(
            f,
            "{} entities with {} links, {} bytes, in {seconds:.2} s ({rate:.0} links/s)",
            self.entities, self.links, self.bytes
        )
    }
}
