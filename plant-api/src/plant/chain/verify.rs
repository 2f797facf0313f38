//! Verification of a chain: whether it is unaltered; if not, where it was first altered, and how.

use serde::Serialize;

use super::{Amendment, Digest32, Format, Head, Identity, link};

/// Result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was altered.
    Intact,
    /// Something was altered; this is the first alteration.
    Broken {
        /// Index of the first altered or missing amendment, or of the one that last set an altered
        /// field.
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

/// The links of a chain, read in order.
#[derive(Debug, Clone)]
struct Links {
    entity: Identity,
    /// Version of the format; until the first link is read, the newest.
    format: Format,
    /// Head of the links read so far.
    head: Head,
}

impl Links {
    fn new(entity: Identity) -> Self {
        Self { entity, format: Format::NEWEST, head: Head::default() }
    }

    /// Reads the next link; returns whether it is the hash that it must be. The first link
    /// determines the version of the format.
    fn read(&mut self, content_hash: Digest32, stored: Digest32) -> bool {
        let Head { length, version_hash } = self.head;
        self.head = Head { length: length + 1, version_hash: stored };
        if stored == link(self.format, self.entity, length, version_hash, content_hash) {
            return true;
        }
        if length == 0 {
            self.format = Format::of_chain(self.entity, content_hash, stored);
        }
        length == 0 && self.format != Format::NEWEST
    }
}

/// Verifies the links of a chain, one amendment at a time, in constant memory.
#[derive(Debug, Clone)]
pub struct LinkVerifier {
    links: Links,
    broken_at: Option<(u64, Reason)>,
}

impl LinkVerifier {
    pub fn new(entity: Identity) -> Self {
        Self { links: Links::new(entity), broken_at: None }
    }

    /// Verifies the next amendment.
    pub fn update(&mut self, amendment: &Amendment<impl AsRef<[u8]>>) {
        let at_index = self.links.head.length;
        let link_is_right = self.links.read(amendment.content_hash, amendment.link);
        if self.is_intact() {
            let reason = check(amendment, at_index, link_is_right);
            self.broken_at = reason.map(|reason| (at_index, reason));
        }
    }

    /// Returns the head of the amendments read so far.
    pub fn head(&self) -> Head {
        self.links.head
    }

    /// Returns the version of the chain's format.
    pub fn format(&self) -> Format {
        self.links.format
    }

    /// Returns whether all amendments read so far are unaltered.
    pub fn is_intact(&self) -> bool {
        self.broken_at.is_none()
    }

    /// Returns the verdict on the whole chain; `stored` is the head stored with the entity.
    pub fn verdict(&self, stored: Head) -> Verdict {
        let head = self.head();
        let (at_index, reason) = match self.broken_at {
            Some(broken_at) => broken_at,
            None if head.length == 0 => (0, Reason::Empty),
            None if head.length != stored.length => {
                (head.length.min(stored.length), Reason::WrongLength)
            }
            None if head != stored => (head.length - 1, Reason::WrongVersionHash),
            None => return Verdict::Intact,
        };
        Verdict::Broken { at_index, reason }
    }
}

/// Verifies the amendments of `entity` in order, and the last one against the stored `head`.
pub fn verify(entity: Identity, amendments: &[Amendment], head: Head) -> Verdict {
    let mut links = LinkVerifier::new(entity);
    for amendment in amendments {
        links.update(amendment);
        if !links.is_intact() {
            break;
        }
    }
    links.verdict(head)
}

/// Returns what is wrong with the amendment at position `at_index`.
fn check(
    amendment: &Amendment<impl AsRef<[u8]>>,
    at_index: u64,
    link_is_right: bool,
) -> Option<Reason> {
    if amendment.sequence != at_index {
        return Some(Reason::WrongSequence);
    }
    if Digest32::sha256(amendment.content.as_ref()) != amendment.content_hash {
        return Some(Reason::ContentAltered);
    }
    (!link_is_right).then_some(Reason::LinkAltered)
}

/// Returns whether these pairs of content hash and link are, in this order, a chain of `entity`.
/// An empty slice is not a chain. Unlike [`verify`] it does not read contents, does not compare
/// with a stored head, and gives no reason.
pub fn validate_chain(entity: Identity, hashes: &[(Digest32, Digest32)]) -> bool {
    let mut links = Links::new(entity);
    let matches = |&(content_hash, link)| links.read(content_hash, link);
    !hashes.is_empty() && hashes.iter().all(matches)
}
