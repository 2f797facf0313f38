use chrono::TimeDelta;

use super::*;
use crate::{compare::noise_floor::NoiseFloorFile, report::example};

/// Returns one run for each of `p95_ms`, the P95 of `GET /health`; that of `GET /other` is constant.
/// The runs of both sides are interleaved.
fn side(p95_ms: &[f64], new: bool) -> Vec<RunMetrics> {
    let outcome = example::outcome();
    (0..)
        .zip(p95_ms)
        .map(|(index, p95)| {
            let mut run = RunMetrics::from_outcome("a.json", &outcome);
            run.started_at += TimeDelta::seconds(index * 20 + i64::from(new) * 10);
            run.p95_ms = [("GET /health", *p95), ("GET /other", 50.0)]
                .map(|(name, p95)| (name.to_owned(), p95))
                .into();
            run
        })
        .collect()
}

const BASE: [f64; 5] = [100.0, 101.0, 102.0, 99.0, 98.0];

fn compare(base: &[f64], new: &[f64]) -> Comparison {
    let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
    Comparison::new(&side(base, false), &side(new, true), &margins).unwrap()
}

fn health(comparison: &Comparison) -> &EndpointChange {
    comparison.endpoints.iter().find(|endpoint| endpoint.name == "GET /health").unwrap()
}

#[test]
fn significantly_slower_by_more_than_the_margin_is_regressed() {
    let comparison = compare(&BASE, &BASE.map(|ms| ms * 1.1));
    assert_eq!((comparison.change, comparison.advisory), (Change::Regressed, false));
    let health = health(&comparison);
    assert!((health.shift_percent.unwrap() - 10.0).abs() < 0.5, "{health:?}");
    // The exact p-value is 1/252; the adjustment for two endpoints doubles it.
    assert!((health.p_slower - 2.0 / 252.0).abs() < 1e-9, "{health:?}");
}

#[test]
fn faster_is_improved_and_the_same_is_equivalent() {
    let faster = compare(&BASE, &BASE.map(|ms| ms * 0.9));
    assert_eq!(health(&faster).change, Change::Improved);
    let same = compare(&BASE, &BASE);
    assert_eq!(same.change, Change::Equivalent);
}

#[test]
fn slower_by_less_than_the_margin_is_no_regression_even_if_significant() {
    let comparison = compare(&BASE, &BASE.map(|ms| ms + 4.5));
    assert!(health(&comparison).p_slower <= FALSE_DISCOVERY_RATE);
    assert_ne!(health(&comparison).change, Change::Regressed);
}

/// Returns the comparison of an endpoint whose margin is 5 %.
fn endpoint(shift_percent: f64, p_slower: f64, p_faster: f64, p_equivalent: f64) -> EndpointChange {
    EndpointChange {
        name: "GET /health".into(),
        change: Change::Inconclusive,
        base_runs: 5,
        new_runs: 5,
        base_p95_ms: Some(100.0),
        new_p95_ms: Some(100.0),
        shift_percent: Some(shift_percent),
        margin_percent: 5.0,
        too_noisy: false,
        p_slower,
        p_faster,
        p_equivalent,
    }
}

#[test]
fn a_change_is_significant_and_beyond_the_margin() {
    for (shift, p_values, change, by_shift) in [
        (5.1, (0.05, 1.0, 1.0), Change::Regressed, Change::Regressed),
        (5.1, (0.051, 1.0, 1.0), Change::Inconclusive, Change::Regressed),
        (5.0, (0.01, 1.0, 1.0), Change::Inconclusive, Change::Inconclusive),
        (-5.1, (1.0, 0.05, 1.0), Change::Improved, Change::Improved),
        (-5.1, (1.0, 0.051, 1.0), Change::Inconclusive, Change::Improved),
        (-5.0, (1.0, 0.01, 1.0), Change::Inconclusive, Change::Inconclusive),
        (1.0, (0.01, 1.0, 0.05), Change::Equivalent, Change::Inconclusive),
        (1.0, (0.01, 1.0, 0.051), Change::Inconclusive, Change::Inconclusive),
    ] {
        let (p_slower, p_faster, p_equivalent) = p_values;
        let endpoint = endpoint(shift, p_slower, p_faster, p_equivalent);
        assert_eq!(
            (judge(&endpoint), judge_shift(&endpoint)),
            (change, by_shift),
            "{shift} {p_values:?}"
        );
    }
    let noisy = EndpointChange { too_noisy: true, ..endpoint(1.0, 1.0, 1.0, 0.01) };
    assert_eq!(judge(&noisy), Change::Inconclusive);
}

