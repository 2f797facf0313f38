//! HTML report: one self-contained page, the verdict first, then the measurements behind it.

mod charts;
mod rows;

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use self::{
    charts::Chart,
    rows::{
        FailureRow, FindingRow, GradeCount, PercentileRow, SectionRows, SlowestRow, StageRow,
        ThresholdRow,
    },
};
use super::{
    chart,
    explain::{self, ExplainedThreshold},
    summary,
};
use crate::{
    outcome::{Ended, Generator, Load, Outcome, Target},
    verdict::{Grade, Verdict},
};

const TEMPLATE: &str = include_str!("page.html");
/// Style sheet of all HTML reports.
pub const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The values of the template.
#[derive(Serialize)]
struct Page<'a> {
    grade: &'static str,
    reason: String,
    violations: Vec<(&'static str, String)>,
    grade_counts: Vec<GradeCount>,
    threshold_count: usize,
    findings: Vec<FindingRow<'a>>,
    style: &'static str,
    script: &'static str,
    data: String,
    notes: &'a [String],
    load: &'a Load,
    target: &'a Target,
    generator: &'a Generator,
    sla: &'a str,
    started: String,
    duration: String,
    judged: String,
    headline: Vec<(&'static str, String)>,
    sections: Vec<SectionRows>,
    judged_stages: String,
    other_thresholds: Vec<ThresholdRow>,
    explained: Vec<ExplainedThreshold>,
    fold: String,
    slow_failures: Vec<String>,
    completions: Vec<(&'a str, String)>,
    counters: Vec<(&'a str, String)>,
    charts: Vec<Chart>,
    distribution: Option<String>,
    percentiles: Vec<PercentileRow>,
    percentile_names: [&'static str; 7],
    slowest: Vec<SlowestRow<'a>>,
    errors: Vec<(&'static str, u64, u64)>,
    statuses: Vec<(u16, u64)>,
    failures: Vec<FailureRow<'a>>,
    resources: Vec<(&'static str, String)>,
    load_model_note: String,
    stages: Vec<StageRow<'a>>,
    strip: String,
    counts: String,
}

/// Renders the page.
///
/// # Errors
/// When the template does not match the values. Not expected: the golden test renders every part.
pub fn render(outcome: &Outcome, verdict: &Verdict) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    // A field that the page names and the data lacks is an error, not an empty text.
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The `.html` suffix enables escaping.
    templates.add_template("report.html", TEMPLATE)?;
    let page = Page::new(outcome, verdict);
    templates.get_template("report.html")?.render(Value::from(Serde(page)))
}

impl<'a> Page<'a> {
    fn new(outcome: &'a Outcome, verdict: &'a Verdict) -> Self {
        let judged = outcome.judged_span();
        let charts = charts::charts(outcome);
        let violations = rows::violations(verdict);
        Self {
            grade: verdict.grade.name(),
            reason: reason(outcome, verdict, violations.len()),
            violations,
            grade_counts: rows::grade_counts(verdict),
            threshold_count: verdict.thresholds.len(),
            findings: rows::findings(verdict),
            style: STYLE,
            script: SCRIPT,
            data: charts::data(outcome, &charts),
            notes: &verdict.notes,
            load: &outcome.load,
            target: &outcome.target,
            generator: &outcome.generator,
            sla: &verdict.sla,
            started: outcome.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            duration: format!("{:.1} s", outcome.duration_s),
            judged: format!("{} to {}", rows::time(judged.start), rows::time(judged.end)),
            headline: rows::headline(outcome),
            sections: rows::sections(outcome, verdict),
            judged_stages: summary::describe_judged_stages(outcome),
            other_thresholds: rows::other_thresholds(verdict),
            explained: explain::thresholds(verdict),
            fold: explain::fold(outcome, verdict),
            slow_failures: summary::slow_failures(outcome),
            completions: summary::completions(outcome),
            counters: summary::counters(outcome),
            charts,
            distribution: chart::distribution(&outcome.tally_judged().latency),
            percentiles: rows::percentile_rows(outcome),
            percentile_names: summary::PERCENTILES.map(|(_, name)| name),
            slowest: rows::slowest(outcome),
            errors: rows::errors_by_kind(outcome),
            statuses: summary::status_counts(outcome).into_iter().collect(),
            failures: rows::failures(outcome),
            resources: rows::resources(outcome, verdict),
            load_model_note: summary::load_model_note(outcome),
            stages: rows::stages(outcome, verdict),
            strip: chart::strip(&outcome.load.stages, |stage| rows::load(outcome, stage)),
            counts: rows::counts(outcome),
        }
    }
}

/// Returns the reason of the verdict, or the number of violations if the page lists them below.
fn reason(outcome: &Outcome, verdict: &Verdict, violations: usize) -> String {
    match (verdict.grade, violations) {
        _ if outcome.ended != Ended::AsPlanned && verdict.grade != Grade::Fail => {
            verdict.reason.clone()
        }
        (Grade::Warning | Grade::Fail, 2..) => {
            format!("{violations} of {} thresholds violated", verdict.thresholds.len())
        }
        (Grade::Insufficient, 2..) => {
            format!("{violations} of {} thresholds not decidable", verdict.thresholds.len())
        }
        _ => verdict.reason.clone(),
    }
}
