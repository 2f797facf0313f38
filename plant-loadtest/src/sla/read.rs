//! Parses an SLA file, and checks that the endpoints, stages and work in it exist.

use super::{Judging, Metric, OverTime, Sla, notation, scope::AllowedNames, table};
use crate::{
    built_in::FileLoadError,
    toml_source::{Source, Table},
};

/// Parses the SLA file `text`; `file` is the name shown in error messages.
pub(super) fn parse(
    file: &str,
    text: &str,
    names: &AllowedNames<'_>,
) -> Result<Sla, FileLoadError> {
    let mut source = Source::new(file, text);
    let sla = read(&mut source, names);
    let errors = source.into_errors();
    match sla {
        Some(sla) if errors.is_empty() => Ok(sla),
        _ => Err(FileLoadError::Invalid(errors)),
    }
}

fn read<'a>(source: &mut Source<'a>, names: &AllowedNames<'_>) -> Option<Sla> {
    let mut root = source.root();
    let name = root.name(source, "name");
    let judging = judging(source, &mut root);
    let optional = optional_metrics(source, &mut root);
    if !root.contains_key("threshold") {
        source.add_error(root.span.clone(), "an SLA needs at least one [[threshold]]");
    }
    let (mut thresholds, mut over_time) = (Vec::new(), OverTime::default());
    for table in root.tables(source, "threshold") {
        thresholds.extend(table::read(source, table, names, &optional, &mut over_time));
    }
    root.report_unknown_keys(source);
    Some(Sla { name: name?.0, judging, thresholds, over_time })
}

