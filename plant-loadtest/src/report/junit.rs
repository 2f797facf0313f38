//! JUnit XML for CI: one test case per threshold.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    outcome::Outcome,
    verdict::{Finding, Grade, JudgedThreshold, Verdict},
};

/// Renders the report as XML.
///
/// FAIL becomes a failure, INVALID an error, INSUFFICIENT a skipped test. A WARNING passes, as in
/// the exit code, and is named in the test's output.
///
/// # Errors
/// When the XML cannot be serialized.
pub fn render(outcome: &Outcome, verdict: &Verdict) -> Result<String, quick_junit::SerializeError> {
    let profile = &outcome.load.profile;
    let mut thresholds = suite(outcome, &format!("{profile}: {}", verdict.sla));
    thresholds.add_test_cases(verdict.thresholds.iter().map(threshold));
    let mut over_time = suite(outcome, &format!("{profile}: over time"));
    over_time.add_test_cases(verdict.over_time.iter().map(finding));
    let mut generator = suite(outcome, &format!("{profile}: load generator"));
    generator.add_test_case(generator_health(verdict));

    let mut report =
        Report::new(format!("plant-loadtest {profile}: {}", verdict.qualified_grade()));
    report.set_timestamp(outcome.started_at.fixed_offset());
    if let Some(time) = duration(outcome) {
        report.set_time(time);
    }
    let suites = [thresholds, over_time, generator];
    report.add_test_suites(suites.into_iter().filter(|suite| !suite.test_cases.is_empty()));
    report.to_string()
}

fn suite(outcome: &Outcome, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.set_timestamp(outcome.started_at.fixed_offset());
    if let Some(time) = duration(outcome) {
        suite.set_time(time);
    }
    suite.add_property(("host", outcome.target.host.as_str()));
    for (name, value) in &outcome.target.build {
        suite.add_property((format!("build.{name}").as_str(), value.as_str()));
    }
    suite
}

fn threshold(judged: &JudgedThreshold) -> TestCase {
    let threshold = &judged.threshold;
    let name = format!("{} {}", threshold.metric, threshold.format_limit());
    // The load generator is one test case of its own, which is the error.
    let (grade, label) = match judged.reported_grade() {
        Grade::Invalid => (Grade::Insufficient, Grade::Insufficient.name()),
        grade => (grade, judged.label()),
    };
    let mut case = case(&threshold.subject.to_string(), &name, (grade, label), &judged.summary());
    if grade == Grade::Insufficient {
        let undecided = judged.undecided.as_ref().map(|undecided| &undecided.reason);
        let message = judged.invalid.as_ref().or(undecided).map_or("", String::as_str);
        case.status.set_message(message);
    }
    case
}

fn finding(finding: &Finding) -> TestCase {
    let name = format!("{} {}", finding.name, finding.limit);
    case("over time", &name, (finding.reported_grade(), finding.label()), &finding.summary)
}

fn generator_health(verdict: &Verdict) -> TestCase {
    let invalid_reason = verdict.generator.invalid_reason.as_deref();
    let grade = if invalid_reason.is_some() { Grade::Invalid } else { Grade::Pass };
    let name = "dispatch lag, dropped arrivals and CPU within limits";
    case(
        "load generator",
        name,
        (grade, grade.name()),
        invalid_reason.unwrap_or("all within limits"),
    )
}

/// Returns a test case; `label` is the grade as reports print it.
fn case(class: &str, name: &str, (grade, label): (Grade, &str), sentence: &str) -> TestCase {
    let mut status = match grade {
        Grade::Unjudged | Grade::Pass | Grade::Warning => TestCaseStatus::success(),
        Grade::Insufficient => TestCaseStatus::skipped(),
        Grade::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Grade::Invalid => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !matches!(grade, Grade::Unjudged | Grade::Pass | Grade::Warning) {
        status.set_message(sentence);
        status.set_type(label);
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case.set_system_out(format!("{label}: {sentence}"));
    case
}

fn duration(outcome: &Outcome) -> Option<std::time::Duration> {
    std::time::Duration::try_from_secs_f64(outcome.duration_s).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_violated_threshold_is_a_failed_test() {
        let mut outcome = example::outcome();
        outcome.target.healthy_after_s = None;
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let xml = render(&outcome, &verdict).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        let failures: usize = report.test_suites.iter().map(|suite| suite.failures).sum();
        assert_eq!(failures, 1, "{xml}");
        assert!(xml.contains("no successful health check"), "{xml}");
    }

    #[test]
    fn an_invalid_measurement_is_a_test_error() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            sample.generator_cpu = Some(0.95);
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let xml = render(&outcome, &verdict).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(report.test_suites.iter().map(|suite| suite.errors).sum::<usize>(), 1);
    }
}
