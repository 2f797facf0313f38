//! The page's charts, each with its legend, and their values for the page's script.

use serde::Serialize;

use crate::{
    outcome::{FailureKind, Model, Outcome, ServiceSample},
    report::{
        chart::{self, Line, Size},
        series::{self, Points, Windows},
    },
};

/// A P95 of fewer requests in a window would only flicker.
const LEAST_FOR_P95: u64 = 5;

/// More endpoints than colours would not be told apart.
const MOST_ENDPOINTS: usize = 8;

/// The ways to fail, each with its name and colour: who looks wants to know whose fault it was.
const FAILURES: [(&str, &str, &[FailureKind]); 5] = [
    ("5xx", "e0", &[FailureKind::ServerError]),
    ("4xx", "e1", &[FailureKind::ClientError]),
    ("timed out", "e6", &[FailureKind::TimedOut]),
    ("no connection", "e4", &[FailureKind::Connection]),
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
    pub(super) colour: String,
    pub(super) highest: String,
}

/// What the page's script shows where the pointer is.
#[derive(Serialize)]
struct Values {
    name: String,
    colour: String,
    points: Vec<(f64, f64)>,
}

/// What the script needs of the charts, as JSON that cannot end its element.
pub(super) fn data(outcome: &Outcome, charts: &[Chart]) -> String {
    #[derive(Serialize)]
    struct Drawn<'a> {
        unit: &'static str,
        lines: &'a [Values],
    }
    #[derive(Serialize)]
    struct Data<'a> {
        seconds: u32,
        stages: Vec<(&'a str, u32, u32)>,
        charts: Vec<Drawn<'a>>,
    }
    let stages = outcome.load.stages.iter();
    let data = Data {
        seconds: series::shown_seconds(outcome),
        stages: stages.map(|stage| (stage.name.as_str(), stage.from_s, stage.to_s)).collect(),
        charts: charts
            .iter()
            .map(|chart| Drawn { unit: chart.unit, lines: &chart.values })
            .collect(),
    };
    serde_json::to_string(&data).unwrap_or_default().replace('<', "\\u003c")
}

/// Every chart for which there are values, the two that matter most in large.
pub(super) fn charts(outcome: &Outcome) -> Vec<Chart> {
    let windows = Windows::of(outcome);
    let large = [
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
            "Requests a second",
            "/s",
            vec![filled("sent", "a", windows.rate()), filled("failed", "bad", windows.errors())],
        ),
    ];
    let wide = [
        ("Errors a second", "/s", by_failure(&windows)),
        ("P95 by endpoint", "ms", by_endpoint(outcome)),
    ];
    let small = small(outcome);
    let sized = |size| move |(title, unit, lines)| (size, title, unit, lines);
    let all = large
        .into_iter()
        .map(sized(Size::Large))
        .chain(wide.into_iter().map(sized(Size::Wide)))
        .chain(small.into_iter().map(sized(Size::Small)));
    all.filter(|(_, _, _, lines)| lines.first().is_some_and(|line| !line.points.is_empty()))
        .map(|(size, title, unit, lines)| draw(outcome, title, unit, &lines, size))
        .collect()
}

type Planned = (&'static str, &'static str, Vec<Line>);

fn small(outcome: &Outcome) -> Vec<Planned> {
    let service = |pick: fn(&ServiceSample) -> Option<f64>| {
        series::sampled(outcome, |sample| pick(&sample.service))
    };
    let users = series::sampled(outcome, |sample| Some(f64::from(sample.users)));
    let users_title = match outcome.load.model {
        Model::Closed => "Users",
        Model::Open => "Busy users",
    };
    vec![
        (users_title, "", vec![filled("users", "a", users)]),
        ("Service CPU", "%", vec![filled("of one processor", "a", series::service_cpu(outcome))]),
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
                "of all processors",
                "c",
                series::sampled(outcome, |sample| sample.generator_cpu.map(|share| share * 100.0)),
            )],
        ),
    ]
}

/// A line for every way in which requests failed; none when none did.
fn by_failure(windows: &Windows) -> Vec<Line> {
    let lines = FAILURES.iter().map(|(name, colour, kinds)| {
        let points = windows.failures(kinds);
        line(name, colour, points)
    });
    lines.filter(|line| line.points.iter().any(|(_, failures)| *failures > 0.0)).collect()
}

