//! Tests of the grade of a run.

use super::*;
use std::time::Duration;

use crate::{
    distribution::Distribution,
    failure::FailureKind,
    outcome::{Completion, CompletionCell, Counts, EndpointCell, StageIterations},
    report::example,
    sla::{Limit, Statuses, Subject},
};

fn verdict(change: impl FnOnce(&mut Outcome)) -> Verdict {
    let mut outcome = example::outcome();
    change(&mut outcome);
    let sla = outcome.sla.clone();
    Verdict::judge(&outcome, &sla)
}

fn fail_some(outcome: &mut Outcome, kind: FailureKind, every: u64) {
    for cell in &mut outcome.endpoints[0].cells {
        let failed = cell.counts.sent / every;
        for _ in 0..failed {
            cell.counts.succeeded -= 1;
            cell.counts.count(Some(kind));
        }
    }
}

#[test]
fn a_service_that_meets_every_threshold_passes() {
    let verdict = verdict(|_| ());
    assert_eq!(verdict.grade, Grade::Pass, "{}", verdict.reason);
}

#[test]
fn without_thresholds_a_busy_generator_is_only_a_note() {
    let mut outcome = example::outcome();
    outcome.samples.iter_mut().for_each(|sample| sample.generator_cpu = Some(0.9));
    assert_eq!(Verdict::judge(&outcome, &outcome.sla).grade, Grade::Invalid);
    outcome.sla.thresholds.clear();
    let verdict = Verdict::judge(&outcome, &outcome.sla);
    assert_eq!(verdict.grade, Grade::Unjudged);
    assert!(verdict.notes.iter().any(|note| note.contains("cannot be trusted")));
}

#[test]
fn the_reason_of_a_pass_counts_the_thresholds() {
    let reason = |metrics: &[Metric]| {
        let verdict = verdict(|outcome| {
            outcome.endpoints.clear();
            outcome.sla.thresholds.retain(|one| metrics.contains(&one.metric));
        });
        verdict.reason
    };
    assert_eq!(reason(&[Metric::SecondsToHealthy]), "the threshold was met");
    assert_eq!(reason(&[Metric::SecondsToHealthy, Metric::Restarts]), "all 2 thresholds met");
}

#[test]
fn a_killed_run_can_violate_thresholds_but_never_meet_them() {
    let killed = verdict(|outcome| outcome.ended = Ended::Killed);
    assert_eq!(killed.grade, Grade::Insufficient);
    assert!(killed.reason.contains("killed"), "{}", killed.reason);
    let failed = verdict(|outcome| {
        outcome.ended = Ended::Killed;
        fail_some(outcome, FailureKind::ServerError, 2);
    });
    assert_eq!(failed.grade, Grade::Fail, "{}", failed.reason);
}

#[test]
fn errors_within_the_tolerance_warn_and_beyond_it_fail() {
    let within = verdict(|outcome| fail_some(outcome, FailureKind::ServerError, 10));
    assert_eq!(within.grade, Grade::Warning, "{}", within.reason);
    let beyond = verdict(|outcome| fail_some(outcome, FailureKind::ServerError, 2));
    assert_eq!(beyond.grade, Grade::Fail, "{}", beyond.reason);
    assert!(beyond.reason.contains("errors"), "{}", beyond.reason);
}

#[test]
fn a_service_unavailable_after_the_run_fails() {
    let verdict = verdict(|outcome| outcome.target.healthy_after_s = None);
    assert_eq!(verdict.grade, Grade::Fail);
    assert!(verdict.reason.contains("no successful health check"), "{}", verdict.reason);
}

#[test]
fn a_restarted_service_fails_even_if_it_is_healthy_again() {
    let verdict = verdict(|outcome| {
        for sample in outcome.samples.iter_mut().skip(9) {
            sample.service.started_at = Some(1_800_000_000.0);
        }
    });
    assert_eq!(verdict.grade, Grade::Fail);
    assert_eq!(verdict.reason, "the service: restarts 1, threshold <= 0");
}

