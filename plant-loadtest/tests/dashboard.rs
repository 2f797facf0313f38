//! Tests of the dashboard of `--ui`: its data during a run, its commands, and who may send them.

#[expect(dead_code, reason = "these tests run the program themselves")]
mod harness;
#[expect(dead_code, reason = "these tests need no faults")]
mod stub;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use harness::new_test_folder;
use plant_loadtest::{outcome::Ended, report::json};
use serde_json::Value;
use stub::Stub;

const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// A run with a dashboard.
struct Run {
    child: Child,
    /// `host:port`
    address: String,
    /// Query of its URL: the token, if there is one.
    query: String,
}

impl Run {
    /// Starts a run of `run_time` with 5 users.
    fn start(folder: &Path, stub: &Stub, run_time: &str, options: &[&str]) -> Self {
        let load = format!("users = 5\nspawn_rate = 50\nrun_time = \"{run_time}\"");
        Self::start_with(folder, stub, &load, options)
    }

    /// Starts a run of this `load`, and waits until it serves its dashboard.
    fn start_with(folder: &Path, stub: &Stub, load: &str, options: &[&str]) -> Self {
        let profile = format!(
            "name = \"test\"\nthresholds = [\"errors < 50%\", \"max < 30s\"]\n{load}\n\
             [[class]]\nname = \"HealthCheckUser\"\n"
        );
        fs::write(folder.join("test.toml"), profile).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
            .args(["run", "test.toml", "--ui", "--web-port", "0", "--quiet"])
            .args(["--host", &stub.host()])
            .args(options)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let url =
            line.trim().strip_prefix("Dashboard: http://").unwrap_or_else(|| panic!("{line}"));
        let (address, query) = url.split_once('/').unwrap();
        let (address, query) = (address.replace("0.0.0.0", "127.0.0.1"), query.to_owned());
        // Keeps the pipe from filling.
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        Self { child, address, query }
    }

