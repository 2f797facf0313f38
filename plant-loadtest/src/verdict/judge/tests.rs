//! Tests of the judgement of one threshold.

use super::*;
use crate::{
    distribution::Distribution,
    load::Stage,
    outcome::{
        Aborted, ClassEndpoint, Completion, CompletionCell, CounterCell, Counts, EndpointCell,
        ItemProblem, StageIterations,
    },
    report::example,
    sla::{Comparison, Limit, UserRange},
};
use std::time::Duration;

/// Returns an outcome whose only requests are `samples` to `GET /health` of `millis` each.
fn outcome_with(samples: u64, millis: u64) -> Outcome {
    let mut outcome = example::outcome();
    let mut cell = EndpointCell { second: outcome.judged_span().start, ..EndpointCell::default() };
    cell.counts = Counts { sent: samples, succeeded: samples, ..Counts::default() };
    for _ in 0..samples {
        cell.latency.record(Duration::from_millis(millis));
    }
    outcome.endpoints.retain(|endpoint| endpoint.name == "GET /health");
    outcome.endpoints[0].cells = vec![cell];
    outcome
}

/// Returns a threshold for `GET /health`: a lower one of a rate, an upper one of other metrics. It
/// fails beyond `fail_limit`.
fn threshold(metric: Metric, limit: f64, fail_limit: Option<f64>) -> Threshold {
    let limit_of = match metric {
        Metric::Rate => Limit::at_least,
        _ if limit > 0.0 => Limit::below,
        _ => Limit::at_most,
    };
    let fail_limit = fail_limit.map(|fail| match fail > limit {
        true => Limit::at_most(fail),
        false => limit_of(fail),
    });
    Threshold {
        subject: Subject::Endpoint("GET /health".into()),
        group: String::new(),
        metric,
        limit: limit_of(limit),
        fail_limit,
        users: UserRange::ANY,
        during: During::Judged,
        window_s: None,
        required: true,
        abort_after_s: None,
    }
}

fn judge_by_point(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    judge(outcome, threshold, Judging::Point)
}

fn judge_by_interval(outcome: &Outcome, threshold: &Threshold) -> JudgedThreshold {
    judge(outcome, threshold, Judging::default())
}

#[test]
fn a_p95_within_the_tolerance_warns_and_above_it_fails() {
    let threshold = threshold(Metric::P95, 100.0, Some(150.0));
    for (millis, grade) in
        [(99, Grade::Pass), (110, Grade::Warning), (149, Grade::Warning), (160, Grade::Fail)]
    {
        assert_eq!(judge_by_point(&outcome_with(20, millis), &threshold).grade, grade, "{millis}");
    }
}

#[test]
fn a_violated_p99_only_warns() {
    let threshold = threshold(Metric::P99, 100.0, None);
    assert_eq!(judge_by_point(&outcome_with(100, 5_000), &threshold).grade, Grade::Warning);
}

#[test]
fn too_few_samples_are_never_a_pass() {
    for (metric, enough) in [(Metric::P50, 10), (Metric::P95, 20), (Metric::P99, 100)] {
        let threshold = threshold(metric, 100.0, None);
        assert_eq!(
            judge_by_point(&outcome_with(enough - 1, 1), &threshold).grade,
            Grade::Insufficient
        );
        assert_eq!(judge_by_point(&outcome_with(enough, 1), &threshold).grade, Grade::Pass);
    }
}

#[test]
fn too_few_samples_can_fail() {
    let threshold = threshold(Metric::P95, 100.0, Some(150.0));
    assert_eq!(judge_by_point(&outcome_with(5, 900), &threshold).grade, Grade::Fail);
    assert_eq!(judge_by_point(&outcome_with(1, 900), &threshold).grade, Grade::Insufficient);
}

#[test]
fn an_error_rate_needs_enough_requests_for_its_threshold() {
    let threshold = threshold(Metric::ErrorRate(vec![]), 1.0, Some(5.0));
    assert_eq!(judge_by_point(&outcome_with(99, 1), &threshold).grade, Grade::Insufficient);
    assert_eq!(judge_by_point(&outcome_with(100, 1), &threshold).grade, Grade::Pass);
}

#[test]
fn a_point_error_rate_assumes_that_missing_requests_succeed() {
    let errors = Metric::all_errors();
    let mut outcome = outcome_with(30, 1);
    let counts = &mut outcome.endpoints[0].cells[0].counts;
    (counts.succeeded, counts.server_errors) = (29, 1);
    // 1 of 30 is 3.3 %, but 2 % of the 50 requests that the limit needs.
    let judged = judge_by_point(&outcome, &threshold(errors.clone(), 2.0, Some(3.0)));
    assert_eq!(judged.grade, Grade::Warning);
    outcome.endpoints[0].cells.clear();
    let judged = judge_by_interval(&outcome, &threshold(errors, 2.0, Some(3.0)));
    assert_eq!((judged.grade, judged.measured), (Grade::Insufficient, None));
}

#[test]
fn a_threshold_for_every_window_is_judged_by_the_worst_one() {
    let mut outcome = outcome_with(20, 10);
    let judged = outcome.judged_span();
    let length = (judged.end - judged.start) / 5;
    let good = outcome.endpoints[0].cells[0].clone();
    let mut bad = outcome_with(20, 160).endpoints[0].cells[0].clone();
    bad.second = judged.start + length;
    outcome.endpoints[0].cells = vec![good, bad];
    let whole_run = threshold(Metric::P50, 100.0, Some(150.0));
    assert_eq!(judge_by_point(&outcome, &whole_run).grade, Grade::Pass, "over the whole run");
    let found =
        judge_by_point(&outcome, &Threshold { window_s: Some(length), ..whole_run.clone() });
    let second = judged.start + length;
    assert!(found.window.as_ref().is_some_and(|window| window.contains(&second)), "{found:?}");
    assert_eq!(found.grade, Grade::Fail);
    // Without the bad window, the remaining empty windows cannot meet the threshold.
    outcome.endpoints[0].cells.pop();
    let found = judge_by_point(&outcome, &Threshold { window_s: Some(length), ..whole_run });
    assert_eq!(found.grade, Grade::Insufficient);
}

#[test]
fn an_unjudged_stage_between_judged_ones_does_not_count() {
    let mut outcome = outcome_with(100, 10);
    let steady = outcome.load.stages[1].clone();
    let middle = steady.from_s + 5;
    outcome.load.stages.truncate(1);
    for (from_s, to_s, judged) in [
        (steady.from_s, middle, true),
        (middle, middle + 5, false),
        (middle + 5, steady.to_s, true),
    ] {
        let name = format!("s{from_s}");
        outcome.load.stages.push(Stage { name, from_s, to_s, judged, ..steady.clone() });
    }
    let mut slow = outcome_with(100, 900).endpoints[0].cells[0].clone();
    slow.second = middle + 1;
    outcome.endpoints[0].cells.push(slow);
    let judged = judge_by_point(&outcome, &threshold(Metric::P95, 100.0, Some(150.0)));
    assert_eq!((judged.grade, judged.samples), (Grade::Pass, 100));
}

