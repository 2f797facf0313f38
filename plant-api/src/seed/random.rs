//! Reproducible ids, times and random choices: each is derived from the seed, the kind of row and
//! its index, so it is the same on every machine. Ids and times both ascend with the index, so
//! lists sorted newest first have a defined order.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// 2025-01-06T00:00:00Z in Unix seconds. In the past, so that rows created later sort after the
/// seeded rows.
const EPOCH_SECONDS: i64 = 1_736_121_600;

/// The kinds of seeded rows. The creation times of a kind start on its own day, one row per second,
/// so that every row is newer than the rows it references.
///
/// The names of the variants are hashed into the ids: renaming one changes its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    Industry,
    Skill,
    JobRole,
    Team,
    Agent,
    Customer,
    Account,
    Hire,
    Goal,
    Deliverable,
    Tenant,
    ResolvedTicket,
}

impl RowKind {
    /// Returns the day after `EPOCH_SECONDS` on which the times of this kind start.
    fn first_day(self) -> i64 {
        match self {
            Self::Industry => 0,
            Self::Skill => 1,
            Self::JobRole => 2,
            Self::Team => 3,
            Self::Agent => 7,
            Self::Customer => 30,
            Self::Account => 45,
            Self::Hire => 60,
            Self::Goal => 90,
            Self::Deliverable => 120,
            Self::Tenant => 30,
            Self::ResolvedTicket => 150,
        }
    }

    /// Returns the creation time of the row at `index`.
    pub fn created_at(self, index: usize) -> DateTime<Utc> {
        let seconds = i64::try_from(index).unwrap_or(i64::MAX / 2);
        DateTime::UNIX_EPOCH
            + TimeDelta::seconds(EPOCH_SECONDS + self.first_day() * 86_400 + seconds)
    }
}

/// 32 pseudorandom bytes for one row: a SHA-256 hash of the seed, the kind and the index.
#[derive(Debug, Clone, Copy)]
pub struct RandomBytes([u8; 32]);

impl RandomBytes {
    /// Computes the bytes for the row at `index` of `kind`.
    pub fn new(seed: u64, kind: RowKind, index: usize) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"plant/seed/v1\0");
        hasher.update(seed.to_be_bytes());
        hasher.update(format!("{kind:?}/{index}"));
        Self(hasher.finalize().into())
    }

    /// Returns a UUIDv7 with this timestamp.
    pub fn id(&self, time: DateTime<Utc>) -> Uuid {
        let mut random = [0; 10];
        random.copy_from_slice(&self.0[..10]);
        let millis = time.timestamp_millis().unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// Picks a number below `count`, which must not be 0. The choices 0 to 4 are independent of
    /// each other.
    pub fn pick(&self, choice: usize, count: usize) -> usize {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[12 + 4 * choice..][..4]);
        u32::from_be_bytes(bytes) as usize % count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_reproducible_and_ascend_with_the_index() {
        let id = |index| {
            let time = RowKind::Agent.created_at(index);
            RandomBytes::new(42, RowKind::Agent, index).id(time)
        };
        assert_eq!(id(0).to_string(), "01945cf5-cc00-7924-aab3-16ee86e91757");
        assert_eq!(id(0).get_version_num(), 7);
        assert!((0..1000).all(|index| id(index) < id(index + 1)));
    }
}
