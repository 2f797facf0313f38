//! The charts of the page with their legends, and the values that the page's script shows.

use serde::{Serialize, Serializer};

use super::limits::{self, PERCENTILES};
use crate::{
    distribution::Distribution,
    failure::FailureKind,
    outcome::{EndpointResults, Outcome},
    report::{
        chart::{HeatMap, Histogram, Limit, Line, Marker, TimeChart},
        series::{Series, Windows},
        summary,
    },
    verdict::Verdict,
};

/// Groups of failures, each with name and color.
const FAILURES: [(&str, &str, &[FailureKind]); 5] = [
    ("5xx", "e0", &[FailureKind::ServerError]),
    ("4xx", "e1", &[FailureKind::ClientError]),
    ("timeouts", "e6", &[FailureKind::TimedOut]),
    ("connection errors", "e4", &[FailureKind::Connection]),
    ("failed checks", "e5", &[FailureKind::UnexpectedStatus, FailureKind::WrongShape]),
];

/// Draws the charts of a page, and collects their values.
pub(super) struct Charts<'a> {
    pub(super) outcome: &'a Outcome,
    pub(super) verdict: &'a Verdict,
    pub(super) baseline: Option<&'a Outcome>,
    pub(super) seconds: u32,
    data: Vec<Data>,
}

/// A chart with its legend.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    /// Index of its values.
    pub(super) id: usize,
    pub(super) title: String,
    pub(super) unit: &'static str,
    /// Class of the style sheet: `small`, `large` or `full`.
    pub(super) size: &'static str,
    pub(super) plot: String,
    pub(super) legend: Vec<Legend>,
    pub(super) note: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Legend {
    pub(super) name: String,
    pub(super) color: String,
    /// Class of the style sheet: `line`, `base`, `limit` or `marker`.
    pub(super) kind: &'static str,
    pub(super) detail: String,
}

/// What a chart over time shows.
pub(super) struct TimeChartInput {
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) size: &'static str,
    pub(super) lines: Vec<Line>,
    pub(super) limits: Vec<Limit>,
    pub(super) logarithmic: bool,
    pub(super) note: String,
}

/// The values of a chart, shown by the page's script at the pointer.
#[derive(Serialize)]
#[serde(untagged)]
enum Data {
    Lines {
        u: &'static str,
        l: Vec<LineData>,
    },
    /// Ends of the axis in milliseconds, and the number of requests in each bar.
    Histogram {
        h: [Number; 2],
        v: Vec<u64>,
    },
    /// Ends of the axis in milliseconds, and the length of a column in seconds.
    HeatMap {
        m: [Number; 2],
        w: u32,
    },
}

/// Name, color, length of a window in seconds, and the values.
#[derive(Serialize)]
struct LineData {
    n: String,
    c: String,
    w: u32,
    v: Vec<Option<Number>>,
}

/// A number with the digits that are shown, which keeps the page small.
#[derive(Clone, Copy)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scale = match self.0.abs() {
            size if size >= 100.0 => 1.0,
            size if size >= 10.0 => 10.0,
            size if size >= 1.0 => 100.0,
            _ => 10_000.0,
        };
        let rounded = (self.0 * scale).round() / scale;
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers of this size are exact")]
        match rounded.fract() == 0.0 && rounded.abs() < 1e15 {
            true => serializer.serialize_i64(rounded as i64),
            false => serializer.serialize_f64(rounded),
        }
    }
}

impl<'a> Charts<'a> {
    pub(super) fn new(
        outcome: &'a Outcome,
        verdict: &'a Verdict,
        baseline: Option<&'a Outcome>,
    ) -> Self {
        let seconds = summary::chart_seconds(outcome);
        Self { outcome, verdict, baseline, seconds, data: Vec::new() }
    }

