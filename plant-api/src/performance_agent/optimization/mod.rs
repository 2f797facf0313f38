//! Plans changes for findings. Which change may help with which finding is data of the rules; changes
//! of tunables have the value that is in force.

mod text;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::agent::Agent;
use super::analysis::{Analysis, Finding};
use super::rules::change::{Action, ChangeRule, Step, matches};
use super::rules::{Rule, RuleSet, Severity};
use crate::check::Checks;
use crate::error::{Error, Result};
use crate::state::AppState;
use crate::tunables::TunableState;
use text::fill;

/// Target whose tunables can be changed.
const OWN_TARGET: &str = "self";

/// Changes for the findings of an analysis, in the order in which they should be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OptimizationPlan)]
pub struct Plan {
    /// The analysis; null if the findings were sent.
    pub analysis_id: Option<Uuid>,
    #[schema(example = "self")]
    pub target: String,
    /// Name of the rule set.
    #[schema(example = "plant")]
    pub rules: String,
    pub created_at: DateTime<Utc>,
    /// The changes, for the most severe findings first.
    pub changes: Vec<PlannedChange>,
    /// Changes that were left out, and why.
    pub notes: Vec<String>,
}

/// Who makes a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The service, while it runs: the value of a tunable.
    Live,
    /// A person.
    Manual,
}

/// A planned change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlannedChange {
    /// Name of the change in the rules.
    #[schema(example = "longer_cache")]
    pub name: String,
    pub kind: ChangeKind,
    /// What is changed.
    #[schema(example = "Keep cached responses for longer")]
    pub what: String,
    /// Tunable of a live change; null for a manual one.
    #[schema(example = "cache_ttl_seconds")]
    pub tunable: Option<String>,
    /// Its value now.
    #[schema(example = 60)]
    pub from: Option<i64>,
    /// Its planned value.
    #[schema(example = 120)]
    pub to: Option<i64>,
    /// Statements for the database, for a person to review and run.
    #[schema(example = "vacuum (analyze) orders;")]
    pub sql: Option<String>,
    #[schema(example = "Entries that expire are queried again.")]
    pub why: String,
    #[schema(example = "Fewer queries.")]
    pub expected_effect: String,
    #[schema(example = "Low: more memory in Redis.")]
    pub risk: String,
    /// How to take it back.
    #[schema(example = "PUT /api/v1/admin/tunables/cache_ttl_seconds {\"value\": null}")]
    pub undo: String,
    /// The findings that it may help with.
    pub findings: Vec<FindingReference>,
}

/// A finding of a planned change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FindingReference {
    #[serde(rename = "type")]
    #[schema(example = "low_cache_hit_ratio")]
    pub kind: String,
    pub subject: Option<String>,
    pub severity: Severity,
}

/// A finding in a request.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct FindingInput {
    /// Type of the finding, as in the rules.
    #[serde(rename = "type")]
    #[schema(example = "low_cache_hit_ratio")]
    kind: String,
    severity: Severity,
    /// Metric, if several rules have findings of the type.
    #[schema(example = "cache_hit_ratio")]
    metric: Option<String>,
    #[schema(example = "orders")]
    subject: Option<String>,
    #[schema(example = 0.2)]
    value: Option<f64>,
    #[schema(example = 0.6)]
    threshold: Option<f64>,
    /// The numbers behind the value; at most 64 KiB.
    #[serde(default)]
    evidence: Option<Map<String, Value>>,
}

impl FindingInput {
    /// Checks the size of the evidence.
    pub fn check(&self, index: usize, checks: &mut Checks) {
        checks.free_form_json(&format!("findings[{index}].evidence"), &self.evidence);
    }