#[test]
fn a_busy_generator_invalidates_what_it_may_have_caused() {
    for (kind, grade) in [
        (FailureKind::TimedOut, Grade::Invalid),
        (FailureKind::Connection, Grade::Invalid),
        (FailureKind::ServerError, Grade::Fail),
    ] {
        let verdict = verdict(|outcome| {
            fail_some(outcome, kind, 1);
            for sample in &mut outcome.samples {
                sample.generator_cpu = Some(0.95);
            }
        });
        assert_eq!(verdict.grade, grade, "{kind:?}: {}", verdict.reason);
    }
}

#[test]
fn a_busy_generator_does_not_excuse_the_statuses_that_the_service_sent() {
    let verdict = verdict(|outcome| {
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            cell.statuses = [(503, cell.counts.responses())].into();
        }
        for sample in &mut outcome.samples {
            sample.generator_cpu = Some(0.95);
        }
        outcome.sla.thresholds = vec![Threshold {
            subject: Subject::AllRequests,
            metric: Metric::StatusShare(Statuses::Class(5)),
            limit: Limit::below(1.0),
            fail_limit: Some(Limit::below(1.0)),
            ..outcome.sla.thresholds[0].clone()
        }];
    });
    assert_eq!(verdict.grade, Grade::Fail, "{}", verdict.reason);
}

#[test]
fn a_frozen_generator_invalidates_only_what_it_may_have_caused() {
    let freeze = |outcome: &mut Outcome| {
        // All requests that were due in the two seconds before took until then.
        for endpoint in &mut outcome.endpoints {
            for cell in endpoint.cells.iter_mut().filter(|cell| (18..20).contains(&cell.second)) {
                cell.latency = Distribution::default();
                for _ in 0..cell.counts.succeeded {
                    cell.latency.record(Duration::from_millis(1_400));
                }
            }
        }
        let frozen = outcome.samples.iter_mut().find(|sample| sample.second == 20).unwrap();
        frozen.generator_timer_lag.record(Duration::from_millis(1_400));
    };
    let caused = verdict(freeze);
    assert_eq!(caused.grade, Grade::Invalid, "{}", caused.reason);
    assert!(caused.reason.contains("stood still for 1400 ms"), "{}", caused.reason);
    let slow_anyway = verdict(|outcome| {
        freeze(outcome);
        for cell in &mut outcome.endpoints[0].cells {
            for _ in 0..cell.counts.succeeded {
                cell.latency.record(Duration::from_millis(2_000));
            }
        }
    });
    assert_eq!(slow_anyway.grade, Grade::Fail, "{}", slow_anyway.reason);
}

#[test]
fn an_endpoint_that_always_fails_is_a_fail_at_any_volume() {
    let verdict = verdict(|outcome| {
        let endpoint = &mut outcome.endpoints[0];
        let cell = endpoint.cells.iter_mut().find(|cell| cell.second > 10).unwrap();
        cell.counts = Counts { sent: 1, client_errors: 1, ..Counts::default() };
        cell.latency = Distribution::default();
        endpoint.cells = vec![cell.clone()];
    });
    assert_eq!(verdict.grade, Grade::Fail);
    assert!(verdict.reason.contains("errors 100 %, threshold < 50 %"), "{}", verdict.reason);
}

#[test]
fn an_interrupted_run_is_never_a_pass() {
    let verdict = verdict(|outcome| {
        outcome.ended = Ended::Interrupted;
        outcome.duration_s = 20.0;
    });
    assert_eq!(verdict.grade, Grade::Insufficient);
    assert_eq!(
        verdict.reason,
        "the run was interrupted after 20 of 35 seconds, so the thresholds cannot be called met"
    );
}

