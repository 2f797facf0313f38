//! One page that works offline: the verdict first, then what led to it.

use minijinja::{Environment, Value, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use super::{
    chart::{self, Line},
    series::{self, Points, Windows},
    summary::{self, FigureCell},
};
use crate::{
    outcome::{FailureKind, Generator, Load, Outcome, ServiceSample, Tally, Target},
    sla::milliseconds,
    timespan,
    verdict::{Grade, Verdict},
};

const TEMPLATE: &str = include_str!("html.html");

/// What the template shows.
#[derive(Serialize)]
struct Page<'a> {
    grade: &'static str,
    reason: &'a str,
    notes: &'a [String],
    load: &'a Load,
    target: &'a Target,
    generator: &'a Generator,
    sla: &'a str,
    started: String,
    duration: String,
    judged: String,
    headline: Vec<(&'static str, String)>,
    endpoints: Vec<EndpointRow>,
    others: Vec<PromiseRow>,
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
    counts: String,
}

/// A chart with its legend.
#[derive(Serialize)]
struct Chart {
    title: &'static str,
    svg: String,
    legend: Vec<Legend>,
}

#[derive(Serialize)]
struct Legend {
    name: &'static str,
    colour: &'static str,
    highest: String,
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
struct PromiseRow {
    subject: String,
    figure: String,
    measured: String,
    promised: String,
    grade: &'static str,
}

#[derive(Serialize)]
struct PercentileRow {
    name: String,
    judged: Vec<String>,
    whole: Vec<String>,
}

#[derive(Serialize)]
struct FailureRow<'a> {
    endpoint: &'a str,
    kind: &'static str,
    message: &'a str,
    count: u64,
    when: String,
}

#[derive(Serialize)]
struct StageRow<'a> {
    name: &'a str,
    time: String,
    users: String,
    judged: bool,
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    measured: String,
    target: String,
    grade: &'static str,
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
        Self {
            grade: verdict.grade.name(),
            reason: &verdict.reason,
            notes: &verdict.notes,
            load: &outcome.load,
            target: &outcome.target,
            generator: &outcome.generator,
            sla: &outcome.sla.name,
            started: outcome.started_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            duration: format!("{:.1} s", outcome.duration_s),
            judged: format!("{} to {}", span(judged.start), span(judged.end)),
            headline: headline(outcome),
            endpoints: endpoint_rows(outcome, verdict),
            others: others(verdict),
            charts: charts(outcome),
            distribution: chart::distribution(&outcome.over(&judged).latency),
            percentiles: percentile_rows(outcome),
            percentile_names: summary::PERCENTILES.map(|(_, name)| name),
            errors: errors_by_kind(outcome),
            statuses: summary::statuses(outcome).into_iter().collect(),
            failures: failures(outcome),
            resources: resources(outcome, verdict),
            cap: summary::cap(outcome),
            stages: stages(outcome),
            counts: counts(outcome),
        }
    }
}

/// The four numbers that one looks for first, with their names.
fn headline(outcome: &Outcome) -> Vec<(&'static str, String)> {
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

fn endpoint_rows(outcome: &Outcome, verdict: &Verdict) -> Vec<EndpointRow> {
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

fn others(verdict: &Verdict) -> Vec<PromiseRow> {
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

fn charts(outcome: &Outcome) -> Vec<Chart> {
    let windows = Windows::of(outcome);
    let service = |pick: fn(&ServiceSample) -> Option<f64>| {
        series::sampled(outcome, |sample| pick(&sample.service))
    };
    let line = |name, colour, points| Line { name, colour, points };
    let charts = [
        (
            "Requests a second",
            "1/s",
            vec![line("sent", "a", windows.rate()), line("failed", "bad", windows.errors())],
        ),
        (
            "Response time",
            "ms",
            vec![
                line("P50", "a", windows.quantile(0.50)),
                line("P95", "b", windows.quantile(0.95)),
                line("P99", "c", windows.quantile(0.99)),
            ],
        ),
        (
            "Users",
            "",
            vec![line(
                "users",
                "a",
                series::sampled(outcome, |sample| Some(f64::from(sample.users))),
            )],
        ),
        ("Service CPU", "%", vec![line("of one processor", "a", series::service_cpu(outcome))]),
        (
            "Service memory",
            "MiB",
            vec![line("resident", "a", mebibytes(service(|service| service.memory_bytes)))],
        ),
        (
            "Database pool",
            "",
            vec![
                line("in use", "a", service(|service| service.pool_in_use)),
                line("limit", "c", service(|service| service.pool_max)),
            ],
        ),
        (
            "Requests in progress",
            "",
            vec![line("in progress", "a", service(|service| service.requests_in_progress))],
        ),
        ("Queue depth", "", vec![line("waiting", "a", service(|service| service.queue_depth))]),
    ];
    let drawn = charts.into_iter().filter(|(_, _, lines)| !lines[0].points.is_empty());
    drawn.map(|(title, unit, lines)| draw(outcome, title, unit, &lines)).collect()
}

fn draw(outcome: &Outcome, title: &'static str, unit: &str, lines: &[Line]) -> Chart {
    let seconds = series::shown_seconds(outcome);
    let legend = lines.iter().map(|line| {
        let highest = line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let digits = if highest >= 100.0 || highest.fract() == 0.0 { 0 } else { 1 };
        Legend {
            name: line.name,
            colour: line.colour,
            highest: format!("{highest:.digits$} {unit}").trim_end().to_owned(),
        }
    });
    let svg = chart::over_time(lines, &outcome.load.stages, seconds, unit);
    Chart { title, svg, legend: legend.collect() }
}

fn mebibytes(mut bytes: Points) -> Points {
    for (_, value) in &mut bytes {
        *value /= 1_048_576.0;
    }
    bytes
}

/// A row for every endpoint, and one for all together.
fn percentile_rows(outcome: &Outcome) -> Vec<PercentileRow> {
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

fn errors_by_kind(outcome: &Outcome) -> Vec<(&'static str, u64, u64)> {
    let (judged, whole) = (outcome.over(&outcome.judged_seconds()), outcome.whole());
    FailureKind::ALL
        .map(|kind| (kind.name(), judged.counts.failures(kind), whole.counts.failures(kind)))
        .to_vec()
}

/// The most frequent first.
fn failures(outcome: &Outcome) -> Vec<FailureRow<'_>> {
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

fn resources(outcome: &Outcome, verdict: &Verdict) -> Vec<(&'static str, String)> {
    let lines = summary::resources(outcome, verdict).into_iter();
    lines.map(|line| (line.name, line.value)).collect()
}

fn stages(outcome: &Outcome) -> Vec<StageRow<'_>> {
    let rows = outcome.load.stages.iter().map(|stage| StageRow {
        name: &stage.name,
        time: format!("{} to {}", span(stage.from_s), span(stage.to_s)),
        users: format!("{} → {}", stage.from_users, stage.to_users),
        judged: stage.judged,
    });
    rows.collect()
}

fn counts(outcome: &Outcome) -> String {
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

fn span(second: u32) -> String {
    timespan::display(u64::from(second))
}
