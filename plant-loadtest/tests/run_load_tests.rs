//! `scripts/run_load_tests.sh`, the platform load test, against a stub.

#![cfg(unix)]

#[expect(dead_code, reason = "this test runs a script and not the program itself")]
mod harness;

use std::{fs, path::Path, process::Command};

use harness::new_test_folder;
use plant_loadtest::{plant::stub_responses::start_stub, stub::Behavior};
use serde_json::Value;

struct ScriptOutput {
    exit_code: i32,
    stdout: String,
    stderr: String,
}

fn script(arguments: &[&str]) -> ScriptOutput {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_plant-loadtest")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a search path is no setting of the service")]
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(root.join("scripts/run_load_tests.sh"))
        .args(arguments)
        .env("PATH", format!("{}:{path}", program.display()))
        .env("PAYMENTS_P95_LATENCY_MS", "301")
        .output()
        .unwrap();
    ScriptOutput {
        exit_code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn all_flags_of_the_seed_are_accepted_and_its_files_are_written() {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let folder = new_test_folder("run-load-tests");
    let reports = folder.join("reports");
    let output = script(&[
        "--host",
        &stub.host(),
        "--users-min",
        "3",
        "--users-max",
        "6",
        "--spawn-rate",
        "6",
        "--duration",
        "3",
        "--output",
        reports.to_str().unwrap(),
    ]);
    // Some 20 requests are too few for all percentiles.
    assert_eq!(output.exit_code, 4, "{}\n{}", output.stdout, output.stderr);
    assert!(
        output.stdout.contains("Acceptance criteria of the platform load tests:"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains("Payments API P95 latency ≤ 301 ms"), "from the environment");
    let mut files: Vec<String> = fs::read_dir(&reports)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "load_test.log",
            "load_test_metrics.json",
            "load_test_results_exceptions.csv",
            "load_test_results_failures.csv",
            "load_test_results_stats.csv",
            "load_test_results_stats_history.csv",
            "locust_report.html",
        ]
    );
    let text = fs::read_to_string(reports.join("load_test_metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&text).unwrap();
    for (api, p95, success) in
        [("auth", 200.0, 0.99), ("generation", 500.0, 0.95), ("payments", 301.0, 0.95)]
    {
        assert!(metrics["metrics"][api]["total_requests"].as_u64().unwrap() > 0, "{api}: {text}");
        assert_eq!(metrics["thresholds"][api]["p95_latency_ms"], p95, "{api}");
        assert_eq!(metrics["thresholds"][api]["success_rate"], success, "{api}");
    }
}

#[test]
fn json_only_writes_the_metrics_and_the_log() {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let folder = new_test_folder("run-load-tests-json");
    let (host, output) = (stub.host(), folder.to_str().unwrap());
    let options = ["--users-min", "1", "--users-max", "2", "--spawn-rate", "2", "--duration", "1"];
    let mut arguments = vec!["--json-only", "--host", &host, "--output", output];
    arguments.extend(options);
    script(&arguments);
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort_unstable();
    assert_eq!(files, ["load_test.log", "load_test_metrics.json"]);
}

#[test]
fn options_after_two_dashes_are_those_of_the_program() {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let folder = new_test_folder("run-load-tests-options");
    let (host, reports) = (stub.host(), folder.join("reports"));
    let (junit, outcome) = (folder.join("junit.xml"), folder.join("outcome.json"));
    let options = ["--users-max", "2", "--spawn-rate", "2", "--duration", "1", "--json-only"];
    let mut arguments = vec!["--host", &host, "--output", reports.to_str().unwrap()];
    arguments.extend(options);
    arguments.extend(["--", "--junit", junit.to_str().unwrap()]);
    arguments.extend(["--json", outcome.to_str().unwrap()]);
    script(&arguments);
    let report = fs::read_to_string(junit).unwrap();
    assert!(report.contains("<testsuite "), "{report}");
    assert!(outcome.exists(), "the script keeps none by itself");
    assert_eq!(script(&["--", "--frob"]).exit_code, 2, "the exit code of plant-loadtest");
}

#[test]
fn a_mistake_prints_the_help_and_exits_1() {
    for (arguments, message) in [
        (vec!["--frob"], "unknown option '--frob'"),
        (vec!["--host"], "--host needs a value"),
        (vec!["--users-max", "many"], "must be a whole number"),
        (vec!["--users-min", "9", "--users-max", "3"], "--users-min must not exceed"),
    ] {
        let output = script(&arguments);
        assert_eq!(output.exit_code, 1, "{arguments:?}");
        assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains("--spawn-rate N"), "the help: {}", output.stderr);
    }
    assert_eq!(script(&["--help"]).exit_code, 0);
}
