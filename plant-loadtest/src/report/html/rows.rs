//! The rows of the page's tables.

use serde::Serialize;

use crate::{
    outcome::{FailureKind, Model, Outcome, Tally},
    profile::Stage,
    report::summary::{self, EndpointLine, FigureCell},
    sla::{During, milliseconds},
    timespan,
    verdict::{Grade, Judged, Verdict},
};

/// A part of the run, with its table of endpoints.
#[derive(Serialize)]
pub(super) struct SectionRows {
    title: String,
    time: String,
    rows: Vec<EndpointRow>,
}

/// A line of the table of endpoints.
#[derive(Serialize)]
struct EndpointRow {
    name: String,
    class: String,
    requests: u64,
    errors: u64,
    figures: Vec<Figure>,
    grade: &'static str,
}

/// A promise that is not about one endpoint's latency.
#[derive(Serialize)]
pub(super) struct PromiseRow {
    pub(super) subject: String,
    pub(super) figure: String,
    pub(super) during: String,
    pub(super) measured: String,
    pub(super) promised: String,
    pub(super) grade: &'static str,
}

#[derive(Serialize)]
pub(super) struct PercentileRow {
    pub(super) name: String,
    pub(super) judged: Vec<String>,
    pub(super) whole: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct FailureRow<'a> {
    pub(super) endpoint: &'a str,
    pub(super) kind: &'static str,
    pub(super) message: &'a str,
    pub(super) count: u64,
    pub(super) when: String,
}

/// What happened in one stage.
#[derive(Serialize)]
pub(super) struct StageRow<'a> {
    name: &'a str,
    time: String,
    load: String,
    rate: String,
    p50: String,
    p95: String,
    p99: String,
    errors: String,
    judged: &'static str,
}

/// How many promises got a grade.
#[derive(Serialize)]
pub(super) struct GradeCount {
    grade: &'static str,
    count: usize,
}

/// Something seen over time.
#[derive(Serialize)]
pub(super) struct FindingRow<'a> {
    name: &'static str,
    grade: &'static str,
    word: &'static str,
    sentence: &'a str,
    limit: &'a str,
    promised: bool,
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    measured: String,
    target: String,
    grade: &'static str,
    /// Measured in percent of the target, at most 150; none without a target.
    share: Option<f64>,
}

/// The numbers that one looks for first, with their names.
pub(super) fn headline(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let judged = outcome.judged();
    let errors = judged.counts.errors();
    let cpu = summary::cpu_percent(outcome).into_iter().map(|(_, percent)| percent);
    let memory = outcome.samples.iter().filter_map(|sample| sample.service.memory_bytes);
    let mut numbers = vec![
        ("users at most", outcome.load.users.to_string()),
        ("requests a second", format!("{:.1}", summary::judged_rate(outcome))),
        ("P95, all endpoints", shown(judged.latency.quantile_ms(0.95))),
        ("errors", format!("{errors} of {}", judged.counts.sent)),
    ];
    if let Some(highest) = cpu.reduce(f64::max) {
        numbers.push(("service CPU at most", format!("{highest:.0} %")));
    }
    if let Some(highest) = memory.reduce(f64::max) {
        numbers.push(("service memory at most", format!("{:.0} MiB", highest / 1_048_576.0)));
    }
    numbers
}

/// How many promises were kept, missed and so on; the best first.
pub(super) fn grade_counts(verdict: &Verdict) -> Vec<GradeCount> {
    [Grade::Pass, Grade::Warning, Grade::Insufficient, Grade::Fail]
        .map(|grade| GradeCount { grade: grade.name(), count: verdict.count(grade) })
        .into_iter()
        .filter(|count| count.count > 0)
        .collect()
}

