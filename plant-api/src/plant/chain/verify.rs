//! Whether a chain is as it was written, and if not, where it first differs and why.

use serde::Serialize;
use uuid::Uuid;

use super::{Amendment, Digest32, Head, link};

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

/// A chain read from its start, an amendment at a time, so that its length does not matter.
#[derive(Debug, Clone)]
pub struct Links {
    entity: Uuid,
    end: Head,
    fault: Option<(u64, Reason)>,
}

impl Links {
    /// The chain of `entity`, of which nothing is read yet.
    pub fn of(entity: Uuid) -> Self {
        Self { entity, end: Head { length: 0, version_hash: Digest32::default() }, fault: None }
    }

    /// Reads the next amendment: is it what must follow the one before?
    pub fn read(&mut self, amendment: &Amendment<impl AsRef<[u8]>>) {
        if self.fault.is_none() {
            let reason = fault(self.entity, self.end, amendment);
            self.fault = reason.map(|reason| (self.end.length, reason));
        }
        self.end = Head { length: self.end.length + 1, version_hash: amendment.link };
    }

    /// Where the chain ends, as far as it is read.
    pub fn end(&self) -> Head {
        self.end
    }

    /// Whether every amendment so far follows from the one before.
    pub fn hold(&self) -> bool {
        self.fault.is_none()
    }

    /// What was found, now that all is read and the entity says that its chain ends at `head`.
    pub fn verdict(&self, head: Head) -> Verdict {
        let (at_index, reason) = match self.fault {
            Some(fault) => fault,
            None if self.end.length == 0 => (0, Reason::Empty),
            None if self.end.length != head.length => {
                (self.end.length.min(head.length), Reason::WrongLength)
            }
            None if self.end != head => (self.end.length - 1, Reason::WrongVersionHash),
            None => return Verdict::Intact,
        };
        Verdict::Broken { at_index, reason }
    }
}

/// Checks every amendment of `entity` against its predecessor, and the last one against `head`.
pub fn verify(entity: Uuid, amendments: &[Amendment], head: Head) -> Verdict {
    let mut links = Links::of(entity);
    for amendment in amendments {
        links.read(amendment);
        if !links.hold() {
            break;
        }
    }
    links.verdict(head)
}

fn fault(entity: Uuid, end: Head, amendment: &Amendment<impl AsRef<[u8]>>) -> Option<Reason> {
    if amendment.sequence != end.length {
        return Some(Reason::WrongSequence);
    }
    if Digest32::of(amendment.content.as_ref()) != amendment.content_hash {
        return Some(Reason::ContentAltered);
    }
    if link(entity, end.length, end.version_hash, amendment.content_hash) != amendment.link {
        return Some(Reason::LinkAltered);
    }
    None
}

/// Whether these content hashes and links, in their order, are one chain of `entity`: each link
/// follows from the one before. Nothing is not a chain.
pub fn validate_chain(entity: Uuid, hashes: &[(Digest32, Digest32)]) -> bool {
    let mut previous = Digest32::default();
    let follows = |(sequence, (content_hash, next)): (u64, &(Digest32, Digest32))| {
        let expected = link(entity, sequence, previous, *content_hash);
        previous = expected;
        expected == *next
    };
    !hashes.is_empty() && (0..).zip(hashes).all(follows)
}
