//! Tests of the user classes, and of every threshold by outcomes of known truth.

use std::ops::Range;

use super::*;
use crate::{
    outcome::{Counts, EndpointCell, EndpointResults, Outcome, ResourceSample, StageIterations},
    plant::{harness, stub_responses::CannedResponses},
    profile::{Overrides, Plan, Profile},
    report::example,
    scenario::UserClass,
    sla::Subject,
    verdict::{Grade, Verdict},
};

fn tasks(class: &UserClass) -> Vec<(String, usize)> {
    let scenario = (class.scenario)().unwrap();
    let tasks = scenario.transactions.iter();
    tasks.map(|task| (task.name.name_for_transaction().to_owned(), task.weight)).collect()
}

#[test]
fn waits_and_weights_are_those_of_the_seed() {
    let class = &PERFORMANCE_AGENT_USER;
    assert_eq!(class.wait, (Duration::from_secs(1), Duration::from_secs(3)));
    let expected =
        [(HEALTH.name, 10), (CONFIG.name, 5), (CAPABILITIES.name, 5), (WORKFLOWS.name, 2)];
    assert_eq!(tasks(class), expected.map(|(name, weight)| (name.to_owned(), weight)));
}

#[test]
fn the_other_classes_request_one_endpoint_each() {
    for (class, endpoint) in [
        (&HEALTH_USER, &HEALTH),
        (&CONFIG_USER, &CONFIG),
        (&CAPABILITIES_USER, &CAPABILITIES),
        (&WORKFLOWS_USER, &WORKFLOWS),
        (&BATCH_USER, &HEALTH),
    ] {
        assert_eq!(tasks(class), [(endpoint.name.to_owned(), 1)], "{}", class.name);
    }
}

