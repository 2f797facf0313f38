//! Four CSV files in Locust's column layout, for tools that read Locust's files.
//!
//! As in Locust, they cover the whole run, times are in milliseconds, and method and name have a
//! column each.

mod history;

use crate::{
    distribution::Distribution,
    outcome::{EndpointResults, Outcome, Tally},
};

const PERCENTILES: [(f64, &str); 11] = [
    (0.50, "50%"),
    (0.66, "66%"),
    (0.75, "75%"),
    (0.80, "80%"),
    (0.90, "90%"),
    (0.95, "95%"),
    (0.98, "98%"),
    (0.99, "99%"),
    (0.999, "99.9%"),
    (0.9999, "99.99%"),
    (1.0, "100%"),
];

/// Renders the files; returns the suffix of each file name and its text.
///
/// # Errors
/// When a table cannot be serialized.
pub fn render(outcome: &Outcome) -> Result<[(&'static str, String); 4], csv::Error> {
    Ok([
        ("_stats.csv", to_csv(&stats(outcome))?),
        ("_stats_history.csv", to_csv(&history::rows(outcome))?),
        ("_failures.csv", to_csv(&failures(outcome))?),
        ("_exceptions.csv", to_csv(&exceptions())?),
    ])
}

type Rows = Vec<Vec<String>>;

fn stats(outcome: &Outcome) -> Rows {
    let mut header = titles(&[
        "Type",
        "Name",
        "Request Count",
        "Failure Count",
        "Median Response Time",
        "Average Response Time",
        "Min Response Time",
        "Max Response Time",
        "Average Content Size",
        "Requests/s",
        "Failures/s",
    ]);
    header.extend(PERCENTILES.map(|(_, title)| title.to_owned()));
    let mut rows = vec![header];
    for endpoint in &outcome.endpoints {
        let (method, name) = method_and_name(&endpoint.name);
        let bytes = endpoint.bytes;
        rows.push(stats_row(method, name, &endpoint.tally_all(), bytes, outcome.duration_s));
    }
    rows.push(stats_row(
        "",
        "Aggregated",
        &outcome.tally_all(),
        bytes(outcome),
        outcome.duration_s,
    ));
    rows
}

fn stats_row(method: &str, name: &str, tally: &Tally, bytes: u64, seconds: f64) -> Vec<String> {
    let counts = tally.counts;
    let mut row = vec![
        method.to_owned(),
        name.to_owned(),
        counts.sent.to_string(),
        counts.errors().to_string(),
    ];
    row.extend(response_times(&tally.latency));
    row.push(number(as_f64(bytes) / as_f64(counts.responses().max(1))));
    row.push(number(as_f64(counts.sent) / seconds));
    row.push(number(as_f64(counts.errors()) / seconds));
    row.extend(percentiles(&tally.latency));
    row
}

fn failures(outcome: &Outcome) -> Rows {
    let mut rows = vec![titles(&["Method", "Name", "Error", "Occurrences"])];
    for failure in &outcome.failures {
        let (method, name) = method_and_name(&failure.endpoint);
        rows.push(vec![
            method.to_owned(),
            name.to_owned(),
            format!("{}: {}", failure.kind.name(), failure.message),
            failure.count.to_string(),
        ]);
    }
    rows
}

/// Locust lists Python exceptions here; this file has only the header.
fn exceptions() -> Rows {
    vec![titles(&["Count", "Message", "Traceback", "Nodes"])]
}

/// Returns median, mean, minimum and maximum, in milliseconds.
fn response_times(latency: &Distribution) -> [String; 4] {
    [latency.quantile_ms(0.5), latency.mean_ms(), latency.min_ms(), latency.max_ms()]
        .map(|ms| number(ms.unwrap_or_default()))
}

fn percentiles(latency: &Distribution) -> impl Iterator<Item = String> + '_ {
    PERCENTILES
        .into_iter()
        .map(|(quantile, _)| latency.quantile_ms(quantile).map_or_else(|| "N/A".to_owned(), number))
}

fn method_and_name(endpoint: &str) -> (&str, &str) {
    endpoint.split_once(' ').unwrap_or(("", endpoint))
}

fn bytes(outcome: &Outcome) -> u64 {
    outcome.endpoints.iter().map(|endpoint: &EndpointResults| endpoint.bytes).sum()
}

fn titles(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|&title| title.to_owned()).collect()
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn to_csv(rows: &Rows) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
    fn every_row_has_as_many_fields_as_its_header() {
        let outcome = example::outcome();
        for rows in [stats(&outcome), history::rows(&outcome), failures(&outcome)] {
            assert!(rows.len() > 1);
            assert!(rows.iter().all(|row| row.len() == rows[0].len()));
        }
    }

    #[test]
    fn the_last_row_is_the_sum_of_all_rows() {
        let outcome = example::outcome();
        let rows = stats(&outcome);
        let sent: u64 =
            rows[1..rows.len() - 1].iter().map(|row| row[2].parse::<u64>().unwrap()).sum();
        assert_eq!(rows.last().unwrap()[1..3], ["Aggregated".to_owned(), sent.to_string()]);
        assert_eq!(history::rows(&outcome).last().unwrap()[17], sent.to_string());
    }
}