/// The slowest endpoints first, so that their colours come first, too.
fn by_endpoint(outcome: &Outcome) -> Vec<Line> {
    let mut endpoints: Vec<_> = outcome
        .endpoints
        .iter()
        .filter_map(|endpoint| Some((endpoint.whole().latency.quantile_ms(0.95)?, endpoint)))
        .collect();
    endpoints.sort_by(|left, right| right.0.total_cmp(&left.0));
    (0..)
        .zip(endpoints.into_iter().take(MOST_ENDPOINTS))
        .map(|(index, (_, endpoint))| {
            let windows = Windows::of_endpoint(outcome, endpoint);
            let points = windows.quantile_of(LEAST_FOR_P95, 0.95);
            let colour = format!("e{index}");
            Line { name: endpoint.name.clone(), colour, filled: false, points }
        })
        .filter(|line| !line.points.is_empty())
        .collect()
}

fn line(name: &str, colour: &str, points: Points) -> Line {
    Line { name: name.into(), colour: colour.into(), filled: false, points }
}

fn filled(name: &str, colour: &str, points: Points) -> Line {
    Line { filled: true, ..line(name, colour, points) }
}

fn draw(
    outcome: &Outcome,
    title: &'static str,
    unit: &'static str,
    lines: &[Line],
    size: Size,
) -> Chart {
    let seconds = series::shown_seconds(outcome);
    let legend = lines.iter().map(|line| {
        let highest = line.points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        Legend {
            name: line.name.clone(),
            colour: line.colour.clone(),
            highest: format!("{} {unit}", short(highest)).trim_end().to_owned(),
        }
    });
    let values = lines.iter().map(|line| Values {
        name: line.name.clone(),
        colour: line.colour.clone(),
        points: line.points.iter().map(|(at, value)| (*at, rounded(*value))).collect(),
    });
    Chart {
        title,
        size: match size {
            Size::Small => "small",
            Size::Large => "large",
            Size::Wide => "full",
        },
        unit,
        svg: chart::over_time(lines, &outcome.load.stages, seconds, size),
        legend: legend.collect(),
        values: values.collect(),
    }
}

fn short(value: f64) -> String {
    let digits = match value {
        _ if value >= 100.0 || value.fract() == 0.0 => 0,
        _ if value >= 1.0 => 1,
        _ => 2,
    };
    let rounded = format!("{value:.digits$}");
    // A few errors in hours are not none.
    if rounded == "0.00" { format!("{value:.4}") } else { rounded }
}

/// Nobody reads more digits, and the page is smaller.
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

    fn errors(outcome: &Outcome) -> Option<Chart> {
        charts(outcome).into_iter().find(|chart| chart.title == "Errors a second")
    }

    #[test]
    fn every_way_to_fail_has_its_line() {
        let mut outcome = example::outcome();
        let second = &mut outcome.endpoints[0].seconds[3].counts;
        (second.timed_out, second.wrong_shapes, second.unexpected_statuses) = (4, 1, 1);
        let chart = errors(&outcome).unwrap();
        let highest = |name| {
            let found = chart.values.iter().find(|line| line.name == name)?;
            Some(found.points.iter().map(|(_, value)| *value).fold(0.0, f64::max))
        };
        assert_eq!(highest("timed out"), Some(4.0));
        assert_eq!(highest("failed checks"), Some(2.0), "status and shape together");
        assert_eq!(highest("no connection"), None, "nothing is drawn of what did not happen");
    }

    #[test]
    fn without_errors_there_is_no_chart_of_them() {
        let mut outcome = example::outcome();
        for second in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.seconds) {
            second.counts = crate::outcome::Counts::default();
        }
        assert!(errors(&outcome).is_none());
    }

    #[test]
    fn a_few_errors_in_hours_are_not_none() {
        assert_eq!(
            [0.0, 0.0014, 0.25, 3.0, 3.12, 314.2].map(short).join(" "),
            "0 0.0014 0.25 3 3.1 314"
        );
    }
}