#[test]
fn what_is_required_and_not_decidable_is_never_a_pass() {
    let few = |required| {
        verdict(|outcome| {
            for endpoint in &mut outcome.endpoints {
                endpoint.cells.retain(|cell| cell.second < 8);
            }
            for threshold in &mut outcome.sla.thresholds {
                threshold.required &= required;
            }
        })
    };
    let required = few(true);
    assert_eq!(required.grade, Grade::Insufficient);
    assert!(required.reason.starts_with("not decidable: "), "{}", required.reason);
    let optional = few(false);
    assert_eq!(optional.grade, Grade::Pass, "{}", optional.reason);
    let (met, all) = (optional.count(Grade::Pass), optional.thresholds.len());
    let undecided = all - met;
    assert_eq!(optional.reason, format!("{met} of {all} thresholds met"));
    assert_eq!(
        optional.qualified_grade(),
        format!("PASS (short run: {undecided} of {all} not decidable)")
    );
    let mut for_another_reason = optional.clone();
    let judged = for_another_reason.thresholds.iter_mut();
    judged.filter_map(|one| one.undecided.as_mut()).next().unwrap().samples_needed = None;
    assert_eq!(
        for_another_reason.qualified_grade(),
        format!("PASS ({undecided} of {all} not decidable)")
    );
    assert_eq!(required.qualified_grade(), "INSUFFICIENT");
}

#[test]
fn a_run_without_any_met_threshold_is_no_pass_even_if_all_are_optional() {
    let verdict = verdict(|outcome| {
        outcome.endpoints.clear();
        outcome.sla.thresholds.retain(|one| one.metric == Metric::P99 && !one.required);
    });
    assert!(!verdict.thresholds.is_empty());
    assert_eq!(verdict.grade, Grade::Insufficient);
    assert_eq!(verdict.reason, "no threshold is decidable");
}

#[test]
fn grades_have_names_of_their_own() {
    let grades = ["NO VERDICT", "PASS", "WARNING", "INSUFFICIENT", "INVALID", "FAIL"];
    let all = [
        Grade::Unjudged,
        Grade::Pass,
        Grade::Warning,
        Grade::Insufficient,
        Grade::Invalid,
        Grade::Fail,
    ];
    assert_eq!(all.map(Grade::name), grades);
    assert_eq!(serde_json::to_value(all).unwrap(), serde_json::json!(grades));
}

#[test]
fn a_run_without_thresholds_is_described_by_its_judged_load() {
    let verdict = verdict(|outcome| {
        outcome.sla.thresholds.clear();
        outcome.endpoints[0].cells[0].counts.server_errors += 1000;
        fail_some(outcome, FailureKind::ServerError, 10);
    });
    let judged = example::outcome().tally_judged();
    let errors = verdict.reason.split("errors: ").nth(1).unwrap().split(';').next().unwrap();
    assert!((1..judged.counts.sent / 8).contains(&errors.parse().unwrap()), "{}", verdict.reason);
    assert!(verdict.reason.contains(" successful responses per second, P95 "));
    assert!(verdict.reason.ends_with("; no thresholds apply to this load"));
}

#[test]
fn a_threshold_of_an_unfinished_run_fails_by_what_was_measured() {
    let mut outcome = example::outcome();
    let threshold = Threshold {
        fail_limit: Some(Limit::below(5.0)),
        ..outcome
            .sla
            .thresholds
            .iter()
            .find(|one| one.metric == Metric::all_errors())
            .unwrap()
            .clone()
    };
    assert!(!is_failed(&outcome, &threshold, outcome.sla.judging));
    fail_some(&mut outcome, FailureKind::ServerError, 2);
    assert!(is_failed(&outcome, &threshold, outcome.sla.judging));
}

#[test]
fn the_summary_says_what_was_not_measured_and_when() {
    let judged = |metric, during, window| {
        let outcome = example::outcome();
        let threshold = Threshold { metric, during, ..outcome.sla.thresholds[0].clone() };
        JudgedThreshold {
            window,
            measured: None,
            ..judge::judge(&outcome, &threshold, Judging::Point)
        }
    };
    let stages = During::Stages(vec!["spike".into()]);
    let summary = judged(Metric::P95, stages, Some(60..90)).summary();
    assert!(summary.contains("P95 not measured"), "{summary}");
    assert!(summary.contains("spike"), "{summary}");
    assert!(summary.contains(" between 1m and 1m30s"), "{summary}");
    let summary = judged(Metric::SecondsToHealthy, During::Run, None).summary();
    assert!(summary.contains("no successful health check after the load"), "{summary}");
}