    /// Returns the values of all charts for the script as JSON; `<` is escaped, so that no text can close
    /// the script element.
    pub(super) fn data(&self) -> String {
        #[derive(Serialize)]
        struct Page<'p> {
            seconds: u32,
            stages: Vec<(&'p str, u32, u32)>,
            charts: &'p [Data],
        }
        let stages = self.outcome.load.stages.iter();
        let page = Page {
            seconds: self.seconds,
            stages: stages.map(|stage| (stage.name.as_str(), stage.from_s, stage.to_s)).collect(),
            charts: &self.data,
        };
        serde_json::to_string(&page).unwrap_or_default().replace('<', "\\u003c")
    }

    /// Draws values over time; `None` if there are none.
    pub(super) fn over_time(&mut self, input: TimeChartInput) -> Option<Chart> {
        let TimeChartInput { title, unit, size, lines, limits, logarithmic, note } = input;
        if lines.iter().all(|line| line.series.is_empty()) {
            return None;
        }
        let chart = TimeChart {
            title: &title,
            lines: &lines,
            limits: &limits,
            stages: &self.outcome.load.stages,
            seconds: self.seconds,
            logarithmic,
        };
        let of_lines = lines.iter().map(|line| Legend {
            name: line.name.clone(),
            color: line.color.clone(),
            kind: if line.baseline { "base" } else { "line" },
            detail: format!("max {} {unit}", short(line.series.max())).trim_end().to_owned(),
        });
        let of_limits = limits.iter().map(|limit| Legend {
            name: limit.name.clone(),
            color: limit.color.clone(),
            kind: "limit",
            detail: if chart.is_beyond(limit) { "above this chart" } else { "" }.to_owned(),
        });
        let (legend, plot) = (of_lines.chain(of_limits).collect(), chart.html());
        let lines = lines.into_iter().map(|line| LineData {
            n: line.name,
            c: line.color,
            w: line.series.window_s,
            v: line.series.points.iter().map(|point| Some(Number(point.as_ref()?.value))).collect(),
        });
        let id = self.add(Data::Lines { u: unit, l: lines.collect() });
        Some(Chart { id, title, unit, size, plot, legend, note })
    }

    /// Draws the percentiles of latency over time, with their thresholds and those of the baseline.
    pub(super) fn latency(
        &mut self,
        title: &str,
        size: &'static str,
        windows: &Windows,
        baseline: Option<&Windows>,
        limits: Vec<Limit>,
    ) -> Option<Chart> {
        let of = |windows: &Windows, baseline: bool| {
            let percentiles = PERCENTILES.into_iter();
            let percentiles = percentiles.map(|(quantile, name, color)| {
                let name =
                    if baseline { format!("{name} of the baseline") } else { name.to_owned() };
                Line { baseline, ..line(&name, color, windows.quantile(quantile)) }
            });
            percentiles.collect::<Vec<Line>>()
        };
        let mut lines = of(windows, false);
        // Three more lines would hide each other.
        lines.extend(baseline.map(|windows| of(windows, true)).into_iter().flatten().take(2));
        let few = windows.tallies.iter().any(|tally| (1..5).contains(&tally.latency.len()));
        let note = if few { "Points: fewer than 5 requests." } else { "" };
        self.over_time(TimeChartInput {
            title: title.to_owned(),
            unit: "ms",
            size,
            lines,
            limits,
            logarithmic: true,
            note: note.to_owned(),
        })
    }

    /// Draws the requests per second, sent and failed.
    pub(super) fn rate(
        &mut self,
        size: &'static str,
        windows: &Windows,
        baseline: Option<&Windows>,
        limits: Vec<Limit>,
    ) -> Option<Chart> {
        let mut lines =
            vec![filled("sent", "a", windows.rate()), filled("failed", "bad", windows.errors())];
        lines.extend(
            baseline.map(|windows| Line {
                baseline: true,
                ..line("sent, baseline", "a", windows.rate())
            }),
        );
        self.over_time(TimeChartInput {
            title: "Requests/s".to_owned(),
            unit: "/s",
            size,
            lines,
            limits,
            logarithmic: false,
            note: String::new(),
        })
    }

