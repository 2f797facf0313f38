//! Examination of an entity: verifies its chain, compares its fields with the amendments, and runs
//! the L0 and L1 checks.

use futures::StreamExt;
use sqlx::PgConnection;

use super::content::{Content, find_contents};
use crate::error::Result;
use crate::plant::chain::{Head, Reason, Verdict};
use crate::plant::entity::{self, BaseEntity, Check, EntityVerifier, Fields, Mismatch};

/// Result of examining an entity.
#[derive(Debug)]
pub struct Examination {
    /// Whether the chain is intact and the fields match it.
    pub verdict: Verdict,
    /// First mismatch between the fields and the amendments.
    pub mismatch: Option<Mismatch>,
    /// Head of the chain, computed from the amendments.
    pub computed_head: Head,
    /// Results of the checks common to all kinds.
    pub l0: Vec<Check>,
    /// Results of the checks of the kind.
    pub l1: Vec<Check>,
}

impl Examination {
    /// Computes the result from an entity's base row, content and chain. If the content is missing,
    /// its fields count as missing and there are no L1 results.
    ///
    /// # Errors
    /// When a field cannot be written as canonical JSON.
    pub fn new(
        base: &BaseEntity,
        content: Option<&Content>,
        verifier: &EntityVerifier<'_>,
    ) -> Result<Self> {
        let content_fields = content.map(Content::fields).transpose()?.unwrap_or_default();
        let canonical = base.canonical_fields(&content_fields)?;
        let fields = Fields::parse(&canonical);
        let verdict = verifier.verdict(base.head(), fields.as_ref());
        Ok(Self {
            verdict,
            mismatch: verifier.mismatch(fields.as_ref()),
            computed_head: verifier.head(),
            l0: check_l0(base, verifier.head(), verdict),
            l1: content.map(Content::check_l1).unwrap_or_default(),
        })
    }

    /// Returns the results of all checks, L0 before L1.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.l0.iter().chain(&self.l1)
    }
}

/// Examines one entity. Its rows must be locked on `connection` or read in one snapshot.
///
/// # Errors
/// Database errors.
pub async fn examine(connection: &mut PgConnection, base: &BaseEntity) -> Result<Examination> {
    let ids = [base.id];
    let content = find_contents(connection, base.kind, &ids).await?.remove(&base.id);
    let mut verifier = EntityVerifier::new(base.identity());
    let mut chain = entity::sql::stream_chains(connection, &ids);
    while let Some(amendment) = chain.next().await {
        verifier.update(&amendment?.1);
    }
    Examination::new(base, content.as_ref(), &verifier)
}

/// Returns the results of the L0 checks. Most follow from an intact chain; the response lists them
/// individually.
fn check_l0(base: &BaseEntity, head: Head, verdict: Verdict) -> Vec<Check> {
    let reason = match verdict {
        Verdict::Intact => None,
        Verdict::Broken { reason, .. } => Some(reason),
    };
    let appended = !matches!(reason, Some(Reason::WrongSequence | Reason::WrongLength));
    let intact = matches!(reason, None | Some(Reason::StateDiffers));
    let at_head = head.version_hash == base.version_hash;
    vec![
        Check::new("L0-01", !base.governance_agent_id.is_empty(), "a governing agent id"),
        Check::new("L0-02", head.length > 0, "an amendment history"),
        Check::new("L0-03", appended, "an append-only history"),
        Check::new("L0-04", intact, "a non-empty intact chain"),
        Check::new("L0-05", at_head, "a version hash equal to the chain's head"),
    ]
}
