//! The rows of the tables of the page.

use serde::Serialize;

use super::baseline::Change;
use crate::{
    duration,
    failure::FailureKind,
    load::{Model, Stage},
    outcome::{EndpointResults, Failure, Outcome, Tally},
    report::summary::{self, PercentileCell},
    sla::During,
    verdict::{Grade, JudgedThreshold, Verdict},
};

/// A part of the run with its table of endpoints.
#[derive(Serialize)]
pub(super) struct SectionRows {
    title: String,
    time: String,
    rows: Vec<EndpointRow>,
}

/// A row of the table of endpoints.
#[derive(Serialize)]
struct EndpointRow {
    name: String,
    group: String,
    requests: u64,
    errors: u64,
    percentiles: Vec<Percentile>,
    grade: &'static str,
    label: String,
    anchor: Option<usize>,
}

/// A threshold that the table of endpoints does not show.
#[derive(Serialize)]
pub(super) struct ThresholdRow {
    pub(super) subject: String,
    pub(super) metric: String,
    pub(super) during: String,
    pub(super) value: String,
    pub(super) threshold: String,
    pub(super) grade: &'static str,
    pub(super) label: &'static str,
}

#[derive(Serialize)]
pub(super) struct PercentileRow {
    pub(super) name: String,
    pub(super) judged: Vec<String>,
    pub(super) whole_run: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct FailureRow<'a> {
    pub(super) endpoint: &'a str,
    pub(super) kind: &'static str,
    pub(super) message: &'a str,
    pub(super) count: u64,
    pub(super) time: String,
}

/// A row of the table of slow requests of an endpoint.
#[derive(Serialize)]
pub(super) struct SlowestRow<'a> {
    latency: String,
    time: String,
    status: String,
    sampled: bool,
    trace_id: &'a str,
    request_id: &'a str,
}

/// A row of the table of stages.
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
    judged_note: &'static str,
}

/// A key number of the run.
#[derive(Serialize)]
pub(super) struct Headline {
    name: &'static str,
    value: String,
    /// The value for comparisons.
    #[serde(skip)]
    amount: Option<f64>,
    change: Option<Change>,
}

/// The number of thresholds with a grade.
#[derive(Serialize)]
pub(super) struct GradeCount {
    grade: &'static str,
    label: &'static str,
    count: usize,
}

/// A finding about the course of the run: memory growth, drift, recovery or settling.
#[derive(Serialize)]
pub(super) struct FindingRow<'a> {
    name: &'static str,
    grade: &'static str,
    label: &'static str,
    summary: &'a str,
    limit: &'a str,
    has_threshold: bool,
}

#[derive(Serialize)]
struct Percentile {
    name: &'static str,
    value: String,
    threshold: String,
    grade: &'static str,
    /// The value in percent of the threshold, at most 150; `None` without a threshold.
    percent_of_limit: Option<f64>,
}

/// Returns the slowest requests of an endpoint.
pub(super) fn slowest(endpoint: &EndpointResults) -> Vec<SlowestRow<'_>> {
    let requests = endpoint.slowest.iter().map(|request| SlowestRow {
        latency: summary::ms_or_dash(Some(request.latency_ms)),
        time: time(request.second),
        status: request.status.map_or_else(|| "timeout".into(), |status| status.to_string()),
        sampled: request.sampled,
        trace_id: &request.trace_id,
        request_id: request.request_id.as_deref().unwrap_or_default(),
    });
    requests.collect()
}

/// Returns the key numbers of the run.
pub(super) fn headline(outcome: &Outcome, baseline: Option<&Outcome>) -> Vec<Headline> {
    let before = baseline.map(headline_values);
    let mut numbers = headline_values(outcome);
    for number in &mut numbers {
        let before = before.iter().flatten().find(|before| before.name == number.name);
        number.change = before.and_then(|before| Change::between(before.amount?, number.amount?));
    }
    numbers
}

fn headline_values(outcome: &Outcome) -> Vec<Headline> {
    let judged = outcome.tally_judged();
    let errors = judged.counts.errors();
    let cpu = summary::service_cpu_percent(outcome).into_iter().map(|(_, percent)| percent);
    let memory = outcome.samples.iter().filter_map(|sample| sample.service.memory_bytes);
    let number = |name, value, amount| Headline { name, value, amount, change: None };
    let rate = summary::judged_rate(outcome);
    let p95 = judged.latency.quantile_ms(0.95);
    let mut numbers = vec![
        number("max users", outcome.load.users.to_string(), None),
        number("requests/s", format!("{rate:.1}"), Some(rate)),
        number("P95, all endpoints", summary::ms_or_dash(p95), p95),
        number("errors", format!("{errors} of {}", judged.counts.sent), None),
    ];
    if let Some(max) = cpu.reduce(f64::max) {
        numbers.push(number("max service CPU", format!("{max:.0} %"), Some(max)));
    }
    if let Some(max) = memory.reduce(f64::max) {
        let mib = format!("{:.0} MiB", max / 1_048_576.0);
        numbers.push(number("max service memory", mib, Some(max)));
    }
    numbers
}

