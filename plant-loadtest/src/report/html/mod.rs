//! HTML report: one self-contained page, the verdict first, then the measurements behind it.

mod baseline;
mod charts;
mod drill_down;
mod limits;
mod overview;
mod repeat;
mod resources;
mod rows;
mod workers;

use minijinja::{Environment, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use self::{
    baseline::Baseline,
    charts::{Chart, Charts},
    drill_down::EndpointDetails,
    resources::ResourceRow,
    rows::{
        FailureRow, FindingRow, GradeCount, Headline, PercentileRow, SectionRows, StageRow,
        ThresholdRow,
    },
    workers::WorkerRow,
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
    qualification: String,
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
    workers: Vec<WorkerRow<'a>>,
    sla: &'a str,
    started: String,
    duration: String,
    judged: String,
    headline: Vec<Headline>,
    sections: Vec<SectionRows>,
    judged_stages: String,
    other_thresholds: Vec<ThresholdRow>,
    explained: Vec<ExplainedThreshold>,
    fold: String,
    slow_failures: Vec<String>,
    completions: Vec<(&'a str, String)>,
    counters: Vec<(&'a str, String)>,
    charts: Vec<Chart>,
    baseline: Option<Baseline>,
    endpoints: Vec<EndpointDetails<'a>>,
    percentiles: Vec<PercentileRow>,
    percentile_names: [&'static str; 7],
    errors: Vec<(&'static str, u64, u64)>,
    statuses: Vec<(u16, u64)>,
    failures: Vec<FailureRow<'a>>,
    resources: Vec<ResourceRow>,
    load_model_note: String,
    stages: Vec<StageRow<'a>>,
    strip: String,
    counts: String,
    command: String,
    command_note: String,
}

/// Renders the page; with the lines of `baseline` in the charts, and the changes since then.
///
/// # Errors
/// When the template does not match the values. Not expected: the golden test renders every part.
pub fn render(
    outcome: &Outcome,
    verdict: &Verdict,
    baseline: Option<&Outcome>,
) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    // A field that the page names and the data lacks is an error, not an empty text.
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The `.html` suffix enables escaping.
    templates.add_template("report.html", TEMPLATE)?;
    let page = Page::new(outcome, verdict, baseline);
    templates.get_template("report.html")?.render(Value::from(Serde(page)))
}

impl<'a> Page<'a> {
    fn new(outcome: &'a Outcome, verdict: &'a Verdict, baseline: Option<&'a Outcome>) -> Self {
        let judged = outcome.judged_span();
        let mut charts = Charts::new(outcome, verdict, baseline);
        let overview = overview::charts(&mut charts);
        let order = drill_down::order(&charts);
        let endpoints = drill_down::details(&mut charts, &order);
        let violations = rows::violations(verdict);
        let qualified = verdict.qualified_grade();
        Self {
            grade: verdict.grade.name(),
            qualification: qualified.replacen(verdict.grade.name(), "", 1).trim_start().to_owned(),
            reason: reason(outcome, verdict, &violations),
            violations,
            grade_counts: rows::grade_counts(verdict),
            threshold_count: verdict.thresholds.len(),
            findings: rows::findings(verdict),
            style: STYLE,
            script: SCRIPT,
            data: charts.data(),
            notes: &verdict.notes,
            load: &outcome.load,
            target: &outcome.target,
            generator: &outcome.generator,
            workers: workers::rows(outcome),
            sla: &verdict.sla,
            started: outcome.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            duration: format!("{:.1} s", outcome.duration_s),
            judged: format!("{} to {}", rows::time(judged.start), rows::time(judged.end)),
            headline: rows::headline(outcome, baseline),
            sections: rows::sections(outcome, verdict, &order),
            judged_stages: summary::describe_judged_stages(outcome),
            other_thresholds: rows::other_thresholds(verdict),
            explained: explain::thresholds(verdict),
            fold: explain::fold(outcome, verdict),
            slow_failures: summary::slow_failures(outcome),
            completions: summary::completions(outcome),
            counters: summary::counters(outcome),
            charts: overview,
            baseline: baseline.map(|baseline| Baseline::new(outcome, baseline)),
            endpoints,
            percentiles: rows::percentile_rows(outcome),
            percentile_names: summary::PERCENTILES.map(|(_, name)| name),
            errors: rows::errors_by_kind(outcome),
            statuses: summary::status_counts(outcome).into_iter().collect(),
            failures: rows::failures(outcome, None),
            resources: resources::resources(outcome, verdict),
            load_model_note: summary::load_model_note(outcome),
            stages: rows::stages(outcome, verdict),
            strip: chart::strip(&outcome.load.stages, |stage| rows::load(outcome, stage)),
            counts: rows::counts(outcome),
            command: repeat::command(outcome),
            command_note: repeat::note(outcome),
        }
    }
}

/// Returns the reason of the verdict, or the number of thresholds behind it if the page lists them below.
fn reason(outcome: &Outcome, verdict: &Verdict, listed: &[(&'static str, String)]) -> String {
    let count = |grades: &[Grade]| {
        listed.iter().filter(|(name, _)| grades.iter().any(|grade| grade.name() == *name)).count()
    };
    let violated = count(&[Grade::Warning, Grade::Fail]);
    let undecided = count(&[Grade::Insufficient]);
    match verdict.grade {
        _ if outcome.ended != Ended::AsPlanned && verdict.grade != Grade::Fail => {
            verdict.reason.clone()
        }
        Grade::Warning | Grade::Fail if violated > 1 => {
            format!("{violated} of {} thresholds violated", verdict.thresholds.len())
        }
        Grade::Insufficient if undecided > 1 => {
            let all = verdict.thresholds.len();
            format!("{undecided} required thresholds of {all} not decidable")
        }
        _ => verdict.reason.clone(),
    }
}
