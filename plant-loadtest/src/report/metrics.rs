//! `load_test_metrics.json`: metrics per API, in the JSON format that the platform load tests
//! define, for CI. An API is a group of endpoints: those with the tag `api:NAME`. The order is
//! stable, so that files can be compared with `diff`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    outcome::{Counts, EndpointResults, Outcome, Tally},
    sla::{Metric, Subject},
    verdict::{Grade, JudgedThreshold, Verdict},
};

/// Start of the tag that names the API of an endpoint.
const API_TAG: &str = "api:";

/// The group of all other endpoints.
const OTHER: &str = "service";

#[derive(Serialize)]
struct Metrics<'o> {
    timestamp: DateTime<Utc>,
    metrics: BTreeMap<&'o str, Api>,
    thresholds: BTreeMap<&'o str, Thresholds>,
    pass: bool,
    verdict: &'static str,
    reason: String,
}

#[derive(Serialize)]
struct Api {
    total_requests: u64,
    successful_requests: u64,
    failed_requests: u64,
    success_rate: Option<f64>,
    error_rate: Option<f64>,
    requests_per_second: f64,
    min_latency_ms: Option<f64>,
    mean_latency_ms: Option<f64>,
    max_latency_ms: Option<f64>,
    p50_latency_ms: Option<f64>,
    p95_latency_ms: Option<f64>,
    p99_latency_ms: Option<f64>,
    status_codes: BTreeMap<u16, u64>,
    test_duration_seconds: f64,
    judged: JudgedPart,
}

/// Metrics of the judged stages: usually without warm-up and ramps.
#[derive(Serialize)]
struct JudgedPart {
    total_requests: u64,
    success_rate: Option<f64>,
    p95_latency_ms: Option<f64>,
    test_duration_seconds: f64,
}

/// The strictest thresholds; omitted where there is none.
#[derive(Default, Serialize)]
struct Thresholds {
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95_latency_ms: Option<f64>,
}

/// Renders the file. The metrics cover the whole run, as in Locust's reports; those that the
/// thresholds apply to are under `judged`.
///
/// # Errors
/// When the metrics cannot be serialized.
pub fn render(outcome: &Outcome, verdict: &Verdict) -> Result<String, serde_json::Error> {
    let groups = groups(outcome);
    let metrics = Metrics {
        timestamp: outcome.started_at,
        thresholds: groups
            .iter()
            .map(|(name, endpoints)| (*name, thresholds(verdict, endpoints)))
            .collect(),
        metrics: groups
            .iter()
            .map(|(name, endpoints)| (*name, api_metrics(outcome, endpoints)))
            .collect(),
        pass: matches!(verdict.grade, Grade::Unjudged | Grade::Pass | Grade::Warning),
        verdict: verdict.grade.name(),
        reason: verdict.reason.clone(),
    };
    Ok(serde_json::to_string_pretty(&metrics)? + "\n")
}

/// Describes for each API that was called whether its success rate and its P95 met
/// their thresholds, as the platform load tests list their acceptance criteria; empty if no
/// endpoint has an API. `✓` met, `✗` violated, `?` not decidable.
#[must_use]
pub fn acceptance(outcome: &Outcome, verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, endpoints) in groups(outcome).into_iter().filter(|(name, _)| *name != OTHER) {
        let mut letters = name.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        let title = format!("{first}{} API", letters.as_str());
        let JudgedPart { success_rate, p95_latency_ms, .. } =
            api_metrics(outcome, &endpoints).judged;
        let limits = thresholds(verdict, &endpoints);
        let mark = |matches_metric: fn(&Metric) -> bool| mark(verdict, &endpoints, matches_metric);
        if let Some(limit) = limits.success_rate {
            let measured =
                success_rate.map_or("–".into(), |rate| format!("{:.2} %", rate * 100.0));
            let mark = mark(|metric| matches!(metric, Metric::ErrorRate(_)));
            lines.push(format!("{mark} {title} success rate ≥ {:.0} %: {measured}", limit * 100.0));
        }
        if let Some(limit) = limits.p95_latency_ms {
            let measured = super::summary::ms_or_dash(p95_latency_ms);
            let mark = mark(|metric| *metric == Metric::P95);
            lines.push(format!("{mark} {title} P95 latency ≤ {limit:.0} ms: {measured}"));
        }
    }
    lines
}

