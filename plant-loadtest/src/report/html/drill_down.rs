//! Everything about one endpoint, closed until the reader opens it.

use serde::Serialize;

use super::{
    baseline::Change,
    charts::{Chart, Charts, baseline_endpoint},
    rows::{self, FailureRow, SlowestRow},
};
use crate::{
    distribution::Distribution,
    failure::FailureKind,
    outcome::EndpointResults,
    report::{
        chart,
        series::Windows,
        summary::{self, EndpointRow},
    },
};

/// An endpoint with its measurements.
#[derive(Serialize)]
pub(super) struct EndpointDetails<'a> {
    name: &'a str,
    grade: &'static str,
    label: String,
    spark: String,
    requests: u64,
    errors: u64,
    p95: String,
    limit: String,
    change: Option<Change>,
    charts: Vec<Chart>,
    percentiles: Vec<PercentileRow>,
    statuses: Vec<(u16, u64)>,
    kinds: Vec<(&'static str, u64)>,
    slowest: Vec<SlowestRow<'a>>,
    has_request_ids: bool,
    failures: Vec<FailureRow<'a>>,
    size: String,
}

/// A percentile, and that of the baseline.
#[derive(Serialize)]
struct PercentileRow {
    name: String,
    value: String,
    before: String,
    change: Option<Change>,
}

/// Returns the names of the requested endpoints in the order of the page: the worst grade first, then the
/// P95 closest to its threshold, then the slowest.
pub(super) fn order<'a>(charts: &Charts<'a>) -> Vec<&'a str> {
    let mut rows = rows(charts);
    let key = |row: &EndpointRow<'_>| {
        let p95 = &row.percentiles[1];
        let share =
            p95.judged.zip(p95.value_ms).map(|(judged, ms)| ms / judged.threshold.limit.value);
        (row.grade, share.unwrap_or_default(), p95.value_ms.unwrap_or_default())
    };
    rows.sort_by(|one, other| {
        let (one, other) = (key(one), key(other));
        other.0.cmp(&one.0).then(other.1.total_cmp(&one.1)).then(other.2.total_cmp(&one.2))
    });
    rows.into_iter().map(|row| row.name).collect()
}

/// Returns the requested endpoints, with the thresholds of the first part of the run that has some.
fn rows<'a>(charts: &Charts<'a>) -> Vec<EndpointRow<'a>> {
    let requested = |row: &EndpointRow<'_>| {
        let endpoint = charts.outcome.endpoints.iter().find(|endpoint| endpoint.name == row.name);
        endpoint.is_some_and(EndpointResults::is_requested)
    };
    let sections = summary::sections(charts.outcome, charts.verdict);
    let mut rows: Vec<EndpointRow<'a>> = Vec::new();
    for row in sections.into_iter().flat_map(|section| section.rows).filter(requested) {
        match rows.iter_mut().find(|known| known.name == row.name) {
            Some(known) if row.grade > known.grade => *known = row,
            Some(_) => {}
            None => rows.push(row),
        }
    }
    rows
}

/// Returns the endpoints with these names.
pub(super) fn details<'a>(charts: &mut Charts<'a>, order: &[&str]) -> Vec<EndpointDetails<'a>> {
    let rows = rows(charts);
    let found = order.iter().filter_map(|name| {
        let endpoint = charts.outcome.endpoints.iter().find(|endpoint| endpoint.name == *name)?;
        let row = rows.iter().find(|row| row.name == *name)?;
        Some(detail(charts, endpoint, row))
    });
    found.collect()
}

