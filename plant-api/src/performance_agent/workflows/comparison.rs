//! Compares the figures after a stage with those before the rollout: a score does not show what is below
//! every threshold, or was beyond one before.

use crate::performance_agent::analysis::{self, Analysis};
use crate::performance_agent::snapshot::{RouteMetrics, Snapshot};

/// Minimum number of requests on both sides for the share of errors.
const MIN_REQUESTS: u64 = 20;

/// Minimum number of requests to a route on both sides for its P95.
const MIN_REQUESTS_OF_P95: u64 = 100;

/// A stage with less than this share of the request rate before says too little.
const MIN_SHARE_OF_RATE: f64 = 0.25;

/// A higher share of errors, and longer durations, are worse from these differences.
const MAX_MORE_ERRORS: f64 = 0.001;
const MAX_SLOWDOWN: f64 = 1.5;
const MAX_SLOWDOWN_MS: f64 = 25.0;

/// Quantile of the normal distribution for a probability of 0.1 % that equal shares of errors differ so
/// much by chance.
const SIGNIFICANT_Z: f64 = 3.09;

/// Metrics that are no part of the comparison: they belong to the database server, whatever uses it, or to
/// a longer time than that of a stage.
const NOT_COMPARED: &[&str] = &[
    "running_statement_seconds",
    "statement_mean_ms",
    "unused_index_mib",
    "sequential_scan_rows",
    "dead_row_ratio",
    "memory_growth_mib_per_hour",
    "connection_use",
];

/// Result of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Comparison {
    NotWorse,
    /// What is worse.
    Worse(String),
    /// There are too few requests.
    Unknown,
}

/// Returns the score of an analysis by the findings that are compared.
pub(super) fn score(analysis: &Analysis) -> f64 {
    let is_compared = |metric: &str| !NOT_COMPARED.contains(&metric);
    let findings: Vec<_> =
        analysis.findings.iter().filter(|found| is_compared(&found.metric)).cloned().collect();
    analysis::health_score(&findings, &analysis.slos)
}

/// Compares the requests of two snapshots.
pub(super) fn compare(before: &Snapshot, after: &Snapshot) -> Comparison {
    let (all_before, all_after) = (total(before), total(after));
    let expected = all_before.requests as f64 / before.interval_seconds * after.interval_seconds;
    if all_before.requests >= MIN_REQUESTS
        && (all_after.requests < MIN_REQUESTS
            || (all_after.requests as f64) < MIN_SHARE_OF_RATE * expected)
    {
        return Comparison::Unknown;
    }
    if let Some(more) = more_errors(&all_before, &all_after) {
        return Comparison::Worse(format!("all requests: {more}"));
    }
    for route in &after.routes {
        let Some(former) = before.routes.iter().find(|former| former.route == route.route) else {
            continue;
        };
        let worse = more_errors(&count(former), &count(route)).or_else(|| slower(former, route));
        if let Some(worse) = worse {
            return Comparison::Worse(format!("{}: {worse}", route.route));
        }
    }
    Comparison::NotWorse
}

struct Count {
    requests: u64,
    errors: u64,
}

fn count(route: &RouteMetrics) -> Count {
    Count { requests: route.requests, errors: route.errors }
}

fn total(snapshot: &Snapshot) -> Count {
    snapshot.routes.iter().fold(Count { requests: 0, errors: 0 }, |sum, route| Count {
        requests: sum.requests.saturating_add(route.requests),
        errors: sum.errors.saturating_add(route.errors),
    })
}

/// Compares two shares by the normal approximation of their difference, with the common share.
fn more_errors(before: &Count, after: &Count) -> Option<String> {
    if before.requests.min(after.requests) < MIN_REQUESTS {
        return None;
    }
    let (n, m) = (before.requests as f64, after.requests as f64);
    let (was, is) = (before.errors as f64 / n, after.errors as f64 / m);
    let common = (before.errors as f64 + after.errors as f64) / (n + m);
    let deviation = (common * (1.0 - common) * (1.0 / n + 1.0 / m)).sqrt();
    let is_worse = is - was > MAX_MORE_ERRORS.max(SIGNIFICANT_Z * deviation);
    is_worse.then(|| format!("{:.2} % errors, before {:.2} %", is * 100.0, was * 100.0))
}

