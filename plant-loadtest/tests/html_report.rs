//! The rules of the HTML report: one file, small, the same again, and without contradictions.

#[expect(dead_code, reason = "these tests use a part of it")]
mod harness;
mod reported;

use std::{fs, path::Path};

use plant_loadtest::{
    outcome::{Ended, Outcome},
    report::json,
    sla::{Limit, Metric, Subject},
    verdict::{Grade, Verdict},
};

use harness::{loadtest, new_test_folder};
use reported::{example, leave_one_request, lengthen, make_hostile, multiply_endpoints, page};

/// Returns the texts of the badges of grades.
fn badges(page: &str) -> Vec<&str> {
    let found = page.split("<span class=\"grade ").skip(1);
    found.filter_map(|rest| rest.split_once('>')?.1.split_once('<').map(|(text, _)| text)).collect()
}

#[test]
fn it_is_the_same_when_it_is_written_again() {
    let (outcome, mut baseline) = (example(), example());
    lengthen(&mut baseline, 60, 1);
    let again: Outcome = serde_json::from_str(&json::render(&outcome)).unwrap();
    assert!(page(&outcome, None) == page(&again, None));
    assert!(page(&outcome, Some(&baseline)) == page(&again, Some(&baseline)));
}

#[test]
fn it_is_self_contained_and_escapes_text() {
    let mut outcome = example();
    make_hostile(&mut outcome);
    let page = page(&outcome, Some(&outcome));
    assert!(!page.contains("<script>fail") && !page.contains("<img"));
    assert_eq!(page.matches("<script").count(), 2, "one element for the data, one for the script");
    assert_eq!(page.matches("</script").count(), 2);
    for reference in [" src=\"", "url(", "@import"] {
        assert!(!page.contains(reference), "{reference}");
    }
    let links = page.split("href=\"").skip(1);
    assert!(links.into_iter().all(|link| link.starts_with('#')), "a link to elsewhere");
}

#[test]
fn every_link_has_its_target() {
    let page = page(&example(), Some(&example()));
    let targets = page.split("href=\"#").skip(1).filter_map(|rest| rest.split_once('"'));
    let targets: Vec<&str> = targets.map(|(target, _)| target).collect();
    assert!(targets.len() > 15, "contents and endpoints: {targets:?}");
    for target in targets {
        assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
    }
}

#[test]
fn that_of_an_hour_is_below_two_megabytes() {
    let mut outcome = example();
    lengthen(&mut outcome, 3600, 1);
    let hour = page(&outcome, None).len();
    assert!(hour < 500_000, "{hour} bytes");
    multiply_endpoints(&mut outcome, 60);
    let with_baseline = page(&outcome, Some(&outcome)).len();
    assert!(with_baseline < 2_000_000, "60 endpoints and a baseline: {with_baseline} bytes");
}

#[test]
fn that_of_a_day_is_no_larger() {
    let mut outcome = example();
    lengthen(&mut outcome, 86_400, 12);
    let day = page(&outcome, None).len();
    assert!(day < 500_000, "{day} bytes");
}

#[test]
fn a_pass_with_undecided_thresholds_says_so_and_no_row_contradicts_it() {
    let mut outcome = example();
    for endpoint in &mut outcome.endpoints {
        endpoint.cells.retain(|cell| cell.second < 9);
    }
    let few = plant_loadtest::sla::Threshold {
        subject: Subject::Endpoint(outcome.endpoints[0].name.clone()),
        metric: Metric::all_errors(),
        limit: Limit::below(0.01),
        ..outcome.sla.thresholds[0].clone()
    };
    outcome.sla.thresholds.push(few);
    for threshold in &mut outcome.sla.thresholds {
        threshold.required = false;
    }
    let verdict = Verdict::judge(&outcome, &outcome.sla);
    let undecided = verdict.thresholds.iter().filter(|judged| judged.undecided.is_some()).count();
    assert!(verdict.grade == Grade::Pass && undecided > 0);
    let page = page(&outcome, None);
    let all = verdict.thresholds.len();
    assert!(page.contains(&format!("(short run: {undecided} of {all} not decidable)")));
    let badges = badges(&page);
    assert!(badges.contains(&"NOT DECIDABLE"), "{badges:?}");
    for grade in ["INSUFFICIENT", "INVALID", "FAIL", "WARNING"] {
        assert!(!badges.iter().any(|badge| badge.starts_with(grade)), "{grade}: {badges:?}");
    }
}

