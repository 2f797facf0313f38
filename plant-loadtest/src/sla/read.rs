//! Parses an SLA file, and checks that the endpoints, stages and work in it exist.

use super::{
    During, Judging, Metric, OverTime, Sla, Subject, Threshold,
    scope::{AllowedNames, Scope, check_endpoint, endpoint_or_all, users},
    usage,
};
use crate::{
    built_in::FileLoadError,
    failure::FailureKind,
    toml_source::{Source, Table},
};

/// Parses the SLA file `text`; `file` is the name shown in error messages.
pub(super) fn parse(
    file: &str,
    text: &str,
    allowed: &AllowedNames<'_>,
) -> Result<Sla, FileLoadError> {
    let mut source = Source::new(file, text);
    let sla = read(&mut source, allowed);
    let errors = source.into_errors();
    match sla {
        Some(sla) if errors.is_empty() => Ok(sla),
        _ => Err(FileLoadError::Invalid(errors)),
    }
}

/// How far a latency may exceed its limit before the violation is a failure instead of a warning,
/// in percent of the limit. `None`: every violation is a warning.
#[derive(Clone, Copy)]
struct Tolerances {
    p95: Option<f64>,
    all: Option<f64>,
}

fn read<'a>(source: &mut Source<'a>, allowed: &AllowedNames<'_>) -> Option<Sla> {
    let mut root = source.root();
    let name = root.string(source, "name");
    let judging = judging(source, &mut root);
    let optional = optional_metrics(source, &mut root);
    let tolerances = Tolerances {
        p95: root.optional_number(source, "p95_fails_over_percent"),
        all: root.optional_number(source, "fails_over_percent"),
    };
    let mut thresholds = Vec::new();
    for table in root.tables(source, "latency") {
        thresholds.extend(latency(source, table, allowed, tolerances, &optional));
    }
    for table in root.tables(source, "errors") {
        thresholds.extend(errors(source, table, allowed));
    }
    if let Some(table) = root.table(source, "survival") {
        thresholds.extend(survival(source, table));
    }
    for table in root.tables(source, "completion") {
        thresholds.extend(usage::completion(source, table, allowed));
    }
    for table in root.tables(source, "throughput") {
        thresholds.extend(usage::throughput(source, table, allowed));
    }
    for table in root.tables(source, "resource") {
        thresholds.extend(usage::resource(source, table, allowed));
    }
    let over_time = OverTime::read(source, &mut root);
    if thresholds.is_empty() {
        source.add_error(
            root.span.clone(),
            "an SLA needs at least one [[latency]], [[errors]], [[completion]], [[throughput]], \
             [[resource]] or [survival]",
        );
    }
    root.report_unknown_keys(source);
    Some(Sla { name: name?.0, judging, thresholds, over_time })
}

/// Reads `judge` and `confidence_percent`.
fn judging<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Judging {
    let confidence = root.optional_number(source, "confidence_percent");
    if confidence.is_some_and(|percent| !(50.0..100.0).contains(&percent)) {
        let message = "`confidence_percent` must be from 50 to less than 100";
        source.add_error(root.span.clone(), message);
    }
    let interval = confidence
        .map_or_else(Judging::default, |percent| Judging::Interval { confidence: percent / 100.0 });
    match root.optional_string(source, "judge") {
        None => interval,
        Some((name, _)) if name == "interval" => interval,
        Some((name, _)) if name == "point" => Judging::Point,
        Some((name, at)) => {
            let message = format!("unknown `{name}`; `judge` must be interval or point");
            source.add_error(at, message);
            interval
        }
    }
}

/// Reads `optional`: the metrics of `[[latency]]` tables that are not required.
fn optional_metrics<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Vec<Metric> {
    if !root.contains_key("optional") {
        return Vec::new();
    }
    let mut optional = Vec::new();
    for (name, at) in root.strings(source, "optional") {
        let metrics = [Metric::P50, Metric::P95, Metric::P99, Metric::Mean, Metric::Max];
        match metrics.into_iter().find(|metric| metric.to_string().to_lowercase() == name) {
            Some(metric) => optional.push(metric),
            None => {
                let message = format!("unknown `{name}`; expected p50, p95, p99, mean or max");
                source.add_error(at, message);
            }
        }
    }
    optional
}

