//! What others see of a run while it goes on, and what is left when it ends too early.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use plant_loadtest::{journal, outcome::Ended, report::json};

use crate::stub::Stub;

const PATIENCE: Duration = Duration::from_secs(60);

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

/// A run of two minutes, of which no test waits for the end.
fn start(folder: &Path, stub: &Stub, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["run", "test.toml", "--headless", "--json", "out.json", "--host", &stub.host()])
        .args(more)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "no {what} in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_killed_run_leaves_an_outcome_that_can_be_judged_and_drawn() {
    let (folder, stub) = (folder("killed"), Stub::start(Vec::new()));
    let mut run = start(&folder, &stub, &["--quiet"]);
    let path = folder.join("out.json");
    wait_for("outcome with requests", || {
        let outcome = json::read(&path).ok()?;
        (outcome.whole().counts.succeeded > 10).then_some(())
    });
    run.kill().unwrap();
    run.wait().unwrap();

    let text = fs::read_to_string(&path).unwrap();
    let value = serde_json::from_str(&text).expect("it is JSON at every moment");
    let schema = serde_json::from_str(&journal::schema()).unwrap();
    assert!(jsonschema::is_valid(&schema, &value), "the schema knows partial outcomes");
    assert_eq!(json::read(&path).unwrap().ended, Ended::Killed);
    let report = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["report", "out.json", "--html", "out.html", "--json", "whole.json"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let stdout = String::from_utf8(report.stdout).unwrap();
    assert!(stdout.contains("Note: killed after"), "{stdout}");
    assert!(folder.join("out.html").is_file());
    let whole = json::read(&folder.join("whole.json")).unwrap();
    assert_eq!(whole, json::read(&path).unwrap(), "what is kept is the same in the usual form");
}

#[test]
fn prometheus_can_watch_the_harness_too() {
    let (folder, stub) = (folder("exported"), Stub::start(Vec::new()));
    // Bound and dropped: nobody else listens there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut run = start(&folder, &stub, &["--quiet", &format!("--metrics={free}")]);
    let requests = wait_for("metrics with requests", || {
        let mut connection = TcpStream::connect(free).ok()?;
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
        let mut text = String::new();
        connection.read_to_string(&mut text).ok()?;
        let line = text.lines().find(|line| line.starts_with("load_test_requests_total"))?;
        line.rsplit_once(' ')?.1.parse::<u64>().ok().filter(|requests| *requests > 0)
    });
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(requests <= stub.requests(), "{requests} told, {} came", stub.requests());
}

#[test]
fn progress_can_be_json_and_an_interrupted_run_ends_with_its_report() {
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

    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(event("finished")["verdict"], "PASS");
    let mut stdout = String::new();
    run.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(stdout.starts_with("PASS") && stdout.contains("interrupted after"), "{stdout}");
    assert_eq!(json::read(&folder.join("out.json")).unwrap().ended, Ended::Interrupted);
    assert!(folder.join("reports/test.html").is_file());
}
