//! `_stats_history`: aggregated rows over time.
//!
//! As in Locust there is one row per second, for runs of up to two hours. Longer runs are recorded
//! in cells of several seconds and have one row per cell, with the time of its last second.

use std::collections::BTreeMap;

use super::{PERCENTILES, Rows, as_f64, bytes, number, percentiles, response_times, titles};
use crate::outcome::{Outcome, Tally};

/// Percentiles and rates cover this many seconds up to the row, as in Locust; at least one cell.
const WINDOW_S: u32 = 10;

/// The requests to all endpoints in one cell, the seconds `from..to`.
struct Cell {
    from: u32,
    to: u32,
    tally: Tally,
}

/// Returns the header and one row per cell.
pub(super) fn rows(outcome: &Outcome) -> Rows {
    let mut rows = vec![header()];
    let cells = cells(outcome);
    // Response sizes are recorded per run, not per cell.
    let size = as_f64(bytes(outcome)) / as_f64(outcome.tally_all().counts.responses().max(1));
    let mut samples = outcome.samples.iter().peekable();
    let mut users = 0;
    let mut total = Tally::default();
    let mut oldest = 0;
    for (index, cell) in cells.iter().enumerate() {
        total.add(&cell.tally);
        while let Some(sample) = samples.next_if(|sample| sample.second < cell.to) {
            users = sample.users;
        }
        while oldest < index && cells[oldest].from + WINDOW_S < cell.to {
            oldest += 1;
        }
        let mut recent = Tally::default();
        for cell in &cells[oldest..=index] {
            recent.add(&cell.tally);
        }
        let length = f64::from(cell.to - cells[oldest].from);
        let mut row = vec![
            (outcome.started_at.timestamp() + i64::from(cell.to - 1)).to_string(),
            users.to_string(),
            String::new(),
            "Aggregated".to_owned(),
            number(as_f64(recent.counts.sent) / length),
            number(as_f64(recent.counts.errors()) / length),
        ];
        row.extend(percentiles(&recent.latency));
        row.push(total.counts.sent.to_string());
        row.push(total.counts.errors().to_string());
        row.extend(response_times(&total.latency));
        row.push(number(size));
        rows.push(row);
    }
    rows
}

fn header() -> Vec<String> {
    let mut header =
        titles(&["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"]);
    header.extend(PERCENTILES.map(|(_, title)| title.to_owned()));
    header.extend(titles(&[
        "Total Request Count",
        "Total Failure Count",
        "Total Median Response Time",
        "Total Average Response Time",
        "Total Min Response Time",
        "Total Max Response Time",
        "Total Average Content Size",
    ]));
    header
}

/// Returns all cells up to the last one with a request, including idle cells.
fn cells(outcome: &Outcome) -> Vec<Cell> {
    let mut recorded: BTreeMap<u32, Tally> = BTreeMap::new();
    for cell in outcome.endpoints.iter().flat_map(|endpoint| &endpoint.cells) {
        let tally = recorded.entry(cell.second).or_default();
        tally.counts.add(&cell.counts);
        tally.latency.merge(&cell.latency);
    }
    let length = outcome.load.cell_s.max(1);
    // A cell ends at the end of its stage, even if that makes it shorter.
    let mut stage_ends = outcome.load.stages.iter().map(|stage| stage.to_s).peekable();
    let mut recorded = recorded.into_iter().peekable();
    let mut cells = Vec::new();
    let mut from = 0;
    while recorded.peek().is_some() {
        while stage_ends.next_if(|end| *end <= from).is_some() {}
        let to = stage_ends.peek().map_or(from + length, |end| (*end).min(from + length));
        let mut tally = Tally::default();
        while let Some((_, recorded)) = recorded.next_if(|(second, _)| *second < to) {
            tally.add(&recorded);
        }
        cells.push(Cell { from, to, tally });
        from = to;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::Stage,
        outcome::{Counts, EndpointCell, EndpointResults},
        report::example,
    };

    /// Returns a run of `stages` with ten requests per second, one of which fails, recorded in
    /// cells of `cell_s` seconds.
    fn run(stages: &[u32], cell_s: u32) -> Outcome {
        let mut outcome = example::outcome();
        let pattern = outcome.endpoints[0].cells[0].clone();
        outcome.load.cell_s = cell_s;
        outcome.load.stages.clear();
        let mut cells = Vec::new();
        let mut from_s = 0;
        for &to_s in stages {
            outcome.load.stages.push(Stage { from_s, to_s, ..Stage::default() });
            while from_s < to_s {
                let to = to_s.min(from_s + cell_s);
                let mut cell = EndpointCell { second: from_s, ..pattern.clone() };
                cell.counts = Counts::default();
                cell.counts.sent = u64::from(to - from_s) * 10;
                cell.counts.server_errors = u64::from(to - from_s);
                cell.counts.succeeded = cell.counts.sent - cell.counts.server_errors;
                cells.push(cell);
                from_s = to;
            }
        }
        outcome.endpoints = vec![EndpointResults { cells, ..outcome.endpoints[0].clone() }];
        outcome
    }

    fn column(rows: &Rows, title: &str) -> Vec<f64> {
        let index = rows[0].iter().position(|name| name == title).unwrap();
        rows[1..].iter().map(|row| row[index].parse().unwrap()).collect()
    }

    #[test]
    fn a_run_of_an_hour_has_one_row_per_second() {
        let outcome = run(&[60, 3600], 1);
        let rows = rows(&outcome);
        assert_eq!(rows.len(), 1 + 3600);
        let totals = column(&rows, "Total Request Count");
        assert_eq!((totals[0], totals[3599]), (10.0, 36_000.0));
        assert_eq!(column(&rows, "Total Failure Count")[3599], 3600.0);
        assert!(column(&rows, "Requests/s").iter().all(|rate| *rate == 10.0));
    }

    #[test]
    fn a_run_of_a_day_has_one_row_per_cell_with_rates_per_second() {
        // The first stage ends within a cell.
        let outcome = run(&[30, 86_400], 12);
        let rows = rows(&outcome);
        assert_eq!(rows.len(), 1 + 3 + (86_400 - 30) / 12 + 1);
        for (title, expected) in [("Requests/s", 10.0), ("Failures/s", 1.0)] {
            let rates = column(&rows, title);
            assert!(rates.iter().all(|rate| *rate == expected), "{title}: {rates:?}");
        }
        let whole = outcome.tally_all().counts;
        let last = rows.last().unwrap();
        assert_eq!(last[17..19], [whole.sent.to_string(), whole.errors().to_string()]);
        let times = column(&rows, "Timestamp");
        assert!((times.last().unwrap() - times[0] - (86_399.0 - 11.0)).abs() < 1e-9);
    }

    #[test]
    fn idle_cells_have_rows() {
        let mut outcome = run(&[86_400], 12);
        outcome.endpoints[0].cells.drain(1..7199);
        let rates = column(&rows(&outcome), "Requests/s");
        assert_eq!(rates.len(), 7200);
        assert_eq!((rates[0], rates[1], rates[7198], rates[7199]), (10.0, 0.0, 0.0, 10.0));
    }
}