/// Reads `endpoints`. `["all"]` yields every endpoint that the profile requests.
fn subjects<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    allowed: &AllowedNames<'_>,
) -> Vec<Subject> {
    let endpoints = table.strings(source, "endpoints");
    if matches!(&endpoints[..], [(only, _)] if only == "all") {
        let mut all = allowed.endpoints.clone();
        all.sort_unstable();
        all.dedup();
        return all.into_iter().map(|name| Subject::Endpoint(name.into())).collect();
    }
    for (endpoint, at) in &endpoints {
        check_endpoint(source, allowed, endpoint, at.clone());
    }
    endpoints.into_iter().map(|(endpoint, _)| Subject::Endpoint(endpoint)).collect()
}

fn latency<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    allowed: &AllowedNames<'_>,
    tolerances: Tolerances,
    optional: &[Metric],
) -> Vec<Threshold> {
    let group = table.string(source, "class").map_or_else(String::new, |(group, _)| group);
    let subjects = subjects(source, &mut table, allowed);
    let limits = [
        (Metric::P50, table.optional_number(source, "p50_ms")),
        (Metric::P95, table.optional_number(source, "p95_ms")),
        (Metric::P99, table.optional_number(source, "p99_ms")),
        (Metric::Mean, table.optional_number(source, "mean_ms")),
        (Metric::Max, table.optional_number(source, "max_ms")),
    ];
    let scope = Scope::read(source, &mut table, allowed);
    if limits.iter().all(|(_, limit)| limit.is_none()) {
        source.add_error(
            table.span.clone(),
            "set at least one of `p50_ms`, `p95_ms`, `p99_ms`, `mean_ms`, `max_ms`",
        );
    }
    table.report_unknown_keys(source);

    let mut thresholds = Vec::new();
    for subject in subjects {
        for (metric, limit) in &limits {
            let Some(limit) = *limit else { continue };
            let tolerance = tolerances.p95.filter(|_| *metric == Metric::P95).or(tolerances.all);
            let fail_limit = tolerance.map(|percent| limit * (1.0 + percent / 100.0));
            let required = scope.required && !optional.contains(metric);
            let scope = Scope { required, ..scope.clone() };
            thresholds.push(scope.threshold(
                subject.clone(),
                &group,
                metric.clone(),
                limit,
                fail_limit,
            ));
        }
    }
    thresholds
}

fn errors<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    allowed: &AllowedNames<'_>,
) -> Option<Threshold> {
    let limit = table.number(source, "below_percent");
    let fail_limit = table.optional_number(source, "fail_over_percent");
    let kinds = failure_kinds(source, &mut table);
    let scope = Scope::read(source, &mut table, allowed);
    let subject = endpoint_or_all(source, &mut table, allowed);
    let at = table.span.clone();
    table.report_unknown_keys(source);
    let limit = limit?;
    if fail_limit.is_some_and(|fail_limit| fail_limit < limit) {
        source.add_error(at, "`fail_over_percent` must not be less than `below_percent`");
    }
    let metric = Metric::ErrorRate(kinds);
    Some(scope.threshold(subject, "errors", metric, limit, fail_limit))
}

/// Parses `[survival]`, which yields two thresholds: the service responds after the load, and it
/// was not restarted.
fn survival<'a>(source: &mut Source<'a>, mut table: Table<'a>) -> Vec<Threshold> {
    let within = table.number(source, "answers_within_s");
    let scope = Scope {
        users: users(source, &mut table),
        during: During::Run,
        window_s: None,
        required: true,
    };
    table.report_unknown_keys(source);
    let threshold = |metric, limit| {
        scope.clone().threshold(Subject::Service, "survival", metric, limit, Some(limit))
    };
    let thresholds = within.map(|within| {
        [threshold(Metric::SecondsToHealthy, within), threshold(Metric::Restarts, 0.0)]
    });
    thresholds.into_iter().flatten().collect()
}