    /// Sends a request; returns the status code and the body.
    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn data(&self) -> Value {
        let (status, body) =
            self.send("GET", &format!("/data{}", self.query), "Host: localhost\r\n", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn command(&self, name: &str, body: &str) -> (u16, String) {
        self.send(
            "POST",
            &format!("/{name}{}", self.query),
            "Host: localhost\r\nX-Dashboard: 1\r\n",
            body,
        )
    }

    fn wait_for(&self, what: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let data = self.data();
            if is_there(&data) {
                return data;
            }
            assert!(start.elapsed() < WAIT_TIMEOUT, "no {what}: {data}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait_for_requests(&self) -> Value {
        self.wait_for("requests", |data| {
            data["phase"] == "running" && data["endpoints"][0]["requests"].as_u64() > Some(3)
        })
    }

    /// Quits and returns exit code and standard output.
    fn quit(mut self) -> (Option<i32>, String) {
        assert_eq!(self.command("quit", "").0, 204);
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.child.wait().unwrap().code(), stdout)
    }
}

#[test]
fn stop_ends_the_run_which_is_judged_at_once_and_start_runs_it_again() {
    let (folder, stub) = (new_test_folder("dashboard-stop"), Stub::start(Vec::new()));
    let run = Run::start(&folder, &stub, "120s", &[]);
    let data = run.wait_for_requests();
    assert_eq!((data["profile"].as_str(), data["total_s"].as_u64()), (Some("test"), Some(120)));
    run.wait_for("a value", |data| data["thresholds"][0]["state"] == "met");
    assert_eq!(run.command("start", "").0, 409, "it is running");

    assert_eq!(run.command("stop", "").0, 204);
    let stopped = Instant::now();
    let data = run.wait_for("verdict", |data| data["phase"] == "finished");
    assert!(stopped.elapsed() < Duration::from_secs(30), "not at the planned end");
    assert_eq!(data["verdict"]["grade"], "INSUFFICIENT");
    assert!(data["elapsed_s"].as_f64() < Some(60.0), "{data}");
    let outcome = json::read(&folder.join("reports/test.outcome.json")).unwrap();
    assert_eq!(outcome.ended, Ended::Interrupted);
    assert!(outcome.advisory.is_empty(), "{:?}", outcome.advisory);
    let (status, report) = run.send("GET", "/report", "Host: localhost\r\n", "");
    assert!(status == 200 && report.contains("INSUFFICIENT"), "{status}");
    assert_eq!(run.command("stop", "").0, 409, "nothing is running");

    assert_eq!(run.command("start", "").0, 204);
    let again = run.wait_for_requests();
    assert_eq!(again["verdict"], Value::Null, "{again}");
    assert_eq!(run.command("stop", "").0, 204);
    run.wait_for("second verdict", |data| data["phase"] == "finished");
    let (exit_code, stdout) = run.quit();
    assert_eq!(exit_code, Some(4), "{stdout}");
    assert_eq!(stdout.matches("INSUFFICIENT: the run was interrupted").count(), 2, "{stdout}");
    let left = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["reports", "test.toml"], "no folder of Goose");
    let reports = fs::read_dir(folder.join("reports")).unwrap().count();
    assert_eq!(reports, 2, "the HTML report and the outcome");
}

#[test]
fn users_can_be_changed_and_the_run_ends_as_planned() {
    let (folder, stub) = (new_test_folder("dashboard-users"), Stub::start(Vec::new()));
    let run = Run::start(&folder, &stub, "14s", &[]);
    let data = run.wait_for_requests();
    assert_eq!(data["can_change_users"], true);
    assert_eq!(run.command("users", "{\"users\":0}").0, 400);
    assert_eq!(run.command("users", "nonsense").0, 400);
    let (status, reason) = run.command("users", "{\"users\":9}");
    assert_eq!(status, 204, "{reason}");
    run.wait_for("nine users", |data| data["users"] == 9);
    let data = run.wait_for("the end", |data| data["phase"] == "finished");
    assert_eq!(data["verdict"]["grade"], "PASS", "{data}");
    let outcome = json::read(&folder.join("reports/test.outcome.json")).unwrap();
    assert_eq!(outcome.ended, Ended::AsPlanned);
    assert!(outcome.duration_s < 16.0, "{}", outcome.duration_s);
    assert!(outcome.advisory[0].contains("number of users differed"), "{:?}", outcome.advisory);
    assert_eq!(run.quit().0, Some(0));
}

#[test]
fn the_open_model_can_be_watched_and_stopped() {
    let (folder, stub) = (new_test_folder("dashboard-open"), Stub::start(Vec::new()));
    let load = "model = \"open\"\nusers = 5\nrate = 20\nrun_time = \"120s\"";
    let run = Run::start_with(&folder, &stub, load, &[]);
    let data = run.wait_for_requests();
    assert_eq!(data["can_change_users"], false);
    assert_eq!(run.command("users", "{\"users\":9}").0, 409);
    assert_eq!(run.command("stop", "").0, 204);
    run.wait_for("verdict", |data| data["phase"] == "finished");
    assert_eq!(run.quit().0, Some(4));
}

#[test]
fn ctrl_c_ends_the_run_and_the_program() {
    let (folder, stub) = (new_test_folder("dashboard-interrupt"), Stub::start(Vec::new()));
    let mut run = Run::start(&folder, &stub, "120s", &[]);
    run.wait_for_requests();
    let interrupt = |run: &Run| {
        let pid = rustix::process::Pid::from_child(&run.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    };
    interrupt(&run);
    assert_eq!(run.child.wait().unwrap().code(), Some(4));
    assert!(folder.join("reports/test.html").is_file());

    let mut run = Run::start(&folder, &stub, "120s", &[]);
    run.wait_for_requests();
    run.command("stop", "");
    run.wait_for("verdict", |data| data["phase"] == "finished");
    interrupt(&run);
    assert_eq!(run.child.wait().unwrap().code(), Some(4), "while it waits for Start");
}

#[test]
fn other_sites_and_machines_cannot_send_commands() {
    let (folder, stub) = (new_test_folder("dashboard-access"), Stub::start(Vec::new()));
    let local = Run::start(&folder, &stub, "120s", &[]);
    let command = "X-Dashboard: 1\r\n";
    for (headers, expected) in [
        ("Host: localhost\r\n", 403),
        (&format!("Host: rebound.test\r\n{command}")[..], 403),
        (&format!("Host: 127.0.0.1.rebound.test\r\n{command}"), 403),
        (&format!("Host: [::1]:8089\r\n{command}"), 409),
        (&format!("Host: LOCALHOST:1\r\n{command}"), 409),
    ] {
        let (status, body) = local.send("POST", "/quit", headers, "");
        assert_eq!(status, expected, "{headers}: {body}");
    }
    assert_eq!(local.send("GET", "/data", "Host: rebound.test\r\n", "").0, 403);
    let (status, page) = local.send("GET", "/", "Host: localhost\r\n", "");
    assert!(status == 200 && page.contains("<title>Load test</title>"));
    for reference in ["src=", "@import", "https://"] {
        assert!(!page.contains(reference), "{reference}: the page is self-contained");
    }
    local.wait_for_requests();
    local.command("stop", "");
    local.wait_for("verdict", |data| data["phase"] == "finished");
    local.quit();

    let shared = Run::start(&folder, &stub, "120s", &["--web-host", "0.0.0.0"]);
    assert!(shared.query.starts_with("?token="), "{}", shared.query);
    assert_eq!(shared.send("GET", "/data", "Host: anything\r\n", "").0, 403);
    assert_eq!(shared.send("GET", "/data?token=guess", "Host: anything\r\n", "").0, 403);
    shared.wait_for_requests();
    shared.command("stop", "");
    shared.wait_for("verdict", |data| data["phase"] == "finished");
    shared.quit();
}
