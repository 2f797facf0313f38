//! Simulated runs: measures how often comparisons give each result.
//!
//! Simulated latencies are recorded into outcomes, which are compared like those of real runs.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta};
use serde_json::json;

use super::{Change, Comparison, noise_floor::NoiseFloorFile, run_metrics::RunMetrics};
use crate::{
    outcome::{Outcome, VERSION},
    recorder::{Recorder, RequestSample},
    statistics::sample_normal,
};

/// Name and median latency in milliseconds of each simulated endpoint.
const ENDPOINTS: [(&str, f64); 4] =
    [("GET /ping", 2.0), ("GET /list", 20.0), ("GET /search", 60.0), ("POST /goals", 35.0)];

/// Noise and size of the simulated runs.
#[derive(Clone, Copy, Debug)]
pub struct RunParameters {
    /// Standard deviation of the latency between runs, in percent. A run has one random deviation for
    /// each endpoint, which applies to all its requests.
    pub between_runs_percent: f64,
    /// Standard deviation of the natural logarithm of the latency between the requests of a run.
    pub between_requests: f64,
    /// Requests per run and endpoint.
    pub requests: u32,
}

/// Simulates a run of 10 s with requests to four endpoints, of which `GET /search` is slower by
/// `slower_percent`. The run starts at `started_at_s` in seconds since 1970-01-01; equal values of
/// `seed` give equal latencies.
#[must_use]
pub fn simulate_run(
    parameters: RunParameters,
    slower_percent: f64,
    started_at_s: i64,
    seed: u64,
) -> RunMetrics {
    let mut random = fastrand::Rng::with_seed(seed);
    let recorder = Recorder::new(1);
    recorder.user_started("Simulated");
    let started = recorder.started_at().unwrap_or_else(Instant::now);
    let shard = recorder.assign_shard();
    for (endpoint, median_ms) in ENDPOINTS {
        let run_noise = parameters.between_runs_percent / 100.0 * sample_normal(&mut random);
        let factor = if endpoint == "GET /search" { 1.0 + slower_percent / 100.0 } else { 1.0 };
        for request in 0..parameters.requests {
            let request_noise = parameters.between_requests * sample_normal(&mut random);
            let latency = median_ms * factor * (run_noise + request_noise).exp() / 1000.0;
            let intended_start = started
                + Duration::from_millis(
                    u64::from(request) * 10_000 / u64::from(parameters.requests),
                );
            recorder.record_sent(shard, endpoint, intended_start);
            recorder.record_finished(
                shard,
                RequestSample {
                    endpoint,
                    intended_start,
                    sent_at: intended_start,
                    first_byte: None,
                    last_byte: intended_start + Duration::from_secs_f64(latency),
                    status: Some(200),
                    bytes: 0,
                    failure: None,
                    trace: None,
                    request_id: None,
                },
            );
        }
    }
    let (endpoints, _) = recorder.merge(&[]);
    let mut outcome = empty_outcome();
    outcome.endpoints = endpoints;
    outcome.started_at += TimeDelta::seconds(started_at_s);
    RunMetrics::from_outcome("simulated", &outcome)
}

/// Returns a Markdown table of how often each result occurs, with and without a slower endpoint.
/// Each row counts the results of `per_row` simulated comparisons.
#[must_use]
pub fn table(per_row: u64) -> String {
    let mut text = format!(
        "Simulated runs of 4 endpoints, {per_row} comparisons per row, noise floor from 10 identical \
         runs; `GET /search` is slower.\n\n\
         | noise between runs | runs per side | slower | REGRESSED | of which GET /search | INCONCLUSIVE | EQUIVALENT | IMPROVED |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for between_runs_percent in [1.0, 2.0, 3.0] {
        for runs in [5, 8] {
            for slower_percent in [0.0, 10.0] {
                let parameters =
                    RunParameters { between_runs_percent, between_requests: 0.3, requests: 1500 };
                let comparisons: Vec<Comparison> = (0..per_row)
                    .filter_map(|seed| simulate_comparison(parameters, runs, slower_percent, seed))
                    .collect();
                let count = |change| {
                    comparisons.iter().filter(|comparison| comparison.change == change).count()
                };
                let found = comparisons.iter().filter(|comparison| {
                    comparison.endpoints.iter().any(|endpoint| {
                        endpoint.name == "GET /search" && endpoint.change == Change::Regressed
                    })
                });
                let _ = writeln!(
                    text,
                    "| {between_runs_percent} % | {runs} | {slower_percent:+} % | {} | {} | {} | {} | {} |",
                    count(Change::Regressed),
                    found.count(),
                    count(Change::Inconclusive),
                    count(Change::Equivalent),
                    count(Change::Improved),
                );
            }
        }
    }
    text
}

fn simulate_comparison(
    parameters: RunParameters,
    runs: i64,
    slower_percent: f64,
    seed: u64,
) -> Option<Comparison> {
    let run_seed = |side: u64, number: i64| {
        seed * 1000 + side * 100 + u64::try_from(number).unwrap_or_default()
    };
    let mut floors = NoiseFloorFile::default();
    let identical: Vec<RunMetrics> =
        (0..10).map(|number| simulate_run(parameters, 0.0, number, run_seed(9, number))).collect();
    floors.update(&identical);
    let base: Vec<RunMetrics> = (0..runs)
        .map(|number| simulate_run(parameters, 0.0, number * 2, run_seed(1, number)))
        .collect();
    let new: Vec<RunMetrics> = (0..runs)
        .map(|number| simulate_run(parameters, slower_percent, number * 2 + 1, run_seed(2, number)))
        .collect();
    let margins = floors.for_load(&base.first()?.machine, &base.first()?.load);
    Comparison::new(&base, &new, &margins).ok()
}

fn empty_outcome() -> Outcome {
    let outcome = json!({
        "version": VERSION,
        "load": {
            "profile": "simulated", "description": "Simulated.", "overrides": [], "time_scale": 1.0,
            "users": 1, "classes": [], "timeout_s": 30.0,
            "stages": [{ "name": "steady", "from_users": 1, "to_users": 1, "from_s": 0, "to_s": 10, "judged": true }],
        },
        "target": { "host": "simulated", "build": {}, "healthy_after_s": null },
        "generator": {
            "version": "", "system": "simulation", "cpu_model": null, "cpus": 1,
            "memory_bytes": null, "open_files_limit": null,
        },
        "started_at": DateTime::UNIX_EPOCH, "duration_s": 10.0, "ended": "as-planned",
        "endpoints": [], "failures": [], "samples": [],
        "sla": { "name": "none", "thresholds": [] },
    });
    serde_json::from_value(outcome).expect("the literal above is a valid outcome")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: RunParameters =
        RunParameters { between_runs_percent: 2.0, between_requests: 0.15, requests: 120 };

    #[test]
    fn identical_sides_are_rarely_regressed() {
        let comparisons = (0..20).filter_map(|seed| simulate_comparison(PARAMETERS, 5, 0.0, seed));
        let regressed =
            comparisons.filter(|comparison| comparison.change == Change::Regressed).count();
        assert!(regressed <= 1, "{regressed} of 20");
    }

    #[test]
    fn ten_percent_slower_is_rarely_missed() {
        let comparisons = (0..20).filter_map(|seed| simulate_comparison(PARAMETERS, 8, 10.0, seed));
        let regressed =
            comparisons.filter(|comparison| comparison.change == Change::Regressed).count();
        assert!(regressed >= 18, "{regressed} of 20");
    }
}
