//! What verifying a file came to, and how it is told.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use uuid::Uuid;

use super::End;
use super::order::{BlockOrder, first_trouble};
use crate::plant::audit::line::{Fault, Manifest};
use crate::plant::chain::Reason;

/// What verifying a file came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Every byte is as it was written.
    Intact(Figures),
    /// It can be read, but is not what was written.
    Broken(Place),
    /// It is not an export, or no whole one.
    Unreadable(Place),
}

/// What an intact file holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Entities.
    pub entities: u64,
    /// Links of their chains.
    pub links: u64,
    /// Bytes.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// The first place at fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Number of the line, from 1; 0 where the file as a whole cannot be read.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Trouble {
    /// It can be read, but is not what was written.
    Broken(String),
    /// It cannot be read.
    Unreadable(String),
}

impl Trouble {
    /// The line of entity `id` comes after that of `before`.
    pub fn out_of_order(id: Uuid, before: Uuid) -> Self {
        let how = if id == before { "is there twice" } else { "is not where it was written" };
        Self::Broken(format!("the entity {id} {how}"))
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unreadable(why) => Self::Unreadable(why),
            Fault::Broken { id, kind, at_index, reason, field } => {
                let field = field.map(|field| format!(" (`{field}`)")).unwrap_or_default();
                let (kind, code, why) = (kind.noun(), reason.as_str(), in_words(reason));
                let place = format!("{kind} {id}, amendment {at_index}");
                Self::Broken(format!("{place}: {code}{field}: {why}"))
            }
        }
    }
}

fn in_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Empty => "there is no amendment",
        Reason::WrongSequence => "an amendment is missing, inserted or moved",
        Reason::ContentAltered => "the content does not hash to its content hash",
        Reason::LinkAltered => "the link does not follow from what it covers",
        Reason::WrongLength => "the chain is shorter or longer than the entity says",
        Reason::WrongVersionHash => "the version hash is not the last link",
        Reason::StateDiffers => "the entity's fields differ from what its amendments add up to",
    }
}

/// Puts together what the workers and the reader found.
pub(super) fn conclude(end: End, mut blocks: Vec<BlockOrder>, took: Duration) -> Outcome {
    blocks.sort_unstable_by_key(|block| block.first_line);
    let entities = blocks.iter().map(|block| block.entities).sum();
    let links = blocks.iter().map(|block| block.links).sum();
    if let Some((line, trouble)) = first_trouble(blocks) {
        return match trouble {
            Trouble::Broken(what) => Outcome::Broken(Place { line, what }),
            Trouble::Unreadable(what) => Outcome::not_read(line, what),
        };
    }
    let line = end.lines + 1;
    if let Some(why) = end.trouble {
        return Outcome::not_read(line, why);
    }
    let manifest = end.found.strip_suffix(b"\n").and_then(Manifest::read);
    match manifest {
        None => Outcome::not_read(line, "there is no manifest at the end of the file".into()),
        Some(manifest) if manifest == end.expected => {
            Outcome::Intact(Figures { entities, links, bytes: end.bytes, took })
        }
        Some(manifest) => {
            let what = format!(
                "the manifest is of {} entities with SHA-256 {}, but there are {} with {}",
                manifest.entities, manifest.sha256, end.expected.entities, end.expected.sha256
            );
            Outcome::Broken(Place { line, what })
        }
    }
}

impl Outcome {
    pub(super) fn not_read(line: u64, what: String) -> Self {
        Self::Unreadable(Place { line, what })
    }

    /// 0 intact, 1 broken, 2 unreadable.
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
            Self::Intact(figures) => write!(f, "intact: {figures}"),
            Self::Broken(place) => write!(f, "broken: {place}"),
            Self::Unreadable(place) => write!(f, "unreadable: {place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.what)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let rate = self.links as f64 / seconds.max(f64::MIN_POSITIVE);
        write!(
            f,
            "{} entities with {} links, {} bytes, in {seconds:.2} s ({rate:.0} links/s)",
            self.entities, self.links, self.bytes
        )
    }
}