/// Every promise that was not kept, the worst first, in a sentence; when too little was measured
/// to judge the run, those that could not be judged.
pub(super) fn missed(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let listed = |grade| match grade {
        Grade::Warning | Grade::Fail => true,
        Grade::Insufficient => verdict.grade == Grade::Insufficient,
        _ => false,
    };
    let mut missed: Vec<(Grade, String)> = verdict
        .promises
        .iter()
        .filter(|judged| listed(judged.grade))
        .map(|judged| (judged.grade, judged.sentence()))
        .chain(
            verdict
                .over_time
                .iter()
                .filter(|finding| finding.counts())
                .filter(|finding| listed(finding.grade))
                .map(|finding| (finding.grade, format!("{}: {}", finding.name, finding.sentence))),
        )
        .collect();
    missed.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    missed.into_iter().map(|(grade, sentence)| (grade.name(), sentence)).collect()
}

pub(super) fn findings(verdict: &Verdict) -> Vec<FindingRow<'_>> {
    let rows = verdict.over_time.iter().map(|finding| FindingRow {
        name: finding.name,
        grade: finding.shown().name(),
        word: finding.word(),
        sentence: &finding.sentence,
        limit: &finding.limit,
        promised: finding.promised,
    });
    rows.collect()
}

pub(super) fn sections(outcome: &Outcome, verdict: &Verdict) -> Vec<SectionRows> {
    let sections = summary::sections(outcome, verdict).into_iter();
    sections
        .map(|section| SectionRows {
            title: section.title,
            time: format!(
                "{} to {}",
                span(section.seconds.start),
                span(section.seconds.end.min(outcome.planned_seconds()))
            ),
            rows: section.lines.iter().map(endpoint_row).collect(),
        })
        .collect()
}

fn endpoint_row(line: &EndpointLine<'_>) -> EndpointRow {
    let class = line.figures.iter().find_map(|cell| cell.judged);
    EndpointRow {
        name: line.name.to_owned(),
        class: class.map(|judged| judged.promise.class.clone()).unwrap_or_default(),
        requests: line.judged.counts.sent,
        errors: line.judged.counts.errors(),
        figures: ["P50", "P95", "P99"].into_iter().zip(line.figures).map(figure).collect(),
        grade: line.grade.map_or("", Grade::name),
    }
}

fn figure((name, cell): (&'static str, FigureCell<'_>)) -> Figure {
    let share = cell.judged.zip(cell.measured).map(|(judged, measured)| {
        (measured / judged.promise.below.max(f64::MIN_POSITIVE) * 100.0).clamp(1.0, 150.0).round()
    });
    Figure {
        name,
        measured: shown(cell.measured),
        target: cell.judged.map(|judged| judged.promise.limit()).unwrap_or_default(),
        grade: cell.judged.map_or("", |judged| judged.grade.name()),
        share,
    }
}

pub(super) fn others(verdict: &Verdict) -> Vec<PromiseRow> {
    let others = summary::other_promises(verdict).map(|judged| {
        let figure = &judged.promise.figure;
        PromiseRow {
            subject: judged.promise.subject.to_string(),
            figure: figure.to_string(),
            during: during(judged),
            measured: judged.measured.map_or_else(|| "–".into(), |value| figure.display(value)),
            promised: judged.promise.limit(),
            grade: judged.grade.name(),
        }
    });
    others.collect()
}

/// When a promise must hold, if that is not over all that is judged.
fn during(judged: &Judged) -> String {
    let part = match &judged.promise.during {
        During::Stage(name) => name.clone(),
        During::Run => "whole run".into(),
        During::Judged => String::new(),
    };
    match judged.promise.every_s {
        None => part,
        Some(every_s) => {
            let window = timespan::display(u64::from(every_s));
            format!("{part} in every {window}; the worst is shown").trim_start().to_owned()
        }
    }
}