#[test]
fn throughput_counts_successful_responses_by_completion_time() {
    let mut outcome = outcome_with(0, 0);
    let seconds = outcome.judged_span();
    let length = u64::from(seconds.end - seconds.start);
    outcome.endpoints[0].cells[0].throughput_count = length * 40;
    for (at_least, grade) in [(40.0, Grade::Pass), (41.0, Grade::Fail)] {
        let threshold = Threshold {
            subject: Subject::AllRequests,
            ..threshold(Metric::Rate, at_least, Some(at_least))
        };
        assert_eq!(judge_by_point(&outcome, &threshold).grade, grade, "{at_least}");
    }
}

#[test]
fn requests_of_the_ramp_do_not_count() {
    let mut outcome = outcome_with(100, 900);
    outcome.endpoints[0].cells[0].second = 0;
    let judged = judge_by_point(&outcome, &threshold(Metric::P95, 100.0, Some(150.0)));
    assert_eq!((judged.grade, judged.samples), (Grade::Insufficient, 0));
}

/// Returns an outcome with requests to `GET /health`: `slow` of 900 ms and `fast` of 1 ms.
fn fast_and_slow(fast: u64, slow: u64) -> Outcome {
    let mut outcome = outcome_with(fast, 1);
    let slow = outcome_with(slow, 900).endpoints[0].cells[0].clone();
    outcome.endpoints[0].cells.push(slow);
    outcome
}

#[test]
fn a_percentile_is_decided_by_its_confidence_interval() {
    let p95 = threshold(Metric::P95, 100.0, Some(150.0));
    for (fast, slow, grade) in [
        (71, 0, Grade::Insufficient),
        (72, 0, Grade::Pass),
        // P95 of 20 requests, two of which are slow: the true share may be 5 %.
        (18, 2, Grade::Insufficient),
        (980, 20, Grade::Pass),
        (960, 40, Grade::Insufficient),
        (920, 80, Grade::Fail),
    ] {
        let judged = judge_by_interval(&fast_and_slow(fast, slow), &p95);
        assert_eq!(judged.grade, grade, "{slow} of {}: {}", fast + slow, judged.summary());
    }
}

#[test]
fn a_threshold_that_is_not_decidable_says_what_would_decide_it() {
    let judged = judge_by_interval(&outcome_with(20, 1), &threshold(Metric::P95, 100.0, None));
    assert_eq!(judged.undecided.as_ref().unwrap().samples_needed, Some(72));
    assert!(judged.summary().ends_with("(20 samples, 72 would decide)"), "{}", judged.summary());
}

#[test]
fn an_error_rate_is_decided_by_its_confidence_interval() {
    let rate = threshold(Metric::all_errors(), 0.01, Some(0.01));
    for (total, errors, grade) in [
        (300, 1, Grade::Insufficient),
        (10_000, 1, Grade::Insufficient),
        (36_887, 0, Grade::Pass),
        (300, 3, Grade::Fail),
    ] {
        let mut outcome = outcome_with(total, 1);
        let counts = &mut outcome.endpoints[0].cells[0].counts;
        (counts.succeeded, counts.server_errors) = (total - errors, errors);
        assert_eq!(judge_by_interval(&outcome, &rate).grade, grade, "{errors} of {total}");
    }
}

#[test]
fn what_remains_after_the_last_whole_window_belongs_to_it() {
    let windows = |length| windows(&(5..34), length).collect::<Vec<_>>();
    assert_eq!(windows(10), [5..15, 15..34]);
    assert_eq!(windows(29), vec![5..34; 1]);
    assert_eq!(windows(60), vec![5..34; 1]);
}

#[test]
fn a_stage_that_was_cut_short_is_violated_or_not_decidable() {
    let mut outcome = outcome_with(1_000, 1);
    outcome.ended = Ended::Interrupted;
    outcome.duration_s = f64::from(outcome.judged_span().end) - 3.0;
    let met = threshold(Metric::P95, 100.0, Some(150.0));
    let judged = judge_by_interval(&outcome, &met);
    assert_eq!(judged.grade, Grade::Insufficient);
    assert!(judged.summary().contains("were run"), "{}", judged.summary());
    let violated = threshold(Metric::P95, 0.5, Some(0.5));
    assert_eq!(judge_by_interval(&outcome, &violated).grade, Grade::Fail);
}

#[test]
fn the_throughput_of_a_run_that_was_cut_short_counts_the_seconds_that_were_run() {
    let mut outcome = outcome_with(0, 0);
    let from = outcome.judged_span().start;
    outcome.ended = Ended::Interrupted;
    outcome.duration_s = f64::from(from) + 10.4;
    outcome.endpoints[0].cells[0].throughput_count = 500;
    let fifty =
        Threshold { subject: Subject::AllRequests, ..threshold(Metric::Rate, 50.0, Some(50.0)) };
    let judged = judge_by_interval(&outcome, &fifty);
    assert_eq!((judged.measured, judged.grade), (Some(50.0), Grade::Insufficient));
}

#[test]
fn windows_over_the_whole_run_end_with_it() {
    let outcome = outcome_with(1_000, 1);
    let p95 = Threshold {
        during: During::Run,
        window_s: Some(10_000),
        ..threshold(Metric::P95, 100.0, None)
    };
    let judged = judge_by_interval(&outcome, &p95);
    assert_eq!(judged.grade, Grade::Pass);
    assert!(judged.window.unwrap().end < 100);
}

#[test]
fn the_time_after_the_load_is_no_window_of_its_own() {
    let mut outcome = outcome_with(0, 0);
    let planned = outcome.planned_seconds();
    outcome.endpoints[0].cells = (0..planned)
        .map(|second| EndpointCell {
            second,
            counts: Counts { sent: 100, succeeded: 100, ..Counts::default() },
            ..EndpointCell::default()
        })
        .collect();
    let errors = Threshold {
        during: During::Run,
        window_s: Some(1),
        ..threshold(Metric::all_errors(), 8.0, Some(8.0))
    };
    assert!(outcome.duration_s > f64::from(planned));
    assert_eq!(judge_by_interval(&outcome, &errors).grade, Grade::Pass);
    // What is requested after the load belongs to the last window.
    outcome.endpoints[0].cells.push(EndpointCell {
        second: planned,
        counts: Counts { sent: 50, server_errors: 50, ..Counts::default() },
        ..EndpointCell::default()
    });
    let judged = judge_by_interval(&outcome, &errors);
    assert_eq!((judged.grade, judged.window), (Grade::Fail, Some(planned - 1..planned + 1)));
}

