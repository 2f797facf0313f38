//! Thresholds from end to end: in profiles, on the command line, and those that abort a run.

mod harness;
#[expect(dead_code, reason = "these tests need some of the faults only")]
mod stub;

use std::fs;

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::outcome::Ended;
use stub::{Fault, FaultKind, Stub};

const CLOSED: &str = "users = 10\nspawn_rate = 10\nrun_time = \"3s\"\n";

/// Runs a profile with these `lines` against `stub`, with further `options`.
fn run(test: &str, stub: &Stub, lines: &str, options: &[&str]) -> ProgramOutput {
    let folder = new_test_folder(test);
    let profile = format!(
        "name = \"test\"\ndescription = \"A test.\"\n{lines}\
         [[class]]\nname = \"PlantBackendUser\"\nweight = 1\n\
         [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n"
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    let host = stub.host();
    let mut arguments =
        vec!["run", "test.toml", "--verbose", "--json", "out.json", "--host", &host];
    arguments.extend(options);
    loadtest(&folder, &arguments)
}

/// Returns whether the output contains a line with all `parts`.
fn has_line(output: &ProgramOutput, parts: &[&str]) -> bool {
    output.stdout.lines().any(|line| parts.iter().all(|part| line.contains(part)))
}

#[test]
fn thresholds_of_the_profile_and_of_the_command_line_are_judged() {
    let stub = Stub::start(Vec::new());
    let lines = format!("{CLOSED}thresholds = [\"max < 20s\", \"tag read: status(200) >= 50%\"]\n");
    let options =
        ["--threshold", "class HealthCheckUser: errors < 60%", "--threshold", "*: max < 1us"];
    let invalid = run("command-line", &stub, &lines, &options);
    assert_eq!(invalid.exit_code, 2);
    let expected = "--threshold `max < 1us`: `max` is a time in ms, s, m or h, not `1us`";
    assert!(invalid.stderr.contains(expected), "{}", invalid.stderr);
    assert_eq!(stub.requests(), 0);

    let output = run("command-line", &stub, &lines, &options[..2]);
    for parts in [
        ["all requests: max", "threshold < 20000 ms"],
        ["tag read: responses 200", "threshold >= 50 %"],
        ["class HealthCheckUser: errors", "threshold < 60 %"],
    ] {
        assert!(has_line(&output, &parts), "{parts:?}: {}", output.stdout);
    }
    assert!(output.stdout.contains("thresholds of test, with thresholds of the command line"));
}

#[test]
fn a_saved_outcome_is_judged_by_further_thresholds() {
    let stub = Stub::start(Vec::new());
    let lines = format!("{CLOSED}thresholds = [\"errors < 50%\"]\n");
    run("judged-again", &stub, &lines, &[]);
    let folder = harness::test_folder("judged-again");
    let again =
        |threshold: &str| loadtest(&folder, &["report", "out.json", "--threshold", threshold]);
    let violated = again("class HealthCheckUser: rate >= 100000/s");
    assert_eq!(violated.exit_code, 1, "{}", violated.stdout);
    assert!(first_line(&violated).starts_with("FAIL: class HealthCheckUser: rate"));
    let of_status = again("tag read: status(200) < 1%");
    assert!(first_line(&of_status).starts_with("FAIL: tag read: responses 200 100 %"));
    let unknown = again("tag green: errors < 1%");
    assert_eq!(unknown.exit_code, 2);
    assert!(unknown.stderr.contains("expected one of: read, write"), "{}", unknown.stderr);
}

#[test]
fn a_mistake_in_a_threshold_of_a_profile_is_reported_with_its_line() {
    let stub = Stub::start(Vec::new());
    let lines = format!("{CLOSED}thresholds = [\n\"p95 < 1\",\n\"GET /nowhere: p95 < 1s\"]\n");
    let output = run("mistyped", &stub, &lines, &[]);
    assert_eq!(output.exit_code, 2);
    let expected = [
        "test.toml:7:1: `p95 < 1`",
        "\n    \"p95 < 1\",\n    ^\n",
        "test.toml:8:1: `GET /nowhere: p95 < 1s`",
    ];
    for expected in expected {
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
    assert_eq!((output.stderr.lines().count(), stub.requests()), (6, 0));
    let none = run("no-thresholds", &stub, CLOSED, &[]);
    assert!(none.stderr.contains("test.toml:1:1: set `sla`"), "{}", none.stderr);
}

#[test]
fn a_violated_threshold_aborts_the_run_in_both_models() {
    let open = "model = \"open\"\nusers = 10\nrate = 40\nrun_time = \"2m\"\n";
    let closed = "users = 20\nspawn_rate = 20\nrun_time = \"2m\"\n";
    for (test, load) in [("aborted-open", open), ("aborted-closed", closed)] {
        // The checks before the run get normal responses.
        let stub = Stub::start(vec![Fault {
            prefix: "GET /api/v1/agents",
            kind: FaultKind::Status(503),
            skip_first: 5,
        }]);
        let sla = new_test_folder(&format!("{test}-sla")).join("sla.toml");
        let text = "name = \"x\"\n[[threshold]]\nduring = \"run\"\n\
                    fail = [\"errors < 2%\"]\nabort_on_fail = true\nabort_delay = \"2s\"\n";
        fs::write(&sla, text).unwrap();
        let lines = format!("{load}sla = \"smoke\"\n");
        let output = run(test, &stub, &lines, &["--sla", sla.to_str().unwrap()]);
        assert_eq!(output.exit_code, 1, "{}\n{}", output.stdout, output.stderr);
        let first = first_line(&output).to_owned();
        assert!(first.starts_with("FAIL: all requests: errors "), "{first}");
        assert!(first.contains("; it aborted the run after "), "{first}");
        assert!(has_line(&output, &["Note: aborted after", "of 120 seconds"]), "{}", output.stdout);
        let outcome = output.outcome.unwrap();
        assert_eq!(outcome.ended, Ended::Aborted);
        let after_s = outcome.aborted.unwrap().after_s;
        assert!((2..120).contains(&after_s), "{after_s}");
        // Judged again, it is the same.
        let again = loadtest(&harness::test_folder(test), &["report", "out.json", "--verbose"]);
        assert_eq!(first_line(&again), first);
    }
}

#[test]
fn a_run_that_meets_its_thresholds_is_not_aborted() {
    let stub = Stub::start(Vec::new());
    let sla = new_test_folder("not-aborted-sla").join("sla.toml");
    let text = "name = \"x\"\n[[threshold]]\nfail = [\"errors < 50%\", \"rate >= 1/s\", \"max < 25s\"]\n\
                abort_on_fail = true\n";
    fs::write(&sla, text).unwrap();
    let lines = format!("{CLOSED}sla = \"smoke\"\n");
    let output = run("not-aborted", &stub, &lines, &["--sla", sla.to_str().unwrap()]);
    let outcome = output.outcome.unwrap();
    assert_eq!((outcome.ended, outcome.aborted), (Ended::AsPlanned, None), "{}", output.stdout);
}