#[test]
fn metrics_of_the_run_are_worse_beyond_their_margins() {
    let run = side(&[100.0], false).remove(0);
    let compare = |new: &RunMetrics, runs: usize, advisory: bool, name: &str| {
        let found = load_change::compare(&vec![&run; runs], &vec![new; runs], advisory);
        found.into_iter().find(|metric| metric.name == name).unwrap()
    };
    let errors =
        |points: f64| RunMetrics { error_percent: run.error_percent + points, ..run.clone() };
    let change = |points, runs, advisory| compare(&errors(points), runs, advisory, "errors").change;
    assert_eq!(change(0.09, 5, false), Change::Equivalent);
    assert_eq!(change(0.11, 5, false), Change::Regressed);
    // Of four runs per side the lowest p-value is 1/70: not significant for one of four metrics.
    assert_eq!(change(0.11, 4, false), Change::Inconclusive);
    assert_eq!(change(0.11, 4, true), Change::Regressed, "advisory");
    assert_eq!(change(0.09, 4, true), Change::Equivalent);
    let rate = |factor: f64| {
        let new = RunMetrics { success_rate: run.success_rate * factor, ..run.clone() };
        compare(&new, 5, false, "successful responses").change
    };
    assert_eq!([0.981, 0.979].map(rate), [Change::Equivalent, Change::Regressed]);
    let failed = RunMetrics { grade: crate::verdict::Grade::Fail, ..run.clone() };
    let failed = compare(&failed, 5, false, "runs that FAIL");
    assert_eq!((failed.base, failed.new), (0.0, 100.0));
    assert!((failed.p_worse - 1.0 / 252.0).abs() < 1e-9);
}

#[test]
fn changes_are_called_by_their_names() {
    let all = [Change::Equivalent, Change::Improved, Change::Inconclusive, Change::Regressed];
    let names = ["EQUIVALENT", "IMPROVED", "INCONCLUSIVE", "REGRESSED"];
    assert_eq!(all.map(Change::name), names);
    assert_eq!(serde_json::to_value(all).unwrap(), serde_json::json!(names));
}

#[test]
fn noisy_runs_are_inconclusive() {
    let comparison = compare(&[80.0, 140.0, 95.0, 170.0, 60.0], &[150.0, 70.0, 90.0, 180.0, 130.0]);
    assert_eq!(health(&comparison).change, Change::Inconclusive);
}

#[test]
fn one_run_per_side_is_only_advisory() {
    let comparison = compare(&[100.0], &[150.0]);
    assert!(comparison.advisory);
    assert_eq!(health(&comparison).change, Change::Regressed);
    assert!(comparison.notes.iter().any(|note| note.starts_with("advisory")));
    let same = compare(&[100.0], &[100.0]);
    assert_eq!(health(&same).change, Change::Inconclusive, "one run cannot prove equality");
}

#[test]
fn more_endpoints_need_more_runs() {
    assert_eq!([1, 12, 13, 46, 47].map(runs_needed), [5, 5, 6, 6, 7]);
}

#[test]
fn different_loads_are_rejected() {
    let mut new = side(&BASE, true);
    new[2].load = "another".into();
    let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
    let error = Comparison::new(&side(&BASE, false), &new, &margins).unwrap_err();
    assert!(error.contains("not comparable"), "{error}");
    assert!(Comparison::new(&side(&BASE, false), &[], &margins).is_err());
}

fn compare_runs(base: &[RunMetrics], new: &[RunMetrics]) -> Comparison {
    let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
    Comparison::new(base, new, &margins).unwrap()
}

#[test]
fn faster_by_failing_is_no_improvement() {
    let (base, mut new) = (side(&BASE, false), side(&BASE.map(|ms| ms * 0.5), true));
    assert_eq!(health(&compare_runs(&base, &new)).change, Change::Improved);
    for run in &mut new {
        run.error_percent = 67.0;
    }
    let comparison = compare_runs(&base, &new);
    assert_eq!(comparison.change, Change::Regressed);
    let text = report::text(&comparison);
    assert!(text.starts_with("REGRESSED: worse: errors 0.02 → 67.00 %"), "{text}");
    assert!(report::markdown(&comparison).contains("- errors: 0.02 → 67.00 %"));
}

#[test]
fn shed_load_is_what_was_rejected_or_never_sent() {
    let mut outcome = example::outcome();
    let shed =
        |outcome: &crate::outcome::Outcome| RunMetrics::from_outcome("a", outcome).shed_percent;
    assert!(shed(&outcome).abs() < 1e-9);
    let sent = outcome.counts_all().sent;
    let statuses = &mut outcome.endpoints[0].statuses;
    for (status, count) in [(429, 30), (503, 20), (500, 7)] {
        statuses.insert(status, count);
    }
    let dropped = crate::outcome::ArrivalCell { dropped: 50, ..Default::default() };
    outcome.arrivals = vec![dropped];
    #[expect(clippy::cast_precision_loss, reason = "a few thousand requests")]
    let expected = 100.0 * 100.0 / (sent + 50) as f64;
    assert!((shed(&outcome) - expected).abs() < 1e-9, "{}", shed(&outcome));
}