/// Reads `judge` and `confidence_percent`.
fn judging<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Judging {
    let at = root.span_of("confidence_percent");
    let confidence = root.optional_number(source, "confidence_percent");
    if confidence.is_some_and(|percent| !(50.0..100.0).contains(&percent)) {
        let message = "`confidence_percent` must be from 50 to less than 100";
        source.add_error(at, message);
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

/// Reads `optional`: the metrics whose thresholds are not required.
fn optional_metrics<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Vec<Metric> {
    let mut optional = Vec::new();
    for (name, at) in root.optional_strings(source, "optional") {
        match notation::parse_metric(&name) {
            Ok(metric) => optional.push(metric),
            Err(message) => source.add_error(at, message),
        }
    }
    optional
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plant, scenario,
        sla::{During, Limit, Resource, Subject, Threshold, Unmeasured, UserRange},
    };

    fn names() -> AllowedNames<'static> {
        AllowedNames {
            endpoints: vec!["GET /health", "GET /items", "POST /items"],
            outside_tasks: vec![],
            classes: vec!["Shopper"],
            tags: vec!["read"],
            work: vec!["generation"],
            counters: vec!["orders"],
            stages: vec!["ramp", "steady", "spike"],
            ..AllowedNames::default()
        }
    }

    fn parse_sla(text: &str) -> Result<Sla, FileLoadError> {
        parse("x.toml", &format!("name = \"x\"\n{text}"), &names())
    }

    /// Returns the thresholds of one table with these `lines`.
    fn thresholds(lines: &str) -> Vec<Threshold> {
        let sla = parse_sla(&format!("[[threshold]]\n{lines}"));
        sla.unwrap_or_else(|error| panic!("{lines}: {error}")).thresholds
    }

    fn errors(text: &str) -> Vec<String> {
        let error = parse_sla(text).unwrap_err().to_string();
        error.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_limits_of_the_progressive_load_guide_are_parsed_as_written() {
        let class = plant::harness().find_class("PlantBackendUser").unwrap();
        let names = scenario::allowed_names(&[class], &[]);
        let sla = Sla::find(plant::harness().slas, "plant-backend", &names).unwrap();
        let limits = |endpoint: &str| -> Vec<(Limit, Option<Limit>)> {
            let subject = Subject::Endpoint(endpoint.into());
            let thresholds = sla.thresholds.iter().filter(|threshold| threshold.subject == subject);
            thresholds.map(|threshold| (threshold.limit, threshold.fail_limit)).collect()
        };
        let expected = |p50, p95, p99| {
            let p95_fails = Some(Limit::at_most(p95 * 1.5));
            [(Limit::below(p50), None), (Limit::below(p95), p95_fails), (Limit::below(p99), None)]
        };
        assert_eq!(limits("GET /health"), expected(50.0, 100.0, 200.0));
        assert_eq!(limits("POST /api/v1/agents/{id}/goals"), expected(300.0, 800.0, 1500.0));
        for endpoint in class.endpoints {
            assert_eq!(limits(endpoint.name).len(), 3, "{}", endpoint.name);
        }
    }

    #[test]
    fn every_violation_of_the_certification_sla_of_the_load_tests_guide_is_a_failure() {
        let class = plant::harness().find_class("GenesisUser").unwrap();
        let names = scenario::allowed_names(&[class], &[]);
        let sla = Sla::find(plant::harness().slas, "certify", &names).unwrap();
        let limits: Vec<Limit> = sla.thresholds.iter().map(|threshold| threshold.limit).collect();
        assert_eq!(limits[..3], [100.0, 500.0, 1000.0].map(Limit::below));
        for threshold in sla.thresholds {
            assert!(threshold.has_no_warning(), "{threshold:?}");
        }
    }

    #[test]
    fn warn_and_fail_of_a_metric_are_the_two_limits_of_one_threshold() {
        let found = thresholds(
            "endpoints = [\"GET /health\", \"GET /items\"]\ngroup = \"all\"\n\
             warn = [\"p50 < 50ms\", \"p95 < 100ms\"]\nfail = [\"errors < 5%\", \"p95 <= 150ms\"]\n",
        );
        let limits: Vec<(String, String, Limit, Option<Limit>)> = found
            .iter()
            .map(|one| (one.subject.to_string(), one.metric.notation(), one.limit, one.fail_limit))
            .collect();
        let of = |endpoint: &str| {
            let (p50, p95, errors) = (Limit::below(50.0), Limit::below(100.0), Limit::below(5.0));
            [
                (endpoint.to_owned(), "p50".to_owned(), p50, None),
                (endpoint.to_owned(), "p95".to_owned(), p95, Some(Limit::at_most(150.0))),
                (endpoint.to_owned(), "errors".to_owned(), errors, Some(errors)),
            ]
        };
        assert_eq!(limits, [of("GET /health"), of("GET /items")].concat());
        assert!(found.iter().all(|one| one.group == "all" && one.required));
    }

    #[test]
    fn the_scope_of_a_table_is_each_endpoint_or_requests_together() {
        let subjects = |lines: &str| -> Vec<Subject> {
            thresholds(lines).into_iter().map(|threshold| threshold.subject).collect()
        };
        let errors = "fail = [\"errors < 1%\"]\n";
        let endpoint = |name: &str| Subject::Endpoint(name.into());
        for (scope, expected) in [
            ("", vec![Subject::AllRequests]),
            ("endpoints = [\"GET /items\"]", vec![endpoint("GET /items")]),
            (
                "endpoints = [\"*\"]",
                vec![endpoint("GET /health"), endpoint("GET /items"), endpoint("POST /items")],
            ),
            ("class = \"Shopper\"", vec![Subject::Class("Shopper".into())]),
            ("tag = \"read\"", vec![Subject::Tag("read".into())]),
            ("work = \"generation\"", vec![Subject::Work("generation".into())]),
        ] {
            assert_eq!(subjects(&format!("{scope}\n{errors}")), expected, "{scope}");
        }
        let service = "fail = [\"cpu < 70%\", \"count(orders) >= 1\", \"rate(orders) >= 1/s\"]\n";
        assert_eq!(subjects(service), [Subject::Service, Subject::Run, Subject::Run]);
    }

    #[test]
    fn the_part_of_the_run_is_read() {
        let part = |lines: &str| {
            let found = thresholds(&format!("fail = [\"errors < 1%\"]\n{lines}\n"));
            (found[0].users, found[0].during.clone(), found[0].window_s)
        };
        let stages =
            |names: &[&str]| During::Stages(names.iter().map(|name| (*name).to_owned()).collect());
        let users = |from, to| UserRange { from, to };
        assert_eq!(part(""), (UserRange::ANY, During::Judged, None));
        assert_eq!(part("during = \"run\"\nevery = \"2m\"").1, During::Run);
        assert_eq!(part("during = \"run\"\nevery = \"2m\"").2, Some(120));
        assert_eq!(part("during = \"spike\"").1, stages(&["spike"]));
        assert_eq!(part("during = [\"ramp\", \"spike\"]").1, stages(&["ramp", "spike"]));
        assert_eq!(part("users = \"51..100\"").0, users(51, 100));
        assert_eq!(part("users = \"51..\"").0, users(51, u32::MAX));
        assert_eq!(part("users = \"..50\"").0, users(0, 50));
        assert_eq!(part("users = \"50..50\"").0, users(50, 50));
        for wrong in ["0..50", "50", "a..b", "-1..5"] {
            let lines = format!("users = \"{wrong}\"\nfail = [\"errors < 1%\"]\n");
            let found = errors(&format!("[[threshold]]\n{lines}"));
            assert!(found[0].contains("`users` must be a range such as 51..100"), "{found:?}");
        }
    }

    #[test]
    fn survival_and_drain_are_of_the_whole_run() {
        let found = thresholds("fail = [\"healthy_after < 10s\", \"restarts <= 0\"]\n");
        assert!(found.iter().all(|one| one.during == During::Run), "{found:?}");
        let drain = thresholds("work = \"generation\"\nfail = [\"drain < 30s\", \"p95 < 60s\"]\n");
        assert_eq!([&drain[0].during, &drain[1].during], [&During::Run, &During::Judged]);
        let found = errors("[[threshold]]\nduring = \"spike\"\nfail = [\"restarts <= 0\"]\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("x.toml:4: `restarts` has one value"), "{found:?}");
    }

    #[test]
    fn how_thresholds_are_judged_and_which_are_required_is_read() {
        let text = "confidence_percent = 99\noptional = [\"p99\", \"p99.9\"]\n\
                    [[threshold]]\nwarn = [\"p95 < 1ms\", \"p99 < 2ms\", \"p99.9 < 3ms\"]\n\
                    [[threshold]]\nwarn = [\"errors < 1%\"]\noptional = true\n";
        let sla = parse_sla(text).unwrap();
        assert_eq!(sla.judging, Judging::Interval { confidence: 0.99 });
        let required: Vec<bool> = sla.thresholds.iter().map(|one| one.required).collect();
        assert_eq!(required, [true, false, false, false]);
        let survival = "[[threshold]]\nfail = [\"restarts <= 0\"]\n";
        let judging = |line: &str| parse_sla(&format!("{line}{survival}")).unwrap().judging;
        assert_eq!(judging("judge = \"interval\"\n"), Judging::Interval { confidence: 0.95 });
        assert_eq!(judging("judge = \"point\"\n"), Judging::Point);
        let limits: Vec<(Metric, Limit)> =
            thresholds("fail = [\"open_files < 9\", \"memory <= 8MiB\"]\n")
                .into_iter()
                .map(|one| (one.metric, one.limit))
                .collect();
        let expected = [
            (Metric::Resource(Resource::OpenFiles), Limit::below(9.0)),
            (Metric::Resource(Resource::Memory), Limit::at_most(8.0)),
        ];
        assert_eq!(limits, expected);
    }

    #[test]
    fn a_threshold_can_abort_the_run_after_a_delay() {
        let abort = |lines: &str| -> Vec<Option<u32>> {
            thresholds(lines).iter().map(|threshold| threshold.abort_after_s).collect()
        };
        let limits = "warn = [\"p50 < 1s\"]\nfail = [\"errors < 1%\", \"restarts <= 0\"]\n";
        assert_eq!(abort(limits), [None, None, None]);
        let at_once = format!("abort_on_fail = true\n{limits}");
        assert_eq!(abort(&at_once), [None, Some(0), Some(0)], "a warning aborts nothing");
        let delayed = format!("abort_on_fail = true\nabort_delay = \"30s\"\n{limits}");
        assert_eq!(abort(&delayed), [None, Some(30), Some(30)]);
        for (lines, line, message) in [
            ("abort_delay = \"5s\"\nfail = [\"p95 < 1s\"]\n", 3, "requires `abort_on_fail = true`"),
            ("abort_on_fail = true\nwarn = [\"p95 < 1s\"]\n", 3, "requires limits in `fail`"),
            ("abort_on_fail = true\nfail = [\"healthy_after < 1s\"]\n", 4, "only after the load"),
            (
                "work = \"generation\"\nabort_on_fail = true\nfail = [\"p95 < 1s\"]\n",
                5,
                "only after",
            ),
        ] {
            let found = errors(&format!("[[threshold]]\n{lines}"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("x.toml:{line}: ")), "{found:?}");
            assert!(found[0].contains(message), "{found:?}");
        }
    }

    #[test]
    fn limits_on_the_course_of_the_run_are_read_once_each() {
        let text = "[[threshold]]\nfail = [\"memory_growth < 20% over 24h\", \"recovery < 10%\"]\n\
                    [[threshold]]\nfail = [\"drift < 5% window 5m\"]\n";
        let over_time = parse_sla(text).unwrap().over_time;
        assert_eq!(over_time.memory_growth.map(|limit| limit.over_s), Some(86_400.0));
        assert_eq!(over_time.drift.map(|limit| limit.window_s), Some(300));
        assert_eq!(over_time.recovery.map(|limit| limit.within_percent), Some(10.0));
        let twice = format!("{text}[[threshold]]\nfail = [\"recovery < 20%\"]\n");
        assert_eq!(errors(&twice), ["x.toml:7: `recovery` has a limit already"]);
        let warning = errors("[[threshold]]\nwarn = [\"recovery < 20%\"]\n");
        assert!(warning[0].contains("put it into `fail`"), "{warning:?}");
        let scoped = errors("[[threshold]]\ntag = \"read\"\nfail = [\"recovery < 20%\"]\n");
        assert!(scoped[0].contains("a table without tag"), "{scoped:?}");
    }

    #[test]
    fn all_mistakes_of_a_file_are_listed_with_their_lines() {
        let text = "optional = [\"p98%\"]\n\
                    judge = \"guess\"\n\
                    confidence_percent = 100\n\
                    p95_fails_over_percent = 50\n\
                    [[threshold]]\n\
                    endpoints = [\n\
                    \"GET /elsewhere\"]\n\
                    warn = [\"p95 < 100ms\",\n\
                    \"p95 < 200ms\"]\n\
                    fail = [\"p95 < 99ms\"]\n\
                    [[threshold]]\n\
                    class = \"Nobody\"\n\
                    tag = \"write\"\n\
                    fail = [\"errors < 5\"]\n\
                    during = \"dawn\"\n\
                    every = \"soon\"\n\
                    users = \"9..3\"\n\
                    p95_ms = 300\n\
                    [[threshold]]\n\
                    work = \"tickets\"\n\
                    [[latency]]\n\
                    p95_ms = 300\n";
        let found = errors(text);
        let expected = [
            "x.toml:2: `p98%` is no metric",
            "x.toml:3: unknown `guess`",
            "x.toml:4: `confidence_percent` must be",
            "x.toml:5: unknown key `p95_fails_over_percent`",
            "x.toml:8: no user class of this profile requests `GET /elsewhere`",
            "x.toml:10: `p95` has two limits in `warn`",
            "x.toml:11: `fail` (`p95 < 99 ms`) is stricter than `warn`",
            "x.toml:12: set only one of class, tag",
            "x.toml:13: this profile has no user class `Nobody`",
            "x.toml:14: no endpoint of this profile has the tag `write`",
            "x.toml:15: `errors < 5`: `errors` is a share in %",
            "x.toml:16: unknown stage `dawn`",
            "x.toml:17: `every`:",
            "x.toml:18: `users` must be a range",
            "x.toml:19: unknown key `p95_ms`",
            "x.toml:20: a threshold needs limits",
            "x.toml:21: no user class of this profile submits the work `tickets`",
            "x.toml:22: unknown key `latency`",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
    }

    #[test]
    fn names_of_an_sla_can_be_printed() {
        let table = "[[threshold]]\nfail = [\"p95 < 1s\"]\n";
        let found = errors(&format!("{table}group = \"a\\u001b[2J\"\n"));
        assert_eq!(found, ["x.toml:4: `group` must have no control characters"]);
        let error = parse("x.toml", &format!("name = \"\"\n{table}"), &names()).unwrap_err();
        assert_eq!(error.to_string(), "x.toml:1: `name` must not be empty");
    }

    #[test]
    fn a_wrong_scope_hides_no_other_mistake_of_its_table() {
        for scope in
            ["class = \"Nobody\"", "tag = \"none\"", "work = \"x\"", "endpoints = [\"GET /x\"]"]
        {
            let found = errors(&format!("[[threshold]]\n{scope}\nfail = [\"memory < 1GiB\"]\n"));
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(
                found[1].starts_with("x.toml:4: `memory` is no metric of requests"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_metric_that_cannot_be_measured_is_a_mistake_unless_it_is_optional() {
        let unmeasured = [Metric::Resource(Resource::Memory), Metric::SecondsToHealthy]
            .map(|metric| Unmeasured { metric, reason: "there is none".into() });
        let names = AllowedNames { unmeasured: unmeasured.into(), ..names() };
        let limits = "fail = [\n\"memory < 1GiB\",\n\"healthy_after < 5s\",\n\"cpu < 5%\"]\n";
        let growth = "[[threshold]]\nfail = [\"memory_growth < 20% over 24h\"]\n";
        let text = format!("name = \"x\"\n[[threshold]]\n{limits}{growth}");
        let error = parse("x.toml", &text, &names).unwrap_err().to_string();
        let expected = "x.toml:4: `memory` cannot be measured: there is none\n\
                        x.toml:5: `healthy_after` cannot be measured: there is none\n\
                        x.toml:8: `memory` cannot be measured: there is none";
        assert_eq!(error, expected);
        let text = format!("name = \"x\"\n[[threshold]]\noptional = true\n{limits}");
        assert!(parse("x.toml", &text, &names).is_ok());
        let text = format!(
            "name = \"x\"\noptional = [\"memory\", \"healthy_after\"]\n[[threshold]]\n{limits}"
        );
        assert!(parse("x.toml", &text, &names).is_ok());
    }

    #[test]
    fn contradicting_limits_are_errors_and_equal_ones_are_not() {
        for (limits, message) in [
            ("warn = [\"errors < 2%\"]\nfail = [\"errors < 1%\"]", "stricter than `warn`"),
            ("warn = [\"errors <= 2%\"]\nfail = [\"errors < 2%\"]", "stricter than `warn`"),
            ("warn = [\"rate >= 2/s\"]\nfail = [\"rate >= 3/s\"]", "stricter than `warn`"),
            ("warn = [\"rate >= 2/s\"]\nfail = [\"rate < 3/s\"]", "an upper and a lower limit"),
        ] {
            let found = errors(&format!("[[threshold]]\n{limits}\n"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(message), "{found:?}");
        }
        let equal = "warn = [\"errors < 2%\", \"rate >= 2/s\"]\n\
                     fail = [\"errors < 2%\", \"rate >= 2/s\"]\n";
        assert!(thresholds(equal).iter().all(Threshold::has_no_warning));
        assert!(parse_sla("").is_err(), "no threshold at all");
    }
}
