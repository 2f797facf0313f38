//! Tests of commands that send no requests, and of errors that are reported before any request.

mod harness;

use std::fs;

use harness::{first_line, loadtest, new_test_folder};
use plant_loadtest::{plant::stub_responses::start_stub, stub::Behavior};

#[test]
fn every_mistake_in_a_profile_is_reported_with_its_line() {
    let folder = new_test_folder("three-mistakes");
    let text = "name = \"x\"\ndescription = \"y\"\nsla = \"smoke\"\nusers = 0\nspawn_rate = 1\n\
                run_time = \"soon\"\n[[class]]\nname = \"Nobody\"\nweight = 1\n";
    fs::write(folder.join("x.toml"), text).unwrap();
    for command in ["run", "validate"] {
        let output = loadtest(&folder, &[command, "x.toml"]);
        assert_eq!(output.exit_code, 2);
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert_eq!(lines.len(), 9, "{}", output.stderr);
        let positions = ["x.toml:4:9: ", "x.toml:6:12: ", "x.toml:8:8: "];
        for (lines, position) in lines.chunks(3).zip(positions) {
            assert!(lines[0].contains(position), "{lines:?}");
        }
        assert_eq!(lines[1..3], ["    users = 0", "            ^"]);
    }
}

#[test]
fn what_a_misspelt_name_may_mean_is_suggested() {
    let folder = new_test_folder("misspelt");
    fs::create_dir(folder.join("profiles")).unwrap();
    let text = "name = \"x\"\nusers = 1\nspawn_rat = 1\nrun_time = \"5s\"\nsla = \"smke\"\n\
                [[class]]\nname = \"HelthCheckUser\"\n";
    fs::write(folder.join("profiles/shop.toml"), text).unwrap();
    for (arguments, meant) in [
        (&["run", "smok"][..], "; did you mean `smoke`?"),
        (&["run", "profiles/shp.toml"], "; did you mean `profiles/shop.toml`?"),
        (&["run", "smoke", "--sla", "plant-backnd"], "; did you mean `plant-backend`?"),
        (&["run", "no-such-profile"], "; the command `list` prints the built-in profiles"),
        (&["suite", "ticket"], "; did you mean `tickets`?"),
        (&["run", "smoke", "--threshold", "GET /helth: p95 < 1s"], "; did you mean `GET /health`?"),
        (&["run", "smoke", "--threshold", "class PlantBackedUser: p95 < 1s"], "PlantBackendUser"),
        (&["validate", "profiles/shop.toml"], "`spawn_rat`; did you mean `spawn_rate`?"),
        (&["validate", "profiles/shop.toml"], "; did you mean `HealthCheckUser`?"),
    ] {
        let output = loadtest(&folder, arguments);
        assert_eq!(output.exit_code, 2, "{arguments:?}");
        assert!(output.stderr.contains(meant), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn help_and_list_fit_80_columns() {
    let folder = new_test_folder("fits");
    let help = loadtest(&folder, &["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.chars().nth(2).is_some_and(|c| c != ' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 12, "{help}");
    assert!(!names.contains(&"simulate"), "{help}");
    let mut outputs = vec![help.clone(), loadtest(&folder, &["list"]).stdout];
    for name in names {
        outputs.push(loadtest(&folder, &[name, "--help"]).stdout);
        outputs.push(loadtest(&folder, &[name, "-h"]).stdout);
    }
    for profile in ["stress", "platform", "agent-load", "endurance-medium"] {
        let plan = loadtest(&folder, &["run", profile, "--dry-run"]).stdout;
        // Sentences are wrapped on a terminal only, so that lines can be searched.
        let tables = plan.lines().skip_while(|line| !line.starts_with("stage "));
        let tables = tables.take_while(|line| !line.is_empty());
        outputs.push(tables.collect::<Vec<&str>>().join("\n"));
    }
    for output in outputs {
        assert!(!output.is_empty());
        for line in output.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn thresholds_for_endpoints_of_no_user_class_are_rejected_before_the_first_request() {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let folder = new_test_folder("unrelated-sla");
    let arguments = ["run", "sla-list", "--sla", "certify", "--host", &stub.host()];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 2);
    assert!(output.stderr.contains("sla/certify.toml:7:14: no user class"), "{}", output.stderr);
    assert_eq!(stub.requests(), 0);
}

#[test]
fn mistakes_in_thresholds_of_the_command_line_are_all_reported_at_once() {
    let folder = new_test_folder("command-line-thresholds");
    let mistakes = ["--threshold", "p95 < 1", "--threshold", "class Nobody: errors < 1%"];
    for command in ["run", "capacity"] {
        let output = loadtest(&folder, &[&[command, "peak-100"], &mistakes[..]].concat());
        assert_eq!(output.exit_code, 2, "{command}: {}", output.stderr);
        assert!(output.stderr.contains("--threshold `p95 < 1`: `p95` is a time"));
        assert!(output.stderr.contains("no user class `Nobody`"), "{}", output.stderr);
    }
    let none = loadtest(&folder, &["capacity", "sla-list-saturate"]);
    assert_eq!(none.exit_code, 2);
    assert!(none.stderr.contains("has no thresholds; set --sla or --threshold"), "{}", none.stderr);
}

#[test]
fn an_sla_file_on_its_own_may_name_any_stage() {
    let folder = new_test_folder("sla-on-its-own");
    let text = "name = \"x\"\n[[threshold]]\nduring = \"dusk\"\nfail = [\"errors < 1%\"]\n";
    fs::write(folder.join("sla.toml"), text).unwrap();
    let alone = loadtest(&folder, &["validate", "sla.toml"]);
    assert_eq!(alone.exit_code, 0, "{}", alone.stderr);
    let with_profile = loadtest(&folder, &["run", "stress", "--sla", "sla.toml", "--dry-run"]);
    assert!(with_profile.stderr.contains("sla.toml:3:10: unknown stage `dusk`"));
}

#[test]
fn a_dry_run_prints_the_plan_and_sends_no_requests() {
    let stub = start_stub(0, Behavior::default()).unwrap();
    let folder = new_test_folder("dry-run");
    let arguments = ["run", "stress", "--dry-run", "--time-scale", "0.1", "--host", &stub.host()];
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    assert!(first_line(&output).starts_with("stress: "), "{}", output.stdout);
    for expected in [
        "100 to 500 users",
        "1m30s",
        "POST /api/v1/skills",
        "P95 < 500 ms in spike",
        "recovery < 10%",
    ] {
        assert!(output.stdout.contains(expected), "{expected}: {}", output.stdout);
    }
    assert_eq!(stub.requests(), 0);
    assert!(output.outcome.is_none());
}

#[test]
fn every_built_in_profile_can_be_planned() {
    let folder = new_test_folder("all-plans");
    let listed = loadtest(&folder, &["list"]).stdout;
    let names = listed.lines().skip(1).take_while(|line| !line.is_empty());
    // What has no room in a line is continued in the next one.
    let names = names.filter(|line| line.chars().nth(2).is_some_and(|c| c != ' '));
    let names: Vec<&str> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 19, "{listed}");
    let output = loadtest(&folder, &[&["validate"], &names[..]].concat());
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
}

#[test]
fn a_rate_requires_an_open_profile_and_a_spawn_rate_a_ramp() {
    let folder = new_test_folder("wrong-options");
    for (arguments, message) in [
        (["run", "peak-100", "--rate", "5"], "has users and no rate"),
        (["run", "stress", "--spawn-rate", "5"], "has stages and no spawn rate"),
        (["run", "daily", "--rate", "-1"], "above zero"),
    ] {
        let output = loadtest(&folder, &arguments);
        assert_eq!(output.exit_code, 2, "{arguments:?}: {}", output.stdout);
        assert!(output.stderr.contains(message), "{arguments:?}: {}", output.stderr);
    }
}
