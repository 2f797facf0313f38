//! The ticket load tests against a stub whose truth is known: it reports when tickets were
//! completed.

mod harness;
mod ticket_stub;

use std::{
    fs,
    time::{Duration, Instant},
};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::{
    distribution::Distribution,
    outcome::{Outcome, ResourceSample},
    sla::{Subject, Threshold},
    verdict::{Grade, JudgedThreshold, Verdict},
};
use ticket_stub::{Lie, TicketOptions, TicketStub};

/// What a run of the program against a stub has shown.
struct Run {
    output: ProgramOutput,
    outcome: Outcome,
    /// The verdict on the service, whatever the load of the machine that runs this test.
    verdict: Verdict,
}

/// Runs users that post tickets, at a `rate` per second for this number of `seconds`, judged by the built-in
/// `sla`. Does not wait for work that has not ended.
fn run(test: &str, stub: &TicketStub, (rate, seconds): (u32, u32), sla: &str) -> Run {
    let folder = new_test_folder(test);
    let profile = format!(
        "name = \"test\"\nsla = \"{sla}\"\nmodel = \"open\"\nusers = 200\nrate = {rate}\n\
         run_time = \"{seconds}s\"\n[[class]]\nname = \"BurstTrafficUser\"\n"
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    let host = stub.host();
    let arguments = ["run", "test.toml", "--quiet", "--json", "out.json", "--drain-timeout", "1s"];
    let more = ["--verbose", "--host", &host];
    let mut output = loadtest(&folder, &[&arguments[..], &more].concat());
    let outcome =
        output.outcome.take().unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    let verdict = judge_without_generator(outcome.clone());
    Run { output, outcome, verdict }
}

/// Judges the service as if the load generator had not been delayed by other tests.
fn judge_without_generator(mut outcome: Outcome) -> Verdict {
    outcome.arrivals.clear();
    for sample in &mut outcome.samples {
        *sample = ResourceSample {
            second: sample.second,
            users: sample.users,
            service: sample.service,
            ..ResourceSample::default()
        };
    }
    Verdict::judge(&outcome, &outcome.sla)
}

impl Run {
    #[track_caller]
    fn assert(&self, grade: Grade, reason: &str) {
        let Self { output, verdict, .. } = self;
        assert_eq!(verdict.grade, grade, "{}\n{}", verdict.reason, output.stdout);
        assert!(verdict.reason.contains(reason), "{}\n{}", verdict.reason, output.stdout);
    }
}

/// Arrivals per second and seconds: enough requests to decide an error rate of 1 %.
const LOAD: (u32, u32) = (110, 4);

/// Enough to show a violation that leaves no doubt.
const SHORT_LOAD: (u32, u32) = (60, 2);

#[test]
fn a_service_that_completes_every_ticket_passes_and_all_are_followed_to_their_end() {
    // The gauge of the queue is some readings late.
    let stub = TicketStub::start(TicketOptions { stale_metrics: 5, ..Default::default() });
    let run = run("tickets-good", &stub, LOAD, "tickets");
    run.assert(Grade::Pass, "all 13 thresholds met");
    let [work] = &run.outcome.completions[..] else { panic!("{:?}", run.outcome.completions) };
    let total = work.tally_all();
    assert_eq!(total.counts.succeeded, stub.seen().accepted.len() as u64, "over several pages");
    assert!(total.counts.succeeded > 380, "{:?}", total.counts);
    let p95 = total.latency.quantile_ms(0.95).unwrap();
    assert!((299.0..302.0).contains(&p95), "the service's own times: {p95}");
    assert!(work.drain_s.unwrap() < 2.0, "{:?}", work.drain_s);
    assert_eq!(run.outcome.target.queue_after, Some(0.0));
    assert!(run.output.stdout.contains("Accepted work, enhancement: "), "{}", run.output.stdout);
}

#[test]
fn two_percent_refused_tickets_are_a_warning() {
    // As many as decide that 2 % are more than 1 %.
    let stub = TicketStub::start(TicketOptions { refuse_every: Some(50), ..Default::default() });
    let run = run("tickets-refused", &stub, (200, 7), "tickets");
    run.assert(Grade::Warning, "all requests: errors");
    assert_eq!(run.outcome.tally_all().counts.errors(), stub.seen().refused);
}

#[test]
fn ten_percent_refused_tickets_fail() {
    let stub = TicketStub::start(TicketOptions { refuse_every: Some(10), ..Default::default() });
    let run = run("tickets-many-refused", &stub, LOAD, "tickets");
    run.assert(Grade::Fail, "all requests: errors");
    assert_eq!(run.output.exit_code, 1, "{}", run.output.stdout);
}

#[test]
fn completion_after_70_s_is_a_warning_and_after_95_s_a_failure() {
    let stub = TicketStub::start(TicketOptions::default());
    let mut run = run("tickets-slow", &stub, LOAD, "tickets");
    for (seconds, grade) in [(70, Grade::Warning), (95, Grade::Fail)] {
        // As if each ticket had taken so long.
        for cell in &mut run.outcome.completions[0].cells {
            let count = cell.latency.len();
            cell.latency = Distribution::default();
            cell.latency.record_times(Duration::from_secs(seconds), count);
        }
        run.verdict = judge_without_generator(run.outcome.clone());
        run.assert(grade, "accepted work: enhancement: P95 ");
    }
}

#[test]
fn a_ticket_that_is_processed_twice_fails_the_run_and_is_named() {
    let stub = TicketStub::start(TicketOptions { doubled: Some(3), ..Default::default() });
    let run = run("tickets-doubled", &stub, SHORT_LOAD, "tickets");
    let id = stub.seen().accepted[3].0.clone();
    let reason = format!("doubled 1, threshold <= 0 ({id}: 2 entries in the list)");
    run.assert(Grade::Fail, &reason);
}

#[test]
fn one_job_id_for_all_tickets_fails_the_run() {
    let stub = TicketStub::start(TicketOptions { has_one_job: true, ..Default::default() });
    let run = run("tickets-one-job", &stub, SHORT_LOAD, "tickets");
    run.assert(Grade::Fail, "accepted items have the job id job");
    let [work] = &run.outcome.completions[..] else { panic!("{:?}", run.outcome.completions) };
    assert_eq!(work.doubled, Some(stub.seen().accepted.len() as u64));
}

#[test]
fn invented_times_decide_nothing() {
    for (lie, problem) in [
        (Lie::NoTime, ": it ended in the microsecond of its start"),
        (Lie::LongAgo, " days before it was sent"),
        (Lie::Future, " after it was seen ended"),
    ] {
        let stub = TicketStub::start(TicketOptions { lie: Some(lie), ..Default::default() });
        let run = run(&format!("tickets-{lie:?}"), &stub, LOAD, "tickets");
        run.assert(Grade::Insufficient, "are not credible, such as ");
        run.assert(Grade::Insufficient, problem);
        let undecided = |name: &str| {
            let is_named = |judged: &&JudgedThreshold| {
                let Threshold { subject, metric, .. } = &judged.threshold;
                *subject == Subject::Work("enhancement".into()) && metric.notation() == name
            };
            let judged = run.verdict.thresholds.iter().find(is_named).unwrap();
            assert_eq!(judged.grade, Grade::Insufficient, "{lie:?}: {}", judged.summary());
        };
        for name in ["p95", "errors", "drain", "not_ended"] {
            undecided(name);
        }
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_wait_for_tickets_ends_it_and_makes_nothing_of_them() {
    use std::process::{Command, Stdio};

    let options = TicketOptions { is_paused: true, queue_depth: 7, ..Default::default() };
    let stub = TicketStub::start(options);
    let folder = new_test_folder("tickets-interrupted");
    let profile = "name = \"test\"\nsla = \"tickets\"\nmodel = \"open\"\nusers = 20\nrate = 20\n\
                   run_time = \"2s\"\n[[class]]\nname = \"BurstTrafficUser\"\n";
    fs::write(folder.join("test.toml"), profile).unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(["run", "test.toml", "--quiet", "--json", "out.json", "--host", &stub.host()])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while stub.seen().long_pages == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupted_at = Instant::now();
    let status = Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(status.success());
    let stdout = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
    // Less than the wait for an empty queue alone.
    assert!(interrupted_at.elapsed() < Duration::from_secs(8), "{:?}", interrupted_at.elapsed());
    assert!(stdout.starts_with("INSUFFICIENT: the run was interrupted while "), "{stdout}");
    assert!(stdout.contains("the wait after the load was cut short"), "{stdout}");
    let outcome = plant_loadtest::report::json::read(&folder.join("out.json")).unwrap();
    let work = &outcome.completions[0];
    assert!(work.cut_short);
    assert_eq!((work.not_ended(), work.tally_all().counts.errors()), (0, 0));
    assert_eq!(outcome.target.queue_after, None);
}

#[test]
fn a_ticket_that_is_never_completed_fails_the_run_and_is_named() {
    let stub = TicketStub::start(TicketOptions { never_completed: Some(3), ..Default::default() });
    let run = run("tickets-unfinished", &stub, SHORT_LOAD, "tickets");
    let id = stub.seen().accepted[3].0.clone();
    run.assert(Grade::Fail, &format!("not ended 1, threshold <= 0 ({id})"));
    run.assert(Grade::Fail, "drain time not measured");
    assert!(first_line(&run.output).contains(&id), "{}", run.output.stdout);
    assert_eq!(run.output.exit_code, 1);
}

#[test]
fn a_ticket_that_is_missing_from_the_history_is_lost_work_and_named() {
    let stub = TicketStub::start(TicketOptions { lost: Some(7), ..Default::default() });
    let run = run("tickets-lost", &stub, LOAD, "tickets");
    let id = stub.seen().accepted[7].0.clone();
    run.assert(Grade::Fail, &format!("not ended 1, threshold <= 0 ({id})"));
    assert_eq!(run.outcome.completions[0].lost(), 1);
    let pages = stub.seen().accepted.len() as u64 / 99 + 2;
    let polls = stub.seen().long_pages / pages;
    assert!((1..=4).contains(&polls), "{polls} polls of {pages} pages in a second");
}

#[test]
fn a_queue_that_does_not_become_empty_fails() {
    let stub = TicketStub::start(TicketOptions { queue_depth: 7, ..Default::default() });
    let run = run("tickets-queue", &stub, SHORT_LOAD, "tickets");
    run.assert(Grade::Fail, "the service: queue depth afterwards 7, threshold <= 0");
    assert_eq!(run.outcome.target.queue_after, Some(7.0));
}

#[test]
fn a_queue_that_became_long_for_a_while_is_a_warning() {
    let stub = TicketStub::start(TicketOptions { peak_queue: 1234, ..Default::default() });
    let run = run("tickets-build-up", &stub, LOAD, "tickets");
    run.assert(Grade::Warning, "the service: queue depth 1234, threshold <= 1000");
}

#[test]
fn errors_in_the_log_of_the_service_fail() {
    let stub = TicketStub::start(TicketOptions { errors_from: Some(60), ..Default::default() });
    let run = run("tickets-log", &stub, SHORT_LOAD, "tickets");
    run.assert(Grade::Fail, "the service: logged errors");
}

#[test]
fn tickets_that_take_longer_at_the_end_than_at_the_beginning_fail_the_endurance_test() {
    // Some 95 tickets a second; the later half of ten seconds is slow.
    let options = TicketOptions { slow_from: Some(515), ..Default::default() };
    let stub = TicketStub::start(options);
    let run = run("tickets-drift", &stub, (100, 10), "tickets-endurance");
    run.assert(Grade::Fail, "P95 of enhancement 300 ms → 600 ms (+100 %)");
}

#[test]
fn a_wrong_secret_an_unknown_tenant_or_a_missing_key_is_reported_before_the_load() {
    let stub = TicketStub::start(TicketOptions { admin_key: Some("key"), ..Default::default() });
    let folder = new_test_folder("tickets-not-ready");
    let host = stub.host();
    for (options, message) in [
        (["--webhook-secret", "wrong"], "set the secret of tenant load-test-tenant"),
        (["--tenant", "nobody"], "it has no tenant nobody"),
        (["--admin-key", "wrong"], "set --admin-key"),
    ] {
        let output = loadtest(
            &folder,
            &[&["run", "tickets-baseline", "--host", &host], &options[..]].concat(),
        );
        assert_eq!(output.exit_code, 3, "{}", output.stdout);
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
    assert_eq!(stub.seen().posted, 0);
}

#[test]
fn a_suite_runs_its_profiles_with_a_reset_before_each_and_one_summary() {
    let stub = TicketStub::start(TicketOptions { admin_key: Some("key"), ..Default::default() });
    let folder = new_test_folder("tickets-suite");
    let host = stub.host();
    // Each stage lasts a second or two: too short for a verdict.
    let arguments = [
        "suite",
        "tickets",
        "--host",
        &host,
        "--time-scale",
        "0.001",
        "--admin-key",
        "key",
        "--",
        "--quiet",
    ];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 4, "{}\n{}", output.stdout, output.stderr);
    assert_eq!(stub.seen().resets, 4);
    assert_eq!(output.stderr.matches("Cool-down of 0.0 s").count(), 3, "{}", output.stderr);
    let summary = output.stdout.split(": suite tickets\n").nth(1).unwrap();
    for (profile, report) in [
        ("tickets-baseline", "reports/baseline_results.html"),
        ("tickets-peak", "reports/peak_results.html"),
        ("tickets-burst", "reports/burst_results.html"),
        ("tickets-endurance", "reports/endurance_results.html"),
    ] {
        assert!(summary.contains(profile), "{profile}: {summary}");
        assert!(folder.join(report).is_file(), "{report}");
    }
    assert!(!output.stdout.contains("not ended:"), "{}", output.stdout);
}

#[test]
fn a_suite_ends_with_a_profile_that_cannot_be_prepared() {
    let stub = TicketStub::start(TicketOptions { admin_key: Some("key"), ..Default::default() });
    let folder = new_test_folder("tickets-suite-no-key");
    let output = loadtest(&folder, &["suite", "tickets", "--host", &stub.host()]);
    assert_eq!(output.exit_code, 3, "{}\n{}", output.stdout, output.stderr);
    let reason = "POST /admin/tenants/load-test-tenant/reset: status 401 unauthenticated";
    assert!(output.stderr.contains(reason), "{}", output.stderr);
    assert_eq!(output.stdout.matches("NOT RUN").count(), 5, "{}", output.stdout);
    let unknown = loadtest(&folder, &["suite", "agents"]);
    assert_eq!(unknown.exit_code, 2);
    assert!(unknown.stderr.contains("did you mean `agent`?"), "{}", unknown.stderr);
}

#[test]
fn a_suite_without_a_service_says_the_same_as_a_run() {
    let folder = new_test_folder("tickets-suite-unreachable");
    let run = loadtest(&folder, &["run", "tickets-baseline", "--host", "http://127.0.0.1:9"]);
    let suite = loadtest(&folder, &["suite", "tickets", "--host", "http://127.0.0.1:9"]);
    assert_eq!((run.exit_code, suite.exit_code), (3, 3), "{}", suite.stderr);
    let message = run.stderr.split_once("health check of").unwrap().1;
    assert!(message.contains("refused") && message.contains("Start the service"), "{message}");
    assert!(suite.stderr.contains(message.trim_end()), "{}\n{}", suite.stderr, run.stderr);
}

#[cfg(unix)]
#[test]
fn the_script_of_the_ticket_load_tests_runs_the_suite_against_a_host() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_plant-loadtest")).parent().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a search path is no setting of the service")]
    let path = std::env::var("PATH").unwrap();
    let output = std::process::Command::new(root.join("scripts/run_all_load_tests.sh"))
        .args(["http://127.0.0.1:9", "--time-scale", "0.1", "--dry-run"])
        .env("PATH", format!("{}:{path}", program.display()))
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert_eq!(stdout.matches("Target: http://127.0.0.1:9. Dry run").count(), 4, "{stdout}");
    assert!(stdout.contains("up to 200 users, 25s, durations scaled by 0.1"), "{stdout}");
    assert_eq!(stdout.matches("Timeout of a request: 1m.").count(), 4, "{stdout}");
}
