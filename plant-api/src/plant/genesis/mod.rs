//! Genesis: certification. An entity is certified once its whole chain verifies and it passes
//! the L0 checks, which every entity must, and the L1 checks, which its kind owns. Certification
//! is itself an amendment.

pub mod content;
pub mod examination;
pub mod job_roles;
pub(crate) mod routes;
pub mod skills;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::access::Caller;
use crate::check::Checks;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result, Violation};
use crate::plant::chain::{ChangeType, Digest32, Verdict};
use crate::plant::entity::{self, Check, Kind, Locked, Status};

use examination::examine;

/// Most bytes of evidence, as JSON.
const EVIDENCE_MAX: usize = 64 * 1024;

/// What certification answers.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Certification {
    /// The entity.
    pub entity_id: Uuid,
    /// What it is.
    pub entity_type: Kind,
    /// Always `certified`.
    pub status: Status,
    /// The head of its chain.
    #[schema(value_type = String)]
    pub version_hash: Digest32,
    /// Amendments in its chain.
    pub chain_length: u64,
    /// Each check and that it held.
    pub checks: BTreeMap<&'static str, bool>,
    /// When it was certified.
    pub certified_at: DateTime<Utc>,
    /// Whether that was now rather than before.
    #[serde(skip)]
    pub new: bool,
}

/// What the one who asks for certification adds to it; it becomes part of the amendment.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
pub struct Statement {
    /// In words.
    #[schema(max_length = 10_000, example = "Reviewed by the board")]
    pub notes: Option<String>,
    /// Whatever supports it, at most 64 KiB as JSON.
    #[schema(value_type = Value, required = false)]
    pub evidence: Option<Value>,
}

impl Statement {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.text("notes", self.notes.as_deref());
        if let Some(evidence) = &self.evidence {
            let size = serde_json::to_vec(evidence).map_or(usize::MAX, |bytes| bytes.len());
            let small = size <= EVIDENCE_MAX;
            checks.that(small, "evidence", "max-size", "must be at most 64 KiB as JSON");
        }
        checks.done()
    }
}

/// Certifies an entity; one that is certified already stays as it is.
///
/// Six round trips: begin, lock, content, chain, amendment, commit. The lock comes by itself, since
/// a statement that has to wait for it would read the chain as it was before.
///
/// # Errors
/// [`Error::Validation`]; [`Error::NotFound`]; [`Error::HashChainBroken`]; [`Error::ConstitutionalAlignment`] with the
/// checks that it fails.
pub async fn certify(
    db: &Db,
    clock: &Clock,
    caller: &Caller,
    kind: Kind,
    id: Uuid,
    statement: Statement,
) -> Result<Certification> {
    statement.check()?;
    let no_such = || Error::no_such(kind.noun());
    let mut tx = db.begin().await?;
    let mut shared = entity::sql::lock(&mut *tx, id).await?.ok_or_else(no_such)?;
    if shared.kind != kind {
        return Err(no_such());
    }
    let found = examine(&mut tx, &shared).await?;
    if let Verdict::Broken { at_index, reason } = found.verdict {
        return Err(Error::HashChainBroken { at_index, reason: reason.as_str() });
    }
    let failed: Vec<_> = found.checks().filter(|check| !check.holds).map(violation).collect();
    if !failed.is_empty() {
        return Err(Error::ConstitutionalAlignment(failed));
    }
    let head_before = shared.head();
    let certified_at = match shared.certified_at {
        Some(before) => before,
        None => {
            let now = clock.now();
            let data = certify_as(&mut shared, now, statement);
            shared.amend(&mut tx, ChangeType::Certification, data, now, caller.actor()).await?;
            tx.commit().await?;
            now
        }
    };
    Ok(Certification {
        entity_id: id,
        entity_type: kind,
        status: Status::Certified,
        version_hash: shared.version_hash,
        chain_length: shared.head().length,
        checks: found.checks().map(|check| (check.name, check.holds)).collect(),
        certified_at,
        new: shared.head() != head_before,
    })
}

/// What certification at `at` sets, as the amendment says it; applied to `shared` as well.
fn certify_as(shared: &mut Locked, at: DateTime<Utc>, statement: Statement) -> Map<String, Value> {
    shared.certified_at = Some(at);
    if shared.kind == Kind::Skill {
        shared.status = Status::Certified;
    }
    certification(shared.kind, at, statement)
}

/// The data of a certification amendment.
pub fn certification(kind: Kind, at: DateTime<Utc>, statement: Statement) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("certified_at".into(), json!(at));
    if kind == Kind::Skill {
        data.insert("status".into(), json!(Status::Certified));
    }
    if let Some(notes) = statement.notes {
        data.insert("notes".into(), notes.into());
    }
    if let Some(evidence) = statement.evidence {
        data.insert("evidence".into(), evidence);
    }
    data
}

/// A check that failed, as a client reads it.
pub fn violation(check: &Check) -> Violation {
    Violation::new("", check.name, format!("{} is missing", check.asks))
}
