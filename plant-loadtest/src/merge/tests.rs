use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::*;
use crate::{
    failure::FailureKind,
    load::Stage,
    outcome::{Class, Counter, CounterCell, Counts, Failure, ResourceSample, ServiceSample},
    recorder::{Recorder, RequestSample, Shard},
    report::example,
    verdict::{Grade, Verdict},
};

/// Returns an outcome with the stages `stages`, without measurements.
fn empty(stages: &[Stage]) -> Outcome {
    let mut outcome = example::outcome();
    outcome.load.stages = stages.to_vec();
    outcome.load.users = 4;
    outcome.duration_s = stages.last().map_or(0.0, |stage| f64::from(stage.to_s) + 0.4);
    outcome.endpoints.clear();
    outcome.failures.clear();
    outcome.samples.clear();
    outcome.arrivals.clear();
    outcome.started_at = DateTime::from_timestamp(1_764_460_800, 0).unwrap();
    outcome
}

fn stage(name: &str, users: (u32, u32), seconds: (u32, u32), judged: bool) -> Stage {
    Stage {
        name: name.into(),
        from_users: users.0,
        to_users: users.1,
        from_s: seconds.0,
        to_s: seconds.1,
        judged,
        ..Stage::default()
    }
}

fn steady(users: u32, to_s: u32) -> Vec<Stage> {
    vec![stage("steady", (users, users), (0, to_s), true)]
}

fn part(name: &str, outcome: Outcome) -> Part {
    Part { name: name.into(), outcome: Some(outcome) }
}

/// Records requests with random times and results in both recorders, as if sent at a random second.
struct Twins {
    started: Instant,
    all: Recorder,
    parts: Vec<Recorder>,
}

impl Twins {
    fn new(parts: usize) -> Self {
        let started = Instant::now();
        let recorder = || {
            let recorder = Recorder::new(2);
            recorder.start(started);
            recorder
        };
        Self { started, all: recorder(), parts: (0..parts).map(|_| recorder()).collect() }
    }

    fn finish(&self, part: usize, random: &mut fastrand::Rng) {
        let start = self.started + Duration::from_millis(random.u64(0..30_000));
        let latency = Duration::from_micros(random.u64(1..3_000) * random.u64(1..2_000));
        let failure = (random.u8(0..10) == 0).then(|| (FailureKind::ServerError, "500".to_owned()));
        let endpoint = ["GET /x", "GET /y"][random.usize(0..2)];
        let bytes = random.u64(0..100);
        for recorder in [&self.all, &self.parts[part]] {
            let shard: Shard = recorder.assign_shard();
            recorder.record_sent(shard, endpoint, start);
            recorder.record_finished(
                shard,
                RequestSample {
                    endpoint,
                    intended_start: start,
                    sent_at: start,
                    first_byte: Some(start + latency / 2),
                    last_byte: start + latency,
                    status: Some(200),
                    bytes,
                    failure: failure.clone(),
                    trace: None,
                    request_id: None,
                },
            );
        }
    }
}

fn recorded(recorder: &Recorder) -> Outcome {
    let (endpoints, failures) = recorder.merge(&[]);
    Outcome { endpoints, failures, ..empty(&steady(4, 30)) }
}

#[test]
fn percentiles_of_eight_generators_equal_those_of_one_recorder() {
    let twins = Twins::new(8);
    let mut random = fastrand::Rng::with_seed(7);
    for request in 0..20_000 {
        twins.finish(request % 8, &mut random);
    }
    let parts = twins.parts.iter().enumerate();
    let parts = parts.map(|(number, recorder)| part(&number.to_string(), recorded(recorder)));
    let merged = merge(parts.collect()).unwrap();
    let reference = recorded(&twins.all);
    assert_eq!(merged.endpoints, reference.endpoints, "every bucket of every cell");
    assert_eq!(merged.failures.len(), reference.failures.len());
    let (ours, theirs) = (merged.tally_all(), reference.tally_all());
    for quantile in [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
        assert_eq!(ours.latency.quantile_ms(quantile), theirs.latency.quantile_ms(quantile));
    }
    assert_eq!((ours.counts.sent, ours.counts.is_consistent()), (20_000, true));
    assert_eq!((merged.load.users, merged.workers.len()), (32, 8));
    assert_eq!(merged.workers.iter().map(|worker| worker.sent).sum::<u64>(), 20_000);
}

