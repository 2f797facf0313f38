//! Latency over the level of load, from the trials of a search, with the knee of the curve. The level
//! is what was offered: beyond the capacity, the rate that the service manages falls again.

use std::fmt::Write as _;

use super::{Trial, TrialResult, format_level};
use crate::{
    report::{chart, table},
    sla::format_ms,
};

/// Fewest points of a curve with a knee: a straight line needs two, a bend a third.
const MIN_POINTS: usize = 3;

/// Smallest distance of the knee from the chord, as a fraction of the whole range. Below it the
/// latency grows evenly.
const MIN_DISTANCE: f64 = 0.1;

/// A point of the curve: level (arrivals per second or users), and P95 in milliseconds.
pub type Point = (f64, f64);

/// Returns the points of all trials with a P95, by level. Trials beyond the generator's own limit say
/// nothing about the service.
#[must_use]
pub fn points(trials: &[Trial]) -> Vec<Point> {
    let is_limited = |trial: &&Trial| matches!(trial.result, TrialResult::GeneratorLimited(_));
    let measured = trials.iter().filter(|trial| !is_limited(trial));
    let mut points: Vec<Point> =
        measured.filter_map(|trial| Some((trial.level, trial.p95_ms?))).collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// Returns the knee of `points`, sorted by level: the point farthest below the straight line from the
/// first point to the last, with both axes scaled to 1 (Satopää et al., 2011). From there on latency
/// grows faster than the load. `None` with fewer than three points, or if there is no such bend.
#[must_use]
pub fn knee(points: &[Point]) -> Option<Point> {
    let (first, last) = (points.first()?, points.last()?);
    let (rates, latencies) = (last.0 - first.0, last.1 - first.1);
    if points.len() < MIN_POINTS || rates <= 0.0 || latencies <= 0.0 {
        return None;
    }
    let distance = |point: &Point| (point.0 - first.0) / rates - (point.1 - first.1) / latencies;
    let knee = points.iter().max_by(|one, other| distance(one).total_cmp(&distance(other)))?;
    (distance(knee) >= MIN_DISTANCE).then_some(*knee)
}

/// Describes the knee in one sentence; empty if there is none.
#[must_use]
pub fn describe_knee(points: &[Point], unit: &str) -> String {
    knee(points).map_or_else(String::new, |(level, p95_ms)| {
        format!(
            "Knee: {} at a P95 of {}; beyond it latency grows faster than the load.",
            describe_level(level, unit),
            format_ms(p95_ms)
        )
    })
}

/// Renders a self-contained HTML page: the curve, the knee, and the table of trials. `title` is the
/// profile's name, `result` the text of the result.
#[must_use]
pub fn html(title: &str, unit: &str, trials: &[Trial], result: &str) -> String {
    let points = points(trials);
    let mut rows = String::new();
    for trial in trials {
        let cells = trial.table_row().map(|cell| format!("<td>{}</td>", chart::escape(&cell)));
        let _ = writeln!(rows, "<tr>{}</tr>", cells.concat());
    }
    let header = table_header(unit).map(|name| format!("<th>{}</th>", chart::escape(name)));
    let title = chart::escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Capacity · {title}</title>\n<style>\n{}\n</style>\n</head>\n<body>\n<main>\n\
         <header class=\"card verdict\"><h1>Capacity: {title}</h1>\n<p class=\"reason\">{}</p></header>\n\
         <h2>P95 in ms over {unit}</h2>\n\
         <section class=\"card full\">{}</section>\n<p class=\"soft\">{}</p>\n\
         <h2>Trials</h2>\n<div class=\"card wide\"><table>\n<thead><tr>{}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n</main>\n</body>\n</html>\n",
        crate::report::html::STYLE,
        chart::escape(result).replace('\n', "<br>"),
        chart::curve("P95 over the load", &points, knee(&points)),
        chart::escape(&describe_knee(&points, unit)),
        header.concat(),
    )
}

/// Returns the header of the table of trials.
pub fn table_header(unit: &str) -> [&str; 5] {
    [unit, "successful requests/s", "P95", "errors", "thresholds"]
}

/// Renders the table of trials as text.
#[must_use]
pub fn table(unit: &str, trials: &[Trial]) -> String {
    let mut table = table::plain(table_header(unit));
    for trial in trials {
        table.add_row(trial.table_row());
    }
    table::for_stdout(table)
}

/// Describes a level with its unit.
#[must_use]
pub fn describe_level(level: f64, unit: &str) -> String {
    format!("{} {unit}", format_level(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the mean latency of a queue with one server (M/M/1) of 1000 requests per second.
    fn queue(rates: &[f64]) -> Vec<Point> {
        rates.iter().map(|rate| (*rate, 1000.0 / (1000.0 - rate))).collect()
    }

    #[test]
    fn the_knee_is_where_latency_starts_to_grow_faster_than_the_load() {
        let points = queue(&[100.0, 300.0, 500.0, 700.0, 800.0, 900.0, 950.0, 990.0]);
        let (rate, _) = knee(&points).unwrap();
        assert!((700.0..=950.0).contains(&rate), "{rate}");
    }

    #[test]
    fn an_even_or_falling_curve_has_no_knee() {
        assert_eq!(knee(&[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]), None);
        assert_eq!(knee(&[(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]), None);
        assert_eq!(knee(&queue(&[100.0, 990.0])), None, "two points");
    }

    #[test]
    fn the_page_names_the_knee_and_escapes_the_title() {
        let trial = |throughput, p95_ms| Trial {
            level: throughput,
            throughput,
            p95_ms: Some(p95_ms),
            errors: 0,
            result: TrialResult::Met,
        };
        let trials: Vec<Trial> = queue(&[100.0, 500.0, 900.0, 990.0])
            .into_iter()
            .map(|(rate, p95)| trial(rate, p95))
            .collect();
        let page = html("<x>", "users", &trials, "Highest load: 990 users.");
        assert!(page.contains("Capacity: &lt;x&gt;") && !page.contains("<x>"), "{page}");
        assert!(page.contains("Knee: 900 users at a P95"), "{page}");
        assert_eq!(page.matches("<tr>").count(), 5);
    }
}