/// Returns the mark of the worst threshold of `endpoints`.
fn mark(
    verdict: &Verdict,
    endpoints: &[&EndpointResults],
    matches_metric: fn(&Metric) -> bool,
) -> char {
    let of_endpoints = |judged: &&JudgedThreshold| match &judged.threshold.subject {
        Subject::Endpoint(name) => endpoints.iter().any(|endpoint| endpoint.name == *name),
        _ => false,
    };
    let thresholds = verdict.thresholds.iter().filter(of_endpoints);
    let grades = thresholds
        .filter(|judged| matches_metric(&judged.threshold.metric))
        .map(JudgedThreshold::contribution);
    match grades.max() {
        Some(Grade::Pass) => '✓',
        Some(Grade::Fail | Grade::Warning) => '✗',
        _ => '?',
    }
}

/// Returns the endpoints of each API, and the others.
fn groups(outcome: &Outcome) -> BTreeMap<&str, Vec<&EndpointResults>> {
    let mut groups: BTreeMap<&str, Vec<&EndpointResults>> = BTreeMap::new();
    for endpoint in &outcome.endpoints {
        let api = api(outcome, &endpoint.name).unwrap_or(OTHER);
        groups.entry(api).or_default().push(endpoint);
    }
    groups
}

/// Returns the API of an endpoint.
fn api<'o>(outcome: &'o Outcome, endpoint: &str) -> Option<&'o str> {
    let of_classes = outcome.load.classes.iter().flat_map(|class| &class.endpoints);
    let mut tags = of_classes.filter(|one| one.name == endpoint).flat_map(|one| &one.tags);
    tags.find_map(|tag| tag.strip_prefix(API_TAG))
}

fn api_metrics(outcome: &Outcome, endpoints: &[&EndpointResults]) -> Api {
    let (mut tally, mut judged) = (Tally::default(), Tally::default());
    let mut status_codes = BTreeMap::new();
    for endpoint in endpoints {
        tally.add(&endpoint.tally_all());
        judged.add(&outcome.tally_judged_of(endpoint));
        for (status, count) in &endpoint.statuses {
            *status_codes.entry(*status).or_default() += count;
        }
    }
    let (counts, latency) = (tally.counts, &tally.latency);
    Api {
        total_requests: counts.sent,
        successful_requests: counts.succeeded,
        failed_requests: counts.errors(),
        success_rate: fraction(counts.succeeded, counts),
        error_rate: fraction(counts.errors(), counts),
        requests_per_second: as_f64(counts.sent) / outcome.duration_s.max(1.0),
        min_latency_ms: latency.min_ms(),
        mean_latency_ms: latency.mean_ms(),
        max_latency_ms: latency.max_ms(),
        p50_latency_ms: latency.quantile_ms(0.50),
        p95_latency_ms: latency.quantile_ms(0.95),
        p99_latency_ms: latency.quantile_ms(0.99),
        status_codes,
        test_duration_seconds: outcome.duration_s,
        judged: JudgedPart {
            total_requests: judged.counts.sent,
            success_rate: fraction(judged.counts.succeeded, judged.counts),
            p95_latency_ms: judged.latency.quantile_ms(0.95),
            test_duration_seconds: super::summary::judged_duration_s(outcome),
        },
    }
}

/// Returns `count` as a fraction of the finished requests; `None` if there are none.
fn fraction(count: u64, counts: Counts) -> Option<f64> {
    let finished = counts.succeeded + counts.errors();
    (finished > 0).then(|| as_f64(count) / as_f64(finished))
}

