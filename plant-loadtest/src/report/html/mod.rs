//! One page that works offline: the verdict first, then what led to it.

mod charts;
mod rows;

use minijinja::{Environment, Value, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use self::{
    charts::Chart,
    rows::{FailureRow, FindingRow, GradeCount, PercentileRow, PromiseRow, SectionRows, StageRow},
};
use super::{chart, summary};
use crate::{
    outcome::{Generator, Load, Outcome, Target},
    verdict::{Grade, Verdict},
};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What the template shows.
#[derive(Serialize)]
struct Page<'a> {
    grade: &'static str,
    reason: String,
    missed: Vec<(&'static str, String)>,
    counted: Vec<GradeCount>,
    promises: usize,
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
    judged_part: String,
    others: Vec<PromiseRow>,
    completions: Vec<(&'a str, String)>,
    charts: Vec<Chart>,
    distribution: Option<String>,
    percentiles: Vec<PercentileRow>,
    percentile_names: [&'static str; 7],
    errors: Vec<(&'static str, u64, u64)>,
    statuses: Vec<(u16, u64)>,
    failures: Vec<FailureRow<'a>>,
    resources: Vec<(&'static str, String)>,
    cap: String,
    stages: Vec<StageRow<'a>>,
    strip: String,
    counts: String,
}

/// The page.
///
/// # Errors
/// When the template and the values do not fit, which the golden test rules out.
pub fn render(outcome: &Outcome, verdict: &Verdict) -> Result<String, minijinja::Error> {
    let mut templates = Environment::new();
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The name's ending turns escaping on.
    templates.add_template("report.html", TEMPLATE)?;
    let page = Page::new(outcome, verdict);
    templates.get_template("report.html")?.render(Value::from(Serde(page)))
}

impl<'a> Page<'a> {
    fn new(outcome: &'a Outcome, verdict: &'a Verdict) -> Self {
        let judged = outcome.judged_seconds();
        let charts = charts::charts(outcome);
        let missed = rows::missed(verdict);
        Self {
            grade: verdict.grade.name(),
            reason: reason(verdict, missed.len()),
            missed,
            counted: rows::grade_counts(verdict),
            promises: verdict.promises.len(),
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
            judged: format!("{} to {}", rows::span(judged.start), rows::span(judged.end)),
            headline: rows::headline(outcome),
            sections: rows::sections(outcome, verdict),
            judged_part: summary::judged_part(outcome),
            others: rows::others(verdict),
            completions: summary::completions(outcome),
            charts,
            distribution: chart::distribution(&outcome.judged().latency),
            percentiles: rows::percentile_rows(outcome),
            percentile_names: summary::PERCENTILES.map(|(_, name)| name),
            errors: rows::errors_by_kind(outcome),
            statuses: summary::statuses(outcome).into_iter().collect(),
            failures: rows::failures(outcome),
            resources: rows::resources(outcome, verdict),
            cap: summary::cap(outcome),
            stages: rows::stages(outcome, verdict),
            strip: chart::strip(&outcome.load.stages, |stage| rows::load(outcome, stage)),
            counts: rows::counts(outcome),
        }
    }
}

/// The verdict's own reason, or how many promises are meant where a list of them follows.
fn reason(verdict: &Verdict, missed: usize) -> String {
    match (verdict.grade, missed) {
        (Grade::Warning | Grade::Fail, 2..) => {
            format!("{missed} of {} promises were not kept", verdict.promises.len())
        }
        (Grade::Insufficient, 2..) => {
            format!("too little was measured to judge {missed} promises")
        }
        _ => verdict.reason.clone(),
    }
}