#[test]
fn a_resource_that_was_rarely_sampled_is_not_decidable() {
    let limit = Threshold {
        subject: Subject::Service,
        ..threshold(Metric::Resource(Resource::Memory), 1e9, Some(1e9))
    };
    let mut outcome = example::outcome();
    assert_eq!(judge_by_interval(&outcome, &limit).grade, Grade::Pass);
    let half = outcome.judged_span().start + 10;
    outcome.samples.iter_mut().filter(|sample| sample.second > half).for_each(|sample| {
        sample.service.memory_bytes = None;
    });
    let judged = judge_by_interval(&outcome, &limit);
    assert_eq!(judged.grade, Grade::Insufficient);
    assert!(judged.summary().contains("sampled in"), "{}", judged.summary());
    // What was seen can violate the limit all the same.
    let tiny = Limit::below(0.001);
    let exceeded = Threshold { limit: tiny, fail_limit: Some(tiny), ..limit };
    assert_eq!(judge_by_interval(&outcome, &exceeded).grade, Grade::Fail);
}

#[test]
fn dropped_arrivals_are_errors_of_all_requests() {
    let mut outcome = outcome_with(990, 1);
    let second = outcome.judged_span().start;
    let dropped =
        crate::outcome::ArrivalCell { second, scheduled: 1_000, dropped: 10, ..Default::default() };
    outcome.arrivals = vec![dropped];
    let errors = Metric::all_errors();
    let all = Threshold { subject: Subject::AllRequests, ..threshold(errors, 0.1, Some(0.1)) };
    let judged = judge_by_interval(&outcome, &all);
    assert_eq!((judged.measured, judged.grade), (Some(1.0), Grade::Fail));
    // They are of no endpoint, and no errors of the service.
    let of_endpoint = Threshold { subject: Subject::Endpoint("GET /health".into()), ..all.clone() };
    assert_eq!(judge_by_interval(&outcome, &of_endpoint).measured, Some(0.0));
    let by_service = Metric::ErrorRate(vec![FailureKind::ServerError]);
    let by_service = Threshold { metric: by_service, ..all };
    assert_eq!(judge_by_interval(&outcome, &by_service).measured, Some(0.0));
}

#[test]
fn of_equally_bad_windows_the_worst_value_is_shown() {
    let mut outcome = outcome_with(200, 160);
    let judged = outcome.judged_span();
    let worse = outcome_with(200, 900).endpoints[0].cells[0].clone();
    let (second, third) = (judged.start + 10, judged.start + 20);
    for start in [second, third] {
        outcome.endpoints[0].cells.push(EndpointCell { second: start, ..worse.clone() });
    }
    let p95 = Threshold { window_s: Some(10), ..threshold(Metric::P95, 100.0, Some(100.0)) };
    let found = judge_by_interval(&outcome, &p95);
    assert_eq!(found.window, Some(second..third), "the first of equal ones");
    assert!(found.measured.unwrap() > 899.0);
    // In a run that is ten times as short, so are the windows.
    outcome.load.time_scale = 0.1;
    let p95 = Threshold { window_s: Some(100), ..p95 };
    assert_eq!(judge_by_interval(&outcome, &p95).window, Some(second..third));
}

#[test]
fn of_several_windows_the_lowest_throughput_decides() {
    let mut outcome = outcome_with(0, 0);
    let judged = outcome.judged_span();
    outcome.endpoints[0].cells = judged
        .clone()
        .map(|second| EndpointCell {
            second,
            throughput_count: if second < judged.start + 10 { 40 } else { 80 },
            ..EndpointCell::default()
        })
        .collect();
    for limit in [60.0, 90.0] {
        let rate = Threshold {
            subject: Subject::AllRequests,
            window_s: Some(10),
            ..threshold(Metric::Rate, limit, Some(limit))
        };
        let found = judge_by_interval(&outcome, &rate);
        assert_eq!((found.grade, found.measured), (Grade::Fail, Some(40.0)), "{limit}");
    }
}

#[test]
fn only_the_limited_kinds_of_errors_count() {
    let mut outcome = outcome_with(1_000, 1);
    let counts = &mut outcome.endpoints[0].cells[0].counts;
    (counts.succeeded, counts.client_errors) = (900, 100);
    let of = |kinds: &[FailureKind]| threshold(Metric::ErrorRate(kinds.to_vec()), 1.0, Some(1.0));
    assert_eq!(judge_by_interval(&outcome, &of(&[FailureKind::TimedOut])).grade, Grade::Pass);
    assert_eq!(judge_by_interval(&outcome, &of(&[FailureKind::ClientError])).grade, Grade::Fail);
}

#[test]
fn restarts_that_nobody_could_see_are_not_decidable() {
    let none = Threshold {
        subject: Subject::Service,
        during: During::Run,
        ..threshold(Metric::Restarts, 0.0, Some(0.0))
    };
    let mut outcome = example::outcome();
    assert_eq!(judge_by_interval(&outcome, &none).grade, Grade::Pass);
    let hide = |outcome: &mut Outcome, from: u32| {
        for sample in outcome.samples.iter_mut().filter(|sample| sample.second >= from) {
            (sample.service.started_at, sample.service.cpu_seconds) = (None, None);
        }
    };
    // In two of three seconds, and at the end.
    let mut gaps = example::outcome();
    gaps.samples.retain(|sample| sample.second % 3 != 1);
    let judged = judge_by_interval(&gaps, &none);
    assert_eq!(judged.grade, Grade::Insufficient);
    assert!(judged.summary().contains("sampled in 23 of 36 seconds"), "{}", judged.summary());
    for sample in gaps.samples.iter_mut().skip(9) {
        sample.service.started_at = Some(1_800_000_000.0);
    }
    assert_eq!(judge_by_interval(&gaps, &none).grade, Grade::Fail, "one was seen");
    hide(&mut outcome, 32);
    assert_eq!(judge_by_interval(&outcome, &none).grade, Grade::Pass, "the last seconds");
    hide(&mut outcome, 29);
    let judged = judge_by_interval(&outcome, &none);
    assert_eq!(judged.grade, Grade::Insufficient, "more than five seconds");
    assert!(judged.summary().contains("not sampled after second 28"), "{}", judged.summary());
    hide(&mut outcome, 10);
    assert_eq!(judge_by_interval(&outcome, &none).grade, Grade::Insufficient, "a third only");
    hide(&mut outcome, 0);
    assert_eq!(judge_by_interval(&outcome, &none).grade, Grade::Insufficient);
}

#[test]
fn a_counter_that_goes_back_is_a_restart_even_if_the_start_time_is_unknown() {
    let none = Threshold {
        subject: Subject::Service,
        during: During::Run,
        ..threshold(Metric::Restarts, 0.0, Some(0.0))
    };
    let mut outcome = example::outcome();
    for sample in &mut outcome.samples {
        sample.service.started_at = None;
        if sample.second >= 20 {
            sample.service.cpu_seconds = Some(f64::from(sample.second) / 100.0);
        }
    }
    let judged = judge_by_interval(&outcome, &none);
    assert_eq!((judged.grade, judged.measured), (Grade::Fail, Some(1.0)));
}