#[test]
fn seconds_count_from_the_first_start() {
    let with_cell = |name: &str, offset_ms: i64| {
        let recorder = Recorder::new(1);
        recorder.start(Instant::now());
        recorder.record_sent(recorder.assign_shard(), "GET /x", Instant::now());
        let mut outcome = Outcome { endpoints: recorder.merge(&[]).0, ..empty(&steady(4, 30)) };
        outcome.started_at += TimeDelta::milliseconds(offset_ms);
        outcome.counters = vec![Counter {
            name: "orders".into(),
            cells: vec![CounterCell { second: 2, count: 5 }],
        }];
        outcome.samples = vec![ResourceSample { second: 1, users: 4, ..ResourceSample::default() }];
        if offset_ms > 0 {
            outcome.failures = vec![Failure {
                first_second: 1,
                last_second: 3,
                count: 2,
                ..example::outcome().failures[0].clone()
            }];
        }
        part(name, outcome)
    };
    let merged = merge(vec![with_cell("late", 7_000), with_cell("first", 0)]).unwrap();
    let seconds: Vec<u32> = merged.endpoints[0].cells.iter().map(|cell| cell.second).collect();
    assert_eq!(seconds, [0, 7]);
    assert_eq!(merged.counters[0].cells.iter().map(|cell| cell.second).collect::<Vec<_>>(), [2, 9]);
    assert_eq!(merged.samples.iter().map(|sample| sample.second).collect::<Vec<_>>(), [1, 8]);
    let [failure] = &merged.failures[..] else { panic!("one failure: {:?}", merged.failures) };
    assert_eq!((failure.count, failure.first_second, failure.last_second), (2, 8, 10));
    assert_eq!((merged.workers[0].from_s, merged.workers[1].from_s), (7, 0));
    assert!((merged.duration_s - 37.4).abs() < 1e-9, "{}", merged.duration_s);
    let near = merge(vec![with_cell("a", 499), with_cell("b", 0)]).unwrap();
    assert_eq!(near.endpoints[0].cells.len(), 1, "to the nearest second");
    assert_eq!(near.counters[0].cells, [CounterCell { second: 2, count: 10 }]);
}

#[test]
fn requests_in_flight_of_a_killed_generator_are_lost() {
    let outcome = |ended, counts: Counts| {
        let recorder = Recorder::new(1);
        recorder.start(Instant::now());
        recorder.record_sent(recorder.assign_shard(), "GET /x", Instant::now());
        let mut outcome =
            Outcome { ended, endpoints: recorder.merge(&[]).0, ..empty(&steady(4, 30)) };
        outcome.endpoints[0].cells[0].counts = counts;
        outcome
    };
    let answered = Counts { sent: 9, succeeded: 7, timed_out: 2, ..Counts::default() };
    let killed = Counts { sent: 10, succeeded: 4, server_errors: 1, lost: 1, ..Counts::default() };
    let merged = merge(vec![
        part("a", outcome(Ended::AsPlanned, answered)),
        part("b", outcome(Ended::Killed, killed)),
    ])
    .unwrap();
    let counts = merged.counts_all();
    assert_eq!((counts.sent, counts.lost, counts.is_consistent()), (19, 5, true));
    assert_eq!((merged.workers[1].lost, merged.ended), (5, Ended::AsPlanned));
    let verdict = Verdict::judge(&merged, &merged.sla);
    assert_eq!(verdict.grade, Grade::Invalid);
    assert!(verdict.reason.contains("the load generator b was lost"), "{}", verdict.reason);
}

#[test]
fn a_generator_without_results_is_named() {
    let mut outcome = example::outcome();
    outcome.started_at = empty(&[]).started_at;
    let parts = vec![part("a", outcome), Part { name: "b".into(), outcome: None }];
    let merged = merge(parts).unwrap();
    let verdict = Verdict::judge(&merged, &merged.sla);
    assert_eq!(verdict.grade, Grade::Invalid);
    assert!(verdict.reason.contains("b was lost before"), "{}", verdict.reason);
    assert!(merge(vec![Part { name: "b".into(), outcome: None }]).is_err());
}

#[test]
fn planned_stages_are_added_and_thresholds_apply_to_all_users() {
    let stages = [stage("ramp", (0, 10), (0, 5), false), stage("hold", (10, 10), (5, 30), true)];
    let merged = merge(vec![part("a", empty(&stages)), part("b", empty(&stages))]).unwrap();
    assert_eq!(
        merged.load.stages,
        [stage("ramp", (0, 20), (0, 5), false), stage("hold", (20, 20), (5, 30), true)]
    );
}