    /// Returns the finding of a rule.
    ///
    /// # Errors
    /// [`Error::Validation`] with the `index` if no rule has findings of the type.
    pub fn into_finding(self, index: usize, set: &RuleSet) -> Result<Finding> {
        let is_metric = |rule: &&Rule| self.metric.as_ref().is_none_or(|m| *m == rule.metric);
        let mut rules = set.rules.iter().filter(|rule| rule.finding == self.kind);
        let Some(rule) = rules.find(is_metric) else {
            let mut known: Vec<_> = set.rules.iter().map(|rule| rule.finding.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            let message = format!("must be one of {}", known.join(", "));
            return Err(Error::invalid(&format!("findings[{index}].type"), "enum", message));
        };
        Ok(Finding {
            kind: self.kind,
            severity: self.severity,
            metric: rule.metric.clone(),
            subject: self.subject,
            value: self.value.unwrap_or(rule.threshold),
            comparison: rule.comparison,
            threshold: self.threshold.unwrap_or(rule.threshold),
            samples: 0,
            evidence: self.evidence.unwrap_or_default(),
            recommendation: rule.recommendation.clone(),
            rule: rule.name.clone(),
        })
    }
}

/// Plans changes for the findings of an analysis.
///
/// # Errors
/// [`Error::Validation`] if its rules are not configured any more; database errors.
pub async fn plan(state: &AppState, agent: &Agent, analysis: &Analysis) -> Result<Plan> {
    let set = agent.settings().rules.find(&analysis.rules).ok_or_else(|| {
        Error::invalid("analysis_id", "rules", "the rules of the analysis are not configured")
    })?;
    let plan = plan_for(state, set, &analysis.target, &analysis.findings).await?;
    Ok(Plan { analysis_id: Some(analysis.id), ..plan })
}

/// Plans changes for findings of a target.
///
/// # Errors
/// Database errors.
pub async fn plan_for(
    state: &AppState,
    set: &RuleSet,
    target: &str,
    findings: &[Finding],
) -> Result<Plan> {
    let tunables = if target == OWN_TARGET {
        state.tunables.list(&mut *state.db.acquire_monitor().await?).await?
    } else {
        Vec::new()
    };
    let mut draft = Draft { tunables: &tunables, changes: Vec::new(), notes: Vec::new() };
    let mut findings: Vec<&Finding> = findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in findings {
        let rule = set.rules.iter().find(|rule| rule.name == finding.rule);
        // A rule that an objective of a request has added has the name of its base with a number.
        let rule = rule.or_else(|| set.rules.iter().find(|rule| rule.metric == finding.metric));
        let names = rule.map(|rule| rule.changes.as_slice()).unwrap_or_default();
        for change in names.iter().filter_map(|name| set.change(name)) {
            draft.add(change, finding);
        }
    }
    let Draft { mut changes, notes, .. } = draft;
    // Stable: changes of the same severity stay in the order of the rules, live ones first.
    changes.sort_by_key(|change| {
        let severity = change.findings.iter().map(|finding| finding.severity).max();
        (std::cmp::Reverse(severity), change.kind == ChangeKind::Manual)
    });
    Ok(Plan {
        analysis_id: None,
        target: target.to_owned(),
        rules: set.name.clone(),
        created_at: state.clock.now(),
        changes,
        notes,
    })
}

/// A plan that is being made.
struct Draft<'t> {
    tunables: &'t [TunableState],
    changes: Vec<PlannedChange>,
    notes: Vec<String>,
}

impl Draft<'_> {
    fn add(&mut self, change: &ChangeRule, finding: &Finding) {
        match &change.action {
            Action::Tune { tunable, step } => self.tune(change, tunable, *step, finding),
            Action::Manual { sql, undo } => {
                let sql = sql.as_deref().map(|sql| fill(sql, finding, true));
                let undo = fill(undo, finding, sql.is_some());
                self.push(PlannedChange { sql, undo, ..planned(change, finding) });
            }
        }
    }

    fn tune(&mut self, change: &ChangeRule, pattern: &str, step: Step, finding: &Finding) {
        let pattern = pattern.replace("{subject}", finding.subject.as_deref().unwrap_or_default());
        let tunables = self.tunables;
        // Those of other targets are not known.
        if !tunables.is_empty() && !tunables.iter().any(|tunable| matches(&pattern, &tunable.name))
        {
            self.note(format!("{} is not planned: there is no tunable `{pattern}`", change.name));
        }
        for tunable in tunables.iter().filter(|tunable| matches(&pattern, &tunable.name)) {
            // A pattern is for tunables of one unit, such as all switches.
            if pattern.ends_with('*') && (tunable.min, tunable.max) != (0, 1) {
                continue;
            }
            let (name, from) = (&tunable.name, tunable.value);
            if tunable.rollout.is_some() {
                self.note(format!("{name} is not planned: a rollout of it is in progress"));
                continue;
            }
            let Some(to) = step.apply(from, (tunable.min, tunable.max)) else {
                if step.set.is_none() {
                    self.note(format!("{name} is not planned: at {from} it is at its limit"));
                }
                continue;
            };
            let former = if tunable.is_set { from.to_string() } else { "null".to_owned() };
            self.push(PlannedChange {
                kind: ChangeKind::Live,
                tunable: Some(name.clone()),
                from: Some(from),
                to: Some(to),
                undo: format!("PUT /api/v1/admin/tunables/{name} {{\"value\": {former}}}"),
                ..planned(change, finding)
            });
        }
    }

    /// Adds a change. One of the same tunable, or with the same statements, is not made twice: the first,
    /// which is for the most severe finding, counts.
    fn push(&mut self, change: PlannedChange) {
        let is_same = |other: &&mut PlannedChange| match (&change.tunable, &change.sql) {
            (None, None) => other.name == change.name,
            (tunable, sql) => other.tunable == *tunable && other.sql == *sql,
        };
        let Some(other) = self.changes.iter_mut().find(is_same) else {
            self.changes.push(change);
            return;
        };
        if (other.to, other.from) == (change.to, change.from) {
            for finding in change.findings {
                if !other.findings.contains(&finding) {
                    other.findings.push(finding);
                }
            }
        } else if let (Some(name), Some(to)) = (&change.tunable, change.to) {
            let note = format!("{name} is not planned to become {to}: another change of it is");
            self.note(note);
        }
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Returns a manual change with its texts.
fn planned(change: &ChangeRule, finding: &Finding) -> PlannedChange {
    PlannedChange {
        name: change.name.clone(),
        kind: ChangeKind::Manual,
        what: fill(&change.what, finding, false),
        tunable: None,
        from: None,
        to: None,
        sql: None,
        why: fill(&change.why, finding, false),
        expected_effect: fill(&change.expected_effect, finding, false),
        risk: fill(&change.risk, finding, false),
        undo: String::new(),
        findings: vec![FindingReference {
            kind: finding.kind.clone(),
            subject: finding.subject.clone(),
            severity: finding.severity,
        }],
    }
}