#[test]
fn errors_logged_while_accepted_work_ends_count_in_the_whole_run() {
    let mut outcome = example::outcome();
    for sample in &mut outcome.samples {
        sample.service.logged_errors = Some(2.0);
    }
    let mut late = outcome.samples.last().unwrap().clone();
    late.second = outcome.planned_seconds() + 30;
    late.service.logged_errors = Some(3.0);
    outcome.samples.push(late);
    let grade = |during| {
        let logged = Metric::Resource(Resource::LoggedErrors);
        let threshold = Threshold { during, ..threshold(logged, 0.0, Some(0.0)) };
        judge_by_point(&outcome, &threshold).grade
    };
    assert_eq!((grade(During::Run), grade(During::Judged)), (Grade::Fail, Grade::Pass));
}

/// Returns an outcome with this accepted work, and the judgement of its drain time and of its
/// failures.
fn work(cells: &[CompletionCell], drain_s: Option<f64>) -> [JudgedThreshold; 2] {
    [(Metric::Drain, 30.0), (Metric::all_errors(), 10.0)]
        .map(|(metric, limit)| judge_work(cells.to_vec(), drain_s, metric, limit))
}

fn judge_work(
    cells: Vec<CompletionCell>,
    drain_s: Option<f64>,
    metric: Metric,
    limit: f64,
) -> JudgedThreshold {
    let mut outcome = example::outcome();
    let work = Completion { work: "w".into(), drain_s, cells, ..Completion::default() };
    outcome.completions = vec![work];
    let subject = Subject::Work("w".into());
    let limit = Threshold { subject, ..threshold(metric, limit, Some(limit)) };
    judge_by_interval(&outcome, &limit)
}

fn accepted(accepted: u64) -> CompletionCell {
    CompletionCell { second: 10, accepted, ..Default::default() }
}

#[test]
fn work_that_is_never_done_is_a_failure_and_not_merely_undecided() {
    let [drain, failed] = work(&[accepted(100)], None);
    assert_eq!((drain.grade, failed.grade), (Grade::Fail, Grade::Fail));
    let lost = CompletionCell { completed: 50, lost: 50, ..accepted(100) };
    let [drain, failed] = work(&[lost], None);
    assert_eq!((drain.grade, failed.grade), (Grade::Fail, Grade::Fail));
    let done = CompletionCell { completed: 100, ..accepted(100) };
    let [drain, _] = work(&[done], None);
    assert_eq!(drain.grade, Grade::Insufficient, "all has ended, but it is not known when");
    let [drain, failed] = work(&[], Some(0.0));
    assert_eq!((drain.grade, failed.grade), (Grade::Insufficient, Grade::Insufficient));
    let done = CompletionCell { completed: 100, ..accepted(100) };
    let [drain, failed] = work(&[done], Some(3.0));
    assert_eq!((drain.grade, failed.grade), (Grade::Pass, Grade::Pass));
}

#[test]
fn work_whose_state_could_not_be_read_is_not_decidable() {
    let some = CompletionCell { completed: 90, unreachable: 10, ..accepted(100) };
    let [drain, failed] = work(slice::from_ref(&some), None);
    assert_eq!((drain.grade, failed.grade), (Grade::Insufficient, Grade::Insufficient));
    assert!(failed.summary().contains("10 items could not be read"), "{}", failed.summary());
    // What could be read can violate the limits all the same.
    let lost = CompletionCell { completed: 45, lost: 45, ..some };
    let [drain, failed] = work(&[lost], None);
    assert_eq!((drain.grade, failed.grade), (Grade::Fail, Grade::Fail));
}

/// Returns the grades of P50, errors, drain time and not ended, of work with these results.
fn grades_of(completion: Completion, queue_after: Option<f64>) -> [Grade; 4] {
    judged_work(completion, queue_after).map(|judged| judged.grade)
}

fn judged_work(completion: Completion, queue_after: Option<f64>) -> [JudgedThreshold; 4] {
    let mut outcome = example::outcome();
    outcome.completions = vec![Completion { work: "w".into(), ..completion }];
    outcome.target.queue_after = queue_after;
    outcome.sla.thresholds.push(threshold(Metric::QueueAfter, 0.0, Some(0.0)));
    let limits = [
        (Metric::P50, Limit::below(1000.0)),
        (Metric::all_errors(), Limit::below(10.0)),
        (Metric::Drain, Limit::below(30.0)),
        (Metric::NotEnded, Limit::at_most(0.0)),
    ];
    limits.map(|(metric, limit)| {
        let subject = Subject::Work("w".into());
        let fail_limit = Some(limit);
        let threshold = Threshold { subject, limit, fail_limit, ..threshold(metric, 0.0, None) };
        judge_by_interval(&outcome, &threshold)
    })
}

/// Returns 100 items of accepted work, of which all but this many took half a second.
fn done_but(others: u64) -> CompletionCell {
    let mut cell = CompletionCell { completed: 100 - others, ..accepted(100) };
    cell.latency.record_times(Duration::from_millis(500), 100 - others);
    cell
}

fn drained(cell: CompletionCell) -> Completion {
    Completion { cells: vec![cell], drain_s: Some(1.0), ..Completion::default() }
}

#[test]
fn work_without_credible_times_keeps_every_threshold_from_being_met() {
    let [pass, insufficient] = [Grade::Pass, Grade::Insufficient];
    assert_eq!(grades_of(drained(done_but(0)), None), [pass; 4]);
    let cell = CompletionCell { not_credible: 3, ..done_but(3) };
    let mut some = Completion { drain_s: None, ..drained(cell) };
    some.not_credible_items = vec![ItemProblem { id: "T-7".into(), problem: "it is odd".into() }];
    for judged in judged_work(some.clone(), None) {
        assert_eq!(judged.grade, insufficient, "{}", judged.summary());
        let reason = "the times of 3 items are not credible, such as T-7: it is odd";
        assert!(judged.summary().contains(reason), "{}", judged.summary());
    }
    // What is certain remains.
    some.cells[0].lost = 40;
    some.cells[0].completed -= 40;
    let [_, errors, drain, not_ended] = grades_of(some, None);
    assert_eq!([errors, drain, not_ended], [Grade::Fail; 3]);
}

#[test]
fn work_that_was_no_longer_waited_for_is_not_decidable_but_lost_work_fails() {
    let mut cut = Completion { drain_s: None, cut_short: true, ..drained(done_but(32)) };
    for judged in judged_work(cut.clone(), None) {
        assert_eq!(judged.grade, Grade::Insufficient, "{}", judged.summary());
        let reason = "the wait for 32 items was cut short";
        assert!(judged.summary().contains(reason), "{}", judged.summary());
    }
    cut.cells[0].lost = 2;
    let [_, _, drain, not_ended] = judged_work(cut, None);
    assert_eq!([drain.grade, not_ended.grade], [Grade::Fail; 2]);
    assert_eq!(not_ended.measured, Some(2.0));
}

