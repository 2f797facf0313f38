//! The charts of the page with their legends, and the values that the page's script shows.

use serde::Serialize;

use crate::{
    failure::FailureKind,
    load::Model,
    outcome::{Outcome, ServiceSample},
    report::{
        chart::{self, Line, Size},
        series::{self, Points, Windows},
        summary,
    },
};

/// A P95 of fewer requests per window is too noisy to show.
const MIN_SAMPLES_FOR_P95: u64 = 5;

/// One endpoint per color `e0` to `e7`.
const MAX_ENDPOINTS: usize = 8;

/// Groups of failures, each with name and color.
const FAILURES: [(&str, &str, &[FailureKind]); 5] = [
    ("5xx", "e0", &[FailureKind::ServerError]),
    ("4xx", "e1", &[FailureKind::ClientError]),
    ("timeouts", "e6", &[FailureKind::TimedOut]),
    ("connection errors", "e4", &[FailureKind::Connection]),
    ("failed checks", "e5", &[FailureKind::UnexpectedStatus, FailureKind::WrongShape]),
];

/// A chart with its legend.
#[derive(Serialize)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) size: &'static str,
    pub(super) unit: &'static str,
    pub(super) svg: String,
    pub(super) legend: Vec<Legend>,
    values: Vec<Values>,
}

#[derive(Serialize)]
pub(super) struct Legend {
    pub(super) name: String,
    pub(super) color: String,
    pub(super) max: String,
}

/// The values of a line, shown by the page's script at the pointer.
#[derive(Serialize)]
struct Values {
    name: String,
    color: String,
    points: Vec<(f64, f64)>,
}

/// Returns the values of the charts for the script as JSON; `<` is escaped, so that no text can close
/// the script element.
pub(super) fn data(outcome: &Outcome, charts: &[Chart]) -> String {
    #[derive(Serialize)]
    struct ChartData<'a> {
        unit: &'static str,
        lines: &'a [Values],
    }
    #[derive(Serialize)]
    struct Data<'a> {
        seconds: u32,
        stages: Vec<(&'a str, u32, u32)>,
        charts: Vec<ChartData<'a>>,
    }
    let stages = outcome.load.stages.iter();
    let data = Data {
        seconds: summary::chart_seconds(outcome),
        stages: stages.map(|stage| (stage.name.as_str(), stage.from_s, stage.to_s)).collect(),
        charts: charts
            .iter()
            .map(|chart| ChartData { unit: chart.unit, lines: &chart.values })
            .collect(),
    };
    serde_json::to_string(&data).unwrap_or_default().replace('<', "\\u003c")
}

/// Returns every chart that has values, in the order of the page.
pub(super) fn charts(outcome: &Outcome) -> Vec<Chart> {
    let windows = Windows::new(outcome);
    let large = [
        (
            "Latency",
            "ms",
            vec![
                line("P50", "a", windows.quantile(0.50)),
                line("P95", "b", windows.quantile(0.95)),
                line("P99", "c", windows.quantile(0.99)),
            ],
        ),
        (
            "Requests/s",
            "/s",
            vec![filled("sent", "a", windows.rate()), filled("failed", "bad", windows.errors())],
        ),
    ];
    let full =
        [("Errors/s", "/s", by_failure(&windows)), ("P95 by endpoint", "ms", by_endpoint(outcome))];
    let small = small(outcome);
    let sized = |size| move |(title, unit, lines)| (size, title, unit, lines);
    let all = large
        .into_iter()
        .map(sized(Size::Large))
        .chain(full.into_iter().map(sized(Size::Full)))
        .chain(small.into_iter().map(sized(Size::Small)));
    all.filter(|(_, _, _, lines)| lines.first().is_some_and(|line| !line.points.is_empty()))
        .map(|(size, title, unit, lines)| draw(outcome, title, unit, &lines, size))
        .collect()
}

type ChartInput = (&'static str, &'static str, Vec<Line>);

fn small(outcome: &Outcome) -> Vec<ChartInput> {
    let service = |value: fn(&ServiceSample) -> Option<f64>| {
        series::sample_series(outcome, |sample| value(&sample.service))
    };
    let users = series::sample_series(outcome, |sample| Some(f64::from(sample.users)));
    let users_title = match outcome.load.model {
        Model::Closed => "Users",
        Model::Open => "Concurrent users",
    };
    vec![
        (users_title, "", vec![filled("users", "a", users)]),
        ("Service CPU", "%", vec![filled("of one CPU", "a", series::service_cpu_percent(outcome))]),
        (
            "Service memory",
            "MiB",
            vec![filled("resident", "a", mebibytes(service(|service| service.memory_bytes)))],
        ),
        (
            "Database pool",
            "",
            vec![
                filled("in use", "a", service(|service| service.pool_in_use)),
                line("limit", "bad", service(|service| service.pool_max)),
            ],
        ),
        ("Queue depth", "", vec![filled("waiting", "a", service(|service| service.queue_depth))]),
        (
            "Requests in progress",
            "",
            vec![filled("in progress", "a", service(|service| service.requests_in_progress))],
        ),
        (
            "Connections",
            "",
            vec![
                line("PostgreSQL", "a", service(|service| service.database_connections)),
                line("Redis", "b", service(|service| service.redis_connections)),
            ],
        ),
        (
            "Generator CPU",
            "%",
            vec![filled(
                "of all CPUs",
                "c",
                series::sample_series(outcome, |sample| {
                    sample.generator_cpu.map(|fraction| fraction * 100.0)
                }),
            )],
        ),
    ]
}

