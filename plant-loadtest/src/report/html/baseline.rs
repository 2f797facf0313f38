//! Comparison with one earlier run, the baseline.

use serde::Serialize;

use super::{charts::baseline_endpoint, limits::PERCENTILES};
use crate::{
    outcome::{Outcome, Tally},
    report::summary,
    sla::format_percent,
};

/// Change in percent from which on it is marked.
const MARKED_PERCENT: f64 = 10.0;

/// The changes since the baseline.
#[derive(Debug, Serialize)]
pub(super) struct Baseline {
    /// The baseline in one sentence.
    pub(super) description: String,
    /// Differences between both runs other than the service.
    pub(super) differences: Vec<String>,
    /// One row per endpoint of one of the runs, and one for all.
    pub(super) rows: Vec<BaselineRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct BaselineRow {
    name: String,
    cells: Vec<Cell>,
}

/// A value before and now.
#[derive(Debug, Serialize)]
struct Cell {
    name: &'static str,
    before: String,
    now: String,
    change: Option<Change>,
}

/// The change of a value of which less is better.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Change {
    text: String,
    /// Class of the style sheet.
    class: &'static str,
}

impl Change {
    /// Returns the change in percent; `None` if there is nothing to compare with.
    pub(super) fn between(before: f64, now: f64) -> Option<Self> {
        let percent = (now / before - 1.0) * 100.0;
        if !percent.is_finite() {
            return None;
        }
        let digits = usize::from(percent.abs() < 9.95);
        let class = if percent.abs() >= MARKED_PERCENT { "marked" } else { "" };
        Some(Self { text: format!("{percent:+.digits$} %"), class })
    }

    /// Returns the change in percentage points.
    fn of_points(before: f64, now: f64) -> Self {
        let points = now - before;
        let class = if points.abs() >= 1.0 { "marked" } else { "" };
        Self { text: format!("{points:+.2} pp"), class }
    }
}

impl Baseline {
    /// Compares `outcome` with `baseline`.
    pub(super) fn new(outcome: &Outcome, baseline: &Outcome) -> Self {
        let names =
            outcome.endpoints.iter().chain(&baseline.endpoints).map(|one| one.name.as_str());
        let mut known: Vec<&str> = Vec::new();
        for name in names {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        let tally = |outcome: &Outcome, name: &str| {
            baseline_endpoint(outcome, name).map(|endpoint| outcome.tally_judged_of(endpoint))
        };
        let rate = |outcome: &Outcome, tally: &Tally| {
            let seconds = summary::judged_duration_s(outcome);
            (seconds > 0.0).then(|| as_f64(tally.counts.sent) / seconds)
        };
        let row = |name: &str, before: Option<Tally>, now: Option<Tally>| {
            let rates = (
                before.as_ref().and_then(|tally| rate(baseline, tally)),
                now.as_ref().and_then(|tally| rate(outcome, tally)),
            );
            BaselineRow {
                name: name.to_owned(),
                cells: cells(before.as_ref(), now.as_ref(), rates),
            }
        };
        let mut rows: Vec<BaselineRow> = known
            .iter()
            .map(|name| row(name, tally(baseline, name), tally(outcome, name)))
            .collect();
        let all = (Some(baseline.tally_judged()), Some(outcome.tally_judged()));
        rows.push(row("all endpoints", all.0, all.1));
        Self { description: describe(baseline), differences: differences(outcome, baseline), rows }
    }
}

fn cells(
    before: Option<&Tally>,
    now: Option<&Tally>,
    (rate_before, rate_now): (Option<f64>, Option<f64>),
) -> Vec<Cell> {
    let format_rate =
        |rate: Option<f64>| rate.map_or_else(|| "–".into(), |rate| format!("{rate:.1}"));
    let percent = |tally: Option<&Tally>| {
        let counts = tally?.counts;
        (counts.finished() > 0).then(|| as_f64(counts.errors()) * 100.0 / as_f64(counts.finished()))
    };
    let format_errors = |share: Option<f64>| share.map_or_else(|| "–".into(), format_percent);
    let (errors_before, errors_now) = (percent(before), percent(now));
    let mut cells = vec![
        Cell {
            name: "requests/s",
            before: format_rate(rate_before),
            now: format_rate(rate_now),
            change: rate_before
                .zip(rate_now)
                .and_then(|(before, now)| Change::between(before, now)),
        },
        Cell {
            name: "errors",
            before: format_errors(errors_before),
            now: format_errors(errors_now),
            change: errors_before
                .zip(errors_now)
                .map(|(before, now)| Change::of_points(before, now)),
        },
    ];
    cells.extend(PERCENTILES.map(|(quantile, name, _)| {
        let at =
            |tally: Option<&Tally>| tally.and_then(|tally| tally.latency.quantile_ms(quantile));
        let (before, now) = (at(before), at(now));
        Cell {
            name,
            before: summary::ms_or_dash(before),
            now: summary::ms_or_dash(now),
            change: before.zip(now).and_then(|(before, now)| Change::between(before, now)),
        }
    }));
    cells
}

fn describe(baseline: &Outcome) -> String {
    let build: Vec<String> =
        baseline.target.build.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let build = if build.is_empty() { String::new() } else { format!(", {}", build.join(", ")) };
    format!(
        "{} against {}{build}, started {}",
        baseline.load.profile,
        baseline.target.host,
        baseline.started_at.format("%Y-%m-%d %H:%M:%S UTC")
    )
}

/// Returns what else differs between both runs. Different loads are not comparable.
fn differences(outcome: &Outcome, baseline: &Outcome) -> Vec<String> {
    let (now, before) = (&outcome.load, &baseline.load);
    let mut differences = Vec::new();
    if now.profile != before.profile {
        differences.push(format!("profile {}, not {}", before.profile, now.profile));
    }
    if now.model != before.model {
        differences.push("the other load model".to_owned());
    }
    if now.users != before.users {
        differences.push(format!("{} users, not {}", before.users, now.users));
    }
    if now.stages != before.stages {
        differences.push("other stages, rates or durations".to_owned());
    }
    if outcome.generator.cpu_model != baseline.generator.cpu_model {
        differences.push("another machine".to_owned());
    }
    differences
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_change_is_in_percent_of_the_baseline_and_marked_from_ten_percent_on() {
        let change = |before, now| {
            Change::between(before, now).map(|change| (change.text, change.class == "marked"))
        };
        assert_eq!(change(10.0, 12.5), Some(("+25 %".to_owned(), true)));
        assert_eq!(change(10.0, 9.5), Some(("-5.0 %".to_owned(), false)));
        assert_eq!(change(0.0, 9.5), None);
        assert_eq!(Change::of_points(0.5, 2.0).text, "+1.50 pp");
    }

    #[test]
    fn endpoints_of_one_run_only_are_listed_without_a_change() {
        let (mut outcome, mut baseline) = (example::outcome(), example::outcome());
        outcome.endpoints[0].name = "GET /new".into();
        baseline.load.users += 1;
        let compared = Baseline::new(&outcome, &baseline);
        assert_eq!(compared.differences, ["51 users, not 50"]);
        assert_eq!(compared.rows.len(), outcome.endpoints.len() + 2);
        let row = compared.rows.iter().find(|row| row.name == "GET /new").unwrap();
        assert!(
            row.cells.iter().all(|cell| cell.before == "–" && cell.change.is_none()),
            "{row:?}"
        );
        let all = compared.rows.last().unwrap();
        let change = all.cells[3].change.as_ref().unwrap();
        assert_eq!((all.cells[3].name, change.text.as_str()), ("P95", "+0.0 %"));
    }
}
