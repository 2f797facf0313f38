//! Summarizes one fault as a table row and checks the thresholds.

use std::time::Duration;

use tokio::time::Instant;

use super::load::{HealthSample, Outcome, Records, RequestRecord};
use super::{Dependency, MAX_RECOVERY, Options, Times};

/// Numbers of responses by status class, of requests that ended after the fault.
#[derive(Default)]
struct ResponseCounts {
    successful: usize,
    client_errors: usize,
    unavailable: usize,
    other_errors: usize,
    no_response: usize,
    without_retry_after: usize,
}

/// Prints the row. Returns whether all thresholds were met.
pub fn print(options: &Options, times: &Times, records: &Records) -> bool {
    let affected: Vec<&RequestRecord> =
        records.requests.iter().filter(|request| request.ended_at >= times.injected_at).collect();
    let counts = count(&affected);
    let before = records.requests.iter().filter(|request| request.ended_at < times.injected_at);
    let baseline = before.map(RequestRecord::latency).max().unwrap_or_default();
    let slowest = affected.iter().max_by_key(|request| request.latency());
    let (latency, name) =
        slowest.map_or((Duration::ZERO, ""), |request| (request.latency(), request.name));
    let recovery = recovery(times, &affected, &records.health);
    let violations =
        violations(options.dependency, &counts, (latency, baseline), recovery, &records.health);
    println!(
        "| {} | {} | {} | {} | {} | {} | {:.0} ms | {:.0} ms ({name}) | {} | {} | {} |",
        options.name,
        counts.successful,
        counts.client_errors,
        counts.unavailable,
        counts.other_errors,
        counts.no_response,
        baseline.as_secs_f64() * 1e3,
        latency.as_secs_f64() * 1e3,
        recovery.map_or("never".to_owned(), |time| format!("{:.2} s", time.as_secs_f64())),
        health_changes(times, &records.health),
        if violations.is_empty() {
            "met".to_owned()
        } else {
            format!("VIOLATED: {}", violations.join("; "))
        },
    );
    violations.is_empty()
}

fn count(requests: &[&RequestRecord]) -> ResponseCounts {
    let mut counts = ResponseCounts::default();
    for request in requests {
        match request.outcome {
            Outcome::Response { status: 200..=299, .. } => counts.successful += 1,
            Outcome::Response { status: 503, retry_after } => {
                counts.unavailable += 1;
                counts.without_retry_after += usize::from(!retry_after);
            }
            Outcome::Response { status: 500.., .. } => counts.other_errors += 1,
            Outcome::Response { .. } => counts.client_errors += 1,
            Outcome::NoResponse => counts.no_response += 1,
        }
    }
    counts
}

/// Returns the time from the repair to the last unsuccessful response, /health included. `None`:
/// the service has not recovered.
fn recovery(
    times: &Times,
    requests: &[&RequestRecord],
    health: &[HealthSample],
) -> Option<Duration> {
    let successful = |request: &&&RequestRecord| {
        matches!(request.outcome, Outcome::Response { status: 200..=299, .. })
    };
    let failed = requests.iter().filter(|request| !successful(request));
    let last_failed = failed.map(|request| request.ended_at).max();
    let unhealthy = health.iter().filter(|sample| sample.status != "healthy");
    let last_unhealthy = unhealthy.map(|sample| sample.at).max();
    let last_sample = health.last()?;
    let end = last_failed.max(last_unhealthy).unwrap_or(times.repaired_at);
    let recovered = last_sample.status == "healthy";
    recovered.then(|| end.saturating_duration_since(times.repaired_at))
}

/// Returns the successive health statuses, each with the seconds from the fault to its first
/// sample.
fn health_changes(times: &Times, health: &[HealthSample]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut last = "";
    for sample in health.iter().filter(|sample| sample.at >= times.injected_at) {
        if sample.status != last {
            parts.push(format!("{} {:.1}", sample.status, seconds(times.injected_at, sample.at)));
            last = &sample.status;
        }
    }
    parts.join(", ")
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}

fn violations(
    dependency: Dependency,
    counts: &ResponseCounts,
    (latency, baseline): (Duration, Duration),
    recovery: Option<Duration>,
    health: &[HealthSample],
) -> Vec<String> {
    let mut violations = Vec::new();
    let mut check = |met: bool, violation: String| {
        if !met {
            violations.push(violation);
        }
    };
    let expected = ["healthy", dependency.health()];
    let unexpected = health.iter().find(|sample| !expected.contains(&sample.status.as_str()));
    check(
        unexpected.is_none(),
        format!("/health reported another status than healthy or {}", dependency.health()),
    );
    check(
        dependency == Dependency::Database || counts.unavailable == 0,
        "503 while only Redis was unavailable".into(),
    );
    check(counts.without_retry_after == 0, "503 without Retry-After".into());
    check(counts.client_errors == 0, "4xx".into());
    check(counts.other_errors == 0, "5xx other than 503".into());
    check(counts.no_response == 0, "requests without a response".into());
    let max_latency = dependency.max_latency(baseline);
    check(latency <= max_latency, format!("latency above {} ms", max_latency.as_millis()));
    check(
        recovery.is_some_and(|time| time <= MAX_RECOVERY),
        format!("not recovered within {MAX_RECOVERY:?}"),
    );
    violations
}
