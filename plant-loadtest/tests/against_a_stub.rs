//! The real program against a server whose latencies and faults are known: the numbers must come
//! out right.

mod harness;
mod stub;
mod watching;

use std::{fs, process::Command, time::Duration};

use harness::{Done, first_line, folder, folder_of, loadtest};
use plant_loadtest::{outcome::FailureKind, report::json};
use stub::{Fault, How, Stub};

/// Runs a profile of `classes` for a few seconds against `stub`, judged by the built-in `sla`.
fn run(test: &str, stub: &Stub, classes: &[&str], sla: &str, more: &[&str]) -> Done {
    let folder = folder(test);
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
    arguments.extend(more);
    loadtest(&folder, &arguments)
}

#[test]
fn a_good_service_passes_and_every_request_is_accounted_for() {
    let stub = Stub::start(Vec::new());
    let classes = ["PlantBackendUser", "HealthCheckUser"];
    let done = run("good", &stub, &classes, "smoke", &["--csv", "tables/t"]);
    assert_eq!(done.exit, 0, "{}\n{}", done.stdout, done.stderr);
    assert!(first_line(&done).starts_with("PASS"), "{}", done.stdout);

    let outcome = done.outcome.unwrap();
    let counts = outcome.whole().counts;
    assert!(counts.reconcile());
    assert_eq!(counts.errors(), 0);
    // Beside the users' there are the check's four requests and the one after the run.
    assert_eq!(counts.sent + 5, stub.requests());
    assert_eq!(outcome.load.classes.iter().map(|class| class.users).sum::<u32>(), 10);
    assert_eq!(outcome.target.build["version"], "0.0.0-stub");
    assert!(outcome.samples.iter().any(|sample| sample.service.pool_max == Some(10.0)));

    let written: Vec<&str> = done.stdout.lines().rev().take(6).collect();
    for (path, end) in written.iter().zip([
        "reports/test.html",
        "tables/t_exceptions.csv",
        "tables/t_failures.csv",
        "tables/t_stats_history.csv",
        "tables/t_stats.csv",
        "out.json",
    ]) {
        assert_eq!(*path, end);
        assert!(folder_of("good").join(path).is_file(), "{path}");
    }
}

#[test]
fn percentiles_are_those_of_the_server() {
    let delay = Duration::from_millis(120);
    let late = Fault { to: "GET /health", how: How::Late(delay), spares: 0 };
    let stub = Stub::start(vec![late]);
    let done = run("percentiles", &stub, &["HealthCheckUser"], "smoke", &[]);
    assert_eq!(done.exit, 0, "{}", done.stdout);
    let latency = done.outcome.unwrap().whole().latency;
    assert!(latency.min_ms().unwrap() >= 120.0, "nothing is quicker than the server");
    // A slow machine can make it longer, but hardly ten times.
    assert!(latency.quantile_ms(0.5).unwrap() < 1200.0, "{:?}", latency.quantile_ms(0.5));
}

#[test]
fn errors_are_counted_exactly() {
    let fault = Fault { to: "GET /health", how: How::OneIn(4), spares: 1 };
    let stub = Stub::start(vec![fault]);
    let done = run("errors", &stub, &["HealthCheckUser"], "smoke", &[]);
    assert_eq!(done.exit, 1, "{}", done.stdout);
    let outcome = done.outcome.unwrap();
    let counts = outcome.whole().counts;
    assert!(counts.reconcile());
    // The check after the run may meet a failure too, and asks again.
    let after_the_run = stub.failed() - counts.server_errors;
    assert!(after_the_run <= 1, "{after_the_run}");
    assert_eq!(counts.errors(), counts.server_errors);
    assert_eq!(outcome.failures[0].message, "500 internal");
}

#[test]
fn a_slow_endpoint_fails_by_its_name() {
    let delay = Duration::from_millis(1500);
    let late = Fault { to: "GET /health", how: How::Late(delay), spares: 0 };
    let stub = Stub::start(vec![late]);
    let sla = folder("slow-sla").join("sla.toml");
    fs::write(
        &sla,
        "name = \"quick\"\np95_fails_over_percent = 50\n[[latency]]\nclass = \"health\"\n\
         endpoints = [\"GET /health\"]\np95_ms = 500\n",
    )
    .unwrap();
    let more = ["--sla", sla.to_str().unwrap()];
    let done = run("slow", &stub, &["HealthCheckUser"], "smoke", &more);
    assert_eq!(done.exit, 1, "{}", done.stdout);
    assert!(first_line(&done).starts_with("FAIL: GET /health: P95"), "{}", done.stdout);
}

