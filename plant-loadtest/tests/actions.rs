//! Actions of profiles: programs that the harness runs during the load.
#![cfg(unix)]

mod harness;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::{
    plant::stub_responses::start_stub,
    stub::{Behavior, Stub},
};

/// Writes a profile with stages of 1 s and 2 s and these `actions`, and the script `act.sh`.
fn prepare(test: &str, actions: &str, script: &str) -> std::path::PathBuf {
    let folder = new_test_folder(test);
    let profile = format!(
        "name = \"test\"\nmodel = \"open\"\nusers = 10\nthresholds = [\"errors < 50%\"]\n\
         [[stage]]\nname = \"a\"\nlasts = \"1s\"\nrate = 20\n\
         [[stage]]\nname = \"b\"\nlasts = \"2s\"\nrate = 20\n{actions}\
         [[class]]\nname = \"HealthCheckUser\"\n"
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    let path = folder.join("act.sh");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn run(folder: &Path, stub: &Stub, more: &[&str]) -> ProgramOutput {
    let host = stub.host();
    let mut arguments = vec!["run", "test.toml", "--json", "out.json", "--host", &host];
    arguments.extend(more);
    loadtest(folder, &arguments)
}

fn stub() -> Stub {
    start_stub(0, Behavior::default()).unwrap()
}

const ACTION: &str = "[[action]]\nat = \"1s\"\nscript = \"./act.sh\"\nargs = [\"an argument\"]\n";

#[test]
fn an_action_runs_at_its_time_with_its_arguments_and_the_settings_of_the_run() {
    let script = "echo \"$1, $LOAD_TEST_HOST, $LOAD_TEST_TIME_SCALE\"";
    let folder = prepare("action-runs", ACTION, script);
    let stub = stub();
    let output = run(&folder, &stub, &["--time-scale", "1.5"]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    let outcome = output.outcome.as_ref().unwrap();
    let action = &outcome.actions[0];
    assert_eq!((action.name.as_str(), action.exit_code), ("act", Some(0)));
    assert_eq!(action.output, [format!("an argument, {}, 1.5", stub.host())]);
    // The first stage takes two seconds: durations are rounded up.
    assert!(action.started_s >= 2.0, "{}", action.started_s);
    assert!(output.stdout.contains("action act took"), "{}", output.stdout);
}

#[test]
fn a_failed_action_fails_the_run() {
    let folder = prepare("action-fails", ACTION, "echo out of space >&2; exit 7");
    let output = run(&folder, &stub(), &[]);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    assert!(first_line(&output).contains("failed actions 1"), "{}", output.stdout);
    let action = &output.outcome.unwrap().actions[0];
    assert_eq!(action.problem.as_deref(), Some("exit code 7"));
    assert_eq!(action.output, ["out of space"]);
}

#[test]
fn a_run_waits_for_an_action_that_outlasts_it_and_is_not_decidable() {
    let folder = prepare("action-outlasts", ACTION, "sleep 4; echo done");
    let output = run(&folder, &stub(), &[]);
    assert!(first_line(&output).starts_with("INSUFFICIENT"), "{}", output.stdout);
    assert!(first_line(&output).contains("action act outlasted the load"), "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    assert_eq!((outcome.actions[0].exit_code, &*outcome.actions[0].output[0]), (Some(0), "done"));
    assert!(outcome.duration_s < 4.5, "the load itself is not longer: {}", outcome.duration_s);
}

#[test]
fn a_process_that_an_action_leaves_behind_does_not_delay_the_run() {
    let folder = prepare("action-leaves", ACTION, "sleep 20 & echo $!");
    let output = run(&folder, &stub(), &[]);
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    let action = &outcome.actions[0];
    assert!(action.duration_s < 15.0, "{action:?}");
    let pid = rustix::process::Pid::from_raw(action.output[0].parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_run_without_the_program_of_its_action_does_not_start() {
    let folder = prepare("action-missing", &ACTION.replace("act.sh", "other.sh"), "true");
    let stub = stub();
    let output = run(&folder, &stub, &[]);
    assert_eq!(output.exit_code, 3, "{}", output.stdout);
    assert!(output.stderr.contains("action other: ./other.sh is no file"), "{}", output.stderr);
    assert!(output.outcome.is_none());
    let plan = run(&folder, &stub, &["--dry-run"]).stdout;
    assert!(plan.contains("Action other after 1.0 s: ./other.sh an argument"), "{plan}");
}
