//! The hash that links an amendment to all before it.

use uuid::Uuid;

use super::{Digest32, Kind};

/// Version of the chain's format. A chain has one version for its whole life; new chains have the
/// newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Links do not cover the entity's kind.
    V1,
    /// Links cover the entity's kind.
    V2,
}

impl Format {
    /// The version of new chains.
    pub const NEWEST: Self = Self::V2;

    /// Returns the version of a chain, given the first amendment's content hash and link: the
    /// version whose hash of that amendment equals `first_link`. The version is not stored, so it
    /// cannot be altered. If no version's hash does, the chain is broken, and the newest is returned.
    pub fn of_chain(entity: Identity, content_hash: Digest32, first_link: Digest32) -> Self {
        let first_is = |format| link(format, entity, 0, Digest32::default(), content_hash);
        if first_link != first_is(Self::V2) && first_link == first_is(Self::V1) {
            Self::V1
        } else {
            Self::NEWEST
        }
    }
}

/// What identifies an entity in the links of its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub id: Uuid,
    pub kind: Kind,
}

const DOMAIN_V1: &[u8; 14] = b"plant/link/v1\0";
const DOMAIN_V2: &[u8; 14] = b"plant/link/v2\0";

/// Maximum length of a kind as text.
const MAX_KIND_BYTES: usize = 8;

const _: () = {
    let mut index = 0;
    while index < Kind::ALL.len() {
        assert!(Kind::ALL[index].as_str().len() <= MAX_KIND_BYTES);
        index += 1;
    }
};

/// Returns the SHA-256 of domain separator, entity, `sequence` (big-endian), `previous` link and
/// `content_hash`. `docs/chain.md` specifies the bytes of each version.
pub fn link(
    format: Format,
    entity: Identity,
    sequence: u64,
    previous: Digest32,
    content_hash: Digest32,
) -> Digest32 {
    let mut input = Input { bytes: [0; _], length: 0 };
    match format {
        Format::V1 => {
            input.append(DOMAIN_V1);
            input.append(entity.id.as_bytes());
        }
        Format::V2 => {
            let kind = entity.kind.as_str();
            input.append(DOMAIN_V2);
            input.append(entity.id.as_bytes());
            // At most `MAX_KIND_BYTES`.
            input.append(&[kind.len() as u8]);
            input.append(kind.as_bytes());
        }
    }
    input.append(&sequence.to_be_bytes());
    input.append(&previous.0);
    input.append(&content_hash.0);
    Digest32::sha256(&input.bytes[..input.length])
}

/// The hashed bytes of a link.
struct Input {
    bytes: [u8; DOMAIN_V2.len() + 16 + 1 + MAX_KIND_BYTES + 8 + 32 + 32],
    length: usize,
}

impl Input {
    fn append(&mut self, part: &[u8]) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
    }
}
