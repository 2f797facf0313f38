//! Examining an entity: its chain, what its rows say, and the checks that follow.

use futures::StreamExt;
use sqlx::PgConnection;

use super::content::{Content, contents};
use crate::error::Result;
use crate::plant::chain::{Head, Reason, Verdict};
use crate::plant::entity::{self, Check, Departure, Fields, Reading, Shared};

/// What examining an entity found.
#[derive(Debug)]
pub struct Examination {
    /// Whether chain and rows are as they were written.
    pub verdict: Verdict,
    /// Where the rows say something else than the amendments.
    pub departure: Option<Departure>,
    /// Where the chain really ends.
    pub end: Head,
    /// What every entity must pass.
    pub l0: Vec<Check>,
    /// What its kind must pass.
    pub l1: Vec<Check>,
}

impl Examination {
    /// Concludes from all that there is of an entity. An entity without `content` has lost what
    /// its amendments say that it has.
    ///
    /// # Errors
    /// When a row cannot be written as canonical JSON.
    pub fn of(shared: &Shared, content: Option<&Content>, reading: &Reading<'_>) -> Result<Self> {
        let fields = content.map(Content::fields).transpose()?.unwrap_or_default();
        let row = shared.row(&fields)?;
        let row = Fields::read(&row);
        let verdict = reading.verdict(shared.head(), row.as_ref());
        Ok(Self {
            verdict,
            departure: reading.departure(row.as_ref()),
            end: reading.end(),
            l0: check_l0(shared, reading.end(), verdict),
            l1: content.map(Content::check_l1).unwrap_or_default(),
        })
    }

    /// Every check, L0 before L1.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.l0.iter().chain(&self.l1)
    }
}

/// Examines one entity, read on `connection` as of one moment: locked, or in one snapshot.
///
/// # Errors
/// Database errors.
pub async fn examine(connection: &mut PgConnection, shared: &Shared) -> Result<Examination> {
    let ids = [shared.id];
    let content = contents(connection, shared.kind, &ids).await?.remove(&shared.id);
    let mut reading = Reading::of(shared.id);
    let mut chain = entity::sql::chains(connection, &ids);
    while let Some(amendment) = chain.next().await {
        reading.read(&amendment?.1);
    }
    Examination::of(shared, content.as_ref(), &reading)
}

/// What every entity must pass. Where the chain has been verified before, most of these hold by
/// then; they are named for whoever reads the answer.
fn check_l0(shared: &Shared, end: Head, verdict: Verdict) -> Vec<Check> {
    let reason = match verdict {
        Verdict::Intact => None,
        Verdict::Broken { reason, .. } => Some(reason),
    };
    let appended = !matches!(reason, Some(Reason::WrongSequence | Reason::WrongLength));
    let intact = matches!(reason, None | Some(Reason::StateDiffers));
    let at_head = end.version_hash == shared.version_hash;
    vec![
        Check::new("L0-01", !shared.governance_agent_id.is_empty(), "a governing agent id"),
        Check::new("L0-02", end.length > 0, "an amendment history"),
        Check::new("L0-03", appended, "an append-only history"),
        Check::new("L0-04", intact, "a non-empty intact chain"),
        Check::new("L0-05", at_head, "a version hash equal to the chain's head"),
    ]
}