/// Returns one line per group of failures that occurred.
fn by_failure(windows: &Windows) -> Vec<Line> {
    let lines = FAILURES.iter().map(|(name, color, kinds)| {
        let points = windows.failures(kinds);
        line(name, color, points)
    });
    lines.filter(|line| line.points.iter().any(|(_, failures)| *failures > 0.0)).collect()
}

/// Returns one line per endpoint, slowest first, for the slowest endpoints only.
fn by_endpoint(outcome: &Outcome) -> Vec<Line> {
    let mut endpoints: Vec<_> = outcome
        .endpoints
        .iter()
        .filter_map(|endpoint| Some((endpoint.tally_all().latency.quantile_ms(0.95)?, endpoint)))
        .collect();
    endpoints.sort_by(|left, right| right.0.total_cmp(&left.0));
    (0..)
        .zip(endpoints.into_iter().take(MAX_ENDPOINTS))
        .map(|(index, (_, endpoint))| {
            let windows = Windows::for_endpoint(outcome, endpoint);
            let points = windows.quantile_with_min_samples(MIN_SAMPLES_FOR_P95, 0.95);
            let color = format!("e{index}");
            Line { name: endpoint.name.clone(), color, filled: false, points }
        })
        .filter(|line| !line.points.is_empty())
        .collect()
}

fn line(name: &str, color: &str, points: Points) -> Line {
    Line { name: name.into(), color: color.into(), filled: false, points }
}

fn filled(name: &str, color: &str, points: Points) -> Line {
    Line { filled: true, ..line(name, color, points) }
}

fn draw(
    outcome: &Outcome,
    title: &'static str,
    unit: &'static str,
    lines: &[Line],
    size: Size,
) -> Chart {
    let seconds = summary::chart_seconds(outcome);
    let legend = lines.iter().map(|line| {
        let max = line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        Legend {
            name: line.name.clone(),
            color: line.color.clone(),
            max: format!("{} {unit}", short(max)).trim_end().to_owned(),
        }
    });
    let values = lines.iter().map(|line| Values {
        name: line.name.clone(),
        color: line.color.clone(),
        points: line.points.iter().map(|(at, value)| (*at, rounded(*value))).collect(),
    });
    Chart {
        title,
        size: match size {
            Size::Small => "small",
            Size::Large => "large",
            Size::Full => "full",
        },
        unit,
        svg: chart::over_time(lines, &outcome.load.stages, seconds, size),
        legend: legend.collect(),
        values: values.collect(),
    }
}

/// Formats `value` with few digits.
fn short(value: f64) -> String {
    let digits = match value {
        _ if value >= 100.0 || value.fract() == 0.0 => 0,
        _ if value >= 1.0 => 1,
        _ => 2,
    };
    let rounded = format!("{value:.digits$}");
    // A low rate must not be shown as zero.
    if rounded == "0.00" { format!("{value:.4}") } else { rounded }
}

/// Rounds to the digits that are shown, which keeps the page small.
fn rounded(value: f64) -> f64 {
    let scale = match value.abs() {
        size if size >= 100.0 => 1.0,
        size if size >= 0.1 => 100.0,
        _ => 10_000.0,
    };
    (value * scale).round() / scale
}

fn mebibytes(mut bytes: Points) -> Points {
    for (_, value) in &mut bytes {
        *value /= 1_048_576.0;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn error_chart(outcome: &Outcome) -> Option<Chart> {
        charts(outcome).into_iter().find(|chart| chart.title == "Errors/s")
    }

    #[test]
    fn every_group_of_failures_has_a_line() {
        let mut outcome = example::outcome();
        let counts = &mut outcome.endpoints[0].cells[3].counts;
        (counts.timed_out, counts.wrong_shapes, counts.unexpected_statuses) = (4, 1, 1);
        let chart = error_chart(&outcome).unwrap();
        let max = |name| {
            let found = chart.values.iter().find(|line| line.name == name)?;
            Some(found.points.iter().map(|(_, value)| *value).fold(0.0, f64::max))
        };
        assert_eq!(max("timeouts"), Some(4.0));
        assert_eq!(max("failed checks"), Some(2.0), "unexpected status and wrong shape together");
        assert_eq!(max("connection errors"), None, "no line without failures");
    }

    #[test]
    fn without_errors_there_is_no_error_chart() {
        let mut outcome = example::outcome();
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            cell.counts = crate::outcome::Counts::default();
        }
        assert!(error_chart(&outcome).is_none());
    }

    #[test]
    fn a_low_rate_is_not_shown_as_zero() {
        assert_eq!(
            [0.0, 0.0014, 0.25, 3.0, 3.12, 314.2].map(short).join(" "),
            "0 0.0014 0.25 3 3.1 314"
        );
    }
}