#[test]
fn an_endpoint_that_was_never_requested_is_not_decidable() {
    let judge = |skipped| {
        verdict(|outcome| {
            outcome.sla.thresholds.retain(|one| one.subject == Subject::AllRequests);
            outcome.endpoints[0].cells.clear();
            outcome.endpoints[0].skipped = skipped;
        })
    };
    // It was not picked.
    let by_chance = judge(0);
    assert_eq!(by_chance.grade, Grade::Pass);
    assert!(by_chance.qualified_grade().contains("1 of "), "{}", by_chance.qualified_grade());
    // It could not be requested.
    let left_out = judge(7);
    assert_eq!(left_out.grade, Grade::Insufficient);
    let expected = "GET /api/v1/agents: errors not measured, threshold < 50 % (never requested)";
    assert!(left_out.reason.contains(expected), "{}", left_out.reason);
    let notes = left_out.notes.join("\n");
    assert!(notes.contains("GET /api/v1/agents was left out 7 times: the responses"), "{notes}");
    assert!(judge(1).notes.join("").contains("GET /api/v1/agents was left out once: "));
}

#[test]
fn an_endpoint_requested_outside_the_judged_stages_only_is_judged_over_the_run() {
    let judge = |failures: u64, successes: u64, in_ramp: bool| {
        verdict(|outcome| {
            outcome.sla.thresholds.retain(|one| one.subject == Subject::AllRequests);
            let mut counts = Counts { sent: failures + successes, ..Counts::default() };
            counts.server_errors = failures;
            counts.succeeded = successes;
            let endpoint = &mut outcome.endpoints[0];
            endpoint.name = "POST /login".into();
            endpoint.cells.clear();
            match in_ramp {
                true => endpoint.cells.push(EndpointCell { counts, ..EndpointCell::default() }),
                false => endpoint.outside_load = counts,
            }
        })
    };
    for in_ramp in [true, false] {
        let failed = judge(10, 0, in_ramp);
        assert_eq!(failed.grade, Grade::Fail, "{}", failed.reason);
        let expected = "POST /login: errors 100 %, threshold < 50 %";
        assert!(failed.reason.contains(expected), "{}", failed.reason);
        assert_eq!(judge(4, 6, in_ramp).grade, Grade::Pass);
    }
}

#[test]
fn nothing_measured_is_insufficient_and_never_a_pass() {
    let verdict = verdict(|outcome| {
        for endpoint in &mut outcome.endpoints {
            endpoint.cells.clear();
        }
    });
    assert_eq!(verdict.grade, Grade::Insufficient);
    assert_eq!(verdict.count(Grade::Pass), 2, "only health and restarts could be judged");
}

#[test]
fn thresholds_for_other_loads_are_left_out() {
    let verdict = verdict(|outcome| outcome.load.users = 150);
    let errors = verdict
        .thresholds
        .iter()
        .filter(|judged| matches!(judged.threshold.metric, Metric::ErrorRate(_)))
        .filter(|judged| judged.threshold.subject == Subject::AllRequests);
    let from_users: Vec<u32> = errors.map(|judged| judged.threshold.users.from).collect();
    assert_eq!(from_users, [101]);
}

#[test]
fn a_scaled_run_has_a_note() {
    let scaled = verdict(|outcome| outcome.load.time_scale = 0.1);
    assert!(scaled.notes[0].contains("scaled by 0.1"), "{:?}", scaled.notes);
    assert!(!verdict(|_| {}).notes.iter().any(|note| note.contains("scaled")));
}

