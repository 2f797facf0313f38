//! Measures accepted work until its completion, against a stub server whose lists contain the
//! times.

mod harness;

use std::fs;

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::{outcome::Outcome, plant::stub_responses::start_stub, stub::Behavior};

/// Runs users that create generations, judged by `thresholds`, the lines of a table of accepted work.
fn run(test: &str, thresholds: &str) -> (ProgramOutput, Outcome) {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let folder = new_test_folder(test);
    let profile = "name = \"test\"\ndescription = \"A test.\"\nsla = \"sla.toml\"\n\
        model = \"open\"\nusers = 10\nrate = 30\nrun_time = \"3s\"\n\
        [[class]]\nname = \"GenerationUser\"\nweight = 1\n";
    fs::write(folder.join("test.toml"), profile).unwrap();
    fs::write(
        folder.join("sla.toml"),
        format!("name = \"x\"\n[[threshold]]\nwork = \"generation\"\n{thresholds}"),
    )
    .unwrap();
    let host = stub.host();
    let mut output =
        loadtest(&folder, &["run", "test.toml", "--json", "out.json", "--host", &host]);
    let outcome =
        output.outcome.take().unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    (output, outcome)
}

#[test]
fn accepted_work_is_counted_and_timed_from_the_services_list() {
    // Some 50 jobs decide a median and an error rate of 20 %.
    let thresholds = "fail = [\"p50 < 2s\", \"errors < 20%\", \"drain < 30s\"]\n";
    let (output, outcome) = run("completion-met", thresholds);
    let created = outcome
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name == "POST /api/v1/generation/create")
        .unwrap()
        .tally_all();
    let [work] = &outcome.completions[..] else { panic!("{:?}", outcome.completions) };
    let total = work.tally_all();
    assert_eq!(total.counts.sent, created.counts.succeeded);
    assert_eq!(total.counts.succeeded, total.counts.sent);
    assert!(total.counts.sent >= 20, "{:?}", total.counts);
    let p50 = total.latency.quantile_ms(0.5).unwrap();
    assert!((1499.0..1502.0).contains(&p50), "{p50}");
    assert_eq!(work.doubled, Some(0));
    assert!(work.drain_s.unwrap() <= 2.0, "{:?}", work.drain_s);
    assert!(first_line(&output).starts_with("PASS"), "{}", output.stdout);
    assert!(output.stdout.contains("Accepted work, generation: "), "{}", output.stdout);
}

#[test]
fn slow_completion_violates_the_threshold() {
    let (output, _) = run("completion-violated", "fail = [\"p95 < 1s\"]\n");
    assert!(first_line(&output).starts_with("FAIL"), "{}", output.stdout);
    assert!(output.stdout.contains("accepted work: generation: P95"), "{}", output.stdout);
}

#[test]
fn a_threshold_for_work_that_no_class_submits_is_an_error() {
    let folder = new_test_folder("completion-unknown");
    let sla = "name = \"x\"\n[[threshold]]\nwork = \"tickets\"\nfail = [\"p95 < 1ms\"]\n";
    fs::write(folder.join("sla.toml"), sla).unwrap();
    let output = loadtest(&folder, &["run", "generation", "--sla", "sla.toml"]);
    assert_eq!(output.exit_code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("sla.toml:3"), "{}", output.stderr);
}
