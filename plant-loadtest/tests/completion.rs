//! Accepted work is followed to its end, against a server that says how long it took.

mod harness;

use std::fs;

use harness::{Done, first_line, folder, loadtest};
use plant_loadtest::{
    outcome::Outcome,
    stub::{Behaviour, Stub},
};

/// Runs users who ask for texts, judged by promises made of `lines`.
fn run(test: &str, lines: &str) -> (Done, Outcome) {
    let stub = Stub::start(0, Behaviour::default()).unwrap();
    let folder = folder(test);
    let profile = "name = \"test\"\ndescription = \"A test.\"\nsla = \"sla.toml\"\n\
        model = \"open\"\nusers = 10\nrate = 30\nrun_time = \"3s\"\n\
        [[class]]\nname = \"GenerationUser\"\nweight = 1\n";
    fs::write(folder.join("test.toml"), profile).unwrap();
    fs::write(folder.join("sla.toml"), format!("name = \"x\"\n[[completion]]\n{lines}")).unwrap();
    let host = stub.host();
    let mut done = loadtest(&folder, &["run", "test.toml", "--json", "out.json", "--host", &host]);
    let outcome = done.outcome.take().unwrap_or_else(|| panic!("{}{}", done.stdout, done.stderr));
    (done, outcome)
}

#[test]
fn what_was_accepted_is_counted_and_timed_by_the_services_own_list() {
    let promises = "work = \"generation\"\np95_ms = 2000\nfailed_below_percent = 5\n\
                    done_within_s = 30\n";
    let (done, outcome) = run("completion-kept", promises);
    let created = outcome
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == "POST /api/v1/generation/create")
        .unwrap()
        .whole();
    let [work] = &outcome.completions[..] else { panic!("{:?}", outcome.completions) };
    let whole = work.whole();
    assert_eq!(whole.counts.sent, created.counts.succeeded);
    assert_eq!(whole.counts.succeeded, whole.counts.sent);
    assert!(whole.counts.sent >= 20, "{:?}", whole.counts);
    let p50 = whole.latency.quantile_ms(0.5).unwrap();
    assert!((1499.0..1502.0).contains(&p50), "{p50}");
    assert_eq!(work.drain_s, Some(0.0));
    assert!(first_line(&done).starts_with("PASS"), "{}", done.stdout);
    assert!(done.stdout.contains("Accepted work, generation: "), "{}", done.stdout);
}

#[test]
fn work_that_took_too_long_breaks_the_promise() {
    let (done, _) = run("completion-missed", "work = \"generation\"\np95_ms = 1000\n");
    assert!(first_line(&done).starts_with("FAIL"), "{}", done.stdout);
    assert!(done.stdout.contains("accepted work: generation: P95"), "{}", done.stdout);
}

#[test]
fn a_promise_of_work_that_nobody_has_accepted_is_a_mistake() {
    let folder = folder("completion-unknown");
    let sla = "name = \"x\"\n[[completion]]\nwork = \"tickets\"\np95_ms = 1\n";
    fs::write(folder.join("sla.toml"), sla).unwrap();
    let done = loadtest(&folder, &["run", "generation", "--sla", "sla.toml"]);
    assert_eq!(done.exit, 2, "{}", done.stderr);
    assert!(done.stderr.contains("sla.toml:3"), "{}", done.stderr);
}
