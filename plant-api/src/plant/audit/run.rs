//! Auditing many entities: chains, rows and checks of each, as of one moment, within a time limit.

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde::Serialize;
use sqlx::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use super::no_such_entity;
use super::walk::{PageOfEntities, Walk};
use crate::db::Db;
use crate::error::{Result, Violation};
use crate::plant::chain::Verdict;
use crate::plant::entity::{self, Kind, Reading, Shared};
use crate::plant::genesis;
use crate::plant::genesis::examination::Examination;

/// Violations that are listed; further ones are only counted.
const VIOLATIONS_MAX: usize = 100;

/// What an audit found.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Report {
    /// Entities examined, whatever their status.
    pub total_entities: u64,
    /// Those that pass every check and differ in nothing from what was written.
    pub compliant: u64,
    /// What the others violate, the first 100.
    pub violations: Vec<Finding>,
    /// What the reader should know.
    pub warnings: Vec<String>,
    /// How many pass what.
    pub statistics: Statistics,
    /// Whether all that was asked for is examined; if not, go on after `next_after`.
    pub complete: bool,
    /// The last entity examined, where the time was up.
    pub next_after: Option<Uuid>,
    /// The time limit.
    #[schema(example = 8.0)]
    pub time_limit_seconds: f64,
}

/// How many entities pass what.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Statistics {
    /// All checks that every entity must pass.
    pub l0_pass: u64,
    /// All checks of their kind.
    pub l1_pass: u64,
    /// Chain and rows are as they were written.
    pub hash_chain_intact: u64,
}

/// One violation of one entity.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// The entity.
    pub entity_id: Uuid,
    /// What it is.
    pub entity_type: Kind,
    /// The check that it fails, or `hash-chain`.
    #[schema(example = "L1-team-agents")]
    pub rule: String,
    /// In words.
    pub message: String,
    /// Index of the first amendment at fault, where the chain is.
    pub broken_at_index: Option<u64>,
}

/// Which entities are to be audited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only this one.
    pub id: Option<Uuid>,
    /// Only those after this one, in the order of ids.
    pub after: Option<Uuid>,
}

/// Audits what `scope` asks for, as far as it gets within `limit`.
///
/// # Errors
/// [`crate::error::Error::NotFound`] when the one entity asked for is not there.
pub async fn run(db: &Db, scope: Scope, limit: Duration) -> Result<Report> {
    let began = Instant::now();
    let mut report = Report { time_limit_seconds: limit.as_secs_f64(), ..Report::default() };
    let mut tx = db.snapshot().await?;
    if let Some(id) = scope.id {
        let found = entity::sql::find(&mut *tx, id).await?;
        let asked_for = found.filter(|shared| scope.kind.is_none_or(|kind| kind == shared.kind));
        let shared = asked_for.ok_or_else(no_such_entity)?;
        let page = PageOfEntities::of(&mut tx, vec![shared]).await?;
        report.take(&examine_all(&mut tx, page).await?);
        report.complete = true;
        return Ok(report);
    }
    let mut walk = Walk::new(scope.kind, scope.after.unwrap_or(Uuid::nil()));
    loop {
        let left = limit.saturating_sub(began.elapsed());
        match timeout(left, next_page(&mut tx, &mut walk)).await {
            Ok(page) => match page? {
                Some(examined) => report.take(&examined),
                None => break,
            },
            Err(_) => {
                let examined = report.total_entities;
                let warning = format!("the time limit ended the audit after {examined} entities");
                report.warnings.push(warning);
                return Ok(report);
            }
        }
    }
    report.complete = true;
    report.next_after = None;
    Ok(report)
}

type Examined = Vec<(Shared, Examination)>;

async fn next_page(connection: &mut PgConnection, walk: &mut Walk) -> Result<Option<Examined>> {
    match walk.next(connection).await? {
        Some(page) => examine_all(connection, page).await.map(Some),
        None => Ok(None),
    }
}

async fn examine_all(connection: &mut PgConnection, page: PageOfEntities) -> Result<Examined> {
    let ids = page.ids();
    let mut readings: Vec<_> = ids.iter().copied().map(Reading::of).collect();
    let mut chains = entity::sql::chains(connection, &ids);
    while let Some(row) = chains.next().await {
        let (id, amendment) = row?;
        if let Ok(place) = ids.binary_search(&id) {
            readings[place].read(&amendment);
        }
    }
    let mut examined = Vec::with_capacity(ids.len());
    for (shared, reading) in page.entities.into_iter().zip(&readings) {
        let content = page.contents.get(&shared.id);
        let found = Examination::of(&shared, content, reading)?;
        examined.push((shared, found));
    }
    Ok(examined)
}

impl Report {
    fn take(&mut self, examined: &[(Shared, Examination)]) {
        for (shared, found) in examined {
            self.count(shared, found);
        }
        self.next_after = examined.last().map(|(shared, _)| shared.id);
    }

    fn count(&mut self, shared: &Shared, found: &Examination) {
        let l0 = found.l0.iter().all(|check| check.holds);
        let l1 = !found.l1.is_empty() && found.l1.iter().all(|check| check.holds);
        let intact = found.verdict == Verdict::Intact;
        self.total_entities += 1;
        self.statistics.l0_pass += u64::from(l0);
        self.statistics.l1_pass += u64::from(l1);
        self.statistics.hash_chain_intact += u64::from(intact);
        self.compliant += u64::from(l0 && l1 && intact);
        for finding in findings(shared, found) {
            self.list(finding);
        }
    }

    fn list(&mut self, finding: Finding) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(finding);
        } else if self.warnings.is_empty() {
            let warning = format!("only the first {VIOLATIONS_MAX} violations are listed");
            self.warnings.push(warning);
        }
    }
}

fn findings(shared: &Shared, found: &Examination) -> Vec<Finding> {
    let of = |rule: String, message: String, broken_at_index| Finding {
        entity_id: shared.id,
        entity_type: shared.kind,
        rule,
        message,
        broken_at_index,
    };
    let mut findings = Vec::new();
    if let Verdict::Broken { at_index, reason } = found.verdict {
        let message = format!("the hash chain is broken: {}", reason.as_str());
        findings.push(of("hash-chain".into(), message, Some(at_index)));
    }
    for check in found.checks().filter(|check| !check.holds) {
        let Violation { rule, message, .. } = genesis::violation(check);
        findings.push(of(rule, message, None));
    }
    findings
}