#[test]
fn a_list_that_shows_all_work_as_ended_is_not_believed_while_jobs_wait() {
    for judged in judged_work(drained(done_but(0)), Some(7.0)) {
        assert_eq!(judged.grade, Grade::Insufficient, "{}", judged.summary());
        assert!(judged.summary().contains("7 jobs wait in the queue"), "{}", judged.summary());
    }
    assert_eq!(grades_of(drained(done_but(0)), Some(0.0)), [Grade::Pass; 4]);
}

#[test]
fn doubled_work_fails_and_what_was_not_counted_is_not_decidable() {
    let judged = |completion: Completion| {
        let mut outcome = example::outcome();
        outcome.completions = vec![Completion { work: "w".into(), ..completion }];
        let limit = Limit::at_most(0.0);
        let subject = Subject::Work("w".into());
        let fail_limit = Some(limit);
        let threshold = threshold(Metric::Doubled, 0.0, None);
        judge_by_interval(&outcome, &Threshold { subject, limit, fail_limit, ..threshold }).grade
    };
    let of = |doubled| Completion { doubled, ..drained(done_but(0)) };
    assert_eq!(judged(of(Some(0))), Grade::Pass);
    assert_eq!(judged(of(Some(1))), Grade::Fail);
    assert_eq!(judged(of(None)), Grade::Insufficient, "older outcomes");
    let unread = CompletionCell { unreachable: 1, ..done_but(1) };
    let of_unread = |doubled| Completion { doubled, ..drained(unread.clone()) };
    assert_eq!(judged(of_unread(Some(0))), Grade::Insufficient);
    assert_eq!(judged(of_unread(Some(2))), Grade::Fail);
}

#[test]
fn a_health_check_that_was_no_longer_waited_for_is_not_decidable() {
    let grade = |health_cut_short| {
        let mut outcome = example::outcome();
        outcome.target.healthy_after_s = None;
        outcome.target.health_cut_short = health_cut_short;
        let healthy = threshold(Metric::SecondsToHealthy, 10.0, Some(10.0));
        judge_by_point(&outcome, &healthy).grade
    };
    assert_eq!((grade(false), grade(true)), (Grade::Fail, Grade::Insufficient));
}

#[test]
fn work_that_has_not_ended_is_counted_and_unread_work_may_be_more_of_it() {
    let not_ended = |cell| {
        let judged = judge_work(vec![cell], None, Metric::NotEnded, 5.0);
        (judged.measured, judged.grade)
    };
    let cell = |completed, failed, lost, unreachable| CompletionCell {
        completed,
        failed,
        lost,
        unreachable,
        ..accepted(100)
    };
    assert_eq!(not_ended(cell(94, 2, 3, 0)), (Some(4.0), Grade::Pass));
    assert_eq!(not_ended(cell(90, 2, 3, 0)), (Some(8.0), Grade::Fail));
    assert_eq!(not_ended(cell(94, 0, 0, 6)), (Some(0.0), Grade::Insufficient));
    assert_eq!(not_ended(cell(84, 0, 10, 6)), (Some(10.0), Grade::Fail));
}

#[test]
fn a_mean_is_decided_by_its_standard_error() {
    let mean = threshold(Metric::Mean, 100.0, Some(100.0));
    for (fast, slow, grade) in [
        (9, 0, Grade::Insufficient),
        (1_000, 0, Grade::Pass),
        (88, 12, Grade::Insufficient),
        (500, 500, Grade::Fail),
    ] {
        let judged = judge_by_interval(&fast_and_slow(fast, slow), &mean);
        assert_eq!(judged.grade, grade, "{slow} of {}: {}", fast + slow, judged.summary());
    }
    let undecided = judge_by_interval(&fast_and_slow(88, 12), &mean).undecided.unwrap();
    assert!(undecided.samples_needed.unwrap() > 100, "{undecided:?}");
}

#[test]
fn the_interval_of_a_mean_is_1_96_standard_errors_to_each_side() {
    // Mean 100 ms, standard deviation 50 ms, so the interval of 100 requests is 90.2 to 109.8 ms.
    let mut outcome = outcome_with(50, 50);
    outcome.endpoints[0].cells.extend(outcome_with(50, 150).endpoints[0].cells.clone());
    let judge =
        |limit: f64| judge_by_interval(&outcome, &threshold(Metric::Mean, limit, Some(limit)));
    for (limit, grade) in [
        (88.0, Grade::Fail),
        (91.5, Grade::Insufficient),
        (100.0, Grade::Insufficient),
        (108.5, Grade::Insufficient),
        (111.5, Grade::Pass),
    ] {
        assert_eq!(judge(limit).grade, grade, "{limit}");
    }
    // A distance of 8 ms needs (9.8 / 8)² as many requests.
    let needed = |limit: f64| judge(limit).undecided.unwrap().samples_needed;
    assert!((145..158).contains(&needed(108.0).unwrap()), "{:?}", needed(108.0));
    let mean = judge(100.0).measured.unwrap();
    assert_eq!(needed(mean), None, "no number of requests decides a mean at its limit");
    assert_eq!(needed(mean + 0.000_1), None, "nor a realistic one, very close to it");
}

#[test]
fn ten_requests_are_enough_for_a_mean() {
    let mean = threshold(Metric::Mean, 100.0, Some(100.0));
    assert_eq!(judge_by_interval(&outcome_with(9, 1), &mean).grade, Grade::Insufficient);
    assert_eq!(judge_by_interval(&outcome_with(10, 1), &mean).grade, Grade::Pass);
}

#[test]
fn a_single_sample_decides_a_maximum() {
    let max = threshold(Metric::Max, 100.0, Some(200.0));
    for (millis, grade) in [(50, Grade::Pass), (150, Grade::Warning), (250, Grade::Fail)] {
        assert_eq!(judge_by_interval(&outcome_with(1, millis), &max).grade, grade, "{millis}");
    }
}

#[test]
fn the_rate_of_the_whole_run_is_that_of_its_load() {
    let mut outcome = outcome_with(0, 0);
    let planned = outcome.planned_seconds();
    outcome.endpoints[0].cells = (0..planned)
        .map(|second| EndpointCell { second, throughput_count: 100, ..EndpointCell::default() })
        .collect();
    let rate = Threshold {
        subject: Subject::AllRequests,
        during: During::Run,
        ..threshold(Metric::Rate, 99.0, Some(99.0))
    };
    let judged = judge_by_interval(&outcome, &rate);
    assert_eq!((judged.grade, judged.measured), (Grade::Pass, Some(100.0)));
}

#[test]
fn a_limit_above_the_request_timeout_is_not_met_by_timeouts() {
    let mut outcome = outcome_with(1_000, 900);
    outcome.load.timeout_s = 1.0;
    let p95 = threshold(Metric::P95, 1_500.0, Some(1_500.0));
    assert_eq!(judge_by_interval(&outcome, &p95).grade, Grade::Pass);
    let counts = &mut outcome.endpoints[0].cells[0].counts;
    (counts.succeeded, counts.timed_out) = (650, 350);
    assert_eq!(judge_by_interval(&outcome, &p95).grade, Grade::Insufficient);
    // Up to the timeout it is known which requests were slower than the limit.
    for timeout_s in [1.5, 2.0] {
        outcome.load.timeout_s = timeout_s;
        assert_eq!(judge_by_interval(&outcome, &p95).grade, Grade::Pass, "{timeout_s} s");
    }
}