fn detail<'a>(
    charts: &mut Charts<'a>,
    endpoint: &'a EndpointResults,
    row: &EndpointRow<'a>,
) -> EndpointDetails<'a> {
    let outcome = charts.outcome;
    let all = endpoint.tally_all().counts;
    let judged = outcome.tally_judged_of(endpoint);
    let before = charts.baseline.and_then(|baseline| {
        Some(baseline.tally_judged_of(baseline_endpoint(baseline, &endpoint.name)?).latency)
    });
    let series = Windows::for_endpoint(outcome, endpoint).quantile(0.95);
    let p95 = judged.latency.quantile_ms(0.95);
    let p95_before = before.as_ref().and_then(|latency| latency.quantile_ms(0.95));
    let kinds = FailureKind::ALL.iter().map(|kind| (kind.name(), all.failures(*kind)));
    let slowest = rows::slowest(endpoint);
    EndpointDetails {
        name: &endpoint.name,
        grade: row.grade.map_or("", crate::verdict::Grade::name),
        label: row.label().unwrap_or_default(),
        spark: chart::spark(&series, charts.seconds),
        requests: judged.counts.sent,
        errors: judged.counts.errors(),
        p95: summary::ms_or_dash(p95),
        limit: row.percentiles[1]
            .judged
            .map(|one| one.threshold.format_limit())
            .unwrap_or_default(),
        change: p95_before.zip(p95).and_then(|(before, now)| Change::between(before, now)),
        charts: charts.of_endpoint(endpoint),
        percentiles: percentiles(&judged.latency, before.as_ref()),
        statuses: endpoint.statuses.iter().map(|(status, count)| (*status, *count)).collect(),
        kinds: kinds.filter(|(_, count)| *count > 0).collect(),
        has_request_ids: endpoint.slowest.iter().any(|request| request.request_id.is_some()),
        slowest,
        failures: rows::failures(outcome, Some(&endpoint.name)),
        size: mean_size(endpoint),
    }
}

fn percentiles(latency: &Distribution, before: Option<&Distribution>) -> Vec<PercentileRow> {
    let listed = summary::PERCENTILES.map(|(quantile, name)| (format!("P{name}"), quantile));
    let rows = listed.into_iter().chain([("max".to_owned(), 1.0)]).map(|(name, quantile)| {
        let now = latency.quantile_ms(quantile);
        let before = before.and_then(|latency| latency.quantile_ms(quantile));
        PercentileRow {
            name,
            value: summary::ms_or_dash(now),
            before: summary::ms_or_dash(before),
            change: before.zip(now).and_then(|(before, now)| Change::between(before, now)),
        }
    });
    rows.collect()
}

/// Returns the mean size of a response body; empty without responses.
fn mean_size(endpoint: &EndpointResults) -> String {
    let responses = endpoint.statuses.values().sum::<u64>();
    match endpoint.bytes.checked_div(responses) {
        None => String::new(),
        Some(bytes) if bytes < 10_000 => format!("{bytes} bytes"),
        Some(bytes) => format!("{} KiB", bytes / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::example,
        sla::{During, Limit, Metric, Subject, Threshold},
        verdict::Verdict,
    };

    #[test]
    fn every_requested_endpoint_is_listed_the_worst_first() {
        let mut outcome = example::outcome();
        outcome.endpoints[2].cells.clear();
        let missing = outcome.endpoints[2].name.clone();
        let bad = outcome.endpoints[4].name.clone();
        for cell in &mut outcome.endpoints[4].cells {
            cell.counts.server_errors += cell.counts.succeeded;
            cell.counts.sent += cell.counts.succeeded;
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let mut charts = Charts::new(&outcome, &verdict, None);
        let order = order(&charts);
        assert_eq!(order.len(), outcome.endpoints.len() - 1);
        assert_eq!(order[0], bad);
        assert!(!order.contains(&missing.as_str()));
        let details = details(&mut charts, &order);
        assert_eq!(details.len(), order.len());
        assert!(details.iter().all(|endpoint| endpoint.charts.len() >= 4));
        assert!(details[0].charts.iter().any(|chart| chart.title == "Errors"));
    }

    #[test]
    fn an_endpoint_has_the_worst_grade_of_all_parts_of_the_run() {
        let mut outcome = example::outcome();
        let thresholds = &mut outcome.sla.thresholds;
        let p95 = |one: &&Threshold| {
            one.metric == Metric::P95 && one.subject == Subject::Endpoint("GET /health".into())
        };
        let met = thresholds.iter().find(p95).unwrap().clone();
        let limit = Limit::below(0.05);
        let during = During::Stages(vec!["steady".into()]);
        thresholds.push(Threshold { limit, fail_limit: Some(limit), during, ..met });
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let mut charts = Charts::new(&outcome, &verdict, None);
        assert_ne!(details(&mut charts, &["GET /health"])[0].grade, "PASS");
    }

    #[test]
    fn the_mean_size_of_a_body_is_that_of_all_responses() {
        let size = |bytes, count| {
            mean_size(&EndpointResults {
                bytes,
                statuses: [(200, count)].into(),
                ..Default::default()
            })
        };
        assert_eq!([size(0, 0), size(300, 2), size(40_960, 1)], ["", "150 bytes", "40 KiB"]);
    }
}