#[test]
fn only_seconds_that_all_generators_judge_are_judged() {
    let one = [
        stage("ramp-1", (0, 10), (0, 3), false),
        stage("hold-1", (10, 10), (3, 12), true),
        stage("ramp-2", (10, 4), (12, 13), false),
        stage("hold-2", (4, 4), (13, 20), true),
    ];
    // Its clock is a second later, so that its seconds differ.
    let two = [
        stage("ramp-1", (0, 10), (0, 3), false),
        stage("hold-1", (10, 10), (3, 11), true),
        stage("ramp-2", (10, 4), (11, 12), false),
        stage("hold-2", (4, 4), (12, 19), true),
    ];
    let mut late = empty(&two);
    late.started_at += TimeDelta::seconds(1);
    let merged = merge(vec![part("a", empty(&one)), part("b", late)]).unwrap();
    let described: Vec<(&str, u32, u32, u32, bool)> = merged
        .load
        .stages
        .iter()
        .map(|one| (one.name.as_str(), one.from_s, one.to_s, one.to_users, one.judged))
        .collect();
    assert_eq!(
        described,
        [
            ("ramp-1", 0, 4, 20, false),
            ("hold-1", 4, 12, 20, true),
            ("ramp-2", 12, 13, 8, false),
            ("hold-2", 13, 20, 8, true)
        ]
    );
    assert_eq!(merged.load.users, 20, "at the peak");
}

#[test]
fn the_users_of_a_killed_generator_are_gone_but_its_last_moments_are_not_judged() {
    let all = [stage("ramp-1", (0, 10), (0, 2), false), stage("hold-1", (10, 10), (2, 20), true)];
    let until = [stage("ramp-1", (0, 10), (0, 2), false), stage("hold-1", (10, 10), (2, 8), true)];
    let mut killed = empty(&until);
    (killed.ended, killed.duration_s) = (Ended::Killed, 8.9);
    let merged = merge(vec![part("a", empty(&all)), part("b", killed)]).unwrap();
    let levels: Vec<(u32, u32, u32)> =
        merged.load.stages.iter().map(|one| (one.from_s, one.to_s, one.to_users)).collect();
    assert_eq!(levels, [(0, 2, 20), (2, 8, 20), (8, 20, 10)]);
}

#[test]
fn samples_have_all_users_one_service_and_the_busiest_generator() {
    let with = |cpu, users: &[(u32, u32)], memory: Option<f64>| {
        let samples = users.iter().map(|(second, users)| ResourceSample {
            second: *second,
            users: *users,
            service: ServiceSample { memory_bytes: memory, ..ServiceSample::default() },
            generator_cpu: Some(cpu),
            ..ResourceSample::default()
        });
        Outcome { samples: samples.collect(), ..empty(&steady(4, 30)) }
    };
    let one = with(0.2, &[(0, 4), (1, 4), (2, 4), (9, 4)], None);
    let two = with(0.6, &[(0, 5), (2, 5), (3, 5)], Some(7.0));
    let merged = merge(vec![part("a", one), part("b", two)]).unwrap();
    let users: Vec<(u32, u32)> =
        merged.samples.iter().map(|sample| (sample.second, sample.users)).collect();
    assert_eq!(users, [(0, 9), (1, 9), (2, 9), (3, 9), (9, 4)]);
    assert_eq!(merged.samples[0].generator_cpu, Some(0.6));
    assert_eq!(merged.samples[0].service.memory_bytes, Some(7.0), "of the one that sampled it");
    assert_eq!(merged.workers[0].samples[0].generator_cpu, Some(0.2));
}

#[test]
fn outcomes_of_different_tests_are_refused() {
    let merge_with = |change: fn(&mut Outcome)| {
        let mut other = empty(&steady(4, 30));
        change(&mut other);
        merge(vec![part("a", empty(&steady(4, 30))), part("b", other)])
    };
    assert!(merge_with(|_| ()).is_ok());
    assert!(
        merge_with(|other| other.load.profile = "other".into()).unwrap_err().contains("profiles")
    );
    assert!(
        merge_with(|other| other.target.host = "http://x".into()).unwrap_err().contains("targets")
    );
    assert!(merge_with(|other| other.sla.thresholds.clear()).unwrap_err().contains("thresholds"));
    assert!(merge_with(|other| other.load.cell_s = 12).unwrap_err().contains("cells"));
}

#[test]
fn a_share_that_is_missing_is_a_lost_generator() {
    let share = |text: &str| {
        let mut outcome = empty(&steady(4, 30));
        outcome.load.share = Some(text.parse().unwrap());
        outcome.load.command = vec!["plant-loadtest".into()];
        part(text, outcome)
    };
    let all = merge(vec![share("0/2"), share("1/2")]).unwrap();
    assert_eq!((all.workers.len(), all.load.share, all.load.command.len()), (2, None, 0));
    let merged = merge(vec![share("2/4"), share("0/4")]).unwrap();
    let verdict = Verdict::judge(&merged, &merged.sla);
    assert_eq!(
        (verdict.grade, verdict.reason.as_str()),
        (
            Grade::Invalid,
            "the load generator of share 1/4 was lost before it had sent any results; another one, too"
        )
    );
    for wrong in [
        vec![share("0/2"), share("0/2")],
        vec![share("0/2"), share("1/3")],
        vec![share("0/2"), part("whole", empty(&steady(4, 30)))],
        vec![part("whole", empty(&steady(4, 30))), share("0/2")],
    ] {
        let names: Vec<String> = wrong.iter().map(|part| part.name.clone()).collect();
        assert!(merge(wrong).is_err(), "{names:?}");
    }
    assert!(merge(vec![part("all", all)]).unwrap_err().contains("merge its parts"));
}

