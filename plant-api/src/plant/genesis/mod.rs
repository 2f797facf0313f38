//! Genesis: certification. An entity is certified if its whole chain verifies and it passes the L0
//! checks, common to all kinds, and the L1 checks of its kind. Certification is itself an
//! amendment.

pub mod content;
pub mod examination;
pub mod job_roles;
pub(crate) mod routes;
pub mod skills;
#[cfg(test)]
mod tests;
mod twin;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::error::{Error, Result, Violation};
use crate::plant::chain::{ChangeType, Digest32, Verdict};
use crate::plant::entity::{self, Check, Kind, LockedEntity, Status};
use crate::state::AppState;

use examination::examine;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(routes::router())
        .merge(skills::routes::router())
        .merge(job_roles::routes::router())
}

/// Result of a certification.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Certification {
    /// Id of the entity.
    pub entity_id: Uuid,
    /// Kind of the entity.
    pub entity_type: Kind,
    /// Always `certified`, also for kinds whose stored status stays unchanged.
    pub status: Status,
    /// Last link of the hash chain.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
    /// Number of amendments in the hash chain.
    pub chain_length: u64,
    /// Result of each check, by name.
    pub checks: BTreeMap<&'static str, bool>,
    /// Time of certification.
    pub certified_at: DateTime<Utc>,
}

/// Notes and evidence of a certification; both become part of the amendment.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct CertificationDetails {
    /// Notes on the certification.
    #[schema(max_length = 10_000, example = "Reviewed by the board")]
    pub notes: Option<String>,
    /// Evidence for the certification: any JSON value of at most 64 KiB.
    #[schema(value_type = Value, required = false)]
    pub evidence: Option<Value>,
}

impl CertificationDetails {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.optional_text("notes", self.notes.as_deref());
        if let Some(evidence) = &self.evidence {
            checks.free_form_json("evidence", evidence);
        }
        checks.into_result()
    }
}

/// Certifies an entity; an entity that is already certified stays unchanged.
///
/// Six round trips with those of the caller, who begins and commits: begin, lock, content, chain,
/// amendment, commit. The lock is a
/// statement of its own: one that locks and reads at once would, after waiting, still see the chain
/// from before the wait.
///
/// # Errors
/// [`Error::Validation`]; [`Error::NotFound`]; [`Error::HashChainBroken`];
/// [`Error::ConstitutionalAlignment`] with the failed checks.
pub async fn certify(
    connection: &mut PgConnection,
    clock: &Clock,
    caller: &Caller,
    kind: Kind,
    id: Uuid,
    details: CertificationDetails,
) -> Result<Certification> {
    details.check()?;
    let no_such = || Error::no_such(kind.noun());
    let mut base = entity::sql::lock(&mut *connection, id).await?.ok_or_else(no_such)?;
    if base.kind != kind {
        return Err(no_such());
    }
    let examination = examine(&mut *connection, &base).await?;
    if let Verdict::Broken { at_index, reason } = examination.verdict {
        return Err(Error::HashChainBroken { at_index, reason: reason.as_str() });
    }
    let failed: Vec<_> =
        examination.checks().filter(|check| !check.passed).map(violation).collect();
    if !failed.is_empty() {
        return Err(Error::ConstitutionalAlignment(failed));
    }
    let certified_at = match base.certified_at {
        Some(certified_at) => certified_at,
        None => {
            let now = clock.now();
            let data = apply_certification(&mut base, now, details);
            base.amend(connection, ChangeType::Certification, data, now, caller.actor()).await?;
            now
        }
    };
    Ok(Certification {
        entity_id: id,
        entity_type: kind,
        status: Status::Certified,
        version_hash: base.version_hash,
        chain_length: base.head().length,
        checks: examination.checks().map(|check| (check.name, check.passed)).collect(),
        certified_at,
    })
}

/// Marks `base` as certified at `at`; returns the data of the amendment.
fn apply_certification(
    base: &mut LockedEntity,
    at: DateTime<Utc>,
    details: CertificationDetails,
) -> Map<String, Value> {
    base.certified_at = Some(at);
    if base.kind == Kind::Skill {
        base.status = Status::Certified;
    }
    certification_data(base.kind, at, details)
}

/// Returns the data of a certification amendment.
pub fn certification_data(
    kind: Kind,
    at: DateTime<Utc>,
    details: CertificationDetails,
) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("certified_at".into(), json!(at));
    if kind == Kind::Skill {
        data.insert("status".into(), json!(Status::Certified));
    }
    if let Some(notes) = details.notes {
        data.insert("notes".into(), notes.into());
    }
    if let Some(evidence) = details.evidence {
        data.insert("evidence".into(), evidence);
    }
    data
}

/// Returns the violation that reports a failed check.
pub fn violation(check: &Check) -> Violation {
    Violation::new("", check.name, format!("{} is missing", check.requirement))
}
