//! Measures how long judging the outcome of a day takes.
//!
//! `cargo run --release --example judge_day`

use std::time::{Duration, Instant};

use plant_loadtest::{
    load::{Model, Stage},
    outcome::{ArrivalCell, EndpointCell, EndpointResults, Outcome, ResourceSample},
    profile::{Overrides, Plan, Profile},
    recorder::Cells,
    sla::Sla,
    verdict::Verdict,
};

/// Requests per endpoint and cell.
const REQUESTS: u64 = 500;

fn main() {
    let harness = plant_loadtest::plant::harness();
    for profile in ["endurance-medium", "soak-24h"] {
        let profile = Profile::find(&harness, profile).expect("a built-in profile");
        let plan = Plan::new(&profile, &Overrides::default()).expect("a valid profile");
        let name = profile.sla.as_deref().expect("the profile has an SLA");
        let sla = Sla::find(harness.slas, name, &plan.allowed_names()).expect("a built-in SLA");
        let outcome = simulate_day(&plan, sla);
        let cells: usize = outcome.endpoints.iter().map(|endpoint| endpoint.cells.len()).sum();
        let started = Instant::now();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        println!(
            "{}: {cells} cells, {} samples, {} thresholds: {:.2} s, {}",
            profile.name,
            outcome.samples.len(),
            verdict.thresholds.len(),
            started.elapsed().as_secs_f64(),
            verdict.grade.name()
        );
    }
}

/// Returns an outcome with all cells and samples that a run of `plan` would have.
fn simulate_day(plan: &Plan, sla: Sla) -> Outcome {
    let text = include_str!("../tests/golden/outcome.json");
    let mut outcome: Outcome = serde_json::from_str(text).expect("a valid outcome");
    let sample = outcome.samples[20].clone();
    let mut random = fastrand::Rng::with_seed(1);
    let seconds = plan.stages.last().map_or(0, |stage: &Stage| stage.to_s);
    let cells = Cells::for_stages(&plan.stages);
    let mut starts: Vec<u32> = (0..seconds).map(|second| cells.start_of(second)).collect();
    starts.dedup();
    outcome.load.stages.clone_from(&plan.stages);
    (outcome.load.model, outcome.load.users) = (plan.model, plan.users);
    outcome.load.cell_s = cells.length_s();
    outcome.duration_s = f64::from(seconds) + 0.2;
    let mut names: Vec<&str> = plan.allowed_names().endpoints;
    names.sort_unstable();
    names.dedup();
    outcome.endpoints = names
        .into_iter()
        .map(|name| EndpointResults {
            name: name.into(),
            cells: starts.iter().map(|start| cell(*start, &mut random)).collect(),
            ..EndpointResults::default()
        })
        .collect();
    if plan.model == Model::Open {
        let arrival =
            |start: &u32| ArrivalCell { second: *start, scheduled: 9000, ..Default::default() };
        outcome.arrivals = starts.iter().map(arrival).collect();
    }
    outcome.samples = (0..seconds)
        .map(|second| {
            let mut sample = ResourceSample { second, ..sample.clone() };
            for _ in 0..50 {
                sample.generator_timer_lag.record(Duration::from_micros(random.u64(50..1500)));
            }
            sample.service.cpu_seconds = Some(f64::from(second) * 0.2);
            sample
        })
        .collect();
    outcome.sla = sla;
    outcome
}

fn cell(second: u32, random: &mut fastrand::Rng) -> EndpointCell {
    let mut cell = EndpointCell { second, ..EndpointCell::default() };
    (cell.counts.sent, cell.counts.succeeded) = (REQUESTS, REQUESTS);
    cell.throughput_count = REQUESTS;
    for _ in 0..REQUESTS {
        cell.latency.record(Duration::from_micros(random.u64(2_000..20_000)));
    }
    cell
}