#[test]
fn the_worst_badge_is_the_grade_of_the_run() {
    let unchanged: fn(&mut Outcome) = |_| {};
    let failing: fn(&mut Outcome) = |outcome| {
        for cell in &mut outcome.endpoints[1].cells {
            cell.counts.server_errors = cell.counts.succeeded;
            cell.counts.sent += cell.counts.succeeded;
        }
    };
    let few: fn(&mut Outcome) = |outcome| leave_one_request(outcome, 0, 5);
    let changes = [unchanged, failing, few];
    for (change, expected) in
        changes.into_iter().zip([Grade::Pass, Grade::Fail, Grade::Insufficient])
    {
        let mut outcome = example();
        change(&mut outcome);
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert_eq!(verdict.grade, expected, "{}", verdict.reason);
        let page = page(&outcome, None);
        let severity = ["PASS", "WARNING", "INSUFFICIENT", "INVALID", "FAIL"];
        let worst = badges(&page)
            .into_iter()
            .filter_map(|badge| severity.iter().position(|grade| badge.starts_with(grade)))
            .max();
        assert_eq!(worst.map(|index| severity[index]), Some(expected.name()));
        assert!(page.contains(&format!("<span class=\"badge\">{}</span>", expected.name())));
    }
}

#[test]
fn every_requested_endpoint_has_charts_and_its_slowest_requests() {
    let mut outcome = example();
    leave_one_request(&mut outcome, 2, 40);
    outcome.endpoints[2].slowest = vec![reported::slow_request(3)];
    let page = page(&outcome, None);
    let endpoints: Vec<&str> = page.split("<details id=\"endpoint-").skip(1).collect();
    assert_eq!(endpoints.len(), outcome.endpoints.len());
    for endpoint in &endpoints {
        assert!(endpoint.split("</details>").next().unwrap().matches("data-chart").count() >= 4);
    }
    assert!(page.contains("<code>5f0c1d1e-0000-4000-8000-000000000003</code>"));
    assert!(page.contains("<code>00000000000000000000000000000003</code>"));
}

#[test]
fn a_baseline_is_shown_with_dashed_lines_and_changes() {
    let outcome = example();
    let mut baseline = example();
    for endpoint in &mut baseline.endpoints {
        for cell in &mut endpoint.cells {
            let mut slower = plant_loadtest::distribution::Distribution::default();
            for (ms, count) in cell.latency.buckets_ms() {
                slower.record_times(std::time::Duration::from_secs_f64(ms / 500.0), count);
            }
            cell.latency = slower;
        }
    }
    let with = page(&outcome, Some(&baseline));
    assert!(with.contains("<h2 id=\"baseline\">") && with.contains("class=\"b base\""));
    assert!(with.contains("<span class=\"change marked\">-50 %</span>"), "half of the latency");
    let without = page(&outcome, None);
    assert!(!without.contains("id=\"baseline\"") && !without.contains(" base\"><path"));
}

#[test]
fn odd_outcomes_have_a_page() {
    let empty: fn(&mut Outcome) = |outcome| {
        outcome.endpoints.clear();
        outcome.samples.clear();
        outcome.failures.clear();
    };
    let unmeasured: fn(&mut Outcome) = |outcome| {
        outcome.endpoints.iter_mut().for_each(|endpoint| endpoint.cells.clear());
        (outcome.ended, outcome.duration_s) = (Ended::Killed, 0.0);
    };
    let killed: fn(&mut Outcome) =
        |outcome| (outcome.ended, outcome.duration_s) = (Ended::Killed, 7.2);
    let one: fn(&mut Outcome) = |outcome| {
        outcome.endpoints.truncate(1);
        outcome.samples.truncate(1);
        leave_one_request(outcome, 0, 3);
    };
    let no_thresholds: fn(&mut Outcome) = |outcome| outcome.sla.thresholds.clear();
    let without_stages: fn(&mut Outcome) = |outcome| outcome.load.stages.clear();
    for change in [empty, unmeasured, killed, one, no_thresholds, without_stages] {
        let mut outcome = example();
        change(&mut outcome);
        for baseline in [None, Some(&example())] {
            let page = page(&outcome, baseline);
            assert!(page.starts_with("<!doctype html>"), "{}", &page[..80]);
            for number in ["NaN", "inf%", "inf\"", "Infinity"] {
                assert!(!page.replace("isNaN", "").contains(number), "{number}");
            }
        }
    }
}

#[test]
fn a_threshold_of_all_requests_is_a_line_in_its_chart() {
    let mut outcome = example();
    let all = outcome.sla.thresholds[0].clone();
    let limit = plant_loadtest::sla::Threshold {
        subject: Subject::AllRequests,
        metric: Metric::P99,
        limit: Limit::below(321.0),
        ..all
    };
    outcome.sla.thresholds.push(limit);
    let page = page(&outcome, None);
    let latency =
        page.split("data-chart=\"0\"").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(
        latency.contains("class=\"limit c\"") && latency.contains("threshold P99 &lt; 321 ms"),
        "{latency}"
    );
}

#[test]
fn the_command_report_reads_a_baseline() {
    let folder = new_test_folder("report-baseline");
    let outcome = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outcome.json");
    let outcome = outcome.to_str().unwrap();
    let output = loadtest(&folder, &["report", outcome, "--baseline", outcome, "--html", "a.html"]);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    let html = fs::read_to_string(folder.join("a.html")).unwrap();
    assert!(html == page(&example(), Some(&example())));
    let missing = loadtest(&folder, &["report", outcome, "--baseline", "none.json"]);
    assert_eq!(missing.exit_code, 2, "{}", missing.stderr);
}
