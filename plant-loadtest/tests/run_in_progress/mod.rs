//! Output of a run in progress: the outcome file, metrics and progress as JSON. Also covers killed
//! and interrupted runs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plant_loadtest::{journal, outcome::Ended, report::json};
use rustix::process::{Pid, Signal};

use crate::stub::Stub;

const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let profile = "name = \"test\"\ndescription = \"A test.\"\nusers = 10\nspawn_rate = 10\n\
                   run_time = \"120s\"\nsla = \"smoke\"\n\
                   [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n";
    fs::write(folder.join("test.toml"), profile).unwrap();
    folder
}

/// Starts a run of two minutes, which every test ends early.
fn start(folder: &Path, stub: &Stub, more: &[&str]) -> Child {
    start_with(folder, stub, more, &[])
}

/// Starts it with environment variables, too.
fn start_with(folder: &Path, stub: &Stub, more: &[&str], environment: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["run", "test.toml", "--headless", "--json", "out.json", "--host", &stub.host()])
        .args(more)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Does what Ctrl-C does.
fn interrupt(run: &Child) {
    rustix::process::kill_process(Pid::from_child(run), Signal::INT).unwrap();
}

/// Calls `poll` until it returns a value.
fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < WAIT_TIMEOUT, "no {what} within {WAIT_TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_run_leaves_a_partial_outcome_that_can_be_reported() {
    let (folder, stub) = (folder("killed"), Stub::start(Vec::new()));
    let mut run = start(&folder, &stub, &["--quiet"]);
    let path = folder.join("out.json");
    wait_for("outcome with requests", || {
        let outcome = json::read(&path).ok()?;
        (outcome.tally_all().counts.succeeded > 10).then_some(())
    });
    run.kill().unwrap();
    run.wait().unwrap();

    let text = fs::read_to_string(&path).unwrap();
    let schema = serde_json::from_str(&journal::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for line in text.lines().filter(|_| text.ends_with('\n')) {
        let value = serde_json::from_str(line).expect("each line is JSON");
        assert!(validator.is_valid(&value), "partial outcomes match the schema");
    }
    assert_eq!(json::read(&path).unwrap().ended, Ended::Killed);
    let report = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["report", "out.json", "--html", "out.html", "--json", "finished.json"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let stdout = String::from_utf8(report.stdout).unwrap();
    assert!(stdout.contains("Note: killed after"), "{stdout}");
    assert!(folder.join("out.html").is_file());
    let finished = json::read(&folder.join("finished.json")).unwrap();
    assert_eq!(
        finished,
        json::read(&path).unwrap(),
        "the partial outcome is the same in the finished form"
    );
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_it_begins() {
    let (folder, stub) = (folder("unwritable"), Stub::start(Vec::new()));
    fs::write(folder.join("file"), "").unwrap();
    fs::create_dir(folder.join("folder.html")).unwrap();
    for path in ["file/report.html", "folder.html"] {
        let output = start(&folder, &stub, &["--html", path]).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(&format!("{path} cannot be written: ")), "{stderr}");
    }
    assert_eq!(stub.requests(), 0);
}

#[test]
fn a_report_that_cannot_be_written_after_the_run_leaves_verdict_and_other_reports() {
    let (folder, stub) = (folder("unwritable-later"), Stub::start(Vec::new()));
    let run = start(&folder, &stub, &["--quiet", "--html", "out.html"]);
    wait_for("outcome", || json::read(&folder.join("out.json")).ok());
    fs::create_dir(folder.join("out.html")).unwrap();
    interrupt(&run);
    let output = run.wait_with_output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("INSUFFICIENT: the run was interrupted"), "{stdout}");
    assert!(stdout.contains("out.json") && !stdout.contains("out.html"), "{stdout}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("out.html cannot be written: "), "{stderr}");
    assert_eq!(output.status.code(), Some(4));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_standard_error_does_not_end_a_run() {
    let (folder, stub) = (folder("full-stderr"), Stub::start(Vec::new()));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["run", "test.toml", "-t", "2s", "--json", "out.json", "--host", &stub.host()])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(full)
        .spawn()
        .unwrap();
    assert!([Some(0), Some(4)].contains(&run.wait().unwrap().code()));
    assert_eq!(json::read(&folder.join("out.json")).unwrap().ended, Ended::AsPlanned);
}

#[test]
fn prometheus_can_scrape_the_load_generator() {
    let (folder, stub) = (folder("exported"), Stub::start(Vec::new()));
    let free = free_address();
    let run = start(&folder, &stub, &["--quiet", &format!("--metrics={free}")]);
    let requests = wait_for_exported_requests(&free, run);
    assert!(requests <= stub.requests(), "{requests} exported, {} received", stub.requests());
}

#[test]
fn the_address_for_prometheus_can_come_from_the_environment() {
    let (folder, stub) = (folder("exported-by-environment"), Stub::start(Vec::new()));
    let free = free_address();
    let run = start_with(&folder, &stub, &["--quiet"], &[("LOAD_TEST_METRICS", &free)]);
    assert!(wait_for_exported_requests(&free, run) > 0);
}

/// Returns an address that was bound and dropped, so that its port is free.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits until the exporter at `address` has requests, ends the run, and returns their number.
fn wait_for_exported_requests(address: &str, mut run: Child) -> u64 {
    let requests = wait_for("metrics with requests", || {
        let mut connection = TcpStream::connect(address).ok()?;
        connection
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut text = String::new();
        connection.read_to_string(&mut text).ok()?;
        let line = text.lines().find(|line| line.starts_with("load_test_requests_total"))?;
        line.rsplit_once(' ')?.1.parse::<u64>().ok().filter(|requests| *requests > 0)
    });
    run.kill().unwrap();
    run.wait().unwrap();
    requests
}

#[test]
fn progress_can_be_json_and_an_interrupted_run_writes_its_report() {
    let (folder, stub) = (folder("logged"), Stub::start(Vec::new()));
    let mut run = start(&folder, &stub, &["--log-format", "json"]);
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    let mut event = |name: &str| loop {
        let line = lines.next().expect("more events").unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
        if value["event"] == name {
            return value;
        }
    };
    assert_eq!(event("started")["profile"], "test");
    let progress = event("progress");
    assert!(progress["requests"].as_u64().unwrap() > 0, "{progress}");
    assert!(progress["left_s"].as_u64().unwrap() < 120, "{progress}");

    interrupt(&run);
    assert_eq!(event("finished")["verdict"], "INSUFFICIENT");
    let mut stdout = String::new();
    run.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(4));
    assert!(stdout.starts_with("INSUFFICIENT: the run was interrupted after"), "{stdout}");
    assert_eq!(json::read(&folder.join("out.json")).unwrap().ended, Ended::Interrupted);
    assert!(folder.join("reports/test.html").is_file());
}