#[test]
fn a_burst_has_a_note_with_its_rate() {
    let verdict = verdict(|outcome| {
        let stage = &mut outcome.load.stages[1];
        (stage.burst, stage.from_rate, stage.to_rate) = (500, 0.0, 0.0);
        outcome.endpoints[0].cells[10].latency.record(Duration::from_secs(2));
    });
    let note = verdict.notes.iter().find(|note| note.starts_with("burst of 500 arrivals: "));
    let judged = example::outcome().tally_judged().counts.succeeded;
    let rate = judged.div_ceil(2);
    let expected = format!("{judged} succeeded, the last after 2.00 s, which is {rate} per second");
    assert!(note.is_some_and(|note| note.contains(&expected)), "{expected} {:?}", verdict.notes);
    // Beside other arrivals the burst cannot be distinguished.
    for (burst, from_rate, to_rate) in [(0, 0.0, 0.0), (500, 5.0, 5.0), (500, 0.0, 5.0)] {
        let none = self::verdict(|outcome| {
            let stage = &mut outcome.load.stages[1];
            (stage.burst, stage.from_rate, stage.to_rate) = (burst, from_rate, to_rate);
        });
        assert!(!none.notes.iter().any(|note| note.starts_with("burst")), "{burst}");
    }
}

#[test]
fn a_stage_with_iterations_has_a_note_with_their_rate() {
    let verdict = verdict(|outcome| {
        outcome.load.stages[1].iterations = 30;
        let stage = outcome.load.stages[1].name.clone();
        outcome.iterations =
            vec![StageIterations { stage, users: 4, started: 21, duration_s: 0.5 }];
    });
    let expected = "stage steady: 21 of 30 iterations by 4 users in 0.50 s, 42 per second";
    assert!(verdict.notes.iter().any(|note| note == expected), "{:?}", verdict.notes);
}

#[test]
fn requests_that_never_ended_have_a_note() {
    let note = |verdict: &Verdict| verdict.notes.iter().any(|note| note.contains("were aborted"));
    assert!(!note(&verdict(|_| {})));
    assert!(note(&verdict(|outcome| outcome.endpoints[0].cells[3].counts.sent += 1)));
}

#[test]
fn how_the_run_ended_and_what_is_not_decidable_is_noted() {
    let notes = |ended, undecided: usize| {
        let verdict = verdict(|outcome| {
            (outcome.ended, outcome.duration_s) = (ended, 20.0);
            outcome.endpoints.clear();
            let metrics: &[Metric] = match undecided {
                0 => &[Metric::SecondsToHealthy],
                1 => &[Metric::SecondsToHealthy, Metric::QueueAfter],
                _ => &[Metric::SecondsToHealthy, Metric::QueueAfter, Metric::Rate],
            };
            let threshold = outcome.sla.thresholds[0].clone();
            let of = |metric: &Metric| Threshold {
                subject: Subject::AllRequests,
                metric: metric.clone(),
                required: false,
                ..threshold.clone()
            };
            outcome.sla.thresholds = metrics.iter().map(of).collect();
        });
        verdict.notes
    };
    assert!(notes(Ended::AsPlanned, 0).is_empty());
    assert_eq!(
        notes(Ended::Interrupted, 0),
        ["interrupted after 20 of 35 seconds: judged by the data up to then"]
    );
    assert_eq!(
        notes(Ended::Killed, 0),
        [
            "killed after 20 of 35 seconds: judged by the data written up to then; the last seconds may be \
          missing"
        ]
    );
    assert!(notes(Ended::AsPlanned, 1).is_empty(), "the heading of a PASS has their number");
    assert_eq!(
        notes(Ended::Interrupted, 1)[1],
        "1 of 2 thresholds is not decidable, so not counted as met"
    );
    assert!(notes(Ended::Interrupted, 2)[1].starts_with("2 of 3 thresholds are not decidable"));
    let skipped = verdict(|_| {});
    assert!(!skipped.notes.iter().any(|note| note.contains("left out")), "{:?}", skipped.notes);
}

#[test]
fn overrides_and_advisories_are_noted() {
    let verdict = verdict(|outcome| {
        outcome.load.overrides = vec!["4 users".into(), "run time 9s".into()];
        outcome.advisory = vec!["somebody changed it".into()];
    });
    let notes = verdict.notes.join("\n");
    assert!(notes.contains("command line: 4 users, run time 9s"), "{notes}");
    assert!(notes.contains("somebody changed it"), "{notes}");
}