fn slower(before: &RouteMetrics, after: &RouteMetrics) -> Option<String> {
    if before.requests.min(after.requests) < MIN_REQUESTS_OF_P95 {
        return None;
    }
    let (was, is) = before.latency.p95_ms.zip(after.latency.p95_ms)?;
    let is_worse = is > MAX_SLOWDOWN * was && is > was + MAX_SLOWDOWN_MS;
    is_worse.then(|| format!("P95 {is:.1} ms, before {was:.1} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::performance_agent::snapshot::Quantiles;

    /// A snapshot of 10 s with routes of these numbers of requests and errors, and P95.
    fn snapshot(routes: &[(&str, u64, u64, f64)]) -> Snapshot {
        let route = |(name, requests, errors, p95): &(&str, u64, u64, f64)| RouteMetrics {
            route: (*name).to_owned(),
            requests: *requests,
            errors: *errors,
            latency: Quantiles { p95_ms: Some(*p95), ..Quantiles::default() },
        };
        Snapshot {
            id: uuid::Uuid::nil(),
            target: "self".into(),
            rules: "plant".into(),
            collected_at: chrono::DateTime::UNIX_EPOCH,
            interval_seconds: 10.0,
            request_rate: None,
            error_rate: None,
            routes: routes.iter().map(route).collect(),
            process: Default::default(),
            pool: Default::default(),
            cache: Default::default(),
            queues: Vec::new(),
            jobs_running: None,
            custom: Default::default(),
            database: None,
            notes: Vec::new(),
        }
    }

    fn worse(before: &[(&str, u64, u64, f64)], after: &[(&str, u64, u64, f64)]) -> Option<String> {
        match compare(&snapshot(before), &snapshot(after)) {
            Comparison::Worse(reason) => Some(reason),
            Comparison::NotWorse => None,
            Comparison::Unknown => panic!("unknown"),
        }
    }

    #[test]
    fn more_errors_are_worse() {
        let errors = |before: (u64, u64), after: (u64, u64)| {
            worse(&[("GET /a", before.0, before.1, 1.0)], &[("GET /a", after.0, after.1, 1.0)])
        };
        let all = errors((1000, 0), (1000, 20)).unwrap();
        assert_eq!(all, "all requests: 2.00 % errors, before 0.00 %");
        assert!(errors((300, 150), (300, 200)).is_some(), "many before, and more now");
        assert_eq!(errors((300, 150), (300, 160)), None, "within the noise");
        assert_eq!(errors((20_000, 0), (20_000, 15)), None, "less than a tenth of a percent");
        assert_eq!(errors((1000, 20), (1000, 0)), None, "fewer");
        assert_eq!(errors((19, 0), (1000, 500)), None, "too few before");
    }

    #[test]
    fn a_route_is_compared_alone() {
        let before = [("GET /a", 20_000, 0, 5.0), ("GET /b", 100, 0, 5.0)];
        let broken = [("GET /a", 20_000, 0, 5.0), ("GET /b", 100, 15, 5.0)];
        let reason = worse(&before, &broken).unwrap();
        assert_eq!(reason, "GET /b: 15.00 % errors, before 0.00 %");
        let slow = [("GET /a", 20_000, 0, 5.0), ("GET /b", 100, 0, 487.0)];
        assert_eq!(worse(&before, &slow).unwrap(), "GET /b: P95 487.0 ms, before 5.0 ms");
        let slightly = [("GET /a", 20_000, 0, 29.9), ("GET /b", 100, 0, 5.0)];
        assert_eq!(worse(&before, &slightly), None);
        let few = [("GET /a", 20_000, 0, 5.0), ("GET /b", 99, 0, 487.0)];
        assert_eq!(worse(&before, &few), None);
        let slow = [("GET /a", 20_000, 0, 5.0), ("GET /b", 100, 0, 200.0)];
        let slower = [("GET /a", 20_000, 0, 5.0), ("GET /b", 100, 0, 300.0)];
        assert_eq!(worse(&slow, &slower), None, "not more than one and a half times");
        let new = [("GET /a", 20_000, 0, 5.0), ("GET /c", 100, 1, 487.0)];
        assert_eq!(worse(&before, &new), None);
    }

    #[test]
    fn too_little_traffic_is_unknown() {
        let of = |requests| snapshot(&[("GET /a", requests, 0, 1.0)]);
        assert_eq!(compare(&of(100), &of(24)), Comparison::Unknown);
        assert_eq!(compare(&of(100), &of(25)), Comparison::NotWorse);
        assert_eq!(compare(&of(20), &of(19)), Comparison::Unknown);
        assert_eq!(compare(&of(19), &of(0)), Comparison::NotWorse, "nothing to compare with");
    }
}