/// Returns the number of thresholds per grade as reports print it, best first.
pub(super) fn grade_counts(verdict: &Verdict) -> Vec<GradeCount> {
    let mut counts: Vec<GradeCount> = Vec::new();
    let mut thresholds: Vec<&JudgedThreshold> = verdict.thresholds.iter().collect();
    thresholds.sort_by_key(|judged| (judged.contribution(), judged.reported_grade()));
    for judged in thresholds {
        let label = judged.label();
        match counts.last_mut() {
            Some(last) if last.label == label => last.count += 1,
            _ => {
                let grade = judged.reported_grade().name();
                counts.push(GradeCount { grade, label, count: 1 });
            }
        }
    }
    counts
}

/// Returns a sentence for every violated threshold, worst grade first; if the verdict is
/// INSUFFICIENT, also for those that are required and not decidable.
pub(super) fn violations(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let listed = |grade| match grade {
        Grade::Warning | Grade::Fail | Grade::Invalid => true,
        Grade::Insufficient => verdict.grade == Grade::Insufficient,
        _ => false,
    };
    let mut thresholds: Vec<&JudgedThreshold> =
        verdict.thresholds.iter().filter(|judged| listed(judged.contribution())).collect();
    // Whoever held the users comes before those that waited for one.
    thresholds.sort_by_key(|judged| judged.waiting.is_some());
    let mut violations: Vec<(Grade, String)> = thresholds
        .into_iter()
        .map(|judged| (judged.reported_grade(), judged.summary()))
        .chain(
            verdict
                .over_time
                .iter()
                .filter(|finding| finding.affects_verdict())
                .filter(|finding| listed(finding.grade))
                .map(|finding| (finding.grade, format!("{}: {}", finding.name, finding.summary))),
        )
        .collect();
    violations.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    violations.into_iter().map(|(grade, sentence)| (grade.name(), sentence)).collect()
}

pub(super) fn findings(verdict: &Verdict) -> Vec<FindingRow<'_>> {
    let rows = verdict.over_time.iter().map(|finding| FindingRow {
        name: finding.name,
        grade: finding.reported_grade().name(),
        label: finding.label(),
        summary: &finding.summary,
        limit: &finding.limit,
        has_threshold: finding.in_sla,
    });
    rows.collect()
}

/// Returns the tables of endpoints. `order` are the names of the endpoints with charts of their own, which
/// the rows refer to.
pub(super) fn sections(outcome: &Outcome, verdict: &Verdict, order: &[&str]) -> Vec<SectionRows> {
    let sections = summary::sections(outcome, verdict).into_iter();
    sections
        .map(|section| SectionRows {
            title: section.title,
            time: format!(
                "{} to {}",
                time(section.seconds.start),
                time(section.seconds.end.min(outcome.planned_seconds()))
            ),
            rows: section.rows.iter().map(|row| endpoint_row(row, order)).collect(),
        })
        .collect()
}

fn endpoint_row(row: &summary::EndpointRow<'_>, order: &[&str]) -> EndpointRow {
    let judged = row.percentiles.iter().find_map(|cell| cell.judged);
    EndpointRow {
        name: row.name.to_owned(),
        group: judged.map(|judged| judged.threshold.group.clone()).unwrap_or_default(),
        requests: row.tally.counts.sent,
        errors: row.tally.counts.errors(),
        percentiles: ["P50", "P95", "P99"]
            .into_iter()
            .zip(row.percentiles)
            .map(percentile)
            .collect(),
        grade: row.grade.map_or("", Grade::name),
        label: row.label().unwrap_or_default(),
        anchor: order.iter().position(|name| *name == row.name),
    }
}

fn percentile((name, cell): (&'static str, PercentileCell<'_>)) -> Percentile {
    let percent_of_limit = cell.judged.zip(cell.value_ms).map(|(judged, value)| {
        (value / judged.threshold.limit.value.max(f64::MIN_POSITIVE) * 100.0)
            .clamp(0.0, 150.0)
            .round()
    });
    Percentile {
        name,
        value: summary::ms_or_dash(cell.value_ms),
        threshold: cell.judged.map(|judged| judged.threshold.format_limit()).unwrap_or_default(),
        grade: cell.judged.map_or("", |judged| judged.reported_grade().name()),
        percent_of_limit,
    }
}

pub(super) fn other_thresholds(verdict: &Verdict) -> Vec<ThresholdRow> {
    let rows = summary::other_thresholds(verdict).map(|judged| {
        let metric = &judged.threshold.metric;
        ThresholdRow {
            subject: judged.threshold.subject.to_string(),
            metric: metric.to_string(),
            during: during(judged),
            value: judged.measured.map_or_else(|| "–".into(), |value| metric.format(value)),
            threshold: judged.threshold.format_limit(),
            grade: judged.reported_grade().name(),
            label: judged.label(),
        }
    });
    rows.collect()
}

