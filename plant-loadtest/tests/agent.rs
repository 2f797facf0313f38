//! Runs the profiles of the performance agent plan against a stub with canned responses and
//! injected faults, and compares their plans with the files in `tests/golden`. `UPDATE_GOLDEN=1`
//! writes them anew.

mod harness;
mod stub;

use std::{fs, path::Path, time::Duration};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use stub::{Fault, FaultKind, Stub};

const PROFILES: [&str; 5] =
    ["agent-load", "agent-stress", "agent-resources", "agent-throughput", "agent-ladder"];

fn run(test: &str, profile: &str, stub: &Stub) -> ProgramOutput {
    let host = stub.host();
    // Scaled stages have the same number of requests in less time.
    let options =
        ["--verbose", "--time-scale", "0.5", "--json", "out.json", "--quiet", "--host", &host];
    loadtest(&new_test_folder(test), &[&["run", profile], &options[..]].concat())
}

fn fault(prefix: &'static str, kind: FaultKind) -> Fault {
    // The first request to the settings is the check before the run.
    let skip_first = u64::from(prefix == "GET /api/v1/config");
    Fault { prefix, kind, skip_first }
}

#[test]
fn the_plans_are_those_of_the_seed() {
    for profile in PROFILES {
        let arguments = ["run", profile, "--dry-run", "--host", "http://127.0.0.1:8001"];
        let output = loadtest(&new_test_folder(&format!("plan-{profile}")), &arguments);
        assert_eq!(output.exit_code, 0, "{}", output.stderr);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/golden/dry_run_{profile}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &output.stdout).unwrap();
        }
        assert_eq!(output.stdout, fs::read_to_string(golden).unwrap(), "{profile}");
    }
}

#[test]
fn the_load_test_sends_exactly_the_requests_of_the_seed() {
    let stub = Stub::start(Vec::new());
    let output = run("agent-load", "agent-load", &stub);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    let sent = |stage: usize| -> Vec<u64> {
        let seconds = outcome.load.stages[stage].seconds();
        ["health", "config", "capabilities", "workflows"]
            .map(|path| {
                let name = format!("GET /api/v1/{path}");
                let endpoint = outcome.endpoints.iter().find(|one| one.name == name).unwrap();
                endpoint.counts_in(&seconds).sent
            })
            .into()
    };
    assert_eq!(sent(0), [100, 0, 0, 0]);
    assert_eq!(sent(1), [0, 50, 0, 0]);
    assert_eq!(sent(2), [0, 0, 50, 0]);
    assert_eq!(sent(3), [0, 0, 0, 30]);
    assert_eq!(sent(4), [25, 25, 25, 25]);
    let users: Vec<u32> = outcome.iterations.iter().map(|run| run.users).collect();
    assert_eq!(users, [20, 10, 10, 10, 20]);
    let counts = outcome.tally_all().counts;
    assert_eq!((counts.sent, counts.errors()), (330, 0));
    // Two checks before the run and one after it.
    assert_eq!(stub.requests(), 330 + 3);
}

#[test]
fn one_failed_request_of_the_load_test_is_a_fail() {
    // A 404 is no success, though the document accepts one for the workflows.
    let stub = Stub::start(vec![fault("GET /api/v1/config", FaultKind::EveryNth(49))]);
    let output = run("agent-load-failed", "agent-load", &stub);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    let expected = "FAIL: GET /api/v1/config: errors 2 % in config";
    assert!(first_line(&output).starts_with(expected), "{}", output.stdout);
}

#[test]
fn a_body_of_another_shape_is_a_failed_request() {
    let stub = Stub::start(vec![fault("GET /api/v1/workflows", FaultKind::Body("{}"))]);
    let output = run("agent-load-shape", "agent-load", &stub);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    assert!(output.stdout.contains("GET /api/v1/workflows: errors 100 % in workflows"));
}

#[test]
fn a_slow_health_of_the_load_test_is_a_fail() {
    let delay = Duration::from_millis(400);
    let stub = Stub::start(vec![fault("GET /api/v1/health", FaultKind::Delay(delay))]);
    let output = run("agent-load-slow", "agent-load", &stub);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    assert!(first_line(&output).starts_with("FAIL: GET /api/v1/health: P95"), "{}", output.stdout);
}

#[test]
fn the_stress_test_sends_its_requests_and_allows_some_to_fail() {
    let every = |n| Stub::start(vec![fault("GET /api/v1/health", FaultKind::EveryNth(n))]);
    let of_stage = |output: &ProgramOutput, stage: usize| {
        let outcome = output.outcome.as_ref().unwrap();
        outcome.tally_in(&outcome.load.stages[stage].seconds()).counts
    };
    // 4 % of the health checks fail, and 1 % of the mixed requests.
    let stub = every(25);
    let output = run("agent-stress-some", "agent-stress", &stub);
    assert!(output.outcome.is_some(), "{}{}", output.stdout, output.stderr);
    let counts = [0, 1, 2].map(|stage| of_stage(&output, stage));
    assert_eq!(counts.map(|counts| counts.sent), [500, 1000, 100]);
    assert_eq!(counts.map(|counts| counts.errors()), [20, 10, 4]);
    assert_eq!(stub.failed(), 34);
    let outcome = output.outcome.unwrap();
    let users: Vec<u32> = outcome.iterations.iter().map(|run| run.users).collect();
    assert_eq!(users, [50, 50, 1]);
    let sustained = &outcome.iterations[2];
    assert_eq!(sustained.started, 10, "batches");
    assert!(sustained.duration_s >= 0.9, "nine pauses of 100 ms: {}", sustained.duration_s);

    // 5 % is not below 5 %.
    let output = run("agent-stress-more", "agent-stress", &every(20));
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    let expected = "FAIL: all requests: errors 5 % in health";
    assert!(first_line(&output).starts_with(expected), "{}", output.stdout);
}

#[test]
fn a_service_without_a_performance_agent_exits_3() {
    for (status, message) in [(404, "has no performance agent"), (403, "set --admin-key")] {
        let fault =
            Fault { prefix: "GET /api/v1/config", kind: FaultKind::Status(status), skip_first: 0 };
        let stub = Stub::start(vec![fault]);
        let output = run("agent-missing", "agent-ladder", &stub);
        assert_eq!(output.exit_code, 3, "{}", output.stdout);
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
}

#[test]
fn the_suite_runs_the_five_profiles() {
    let folder = new_test_folder("agent-suite");
    let arguments = ["suite", "agent", "--dry-run", "--host", "http://127.0.0.1:8001"];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    for profile in PROFILES {
        assert!(output.stdout.contains(&format!("{profile}: ")), "{profile}: {}", output.stdout);
    }
    let listed = loadtest(&folder, &["list"]).stdout;
    assert!(
        listed.contains("\n  agent    the load tests of the performance agent plan"),
        "{listed}"
    );
}