/// Reads `kinds`; all kinds of failures if it is absent.
fn failure_kinds<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Vec<FailureKind> {
    if !table.contains_key("kinds") {
        return FailureKind::ALL.to_vec();
    }
    let mut kinds = Vec::new();
    for (name, at) in table.strings(source, "kinds") {
        match FailureKind::ALL.iter().find(|kind| kind.name() == name) {
            Some(kind) => kinds.push(*kind),
            None => {
                let known: Vec<&str> = FailureKind::ALL.iter().map(|kind| kind.name()).collect();
                let known = known.join(", ");
                source.add_error(at, format!("unknown kind `{name}`; expected one of: {known}"));
            }
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plant, scenario, sla::Resource};

    fn parse_sla(text: &str) -> Result<Sla, FileLoadError> {
        let class = plant::harness().find_class("HealthCheckUser").unwrap();
        parse("x.toml", text, &scenario::allowed_names(&[class], &[]))
    }

    #[test]
    fn the_limits_of_seed_001_are_parsed_as_written() {
        let class = plant::harness().find_class("PlantBackendUser").unwrap();
        let sla = Sla::find(
            plant::harness().slas,
            "plant-backend",
            &scenario::allowed_names(&[class], &[]),
        )
        .unwrap();
        let limits = |endpoint: &str| -> Vec<(f64, Option<f64>)> {
            let subject = Subject::Endpoint(endpoint.into());
            let thresholds = sla.thresholds.iter().filter(|threshold| threshold.subject == subject);
            thresholds.map(|threshold| (threshold.limit, threshold.fail_limit)).collect()
        };
        assert_eq!(limits("GET /health"), [(50.0, None), (100.0, Some(150.0)), (200.0, None)]);
        assert_eq!(
            limits("POST /api/v1/agents/{id}/goals"),
            [(300.0, None), (800.0, Some(1200.0)), (1500.0, None)]
        );
        for endpoint in class.endpoints {
            assert_eq!(limits(endpoint.name).len(), 3, "{}", endpoint.name);
        }
    }

    #[test]
    fn every_violation_of_the_certification_sla_of_seed_000_is_a_failure() {
        let class = plant::harness().find_class("GenesisUser").unwrap();
        let sla =
            Sla::find(plant::harness().slas, "certify", &scenario::allowed_names(&[class], &[]))
                .unwrap();
        let limits: Vec<f64> = sla.thresholds.iter().map(|threshold| threshold.limit).collect();
        assert_eq!(limits[..3], [100.0, 500.0, 1000.0]);
        for threshold in sla.thresholds {
            assert_eq!(threshold.fail_limit, Some(threshold.limit), "{threshold:?}");
        }
    }

    #[test]
    fn a_threshold_for_an_endpoint_that_no_class_requests_is_an_error_with_its_line() {
        let text = "name = \"x\"\n[[latency]]\nclass = \"c\"\nendpoints = [\n\"GET /elsewhere\"]\n\
                    p95_ms = 1\n";
        let error = parse_sla(text).unwrap_err().to_string();
        assert!(error.starts_with("x.toml:5: no user class"), "{error}");
    }

    #[test]
    fn a_mistyped_key_or_table_is_an_error_and_not_a_threshold_less() {
        let latency = "[[latency]]\nclass = \"c\"\nendpoints = [\"all\"]\np95_ms = 1\n";
        for (text, line, word) in [
            (
                format!("name = \"x\"\np95_fail_over_percent = 5\n{latency}"),
                2,
                "p95_fail_over_percent",
            ),
            (format!("name = \"x\"\n{latency}p9_ms = 2\n"), 6, "p9_ms"),
            (format!("name = \"x\"\n{latency}[[error]]\nbelow_percent = 1\n"), 6, "error"),
            (
                format!(
                    "name = \"x\"\n{latency}[[errors]]\nbelow_percent = 1\nkind = [\"timed-out\"]\n"
                ),
                8,
                "kind",
            ),
            (
                format!("name = \"x\"\n{latency}[survival]\nanswers_within_s = 1\nrestarts = 1\n"),
                8,
                "restarts",
            ),
            (
                format!("name = \"x\"\n{latency}[[throughput]]\nat_least = 1\nat_most = 1\n"),
                8,
                "at_most",
            ),
            (
                format!(
                    "name = \"x\"\n{latency}[[resource]]\nname = \"cpu-percent\"\nbelow = 1\nabove = 1\n"
                ),
                9,
                "above",
            ),
            (
                format!(
                    "name = \"x\"\n{latency}[drift]\nbelow_percent = 1\nwindow = \"5s\"\nover = \"1s\"\n"
                ),
                9,
                "over",
            ),
        ] {
            let error = parse_sla(&text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("x.toml:{line}: ")), "{word}: {error}");
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn contradicting_limits_are_errors() {
        for text in [
            "name = \"x\"\n[[errors]]\nbelow_percent = 2\nfail_over_percent = 1\n",
            "name = \"x\"\n[[throughput]]\nat_least = 2\nfail_under = 3\n",
            "name = \"x\"\n[[errors]]\nbelow_percent = 2\nusers_from = 9\nusers_to = 3\n",
            "name = \"x\"\nconfidence_percent = 100\n[survival]\nanswers_within_s = 1\n",
            "name = \"x\"\nconfidence_percent = 49\n[survival]\nanswers_within_s = 1\n",
            "name = \"x\"\njudge = \"guess\"\n[survival]\nanswers_within_s = 1\n",
            "name = \"x\"\noptional = [\"p98\"]\n[survival]\nanswers_within_s = 1\n",
            "name = \"x\"\n[[latency]]\nclass = \"c\"\nendpoints = [\"all\"]\n",
            "name = \"x\"\n",
        ] {
            assert!(parse_sla(text).is_err(), "{text}");
        }
        let equal = "name = \"x\"\n[[errors]]\nbelow_percent = 2\nfail_over_percent = 2\n\
                     [[throughput]]\nat_least = 2\nfail_under = 2\n";
        assert!(parse_sla(equal).is_ok(), "equal limits do not contradict each other");
    }

    #[test]
    fn how_thresholds_are_judged_and_which_are_required_is_read() {
        let text = "name = \"x\"\nconfidence_percent = 99\noptional = [\"p99\"]\n\
                    [[latency]]\nclass = \"c\"\nendpoints = [\"all\"]\np95_ms = 1\np99_ms = 2\n\
                    [[errors]]\nbelow_percent = 1\nrequired = false\nusers_from = 2\nusers_to = 5\n\
                    every = \"2m\"\n[[errors]]\nbelow_percent = 1\nduring = \"run\"\n";
        let sla = parse_sla(text).unwrap();
        assert_eq!(sla.judging, Judging::Interval { confidence: 0.99 });
        let required: Vec<bool> = sla.thresholds.iter().map(|one| one.required).collect();
        assert_eq!(required, [true, false, false, true]);
        let errors = &sla.thresholds[2];
        assert_eq!((errors.users.from, errors.users.to, errors.window_s), (2, 5, Some(120)));
        assert_eq!(sla.thresholds[3].during, During::Run);
        let interval = "name = \"x\"\njudge = \"interval\"\n[survival]\nanswers_within_s = 1\n";
        assert_eq!(parse_sla(interval).unwrap().judging, Judging::Interval { confidence: 0.95 });
        let resources = "name = \"x\"\n[[resource]]\nname = \"open-files\"\nbelow = 9\n\
                         [[resource]]\nname = \"memory-mib\"\nbelow = 8\nfail_over = 10\n";
        let limits: Vec<(Metric, f64, Option<f64>)> = parse_sla(resources)
            .unwrap()
            .thresholds
            .into_iter()
            .map(|one| (one.metric, one.limit, one.fail_limit))
            .collect();
        assert_eq!(
            limits,
            [
                (Metric::Resource(Resource::OpenFiles), 9.0, Some(9.0)),
                (Metric::Resource(Resource::Memory), 8.0, Some(10.0)),
            ]
        );
        let point = "name = \"x\"\njudge = \"point\"\n[survival]\nanswers_within_s = 1\n";
        let sla = parse_sla(point).unwrap();
        assert_eq!((sla.judging, sla.thresholds.len()), (Judging::Point, 2));
    }

    #[test]
    fn an_unknown_stage_or_failure_kind_is_an_error() {
        let text = "name = \"x\"\n[[errors]]\nbelow_percent = 1\nkinds = [\"bad-luck\"]\n\
                    during = \"dawn\"\n";
        let error = parse_sla(text).unwrap_err().to_string();
        assert!(error.contains("bad-luck") && error.contains("dawn"), "{error}");
    }
}
