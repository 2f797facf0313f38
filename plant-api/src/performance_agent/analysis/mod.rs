//! Compares a snapshot with the rules: findings, the state of each service level objective (SLO), and
//! a score of health.

mod sql;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::agent::Agent;
use super::measurement::{self, History, Measurement};
use super::rules::{Comparison, Rule, RuleSet, Severity};
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::state::AppState;

/// Maximum number of findings in an analysis; the most severe are kept.
const MAX_FINDINGS: usize = 100;

/// Snapshots of this time before a snapshot show whether memory grows.
const MEMORY_WINDOW: TimeDelta = TimeDelta::hours(6);

/// The counts of a snapshot of this time before are subtracted from those of a snapshot.
const TABLE_WINDOW: TimeDelta = TimeDelta::hours(24);

/// The findings in a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PerformanceAnalysis)]
pub struct Analysis {
    /// Id of the analysis, for `POST /api/v1/optimization`.
    pub id: Uuid,
    /// Id of the snapshot.
    pub snapshot_id: Uuid,
    /// Target of the snapshot.
    #[schema(example = "self")]
    pub target: String,
    /// Name of the rule set.
    #[schema(example = "plant")]
    pub rules: String,
    pub created_at: DateTime<Utc>,
    /// 100 without findings, 0 at worst.
    #[schema(example = 85.0)]
    pub health_score: f64,
    /// Findings, the most severe first.
    pub findings: Vec<Finding>,
    /// State of each service level objective.
    pub slos: Vec<SloStatus>,
}

/// A value beyond a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PerformanceFinding)]
pub struct Finding {
    #[serde(rename = "type")]
    #[schema(example = "pool_saturation")]
    pub kind: String,
    pub severity: Severity,
    #[schema(example = "pool_wait_p95_ms")]
    pub metric: String,
    /// The route, queue, table, index or statement; null: the target as a whole.
    #[schema(example = "GET /api/v1/agents")]
    pub subject: Option<String>,
    #[schema(example = 24.5)]
    pub value: f64,
    pub comparison: Comparison,
    #[schema(example = 10.0)]
    pub threshold: f64,
    /// Number of samples that the value is computed from.
    #[schema(example = 230)]
    pub samples: u64,
    /// The numbers that the value is computed from.
    pub evidence: Map<String, Value>,
    /// What to do.
    #[schema(example = "Requests wait for a database connection.")]
    pub recommendation: String,
    /// Name of the rule.
    #[schema(example = "pool_waits")]
    pub rule: String,
}

/// State of a service level objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SloStatus {
    /// Name of the objective.
    #[schema(example = "agents_p95")]
    pub name: String,
    #[schema(example = "latency_p95_ms")]
    pub metric: String,
    /// The route; null: the worst of all routes without an objective of their own, or the target.
    #[schema(example = "GET /api/v1/agents")]
    pub subject: Option<String>,
    /// Values that violate the objective.
    pub comparison: Comparison,
    #[schema(example = 300.0)]
    pub target: f64,
    /// The worst value; null without enough samples.
    #[schema(example = 4.6)]
    pub value: Option<f64>,
    pub status: SloState,
}

/// Whether a service level objective is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SloState {
    Met,
    Violated,
    /// There are too few samples.
    NoData,
}

/// Another threshold of a service level objective.
#[derive(Debug, Clone, PartialEq, Deserialize, utoipa::ToSchema)]
pub struct SloTarget {
    /// Metric of an objective of the rules.
    #[schema(example = "latency_p95_ms")]
    pub metric: String,
    /// Only this route; default: all without an objective of their own.
    #[schema(example = "GET /api/v1/agents")]
    pub subject: Option<String>,
    #[schema(example = 200.0)]
    pub target: f64,
}

/// Analyzes a snapshot with those before it, and stores the analysis.
///
/// # Errors
/// [`Error::Validation`] if there is no objective of the metric of a target, or if its rules are not
/// configured any more; database errors.
pub async fn analyze(
    state: &AppState,
    agent: &Agent,
    snapshot: &Snapshot,
    targets: &[SloTarget],
) -> Result<Analysis> {
    let sets = &agent.settings().rules;
    let rules = sets.find(&snapshot.rules).ok_or_else(|| {
        Error::invalid("snapshot_id", "rules", "the rules of the snapshot are not configured")
    })?;
    let rules = with_targets(rules, targets)?;
    let mut connection = state.db.acquire_monitor().await?;
    let at = snapshot.collected_at;
    let memory =
        sql::list_memory(&mut *connection, &snapshot.target, at - MEMORY_WINDOW, at).await?;
    let tables = sql::find_earlier_tables(&mut *connection, snapshot, at - TABLE_WINDOW).await?;
    let measurements = measurement::measure(snapshot, &History { memory, tables });
    let (findings, slos) = evaluate(&rules, &measurements);
    let analysis = Analysis {
        id: state.clock.new_id(),
        snapshot_id: snapshot.id,
        target: snapshot.target.clone(),
        rules: snapshot.rules.clone(),
        created_at: state.clock.now(),
        health_score: health_score(&findings, &slos),
        findings: findings.into_iter().take(MAX_FINDINGS).collect(),
        slos,
    };
    sql::insert_analysis(&mut *connection, &analysis).await?;
    Ok(analysis)
}

/// Returns an analysis.
///
/// # Errors
/// [`Error::NotFound`]; database errors.
pub async fn find(state: &AppState, id: Uuid) -> Result<Analysis> {
    let mut connection = state.db.acquire_monitor().await?;
    let analysis = sql::find_analysis(&mut *connection, id).await?;
    analysis.ok_or_else(|| Error::no_such("analysis"))
}