#[test]
fn shedding_load_and_a_lower_rate_are_regressions() {
    let base = side(&BASE, false);
    for change in [
        |run: &mut RunMetrics| run.shed_percent = 5.0,
        |run: &mut RunMetrics| run.success_rate *= 0.9,
    ] {
        let mut new = side(&BASE, true);
        new.iter_mut().for_each(change);
        assert_eq!(compare_runs(&base, &new).change, Change::Regressed);
    }
}

#[test]
fn changes_of_a_run_within_their_margin_or_by_chance_are_no_regression() {
    let base = side(&BASE, false);
    let mut new = side(&BASE, true);
    for run in &mut new {
        (run.error_percent, run.success_rate) = (0.05, run.success_rate * 0.99);
    }
    assert_eq!(compare_runs(&base, &new).change, Change::Equivalent);
    // Three of five runs have errors: more than the margin by the median, but not significant.
    for (run, errors) in new.iter_mut().zip([0.0, 0.0, 1.0, 1.0, 1.0]) {
        run.error_percent = errors;
    }
    assert_eq!(compare_runs(&base, &new).change, Change::Inconclusive);
}

#[test]
fn runs_that_did_not_end_as_planned_are_rejected() {
    for ended in [Ended::Killed, Ended::Interrupted] {
        let mut new = side(&BASE, true);
        new[1].ended = ended;
        let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
        let error = Comparison::new(&side(&BASE, false), &new, &margins).unwrap_err();
        assert!(error.contains("killed or interrupted"), "{error}");
    }
}

#[test]
fn a_machine_with_much_noise_cannot_show_that_nothing_changed() {
    let noisy = [70.0, 130.0, 80.0, 120.0, 100.0, 90.0];
    let mut floors = NoiseFloorFile::default();
    floors.update(&side(&noisy, false));
    let (base, slower) = (side(&BASE, false), side(&BASE.map(|ms| ms * 1.12), true));
    let margins = floors.for_load(&base[0].machine, &base[0].load);
    assert!(margins.margin_percent("GET /health") > 12.0, "{margins:?}");
    let comparison = Comparison::new(&base, &slower, &margins).unwrap();
    assert_eq!(health(&comparison).change, Change::Inconclusive);
    assert!(comparison.notes.iter().any(|note| note.contains("cannot tell")), "{comparison:?}");
    let doubled = side(&BASE.map(|ms| ms * 2.0), true);
    let comparison = Comparison::new(&base, &doubled, &margins).unwrap();
    assert_eq!(health(&comparison).change, Change::Regressed, "twice is beyond the noise");
}

#[test]
fn equivalence_needs_both_one_sided_tests() {
    // Certainly not slower by the margin, but possibly faster by it.
    let comparison = compare(&BASE, &[94.0, 95.5, 96.0, 97.5, 94.5]);
    assert_eq!(health(&comparison).change, Change::Inconclusive);
}

#[test]
fn invalid_runs_do_not_count() {
    let mut new = side(&BASE.map(|ms| ms * 2.0), true);
    new[0].valid = false;
    let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
    let comparison = Comparison::new(&side(&BASE, false), &new, &margins).unwrap();
    assert!(comparison.advisory, "four valid runs are too few");
    assert!(comparison.notes.iter().any(|note| note.contains("1 INVALID")));
    let valid = Comparison::new(&side(&BASE, false), &side(&BASE, true), &margins).unwrap();
    assert!(!valid.notes.iter().any(|note| note.contains("INVALID")), "{:?}", valid.notes);
}

#[test]
fn runs_from_different_machines_have_a_note() {
    let (base, mut new) = (side(&BASE, false), side(&BASE, true));
    let has_note = |new: &[RunMetrics]| {
        let notes = compare_runs(&base, new).notes;
        notes.iter().any(|note| note.contains("different machines"))
    };
    assert!(!has_note(&new));
    new[1].machine = "another".into();
    assert!(has_note(&new));
}

#[test]
fn a_run_that_is_given_twice_is_rejected() {
    let (base, mut new) = (side(&BASE, false), side(&BASE, true));
    new[2].started_at = base[2].started_at;
    let margins = NoiseFloorFile::default().for_load("unknown machine", "unknown load");
    let error = Comparison::new(&base, &new, &margins).unwrap_err();
    assert!(error.contains("are the same run"), "{error}");
}