/// A row for every endpoint, and one for all together.
pub(super) fn percentile_rows(outcome: &Outcome) -> Vec<PercentileRow> {
    let row = |name: &str, judged: &Tally, whole: &Tally| PercentileRow {
        name: name.into(),
        judged: percentiles(judged),
        whole: percentiles(whole),
    };
    let endpoints = outcome
        .endpoints
        .iter()
        .map(|endpoint| row(&endpoint.name, &outcome.judged_of(endpoint), &endpoint.whole()));
    let all = row("all endpoints", &outcome.judged(), &outcome.whole());
    endpoints.chain([all]).collect()
}

fn percentiles(tally: &Tally) -> Vec<String> {
    summary::percentiles(&tally.latency).map(|(_, ms)| shown(ms)).collect()
}

pub(super) fn errors_by_kind(outcome: &Outcome) -> Vec<(&'static str, u64, u64)> {
    let (judged, whole) = (outcome.judged(), outcome.whole());
    FailureKind::ALL
        .map(|kind| (kind.name(), judged.counts.failures(kind), whole.counts.failures(kind)))
        .to_vec()
}

/// The most frequent first.
pub(super) fn failures(outcome: &Outcome) -> Vec<FailureRow<'_>> {
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let rows = failures.into_iter().map(|failure| FailureRow {
        endpoint: &failure.endpoint,
        kind: failure.kind.name(),
        message: &failure.message,
        count: failure.count,
        when: format!("{} to {}", span(failure.first_second), span(failure.last_second)),
    });
    rows.collect()
}

pub(super) fn resources(outcome: &Outcome, verdict: &Verdict) -> Vec<(&'static str, String)> {
    let lines = summary::resources(outcome, verdict).into_iter();
    lines.map(|line| (line.name, line.value)).collect()
}

pub(super) fn stages<'a>(outcome: &'a Outcome, verdict: &Verdict) -> Vec<StageRow<'a>> {
    let open = outcome.load.model == Model::Open;
    let rows = outcome.load.stages.iter().map(|stage| {
        let seconds = stage.seconds();
        let tally = outcome.over(&seconds);
        let (from, to) = load(outcome, stage);
        let level = if from == to { format!("{to}") } else { format!("{from} → {to}") };
        let at_once =
            if stage.at_once > 0 { format!(", {} at once", stage.at_once) } else { String::new() };
        let at = |quantile| shown(tally.latency.quantile_ms(quantile));
        StageRow {
            name: &stage.name,
            time: format!("{} to {}", span(stage.from_s), span(stage.to_s)),
            load: format!("{level}{}{at_once}", if open { " /s" } else { " users" }),
            rate: format!("{:.1}", summary::rate(&tally, &summary::lasted(outcome, &seconds))),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            errors: tally.counts.errors().to_string(),
            judged: judged_by(stage, verdict),
        }
    });
    rows.collect()
}

/// What is said of a stage whose seconds are not among those that all promises are about.
fn judged_by(stage: &Stage, verdict: &Verdict) -> &'static str {
    let named = |judged: &Judged| judged.promise.during == During::Stage(stage.name.clone());
    match (stage.judged, verdict.promises.iter().any(named)) {
        (true, _) => "",
        (false, true) => ", judged by promises of its own",
        (false, false) => ", not judged",
    }
}

/// Users, or arrivals a second, when a stage starts and when it ends.
pub(super) fn load(outcome: &Outcome, stage: &Stage) -> (f64, f64) {
    match outcome.load.model {
        Model::Open => (stage.from_rate, stage.to_rate),
        Model::Closed => (f64::from(stage.from_users), f64::from(stage.to_users)),
    }
}

pub(super) fn counts(outcome: &Outcome) -> String {
    let counts = outcome.whole().counts;
    format!(
        "{} sent = {} answered + {} timed out + {} failed; {} succeeded",
        counts.sent,
        counts.answered(),
        counts.timed_out,
        counts.connection_failures,
        counts.succeeded
    )
}

fn shown(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".into(), milliseconds)
}

pub(super) fn span(second: u32) -> String {
    timespan::display(u64::from(second))
}
