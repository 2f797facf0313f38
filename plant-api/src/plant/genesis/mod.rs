//! Genesis: certification. An entity is certified once its whole chain verifies and it passes
//! the L0 checks, which every entity must, and the L1 checks, which its kind owns. Certification
//! is itself an amendment.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::access::Caller;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result, Violation};
use crate::plant::chain::{self, Amendment, ChangeType, Digest32, Verdict};
use crate::plant::entity::{self, Check, Kind, Locked, Status};
use crate::plant::{agents, industries, job_roles, skills, teams};

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
}

/// What the one who asks for certification adds to it.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// In words.
    pub notes: Option<String>,
    /// Whatever supports it.
    pub evidence: Option<Value>,
}

/// Certifies an entity; one that is certified already stays as it is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::HashChainBroken`]; [`Error::ConstitutionalAlignment`] with the
/// checks that it fails.
pub async fn certify(
    db: &Db,
    clock: &Clock,
    caller: Caller,
    kind: Kind,
    id: Uuid,
    statement: Statement,
) -> Result<Certification> {
    let no_such = || Error::no_such(kind.noun());
    let mut tx = db.begin().await?;
    let mut shared = entity::sql::lock(&mut *tx, id).await?.ok_or_else(no_such)?;
    if shared.kind != kind {
        return Err(no_such());
    }
    let amendments = entity::sql::amendments(&mut *tx, id).await?;
    if let Verdict::Broken { at_index, reason } = chain::verify(id, &amendments, shared.head()) {
        return Err(Error::HashChainBroken { at_index, reason: reason.as_str() });
    }
    let mut checks = check_l0(&shared, &amendments);
    checks.extend(check_l1(&mut tx, kind, id).await?.ok_or_else(no_such)?);
    let failed: Vec<_> = checks.iter().filter(|check| !check.holds).map(violation).collect();
    if !failed.is_empty() {
        return Err(Error::ConstitutionalAlignment(failed));
    }
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
        checks: checks.iter().map(|check| (check.name, check.holds)).collect(),
        certified_at,
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

/// What every entity must pass. The chain was verified before, so most of these hold by then;
/// they are named for whoever reads the answer.
fn check_l0(shared: &Locked, amendments: &[Amendment]) -> Vec<Check> {
    let in_order = (0..).zip(amendments).all(|(i, amendment)| amendment.sequence == i);
    let head = amendments.last().map(Amendment::head);
    vec![
        Check::new("L0-01", !shared.governance_agent_id.is_empty(), "a governing agent id"),
        Check::new("L0-02", !amendments.is_empty(), "an amendment history"),
        Check::new("L0-03", in_order, "an append-only history"),
        Check::new("L0-04", !amendments.is_empty(), "a non-empty intact chain"),
        Check::new(
            "L0-05",
            head == Some(shared.head()),
            "a version hash equal to the chain's head",
        ),
    ]
}

/// The kind's own checks; `None` when there is no such row.
async fn check_l1(
    connection: &mut sqlx::PgConnection,
    kind: Kind,
    id: Uuid,
) -> sqlx::Result<Option<Vec<Check>>> {
    Ok(match kind {
        Kind::Industry => {
            let content = industries::sql::content(connection, id).await?;
            content.map(|content| content.check_l1())
        }
        Kind::Skill => {
            let content = skills::sql::content(connection, id).await?;
            content.map(|content| content.check_l1())
        }
        Kind::JobRole => {
            let content = job_roles::sql::content(connection, id).await?;
            content.map(|content| content.check_l1())
        }
        Kind::Team => {
            let agents = teams::sql::count_agents(&mut *connection, id).await?;
            let content = teams::sql::content(connection, id).await?;
            content.map(|content| content.check_l1(agents))
        }
        Kind::Agent => {
            let content = agents::sql::content(connection, id).await?;
            content.map(|content| content.check_l1())
        }
    })
}

fn violation(check: &Check) -> Violation {
    Violation::new("", check.name, format!("{} is missing", check.asks))
}