    /// Draws the share of failed requests, by groups of failures that occurred.
    pub(super) fn errors(
        &mut self,
        size: &'static str,
        windows: &Windows,
        limits: Vec<Limit>,
    ) -> Option<Chart> {
        let lines = FAILURES
            .iter()
            .map(|(name, color, kinds)| line(name, color, windows.failure_percent(kinds)));
        let lines: Vec<Line> = lines.filter(|line| line.series.max() > 0.0).collect();
        self.over_time(TimeChartInput {
            title: "Errors".to_owned(),
            unit: "%",
            size,
            lines,
            limits,
            logarithmic: false,
            note: String::new(),
        })
    }

    /// Draws the distribution of latencies.
    pub(super) fn histogram(
        &mut self,
        size: &'static str,
        latency: &Distribution,
        baseline: Option<&Distribution>,
    ) -> Option<Chart> {
        let title = "Latency distribution";
        let histogram = Histogram::new(latency, baseline)?;
        let at = |(quantile, name, color): (f64, &'static str, &'static str)| {
            Some((name, Marker { color, ms: latency.quantile_ms(quantile)? }))
        };
        let markers: Vec<(&str, Marker)> = PERCENTILES.into_iter().filter_map(at).collect();
        let mut legend: Vec<Legend> = markers
            .iter()
            .map(|(name, marker)| Legend {
                name: (*name).to_owned(),
                color: marker.color.to_owned(),
                kind: "marker",
                detail: summary::ms_or_dash(Some(marker.ms)),
            })
            .collect();
        legend.extend(baseline.filter(|latency| !latency.is_empty()).map(|_| Legend {
            name: "baseline".to_owned(),
            color: "a".to_owned(),
            kind: "base",
            detail: String::new(),
        }));
        let markers: Vec<Marker> = markers.into_iter().map(|(_, marker)| marker).collect();
        let plot = histogram.html(title, &markers);
        let (from, to) = histogram.range_ms();
        let id = self.add(Data::Histogram { h: [Number(from), Number(to)], v: histogram.bars });
        let note = "Percent of the judged requests by milliseconds.".to_owned();
        Some(Chart { id, title: title.to_owned(), unit: "%", size, plot, legend, note })
    }

    /// Draws how many requests had which latency, and when.
    pub(super) fn heat_map(&mut self, size: &'static str, windows: &Windows) -> Option<Chart> {
        let title = "Latency heat map";
        let map = HeatMap::new(windows)?;
        let (plot, (from, to)) = (map.html(title, self.seconds), map.range_ms());
        let id = self.add(Data::HeatMap { m: [Number(from), Number(to)], w: map.window_s() });
        let note = format!(
            "Shade: number of requests, at most {} in {} s.",
            map.highest(),
            map.window_s()
        );
        Some(Chart {
            id,
            title: title.to_owned(),
            unit: "ms",
            size,
            plot,
            legend: Vec::new(),
            note,
        })
    }

    /// Returns the windows of an endpoint of the baseline.
    pub(super) fn baseline_windows(&self, endpoint: &str) -> Option<Windows> {
        let baseline = self.baseline?;
        Some(Windows::for_endpoint(baseline, baseline_endpoint(baseline, endpoint)?))
    }

