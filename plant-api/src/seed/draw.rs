//! Chance without chance: ids, times and choices that follow from the seed, a series and an index
//! in it, the same on every machine. Ids grow with the index, as times do, so that newest-first
//! lists have one order.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// 2025-01-06T00:00:00Z, in Unix seconds: everything planted is older than what comes later.
const EPOCH: i64 = 1_736_121_600;

/// What is planted, kind by kind. Each kind begins on a day of its own and goes on second by
/// second, so that whatever a row refers to is older than the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
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
}

impl Series {
    /// The day after the epoch on which the series begins. The longest series lasts two months.
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
        }
    }

    /// When the row at `index` comes to be.
    pub fn time(self, index: usize) -> DateTime<Utc> {
        let seconds = i64::try_from(index).unwrap_or(i64::MAX / 2);
        DateTime::UNIX_EPOCH + TimeDelta::seconds(EPOCH + self.first_day() * 86_400 + seconds)
    }
}

/// 32 bytes drawn for one row.
#[derive(Debug, Clone, Copy)]
pub struct Draw([u8; 32]);

impl Draw {
    /// The draw for the row at `index` of `series`.
    pub fn new(seed: u64, series: Series, index: usize) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"plant/seed/v1\0");
        hasher.update(seed.to_be_bytes());
        hasher.update(format!("{series:?}/{index}"));
        Self(hasher.finalize().into())
    }

    /// A UUIDv7 of this time.
    pub fn id(&self, time: DateTime<Utc>) -> Uuid {
        let mut random = [0; 10];
        random.copy_from_slice(&self.0[..10]);
        let millis = time.timestamp_millis().unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// A number below `among`, which is not zero. Each of the `choice`s, 0 to 4, is independent.
    pub fn pick(&self, choice: usize, among: usize) -> usize {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[12 + 4 * choice..][..4]);
        u32::from_be_bytes(bytes) as usize % among
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_everywhere_and_grow_with_the_index() {
        let id = |index| {
            let time = Series::Agent.time(index);
            Draw::new(42, Series::Agent, index).id(time)
        };
        assert_eq!(id(0).to_string(), "01945cf5-cc00-7924-aab3-16ee86e91757");
        assert_eq!(id(0).get_version_num(), 7);
        assert!((0..1000).all(|index| id(index) < id(index + 1)));
    }
}
