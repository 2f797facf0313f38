//! Tests of both load models with a stub of known latency. They do not depend on the speed of the
//! machine: they compare counts, users and lower bounds of latencies.

mod harness;

use std::{fs, time::Duration};

use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::{
    outcome::Outcome,
    plant::stub_responses::start_stub,
    stub::{Behavior, Latency, Stall},
};

const LENIENT_SLA: &str =
    "name = \"lenient\"\n[[threshold]]\nfail = [\"healthy_after < 10s\", \"restarts <= 0\"]\n";

/// Runs a profile with these `lines` against a stub with this `behavior`. Returns the program output
/// and the outcome.
fn run(test: &str, behavior: Behavior, lines: &str, more: &[&str]) -> (ProgramOutput, Outcome) {
    let stub = start_stub(0, behavior).unwrap();
    let folder = new_test_folder(test);
    let profile = format!(
        "name = \"test\"\ndescription = \"A test.\"\nsla = \"sla.toml\"\n{lines}\n\
         [[class]]\nname = \"HealthCheckUser\"\nweight = 1\n"
    );
    fs::write(folder.join("test.toml"), profile).unwrap();
    fs::write(folder.join("sla.toml"), LENIENT_SLA).unwrap();
    let host = stub.host();
    let mut arguments = vec!["run", "test.toml", "--json", "out.json", "--host", &host];
    arguments.extend(more);
    let mut output = loadtest(&folder, &arguments);
    let outcome =
        output.outcome.take().unwrap_or_else(|| panic!("{}{}", output.stdout, output.stderr));
    assert!(outcome.tally_all().counts.is_consistent());
    (output, outcome)
}

fn fixed(millis: u64) -> Behavior {
    Behavior { latency: Latency::Fixed(Duration::from_millis(millis)), ..Behavior::default() }
}

#[test]
fn an_open_load_has_the_arrivals_of_its_rate_in_every_stage() {
    let stages = "model = \"open\"\nusers = 50\n\
        [[stage]]\nname = \"up\"\nramp_to_rate = 40\nlasts = \"1s\"\n\
        [[stage]]\nname = \"low\"\nrate = 30\nlasts = \"2s\"\n\
        [[stage]]\nname = \"high\"\nrate = 90\nlasts = \"1s\"\n";
    let (_, outcome) = run("open-stages", fixed(5), stages, &[]);
    let sent = |from, to| outcome.tally_in(&(from..to)).counts.sent;
    assert_eq!([sent(0, 1), sent(1, 3), sent(3, 4)], [20, 60, 90]);
    assert_eq!(outcome.tally_judged().counts.sent, 150, "the ramp is not judged");
    let scheduled: u64 = outcome.arrivals.iter().map(|second| second.scheduled).sum();
    assert_eq!(scheduled, 170);
}

#[test]
fn all_poisson_arrivals_are_sent() {
    let stages = "model = \"open\"\narrivals = \"poisson\"\nusers = 50\nrate = 200\n\
                  warm_up = \"1s\"\nrun_time = \"3s\"\n";
    let (_, outcome) = run("poisson", fixed(5), stages, &[]);
    let scheduled: u64 = outcome.arrivals.iter().map(|second| second.scheduled).sum();
    assert_eq!(outcome.tally_all().counts.sent, scheduled);
    // 600 expected with a standard deviation of 24.5; the bounds are six standard deviations away.
    assert!((453..747).contains(&scheduled), "{scheduled}");
}

#[test]
fn a_stall_is_charged_for_all_arrivals_scheduled_meanwhile() {
    let stall =
        Stall { start_after: Duration::from_millis(1500), duration: Duration::from_millis(1000) };
    let behavior = Behavior { stall: Some(stall), ..fixed(5) };
    let stages = "model = \"open\"\nusers = 4\nrate = 100\nrun_time = \"4s\"\n";
    let (_, outcome) = run("stall", behavior, stages, &[]);
    let total = outcome.tally_all();
    assert_eq!(total.counts.sent, 400);
    // 100 arrivals start during the stall. Those in its first half wait 500 ms or more.
    let long = total.latency.buckets_ms().filter(|(ms, _)| *ms >= 500.0);
    let long: u64 = long.map(|(_, count)| count).sum();
    assert!(long >= 48, "{long}");
    let waited: u64 = outcome.arrivals.iter().map(|second| second.waited).sum();
    assert!(waited >= 90, "all four users were busy: {waited}");
    // The service time, as a closed generator measures it: at most one long response per user.
    let service_time = &outcome.endpoints[0].service_time;
    let long = service_time.buckets_ms().filter(|(ms, _)| *ms >= 500.0);
    assert!(long.map(|(_, count)| count).sum::<u64>() <= 4);
}

