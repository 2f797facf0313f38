//! The routes of the performance agent; in `findings`, each kind of finding with its fault.

mod collection;
mod findings;
mod info;
mod odd_targets;
mod plans;
mod requests;

use std::future::Future;

use super::analysis::{Analysis, Finding};
use super::collect::collect_during;
use super::rules::{Comparison, DEFAULT, RuleSet, RuleSets};
use super::snapshot::Snapshot;
use super::target::Target;
use super::{AgentSettings, analyze};
use crate::testing::{TestApp, agent_settings};

/// Collects a snapshot of the service, whose interval is the time of `load`.
async fn snapshot_during(app: &TestApp, load: impl Future<Output = ()>) -> Snapshot {
    let rules = app.agent.settings().rules.find(DEFAULT).unwrap();
    collect_during(&app.state, &app.agent, &Target::OwnService, rules, load).await.unwrap()
}

/// Collects a snapshot during `load` and analyzes it.
async fn analyze_during(app: &TestApp, load: impl Future<Output = ()>) -> Analysis {
    let snapshot = snapshot_during(app, load).await;
    assert_eq!(other_notes(&snapshot), [""; 0]);
    analyze(&app.state, &app.agent, &snapshot, &[]).await.unwrap()
}

/// Returns the notes, without that of an extension that a database of the tests does not have.
fn other_notes(snapshot: &Snapshot) -> Vec<&str> {
    let notes = snapshot.notes.iter().map(String::as_str);
    notes.filter(|note| !note.contains("pg_stat_statements is not installed")).collect()
}

/// Returns the findings of a kind.
fn of_kind<'a>(analysis: &'a Analysis, kind: &str) -> Vec<&'a Finding> {
    analysis.findings.iter().filter(|finding| finding.kind == kind).collect()
}

/// Returns the only finding of a kind with this subject.
#[track_caller]
fn find<'a>(analysis: &'a Analysis, kind: &str, subject: Option<&str>) -> &'a Finding {
    let mut of_kind = of_kind(analysis, kind);
    of_kind.retain(|finding| finding.subject.as_deref() == subject);
    assert_eq!(of_kind.len(), 1, "{kind} of {subject:?}: {:#?}", analysis.findings);
    of_kind[0]
}

/// Returns the built-in rules with another threshold of one of them.
fn with_threshold(rule: &str, threshold: f64) -> AgentSettings {
    let settings = agent_settings();
    let mut set: RuleSet = settings.rules.find(DEFAULT).unwrap().clone();
    let rule = set.rules.iter_mut().find(|other| other.name == rule).unwrap();
    assert_eq!(rule.comparison, Comparison::Above);
    rule.threshold = threshold;
    AgentSettings { rules: RuleSets::of(set), ..settings }
}