#[test]
fn a_body_without_one_of_its_fields_is_no_success() {
    let responses = CannedResponses::new(1);
    for (endpoint, fields) in [(&HEALTH, 6), (&CONFIG, 6), (&CAPABILITIES, 4)] {
        let path = endpoint.name.trim_start_matches("GET ");
        let request = axum::http::Request::get(path).body(()).unwrap().into_parts().0;
        let (_, body) = responses.response_to(&request);
        assert_eq!(endpoint.shape.check(&body), Ok(()), "{path}");
        let Shape::Object(keys) = endpoint.shape else { panic!("expected an object") };
        assert_eq!(keys.len(), fields);
        for key in keys {
            let without = String::from_utf8(body.to_vec()).unwrap().replacen(key, "other", 1);
            assert!(endpoint.shape.check(without.as_bytes()).is_err(), "{path} without {key}");
        }
    }
    for (body, is_success) in
        [("[]", true), (r#"[{"workflow_id":"w"}]"#, true), (r#"{"items":[]}"#, false)]
    {
        assert_eq!(WORKFLOWS.shape.check(body.as_bytes()).is_ok(), is_success, "{body}");
    }
}

#[test]
fn the_suite_names_the_built_in_profiles_of_the_seed() {
    for profile in SUITE.profiles {
        assert!(harness().profiles.iter().any(|file| file.name == *profile), "{profile}");
    }
    assert_eq!((SUITE.profiles.len(), SUITE.cool_down.as_secs()), (5, 10));
}

const MIB: f64 = 1_048_576.0;

/// The outcome of a built-in profile against a service that is idle at 50 MiB and 10 % of a CPU, without
/// requests.
struct Truth(Outcome);

impl Truth {
    fn of(profile: &str) -> Self {
        let profile = Profile::find(&harness(), profile).unwrap();
        let plan = Plan::new(&profile, &Overrides::default()).unwrap();
        let sla = profile.find_sla(&harness(), &profile.allowed_names(&harness(), &plan), None);
        let mut outcome = example::outcome();
        outcome.duration_s = f64::from(plan.seconds());
        outcome.iterations = plan
            .stages
            .iter()
            .filter(|stage| stage.iterations > 0)
            .map(|stage| StageIterations {
                stage: stage.name.clone(),
                users: stage.to_users,
                started: stage.iterations,
                duration_s: 1.0,
            })
            .collect();
        let sample = outcome.samples[3].clone();
        let samples = (0..plan.seconds()).map(|second| {
            let mut sample = ResourceSample { second, ..sample.clone() };
            sample.service.memory_bytes = Some(50.0 * MIB);
            sample.service.cpu_seconds = Some(f64::from(second) * 0.1);
            sample.service.cpus = Some(2.0);
            sample
        });
        outcome.samples = samples.collect();
        outcome.endpoints.clear();
        (outcome.load.users, outcome.load.model, outcome.load.stages) =
            (plan.users, plan.model, plan.stages);
        outcome.sla = sla.unwrap();
        Self(outcome)
    }

    /// Adds requests to `endpoint` that took `millis`, of which some `failed`, to a stage.
    fn send(
        mut self,
        stage: &str,
        endpoint: &Endpoint,
        sent: u64,
        failed: u64,
        millis: u64,
    ) -> Self {
        let second = self.seconds(stage).start;
        let succeeded = sent - failed;
        let mut cell =
            EndpointCell { second, throughput_count: succeeded, ..EndpointCell::default() };
        cell.counts = Counts { sent, succeeded, server_errors: failed, ..Counts::default() };
        cell.latency.record_times(Duration::from_millis(millis), succeeded);
        let endpoints = &mut self.0.endpoints;
        match endpoints.iter_mut().find(|one| one.name == endpoint.name) {
            Some(found) => found.cells.push(cell),
            None => endpoints.push(EndpointResults {
                name: endpoint.name.into(),
                cells: vec![cell],
                ..EndpointResults::default()
            }),
        }
        self
    }

    /// Sets the memory and the CPUs used from the start of a stage on.
    fn use_from(mut self, stage: &str, mib: f64, cpus: f64) -> Self {
        let start = self.seconds(stage).start;
        for sample in self.0.samples.iter_mut().filter(|sample| sample.second >= start) {
            sample.service.memory_bytes = Some(mib * MIB);
            let before = f64::from(start) * 0.1;
            sample.service.cpu_seconds = Some(before + f64::from(sample.second - start) * cpus);
        }
        self
    }

    fn seconds(&self, stage: &str) -> Range<u32> {
        let mut stages = self.0.load.stages.iter();
        stages.find(|one| one.name == stage).unwrap().seconds()
    }

    /// Returns the grade of the threshold of this metric whose stages begin with `stage`; of all requests
    /// or the service if there is no `endpoint`.
    fn grade(&self, stage: &str, endpoint: Option<&Endpoint>, metric: &str) -> Grade {
        let verdict = Verdict::judge(&self.0, &self.0.sla);
        let prefix = format!(" in {stage}");
        let suffix = if stage.is_empty() { "" } else { &prefix };
        let mut found = verdict.thresholds.iter().filter(|judged| {
            let threshold = &judged.threshold;
            let is_subject = match endpoint {
                Some(endpoint) => threshold.subject == Subject::Endpoint(endpoint.name.into()),
                None => !matches!(threshold.subject, Subject::Endpoint(_)),
            };
            let during = threshold.during.suffix();
            let is_during = during == suffix || during.starts_with(&format!("{prefix},"));
            is_subject && is_during && threshold.metric.notation() == metric
        });
        let judged = found.next().unwrap_or_else(|| panic!("no {metric} in `{stage}`"));
        assert_eq!(found.count(), 0, "several {metric} in `{stage}`");
        judged.reported_grade()
    }
}

/// The endpoints with the stage of each, the target and the acceptable time in milliseconds.
static TIMES: [(&str, &Endpoint, u64, u64); 4] = [
    ("health", &HEALTH, 50, 100),
    ("config", &CONFIG, 100, 200),
    ("capabilities", &CAPABILITIES, 100, 200),
    ("workflows", &WORKFLOWS, 200, 500),
];

#[test]
fn the_times_are_those_of_the_seed_in_each_profile_that_judges_them() {
    for (stage, endpoint, target, acceptable) in TIMES {
        for (profile, stage) in
            [("agent-load", stage), ("agent-throughput", stage), ("agent-ladder", "users-10")]
        {
            for (millis, grade) in [
                (target - 1, Grade::Pass),
                (target + 1, Grade::Warning),
                (acceptable - 1, Grade::Warning),
                (acceptable + 1, Grade::Fail),
            ] {
                let truth = Truth::of(profile).send(stage, endpoint, 100, 0, millis);
                let found = truth.grade(stage, Some(endpoint), "p95");
                assert_eq!(found, grade, "{profile} {stage} {millis} ms");
            }
        }
    }
}

#[test]
fn all_requests_of_the_load_test_must_succeed() {
    let requests = [100, 50, 50, 30];
    for ((stage, endpoint, ..), sent) in TIMES.into_iter().zip(requests) {
        let errors = |failed| {
            let truth = Truth::of("agent-load").send(stage, endpoint, sent, failed, 1);
            truth.grade(stage, Some(endpoint), "errors")
        };
        assert_eq!([errors(0), errors(1)], [Grade::Pass, Grade::Fail], "{stage}");
    }
    let mixed = |failed| {
        let truth = Truth::of("agent-load").send("mixed", &WORKFLOWS, 25, failed, 1);
        truth.send("mixed", &HEALTH, 75, 0, 1).grade("mixed", None, "errors")
    };
    assert_eq!([mixed(0), mixed(1)], [Grade::Pass, Grade::Fail]);
}

#[test]
fn the_health_of_the_load_test_is_fast_on_average_and_at_most() {
    for (metric, met, violated) in [("avg", 990, 1010), ("max", 1990, 2010)] {
        let grade = |millis| {
            let truth = Truth::of("agent-load").send("health", &HEALTH, 100, 0, millis);
            truth.grade("health", Some(&HEALTH), metric)
        };
        assert_eq!([grade(met), grade(violated)], [Grade::Pass, Grade::Fail], "{metric}");
    }
}

#[test]
fn the_success_rates_of_the_stress_test_are_exact() {
    for (stage, sent, most_failures) in
        [("health", 500, 24), ("mixed", 1000, 99), ("sustained", 100, 4)]
    {
        let grade = |failed| {
            let truth = Truth::of("agent-stress").send(stage, &HEALTH, sent, failed, 1);
            truth.grade(stage, None, "errors")
        };
        let grades = [grade(0), grade(most_failures), grade(most_failures + 1)];
        assert_eq!(grades, [Grade::Pass, Grade::Pass, Grade::Fail], "{stage}");
    }
}

#[test]
fn memory_and_cpu_are_compared_with_the_time_before_the_requests() {
    let run = || {
        let truth = Truth::of("agent-resources").send("memory", &HEALTH, 100, 0, 1);
        truth.send("cpu", &HEALTH, 50, 0, 1)
    };
    for (mib, grade) in [(149.9, Grade::Pass), (150.0, Grade::Fail)] {
        let truth = run().use_from("memory", mib, 0.1);
        assert_eq!(truth.grade("memory", None, "memory_increase"), grade, "{mib}");
    }
    // 5 % of two CPUs more than before, and in the test itself as much as it likes.
    for (cpus, grade) in [(0.1, Grade::Pass), (0.19, Grade::Pass), (0.21, Grade::Fail)] {
        let mut truth = run().use_from("cpu", 50.0, 1.5);
        let at_end = truth.0.samples[29].service.cpu_seconds.unwrap();
        for sample in &mut truth.0.samples[30..] {
            sample.service.cpu_seconds = Some(at_end + f64::from(sample.second - 29) * cpus);
        }
        assert_eq!(truth.grade("after", None, "cpu_increase"), grade, "{cpus}");
    }
    let mut unseen = run();
    unseen.0.samples.retain(|sample| sample.second >= 10);
    for (stage, metric) in [("memory", "memory_increase"), ("after", "cpu_increase")] {
        assert_eq!(unseen.grade(stage, None, metric), Grade::Insufficient, "{metric}");
    }
}

#[test]
fn a_throughput_must_be_above_its_floor() {
    let floors = [1000, 500, 500, 100];
    for ((stage, endpoint, ..), floor) in TIMES.into_iter().zip(floors) {
        let rate = |requests| {
            let truth = Truth::of("agent-throughput").send(stage, endpoint, requests, 0, 1);
            truth.grade(stage, None, "rate")
        };
        let rates = [rate(floor * 20 + 1), rate(floor * 20)];
        assert_eq!(rates, [Grade::Pass, Grade::Fail], "{stage}");
    }
    let errors = |failed| {
        let truth = Truth::of("agent-throughput").send("health", &HEALTH, 22_000, failed, 1);
        truth.grade("", None, "errors")
    };
    assert_eq!([errors(100), errors(330)], [Grade::Pass, Grade::Fail]);
}

#[test]
fn the_ladder_allows_more_failures_with_more_users() {
    for (stage, sent, met, violated) in [
        ("users-10", 150, 0, 1),
        ("users-50", 750, 0, 1),
        ("users-100", 1500, 5, 30),
        ("users-200", 3000, 110, 190),
        ("users-500", 7500, 670, 830),
    ] {
        let grade = |failed| {
            let truth = Truth::of("agent-ladder").send(stage, &HEALTH, sent, failed, 1);
            truth.grade(stage, None, "errors")
        };
        assert_eq!([grade(met), grade(violated)], [Grade::Pass, Grade::Fail], "{stage}");
    }
}

#[test]
fn a_stage_that_did_not_send_its_number_of_requests_never_passes() {
    for profile in ["agent-load", "agent-stress"] {
        let mut truth = Truth::of(profile).send("health", &HEALTH, 99, 0, 1);
        assert_eq!(truth.0.iterations[0].stage, "health");
        truth.0.iterations[0].started -= 1;
        let endpoint = (profile == "agent-load").then_some(&HEALTH);
        assert_eq!(truth.grade("health", endpoint, "errors"), Grade::Insufficient);
        let verdict = Verdict::judge(&truth.0, &truth.0.sla);
        assert!(verdict.reason.contains("iterations of health were run in"), "{}", verdict.reason);
    }
}
