//! Runs that never were, to see how often comparisons are right.
//!
//! Their latencies go through the real recorder into real outcomes, which are then compared as
//! those of real runs are.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta};
use serde_json::json;

use super::{Change, Comparison, floor::Floors, run_figures::RunFigures};
use crate::{
    outcome::{Outcome, VERSION},
    recorder::{Recorder, Sample},
    statistics::normal,
};

const ENDPOINTS: [(&str, f64); 4] =
    [("GET /health", 2.0), ("GET /list", 20.0), ("GET /search", 60.0), ("POST /goals", 35.0)];

/// How noisy the made-up runs are.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The deviation between runs, in percent: what a whole run shares.
    pub between_runs_percent: f64,
    /// The deviation of the logarithm between requests.
    pub between_requests: f64,
    /// Requests a run and endpoint.
    pub requests: u32,
}

/// A run whose `GET /search` is slower by `slower_percent`.
#[must_use]
pub fn run(weather: Weather, slower_percent: f64, number: i64, seed: u64) -> RunFigures {
    let mut random = fastrand::Rng::with_seed(seed);
    let recorder = Recorder::new(1);
    recorder.user_joined("Simulated");
    let started = recorder.started().unwrap_or_else(Instant::now);
    let shard = recorder.assign_shard();
    for (endpoint, typical_ms) in ENDPOINTS {
        let shared = weather.between_runs_percent / 100.0 * normal(&mut random);
        let slower = if endpoint == "GET /search" { 1.0 + slower_percent / 100.0 } else { 1.0 };
        for request in 0..weather.requests {
            let own = weather.between_requests * normal(&mut random);
            let latency = typical_ms * slower * (shared + own).exp() / 1000.0;
            let intended = started
                + Duration::from_millis(u64::from(request) * 10_000 / u64::from(weather.requests));
            recorder.sent(shard, endpoint, intended);
            recorder.record(
                shard,
                Sample {
                    endpoint,
                    intended,
                    sent: intended,
                    first_byte: None,
                    last_byte: intended + Duration::from_secs_f64(latency),
                    status: Some(200),
                    bytes: 0,
                    failure: None,
                },
            );
        }
    }
    let (endpoints, _) = recorder.merge(&[]);
    let mut outcome = empty();
    outcome.endpoints = endpoints;
    outcome.started_at += TimeDelta::seconds(number);
    RunFigures::of("simulated", &outcome)
}

/// How many pairs of sides are called what, without a change and with one, in Markdown.
#[must_use]
pub fn table(pairs: u64) -> String {
    let mut text = format!(
        "Simulated runs of 4 endpoints, {pairs} pairs a line, noise floor from 10 runs of the same \
         kind; `GET /search` is slower.\n\n\
         | noise between runs | runs a side | slower | REGRESSED | of which GET /search | INCONCLUSIVE | EQUIVALENT | IMPROVED |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for between_runs_percent in [1.0, 2.0, 3.0] {
        for runs in [5, 8] {
            for slower in [0.0, 10.0] {
                let weather =
                    Weather { between_runs_percent, between_requests: 0.3, requests: 1500 };
                let found: Vec<Comparison> =
                    (0..pairs).filter_map(|pair| compared(weather, runs, slower, pair)).collect();
                let called =
                    |change| found.iter().filter(|comparison| comparison.change == change).count();
                let searched = found.iter().filter(|comparison| {
                    comparison.endpoints.iter().any(|endpoint| {
                        endpoint.name == "GET /search" && endpoint.change == Change::Regressed
                    })
                });
                let _ = writeln!(
                    text,
                    "| {between_runs_percent} % | {runs} | {slower:+} % | {} | {} | {} | {} | {} |",
                    called(Change::Regressed),
                    searched.count(),
                    called(Change::Inconclusive),
                    called(Change::Equivalent),
                    called(Change::Improved),
                );
            }
        }
    }
    text
}

fn compared(weather: Weather, runs: i64, slower: f64, pair: u64) -> Option<Comparison> {
    let seed = |kind: u64, number: i64| {
        pair * 1000 + kind * 100 + u64::try_from(number).unwrap_or_default()
    };
    let mut floors = Floors::default();
    let same: Vec<RunFigures> =
        (0..10).map(|number| run(weather, 0.0, number, seed(9, number))).collect();
    floors.learn(&same);
    let base: Vec<RunFigures> =
        (0..runs).map(|number| run(weather, 0.0, number * 2, seed(1, number))).collect();
    let new: Vec<RunFigures> =
        (0..runs).map(|number| run(weather, slower, number * 2 + 1, seed(2, number))).collect();
    let floor = floors.of(&base.first()?.machine, &base.first()?.load);
    Comparison::of(&base, &new, &floor).ok()
}

fn empty() -> Outcome {
    let outcome = json!({
        "version": VERSION,
        "load": {
            "profile": "simulated", "description": "Made up.", "changes": [], "time_scale": 1.0,
            "users": 1, "classes": [], "timeout_s": 30.0,
            "stages": [{ "name": "steady", "from_users": 1, "to_users": 1, "from_s": 0, "to_s": 10, "judged": true }],
        },
        "target": { "host": "nowhere", "build": {}, "healthy_after_s": null },
        "generator": {
            "version": "", "system": "simulation", "processor": null, "cpus": 1,
            "memory_bytes": null, "open_files_limit": null,
        },
        "started_at": DateTime::UNIX_EPOCH, "duration_s": 10.0, "ended": "as-planned",
        "endpoints": [], "failures": [], "samples": [],
        "sla": { "name": "none", "promises": [] },
    });
    serde_json::from_value(outcome).expect("what is spelled out above is an outcome")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEATHER: Weather =
        Weather { between_runs_percent: 2.0, between_requests: 0.15, requests: 120 };

    #[test]
    fn identical_sides_are_hardly_ever_called_regressed() {
        let called = (0..20).filter_map(|pair| compared(WEATHER, 5, 0.0, pair));
        let regressed = called.filter(|found| found.change == Change::Regressed).count();
        assert!(regressed <= 1, "{regressed} of 20");
    }

    #[test]
    fn a_tenth_slower_is_hardly_ever_missed() {
        let called = (0..20).filter_map(|pair| compared(WEATHER, 8, 10.0, pair));
        let regressed = called.filter(|found| found.change == Change::Regressed).count();
        assert!(regressed >= 18, "{regressed} of 20");
    }
}
