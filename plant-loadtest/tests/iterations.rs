//! Tests of stages with a fixed number of iterations. They do not depend on the speed of the machine.

mod harness;
#[expect(dead_code, reason = "these tests need no bodies and no headers of responses")]
mod recording_server;

use std::{collections::BTreeSet, fs, thread, time::Duration};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use recording_server::{Received, Reply, Server};

/// Two classes with think times, whose users send their number. Class `b` has two tasks.
const CLASSES: &str = r#"
[[class]]
name = "a"
wait = "2s to 4s"
headers = { x-user = "{user}" }
[[class.task]]
request = "GET /a"

[[class]]
name = "b"
weight = 2
wait = "2s to 4s"
headers = { x-user = "{user}" }
[[class.task]]
weight = 10
request = "GET /b1"
[[class.task]]
weight = 5
request = "GET /b2"
"#;

/// Runs a profile with these `stages` against `server`.
fn run(test: &str, server: &Server, stages: &str, options: &[&str]) -> ProgramOutput {
    let folder = new_test_folder(test);
    let profile = format!(
        "name = \"test\"\nthresholds = [\"errors < 50%\", \"max < 30s\"]\n{stages}{CLASSES}"
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    let host = server.host();
    let mut arguments =
        vec!["run", "test.toml", "--verbose", "--json", "out.json", "--host", &host];
    arguments.extend(options);
    loadtest(&folder, &arguments)
}

fn users(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|request| request.header("x-user").to_owned()).collect()
}

const STAGES: &str = r#"
[[stage]]
name = "one"
iterations = 100
users = 20
lasts = "4s"
classes = ["a"]

[[stage]]
name = "pause"
users = 0
lasts = "1s"

[[stage]]
name = "both"
iterations = 45
users = 7
lasts = "4s"
"#;

#[test]
fn exactly_the_iterations_are_run_by_exactly_the_users_in_turn() {
    let server = Server::start(|_| Reply::new(200, "ok"));
    let output = run("iterations-exact", &server, STAGES, &[]);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    let in_stage =
        |index: usize| outcome.tally_in(&outcome.load.stages[index].seconds()).counts.sent;
    assert_eq!([in_stage(0), in_stage(1), in_stage(2)], [100, 0, 45], "{}", output.stdout);

    // Of 45 iterations class a has one third, and task b1 two thirds of the rest.
    let sent = ["GET /a", "GET /b1", "GET /b2"].map(|line| server.received_at(line).len());
    assert_eq!(sent, [115, 20, 10]);
    let received = server.received();
    let (one, both) = received.split_at(100);
    assert!(one.iter().all(|request| request.line == "GET /a"), "the stage names its class");
    assert_eq!([users(one).len(), users(both).len()], [20, 7]);

    let run: Vec<(&str, u32, u32)> =
        outcome.iterations.iter().map(|run| (run.stage.as_str(), run.users, run.started)).collect();
    assert_eq!(run, [("one", 20, 100), ("both", 7, 45)]);
    assert!(output.stdout.contains("stage both: 45 of 45 iterations by 7 users in "));
}

#[test]
fn a_scaled_run_has_the_same_iterations_and_users() {
    let server = Server::start(|_| Reply::new(200, "ok"));
    let output = run("iterations-scaled", &server, STAGES, &["--time-scale", "0.5"]);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    let stages = &outcome.load.stages;
    assert_eq!(stages.iter().map(|stage| stage.to_s).collect::<Vec<_>>(), [2, 3, 5]);
    assert_eq!(stages[0].iterations, 100);
    assert_eq!(outcome.load.classes[0].mean_wait_s, 0.0, "no think time");
}

#[test]
fn a_stage_that_ends_before_its_last_iteration_is_not_a_pass() {
    // Two users in one second: at most eight iterations, if the machine is fast.
    let server = Server::start(|_| {
        thread::sleep(Duration::from_millis(150));
        Reply::new(200, "ok")
    });
    let stages = "[[stage]]\nname = \"slow\"\niterations = 50\nusers = 2\nlasts = \"1s\"\n";
    let output = run("iterations-incomplete", &server, stages, &[]);
    assert_eq!(output.exit_code, 4, "{}", output.stdout);
    assert!(first_line(&output).starts_with("INSUFFICIENT"), "{}", output.stdout);
    assert!(first_line(&output).contains("of 50 iterations of slow were run in 1s"));
    let outcome = output.outcome.unwrap();
    let started = outcome.iterations[0].started;
    assert_eq!(server.received().len(), started as usize);
    // Each of the two users may be between its look at the clock and its request.
    let late = outcome.tally_in(&(1..u32::MAX)).counts.sent;
    assert!(late <= 2, "{late} started after the stage");
}

#[test]
fn the_wait_of_a_task_is_kept_and_that_of_its_class_is_not() {
    let server = Server::start(|_| Reply::new(200, "ok"));
    let stages = "[[stage]]\nname = \"s\"\niterations = 6\nusers = 1\nlasts = \"9s\"\nclasses = [\"c\"]\n\
        [[class]]\nname = \"c\"\nwait = \"60s\"\n\
        [[class.task]]\nrequest = \"GET /c1\"\nwait = \"200ms\"\n\
        [[class.task]]\nrequest = \"GET /c2\"\n";
    let output = run("iterations-wait", &server, stages, &[]);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    let run = &outcome.iterations[0];
    assert_eq!(run.started, 6, "{}", output.stdout);
    assert!(run.duration_s >= 0.6, "three waits of 200 ms: {}", run.duration_s);
}

#[test]
fn arrivals_of_a_stage_are_of_the_classes_that_it_names() {
    let server = Server::start(|_| Reply::new(200, "ok"));
    let stages = "model = \"open\"\nusers = 20\n\
        [[stage]]\nname = \"b\"\nrate = 30\nlasts = \"1s\"\nclasses = [\"b\"]\n\
        [[stage]]\nname = \"a\"\nrate = 20\nlasts = \"1s\"\nclasses = [\"a\"]\n";
    let output = run("classes-of-arrivals", &server, stages, &[]);
    let outcome = output.outcome.unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    let sent = |name: &str, seconds| {
        let endpoint = outcome.endpoints.iter().find(|one| one.name == name).unwrap();
        endpoint.counts_in(&seconds).sent
    };
    assert_eq!([sent("GET /a", 0..1), sent("GET /a", 1..2)], [0, 20]);
    assert_eq!(sent("GET /b1", 0..1) + sent("GET /b2", 0..1), 30);
    assert_eq!(sent("GET /b1", 1..2) + sent("GET /b2", 1..2), 0);
}