/// Returns the rules with these targets in place of those of the file.
///
/// # Errors
/// [`Error::Validation`] if there is no objective of the metric of a target, or if one is not positive.
pub(super) fn with_targets(set: &RuleSet, targets: &[SloTarget]) -> Result<Vec<Rule>> {
    let mut rules = set.rules.clone();
    for (index, target) in targets.iter().enumerate() {
        let field = format!("slo_targets[{index}]");
        if !(target.target.is_finite() && target.target > 0.0) {
            let message = "must be a positive number";
            return Err(Error::invalid(&format!("{field}.target"), "range", message));
        }
        let same = |rule: &&mut Rule| {
            rule.is_slo && rule.metric == target.metric && rule.subject == target.subject
        };
        if let Some(rule) = rules.iter_mut().find(same) {
            rule.threshold = target.target;
            continue;
        }
        let mut of_metric = set.slos().filter(|rule| rule.metric == target.metric);
        let Some(base) = of_metric.next() else {
            let mut known: Vec<_> = set.slos().map(|rule| rule.metric.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            let message = format!("must be one of {}", known.join(", "));
            return Err(Error::invalid(&format!("{field}.metric"), "enum", message));
        };
        rules.push(Rule {
            name: format!("{}_{}", base.name, index + 1),
            subject: target.subject.clone(),
            threshold: target.target,
            ..base.clone()
        });
    }
    Ok(rules)
}

/// Compares measurements with rules. Returns the findings, the most severe first, and the states of
/// the objectives in the order of the rules.
pub(super) fn evaluate(
    rules: &[Rule],
    measurements: &[Measurement],
) -> (Vec<Finding>, Vec<SloStatus>) {
    let (mut findings, mut slos) = (Vec::new(), Vec::new());
    for rule in rules {
        let applies = |measurement: &&Measurement| {
            measurement.metric == rule.metric
                && measurement.samples >= rule.min_samples
                && is_subject(rule, measurement, rules)
        };
        let measured: Vec<_> = measurements.iter().filter(applies).collect();
        let violations = measured.iter().filter_map(|measurement| {
            let severity = rule.comparison.severity(measurement.value, rule.threshold)?;
            Some(finding(rule, measurement, severity.min(rule.max_severity)))
        });
        let before = findings.len();
        findings.extend(violations);
        if rule.is_slo {
            let worst = measured.iter().map(|measurement| measurement.value);
            let worst = worst.reduce(|a, b| match rule.comparison {
                Comparison::Above => a.max(b),
                Comparison::Below => a.min(b),
            });
            slos.push(SloStatus {
                name: rule.name.clone(),
                metric: rule.metric.clone(),
                subject: rule.subject.clone(),
                comparison: rule.comparison,
                target: rule.threshold,
                value: worst,
                status: match worst {
                    None => SloState::NoData,
                    Some(_) if findings.len() > before => SloState::Violated,
                    Some(_) => SloState::Met,
                },
            });
        }
    }
    findings.sort_by(|a: &Finding, b| {
        let beyond = |finding: &Finding| finding.comparison.times(finding.value, finding.threshold);
        b.severity.cmp(&a.severity).then_with(|| beyond(b).total_cmp(&beyond(a)))
    });
    (findings, slos)
}

/// Returns whether a rule is for the subject of a measurement. One without a subject is for all that
/// have no rule of their own.
fn is_subject(rule: &Rule, measurement: &Measurement, rules: &[Rule]) -> bool {
    match &rule.subject {
        Some(subject) => measurement.subject.as_ref() == Some(subject),
        None => rules.iter().all(|other| {
            other.metric != rule.metric
                || other.subject.is_none()
                || other.subject != measurement.subject
        }),
    }
}

fn finding(rule: &Rule, measurement: &Measurement, severity: Severity) -> Finding {
    let subject = measurement.subject.as_deref().unwrap_or("the target");
    let recommendation = rule
        .recommendation
        .replace("{subject}", subject)
        .replace("{value}", &rounded(measurement.value).to_string())
        .replace("{threshold}", &rounded(rule.threshold).to_string());
    Finding {
        kind: rule.finding.clone(),
        severity,
        metric: rule.metric.clone(),
        subject: measurement.subject.clone(),
        value: measurement.value,
        comparison: rule.comparison,
        threshold: rule.threshold,
        samples: measurement.samples,
        evidence: measurement.evidence.clone(),
        recommendation,
        rule: rule.name.clone(),
    }
}

/// Rounds to three digits after the point.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Returns 100, minus 25, 15, 10 or 5 for each finding by its severity, minus 20 times the share of
/// the objectives that are violated, of those with data; at least 0.
pub(super) fn health_score(findings: &[Finding], slos: &[SloStatus]) -> f64 {
    let points = findings.iter().map(|finding| match finding.severity {
        Severity::Critical => 25.0,
        Severity::High => 15.0,
        Severity::Medium => 10.0,
        Severity::Low => 5.0,
    });
    let with_data = slos.iter().filter(|slo| slo.status != SloState::NoData).count();
    let violated = slos.iter().filter(|slo| slo.status == SloState::Violated).count();
    let share = if with_data > 0 { violated as f64 / with_data as f64 } else { 0.0 };
    let score: f64 = 100.0 - points.sum::<f64>() - 20.0 * share;
    rounded(score.max(0.0))
}
