//! Verification of a chain: whether it is unaltered; if not, where it was first altered, and how.

use serde::Serialize;
use uuid::Uuid;

use super::{Amendment, Digest32, Head, link};

/// Result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was altered.
    Intact,
    /// Something was altered; this is the first alteration.
    Broken {
        /// Index of the first altered or missing amendment; if only a field of the entity was
        /// altered, of the amendment that last set it.
        at_index: u64,
        /// What was altered.
        reason: Reason,
    },
}

/// Why a chain is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no amendment.
    Empty,
    /// The sequence number is not the expected one: an amendment is missing, inserted or moved.
    WrongSequence,
    /// The SHA-256 of the content is not its content hash.
    ContentAltered,
    /// The link is not the hash of the data that it covers.
    LinkAltered,
    /// The number of amendments is not the entity's chain length.
    WrongLength,
    /// The last link is not the entity's version hash.
    WrongVersionHash,
    /// The content cannot be read, though its hash matches: it is not the JSON of an amendment.
    Unreadable,
    /// The entity's fields differ from the result of its amendments.
    StateDiffers,
}

impl Reason {
    /// Returns the reason as in JSON (`snake_case`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::WrongSequence => "wrong_sequence",
            Self::ContentAltered => "content_altered",
            Self::LinkAltered => "link_altered",
            Self::WrongLength => "wrong_length",
            Self::WrongVersionHash => "wrong_version_hash",
            Self::Unreadable => "unreadable",
            Self::StateDiffers => "state_differs",
        }
    }
}

/// Verifies the links of a chain, one amendment at a time, in constant memory.
#[derive(Debug, Clone)]
pub struct LinkVerifier {
    entity: Uuid,
    head: Head,
    broken_at: Option<(u64, Reason)>,
}

impl LinkVerifier {
    pub fn new(entity: Uuid) -> Self {
        Self {
            entity,
            head: Head { length: 0, version_hash: Digest32::default() },
            broken_at: None,
        }
    }

    /// Verifies the next amendment.
    pub fn update(&mut self, amendment: &Amendment<impl AsRef<[u8]>>) {
        if self.broken_at.is_none() {
            let reason = check(self.entity, self.head, amendment);
            self.broken_at = reason.map(|reason| (self.head.length, reason));
        }
        self.head = Head { length: self.head.length + 1, version_hash: amendment.link };
    }

    /// Returns the head of the amendments read so far.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Returns whether all amendments read so far are unaltered.
    pub fn is_intact(&self) -> bool {
        self.broken_at.is_none()
    }

    /// Returns the verdict on the whole chain; `stored` is the head stored with the entity.
    pub fn verdict(&self, stored: Head) -> Verdict {
        let (at_index, reason) = match self.broken_at {
            Some(broken_at) => broken_at,
            None if self.head.length == 0 => (0, Reason::Empty),
            None if self.head.length != stored.length => {
                (self.head.length.min(stored.length), Reason::WrongLength)
            }
            None if self.head != stored => (self.head.length - 1, Reason::WrongVersionHash),
            None => return Verdict::Intact,
        };
        Verdict::Broken { at_index, reason }
    }
}

/// Verifies the amendments of `entity` in order, and the last one against the stored `head`.
pub fn verify(entity: Uuid, amendments: &[Amendment], head: Head) -> Verdict {
    let mut links = LinkVerifier::new(entity);
    for amendment in amendments {
        links.update(amendment);
        if !links.is_intact() {
            break;
        }
    }
    links.verdict(head)
}

/// Returns what is wrong with `amendment` as the successor of `head`.
fn check(entity: Uuid, head: Head, amendment: &Amendment<impl AsRef<[u8]>>) -> Option<Reason> {
    if amendment.sequence != head.length {
        return Some(Reason::WrongSequence);
    }
    if Digest32::sha256(amendment.content.as_ref()) != amendment.content_hash {
        return Some(Reason::ContentAltered);
    }
    if link(entity, head.length, head.version_hash, amendment.content_hash) != amendment.link {
        return Some(Reason::LinkAltered);
    }
    None
}

/// Returns whether these pairs of content hash and link are, in this order, a chain of `entity`.
/// An empty slice is not a chain. Unlike [`verify`] it does not read contents, does not compare
/// with a stored head, and gives no reason.
pub fn validate_chain(entity: Uuid, hashes: &[(Digest32, Digest32)]) -> bool {
    let mut previous = Digest32::default();
    let matches_link = |(sequence, (content_hash, stored)): (u64, &(Digest32, Digest32))| {
        let expected = link(entity, sequence, previous, *content_hash);
        previous = expected;
        expected == *stored
    };
    !hashes.is_empty() && (0..).zip(hashes).all(matches_link)
}