#[test]
fn users_of_each_class_are_added() {
    let with = |users| {
        let mut outcome = empty(&steady(4, 30));
        let class = Class { users, ..outcome.load.classes[0].clone() };
        outcome.load.classes = vec![class];
        outcome
    };
    let merged = merge(vec![part("a", with(3)), part("b", with(4))]).unwrap();
    assert_eq!(merged.load.classes.iter().map(|class| class.users).collect::<Vec<_>>(), [7]);
}

#[test]
fn health_after_the_load_is_not_decided_by_generators_that_did_not_wait_for_it() {
    let with = |healthy_after_s, health_cut_short, ended| {
        let mut outcome = empty(&steady(4, 30));
        outcome.ended = ended;
        outcome.target.healthy_after_s = healthy_after_s;
        outcome.target.health_cut_short = health_cut_short;
        outcome
    };
    let health = |one: Outcome, two: Outcome| {
        let target = merge(vec![part("a", one), part("b", two)]).unwrap().target;
        (target.healthy_after_s, target.health_cut_short)
    };
    let (planned, killed) = (Ended::AsPlanned, Ended::Killed);
    assert_eq!(
        health(with(Some(0.1), false, planned), with(Some(0.3), false, planned)),
        (Some(0.3), false)
    );
    assert_eq!(
        health(with(Some(0.1), false, planned), with(None, false, killed)),
        (Some(0.1), false)
    );
    assert_eq!(health(with(None, true, planned), with(None, false, killed)), (None, true));
    assert_eq!(health(with(Some(0.1), false, planned), with(None, false, planned)), (None, false));
}

#[test]
fn the_same_outcome_counts_once() {
    let one = example::outcome();
    let error = merge(vec![part("a", one.clone()), part("b", one)]).unwrap_err();
    assert_eq!(error, "a and b are the same outcome");
}

#[test]
fn a_part_of_another_time_is_refused() {
    let mut late = empty(&steady(4, 30));
    late.started_at += TimeDelta::seconds(30 + 3601);
    let error = merge(vec![part("a", empty(&steady(4, 30))), part("b", late)]).unwrap_err();
    assert!(error.starts_with("b started 3601 seconds after the end of the others"), "{error}");
    // A clock without a battery.
    let mut early = empty(&steady(4, 30));
    early.started_at -= TimeDelta::days(20_000);
    assert!(merge(vec![part("a", empty(&steady(4, 30))), part("b", early)]).is_err());
}

#[test]
fn shares_of_other_loads_are_refused() {
    let share = |text: &str, stages: &[Stage], offset_s: i64| {
        let mut outcome = empty(stages);
        outcome.load.share = Some(text.parse().unwrap());
        outcome.started_at += TimeDelta::seconds(offset_s);
        part(text, outcome)
    };
    let steady = |to_s| steady(2, to_s);
    assert!(merge(vec![share("0/2", &steady(30), 0), share("1/2", &steady(30), 0)]).is_ok());
    for other in [share("1/2", &steady(40), 0), share("1/2", &steady(30), 5)] {
        let error = merge(vec![share("0/2", &steady(30), 0), other]).unwrap_err();
        assert!(error.contains("different stages"), "{error}");
    }
    let mut scaled = empty(&steady(30));
    scaled.load.time_scale = 0.5;
    let error = merge(vec![part("a", empty(&steady(30))), part("b", scaled)]).unwrap_err();
    assert!(error.contains("different time scales"), "{error}");
    let error = merge(vec![share("0/4000000000", &steady(30), 0)]).unwrap_err();
    assert!(error.contains("only 1 of 4000000000 shares"), "{error}");
}

#[test]
fn the_seconds_of_parts_are_rounded_to_those_of_the_first() {
    let from = DateTime::from_timestamp(1_764_460_800, 0).unwrap();
    let after = |millis| whole_seconds(from, from + TimeDelta::milliseconds(millis));
    assert_eq!([0, 499, 500, 1600, 61_400].map(after), [0, 0, 1, 2, 61]);
}