#[test]
fn the_kinds_of_failure_are_counted_apart() {
    let faults = vec![
        Fault { to: "GET /api/v1/agents/h1/goals", how: How::Body("{}"), spares: 0 },
        Fault { to: "GET /api/v1/agents/h1/configuration", how: How::Status(404), spares: 0 },
        Fault { to: "GET /health", how: How::Late(Duration::from_secs(5)), spares: 1 },
    ];
    let stub = Stub::start(faults);
    let more = ["--timeout", "1s", "-u", "30", "-r", "30"];
    let done = run("kinds", &stub, &["PlantBackendUser"], "smoke", &more);
    assert_eq!(done.exit, 1, "{}", done.stdout);
    let outcome = done.outcome.unwrap();
    let counts = outcome.whole().counts;
    assert!(counts.reconcile());
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
fn skills_that_exist_already_are_no_errors() {
    let stub = Stub::start(Vec::new());
    let done = run("plant-user", &stub, &["PlantUser"], "smoke", &[]);
    assert_eq!(done.exit, 0, "{}", done.stdout);
    let outcome = done.outcome.unwrap();
    assert_eq!(outcome.endpoints.len(), 3);
    assert_eq!(outcome.whole().counts.errors(), 0);
}

#[test]
fn a_skill_is_created_then_certified_then_certified_again() {
    let stub = Stub::start(Vec::new());
    let more = ["-u", "20", "-r", "20", "-t", "9s"];
    let done = run("genesis", &stub, &["GenesisUser"], "smoke", &more);
    assert_eq!(done.exit, 0, "{}", done.stdout);
    let outcome = done.outcome.unwrap();
    let sent: Vec<u64> =
        outcome.endpoints.iter().map(|endpoint| endpoint.whole().counts.sent).collect();
    // By name: certify, certify again, create. Each needs the one before it.
    let [first, again, created] = sent[..] else { panic!("{sent:?}") };
    assert!(created >= first && first >= again && again > 0, "{sent:?}");
}

#[test]
fn nothing_listening_is_told_and_exits_3() {
    // Bound and dropped: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = loadtest(&folder("silent"), &["run", "smoke", "--host", &format!("http://{free}")]);
    assert_eq!(done.exit, 3);
    assert!(done.stderr.contains("Start the service"), "{}", done.stderr);
    assert!(done.stdout.is_empty());
}

#[test]
fn an_unseeded_service_is_told_and_exits_3() {
    let fault = Fault { to: "GET /api/v1/customers", how: How::Status(404), spares: 0 };
    let stub = Stub::start(vec![fault]);
    let done = run("unseeded", &stub, &["PlantBackendUser"], "smoke", &[]);
    assert_eq!(done.exit, 3);
    assert!(done.stderr.contains("seed_test_data"), "{}", done.stderr);
}

#[test]
fn health_checks_need_no_seed() {
    let fault = Fault { to: "GET /api", how: How::Status(404), spares: 0 };
    let stub = Stub::start(vec![fault]);
    let done = run("no-seed", &stub, &["HealthCheckUser"], "smoke", &[]);
    assert_eq!(done.exit, 0, "{}\n{}", done.stdout, done.stderr);
}

#[test]
fn mistakes_are_told_before_the_first_request_and_exit_2() {
    let stub = Stub::start(Vec::new());
    // The journey's SLA names endpoints that a health checker never requests.
    let done = run("mistakes", &stub, &["HealthCheckUser"], "plant-backend", &[]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains("sla/plant-backend.toml:"), "{}", done.stderr);
    for (more, sentence) in [
        (["--host", "http://192.0.2.1"], "--allow-remote"),
        (["--time-scale", "0"], "above zero"),
        (["--sla", "nowhere"], "no SLA file"),
    ] {
        let mut arguments = vec!["run", "smoke"];
        arguments.extend(more);
        let done = loadtest(&folder("mistakes-more"), &arguments);
        assert_eq!(done.exit, 2, "{more:?}");
        assert!(done.stderr.contains(sentence), "{more:?}: {}", done.stderr);
    }
    assert_eq!(stub.requests(), 0);
}

#[test]
fn too_few_requests_are_no_verdict() {
    let stub = Stub::start(Vec::new());
    let more = ["-u", "1", "--time-scale", "0.25"];
    let done = run("few", &stub, &["PlantBackendUser"], "plant-backend", &more);
    assert_eq!(done.exit, 4, "{}", done.stdout);
    assert!(first_line(&done).starts_with("INSUFFICIENT"), "{}", done.stdout);
    assert!(done.stdout.contains("scaled by 0.25"), "{}", done.stdout);
}

#[test]
fn an_outcome_is_judged_and_drawn_again_without_a_service() {
    let stub = Stub::start(Vec::new());
    let first = run("again", &stub, &["HealthCheckUser"], "smoke", &[]);
    let host = stub.host();
    drop(stub);
    let folder = folder_of("again");
    let again = loadtest(&folder, &["report", "out.json"]);
    assert_eq!((again.exit, first_line(&again)), (0, first_line(&first)));
    assert!(again.stdout.contains(&host));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_still_reports() {
    use std::io::{BufRead as _, BufReader};

    let stub = Stub::start(Vec::new());
    let folder = folder("interrupted");
    let mut program = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["run", "warmup-10", "-r", "10", "--json", "out.json", "--host", &stub.host()])
        .current_dir(&folder)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of progress comes once the run has begun; the users' requests follow.
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("warmup-10"));
    while stub.requests() < 30 {
        std::thread::yield_now();
    }
    let told = Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(told.success());
    let status = program.wait_with_output().unwrap();
    let stdout = String::from_utf8(status.stdout).unwrap();
    assert!(stdout.contains("interrupted after"), "{stdout}");
    let outcome = json::read(&folder.join("out.json")).unwrap();
    assert!(outcome.whole().counts.reconcile());
}