#[test]
fn seconds_in_which_the_generator_did_not_exist_are_no_pass() {
    let verdict = verdict(|outcome| {
        outcome.samples.retain(|sample| !(12..24).contains(&sample.second));
    });
    assert_eq!(verdict.grade, Grade::Invalid);
    assert!(verdict.reason.contains("measured itself in 18 of 30 seconds"), "{}", verdict.reason);
}

#[test]
fn a_run_without_a_judged_stage_is_no_pass() {
    let verdict = verdict(|outcome| {
        for stage in &mut outcome.load.stages {
            stage.judged = false;
        }
        outcome.sla.thresholds.retain(|one| one.metric == Metric::SecondsToHealthy);
    });
    assert_eq!(verdict.grade, Grade::Insufficient, "{}", verdict.reason);
}

#[test]
fn failures_in_the_ramp_only_are_not_judged() {
    let verdict = verdict(|outcome| {
        outcome.sla.thresholds.retain(|one| one.subject == Subject::AllRequests);
        let of = |second, succeeded, server_errors| EndpointCell {
            second,
            counts: Counts {
                sent: succeeded + server_errors,
                succeeded,
                server_errors,
                ..Counts::default()
            },
            ..EndpointCell::default()
        };
        outcome.endpoints[0].cells = vec![of(0, 0, 900), of(10, 100, 0)];
    });
    assert_eq!(verdict.grade, Grade::Pass, "{}", verdict.reason);
}

#[test]
fn a_stricter_limit_replaces_the_default_one() {
    let groups = |fail_percent: f64| -> Vec<String> {
        let verdict = verdict(|outcome| {
            outcome.endpoints.truncate(1);
            outcome.sla.thresholds = vec![Threshold {
                subject: Subject::Endpoint(outcome.endpoints[0].name.clone()),
                group: "own".into(),
                metric: Metric::all_errors(),
                limit: Limit::below(1.0),
                fail_limit: Some(Limit::at_most(fail_percent)),
                required: true,
                ..outcome.sla.thresholds[0].clone()
            }];
        });
        verdict.thresholds.into_iter().map(|judged| judged.threshold.group).collect()
    };
    assert_eq!(groups(5.0), ["own"]);
    assert_eq!(groups(80.0), ["own", "default"], "a looser one does not");
}

#[test]
fn a_partial_limit_does_not_replace_the_default_one() {
    let failing = |change: fn(&mut Threshold)| {
        verdict(|outcome| {
            let endpoint = &mut outcome.endpoints[0];
            for cell in &mut endpoint.cells {
                cell.counts = Counts {
                    sent: cell.counts.sent,
                    server_errors: cell.counts.sent,
                    ..Counts::default()
                };
            }
            let mut limit = Threshold {
                subject: Subject::Endpoint(endpoint.name.clone()),
                metric: Metric::all_errors(),
                limit: Limit::below(1.0),
                fail_limit: Some(Limit::below(1.0)),
                ..outcome.sla.thresholds[0].clone()
            };
            limit.required = true;
            change(&mut limit);
            outcome.sla.thresholds = vec![limit];
        })
        .grade
    };
    let timeouts: fn(&mut Threshold) = |limit| {
        limit.metric = Metric::ErrorRate(vec![FailureKind::TimedOut]);
    };
    for change in [timeouts, |limit| limit.fail_limit = None, |limit| limit.required = false] {
        assert_eq!(failing(change), Grade::Fail);
    }
}

#[test]
fn a_violation_far_beyond_the_lag_is_not_hidden_by_it() {
    let verdict = verdict(|outcome| {
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            let count = cell.latency.len();
            cell.latency = Distribution::default();
            for _ in 0..count {
                cell.latency.record(Duration::from_secs(5));
            }
        }
        for sample in &mut outcome.samples {
            sample.generator_timer_lag.record(Duration::from_millis(310));
        }
    });
    assert_eq!(verdict.grade, Grade::Fail, "{}", verdict.reason);
}

#[test]
fn a_single_second_without_cpu_time_does_not_invalidate_a_run() {
    let verdict = verdict(|outcome| {
        for sample in &mut outcome.samples {
            (sample.generator_cpu, sample.generator_cpu_wait) = (Some(0.02), Some(0.0));
        }
        outcome.samples[20].generator_cpu_wait = Some(1.0);
    });
    assert_eq!(verdict.grade, Grade::Pass, "{}", verdict.reason);
}

