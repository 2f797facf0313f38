//! Audit of many entities, from one snapshot and within a time limit: verifies the chain and fields
//! of each entity and runs its L0 and L1 checks.

use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use super::pages::{Chains, EntityPage, EntityPages};
use super::{no_such_entity, thread};
use crate::db::{BulkRead, Db};
use crate::error::{Result, Violation};
use crate::plant::chain::Verdict;
use crate::plant::entity::{self, BaseEntity, EntityVerifier, Kind};
use crate::plant::genesis;
use crate::plant::genesis::examination::Examination;

/// Maximum number of violations listed in a report.
const MAX_LISTED_VIOLATIONS: usize = 100;

/// Result of an audit.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// Number of examined entities, of any status.
    pub total_entities: u64,
    /// Number of entities that are unaltered and pass all checks.
    pub compliant: u64,
    /// Violations found in the other entities; only the first 100.
    pub violations: Vec<Finding>,
    /// What the report leaves out: violations beyond the limit, entities beyond the time limit.
    pub warnings: Vec<String>,
    /// Number of entities that pass each group of checks.
    pub statistics: Statistics,
    /// Whether all requested entities were examined. If not, send another request with `after` set
    /// to `next_after`.
    pub complete: bool,
    /// Last examined entity when the time limit was reached.
    pub next_after: Option<Uuid>,
    /// Time limit of the audit, in seconds.
    #[schema(example = 8.0)]
    pub time_limit_seconds: f64,
}

/// Number of entities that pass each group of checks.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Statistics {
    /// Entities that pass all checks common to all kinds (L0).
    pub l0_pass: u64,
    /// Entities that pass all checks of their kind (L1).
    pub l1_pass: u64,
    /// Entities whose chain and fields are unaltered.
    pub hash_chain_intact: u64,
}

/// A violation found in one entity.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// Id of the entity.
    pub entity_id: Uuid,
    /// Kind of the entity; `null` if the stored one is unknown.
    #[schema(value_type = Kind)]
    pub entity_type: Option<Kind>,
    /// Name of the failed check, or `hash-chain`.
    #[schema(example = "L1-team-agents")]
    pub rule: String,
    /// Description of the violation.
    pub message: String,
    /// For `hash-chain`: index of the first altered or missing amendment, or of the one that last
    /// set an altered field.
    pub broken_at_index: Option<u64>,
}

/// The entities to audit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Only entities of this kind.
    pub kind: Option<Kind>,
    /// Only this entity.
    pub id: Option<Uuid>,
    /// Only entities with a greater id.
    pub after: Option<Uuid>,
}

/// Audits the entities in `scope`, in the order of their ids, until all are examined or the time
/// `limit` is reached. Only one audit runs at a time.
///
/// # Errors
/// [`crate::error::Error::NotFound`] if `scope.id` is set and there is no such entity;
/// [`crate::error::Error::RateLimited`] while another audit runs, in any process.
pub async fn run(db: &Db, scope: Scope, limit: Duration) -> Result<Report> {
    let deadline = Instant::now() + limit;
    let (mut snapshot, _) = db.begin_bulk_read(BulkRead::Audit, limit).await?;
    thread::run("audit", async move {
        let time_is_up = || Instant::now() >= deadline;
        let report = audit(&mut snapshot, scope, time_is_up).await;
        snapshot.end().await;
        Ok(Report { time_limit_seconds: limit.as_secs_f64(), ..report? })
    })
    .await?
}

/// Audits the entities in `scope` until `time_is_up` returns true, which is called before each
/// amendment and entity is examined.
pub(super) async fn audit(
    connection: &mut PgConnection,
    scope: Scope,
    mut time_is_up: impl FnMut() -> bool,
) -> Result<Report> {
    let mut report = Report { next_after: scope.after, ..Report::default() };
    let mut pages = match scope.id {
        Some(id) => {
            let base = entity::sql::find(&mut *connection, id).await?;
            let in_scope = base.filter(|base| scope.kind.is_none_or(|kind| kind == base.kind));
            let base = in_scope.ok_or_else(no_such_entity)?;
            let page = EntityPage::load(&mut *connection, vec![base]).await?;
            let done = report.examine(connection, &page, &mut time_is_up).await?;
            return Ok(report.conclude(done));
        }
        None => EntityPages::new(scope.kind, scope.after.unwrap_or(Uuid::nil())),
    };
    while let Some(page) = pages.next(connection).await? {
        if !report.examine(connection, &page, &mut time_is_up).await? {
            return Ok(report.conclude(false));
        }
    }
    Ok(report.conclude(true))
}

impl Report {
    /// Examines the entities of a page until the time is up. Returns whether all were examined.
    async fn examine(
        &mut self,
        connection: &mut PgConnection,
        page: &EntityPage,
        time_is_up: &mut impl FnMut() -> bool,
    ) -> Result<bool> {
        let ids = page.ids();
        let mut chains = Chains::stream(connection, &ids);
        for base in &page.entities {
            let mut verifier = EntityVerifier::new(base.identity());
            while let Some(amendment) = chains.next_of(base.id).await? {
                if time_is_up() {
                    return Ok(false);
                }
                verifier.update(&amendment);
            }
            if time_is_up() {
                return Ok(false);
            }
            let content = page.contents.get(&base.id);
            self.add_entity(base, &Examination::new(base, content, &verifier)?);
            self.next_after = Some(base.id);
        }
        Ok(true)
    }

    fn conclude(mut self, complete: bool) -> Self {
        self.complete = complete;
        if complete {
            self.next_after = None;
        } else {
            self.warnings.push(format!(
                "time limit reached after {} entities; \
                 repeat the request with `after` set to `next_after`",
                self.total_entities
            ));
        }
        self
    }

    fn add_entity(&mut self, base: &BaseEntity, examination: &Examination) {
        let l0 = examination.l0.iter().all(|check| check.passed);
        let l1 = !examination.l1.is_empty() && examination.l1.iter().all(|check| check.passed);
        let intact = examination.verdict == Verdict::Intact;
        self.total_entities += 1;
        self.statistics.l0_pass += u64::from(l0);
        self.statistics.l1_pass += u64::from(l1);
        self.statistics.hash_chain_intact += u64::from(intact);
        self.compliant += u64::from(l0 && l1 && intact);
        for finding in findings(base, examination) {
            self.add_finding(finding);
        }
    }

    fn add_finding(&mut self, finding: Finding) {
        if self.violations.len() < MAX_LISTED_VIOLATIONS {
            self.violations.push(finding);
        } else if self.warnings.is_empty() {
            let warning = format!("only the first {MAX_LISTED_VIOLATIONS} violations are listed");
            self.warnings.push(warning);
        }
    }
}

fn findings(base: &BaseEntity, examination: &Examination) -> Vec<Finding> {
    let finding = |rule: String, message: String, broken_at_index| Finding {
        entity_id: base.id,
        entity_type: base.readable_kind(),
        rule,
        message,
        broken_at_index,
    };
    let mut findings = Vec::new();
    if let Verdict::Broken { at_index, reason } = examination.verdict {
        let message = format!("the hash chain is broken: {}", reason.as_str());
        findings.push(finding("hash-chain".into(), message, Some(at_index)));
    }
    for check in examination.checks().filter(|check| !check.passed) {
        let Violation { rule, message, .. } = genesis::violation(check);
        findings.push(finding(rule, message, None));
    }
    findings
}