#[test]
fn an_arrival_that_waits_for_the_request_timeout_is_dropped_and_counted() {
    let behavior = Behavior { max_concurrent: Some(1), ..fixed(400) };
    let stages = "model = \"open\"\nusers = 1\nrate = 20\nrun_time = \"3s\"\n";
    let (output, outcome) = run("dropped", behavior, stages, &["--timeout", "1s"]);
    let sum = |pick: fn(&plant_loadtest::outcome::ArrivalCell) -> u64| -> u64 {
        outcome.arrivals.iter().map(pick).sum()
    };
    let (scheduled, dropped) = (sum(|second| second.scheduled), sum(|second| second.dropped));
    assert_eq!(scheduled, 60);
    assert!(dropped >= 40, "{dropped}");
    assert_eq!(outcome.tally_all().counts.sent, scheduled - dropped);
    assert_eq!(output.exit_code, 4, "{}", output.stdout);
    assert!(first_line(&output).starts_with("INVALID"), "{}", output.stdout);
}

#[test]
fn arrivals_at_once_start_at_the_same_time() {
    let stages = "model = \"open\"\nusers = 200\n\
        [[stage]]\nname = \"crowd\"\nat_once = 200\nlasts = \"1s\"\n";
    let (output, outcome) = run("crowd", fixed(20), stages, &[]);
    assert_eq!(outcome.tally_in(&(0..1)).counts.succeeded, 200);
    assert_eq!(outcome.endpoints[0].statuses[&200], 200);
    assert!(output.stdout.contains("burst of 200 arrivals: 200 succeeded"), "{}", output.stdout);
}

#[test]
fn a_closed_load_has_the_users_of_every_stage() {
    let stages = "[[stage]]\nname = \"few\"\nusers = 3\nlasts = \"3s\"\n\
        [[stage]]\nname = \"up\"\nramp_to_users = 12\nlasts = \"2s\"\n\
        [[stage]]\nname = \"many\"\nusers = 12\nlasts = \"3s\"\n\
        [[stage]]\nname = \"back\"\nusers = 5\nlasts = \"3s\"\n";
    let (_, outcome) = run("closed-stages", fixed(5), stages, &[]);
    assert_eq!(outcome.load.users, 12);
    let users = |second: u32| -> u32 {
        let sample = outcome.samples.iter().find(|sample| sample.second == second);
        sample.map_or(0, |sample| sample.users)
    };
    let levels: Vec<u32> = [2, 7, 10].map(users).into();
    assert_eq!(levels, [3, 12, 5], "{:?}", (0..11).map(users).collect::<Vec<_>>());
}

#[test]
fn users_without_think_time_saturate_and_get_no_verdict() {
    let folder = new_test_folder("saturate");
    let profile = "name = \"full\"\ndescription = \"A test.\"\nsaturate = true\nusers = 2\n\
                   spawn_rate = 2\nrun_time = \"3s\"\n[[class]]\nname = \"HealthCheckUser\"\nweight = 1\n";
    fs::write(folder.join("full.toml"), profile).unwrap();
    let stub = start_stub(0, fixed(20)).unwrap();
    let arguments = ["run", "full.toml", "--json", "out.json", "--host", &stub.host()];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}", output.stdout);
    assert!(first_line(&output).starts_with("NO VERDICT"), "{}", output.stdout);
    // With its think time of 0.5 to 1.5 s each user would send about three requests.
    assert!(output.outcome.unwrap().tally_all().counts.sent > 20);
}

#[cfg(unix)]
#[test]
fn an_interrupted_open_run_still_reports() {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Command, Stdio},
    };

    let stub = start_stub(0, fixed(5)).unwrap();
    let folder = new_test_folder("open-interrupted");
    let arguments = ["run", "daily", "--rate", "50", "-u", "20", "--json", "out.json"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_plant-loadtest"))
        .args(arguments)
        .args(["--host", &stub.host()])
        .current_dir(&folder)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("daily"));
    // The checks before the run, the on-start requests, then the load itself.
    while stub.requests() < 50 {
        std::thread::yield_now();
    }
    let status = Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap();
    assert!(status.success());
    let stdout = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
    assert!(stdout.contains("interrupted after"), "{stdout}");
    let outcome = plant_loadtest::report::json::read(&folder.join("out.json")).unwrap();
    assert!(outcome.tally_all().counts.is_consistent());
    assert_eq!(outcome.tally_all().counts.errors(), 0);
}