    /// Returns the charts of one endpoint.
    pub(super) fn of_endpoint(&mut self, endpoint: &EndpointResults) -> Vec<Chart> {
        let windows = Windows::for_endpoint(self.outcome, endpoint);
        let before = self.baseline_windows(&endpoint.name);
        let before = before.as_ref();
        let limits = limits::of_endpoint(self.outcome, self.verdict, &endpoint.name);
        let judged = self.outcome.tally_judged_of(endpoint).latency;
        let judged_before = self.baseline.and_then(|baseline| {
            let endpoint = baseline_endpoint(baseline, &endpoint.name)?;
            Some(baseline.tally_judged_of(endpoint).latency)
        });
        let charts = [
            self.latency("Latency", "large", &windows, before, limits.latency),
            self.rate("large", &windows, before, limits.rate),
            self.errors("large", &windows, limits.errors),
            self.heat_map("large", &windows),
            self.histogram("large", &judged, judged_before.as_ref()),
        ];
        charts.into_iter().flatten().collect()
    }

    fn add(&mut self, data: Data) -> usize {
        self.data.push(data);
        self.data.len() - 1
    }
}

/// Returns the endpoint with this `name` of the baseline.
pub(super) fn baseline_endpoint<'b>(
    baseline: &'b Outcome,
    name: &str,
) -> Option<&'b EndpointResults> {
    baseline.endpoints.iter().find(|endpoint| endpoint.name == name)
}

pub(super) fn line(name: &str, color: &str, series: Series) -> Line {
    Line { name: name.into(), color: color.into(), filled: false, baseline: false, series }
}

pub(super) fn filled(name: &str, color: &str, series: Series) -> Line {
    Line { filled: true, ..line(name, color, series) }
}

/// Formats `value` with few digits.
pub(super) fn short(value: f64) -> String {
    let digits = match value {
        _ if value >= 100.0 || value.fract() == 0.0 => 0,
        _ if value >= 1.0 => 1,
        _ => 2,
    };
    let rounded = format!("{value:.digits$}");
    // A low rate must not be shown as zero.
    if rounded == "0.00" { format!("{value:.4}") } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn error_chart(outcome: &Outcome) -> Option<(Chart, String)> {
        let verdict = Verdict::judge(outcome, &outcome.sla);
        let mut charts = Charts::new(outcome, &verdict, None);
        let chart = charts.errors("full", &Windows::new(outcome), Vec::new())?;
        Some((chart, charts.data()))
    }

    #[test]
    fn every_group_of_failures_has_a_line() {
        let mut outcome = example::outcome();
        let counts = &mut outcome.endpoints[0].cells[3].counts;
        (counts.timed_out, counts.wrong_shapes, counts.unexpected_statuses) = (4, 1, 1);
        let (chart, _) = error_chart(&outcome).unwrap();
        let names: Vec<&str> = chart.legend.iter().map(|item| item.name.as_str()).collect();
        assert!(names.contains(&"timeouts") && names.contains(&"failed checks"), "{names:?}");
        assert!(!names.contains(&"connection errors"), "no line without failures");
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

    #[test]
    fn numbers_have_the_digits_that_are_shown() {
        let numbers = [0.0, 0.000_12, 0.25, 3.456, 12.34, 314.2, 70.0].map(Number);
        assert_eq!(serde_json::to_string(&numbers).unwrap(), "[0,0.0001,0.25,3.46,12.3,314,70]");
    }

    #[test]
    fn an_endpoint_with_a_single_request_has_all_charts() {
        let mut outcome = example::outcome();
        let endpoint = &mut outcome.endpoints[0];
        endpoint.cells.retain(|cell| cell.second == 9);
        let cell = &mut endpoint.cells[0];
        cell.counts = crate::outcome::Counts { sent: 1, succeeded: 1, ..Default::default() };
        cell.latency = Distribution::default();
        cell.latency.record(std::time::Duration::from_millis(12));
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let mut charts = Charts::new(&outcome, &verdict, None);
        let drawn = charts.of_endpoint(&outcome.endpoints[0]);
        let titles: Vec<&str> = drawn.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(titles, ["Latency", "Requests/s", "Latency heat map", "Latency distribution"]);
        assert!(drawn[0].plot.contains(r#"class="dots""#), "{}", drawn[0].plot);
        assert_eq!(drawn[0].note, "Points: fewer than 5 requests.");
    }
}