#[test]
fn work_accepted_just_after_the_load_counts() {
    let after = example::outcome().planned_seconds() + 2;
    let done = CompletionCell { completed: 100, ..accepted(100) };
    let late = CompletionCell { second: after, lost: 60, ..accepted(60) };
    let [_, failed] = work(&[done, late], None);
    assert_eq!(failed.grade, Grade::Fail, "{}", failed.summary());
}

#[test]
fn the_queue_after_the_accepted_work_is_judged_by_its_depth() {
    let mut outcome = example::outcome();
    let empty =
        Threshold { subject: Subject::Service, ..threshold(Metric::QueueAfter, 0.0, Some(0.0)) };
    for (depth, grade) in
        [(Some(0.0), Grade::Pass), (Some(3.0), Grade::Fail), (None, Grade::Insufficient)]
    {
        outcome.target.queue_after = depth;
        let judged = judge_by_interval(&outcome, &empty);
        assert_eq!((judged.grade, judged.measured), (grade, depth));
    }
}

#[test]
fn a_busy_generator_is_no_excuse_for_what_does_not_depend_on_it() {
    let busy = |mut outcome: Outcome, threshold: &Threshold| {
        for sample in &mut outcome.samples {
            sample.generator_cpu = Some(0.95);
        }
        judge_by_interval(&outcome, threshold).reported_grade()
    };
    let p95 = threshold(Metric::P95, 100.0, Some(100.0));
    assert_eq!(busy(outcome_with(1_000, 1), &p95), Grade::Invalid);
    assert_eq!(busy(outcome_with(5, 1), &p95), Grade::Insufficient, "too few requests anyway");
    let memory = Threshold {
        subject: Subject::Service,
        ..threshold(Metric::Resource(Resource::Memory), 1.0, Some(1.0))
    };
    assert_eq!(busy(example::outcome(), &memory), Grade::Fail);
}

#[test]
fn a_latency_is_only_invalid_if_the_longest_lag_could_explain_it() {
    let with_lag = |millis: u64, metric: Metric, lag_ms: u64| {
        let mut outcome = outcome_with(1_000, millis);
        let second = outcome.judged_span().start;
        let sample = outcome.samples.iter_mut().find(|sample| sample.second == second).unwrap();
        sample.generator_timer_lag = Distribution::default();
        sample.generator_timer_lag.record_times(Duration::from_millis(lag_ms), 1_000);
        judge_by_interval(&outcome, &threshold(metric, 400.0, Some(400.0))).reported_grade()
    };
    assert_eq!(with_lag(600, Metric::P95, 300), Grade::Invalid);
    assert_eq!(with_lag(800, Metric::P95, 300), Grade::Fail, "500 ms without the lag");
    // A maximum that is met despite the lag is met.
    assert_eq!(with_lag(300, Metric::P95, 300), Grade::Invalid);
    assert_eq!(with_lag(300, Metric::Max, 300), Grade::Pass);
}

#[test]
fn a_freeze_over_the_end_of_a_span_does_not_fail() {
    let mut outcome = example::outcome();
    let end = outcome.judged_span().end;
    let cells = outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells);
    for cell in cells.filter(|cell| cell.second + 1 == end) {
        cell.latency.record(Duration::from_millis(1_600));
    }
    let mut sample = outcome.samples[20].clone();
    sample.second = end;
    sample.generator_timer_lag.record(Duration::from_millis(1_500));
    outcome.samples.push(sample);
    let max = Threshold {
        subject: Subject::Endpoint(outcome.endpoints[0].name.clone()),
        ..threshold(Metric::Max, 1_000.0, Some(1_000.0))
    };
    let judged = judge_by_interval(&outcome, &max);
    assert_eq!(judged.reported_grade(), Grade::Invalid, "{}", judged.summary());
}

/// Returns an outcome in which the endpoints A and B of one class have 1,000 requests each. All to B
/// fail. A has the tag `read`.
fn outcome_of_two_endpoints() -> Outcome {
    let mut outcome = outcome_with(1_000, 1);
    let good = outcome.endpoints[0].clone();
    let mut bad = good.clone();
    let counts = &mut bad.cells[0].counts;
    (counts.succeeded, counts.server_errors) = (0, 1_000);
    outcome.endpoints = vec![good, bad];
    let mut class = outcome.load.classes[0].clone();
    for (endpoint, (name, tags)) in
        outcome.endpoints.iter_mut().zip([("A", vec!["read".to_owned()]), ("B", Vec::new())])
    {
        endpoint.name = name.into();
        class.endpoints.push(ClassEndpoint { name: name.into(), tags });
    }
    class.name = "Both".into();
    outcome.load.classes.insert(0, class);
    outcome
}

#[test]
fn a_class_and_a_tag_are_their_endpoints_together() {
    let outcome = outcome_of_two_endpoints();
    let measured = |subject| {
        let errors = Threshold { subject, ..threshold(Metric::all_errors(), 1.0, Some(1.0)) };
        let judged = judge_by_interval(&outcome, &errors);
        (judged.measured, judged.samples, judged.grade)
    };
    assert_eq!(measured(Subject::Class("Both".into())), (Some(50.0), 2_000, Grade::Fail));
    assert_eq!(measured(Subject::Tag("read".into())), (Some(0.0), 1_000, Grade::Pass));
    let of_nobody = (None, 0, Grade::Insufficient);
    assert_eq!(measured(Subject::Tag("write".into())), of_nobody);
    assert_eq!(measured(Subject::Class(outcome.load.classes[1].name.clone())), of_nobody);
    let p95 = Threshold {
        subject: Subject::Class("Both".into()),
        ..threshold(Metric::P95, 100.0, Some(100.0))
    };
    assert_eq!(judge_by_interval(&outcome, &p95).samples, 2_000);
}