#[test]
fn a_machine_is_described_by_its_cpus_and_its_system() {
    let outcome = example::outcome();
    let machine = run_metrics::describe_machine(&outcome);
    assert!(
        machine.starts_with("2 × ") && machine.contains(&outcome.generator.system),
        "{machine}"
    );
}

#[test]
fn consecutive_sides_are_not_interleaved() {
    let (base, mut new) = (side(&BASE, false), side(&BASE, true));
    assert!(interleaved(&base, &new));
    for run in &mut new {
        run.started_at += TimeDelta::days(1);
    }
    assert!(!interleaved(&base, &new));
    let noted = |base: &[RunMetrics], new: &[RunMetrics]| {
        let notes = compare_runs(base, new).notes;
        notes.iter().any(|note| note.contains("not interleaved"))
    };
    assert!(noted(&base, &new));
    // Two runs of a side have no order to speak of.
    assert!(!noted(&base[..2], &new) && !noted(&base, &new[..2]));
}

#[test]
fn errors_in_some_of_the_runs_are_no_improvement() {
    let (base, mut new) = (side(&BASE, false), side(&BASE.map(|ms| ms * 0.7), true));
    assert_eq!(compare_runs(&base, &new).change, Change::Improved);
    for run in &mut new[..2] {
        run.error_percent = 50.0;
    }
    assert_eq!(compare_runs(&base, &new).change, Change::Inconclusive);
}

#[test]
fn a_side_whose_runs_fail_has_regressed() {
    let (base, mut new) = (side(&BASE, false), side(&BASE, true));
    for run in &mut new {
        run.grade = crate::verdict::Grade::Fail;
    }
    assert_eq!(compare_runs(&base, &new).change, Change::Regressed);
}

#[test]
fn a_load_is_described_by_its_stages_and_classes() {
    let mut outcome = example::outcome();
    let closed = run_metrics::describe_load(&outcome);
    let expected = "normal-50, 50 users: ramp 5s from 0 to 50, steady 30s to 50; \
                    9 × PlantBackendUser (wait 0.32 s), 1 × HealthCheckUser (wait 0.2 s), timeout 30 s";
    assert_eq!(closed, expected);
    outcome.load.model = crate::load::Model::Open;
    outcome.load.spacing = crate::load::Spacing::Poisson;
    for (stage, (from, to)) in outcome.load.stages.iter_mut().zip([(0.0, 12.5), (12.5, 12.5)]) {
        (stage.from_rate, stage.to_rate) = (from, to);
    }
    outcome.load.stages[1].burst = 100;
    let open = run_metrics::describe_load(&outcome);
    let stages = "ramp 5s from 0/s to 12.5/s, steady 30s to 12.5/s and 100 at once; ";
    assert!(open.contains(stages) && open.contains(", Poisson, timeout 30 s"), "{open}");
}

#[test]
fn loads_that_differ_in_classes_timeout_or_spacing_are_not_compared() {
    let outcome = example::outcome();
    let load = |change: fn(&mut crate::outcome::Outcome)| {
        let mut outcome = outcome.clone();
        change(&mut outcome);
        run_metrics::describe_load(&outcome)
    };
    let same = load(|_| {});
    for change in [
        (|outcome| outcome.load.timeout_s = 1.0) as fn(&mut crate::outcome::Outcome),
        |outcome| outcome.load.classes[0].weight += 1,
        |outcome| outcome.load.classes[0].mean_wait_s = 9.0,
        |outcome| outcome.load.spacing = crate::load::Spacing::Poisson,
        |outcome| outcome.load.stages[1].burst = 5,
        |outcome| outcome.load.stages[1].from_users = 1,
    ] {
        assert_ne!(load(change), same);
    }
}

#[test]
fn an_endpoint_with_few_requests_has_no_p95() {
    let mut outcome = example::outcome();
    let judged = outcome.judged_span();
    let few = &mut outcome.endpoints[0];
    few.cells.retain(|cell| cell.second == judged.start);
    few.cells[0].latency = Default::default();
    few.cells[0].latency.record_times(std::time::Duration::from_millis(5), 19);
    let (few, enough) = (few.name.clone(), outcome.endpoints[1].name.clone());
    let p95_ms = RunMetrics::from_outcome("a.json", &outcome).p95_ms;
    assert!(!p95_ms.contains_key(&few) && p95_ms.contains_key(&enough), "{p95_ms:?}");
}

#[test]
fn a_run_whose_generator_was_too_busy_does_not_count_even_if_it_fails() {
    let mut outcome = example::outcome();
    outcome.target.healthy_after_s = None;
    for sample in &mut outcome.samples {
        sample.generator_cpu = Some(0.97);
    }
    let run = RunMetrics::from_outcome("a.json", &outcome);
    assert_eq!((run.grade, run.valid), (crate::verdict::Grade::Fail, false));
}
