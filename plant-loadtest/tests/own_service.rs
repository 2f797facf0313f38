//! Services that are not Plant: the example `own_service`, whose users are defined in TOML and in Rust,
//! and a Python server.

mod harness;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder, run_program};

/// A server process, stopped when it is dropped.
struct Server {
    process: Child,
    host: String,
}

impl Server {
    /// Starts a server that prints its base URL in its first line of output.
    fn start(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let start = line.find("http://").unwrap_or_else(|| panic!("no URL in {line:?}"));
        let host =
            line[start..].split([' ', ')', ';']).next().unwrap().trim().trim_end_matches('/');
        Self { process, host: host.to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the path of the example program, which Cargo builds with the tests.
fn example() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_plant-loadtest"));
    program.parent().unwrap().join("examples/own_service")
}

fn profile() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/own_service/shop.toml")
}

/// Checks that every endpoint of the shop got requests and none failed.
fn assert_whole_journey(output: &ProgramOutput) {
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(first_line(output).starts_with("PASS"), "{}", output.stdout);
    let outcome = output.outcome.as_ref().unwrap();
    let mut names: Vec<&str> =
        outcome.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    names.sort_unstable();
    let all = ["GET /products", "GET /products/{id}", "POST /login", "POST /orders"];
    assert_eq!(names, all);
    for endpoint in &outcome.endpoints {
        let counts = endpoint.counts_in(&(0..u32::MAX));
        assert!(counts.succeeded > 0 && counts.errors() == 0, "{}", endpoint.name);
    }
}

#[test]
fn the_example_is_judged_with_users_in_toml_and_in_rust() {
    let server = Server::start(Command::new(example()).args(["serve", "127.0.0.1:0"]));
    let options = ["--run-time", "7s", "--host", &server.host, "--quiet", "--json", "out.json"];
    let folder = new_test_folder("own-service-toml");
    let profile = profile();
    let arguments = [&["run", profile.to_str().unwrap()][..], &options].concat();
    assert_whole_journey(&loadtest(&folder, &arguments));
    let folder = new_test_folder("own-service-rust");
    let arguments = [&["run", "shop"][..], &options].concat();
    assert_whole_journey(&run_program(&example(), &folder, &arguments));
}

#[test]
fn the_stub_of_the_example_serves_in_place_of_the_shop() {
    let stub = ["stub", "--port", "0", "--latency", "20"];
    let server = Server::start(Command::new(example()).args(stub));
    let options = ["--run-time", "7s", "--host", &server.host, "--quiet", "--json", "out.json"];
    let arguments = [&["run", "shop"][..], &options].concat();
    assert_whole_journey(&run_program(
        &example(),
        &new_test_folder("own-service-stub"),
        &arguments,
    ));
}

/// A profile for the files that a Python server shows.
const FILES: &str = r#"
name = "files"
users = 10
spawn_rate = 10
run_time = "6s"
thresholds = ["p95 < 500ms", "errors < 1%"]

[[class]]
name = "Reader"
wait = "50ms"

[[class.task]]
weight = 3
request = "GET /"
expect = { status = 200, contains = "hello.txt" }

[[class.task]]
request = "GET /hello.txt"
expect = { status = 200, contains = "Hello" }
"#;

/// Needs `python3`; without it nothing is tested.
#[test]
fn a_python_server_is_judged_from_a_short_profile() {
    let has_python = Command::new("python3").arg("--version").output().is_ok();
    if !has_python {
        eprintln!("python3 is not installed: nothing tested");
        return;
    }
    let folder = new_test_folder("python-server");
    std::fs::create_dir(folder.join("files")).unwrap();
    std::fs::write(folder.join("files/hello.txt"), "Hello, world").unwrap();
    std::fs::write(folder.join("files.toml"), FILES).unwrap();
    assert!(FILES.lines().count() <= 25);
    let arguments = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"];
    let server = Server::start(
        Command::new("python3").args(arguments).arg(folder.join("files")).stderr(Stdio::null()),
    );
    let arguments = ["run", "files.toml", "--host", &server.host, "--quiet", "--json", "out.json"];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("PASS"), "{}", output.stdout);
    let requested = output.outcome.unwrap().endpoints.len();
    assert_eq!(requested, 2);
}