#[test]
fn a_share_of_statuses_has_upper_and_lower_limits() {
    let mut outcome = outcome_with(1_000, 1);
    outcome.endpoints[0].cells[0].statuses = [(200, 970), (404, 20), (500, 10)].into();
    let (interval, point) = (Judging::default(), Judging::Point);
    for (statuses, comparison, percent, judging, grade) in [
        ("404", "<", 4.0, interval, Grade::Pass),
        ("404", "<", 1.0, interval, Grade::Fail),
        ("404", "<", 2.0, interval, Grade::Insufficient),
        ("4xx", "<", 1.0, interval, Grade::Fail),
        ("5xx", "<", 0.4, interval, Grade::Fail),
        ("403", "<", 1.0, interval, Grade::Pass),
        ("2xx", ">=", 95.0, interval, Grade::Pass),
        ("2xx", ">=", 99.0, interval, Grade::Fail),
        ("2xx", ">=", 97.0, interval, Grade::Insufficient),
        ("2xx", ">=", 97.0, point, Grade::Pass),
        ("2xx", ">", 97.0, point, Grade::Fail),
        ("404", "<", 2.0, point, Grade::Fail),
        ("404", "<=", 2.0, point, Grade::Pass),
    ] {
        let mut all = Comparison::ALL.iter().copied();
        let comparison = all.find(|one| one.symbol() == comparison).unwrap();
        let limit = Limit { comparison, value: percent };
        let metric = Metric::StatusShare(Statuses::parse(statuses).unwrap());
        let share = Threshold { limit, fail_limit: Some(limit), ..threshold(metric, 1.0, None) };
        let judged = judge(&outcome, &share, judging);
        assert_eq!(judged.grade, grade, "{judging:?}: {}", judged.summary());
    }
    let not_found = threshold(Metric::StatusShare(Statuses::parse("404").unwrap()), 4.0, None);
    assert_eq!(judge_by_interval(&outcome, &not_found).measured, Some(2.0));
    outcome.endpoints[0].cells.clear();
    let judged = judge_by_interval(&outcome, &not_found);
    assert_eq!((judged.grade, judged.measured), (Grade::Insufficient, None));
}

#[test]
fn requests_outside_the_load_count_in_the_whole_run_only() {
    let mut outcome = outcome_with(90, 1);
    outcome.endpoints[0].outside_load = Counts { sent: 10, server_errors: 10, ..Counts::default() };
    let measured = |during, window_s| {
        let errors = threshold(Metric::all_errors(), 50.0, Some(50.0));
        judge_by_interval(&outcome, &Threshold { during, window_s, ..errors }).measured
    };
    assert_eq!(measured(During::Run, None), Some(10.0));
    assert_eq!(measured(During::Judged, None), Some(0.0));
    assert_eq!(measured(During::Run, Some(1_000)), Some(0.0), "they are in no window");
}

#[test]
fn a_run_that_was_killed_could_not_check_the_health_after_the_load() {
    let mut outcome = example::outcome();
    outcome.target.healthy_after_s = None;
    let healthy = Threshold {
        subject: Subject::Service,
        ..threshold(Metric::SecondsToHealthy, 10.0, Some(10.0))
    };
    assert_eq!(judge_by_interval(&outcome, &healthy).grade, Grade::Fail);
    outcome.ended = Ended::Killed;
    assert_eq!(judge_by_interval(&outcome, &healthy).grade, Grade::Insufficient);
}

#[test]
fn statuses_that_were_not_recorded_by_second_are_not_decidable() {
    let statuses = Statuses::parse("5xx").unwrap();
    let share = threshold(Metric::StatusShare(statuses), 1.0, Some(1.0));
    let judged = judge_by_interval(&outcome_with(1_000, 1), &share);
    assert_eq!(judged.grade, Grade::Insufficient);
    assert!(judged.summary().contains("for the whole run only"), "{}", judged.summary());
}

#[test]
fn a_counter_is_judged_by_its_sum_and_its_rate() {
    let mut outcome = outcome_with(1, 1);
    let judged = outcome.judged_span();
    let cell = |second, count| CounterCell { second, count };
    let cells = vec![cell(0, 7), cell(judged.start, 40), cell(judged.end - 1, 20)];
    outcome.counters = vec![Counter { name: "orders".into(), cells }];
    let of = |metric, limit: Limit| Threshold {
        subject: Subject::Run,
        limit,
        fail_limit: Some(limit),
        ..threshold(metric, 1.0, None)
    };
    let count = || Metric::Count("orders".into());
    let measured = |outcome: &Outcome, threshold: &Threshold| {
        let judged = judge_by_interval(outcome, threshold);
        (judged.measured, judged.grade)
    };
    let sum = (Some(60.0), Grade::Pass);
    assert_eq!(measured(&outcome, &of(count(), Limit::at_least(60.0))), sum);
    assert_eq!(measured(&outcome, &of(count(), Limit::at_most(59.0))).1, Grade::Fail);
    let during = Threshold { during: During::Run, ..of(count(), Limit::at_most(67.0)) };
    assert_eq!(measured(&outcome, &during), (Some(67.0), Grade::Pass));
    let rate = of(Metric::CountRate("orders".into()), Limit::at_least(2.0));
    assert_eq!(measured(&outcome, &rate), (Some(2.0), Grade::Pass), "60 in 30 s");
    let unknown = of(Metric::Count("oders".into()), Limit::at_most(0.0));
    assert_eq!(measured(&outcome, &unknown), (None, Grade::Insufficient));
    // A run that was cut short might have counted more.
    outcome.ended = Ended::Interrupted;
    outcome.duration_s = f64::from(judged.start + 3);
    let half = of(count(), Limit::at_least(60.0));
    assert_eq!(measured(&outcome, &half), (Some(40.0), Grade::Insufficient));
    let too_many = of(count(), Limit::at_most(39.0));
    assert_eq!(measured(&outcome, &too_many), (Some(40.0), Grade::Fail));
}

#[test]
fn several_stages_are_judged_together() {
    let mut outcome = outcome_with(0, 0);
    let stage = |name: &str, from_s, to_s| Stage {
        name: name.into(),
        from_s,
        to_s,
        judged: true,
        ..Stage::default()
    };
    outcome.load.stages = vec![stage("a", 0, 10), stage("b", 10, 20), stage("c", 20, 30)];
    let cell = |second, succeeded, server_errors| EndpointCell {
        second,
        counts: Counts { sent: 500, succeeded, server_errors, ..Counts::default() },
        ..EndpointCell::default()
    };
    outcome.endpoints[0].cells = vec![cell(5, 500, 0), cell(15, 0, 500), cell(25, 500, 0)];
    let during = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let errors = threshold(Metric::all_errors(), 10.0, Some(10.0));
        let judged =
            judge_by_interval(&outcome, &Threshold { during: During::Stages(names), ..errors });
        (judged.measured, judged.grade)
    };
    assert_eq!(during(&["a", "c"]), (Some(0.0), Grade::Pass));
    assert_eq!(during(&["a", "b"]), (Some(50.0), Grade::Fail));
}

#[test]
fn a_request_exactly_at_the_limit_violates_it_only_if_the_operator_says_so() {
    let outcome = outcome_with(1_000, 100);
    let exactly = outcome.endpoints[0].cells[0].latency.quantile_ms(0.95).unwrap();
    for judging in [Judging::Point, Judging::default()] {
        let grade = |limit: Limit| {
            let base = threshold(Metric::P95, 1.0, None);
            let p95 = Threshold { limit, fail_limit: Some(limit), ..base };
            judge(&outcome, &p95, judging).grade
        };
        assert_eq!(grade(Limit::below(exactly)), Grade::Fail, "{judging:?}");
        assert_eq!(grade(Limit::at_most(exactly)), Grade::Pass, "{judging:?}");
    }
}

