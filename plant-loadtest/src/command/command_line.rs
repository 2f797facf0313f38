//! The command line that repeats a run.

use std::time::Duration;

use super::run_arguments::RunArguments;
use crate::{harness::Harness, trace::TraceHeader};

/// Returns the program and its arguments that repeat the run of `arguments` against `host`: without report
/// files, which would be overwritten, and without secrets.
#[must_use]
pub(super) fn command_line(harness: &Harness, arguments: &RunArguments, host: &str) -> Vec<String> {
    let RunArguments { users, spawn_rate, rate, run_time, timeout, drain_timeout, .. } = arguments;
    let mut line = vec![
        harness.name.to_owned(),
        "run".to_owned(),
        arguments.profile.clone(),
        "--host".to_owned(),
        host.to_owned(),
    ];
    let time_scale = Some(arguments.time_scale).filter(|scale| *scale != 1.0);
    let options = [
        ("--users", users.map(|users| users.to_string())),
        ("--spawn-rate", spawn_rate.map(|rate| rate.to_string())),
        ("--rate", rate.map(|rate| rate.to_string())),
        ("--run-time", run_time.map(seconds)),
        ("--time-scale", time_scale.map(|scale| scale.to_string())),
        ("--share", arguments.share.map(|share| share.to_string())),
        ("--timeout", timeout.map(seconds)),
        ("--traces", arguments.traces.map(share)),
        ("--drain-timeout", drain_timeout.map(seconds)),
        ("--sla", arguments.reports.sla.clone()),
    ];
    for (name, value) in options {
        line.extend(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
    }
    for threshold in &arguments.reports.thresholds {
        line.extend(["--threshold".to_owned(), threshold.clone()]);
    }
    for (name, given) in
        [("--strict", arguments.strict), ("--allow-remote", arguments.allow_remote)]
    {
        line.extend(given.then(|| name.to_owned()));
    }
    line
}

fn seconds(duration: Duration) -> String {
    crate::duration::format(duration.as_secs())
}

fn share(traces: TraceHeader) -> String {
    match traces {
        TraceHeader::Off => "off".to_owned(),
        TraceHeader::Sampled(share) => share.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &[&str]) -> RunArguments {
        match Cli::try_parse_from(line).unwrap().command {
            Command::Run(arguments) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    fn repeated(line: &[&str]) -> Vec<String> {
        command_line(&Harness::new("plant-loadtest"), &parse(line), "http://127.0.0.1:8001")
    }

    #[test]
    fn the_line_repeats_what_determines_the_load_and_the_verdict() {
        let given = [
            "plant-loadtest",
            "run",
            "demo",
            "--host",
            "http://127.0.0.1:8001",
            "--users",
            "20",
            "--spawn-rate",
            "2.5",
            "--rate",
            "80",
            "--run-time",
            "1m30s",
            "--time-scale",
            "0.5",
            "--share",
            "1/4",
            "--timeout",
            "10s",
            "--traces",
            "0.05",
            "--drain-timeout",
            "2m",
            "--sla",
            "own.toml",
            "--threshold",
            "GET /items: p95 < 3ms",
            "--threshold",
            "p99 < 5ms",
            "--strict",
            "--allow-remote",
        ];
        // A share has a file for its outcome.
        assert_eq!(repeated(&[&given[..], &["--json", "part.json"]].concat()), given);
    }

    #[test]
    fn report_files_secrets_and_defaults_are_left_out() {
        let line = repeated(&[
            "plant-loadtest",
            "run",
            "smoke",
            "--password",
            "hunter2",
            "--html",
            "a.html",
            "--json",
            "a.json",
            "--csv",
            "a",
            "-q",
            "--explain",
            "--traces",
            "off",
        ]);
        let expected = [
            "plant-loadtest",
            "run",
            "smoke",
            "--host",
            "http://127.0.0.1:8001",
            "--traces",
            "off",
        ];
        assert_eq!(line, expected);
    }
}
