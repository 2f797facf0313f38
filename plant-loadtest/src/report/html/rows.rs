//! The rows of the page's tables.

use serde::Serialize;

use crate::{
    outcome::{FailureKind, Outcome, Tally},
    report::summary::{self, FigureCell},
    sla::milliseconds,
    timespan,
    verdict::{Grade, Verdict},
};

/// A line of the table of endpoints.
#[derive(Serialize)]
pub(super) struct EndpointRow {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) figures: Vec<Figure>,
    pub(super) grade: &'static str,
}

/// A promise that is not about one endpoint's latency.
#[derive(Serialize)]
pub(super) struct PromiseRow {
    pub(super) subject: String,
    pub(super) figure: String,
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

#[derive(Serialize)]
pub(super) struct StageRow<'a> {
    pub(super) name: &'a str,
    pub(super) time: String,
    pub(super) users: String,
    pub(super) judged: bool,
}

#[derive(Serialize)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) measured: String,
    pub(super) target: String,
    pub(super) grade: &'static str,
}

/// The four numbers that one looks for first, with their names.
pub(super) fn headline(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let judged_seconds = outcome.judged_seconds();
    let judged = outcome.over(&judged_seconds);
    let errors = judged.counts.errors();
    vec![
        ("users", outcome.load.users.to_string()),
        ("requests a second", format!("{:.1}", summary::rate(&judged, &judged_seconds))),
        ("P95, all endpoints", shown(judged.latency.quantile_ms(0.95))),
        ("errors", format!("{errors} of {}", judged.counts.sent)),
    ]
}

pub(super) fn endpoint_rows(outcome: &Outcome, verdict: &Verdict) -> Vec<EndpointRow> {
    let lines = summary::endpoints(outcome, verdict).into_iter();
    lines
        .map(|line| {
            let class = line.figures.iter().find_map(|cell| cell.judged);
            EndpointRow {
                name: line.name.to_owned(),
                class: class.map(|judged| judged.promise.class.clone()).unwrap_or_default(),
                requests: line.judged.counts.sent,
                errors: line.judged.counts.errors(),
                figures: ["P50", "P95", "P99"].into_iter().zip(line.figures).map(figure).collect(),
                grade: line.grade.map_or("", Grade::name),
            }
        })
        .collect()
}

fn figure((name, cell): (&'static str, FigureCell<'_>)) -> Figure {
    Figure {
        name,
        measured: shown(cell.measured),
        target: cell.judged.map(|judged| judged.promise.limit()).unwrap_or_default(),
        grade: cell.judged.map_or("", |judged| judged.grade.name()),
    }
}

pub(super) fn others(verdict: &Verdict) -> Vec<PromiseRow> {
    let others = summary::other_promises(verdict).map(|judged| {
        let figure = &judged.promise.figure;
        PromiseRow {
            subject: judged.promise.subject.to_string(),
            figure: figure.to_string(),
            measured: judged.measured.map_or_else(|| "–".into(), |value| figure.display(value)),
            promised: judged.promise.limit(),
            grade: judged.grade.name(),
        }
    });
    others.collect()
}

/// A row for every endpoint, and one for all together.
pub(super) fn percentile_rows(outcome: &Outcome) -> Vec<PercentileRow> {
    let judged = outcome.judged_seconds();
    let row = |name: &str, judged: &Tally, whole: &Tally| PercentileRow {
        name: name.into(),
        judged: percentiles(judged),
        whole: percentiles(whole),
    };
    let endpoints = outcome
        .endpoints
        .iter()
        .map(|endpoint| row(&endpoint.name, &endpoint.over(&judged), &endpoint.whole()));
    let all = row("all endpoints", &outcome.over(&judged), &outcome.whole());
    endpoints.chain([all]).collect()
}

fn percentiles(tally: &Tally) -> Vec<String> {
    summary::percentiles(&tally.latency).map(|(_, ms)| shown(ms)).collect()
}

pub(super) fn errors_by_kind(outcome: &Outcome) -> Vec<(&'static str, u64, u64)> {
    let (judged, whole) = (outcome.over(&outcome.judged_seconds()), outcome.whole());
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

pub(super) fn stages(outcome: &Outcome) -> Vec<StageRow<'_>> {
    let rows = outcome.load.stages.iter().map(|stage| StageRow {
        name: &stage.name,
        time: format!("{} to {}", span(stage.from_s), span(stage.to_s)),
        users: format!("{} → {}", stage.from_users, stage.to_users),
        judged: stage.judged,
    });
    rows.collect()
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
