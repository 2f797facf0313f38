//! Runs the program against a stub server with known latencies and faults, and checks the measured
//! values.

mod harness;
mod run_in_progress;
mod stub;

use std::{fs, process::Command, time::Duration};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder, test_folder};
use plant_loadtest::{failure::FailureKind, report::json};
use stub::{Fault, FaultKind, Stub};

/// Runs a profile of `classes` for a few seconds against `stub`, judged by the built-in `sla`, with
/// further command-line `options`.
fn run(test: &str, stub: &Stub, classes: &[&str], sla: &str, options: &[&str]) -> ProgramOutput {
    let folder = new_test_folder(test);
    let mut profile = "name = \"test\"\ndescription = \"A test.\"\nusers = 10\nspawn_rate = 10\n\
                       run_time = \"3s\"\n"
        .to_owned();
    profile += &format!("sla = \"{sla}\"\n");
    for class in classes {
        profile += &format!("[[class]]\nname = \"{class}\"\nweight = 1\n");
    }
    fs::write(folder.join("test.toml"), profile).unwrap();
    let host = stub.host();
    let mut arguments =
        vec!["run", "test.toml", "--headless", "--json", "out.json", "--host", &host];
    arguments.extend(options);
    loadtest(&folder, &arguments)
}

#[test]
fn a_healthy_service_passes_and_every_request_is_counted() {
    let stub = Stub::start(Vec::new());
    let classes = ["PlantBackendUser", "HealthCheckUser"];
    let output = run("good", &stub, &classes, "smoke", &["--csv", "tables/t"]);
    assert_eq!(output.exit_code, 0, "{}\n{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("PASS"), "{}", output.stdout);

    let outcome = output.outcome.unwrap();
    let counts = outcome.tally_all().counts;
    assert!(counts.is_consistent());
    assert_eq!(counts.errors(), 0);
    // The check before the run sends four requests, and the health check after it sends one.
    assert_eq!(counts.sent + 5, stub.requests());
    assert_eq!(outcome.load.classes.iter().map(|class| class.users).sum::<u32>(), 10);
    assert_eq!(outcome.target.build["version"], "0.0.0-stub");
    assert!(outcome.samples.iter().any(|sample| sample.service.pool_max == Some(10.0)));

    let written: Vec<&str> = output.stdout.lines().rev().take(6).collect();
    for (path, end) in written.iter().zip([
        "reports/test.html",
        "tables/t_exceptions.csv",
        "tables/t_failures.csv",
        "tables/t_stats_history.csv",
        "tables/t_stats.csv",
        "out.json",
    ]) {
        assert_eq!(*path, end);
        assert!(test_folder("good").join(path).is_file(), "{path}");
    }
}

#[test]
fn percentiles_match_the_latency_of_the_server() {
    let delay = Duration::from_millis(120);
    let slow = Fault { prefix: "GET /health", kind: FaultKind::Delay(delay), skip_first: 0 };
    let stub = Stub::start(vec![slow]);
    let output = run("percentiles", &stub, &["HealthCheckUser"], "smoke", &[]);
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let latency = output.outcome.unwrap().tally_all().latency;
    assert!(latency.min_ms().unwrap() >= 120.0, "no response is faster than the server");
    // A slow machine adds latency, but not ten times as much.
    assert!(latency.quantile_ms(0.5).unwrap() < 1200.0, "{:?}", latency.quantile_ms(0.5));
}

#[test]
fn errors_are_counted_exactly() {
    let fault = Fault { prefix: "GET /health", kind: FaultKind::EveryNth(4), skip_first: 1 };
    let stub = Stub::start(vec![fault]);
    let output = run("errors", &stub, &["HealthCheckUser"], "smoke", &[]);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    let counts = outcome.tally_all().counts;
    assert!(counts.is_consistent());
    // The health check after the run may receive a 500 too, and is then repeated.
    let after_run = stub.failed() - counts.server_errors;
    assert!(after_run <= 1, "{after_run}");
    assert_eq!(counts.errors(), counts.server_errors);
    assert_eq!(outcome.failures[0].message, "500 internal");
}

#[test]
fn a_slow_endpoint_fails_and_is_named() {
    let delay = Duration::from_millis(1500);
    let slow = Fault { prefix: "GET /health", kind: FaultKind::Delay(delay), skip_first: 0 };
    let stub = Stub::start(vec![slow]);
    let sla = new_test_folder("slow-sla").join("sla.toml");
    fs::write(
        &sla,
        "name = \"fast\"\n[[threshold]]\nendpoints = [\"GET /health\"]\nwarn = [\"p95 < 500ms\"]\n\
         fail = [\"p95 < 750ms\"]\n",
    )
    .unwrap();
    let options = ["--sla", sla.to_str().unwrap()];
    let output = run("slow", &stub, &["HealthCheckUser"], "smoke", &options);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    assert!(first_line(&output).starts_with("FAIL: GET /health: P95"), "{}", output.stdout);
}

#[test]
fn failure_kinds_are_counted_separately() {
    let faults = vec![
        Fault { prefix: "GET /api/v1/agents/h1/goals", kind: FaultKind::Body("{}"), skip_first: 0 },
        Fault {
            prefix: "GET /api/v1/agents/h1/configuration",
            kind: FaultKind::Status(404),
            skip_first: 0,
        },
        Fault {
            prefix: "GET /health",
            kind: FaultKind::Delay(Duration::from_secs(5)),
            skip_first: 1,
        },
    ];
    let stub = Stub::start(faults);
    let options = ["--timeout", "1s", "-u", "30", "-r", "30"];
    let output = run("kinds", &stub, &["PlantBackendUser"], "smoke", &options);
    assert_eq!(output.exit_code, 1, "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    let counts = outcome.tally_all().counts;
    assert!(counts.is_consistent());
    assert!(counts.timed_out > 0, "{counts:?}");
    for failure in &outcome.failures {
        let expected = match failure.kind {
            FailureKind::TimedOut => "GET /health",
            FailureKind::ClientError => "GET /api/v1/agents/{id}/configuration",
            FailureKind::WrongShape => "GET /api/v1/agents/{id}/goals",
            other => panic!("{other:?}: {failure:?}"),
        };
        assert_eq!(failure.endpoint, expected);
    }
    assert_eq!(outcome.target.healthy_after_s, None, "/health stayed slow");
}

#[test]
fn existing_skills_are_not_errors() {
    let stub = Stub::start(Vec::new());
    let output = run("plant-user", &stub, &["PlantUser"], "smoke", &[]);
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    assert_eq!(outcome.endpoints.len(), 3);
    assert_eq!(outcome.tally_all().counts.errors(), 0);
}

#[test]
fn a_skill_is_created_then_certified_then_certified_again() {
    let stub = Stub::start(Vec::new());
    let options = ["-u", "20", "-r", "20", "-t", "9s"];
    let output = run("genesis", &stub, &["GenesisUser"], "smoke", &options);
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    let outcome = output.outcome.unwrap();
    let sent: Vec<u64> =
        outcome.endpoints.iter().map(|endpoint| endpoint.tally_all().counts.sent).collect();
    // Sorted by name: certify, certify again, create. Creating comes first, then certifying.
    let [certified, certified_again, created] = sent[..] else { panic!("{sent:?}") };
    assert!(
        created >= certified && certified >= certified_again && certified_again > 0,
        "{sent:?}"
    );
}

#[test]
fn an_unreachable_service_exits_3() {
    // The listener is dropped, so connections to its address are refused.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = loadtest(
        &new_test_folder("silent"),
        &["run", "smoke", "--host", &format!("http://{closed}")],
    );
    assert_eq!(output.exit_code, 3);
    assert!(output.stderr.contains("Start the service"), "{}", output.stderr);
    assert!(output.stdout.is_empty());
}

#[test]
fn an_unseeded_service_exits_3() {
    let fault =
        Fault { prefix: "GET /api/v1/customers", kind: FaultKind::Status(404), skip_first: 0 };
    let stub = Stub::start(vec![fault]);
    let output = run("unseeded", &stub, &["PlantBackendUser"], "smoke", &[]);
    assert_eq!(output.exit_code, 3);
    assert!(output.stderr.contains("seed_test_data"), "{}", output.stderr);
}

#[test]
fn health_checks_need_no_test_data() {
    let fault = Fault { prefix: "GET /api", kind: FaultKind::Status(404), skip_first: 0 };
    let stub = Stub::start(vec![fault]);
    let output = run("no-seed", &stub, &["HealthCheckUser"], "smoke", &[]);
    assert_eq!(output.exit_code, 0, "{}\n{}", output.stdout, output.stderr);
}

#[test]
fn usage_errors_are_reported_before_the_first_request_and_exit_2() {
    let stub = Stub::start(Vec::new());
    // The SLA names endpoints that HealthCheckUser never requests.
    let output = run("mistakes", &stub, &["HealthCheckUser"], "plant-backend", &[]);
    assert_eq!(output.exit_code, 2);
    assert!(output.stderr.contains("sla/plant-backend.toml:"), "{}", output.stderr);
    for (options, message) in [
        (["--host", "http://192.0.2.1"], "--allow-remote"),
        (["--time-scale", "0"], "above zero"),
        (["--sla", "nowhere"], "neither a built-in SLA"),
    ] {
        let mut arguments = vec!["run", "smoke"];
        arguments.extend(options);
        let output = loadtest(&new_test_folder("mistakes-more"), &arguments);
        assert_eq!(output.exit_code, 2, "{options:?}");
        assert!(output.stderr.contains(message), "{options:?}: {}", output.stderr);
    }
    assert_eq!(stub.requests(), 0);
}

#[test]
fn too_few_requests_are_insufficient() {
    let stub = Stub::start(Vec::new());
    let options = ["-u", "1", "--time-scale", "0.25"];
    let output = run("few", &stub, &["PlantBackendUser"], "plant-backend", &options);
    assert_eq!(output.exit_code, 4, "{}", output.stdout);
    assert!(first_line(&output).starts_with("INSUFFICIENT"), "{}", output.stdout);
    assert!(output.stdout.contains("scaled by 0.25"), "{}", output.stdout);
}

#[test]
fn an_outcome_is_reported_again_without_the_service() {
    let stub = Stub::start(Vec::new());
    let first = run("again", &stub, &["HealthCheckUser"], "smoke", &[]);
    let host = stub.host();
    drop(stub);
    let folder = test_folder("again");
    let again = loadtest(&folder, &["report", "out.json"]);
    assert_eq!((again.exit_code, first_line(&again)), (0, first_line(&first)));
    assert!(again.stdout.contains(&host));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_still_writes_its_report() {
    use std::io::{BufRead as _, BufReader};

    let stub = Stub::start(Vec::new());
    let folder = new_test_folder("interrupted");
    let mut program = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["run", "warmup-10", "-r", "10", "--json", "out.json", "--host", &stub.host()])
        .current_dir(&folder)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The first progress line is printed when the run starts; the requests follow.
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("warmup-10"));
    while stub.requests() < 30 {
        std::thread::yield_now();
    }
    let kill = Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = program.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("interrupted after"), "{stdout}");
    let outcome = json::read(&folder.join("out.json")).unwrap();
    assert!(outcome.tally_all().counts.is_consistent());
}
