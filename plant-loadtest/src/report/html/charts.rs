//! The page's charts, each with its legend.

use serde::Serialize;

use crate::{
    outcome::{Outcome, ServiceSample},
    report::{
        chart::{self, Line},
        series::{self, Points, Windows},
    },
};

/// A chart with its legend.
#[derive(Serialize)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) svg: String,
    pub(super) legend: Vec<Legend>,
}

#[derive(Serialize)]
pub(super) struct Legend {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    pub(super) highest: String,
}

/// Every chart for which there are values.
pub(super) fn charts(outcome: &Outcome) -> Vec<Chart> {
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