#[test]
fn what_follows_the_abort_of_a_run_is_not_judged() {
    let mut outcome = outcome_with(1_000, 900);
    let second = outcome.judged_span().start;
    let p95 = threshold(Metric::P95, 100.0, Some(100.0));
    outcome.ended = Ended::Aborted;
    outcome.duration_s = f64::from(second) + 5.0;
    outcome.aborted = Some(Aborted { after_s: second + 2, threshold: p95.clone() });
    let mut stopped = outcome.endpoints[0].cells[0].clone();
    stopped.second = second + 3;
    outcome.endpoints[0].cells.push(stopped);
    let judged = judge_by_interval(&outcome, &p95);
    assert_eq!((judged.grade, judged.samples), (Grade::Fail, 1_000));
}

/// Returns an outcome whose judged stage has 20 iterations, of which `started` were run within 2 s, each
/// a request of 1 ms.
fn outcome_of_iterations(started: u32) -> Outcome {
    let mut outcome = outcome_with(u64::from(started), 1);
    outcome.endpoints[0].cells[0].throughput_count = started.into();
    outcome.load.stages[1].iterations = 20;
    let stage = outcome.load.stages[1].name.clone();
    outcome.iterations = vec![StageIterations { stage, users: 4, started, duration_s: 2.0 }];
    outcome
}

#[test]
fn a_stage_without_all_of_its_iterations_can_be_violated_but_not_met() {
    let met = threshold(Metric::P95, 100.0, Some(100.0));
    assert_eq!(judge_by_point(&outcome_of_iterations(20), &met).grade, Grade::Pass);
    let judged = judge_by_point(&outcome_of_iterations(19), &met);
    assert_eq!(judged.grade, Grade::Insufficient);
    let reason = judged.undecided.unwrap().reason;
    assert_eq!(reason, "only 19 of 20 iterations of steady were run in 30s");
    let violated = threshold(Metric::P95, 0.5, Some(0.5));
    assert_eq!(judge_by_point(&outcome_of_iterations(19), &violated).grade, Grade::Fail);
    // Of a killed run it is not known.
    let mut killed = outcome_of_iterations(20);
    killed.iterations.clear();
    assert_eq!(judge_by_point(&killed, &met).grade, Grade::Insufficient);
    // The ramp before has no iterations.
    let before = Threshold { during: During::Stages(vec!["ramp".into()]), ..met.clone() };
    let mut outcome = outcome_of_iterations(19);
    outcome.endpoints[0].cells[0].second = 0;
    outcome.endpoints[0].cells[0].counts.sent = 20;
    outcome.endpoints[0].cells[0].latency.record(Duration::from_millis(1));
    assert_eq!(judge_by_point(&outcome, &before).grade, Grade::Pass);
}

#[test]
fn a_rate_of_iterations_is_that_until_the_last_has_ended() {
    let rate = threshold(Metric::Rate, 10.0, Some(10.0));
    let judged = judge_by_point(&outcome_of_iterations(20), &rate);
    assert_eq!((judged.grade, judged.measured), (Grade::Pass, Some(10.0)), "not 20 in 30 s");
}

#[test]
fn a_generator_that_is_busy_while_iterations_run_is_not_excused_by_the_pause_after_them() {
    let mut outcome = outcome_of_iterations(20);
    let span = outcome.judged_span();
    for sample in outcome.samples.iter_mut().filter(|sample| span.contains(&sample.second)) {
        let is_busy = sample.second < span.start + 2;
        sample.generator_cpu = Some(if is_busy { 0.95 } else { 0.01 });
    }
    let judged = judge_by_point(&outcome, &threshold(Metric::P95, 100.0, Some(100.0)));
    assert_eq!(judged.reported_grade(), Grade::Invalid);
}

/// Adds requests without a result to those of [`outcome_with`].
fn with_lost(mut outcome: Outcome, lost: u64) -> Outcome {
    let counts = &mut outcome.endpoints[0].cells[0].counts;
    counts.lost = lost;
    counts.sent += lost;
    outcome
}

#[test]
fn what_depends_on_lost_requests_is_not_decidable() {
    let errors = Metric::ErrorRate(FailureKind::ALL.to_vec());
    for (metric, limit) in [
        (Metric::P95, 100.0),
        (Metric::P99, 100.0),
        (Metric::Mean, 100.0),
        (Metric::Max, 100.0),
        (errors.clone(), 5.0),
    ] {
        let threshold = threshold(metric, limit, None);
        for judging in [Judging::Point, Judging::default()] {
            let grade = |lost| {
                let judged = judge(&with_lost(outcome_with(1000, 10), lost), &threshold, judging);
                let reason = judged.undecided.map(|undecided| undecided.reason);
                (judged.grade, reason.unwrap_or_default())
            };
            assert_eq!(grade(0).0, Grade::Pass, "{:?}", threshold.metric);
            let (judged, reason) = grade(200);
            assert_eq!(judged, Grade::Insufficient, "{:?}", threshold.metric);
            assert_eq!(reason, "200 of 1200 requests were lost before they had a result");
        }
    }
    // Few enough to have no effect, whatever their results.
    for (metric, limit) in [(Metric::P95, 100.0), (errors, 5.0)] {
        let judged = judge_by_interval(
            &with_lost(outcome_with(1000, 10), 3),
            &threshold(metric, limit, None),
        );
        assert_eq!(judged.grade, Grade::Pass);
    }
}

#[test]
fn a_violation_stays_one_whatever_was_lost() {
    let threshold = threshold(Metric::P95, 100.0, Some(150.0));
    let judged = judge_by_interval(&with_lost(outcome_with(1000, 900), 500), &threshold);
    assert_eq!((judged.grade, judged.undecided), (Grade::Fail, None));
}

#[test]
fn only_lost_requests_are_no_pass() {
    let outcome = with_lost(outcome_with(0, 0), 50);
    for metric in [Metric::P95, Metric::ErrorRate(FailureKind::ALL.to_vec())] {
        let judged = judge_by_interval(&outcome, &threshold(metric, 100.0, None));
        assert_eq!(judged.grade, Grade::Insufficient);
    }
}

#[test]
fn a_share_of_statuses_is_not_decidable_if_lost_responses_may_change_it() {
    let statuses = Statuses::Code(200);
    let mut outcome = outcome_with(1000, 10);
    outcome.endpoints[0].cells[0].statuses = [(200, 1000)].into();
    let share = |limit| Threshold { limit, ..threshold(Metric::StatusShare(statuses), 1.0, None) };
    let at_least = share(Limit::at_least(90.0));
    assert_eq!(judge_by_interval(&outcome, &at_least).grade, Grade::Pass);
    let outcome = with_lost(outcome, 200);
    assert_eq!(judge_by_interval(&outcome, &at_least).grade, Grade::Insufficient);
}
