//! Outcomes for tests of reports.

use std::path::Path;

use plant_loadtest::{
    distribution::Distribution,
    outcome::{Counts, EndpointCell, Outcome, SlowRequest},
    report::{html, json},
    verdict::Verdict,
};

/// Returns the outcome of a run of 50 users for 35 seconds.
pub fn example() -> Outcome {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outcome.json");
    json::read(&golden).unwrap()
}

/// Returns the page of `outcome`.
pub fn page(outcome: &Outcome, baseline: Option<&Outcome>) -> String {
    html::render(outcome, &Verdict::judge(outcome, &outcome.sla), baseline).unwrap()
}

/// Makes the run `seconds` long, with its measurements repeated.
pub fn lengthen(outcome: &mut Outcome, seconds: u32, cell_s: u32) {
    outcome.load.stages.last_mut().unwrap().to_s = seconds;
    outcome.load.cell_s = cell_s;
    outcome.duration_s = f64::from(seconds) + 0.4;
    let cells = || (0..seconds).step_by(cell_s as usize);
    for endpoint in &mut outcome.endpoints {
        let recorded = std::mem::take(&mut endpoint.cells);
        let cell = |second: u32| EndpointCell {
            second,
            ..recorded[second as usize * 7 % recorded.len()].clone()
        };
        endpoint.cells = cells().map(cell).collect();
    }
    let samples = std::mem::take(&mut outcome.samples);
    outcome.samples = (0..seconds)
        .map(|second| {
            let mut sample = samples[second as usize % samples.len()].clone();
            sample.second = second;
            sample
        })
        .collect();
}

/// Makes `count` endpoints of the first ones.
pub fn multiply_endpoints(outcome: &mut Outcome, count: usize) {
    let known = outcome.endpoints.clone();
    outcome.endpoints = (0..count)
        .map(|index| {
            let mut endpoint = known[index % known.len()].clone();
            endpoint.name = format!("{} /{index}", endpoint.name);
            endpoint.slowest = (0..10).map(slow_request).collect();
            endpoint
        })
        .collect();
}

pub fn slow_request(index: u32) -> SlowRequest {
    SlowRequest {
        trace_id: format!("{index:032x}"),
        request_id: Some(format!("5f0c1d1e-0000-4000-8000-{index:012}")),
        sampled: index > 4,
        latency_ms: f64::from(900 - index),
        second: index,
        status: Some(200),
    }
}

/// Leaves the endpoint at `index` with one request, of this latency.
pub fn leave_one_request(outcome: &mut Outcome, index: usize, millis: u64) {
    let mut latency = Distribution::default();
    latency.record(std::time::Duration::from_millis(millis));
    let counts = Counts { sent: 1, succeeded: 1, ..Counts::default() };
    let cell = EndpointCell { second: 9, counts, latency, ..EndpointCell::default() };
    outcome.endpoints[index].cells = vec![cell];
}

/// Gives every text of the outcome that comes from elsewhere an evil value.
pub fn make_hostile(outcome: &mut Outcome) {
    const EVIL: &str =
        "</script><script>fail('evil')</script><img src=x onerror=fail()>\"'&{{ load }}";
    for endpoint in &mut outcome.endpoints {
        let name = endpoint.name.clone();
        endpoint.name = format!("{name}{EVIL}");
        for threshold in &mut outcome.sla.thresholds {
            if threshold.subject == plant_loadtest::sla::Subject::Endpoint(name.clone()) {
                threshold.subject = plant_loadtest::sla::Subject::Endpoint(endpoint.name.clone());
            }
        }
        let mut request = slow_request(1);
        request.request_id = Some(EVIL.into());
        endpoint.slowest.push(request);
    }
    outcome.endpoints[0].name += &"/a-very-long-segment-of-a-path".repeat(40);
    outcome.failures[0].message = EVIL.into();
    outcome.failures[0].endpoint = outcome.endpoints[1].name.clone();
    outcome.load.profile += EVIL;
    outcome.load.description = EVIL.into();
    outcome.load.stages[1].name = EVIL.into();
    outcome.load.command = ["plant-loadtest", "run", EVIL].map(str::to_owned).into();
    outcome.target.build.insert(EVIL.into(), EVIL.into());
    outcome.advisory.push(EVIL.into());
    outcome.sla.name = EVIL.into();
}