#[test]
fn a_limit_of_the_sla_that_is_not_decidable_is_counted_in_the_line() {
    let verdict = verdict(|outcome| {
        outcome.sla.over_time.memory_growth =
            Some(crate::sla::MemoryGrowthLimit { below_percent: 20.0, over_s: 86_400.0 });
    });
    assert_eq!(verdict.grade, Grade::Pass);
    assert!(verdict.reason.ends_with("memory growth not decidable in so short a run"));
}

#[test]
fn a_threshold_that_aborted_the_run_fails_it_and_says_when() {
    let verdict = verdict(|outcome| {
        fail_some(outcome, FailureKind::ServerError, 2);
        // The thresholds of latency, which come first, are violated too.
        for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
            cell.latency.record_times(Duration::from_secs(9), cell.counts.sent);
        }
        let errors = |one: &&Threshold| matches!(one.metric, Metric::ErrorRate(_));
        let threshold = outcome.sla.thresholds.iter().find(errors).unwrap().clone();
        outcome.ended = Ended::Aborted;
        outcome.duration_s = 13.4;
        outcome.aborted = Some(crate::outcome::Aborted { after_s: 12, threshold });
    });
    assert_eq!(verdict.grade, Grade::Fail);
    let reason = &verdict.reason;
    assert!(reason.starts_with("all requests: errors"), "{reason}");
    assert!(reason.contains("; it aborted the run after 12s; GET "), "{reason}");
    let note = verdict.notes.iter().find(|note| note.starts_with("aborted after 12 of 35 seconds"));
    assert!(note.is_some_and(|note| note.contains("< 1 % for errors of all requests")), "{note:?}");
}

/// Adds accepted work to the outcome: all of it completed, but this many items twice.
fn with_work(outcome: &mut Outcome, doubled: Option<u64>) {
    let second = outcome.judged_span().start;
    let cell = CompletionCell { second, accepted: 9, completed: 9, ..Default::default() };
    let drain_s = Some(0.0);
    outcome.completions = vec![Completion {
        work: "w".into(),
        drain_s,
        cells: vec![cell],
        doubled,
        ..Default::default()
    }];
}

#[test]
fn doubled_work_fails_a_run_whose_sla_does_not_mention_it() {
    let of = |doubled| verdict(|outcome| with_work(outcome, doubled));
    let failed = of(Some(2));
    assert_eq!(failed.grade, Grade::Fail);
    assert!(failed.reason.contains("w: doubled 2, threshold <= 0"), "{}", failed.reason);
    let grade = verdict(|_| ()).grade;
    assert_eq!((of(Some(0)).grade, of(None).grade), (grade, grade));
    // An SLA may allow it.
    let allowed = verdict(|outcome| {
        with_work(outcome, Some(2));
        let limit = Limit::at_most(2.0);
        outcome.sla.thresholds.push(Threshold {
            subject: Subject::Work("w".into()),
            metric: Metric::Doubled,
            limit,
            fail_limit: Some(limit),
            during: During::Run,
            ..outcome.sla.thresholds[0].clone()
        });
    });
    assert_eq!(allowed.grade, grade, "{}", allowed.reason);
}

#[test]
fn a_run_that_was_interrupted_after_its_load_says_so() {
    let verdict = verdict(|outcome| {
        with_work(outcome, Some(0));
        outcome.completions[0].cells[0].completed = 5;
        outcome.completions[0].cut_short = true;
        outcome.ended = Ended::Interrupted;
        outcome.duration_s = f64::from(outcome.planned_seconds()) + 0.1;
    });
    assert_eq!(verdict.grade, Grade::Insufficient);
    let reason = "interrupted while 4 items of accepted work had not ended";
    assert!(verdict.reason.contains(reason), "{}", verdict.reason);
    let note = "the wait for accepted work was cut short: 4 of 9 items (w)";
    assert!(verdict.notes.iter().any(|text| text.contains(note)), "{:?}", verdict.notes);
}
