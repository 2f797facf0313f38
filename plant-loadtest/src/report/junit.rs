//! JUnit XML, which every CI shows: a test case for each promise.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    outcome::Outcome,
    verdict::{Finding, Grade, Judged, Verdict},
};

/// The report as XML.
///
/// A FAIL is a failure, an INVALID measurement an error, what could not be judged is skipped. A
/// WARNING passes and says so in its output: the exit code takes it for good, too.
///
/// # Errors
/// Never, as long as memory lasts: nothing is written to disk here.
pub fn render(outcome: &Outcome, verdict: &Verdict) -> Result<String, quick_junit::SerializeError> {
    let profile = &outcome.load.profile;
    let mut promises = suite(outcome, &format!("{profile}: {}", verdict.sla));
    promises.add_test_cases(verdict.promises.iter().map(promise));
    let mut course = suite(outcome, &format!("{profile}: over time"));
    course.add_test_cases(verdict.over_time.iter().map(finding));
    let mut generator = suite(outcome, &format!("{profile}: the measurement itself"));
    generator.add_test_case(trust(verdict));

    let mut report = Report::new(format!("plant-loadtest {profile}: {}", verdict.grade.name()));
    report.set_timestamp(outcome.started_at.fixed_offset());
    if let Some(time) = duration(outcome) {
        report.set_time(time);
    }
    let suites = [promises, course, generator];
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

fn promise(judged: &Judged) -> TestCase {
    let promise = &judged.promise;
    let name = format!("{} {}", promise.figure, promise.limit());
    let mut case = case(&promise.subject.to_string(), &name, judged.grade, &judged.sentence());
    if judged.grade == Grade::Insufficient {
        let why = format!("{} samples of {} needed", judged.samples, judged.needed);
        case.status.set_message(why);
    }
    case
}

fn finding(finding: &Finding) -> TestCase {
    let name = format!("{} {}", finding.name, finding.limit);
    case("over time", &name, finding.shown(), &finding.sentence)
}

fn trust(verdict: &Verdict) -> TestCase {
    let fault = verdict.generator.fault.as_deref();
    let grade = if fault.is_some() { Grade::Invalid } else { Grade::Pass };
    case("load generator", "was neither late nor too busy", grade, fault.unwrap_or("it was not"))
}

fn case(class: &str, name: &str, grade: Grade, sentence: &str) -> TestCase {
    let mut status = match grade {
        Grade::Unjudged | Grade::Pass | Grade::Warning => TestCaseStatus::success(),
        Grade::Insufficient => TestCaseStatus::skipped(),
        Grade::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Grade::Invalid => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if !matches!(grade, Grade::Unjudged | Grade::Pass | Grade::Warning) {
        status.set_message(sentence);
        status.set_type(grade.name());
    }
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case.set_system_out(format!("{}: {sentence}", grade.name()));
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
    fn a_broken_promise_is_a_failed_test() {
        let mut outcome = example::outcome();
        outcome.target.healthy_after_s = None;
        let verdict = Verdict::of(&outcome, &outcome.sla);
        let xml = render(&outcome, &verdict).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        let failures: usize = report.test_suites.iter().map(|suite| suite.failures).sum();
        assert_eq!(failures, 1, "{xml}");
        assert!(xml.contains("no answer to /health"), "{xml}");
    }

    #[test]
    fn a_measurement_that_cannot_be_trusted_is_an_error() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            sample.generator_cpu = Some(0.95);
        }
        let verdict = Verdict::of(&outcome, &outcome.sla);
        let xml = render(&outcome, &verdict).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        assert_eq!(report.test_suites.iter().map(|suite| suite.errors).sum::<usize>(), 1);
    }
}