fn thresholds(verdict: &Verdict, endpoints: &[&EndpointResults]) -> Thresholds {
    let applies = |judged: &&JudgedThreshold| match &judged.threshold.subject {
        Subject::Endpoint(name) => endpoints.iter().any(|endpoint| endpoint.name == *name),
        Subject::AllRequests => true,
        _ => false,
    };
    let strictest = |matches_metric: fn(&Metric) -> bool| {
        let thresholds = verdict.thresholds.iter().filter(applies);
        let limits = thresholds.filter(|judged| matches_metric(&judged.threshold.metric));
        limits.map(|judged| judged.threshold.limit.value).reduce(f64::min)
    };
    Thresholds {
        success_rate: strictest(|metric| matches!(metric, Metric::ErrorRate(_)))
            .map(|percent| 1.0 - percent / 100.0),
        p95_latency_ms: strictest(|metric| *metric == Metric::P95),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{outcome::ClassEndpoint, report::example, sla::Limit};

    /// Replaces the endpoints of all classes by these, with their tags.
    fn tag(outcome: &mut Outcome, endpoints: &[(&str, &str)]) {
        let tagged = |(name, tag): &(&str, &str)| ClassEndpoint {
            name: (*name).to_owned(),
            tags: vec!["read".to_owned(), (*tag).to_owned()],
        };
        for class in &mut outcome.load.classes {
            class.endpoints = endpoints.iter().map(tagged).collect();
        }
    }

    fn rendered(outcome: &Outcome) -> Value {
        let verdict = Verdict::judge(outcome, &outcome.sla);
        serde_json::from_str(&render(outcome, &verdict).unwrap()).unwrap()
    }

    #[test]
    fn endpoints_are_grouped_by_api() {
        let mut outcome = example::outcome();
        let names = ["POST /api/v1/auth/login", "POST /api/v1/generation/create"];
        for (endpoint, name) in outcome.endpoints.iter_mut().zip(names) {
            endpoint.name = name.into();
        }
        outcome.endpoints.retain(|endpoint| {
            names.contains(&endpoint.name.as_str()) || endpoint.name == "GET /health"
        });
        let tags =
            [(names[0], "api:auth"), (names[1], "api:generation"), ("GET /health", "api:auth")];
        tag(&mut outcome, &tags);
        outcome.sla.thresholds.retain(|threshold| match &threshold.subject {
            Subject::Endpoint(name) => name == "GET /health",
            _ => true,
        });
        let metrics = rendered(&outcome);
        let auth = &metrics["metrics"]["auth"];
        assert_eq!(
            auth["judged"]["total_requests"],
            953 + 1204,
            "logins and health checks together"
        );
        let auth_endpoints =
            outcome.endpoints.iter().filter(|endpoint| !endpoint.name.contains("create"));
        let responses: u64 = auth_endpoints.map(|endpoint| endpoint.statuses[&200]).sum();
        assert_eq!(auth["status_codes"]["200"], responses);
        assert!(metrics["metrics"]["generation"]["p95_latency_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(metrics["pass"], true);
    }

    #[test]
    fn acceptance_criteria_are_listed_for_each_api_that_was_called() {
        let mut outcome = example::outcome();
        assert!(acceptance(&outcome, &Verdict::judge(&outcome, &outcome.sla)).is_empty());
        let names = ["POST /api/v1/auth/login", "POST /api/v1/payments/create"];
        outcome.endpoints.truncate(names.len());
        tag(&mut outcome, &[(names[0], "api:auth"), (names[1], "api:payments")]);
        for sample in &mut outcome.samples {
            sample.generator_timer_lag = crate::distribution::Distribution::default();
        }
        for (endpoint, name) in outcome.endpoints.iter_mut().zip(names) {
            endpoint.name = name.into();
        }
        let limit = |name: &str, metric: Metric, limit: f64| crate::sla::Threshold {
            subject: Subject::Endpoint(name.into()),
            metric,
            limit: Limit::below(limit),
            fail_limit: Some(Limit::below(limit)),
            ..outcome.sla.thresholds[0].clone()
        };
        let errors = Metric::all_errors();
        outcome.sla.thresholds = vec![
            limit(names[0], errors.clone(), 1.0),
            limit(names[0], Metric::P95, 200.0),
            limit(names[1], errors, 5.0),
            limit(names[1], Metric::P95, 4.0),
        ];
        let lines = acceptance(&outcome, &Verdict::judge(&outcome, &outcome.sla));
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("✓ Auth API success rate ≥ 99 %: "), "{lines:?}");
        assert!(lines[1].starts_with("✓ Auth API P95 latency ≤ 200 ms: "), "{lines:?}");
        assert!(lines[2].starts_with("✓ Payments API success rate ≥ 95 %: "), "{lines:?}");
        assert!(lines[3].starts_with("✗ Payments API P95 latency ≤ 4 ms: "), "{lines:?}");
    }

    #[test]
    fn other_services_are_one_group_with_thresholds() {
        let metrics = rendered(&example::outcome());
        assert_eq!(metrics["metrics"].as_object().unwrap().len(), 1);
        assert_eq!(metrics["thresholds"]["service"]["success_rate"], 0.99);
        assert_eq!(metrics["metrics"]["service"]["judged"]["test_duration_seconds"], 30.0);
    }
}