/// Describes the part of the run that a threshold applies to; empty for the judged stages.
fn during(judged: &JudgedThreshold) -> String {
    let part = match &judged.threshold.during {
        During::Stages(names) => names.join(", "),
        During::Run => "whole run".into(),
        During::Judged => String::new(),
    };
    match judged.threshold.window_s {
        None => part,
        Some(window_s) => {
            let window = duration::format(u64::from(window_s));
            format!("{part} every {window}; worst window shown").trim_start().to_owned()
        }
    }
}

/// Returns one row per endpoint and one for all endpoints.
pub(super) fn percentile_rows(outcome: &Outcome) -> Vec<PercentileRow> {
    let row = |name: &str, judged: &Tally, whole_run: &Tally| PercentileRow {
        name: name.into(),
        judged: percentiles(judged),
        whole_run: percentiles(whole_run),
    };
    let endpoints = outcome.endpoints.iter().map(|endpoint| {
        row(&endpoint.name, &outcome.tally_judged_of(endpoint), &endpoint.tally_all())
    });
    let all = row("all endpoints", &outcome.tally_judged(), &outcome.tally_all());
    endpoints.chain([all]).collect()
}

fn percentiles(tally: &Tally) -> Vec<String> {
    summary::percentiles(&tally.latency).map(|(_, ms)| summary::ms_or_dash(ms)).collect()
}

pub(super) fn errors_by_kind(outcome: &Outcome) -> Vec<(&'static str, u64, u64)> {
    let (judged, whole_run) = (outcome.tally_judged(), outcome.tally_all());
    let kinds = FailureKind::ALL.iter();
    kinds
        .map(|kind| (kind.name(), judged.counts.failures(*kind), whole_run.counts.failures(*kind)))
        .collect()
}

/// Returns the failures, most frequent first; those of one endpoint if it is given.
pub(super) fn failures<'a>(outcome: &'a Outcome, endpoint: Option<&str>) -> Vec<FailureRow<'a>> {
    let of_endpoint = |failure: &&Failure| endpoint.is_none_or(|name| failure.endpoint == name);
    let mut failures: Vec<_> = outcome.failures.iter().filter(of_endpoint).collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let rows = failures.into_iter().map(|failure| FailureRow {
        endpoint: &failure.endpoint,
        kind: failure.kind.name(),
        message: &failure.message,
        count: failure.count,
        time: format!("{} to {}", time(failure.first_second), time(failure.last_second)),
    });
    rows.collect()
}

pub(super) fn stages<'a>(outcome: &'a Outcome, verdict: &Verdict) -> Vec<StageRow<'a>> {
    let open = outcome.load.model == Model::Open;
    let rows = outcome.load.stages.iter().map(|stage| {
        let seconds = stage.seconds();
        let tally = outcome.tally_in(&seconds);
        let (from, to) = load(outcome, stage);
        let level = if from == to { format!("{to}") } else { format!("{from} → {to}") };
        let burst =
            if stage.burst > 0 { format!(", {} at once", stage.burst) } else { String::new() };
        let iterations = match stage.iterations {
            0 => String::new(),
            count => format!(", {} of {count} iterations", outcome.iterations_of(stage)),
        };
        let at = |quantile| summary::ms_or_dash(tally.latency.quantile_ms(quantile));
        StageRow {
            name: &stage.name,
            time: format!("{} to {}", time(stage.from_s), time(stage.to_s)),
            load: format!("{level}{}{burst}{iterations}", if open { " /s" } else { " users" }),
            rate: format!("{:.1}", summary::stage_rate(outcome, stage)),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            errors: tally.counts.errors().to_string(),
            judged_note: judged_note(stage, verdict),
        }
    });
    rows.collect()
}

/// Returns the note on a stage that is not among the judged stages.
fn judged_note(stage: &Stage, verdict: &Verdict) -> &'static str {
    let names_stage = |judged: &JudgedThreshold| match &judged.threshold.during {
        During::Stages(names) => names.contains(&stage.name),
        During::Judged | During::Run => false,
    };
    match (stage.judged, verdict.thresholds.iter().any(names_stage)) {
        (true, _) => "",
        (false, true) => ", judged by its own thresholds only",
        (false, false) => ", not judged",
    }
}

/// Returns the load at the start and the end of a stage: users, or arrivals per second.
pub(super) fn load(outcome: &Outcome, stage: &Stage) -> (f64, f64) {
    match outcome.load.model {
        Model::Open => (stage.from_rate, stage.to_rate),
        Model::Closed => (f64::from(stage.from_users), f64::from(stage.to_users)),
    }
}

pub(super) fn counts(outcome: &Outcome) -> String {
    let counts = outcome.tally_all().counts;
    format!(
        "{} sent = {} responses + {} timeouts + {} connection errors; {} succeeded",
        counts.sent,
        counts.responses(),
        counts.timed_out,
        counts.connection_failures,
        counts.succeeded
    )
}

pub(super) fn time(second: u32) -> String {
    duration::format(u64::from(second))
}
